"""Where the Q-network's batches come from: sentences of the corpus, played by the current policy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.backend import compile_fn
from nmt_rl.config import BatchConfig, Config
from nmt_rl.corpus.batches import Batch, BatchStream, Position
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.rl.objective import logit_difference
from nmt_rl.rl.reward import prepare_references
from nmt_rl.rl.rollouts import ForkRollout, Forks, padded_length, shift_right
from nmt_rl.rl.trajectories import Trajectories
from nmt_rl.training.losses import with_positions


class EpisodeBatches:
    """Draws sentences in a seeded order, plays them, and computes everything the objective needs.

    Args:
        model: the policy that acts, being trained.
        prior: the frozen pretrained model.
        corpus: encoded training pairs.
        tokenizers: of both sides.
        config: the experiment.
        trajectories: part B, if the objective has it.
    """

    def __init__(
        self,
        model: Seq2Seq,
        prior: Seq2Seq,
        corpus: EncodedCorpus,
        tokenizers: Tokenizers,
        config: Config,
        trajectories: Trajectories | None = None,
    ) -> None:
        """See the class docstring."""
        settings = config.finetune
        self.corpus, self.tokenizers, self.config, self.trajectories = corpus, tokenizers, config, trajectories
        self._longest = model.max_length
        longest = min(settings.max_length, self._longest)
        self.batch = BatchConfig(type="sentences", size=settings.sentences, max_length=longest)
        self._position = Position()
        self._stream: Any = None
        self._rollout = ForkRollout(
            model, tokenizers.target, config.decoding, settings.fork.per_source, settings.fork.probability
        )
        self._prior_difference = compile_fn(partial(logit_difference, prior), prior)

    def next(self, step: int) -> tuple[dict[str, Any], dict[str, float]]:
        """See BatchSource.next."""
        if self._stream is None:
            self._stream = iter(BatchStream(self.corpus, self.batch, self.config.seed + 1, self._position))
        rows, self._position = next(self._stream)
        real = rows.indices >= 0
        rows = Batch(rows.source[real], rows.target_in[real], rows.target_out[real], rows.indices[real])
        references = prepare_references(
            self.tokenizers.target.decode([self.corpus.target(int(i)) for i in rows.indices])
        )
        # By batch, not by update: an update may accumulate several.
        rng = np.random.default_rng([self.config.seed, *self._position])
        batch: dict[str, Any] = {}
        numbers: dict[str, float] = {}
        if self.config.finetune.objective != "trajectory":
            greedy, scores, forks = self._rollout.play(rows.source, references, rng)
            batch["fork"] = self._fork_batch(rows.source, greedy.ids, forks)
            numbers |= fork_numbers(scores, forks) | {"tokens": float(greedy.lengths.sum())}
        if self.trajectories is not None:
            batch["trajectory"], more = self.trajectories.batch(rows.indices, rows.source, references, step, rng)
            numbers = {"tokens": float(batch["trajectory"]["weights"].sum()), **numbers, **more}
        if self.config.finetune.cross_entropy:
            batch["reference"] = with_positions(rows, self.batch)
        return batch, numbers

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See BatchSource.state."""
        meta = {"epoch": self._position.epoch, "batch": self._position.batch}
        return meta, self.trajectories.state() if self.trajectories is not None else {}

    def restore(self, meta: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """See BatchSource.restore."""
        self._position, self._stream = Position(**meta), None
        if self.trajectories is not None:
            self.trajectories.restore(arrays)

    def after_update(self, step: int) -> None:
        """See BatchSource.after_update."""
        if self.trajectories is not None:
            self.trajectories.after_update(step)

    def close(self) -> None:
        """Nothing runs in the background."""

    def _fork_batch(self, source: NDArray[np.int32], ids: NDArray[np.int32], forks: Forks) -> dict[str, np.ndarray]:
        """Pad the forks to their largest number, so that shapes stay few; padding weighs nothing."""
        ids = np.pad(ids, ((0, 0), (0, padded_length(ids.shape[1], self._longest) - ids.shape[1])))
        room = len(source) * self.config.finetune.fork.per_source
        size = len(forks.row)
        positions, actions = np.zeros(room, np.int32), np.zeros((room, 2), np.int32)
        positions[:size] = forks.row * ids.shape[1] + forks.time
        actions[:size] = forks.actions
        values, weights = np.zeros(room, np.float32), np.zeros(room, np.float32)
        values[:size] = forks.values[:, 0] - forks.values[:, 1]
        weights[:size] = 1.0
        target_in = shift_right(ids)
        prior_difference = np.asarray(self._prior_difference(source, target_in, positions, actions))
        return {
            "source": source,
            "target_in": target_in,
            "positions": positions,
            "actions": actions,
            "prior_difference": prior_difference,
            "value_difference": values,
            "weights": weights,
        }


def fork_numbers(scores: NDArray[np.float64], forks: Forks) -> dict[str, float]:
    """What the diary says of a batch of forks: the greedy policy's return, and how forks compare with it."""
    gains = forks.values[:, 1] - forks.values[:, 0]
    return {
        "return": float(scores.mean()),
        "forks": float(len(gains)),
        "fork_better": float((gains > 0).mean()) if len(gains) else 0.0,
        "fork_gap": float(np.abs(gains).mean()) if len(gains) else 0.0,
    }
