import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_the_learner_is_the_limit_from_enough_actors_on(monkeypatch):
    """A batch takes 0.2 s and 4 s for its sentences, learning from it 1.2 s with the weights: four actors play one in
    1.2 s, and ahead of the learner no more are needed; in lock step it waits for them anyhow."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from measure_actors import projected

    found = projected({"play": 4.2, "play_a_quarter": 1.2, "learn": 1.0, "weights": 0.2}, (1, 4, 16))
    one, four, many = found["rows"]
    assert one == {
        "actors": 1,
        "lock_step": pytest.approx(1 / 5.4, abs=1e-3),
        "ahead": pytest.approx(1 / 4.2, abs=1e-3),
    }
    assert four["ahead"] == many["ahead"] == pytest.approx(1 / 1.2, abs=1e-3)
    assert many["lock_step"] == pytest.approx(1 / 1.65, abs=1e-3) and found["enough"] == 4
    none = projected({"play": 1.0, "play_a_quarter": 0.9, "learn": 0.5, "weights": 0.0}, (1,))
    assert none["enough"] is None, "a player's own start alone takes longer than the learner"


def test_the_table_of_a_run(tmp_path, monkeypatch, capsys, tiny_run):
    """Real actors play, and what they are measured at is written."""
    pytest.importorskip("ray")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_actors

    out = tmp_path / "actors.json"
    monkeypatch.setattr(
        sys, "argv", ["measure_actors.py", str(tiny_run.folder), str(out), "--actors", "1", "--updates", "4"]
    )
    measure_actors.main()
    found = json.loads(out.read_text())
    assert [(row["actors"], row["ahead"]) for row in found["measured"]] == [(1, False), (1, True)]
    assert all(row["updates_per_second"] > 0 and 0 < row["learning"] < 1 for row in found["measured"])
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert "learner busy" in capsys.readouterr().out
