import json
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_dictionaries_and_v_are_measured_on_the_same_states(tmp_path, monkeypatch, capsys, tiny_run):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_episodic

    monkeypatch.setattr(measure_episodic, "BATCH", 8)
    out = tmp_path / "found.json"
    arguments = ["measure_episodic.py", tiny_run.folder, out, "--episodes", 8, 16, "--sentences", 5]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    measure_episodic.main()
    found = json.loads(out.read_text())
    assert [row["episodes"] for row in found["rows"]] == [8, 16] and found["held_out_states"] >= 5
    stored = [row["states"] for row in found["rows"]]
    assert 8 <= stored[0] < stored[1]
    networks = {"V", "V of the target network", "V and 50 neighbours, half each"}
    assert set(found["rows"][0]["explained"]) == {*networks, *measure_episodic.DICTIONARIES}
    assert "| explained variance after | 8 episodes | 16 episodes |" in capsys.readouterr().out


def test_a_dictionary_that_has_seen_a_state_knows_what_it_returned(monkeypatch, tiny_run):
    """Asked about what was written, one neighbour explains all of it."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_episodic as script

    changes = [f"finetune.{each}" for each in (*script.SETTINGS, "sentences=8")]
    family = script.loaded(tiny_run.folder, changes)
    (valid, *_) = script.held_out(family, 5)
    predictors = script.Predictors(family.critic, family.model.embeddings.width, family.reward.features, 200)
    predictors.learn(*valid)
    told = predictors.predicted(*valid)
    np.testing.assert_allclose(told["1 neighbour"], script.returns_of(valid[0]), atol=1e-3)
    assert told["V"] != pytest.approx(told["1 neighbour"])
