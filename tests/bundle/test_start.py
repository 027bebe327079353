"""Training that starts from the tiny run's model: what it has from there, and what it may not change."""

import json
import shutil

import numpy as np
import pytest
import yaml

from nmt_rl.bundle import load_bundle
from nmt_rl.bundle.start import load_experiment
from nmt_rl.errors import UserError

NEW = """\
name: started
corpus: {{source_language: de, target_language: en, train: {text}/train, valid: {text}/valid}}
pretrain:
  start: {start}
  updates: {updates}
  batch: {{type: sentences, size: 10}}
  optimizer: {{learning_rate: 0.005, schedule: constant, warmup: 0}}
  validation: {{every: 3, metric: loss}}
  log_every: 1
finetune: {{method: fork, updates: 2, sentences: 4, validation: {{every: 1}}, log_every: 1}}
decoding: {{tune_length: false, max_length_ratio: 1.0, max_length_extra: 4}}
"""


@pytest.fixture
def recipe(tmp_path, tiny_run, tiny_corpus):
    def write(updates=6):
        path = tmp_path / "started.yaml"
        text = NEW.format(text=tiny_corpus, start=tiny_run.folder / "pretrain" / "model", updates=updates)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def validated(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["event"] == "valid" and line["stage"] == "pretrain"}


def test_architecture_and_tokenizer_are_those_of_the_start(recipe, tiny_run):
    config = load_experiment(str(recipe()))
    start = yaml.safe_load((tiny_run.folder / "model" / "config.yaml").read_text())
    assert config.model.model_dump(mode="json") == start["model"]
    assert config.tokenizer.model == (str(tiny_run.folder / "pretrain" / "model" / "tokenizer.model"),)
    assert load_experiment(str(recipe()), ["model.dropout=0.5"]).model.dropout == 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.width=16", ["model.width 16 cannot be changed", "which has 8", "leave it out"]),
        ("tokenizer.vocabulary=99", ["tokenizer.vocabulary 99 cannot be changed"]),
        ("pretrain.start=nowhere", ["pretrain.start: model folder nowhere does not exist"]),
        ("pretrain.start=null", ["key model is missing"]),
        ("pretrain.adapt={type: lora, rang: 2}", ["unknown key pretrain.adapt.rang", "did you mean rank?"]),
    ],
)
def test_what_the_start_settles_cannot_be_changed(recipe, change, words):
    with pytest.raises(UserError) as error:
        load_experiment(str(recipe()), [change])
    assert all(word in str(error.value) for word in words), error.value


def test_a_recipe_upon_another_keeps_nothing_of_its_model(tmp_path, tiny_recipe, tiny_run):
    path = tmp_path / "upon.yaml"
    start = tiny_run.folder / "pretrain" / "model"
    path.write_text(f"base: {tiny_recipe}\nname: upon\npretrain: {{start: {start}}}\n")
    config = load_experiment(str(path))
    assert config.model.width == 8 and config.tokenizer.model and config.pretrain.batch.size == 10


def test_training_goes_on_from_the_weights_and_says_so(command, recipe, tmp_path, tiny_run):
    run = tmp_path / "run"
    assert (found := command("pretrain", recipe(), "--out", run)).code == 0, found.err
    losses = validated(run)
    last = json.loads((tiny_run.folder / "pretrain" / "result.json").read_text())["valid"]["loss"]
    assert losses[0] == pytest.approx(last, abs=1e-5) and min(losses.values()) < last
    told = command("info", run).out
    assert "started from" in told and "tiny (" in told
    assert command("verify", run).code == 0


def test_fine_tuning_does_not_need_the_start_any_more(command, recipe, tmp_path, tiny_run):
    """Of the run's own settings; pretraining that is longer would."""
    run, start = tmp_path / "run", tmp_path / "start"
    shutil.copytree(tiny_run.folder / "pretrain" / "model", start)
    assert command("pretrain", recipe(), "--out", run, "--set", f"pretrain.start={start}").code == 0
    shutil.rmtree(start)
    shutil.copy(run / "config.yaml", tmp_path / "own.yaml")
    found = command("finetune", tmp_path / "own.yaml", "--out", run)
    assert found.code == 0, found.err
    other = command("pretrain", tmp_path / "own.yaml", "--out", tmp_path / "other")
    assert other.code == 2 and "start" in other.err and "is missing" in other.err
    assert "pretrain.start" in command("pretrain", recipe(), "--out", run, "--set", f"pretrain.start={start}").err


def test_no_updates_are_the_model_as_it_came_for_fine_tuning(command, recipe, tmp_path, tiny_run):
    run, path = tmp_path / "run", recipe(updates=0)
    assert (found := command("run", path, "--out", run)).code == 0, found.err
    weights = [
        load_bundle(each).model.get_weights() for each in (run / "pretrain/model", tiny_run.folder / "pretrain/model")
    ]
    assert all((a == b).all() for a, b in zip(*weights, strict=True))
    assert json.loads((run / "finetune" / "result.json").read_text())["updates"] == 2
    assert "tiny (" in command("info", run / "finetune" / "model").out
    assert (run / "report.html").exists()


def test_nothing_to_start_from(command, tiny_recipe, tmp_path):
    for change, words in (
        ("pretrain.updates=0", "give start"),
        ("pretrain.adapt=bias", "give start, or leave adapt out"),
    ):
        found = command("pretrain", tiny_recipe, "--out", tmp_path / "run", "--set", change)
        assert found.code == 2 and words in found.err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("keep", ["distill", "{type: ewc, text: TEXT/train, sentences: 5}"])
def test_what_was_known_is_kept_and_a_resumed_run_goes_on(command, recipe, tmp_path, tiny_corpus, keep):
    run, setting = tmp_path / "run", f"pretrain.keep={keep.replace('TEXT', str(tiny_corpus))}"
    for updates in (3, 6):
        found = command("pretrain", recipe(), "--out", run, "--set", setting, "--set", f"pretrain.updates={updates}")
        assert found.code == 0, found.err
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [line["kept"] for line in lines if line["event"] == "train"]
    assert len(kept) == 6 and kept[0] < 0.05 and kept[-1] > 0, "but for dropout nothing at first"


def test_a_run_does_not_start_from_itself(command, recipe, tmp_path, tiny_run):
    """Its model would be moved away before it is read."""
    run = tmp_path / "run"
    shutil.copytree(tiny_run.folder, run)
    for start in (run, run / "model", run / "pretrain" / "model"):
        found = command("pretrain", recipe(), "--out", run, "--fresh", "--set", f"pretrain.start={start}")
        assert found.code == 2 and "which nmt-rl replaces" in found.err and (run / "model").is_dir()


def test_no_old_text(command, recipe, tmp_path):
    (tmp_path / "old.de").write_text("\n")
    (tmp_path / "old.en").write_text("\n")
    found = command(
        "pretrain", recipe(), "--out", tmp_path / "run", "--set", f"pretrain.keep={{type: ewc, text: {tmp_path}/old}}"
    )
    assert found.code == 2 and "pretrain.keep.text has no sentence pairs" in found.err
    found = command("pretrain", recipe(), "--out", tmp_path / "run", "--set", "pretrain.keep=ewc")
    assert found.code == 2 and "pretrain.keep" in found.err and "text" in found.err


def test_attention_that_was_soft_goes_on_as_a_hard_one(command, recipe, tmp_path, tiny_recipe):
    """An inference network is new; all else is the start's."""
    soft, hard = tmp_path / "soft", tmp_path / "hard"
    lstm = ["--set", "model={type: lstm, embedding: 8, units: 8, attention_units: 8}", "--set", "pretrain.updates=3"]
    assert (found := command("pretrain", tiny_recipe, "--out", soft, *lstm)).code == 0, found.err
    start = ["--set", f"pretrain.start={soft}/pretrain/model", "--set", "model.hard=variational"]
    none = command("pretrain", recipe(0), "--out", hard, *start, "--set", "pretrain.adapt=lora")
    assert none.code == 2 and "'lora' does not train model.hard, which is new; give full" in none.err
    assert (found := command("pretrain", recipe(0), "--out", hard, *start)).code == 0, found.err
    model, before = (load_bundle(run / "pretrain" / "model").model for run in (hard, soft))
    weights = {variable.path: np.array(variable) for variable in model.weights}
    assert all((weights.pop(variable.path) == np.array(variable)).all() for variable in before.weights)
    assert weights and all("posterior" in path for path in weights)
    back = ["--set", f"pretrain.start={hard}/pretrain/model", "--set", "model.hard=null"]
    assert "model.hard None cannot be changed" in command("pretrain", recipe(0), "--out", tmp_path / "b", *back).err
