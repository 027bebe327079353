"""What external memories get right: shares by hand, room beyond the training sizes, and a tiny run."""

import json
import sys

from nmt_rl.config import NTMConfig


def test_shares_by_hand(script):
    # One of two lines; of six symbols the first line's three and one of the second's, whose d stands too early.
    assert script.right(["b c d", "b d"], ["b c d", "b c d"]) == (0.5, 4 / 6)
    assert script.right(["b c d d"], ["b c d"]) == (0.0, 1.0)


def test_a_memory_has_more_room_beyond_its_training_but_none_stays_none(script):
    assert script.slots_for(NTMConfig(slots=32), 20, trained=20) == 32
    assert script.slots_for(NTMConfig(slots=32), 40, trained=20) == 128
    assert script.slots_for(NTMConfig(slots=2), 40, trained=20) == 2


def test_a_tiny_run(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SIZES", {"copy": (3, 21)})
    monkeypatch.setattr(script, "ROOM", 40)
    small = ["pretrain.updates=2", "pretrain.validation.every=2", "model.units=4"]
    words = [word for setting in small for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "--recipes", "copy-ntm", "--lines", "2", *words])
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    script.main()
    (row,) = json.loads((tmp_path / "results.json").read_text())["systems"]
    assert [(at["size"], at["slots"]) for at in row["sizes"]] == [(3, 32), (21, 40)]
    assert "| `copy-ntm` | NTM, feed-forward, 4 |" in (tmp_path / "results.md").read_text()
