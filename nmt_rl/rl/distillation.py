"""Minimum Bayes risk decoding of the pretrained model, distilled into the policy (Finkelstein and Freitag, 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.corpus.batches import Batch
from nmt_rl.corpus.tokenizer import Tokenizer
from nmt_rl.decoding.mbr import expected_utilities
from nmt_rl.rl.actor import Numbers, SampleActor, Sentences, played_numbers
from nmt_rl.rl.episode import Episode, Origin, collate
from nmt_rl.rl.padding import corpus_sources, padded_length, shift_right
from nmt_rl.rl.references import ReferenceTerm


class MBRActor(SampleActor):
    """Samples translations and keeps of each source's the one that is most alike to all: its reward is highest if the
    others are the references.

    The model should be the frozen one. A policy that learns from its own choices makes them shorter and shorter.

    Args:
        tokenizer: of the target side; others: see SampleActor.
    """

    def __init__(self, *arguments: Any, tokenizer: Tokenizer, **options: Any) -> None:
        """See the class docstring."""
        super().__init__(*arguments, **options)
        self.tokenizer = tokenizer

    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """See Actor.play; `mbr_return` is the mean score of those kept, and the length ratio is theirs."""
        rows, played = self._drawn(sentences, version, rng)
        each = np.arange(len(sentences.references))
        texts = self.tokenizer.decode([ids[:length] for ids, length in zip(played.ids, played.lengths, strict=True)])
        groups = [texts[begin : begin + self.samples] for begin in each * self.samples]
        best = each * self.samples + np.argmax(expected_utilities(groups, self._utility), axis=1)
        kept = self._episodes(sentences, each, played.ids[best], played.log_probs[best], Origin.SAMPLE, 0)
        scores = self.reward.scores(texts, [sentences.references[row] for row in rows])
        return kept, {"sample_return": float(scores.mean()), **played_numbers(sentences, kept, each, "mbr_return")}

    def _utility(self, texts: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
        distinct = list(dict.fromkeys(others))
        references = dict(zip(distinct, self.reward.references(distinct), strict=True))
        return self.reward.scores(texts, [references[other] for other in others])


class DistillationTerm(ReferenceTerm):
    """Smoothed cross-entropy, with dropout, on what was kept, in place of the references; see ReferenceTerm."""

    name = "distillation"
    reported = "distillation"

    def _pairs(self, episodes: Sequence[Episode]) -> Batch:
        batch = collate(episodes, padded_length(max(len(e.tokens) for e in episodes), self._longest))
        source = corpus_sources(self.corpus, batch.source_id, self._longest)
        return Batch(source, shift_right(batch.tokens), batch.tokens, batch.source_id)
