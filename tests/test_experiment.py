import json
import shutil

import pytest

from nmt_rl.bundle import load_bundle
from nmt_rl.config import load_config
from nmt_rl.errors import UserError
from nmt_rl.experiment import better_stage, open_run, release, results


@pytest.fixture
def copy(tiny_run, tmp_path):
    """The finished tiny run, in a folder that a test may change."""
    return shutil.copytree(tiny_run.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("tensorboard"))


def message(tiny_run, run, *overrides, fresh_from=None):
    before = (run / "config.yaml").read_bytes() if (run / "config.yaml").exists() else None
    with pytest.raises(UserError) as error:
        open_run(load_config(str(tiny_run.recipe), overrides), run, fresh_from)
    assert "\n" not in str(error.value)
    if before is not None:
        assert (run / "config.yaml").read_bytes() == before, "a refused experiment must not replace the run's own"
    return str(error.value)


def test_a_changed_key_of_a_started_stage_is_refused(tiny_run, copy):
    text = message(tiny_run, copy, "pretrain.optimizer.learning_rate=0.5")
    assert "pretrain.optimizer.learning_rate was 0.02, now 0.5" in text and "--fresh" in text
    assert "model.width was 8, now 16" in message(tiny_run, copy, "model.width=16")
    assert "finetune.tau was 0.005, now 0.1" in message(tiny_run, copy, "finetune.tau=0.1")


def test_a_changed_corpus_is_refused_before_anything_is_deleted(tiny_run, copy):
    for fresh_from in (None, "pretrain", "finetune"):
        text = message(tiny_run, copy, "corpus.cleaning.max_words=9", fresh_from=fresh_from)
        assert "corpus.cleaning.max_words was 175, now 9" in text
        assert results(copy).keys() == {"pretrain", "finetune"}


def test_the_length_may_change_while_a_stage_is_unfinished(tiny_run, copy):
    assert "pretrain.updates was 24, now 30" in message(tiny_run, copy, "pretrain.updates=30")
    (copy / "pretrain" / "result.json").unlink()
    open_run(load_config(str(tiny_run.recipe), ["pretrain.updates=30", "pretrain.minutes=3"]), copy)
    assert "updates: 30" in (copy / "config.yaml").read_text()


def test_what_a_stage_does_not_depend_on_may_change(tiny_run, copy):
    open_run(load_config(str(tiny_run.recipe), ["decoding.beam=3", "evaluation.bootstrap=200"]), copy)
    shutil.rmtree(copy / "finetune")
    open_run(load_config(str(tiny_run.recipe), ["finetune.tau=0.1"]), copy)


@pytest.mark.parametrize(
    ("fresh_from", "left"),
    [("finetune", {"corpus", "pretrain"}), ("pretrain", {"corpus"}), ("corpus", set())],
)
def test_fresh_deletes_a_stage_and_what_follows(tiny_run, copy, fresh_from, left):
    key = {"finetune": "finetune.tau=0.1", "pretrain": "pretrain.updates=5", "corpus": "corpus.cleaning.max_words=9"}
    open_run(load_config(str(tiny_run.recipe), [key[fresh_from]]), copy, fresh_from)
    assert {path.name for path in copy.iterdir() if path.is_dir()} == left


@pytest.mark.parametrize("fresh_from", [None, "corpus"])
def test_a_folder_that_is_no_run_is_left_alone(tiny_run, tmp_path, fresh_from):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.txt").write_text("years of work")
    text = message(tiny_run, tmp_path, fresh_from=fresh_from)
    assert f"{tmp_path} holds corpus but no config.yaml" in text
    assert (tmp_path / "corpus" / "mine.txt").exists()


@pytest.mark.parametrize(("finetuned", "stage"), [(41.0, "finetune"), (40.0, "pretrain"), (39.0, "pretrain")])
def test_the_model_that_validates_better_is_released(copy, finetuned, stage):
    path = copy / "finetune" / "result.json"
    result = json.loads(path.read_text())
    result["before"]["bleu"], result["valid"]["bleu"] = 40.0, finetuned
    path.write_text(json.dumps(result))
    assert better_stage(copy) == stage
    release(copy)
    assert load_bundle(copy).card["stage"] == stage
    assert not list(copy.glob("model.*"))
