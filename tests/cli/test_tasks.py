"""A classification task: its metric validates, stops, releases, and is in the report."""

import json
import random

import pytest

RECIPE = """\
name: parity
task: classification
corpus:
  source_language: en
  target_language: label
  train: {{tsv: {text}/train.tsv}}
  valid: {{tsv: {text}/valid.tsv}}
  cleaning: {{drop_duplicates: false}}
tokenizer: {{vocabulary: 24, vocabulary_is_bound: true, byte_fallback: false}}
model: {{type: transformer, encoder_layers: 1, decoder_layers: 1, width: 8, heads: 2, feed_forward: 8}}
pretrain: {{updates: 4, batch: {{type: sentences, size: 10}}, validation: {{every: 2}}, average: 2}}
finetune: {{updates: 2, sentences: 4, validation: {{every: 2}}}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("task"), random.Random(1)
    for split, size in (("train", 60), ("valid", 12)):
        words = [[draw.choice(["on", "off", "maybe", "unclear", "strange"]) for _ in range(3)] for _ in range(size)]
        rows = [f"{' '.join(each)}\t{'odd' if each.count('on') % 2 else 'even'}\n" for each in words]
        (folder / f"{split}.tsv").write_text("".join(rows))
    (folder / "recipe.yaml").write_text(RECIPE.format(text=folder))
    return folder / "recipe.yaml"


def test_a_task_has_its_metrics_and_reward(recipe):
    from nmt_rl.config import load_config

    config = load_config(str(recipe))
    assert config.metrics == ("accuracy", "macro-f1") and config.score == "accuracy"
    assert config.pretrain.validation.metric == config.finetune.validation.metric == "accuracy"
    assert config.finetune.reward.metrics == {"accuracy": 1.0}
    own = load_config(str(recipe), ["finetune.reward.metrics={f1: 1.0}", "pretrain.validation.metric=loss"])
    assert own.finetune.reward.metrics == {"f1": 1.0} and own.pretrain.validation.metric == "loss"
    assert own.finetune.validation.metric == "accuracy"


def test_run_goes_by_accuracy(command, recipe):
    run = recipe.parent / "run"
    found = command("run", recipe, "--out", run)
    assert found.code == 0, found.err
    assert "The released model is the" in found.out and "accuracy on validation" in found.out
    numbers = json.loads((run / "metrics.json").read_text())
    first = numbers["scores"]["validation"]["scores"][0]
    result = json.loads((run / "pretrain" / "result.json").read_text())
    assert first["metrics"]["accuracy"]["value"] == pytest.approx(result["valid"]["accuracy"])
    assert "macro-F1" in (run / "report.html").read_text() and "bleu" not in result["valid"]
    told = command("info", run)
    assert "validation accuracy" in told.out


def test_an_unknown_task_is_named(command, recipe):
    found = command("run", recipe, "--out", recipe.parent / "other", "--set", "task=labels")
    assert found.code == 2 and "task" in found.err and "classification" in found.err
