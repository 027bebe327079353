"""Learning curves: a table by hand, and tiny ones of two sizes."""

import json
import sys


def test_a_table_has_a_column_for_each_size_and_a_gap_where_one_ended_before(script):
    curves = {"1000": {"50": 1.5}, "2000": {"50": 2.0, "100": 3.25}}
    rows = script.table({"curves": curves, "cpu_minutes": {"1000": 1.2, "2000": 2.6}}).splitlines()
    assert rows[0] == "| updates | 1,000 pairs | 2,000 pairs |"
    assert rows[2:] == ["| 50 | 1.50 | 2.00 |", "| 100 |  | 3.25 |", "| CPU minutes | 1 | 3 |"]


def test_each_size_is_trained_on_its_first_pairs_once(script, tmp_path, monkeypatch, tiny_corpus, tiny_recipe):
    options = [str(tiny_recipe), str(tmp_path / "out"), "--train", str(tiny_corpus / "train"), "--pairs", "40", "60"]
    options += ["--set", "pretrain.updates=4", "--set", "pretrain.validation.every=2"]
    monkeypatch.setattr(sys, "argv", ["measure_learning_curves.py", *options])
    script.main()
    found = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert {size: list(curve) for size, curve in found["curves"].items()} == {"40": ["2", "4"], "60": ["2", "4"]}
    cleaned = json.loads((tmp_path / "out" / "40" / "corpus" / "cleaning.json").read_text())
    assert cleaned["read"] == 40
