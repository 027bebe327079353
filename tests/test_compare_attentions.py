"""The comparison of attentions: its table by numbers, what it refuses, and a tiny one that goes on."""

import json
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SPEC = """\
name: tiny
recipe:
  name: attentions
  corpus: {source_language: de, target_language: en, train: DATA/train, valid: DATA/valid}
  tokenizer: {vocabulary: 48, byte_fallback: false}
  model: {type: lstm, embedding: 4, units: 4, attention_units: 4}
  pretrain: {updates: 2, batch: {type: sentences, size: 10}, validation: {every: 2}}
  finetune: {method: dqn, updates: 2, sentences: 4, validation: {every: 2}}
  decoding: {tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}
set: [pretrain.optimizer.warmup=1]
systems:
  soft: []
  hard: [model.hard=variational]
"""


@pytest.mark.parametrize("name", ["copy", "multi30k-de-en", "multi30k-de-en-from-soft"])
def test_the_systems_that_ship_are_valid_experiments(script, name, tmp_path):
    spec, recipe = script.read_spec(ROOT / "scripts" / "attentions" / f"{name}.yaml", "text"), tmp_path / "recipe.yaml"
    if isinstance(spec["recipe"], dict):
        if spec["recipe"]["pretrain"].get("start") == "START":
            del spec["recipe"]["pretrain"]
        recipe.write_text(yaml.safe_dump(spec["recipe"]))
        spec["recipe"] = str(recipe)
    script.check(spec["recipe"], spec, list(spec["systems"]))
    assert {each.split("-")[-1] for each in spec["systems"]} >= {"score", "marginal", "variational"}


def test_a_table_tells_scores_sizes_and_hours(script):
    hours = {"pretrain": 0.504, "finetune": 0.1}
    scores = {"pretrained": {"bleu": 30.25}, "finetuned": {"bleu": 31.0}}
    rows = {"soft": {"parameters": 6200000, "updates": 5000, **scores, "cpu_hours": hours}}
    assert (
        script.table(rows, "bleu").splitlines()[2]
        == "| soft | 6,200,000 | 5,000 | 30.25 | 31.00 (+0.75) | 0.50 | 0.10 |"
    )


def test_a_wrong_setting_is_refused_before_anything_is_trained(script, tmp_path, monkeypatch, capsys):
    spec = yaml.safe_load(SPEC.replace("DATA", str(tmp_path)))
    spec["systems"]["hard"] = ["model.hard=margin"]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    monkeypatch.setattr(sys, "argv", ["compare_attentions.py", str(tmp_path / "spec.yaml"), str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        script.main()
    message = "model.hard.type: should be score, marginal or variational, found 'margin'"
    assert message in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "out" / "prepared").exists()


def test_a_tiny_comparison_is_not_done_twice(script, tmp_path, monkeypatch, capsys, tiny_corpus):
    (tmp_path / "spec.yaml").write_text(SPEC)
    out = tmp_path / "out"
    command = ["compare_attentions.py", str(tmp_path / "spec.yaml"), str(out), "--data", str(tiny_corpus)]
    monkeypatch.setattr(sys, "argv", [*command, "--only", "hard"])
    script.main()
    first = json.loads((out / "results.json").read_text())
    assert list(first["systems"]) == ["hard"] and first["systems"]["hard"]["cpu_hours"]["finetune"] > 0
    monkeypatch.setattr(script, "nmt_rl", lambda stage, *_, **__: stage == "prepare" or pytest.fail("done again"))
    script.main()
    assert json.loads((out / "results.json").read_text()) == first
    assert capsys.readouterr().out.splitlines()[2].startswith("| hard | ")
