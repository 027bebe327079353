"""Where the batches of fine-tuning come from: sentences of the corpus, played by the current policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nmt_rl.config import BatchConfig, Config
from nmt_rl.corpus.batches import Batch, BatchStream, Position
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import EOS, PAD, Tokenizer
from nmt_rl.rl.divergence import Divergence
from nmt_rl.rl.prior import Prior
from nmt_rl.rl.reward import Reward
from nmt_rl.rl.term import Drawn, Term, below
from nmt_rl.training.learner import joined


class EpisodeBatches:
    """Draws sentences in a seeded order and has every term of the loss make its batch from them.

    Args:
        divergence: of the policy, which acts and is trained, from the prior.
        prior: the pretrained model, and tau.
        terms: of the loss.
        reward: what a translation is worth.
        corpus: encoded training pairs.
        tokenizer: of the target side.
        config: the experiment.
    """

    def __init__(
        self,
        divergence: Divergence,
        prior: Prior,
        terms: Sequence[Term],
        reward: Reward,
        corpus: EncodedCorpus,
        tokenizer: Tokenizer,
        config: Config,
    ) -> None:
        """See the class docstring."""
        self.settings, self.prior, self.terms = config.finetune, prior, list(terms)
        self.reward, self.corpus, self.tokenizer = reward, corpus, tokenizer
        self.seed = config.finetune_seed
        longest = min(self.settings.max_length, divergence.policy.max_length)
        # At random, not by length: a batch of short sentences moves the length of all translations its way.
        self.batch = BatchConfig(type="sentences", size=self.settings.sentences, max_length=longest, sort=False)
        self._divergence = divergence
        self._position = Position()
        self._measured = (0.0, 1.0)
        self._stream: Any = None

    def next(self, step: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """See BatchSource.next; numbers are means over the batches, but for the number of tokens."""
        made = [self._made(step) for _ in range(self.settings.optimizer.accumulate)]
        batches, told = [batch for batch, _ in made], [numbers for _, numbers in made]
        if len(batches) > 1:
            for term in self.terms:
                parts = [batch[term.name] for batch in batches]
                for batch, part in zip(batches, joined(parts, [term.size(part) for part in parts]), strict=True):
                    batch[term.name] = part
        numbers = {name: float(np.mean([each[name] for each in told if name in each])) for name in told[0]}
        numbers["tokens"] *= len(told)
        self._measured = (numbers.get("kl", 0.0), numbers.get("length_ratio", 1.0))
        return batches, numbers

    def _made(self, step: int) -> tuple[dict[str, Any], dict[str, float]]:
        """One batch, and its numbers."""
        rows = self._draw()
        texts = self.tokenizer.decode([self.corpus.target(int(i)) for i in rows.indices])
        # By batch, not by update: an update may accumulate several.
        rng = np.random.default_rng([self.seed, *self._position])
        drawn = Drawn(step, rows, self.reward.references(texts), self.prior.tau, rng)
        batch: dict[str, Any] = {}
        numbers: dict[str, float] = {}
        for term in self.terms:
            batch[term.name], more = term.batch(drawn)
            tokens = numbers.get("tokens", 0.0) + more.get("tokens", 0.0)
            numbers = {**more, **numbers, "tokens": tokens}
        return batch, numbers | self._policy_numbers(step, batch, numbers)

    def _draw(self) -> Batch:
        if self._stream is None:
            self._stream = iter(BatchStream(self.corpus, self.batch, self.seed + 1, self._position))
        rows, self._position = next(self._stream)
        real = rows.indices >= 0
        return Batch(rows.source[real], rows.target_in[real], rows.target_out[real], rows.indices[real])

    def _policy_numbers(self, step: int, batch: dict[str, Any], numbers: dict[str, float]) -> dict[str, float]:
        """KL to the prior and entropy along the batch's translations, when they are logged or steer tau."""
        every = self.settings.controller.every
        if step % self.settings.log_every and not (every and step % every == 0):
            return {}
        played = batch[self.terms[0].name]
        target_in = played["target_in"]
        # A state is real where its input is; what stands behind an EOS is padding of shorter translations.
        kl, entropy, pieces = self._divergence(played["source"], target_in, np.where(target_in == EOS, PAD, target_in))
        result = {"kl": kl / pieces, "entropy": entropy / pieces}
        return result | ({"tau": self.prior.tau} if every else {})

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See BatchSource.state."""
        arrays = self.prior.state()
        for term in self.terms:
            arrays |= {f"{term.name}/{name}": value for name, value in term.state().items()}
        return {"epoch": self._position.epoch, "batch": self._position.batch}, arrays

    def restore(self, meta: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """See BatchSource.restore."""
        self._position, self._stream = Position(**meta), None
        self.prior.restore(arrays)
        for term in self.terms:
            term.restore(below(arrays, f"{term.name}/"))

    def after_update(self, step: int) -> None:
        """See BatchSource.after_update."""
        self.prior.control(step, *self._measured)
        for term in self.terms:
            term.after_update(step)
        if self.prior.refresh(step, self._divergence.policy):
            for term in self.terms:
                term.prior_changed()

    def close(self) -> None:
        """Nothing runs in the background."""
