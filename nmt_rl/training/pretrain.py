"""The first stage: cross-entropy on parallel text."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmt_rl.backend import batch_parts, device_count, to_device, use_devices
from nmt_rl.bundle import save_bundle
from nmt_rl.bundle.start import start_from
from nmt_rl.config import Config
from nmt_rl.corpus.batch_stream import BatchStream, Position, subword_sampler
from nmt_rl.corpus.batches import Batch, divided, with_rows
from nmt_rl.corpus.prefetch import Prefetcher
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD, Tokenizers
from nmt_rl.models.adapters import adapt
from nmt_rl.models.build import build_model, compute_type
from nmt_rl.results import finished, write_result
from nmt_rl.training.adapting import keep_adapter
from nmt_rl.training.card import model_card
from nmt_rl.training.events import EventLog
from nmt_rl.training.keeping import keeping
from nmt_rl.training.learner import Learner, joined
from nmt_rl.training.length import tune_length
from nmt_rl.training.loop import TrainingLoop
from nmt_rl.training.losses import CrossEntropy, with_positions
from nmt_rl.training.validation import Validator, is_whole, whole_validation

logger = logging.getLogger("nmt_rl")


class CorpusTrainer:
    """Learns from batches of the encoded corpus in a seeded order, made by a background thread; position and order
    survive a kill.

    Args:
        learner: of cross-entropy.
        corpus: encoded pairs.
        config: the experiment.
        tokenizers: for subword sampling.
        room: pieces that the model has room for on either side; longer pairs are left out.
    """

    def __init__(
        self, learner: Learner, corpus: EncodedCorpus, config: Config, tokenizers: Tokenizers, room: int
    ) -> None:
        """See the class docstring."""
        self.learner = learner
        batch, tokenizer = config.pretrain.batch, config.tokenizer
        batch = batch.model_copy(update={"max_length": min(batch.max_length, room)})
        resample = subword_sampler(tokenizers, tokenizer, batch.max_length) if tokenizer.sampling else None
        self._batch, self._accumulate = batch, config.pretrain.optimizer.accumulate
        self._plan = {"batch": batch.model_dump(mode="json"), "draws": corpus.mixture.draws}
        self._stream_from = lambda position: BatchStream(corpus, batch, config.seed, position, resample)
        self._position = Position()
        self._ahead: Prefetcher[tuple[list[tuple[dict[str, Any], float]], Position]] | None = None

    def update(self, step: int, learning_rate: float) -> dict[str, float]:
        """See Trainer.update."""
        batches, tokens = self._next()
        numbers = self.learner.update(batches, learning_rate)
        return {"epoch": float(self._position.epoch), **numbers, "tokens": tokens}

    def _next(self) -> tuple[list[dict[str, Any]], float]:
        """The batches that make up the next update, and their target tokens."""
        if self._ahead is None:
            stream = self._stream_from(self._position)
            if stream.left_out:
                text = "%d of %d training pairs are longer than the model's %d positions and left out"
                logger.warning(text, stream.left_out, len(stream.corpus), stream.config.max_length)
            self._ahead = Prefetcher(self._on_device(rows, after) for rows, after in stream)
        batches, sizes = [], []
        for _ in range(self._accumulate):
            parts, self._position = next(self._ahead)
            for batch, size in parts:
                batches.append(batch)
                sizes.append(size)
        return joined(batches, sizes), sum(sizes)

    def _on_device(self, rows: Batch, after: Position) -> tuple[list[tuple[dict[str, Any], float]], Position]:
        """A batch on its way to the devices, in parts with their numbers of target tokens; where the next one is."""
        parts = divided(with_rows(rows, device_count()), batch_parts())
        batches = [with_positions(part, self._batch) for part in parts]
        return [(to_device(batch), float(np.count_nonzero(batch["labels"] != PAD))) for batch in batches], after

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See Trainer.state."""
        position = {"epoch": self._position.epoch, "batch": self._position.batch}
        return {**position, "plan": self._plan}, {}

    def restore(self, meta: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """See Trainer.restore. Batches of other sizes, or another mixture, begin with the next epoch."""
        self.close()
        self._position = Position(meta["epoch"], meta["batch"])
        if meta.get("plan") not in (None, self._plan, self._plan["batch"]):  # That of 0.2.0 was of batches alone.
            self._position = Position(meta["epoch"] + 1, 0)
            logger.info("batches or weights have changed: training goes on with epoch %d", self._position.epoch)

    def close(self) -> None:
        """See Trainer.close."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


def pretrain(config: Config, prepared: Prepared, run: Path) -> dict[str, Any]:
    """Train the model of `config` to its end and write RUN/pretrain/model; a finished stage is not run again.

    Returns:
        The stage's result: validation scores of the released weights with the model's own word reward, updates,
        seconds, and what `tune_length` tells.

    Raises:
        RunError: if the loss becomes NaN or the disk is full.
    """
    stage, settings = run / "pretrain", config.pretrain
    if (result := finished(stage, settings)) is not None:
        return result
    tokenizers, devices = prepared.tokenizers, use_devices(settings.devices)
    sizes = (tokenizers.source.size, tokenizers.target.size)
    model = build_model(config.model, *sizes, config.seed, config.pretrain.precision)
    start = None if settings.start is None else start_from(model, settings.start)
    adapt(model, settings.adapt, config.seed)
    size, products = f"{model.count_params():,}", compute_type(settings.precision)
    text = "pretrain: %s with %s parameters, products in %s, on %d device%s"
    logger.info(text, config.model.type, size, products, devices, "s" * (devices > 1))
    guidance = settings.guided_alignment.weight if settings.guided_alignment is not None else 0.0
    objective = CrossEntropy(settings.label_smoothing, settings.batch.type == "packed", guidance)
    objective, beside = keeping(config, model, tokenizers, objective)
    learner = Learner(model, objective, settings.optimizer, settings.precision, beside)
    pairs = prepared.valid[: settings.validation.sentences]
    validator = Validator(model, tokenizers, pairs, config, prepared.further)
    trainer = CorpusTrainer(learner, prepared.train, config, tokenizers, model.max_length)
    events = EventLog(run)
    loop = TrainingLoop("pretrain", settings, trainer, validator, run, events)
    loop.open()
    if not loop.progress.step and start is None:
        validator.rehearse()
    elif not loop.progress.step:  # It stays if nothing is better.
        loop.progress.due = True
    progress = loop.run()
    scores = _choose(loop, validator)
    untuned, (config, length) = config.decoding, tune_length(model, prepared, config)
    if not is_whole(settings, prepared) or config.decoding.word_reward != untuned.word_reward:
        scores = whole_validation(model, prepared, config)
    result = progress.told()
    result |= {"valid": scores, "lines": len(prepared.valid), "best_step": progress.best_step, "length": length}
    with loop.explained():
        events.write("pretrain", "end", progress.step, **scores)
        events.close()
        if start is not None:
            model = keep_adapter(stage, model, config, settings.adapt, start, result)
        card = model_card(config, prepared, "pretrain", model.count_params(), validator.signature, result)
        save_bundle(stage / "model", config, tokenizers, model, card | ({} if start is None else {"start": start}))
        write_result(stage, settings, result)
    return result


def _choose(loop: TrainingLoop, validator: Validator) -> dict[str, float]:
    """Load the best snapshot, or the average of the best ones if that validates better; return its scores."""
    metric, steps = loop.config.validation.metric, loop.kept("best")
    loop.load_average([loop.progress.best_step])
    best = validator()
    if len(steps) < 2:
        return best
    loop.load_average(steps)
    average = validator()
    better = average["loss"] < best["loss"] if metric == "loss" else average[metric] > best[metric]
    logger.info(
        "average of updates %s: %s %.4g, loss %.4f; best single update %d: %s %.4g, loss %.4f",
        steps,
        metric,
        average[metric],
        average["loss"],
        loop.progress.best_step,
        metric,
        best[metric],
        best["loss"],
    )
    if not better:
        loop.load_average([loop.progress.best_step])
    return average if better else best
