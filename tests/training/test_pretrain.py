import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from nmt_rl.config import ValidationConfig, load_config, parse_config
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.errors import RunError
from nmt_rl.experiment import finetune_stage, pretrain_stage
from nmt_rl.training.pretrain import CorpusTrainer, _choose

LSTM = [
    "model={type: lstm, embedding: 6, units: 8, attention_units: 4, dropout: 0.2}",
    "tokenizer.sampling=true",
    "pretrain.updates=5",
    "pretrain.validation={every: 2, metric: loss}",
    "pretrain.checkpoint_every=2",
]


def weights(folder):
    """Every array of a model folder, as bytes."""
    found = {}
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    assert found
    return found


def copy_of(tiny_run, folder, *left_out):
    ignored = shutil.ignore_patterns("model", "tensorboard", "metrics.jsonl", "report.html", *left_out)
    run = shutil.copytree(tiny_run.folder, folder, ignore=ignored)
    if "pretrain" not in left_out:
        shutil.copytree(tiny_run.folder / "pretrain" / "model", run / "pretrain" / "model")
    return run


def kill_after(verb, recipe, run, checkpoint):
    """Start a stage in a process of its own and kill it, without warning, soon after a checkpoint has appeared."""
    command = [sys.executable, "-m", "nmt_rl", verb, str(recipe), "--out", str(run)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    try:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert not (checkpoint.parents[1] / "result.json").exists()


def test_pretraining_that_was_killed_ends_with_the_same_bits(tiny_run, tmp_path):
    run = copy_of(tiny_run, tmp_path / "run", "pretrain", "finetune")
    kill_after("pretrain", tiny_run.recipe, run, run / "pretrain" / "checkpoints" / "step-00000006.npz")
    result = pretrain_stage(load_config(str(tiny_run.recipe)), run)
    assert result["updates"] == 24
    assert weights(run / "pretrain" / "model") == weights(tiny_run.folder / "pretrain" / "model")


def test_fine_tuning_that_was_interrupted_ends_with_the_same_bits(tiny_run, tmp_path):
    """Policy, optimizer with its moving average, V, target network, replay and data position: from update 3 of 4."""
    run = copy_of(tiny_run, tmp_path / "run", "step-00000004.npz")
    (run / "finetune" / "result.json").unlink()
    assert (run / "finetune" / "checkpoints" / "step-00000003.npz").exists()
    result = finetune_stage(load_config(str(tiny_run.recipe)), run)
    assert result["updates"] == 4
    assert weights(run / "finetune" / "model") == weights(tiny_run.folder / "finetune" / "model")


def test_an_lstm_on_sampled_subwords_that_was_interrupted_ends_with_the_same_bits(tiny_recipe, tmp_path):
    config = load_config(str(tiny_recipe), LSTM)
    pretrain_stage(config, tmp_path / "whole")
    ignored = shutil.ignore_patterns("model", "result.json", "step-00000005.npz")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut", ignore=ignored)
    pretrain_stage(config, tmp_path / "cut")
    assert weights(tmp_path / "cut" / "pretrain" / "model") == weights(tmp_path / "whole" / "pretrain" / "model")


def test_pairs_that_the_model_has_no_room_for_are_left_out(tmp_path, caplog):
    with CorpusWriter(tmp_path / "train", 10, 10) as writer:
        writer.append([[5] * n for n in (3, 8, 7, 2)], [[6]] * 4)
    config = parse_config(
        {
            "name": "toy",
            "corpus": {"source_language": "de", "target_language": "en", "train": "t", "valid": "v"},
            "model": {"type": "transformer"},
            "pretrain": {"batch": {"type": "sentences", "size": 3, "max_length": 9, "pad": "buckets"}},
        },
        "toy",
    )
    trainer = CorpusTrainer(None, EncodedCorpus.open(tmp_path / "train"), config, None, room=8)
    widths = [trainer._next()[0][0]["source"].shape for _ in range(2)]
    trainer.close()
    assert widths == [(3, 8)] * 2
    assert "1 of 4 training pairs are longer than the model's 8 positions and left out" in caplog.text


def test_pretraining_that_diverges_keeps_nothing_and_names_the_update(tiny_run, tmp_path):
    run = copy_of(tiny_run, tmp_path / "run", "pretrain", "finetune")
    overrides = ["pretrain.optimizer.learning_rate=1e30", "pretrain.optimizer.warmup=0"]
    with pytest.raises(RunError, match=r"pretrain: the loss became \w+ at update [1-4]; .*\(now 1e\+30\)"):
        pretrain_stage(load_config(str(tiny_run.recipe), overrides), run)
    assert not (run / "model").exists()
    assert not (run / "pretrain" / "result.json").exists()


def test_batches_of_other_sizes_begin_with_the_next_epoch(tiny_run):
    from nmt_rl.corpus.prepared import open_prepared

    config = load_config(str(tiny_run.recipe))
    prepared = open_prepared(config, tiny_run.folder)
    smaller = load_config(str(tiny_run.recipe), ["pretrain.batch.size=5"])
    trainers = [
        CorpusTrainer(None, prepared.train, c, prepared.tokenizers, 64) for c in (config, config, smaller, smaller)
    ]
    before, same, other, fresh = trainers
    before._next()
    meta, _ = before.state()
    for trainer in (same, other):
        trainer.restore(json.loads(json.dumps(meta)), {})
    fresh.restore({"epoch": 1, "batch": 0}, {})
    for resumed, expected in ((same, before), (other, fresh)):
        np.testing.assert_array_equal(resumed._next()[0][0]["source"], expected._next()[0][0]["source"])
    for trainer in trainers:
        trainer.close()


class Candidates:
    """A loop and a validator whose scores depend only on which snapshots are loaded."""

    def __init__(self, metric, best, average):
        self.scores = {(8,): best, (4, 8): average}
        self.config = SimpleNamespace(validation=ValidationConfig(metric=metric))
        self.progress = SimpleNamespace(snapshots={8: 0.0, 4: 0.0}, best_step=8)
        self.loaded = None

    def kept(self, which):
        return sorted(self.progress.snapshots)

    def load_average(self, steps):
        self.loaded = tuple(steps)

    def __call__(self):
        return self.scores[self.loaded]


def scores(bleu, loss):
    return {"bleu": bleu, "loss": loss}


@pytest.mark.parametrize(
    ("metric", "best", "average", "chosen"),
    [
        ("bleu", scores(20.0, 2.0), scores(21.0, 3.0), (4, 8)),
        ("bleu", scores(20.0, 2.0), scores(20.0, 1.0), (8,)),
        ("bleu", scores(20.0, 2.0), scores(19.0, 1.0), (8,)),
        ("loss", scores(20.0, 2.0), scores(19.0, 1.0), (4, 8)),
        ("loss", scores(20.0, 2.0), scores(21.0, 2.5), (8,)),
    ],
)
def test_the_average_is_released_only_if_it_validates_better(metric, best, average, chosen):
    candidates = Candidates(metric, best, average)
    assert _choose(candidates, candidates) == candidates.scores[chosen]
    assert candidates.loaded == chosen


def test_the_released_weights_are_the_mean_of_the_best_snapshots_or_the_best_one(tiny_run):
    snapshots = sorted((tiny_run.folder / "pretrain" / "snapshots").iterdir())[-2:]
    arrays = [dict(np.load(path)) for path in snapshots]
    released = set(weights(tiny_run.folder / "pretrain" / "model").values())
    mean = {n: (arrays[0][n] / 2 + arrays[1][n] / 2).astype("float32").tobytes() for n in arrays[0]}
    candidates = [{n: a.tobytes() for n, a in tree.items()} for tree in arrays] + [mean]
    assert any(set(candidate.values()) <= released for candidate in candidates)
