"""What a folder must be to be a run, what binds a stage that has begun, and what --fresh leaves and sets aside."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from older import corpus_without_hashes, without_hashes

from nmt_rl.config import dump_config, load_config
from nmt_rl.errors import UserError
from nmt_rl.run_folder import (
    HEAD,
    begin_stage,
    check_run,
    clear_leftovers,
    drop_replaced,
    put_back,
    read_config,
    set_aside,
    write_config,
)
from nmt_rl.storage.ownership import MARK, mark
from nmt_rl.storage.reading import read_yaml


@pytest.fixture
def copy(tiny_run, tmp_path):
    """The finished tiny run, in a folder that a test may change."""
    ignored = shutil.ignore_patterns("tensorboard", "ctranslate2")
    return shutil.copytree(tiny_run.folder, tmp_path / "copy", ignore=ignored)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def message(tiny_run, run, stage="finetune", *overrides, fresh=False, whole=False):
    before = content(run)
    with pytest.raises(UserError) as error:
        check_run(load_config(str(tiny_run.recipe), overrides), run, stage, fresh, whole)
    assert "\n" not in str(error.value)
    assert content(run) == before
    return str(error.value)


def unfinished(run, stage):
    (run / stage / "result.json").unlink()
    return run


def passes(tiny_run, run, stage, *overrides, fresh=False):
    check_run(load_config(str(tiny_run.recipe), overrides), run, stage, fresh)


def test_a_finished_stage_is_bound_to_all_that_made_it(tiny_run, copy):
    text = message(tiny_run, copy, "pretrain", "pretrain.optimizer.learning_rate=0.5")
    assert f"{copy / 'pretrain'} is finished, with other settings" in text
    assert "pretrain.optimizer.learning_rate was 0.02, now 0.5; set it back" in text
    assert "nmt-rl pretrain --fresh starts pretraining over, and fine-tuning, which depends on it" in text
    assert "model.width was 8, now 16" in message(tiny_run, copy, "pretrain", "model.width=16")
    assert "go on" not in text and "go on" not in message(tiny_run, copy, "finetune", "finetune.method.tau=0.1")
    text = message(tiny_run, copy, "finetune", "finetune.optimizer.learning_rate=0.1")
    assert text.endswith("with a larger finetune.updates it would go on with them")
    text = message(tiny_run, copy, "finetune", "finetune.method.tau=0.1")
    assert (
        "finetune.method.tau was 0.005, now 0.1" in text and "nmt-rl finetune --fresh starts fine-tuning over" in text
    )
    assert "pretrain.updates was 24, now 10" in message(tiny_run, copy, "pretrain", "pretrain.updates=10")
    passes(tiny_run, copy, "pretrain", "finetune.method.tau=0.1")  # Not this command's business.


@pytest.mark.parametrize("fresh", [False, True])
def test_the_advice_names_the_stage_that_the_key_belongs_to(tiny_run, copy, fresh):
    """A changed key of pretraining is not mended by `finetune --fresh`."""
    text = message(tiny_run, copy, "finetune", "pretrain.label_smoothing=0.2", fresh=fresh)
    assert "nmt-rl pretrain --fresh" in text and "finetune --fresh" not in text
    text = message(tiny_run, copy, "finetune", "corpus.cleaning.max_words=9", fresh=fresh)
    assert "corpus.cleaning.max_words was 175, now 9" in text and "nmt-rl prepare --fresh" in text


@pytest.mark.parametrize(
    "override",
    [
        "pretrain.optimizer.learning_rate=0.001",
        "pretrain.optimizer.warmup=9",
        "pretrain.optimizer.schedule=cosine",
        "pretrain.updates=400",
        "pretrain.updates=9",
        "pretrain.minutes=3",
        "pretrain.log_every=7",
        "pretrain.checkpoint_every=5",
        "pretrain.validation={every: 3, minutes: 2, metric: loss, patience: 3}",
        "pretrain.average=1",
        "pretrain.batch={type: tokens, size: 90}",
        "corpus.test=null",
        "decoding.beam=3",
    ],
)
def test_what_may_change_in_a_running_job(tiny_run, copy, override):
    shutil.rmtree(copy / "finetune")
    passes(tiny_run, unfinished(copy, "pretrain"), "pretrain", override)


@pytest.mark.parametrize(
    "override",
    [
        "seed=4",
        "pretrain.optimizer.name=adamw",
        "pretrain.optimizer.ema=0.9",
        "pretrain.validation={every: 4, metric: bleu, patience: 10}",
        "decoding.no_repeat_ngram=2",
        "decoding.max_length_ratio=1.5",
    ],
)
def test_what_may_not_change_in_a_running_job(tiny_run, copy, override):
    text = message(tiny_run, unfinished(copy, "pretrain"), "pretrain", override)
    assert override.partition("=")[0] in text and " was " in text and ", now " in text


def test_a_finished_stage_with_more_updates_goes_on_unless_another_was_made_from_it(tiny_run, copy):
    passes(tiny_run, copy, "finetune", "finetune.updates=6", "finetune.optimizer.learning_rate=0.0005")
    text = message(tiny_run, copy, "pretrain", "pretrain.updates=30")
    assert "would go on (pretrain.updates was 24, now 30)" in text
    assert f"move {copy / 'finetune'} away, set it back, give --out" in text and "nmt-rl pretrain --fresh" in text
    shutil.rmtree(copy / "finetune")
    passes(tiny_run, copy, "pretrain", "pretrain.updates=30", "pretrain.optimizer.learning_rate=0.001")
    passes(tiny_run, copy, "pretrain", "decoding.max_length_ratio=1.5", "pretrain.log_every=9")


def test_a_changed_corpus_is_refused_and_fresh_prepare_is_not(tiny_run, copy, tiny_corpus, tmp_path):
    text = shutil.copytree(tiny_corpus, tmp_path / "text")
    moved = [f"corpus.{split}={text / split}" for split in ("train", "valid", "test")]
    passes(tiny_run, copy, "finetune", *moved)
    (text / "train.de").write_text((text / "train.de").read_text().replace("hund", "Hund"))
    text_now = message(tiny_run, copy, "prepare".replace("prepare", "corpus"), *moved)
    assert "corpus.train was prefix" in text_now and "nmt-rl prepare --fresh" in text_now
    passes(tiny_run, copy, "corpus", *moved, "corpus.cleaning.max_words=9", fresh=True)


def test_changed_and_deleted_text_is_told(tiny_run, copy, tiny_corpus, tmp_path, caplog):
    text = shutil.copytree(tiny_corpus, tmp_path / "text")
    record = json.loads((copy / "corpus" / "prepared.json").read_text().replace(str(tiny_corpus), str(text)))
    (copy / "corpus" / "prepared.json").write_text(json.dumps(record))
    moved = [f"corpus.{split}={text / split}" for split in ("train", "valid", "test")]
    (text / "train.de").write_text("ein Hund\n")
    found = message(tiny_run, copy, "corpus", *moved)
    assert f"{text / 'train.de'} has changed" in found and "holds the text as it was prepared" in found
    passes(tiny_run, copy, "finetune", *moved)
    assert "has changed" in caplog.text and "training goes on with that" in caplog.text
    (text / "train.de").unlink()
    found = message(tiny_run, copy, "corpus", *moved)
    assert f"{text / 'train.de'} does not exist" in found and found.endswith("pretrain and finetune go on with that")
    passes(tiny_run, copy, "finetune", *moved)
    for stage in ("pretrain", "finetune"):
        shutil.rmtree(copy / stage)
    passes(tiny_run, copy, "pretrain", *moved)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "name",
    ["corpus", "pretrain", "model", "tensorboard", "report.html", "metrics.jsonl", "config.yaml", "tokenizer.model"],
)
def test_a_folder_that_is_no_run_is_left_alone(tiny_run, tmp_path, name, fresh):
    run = tmp_path / "project"
    path = run / name if "." in name else run / name / "mine.txt"
    path.parent.mkdir(parents=True)
    path.write_text("# years of work\n")
    text = message(tiny_run, run, "corpus", fresh=fresh)
    assert f"{run / name} is not nmt-rl's" in text and "give --out another folder" in text


@pytest.mark.parametrize("name", ["corpus", "pretrain", "model"])
def test_a_part_of_a_run_is_no_run(tiny_run, copy, name):
    """It is nmt-rl's, but what another run writes into it would replace what is there."""
    text = message(tiny_run, copy / name, "corpus")
    assert text == f"{copy / name} is a folder of kind {name} that nmt-rl made, not a run; give --out {copy}"


def test_a_copy_of_a_runs_settings_is_a_users_own(tiny_run, tmp_path):
    write_config(load_config(str(tiny_run.recipe)), tmp_path, "finetune")
    (tmp_path / MARK).unlink()
    assert f"{tmp_path / 'config.yaml'} is not nmt-rl's" in message(tiny_run, tmp_path, "corpus")


def test_the_settings_of_a_run_are_those_that_its_stages_were_made_with(tiny_run, copy):
    changed = load_config(str(tiny_run.recipe), ["finetune.method.tau=0.1", "decoding.beam=3"])
    write_config(changed, copy, "pretrain")
    tree = read_yaml(copy / "config.yaml")
    assert tree["finetune"]["method"]["tau"] == 0.005 and tree["decoding"]["beam"] == 3
    shutil.rmtree(copy / "finetune")
    write_config(changed, copy, "pretrain")
    assert read_yaml(copy / "config.yaml")["finetune"]["method"]["tau"] == 0.1


def test_edited_settings_are_not_overwritten(tiny_run, copy):
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("seed: 3", "seed: 3  # my note"))
    assert f"{path} would be overwritten, but somebody has edited it" in message(tiny_run, copy, "pretrain")
    path.write_text("[" * 100_000)
    assert f"{path} would be overwritten, but somebody has edited it" in message(tiny_run, copy, "pretrain")


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_damaged_result_is_named_before_any_work(tiny_run, copy, text):
    path = copy / "pretrain" / "result.json"
    path.write_text(text)
    found = message(tiny_run, copy, "finetune")
    assert found.startswith(str(path)) and "delete it, then nmt-rl pretrain ends the stage again" in found


def test_a_strangers_file_in_what_would_be_replaced(tiny_run, copy):
    (copy / "model" / "notes.md").touch()
    assert "notes.md in it is not nmt-rl's" in message(tiny_run, copy, "pretrain")
    (copy / "model" / "notes.md").unlink()
    (copy / "model" / "ctranslate2").mkdir()
    (copy / "pretrain" / "checkpoints" / "mine.npz").touch()
    passes(tiny_run, copy, "pretrain")
    assert "checkpoints/mine.npz in it is not nmt-rl's" in message(tiny_run, copy, "pretrain", fresh=True)


@pytest.mark.parametrize("name", ["corpus", "pretrain", "model"])
def test_sources_are_not_inside_of_what_is_replaced(tiny_run, copy, name):
    text = message(tiny_run, copy, "corpus", f"corpus.valid={copy / name / 'dev'}", fresh=True)
    assert f"corpus.valid: {copy / name / 'dev'} lies in {copy / name}" in text


def test_a_stage_needs_those_before_it(tiny_run, tmp_path, copy):
    assert "run nmt-rl prepare first" in message(tiny_run, tmp_path / "new", "finetune")
    shutil.rmtree(copy / "pretrain")
    assert "holds no pretrained model" in message(tiny_run, copy, "finetune")


def test_a_run_of_an_older_version_is_recognised_strictly(tiny_run, copy):
    """0.2.0 left no marks, no begun.json, and the tokenizer in RUN."""
    config = load_config(str(tiny_run.recipe))
    for path in [*copy.rglob(MARK), *copy.rglob("begun.json")]:
        path.unlink()
    for card in copy.rglob("card.json"):
        without_hashes(card.parent)
    corpus_without_hashes(copy / "corpus")
    (copy / "corpus" / "tokenizer.model").rename(copy / "tokenizer.model")
    (copy / "config.yaml").write_text(dump_config(config))
    passes(tiny_run, copy, "finetune")
    assert "model.width was 8, now 16" in message(tiny_run, copy, "pretrain", "model.width=16")
    (copy / "corpus" / "mine.txt").touch()
    assert f"{copy / 'corpus'} is not nmt-rl's" in message(tiny_run, copy, "corpus", fresh=True)
    (copy / "corpus" / "mine.txt").unlink()
    write_config(config, copy, "finetune")
    assert (copy / "config.yaml").read_text().startswith(HEAD)
    assert {path.parent.name for path in copy.rglob(MARK)} >= {"copy", "corpus", "pretrain", "finetune", "model"}
    assert "model.width was 8, now 16" in message(tiny_run, copy, "pretrain", "model.width=16")


def test_a_stage_keeps_to_the_corpus_and_the_model_it_was_begun_with(tiny_run, copy):
    from nmt_rl.corpus.prepared import open_prepared

    config = load_config(str(tiny_run.recipe))
    prepared = open_prepared(config, copy)
    begin_stage(config, copy, "finetune", prepared)
    whole = (copy / "pretrain/model/model.weights.h5").read_bytes()
    (copy / "pretrain/model/model.weights.h5").write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"is damaged.*; delete .*pretrain/model, then nmt-rl pretrain writes it again"):
        begin_stage(config, copy, "finetune", prepared)
    without_hashes(copy / "pretrain/model")
    shutil.copyfile(copy / "finetune/model/model.weights.h5", copy / "pretrain/model/model.weights.h5")
    with pytest.raises(UserError, match=r"finetune was begun with another .*pretrain/model than there is now"):
        begin_stage(config, copy, "finetune", prepared)
    prepared.train.header["sha256"] = "0"
    with pytest.raises(UserError, match=r"pretrain was begun with another .*corpus than there is now"):
        begin_stage(config, copy, "pretrain", prepared)


@pytest.mark.parametrize("first", ["pretrain", "finetune"])
def test_what_is_set_aside_can_be_put_back_and_goes_in_the_end(copy, first):
    before = content(copy)
    set_aside(copy, first)
    left = {"pretrain": {"corpus", "replaced", MARK, "config.yaml"}}
    left["finetune"] = left["pretrain"] | {"pretrain", "metrics.jsonl", "tensorboard"}
    assert {path.name for path in copy.iterdir()} == left[first]
    if first == "finetune":
        assert '"finetune"' not in (copy / "metrics.jsonl").read_text()
    corpus = json.loads((copy / "replaced" / first / "begun.json").read_text())["corpus"]
    put_back(copy, "of another corpus")
    assert (copy / "replaced" / first / "result.json").exists() and not (copy / first).exists()
    put_back(copy, corpus)
    after = content(copy)
    assert {k: v for k, v in after.items() if k.parts[0] != "tensorboard"} == before
    set_aside(copy, first)
    (copy / first / "checkpoints").mkdir(parents=True)
    (copy / first / "checkpoints" / "step-00000001.npz").touch()
    (copy / "metrics.jsonl").write_text("")
    set_aside(copy, first)  # Once more, before the new one is finished: the finished one stays.
    assert (copy / "replaced" / first / "result.json").exists() and not (copy / first).exists()
    assert (copy / "replaced" / "metrics.jsonl").read_text() != ""
    drop_replaced(copy)
    assert (copy / "replaced" / first / "result.json").exists()
    (copy / first).mkdir()
    (copy / first / "result.json").touch()
    (copy / "replaced" / "mine.txt").touch()
    drop_replaced(copy)
    assert (copy / "replaced" / "mine.txt").exists()
    (copy / "replaced" / "mine.txt").unlink()
    drop_replaced(copy)
    assert not (copy / "replaced").exists()


def test_a_finished_stage_stays_when_an_earlier_one_starts_over(copy):
    set_aside(copy, "finetune")
    (copy / "finetune" / "checkpoints").mkdir(parents=True)
    (copy / "finetune" / "checkpoints" / "step-00000001.npz").touch()
    set_aside(copy, "pretrain")
    assert all((copy / "replaced" / stage / "result.json").exists() for stage in ("pretrain", "finetune"))


def test_a_full_disk_while_something_is_set_aside_changes_nothing(copy, monkeypatch):
    """Half a copy of the diary must not take its place when all is put back."""

    def full(source, to):
        Path(to).write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = content(copy)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        set_aside(copy, "finetune")
    put_back(copy, None)
    assert content(copy) == before


def test_a_run_may_share_the_corpus_and_the_stages_of_another_by_links(tiny_run, tmp_path):
    for name in ("corpus", "pretrain"):
        (tmp_path / name).symlink_to(tiny_run.folder / name)
    passes(tiny_run, tmp_path, "finetune", "finetune.method.tau=0.1")
    write_config(load_config(str(tiny_run.recipe)), tmp_path, "finetune")
    assert "corpus would be replaced, but nmt-rl did not make it" in message(tiny_run, tmp_path, "corpus", fresh=True)


def test_what_a_killed_preparation_left_is_cleared(tmp_path):
    for name, kind in ((".nmt-rl-a1", "corpus"), (".nmt-rl-b2", "model"), ("corpus", "corpus")):
        (tmp_path / name).mkdir()
        mark(tmp_path / name, kind)
    (tmp_path / ".nmt-rl-c3").mkdir()
    (tmp_path / "pretrain" / "checkpoints").mkdir(parents=True)
    mark(tmp_path / "pretrain", "pretrain")
    (tmp_path / "pretrain" / "checkpoints" / ".nmt-rl-d4").touch()
    clear_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".nmt-rl-b2", ".nmt-rl-c3", "corpus", "pretrain"}
    assert not list((tmp_path / "pretrain" / "checkpoints").iterdir())


def test_nothing_is_set_aside_of_a_run_without_a_stage(copy):
    for name in ("pretrain", "finetune", "model"):
        shutil.rmtree(copy / name)
    set_aside(copy, "pretrain")
    assert not (copy / "replaced").exists()
    put_back(copy, None)


def test_a_run_is_read_again_although_an_override_made_a_key_of_its_recipe_idle(tmp_path):
    """The recipe's attention_units are 64, which a dot product has no use for."""
    config = load_config("sort-lstm", ["model.attention=dot"])
    assert config.model.attention_units == 64
    (tmp_path / "run").mkdir()
    write_config(config, tmp_path / "run", "corpus")
    assert read_config(tmp_path / "run") == config
