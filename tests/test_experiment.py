import json
import shutil
from pathlib import Path

import pytest

from nmt_rl.bundle import load_bundle, training_sections
from nmt_rl.config import load_config
from nmt_rl.errors import RunError, UserError
from nmt_rl.experiment import better_stage, finetune_stage, prepare_stage, pretrain_stage, release, run_stages
from nmt_rl.storage.lock import held


@pytest.fixture
def copy(tiny_run, tmp_path):
    """The finished tiny run, in a folder that a test may change."""
    ignored = shutil.ignore_patterns("tensorboard", "ctranslate2")
    return shutil.copytree(tiny_run.folder, tmp_path / "copy", ignore=ignored)


def content(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts
    }


@pytest.mark.parametrize(("finetuned", "stage"), [(41.0, "finetune"), (40.0, "pretrain"), (39.0, "pretrain")])
def test_the_model_that_validates_better_is_released(copy, finetuned, stage):
    path = copy / "finetune" / "result.json"
    result = json.loads(path.read_text())
    result["before"]["bleu"], result["valid"]["bleu"] = 40.0, finetuned
    path.write_text(json.dumps(result))
    assert better_stage(copy) == stage
    release(copy)
    assert load_bundle(copy).card["stage"] == stage


def test_what_was_made_from_the_released_model_stays_while_it_is_the_same(copy):
    (copy / "model" / "ctranslate2").mkdir()
    (copy / "model" / "ctranslate2" / "model.bin").write_text("export")
    before = content(copy)
    release(copy)
    assert content(copy) == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_damaged_model_is_never_released(copy, damage):
    damage(copy / better_stage(copy) / "model" / "model.weights.h5")
    before = content(copy)
    with pytest.raises(UserError, match=r"model\.weights\.h5 is .*model stays as it is; delete"):
        release(copy)
    assert content(copy) == before


@pytest.mark.parametrize("call", [prepare_stage, pretrain_stage, finetune_stage, run_stages])
def test_one_process_at_a_time(tiny_run, copy, call):
    before = content(copy)
    with held(copy), pytest.raises(UserError, match="is in use by process"):
        call(load_config(str(tiny_run.recipe)), copy)
    assert content(copy) == before


@pytest.mark.parametrize(
    ("call", "override", "words"),
    [
        (prepare_stage, "corpus.valid=nowhere", "nowhere.de does not exist"),
        (prepare_stage, "tokenizer.vocabulary=9999", "tokenizer.vocabulary 9999"),
        (run_stages, "finetune.reward.metrics={nowhere:f: 1.0}", "nowhere"),
        (pretrain_stage, "tokenizer.vocabulary=40", "tokenizer.vocabulary was 48, now 40"),
        (finetune_stage, "finetune.reward.metrics={nowhere:f: 1.0}", "nowhere"),
    ],
)
def test_a_fresh_start_that_cannot_begin_loses_nothing(tiny_run, copy, call, override, words):
    before = content(copy)
    with pytest.raises(UserError, match=words):
        call(load_config(str(tiny_run.recipe), [override]), copy, fresh=True)
    assert content(copy) == before


def test_a_fresh_stage_on_a_damaged_one_loses_nothing(tiny_run, copy):
    weights = copy / "pretrain" / "model" / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:100])
    before = content(copy)
    with pytest.raises(UserError, match=r"model\.weights\.h5 is damaged"):
        finetune_stage(load_config(str(tiny_run.recipe)), copy, fresh=True)
    assert content(copy) == before


def test_a_fresh_start_that_fails_before_its_first_checkpoint_is_undone(tiny_run, copy):
    before = content(copy)
    rates = ["pretrain.optimizer.learning_rate=1e30", "pretrain.optimizer.warmup=0", "pretrain.checkpoint_every=100"]
    with pytest.raises(RunError, match="loss became"):
        pretrain_stage(load_config(str(tiny_run.recipe), rates), copy, fresh=True)
    assert content(copy) == before


def test_a_fresh_stage_leaves_no_trace_of_the_old_one(tiny_run, copy):
    config = load_config(
        str(tiny_run.recipe), ["finetune.updates=1", "finetune.method.tau=0.1", "finetune.validation.sentences=8"]
    )
    result = finetune_stage(config, copy, fresh=True)
    assert result["updates"] == 1
    events = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert {e["step"] for e in events if e["stage"] == "finetune"} == {0, 1}
    assert any(e["stage"] == "pretrain" for e in events)
    assert not {path.name for path in copy.iterdir()} & {"replaced", "report.html", "metrics.json", "finetuning.png"}
    assert training_sections(copy / "finetune" / "model")["finetune"]["method"]["tau"] == 0.1


def test_a_finished_stage_goes_on_with_more_updates_at_another_rate(tiny_run, copy):
    shutil.rmtree(copy / "finetune")
    rate = ["pretrain.optimizer.learning_rate=0.0001", "pretrain.batch.size=5"]
    config = load_config(str(tiny_run.recipe), ["pretrain.updates=25", *rate])
    assert pretrain_stage(config, copy)["updates"] == 25
    begun = json.loads((copy / "pretrain" / "begun.json").read_text())
    assert begun["settings"]["pretrain"]["optimizer"]["learning_rate"] == 0.0001
    steps = [json.loads(line)["step"] for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 25 and load_bundle(copy).card["result"]["updates"] == 25
