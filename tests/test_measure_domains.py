"""Both stages of a run on several sets: a table by hand, and that of a tiny run."""

import json
import sys


def test_a_table_tells_differences_and_what_the_stages_took(script):
    stage = {"updates": 1200, "minutes": 9.6, "processor_minutes": 18.2}
    row = {"name": "news", "beam": 5, "lines": 3000, "bleu": [17.25, 17.5], "p": 0.0314}
    rows = script.table({"sets": [row], "stages": {"pretrain": stage}}).splitlines()
    assert rows[2] == "| news | 3,000 | 5 | 17.25 | 17.50 | +0.25 | 0.031 |"
    assert rows[4] == "pretrain: 1,200 updates, 10 minutes, 18 of processors."
    del stage["processor_minutes"]
    assert script.table({"sets": [], "stages": {"finetune": stage}}).endswith("finetune: 1,200 updates, 10 minutes.\n")


def test_a_run_is_measured_on_every_set_with_every_beam(script, tmp_path, monkeypatch, tiny_corpus, tiny_run):
    options = [str(tiny_run.folder), str(tmp_path), "-l", "de-en", "--beam", "1", "2"]
    options += ["--set", f"a={tiny_corpus / 'valid'}", "--set", f"b={tiny_corpus / 'test'}"]
    monkeypatch.setattr(sys, "argv", ["measure_domains.py", *options])
    script.main()
    found = json.loads((tmp_path / "domains.json").read_text())
    assert [(row["name"], row["beam"]) for row in found["sets"]] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert all(len(row["bleu"]) == 2 and 0 <= row["p"] <= 1 and row["signature"] for row in found["sets"])
    assert set(found["stages"]) == {"pretrain", "finetune"}
