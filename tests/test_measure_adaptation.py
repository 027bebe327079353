import json
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
SPEC = """\
name: tiny
recipe:
  name: adapted
  corpus: {source_language: de, target_language: en, train: NEW/train, valid: NEW/valid}
  pretrain: {start: START, updates: 2, batch: {type: sentences, size: 10}, validation: {every: 2}}
  decoding: {tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}
tests: {new: NEW/test, old: OLD/test}
systems:
  bias: [pretrain.adapt=bias]
"""


def test_a_table_of_what_adapting_gives(tmp_path, monkeypatch, capsys, tiny_run, tiny_corpus):
    """Of one system: what it started from is beside it, and what is done is not done again."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_adaptation

    (tmp_path / "spec.yaml").write_text(SPEC)
    places = ["--start", tiny_run.folder, "--new", tiny_corpus, "--old", tiny_corpus]
    monkeypatch.setattr(
        sys, "argv", ["measure_adaptation.py", *map(str, [tmp_path / "spec.yaml", tmp_path / "out", *places])]
    )
    measure_adaptation.main()
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    (row,) = found["systems"]
    assert 0 < row["trained"] < row["weights"] / 4 and row["cpu_minutes"] > 0
    assert set(found["scores"]) == {"start", "bias"} and set(found["scores"]["bias"]) == {"new", "old"}
    assert capsys.readouterr().out.startswith("| system | weights trained | CPU minutes | new: BLEU | old: BLEU |")
    made = (tmp_path / "out" / "runs" / "bias" / "seconds.json").stat().st_mtime_ns
    measure_adaptation.train(tmp_path / "out" / "recipe.yaml", tmp_path / "out" / "runs" / "bias", [])
    assert (tmp_path / "out" / "runs" / "bias" / "seconds.json").stat().st_mtime_ns == made
