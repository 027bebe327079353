"""CTranslate2 as a search: for a model that was converted for it, without Keras."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.decoding.export import vocabulary
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.corpus.tokenizer import Tokenizers

LEAST_PENALTY = 1e-6
"""As good as none; with 0 the engine would search on after `beam` hypotheses are finished."""
Found = list[tuple[list[int], float]]
"""Hypotheses of a source, pieces that end with EOS and log-probability, best first."""


class EngineSearcher:
    """Beam search by CTranslate2, as `Searcher` searches with early stopping.

    Args:
        path: a folder that `conversion` gave.
        max_length: most pieces of a source or a translation.
        tokenizers: of the model.
        settings: beam, length penalty, repetitions, shortest translation.
        banned: piece ids of phrases that no hypothesis may contain.
        threads: of the processor; None: the engine's own default.
        scores: give the model's own log-probabilities, at the cost of one more pass.

    Raises:
        UserError: if the engine cannot load the folder.
    """

    def __init__(
        self,
        path: Path,
        max_length: int,
        tokenizers: Tokenizers,
        settings: DecodingConfig,
        banned: Sequence[Sequence[int]] = (),
        threads: int | None = None,
        scores: bool = False,
    ) -> None:
        """See the class docstring."""
        import ctranslate2

        self._alpha = max(settings.length_penalty, LEAST_PENALTY)
        self.settings, self.max_length = settings, max_length
        self._pieces = [np.array(vocabulary(side)) for side in (tokenizers.source, tokenizers.target)]
        self._ids = {piece: number for number, piece in enumerate(self._pieces[1].tolist())}
        forbidden = [[PAD], [BOS], *(list(phrase) for phrase in banned if phrase)]
        self._banned = [self._pieces[1][phrase].tolist() for phrase in forbidden]
        # The engine shares the probability of what is forbidden out among the rest, and leaves out that of a prefix.
        restricted = scores or len(forbidden) > 2 or settings.no_repeat_ngram or settings.min_length
        self._has_own_scores = settings.repetition_penalty == 1
        self._rescores = bool(restricted) and self._has_own_scores
        try:
            self._translator = ctranslate2.Translator(
                os.fsencode(path), device="cpu", inter_threads=1, intra_threads=threads or 0
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{path} cannot be loaded: {' '.join(str(error).split())}") from error

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray, prefix: Prefix | None = None) -> Hypotheses:
        """See Search."""
        rows = [row[row != PAD].tolist() for row in source]
        given = [[] for _ in rows] if prefix is None else [row[:n].tolist() for row, n in zip(*prefix, strict=True)]
        limits = np.maximum(max_lengths, [len(pieces) + 1 for pieces in given]).tolist()
        found = self._search(rows, given, max(limits))
        # A batch has one limit: those that reached their own are searched for again, with it.
        late = [
            i for i, limit in enumerate(limits) if any(len(ids) >= limit or ids[-1:] != [EOS] for ids, _ in found[i])
        ]
        for limit, same in itertools.groupby(sorted(late, key=limits.__getitem__), key=limits.__getitem__):
            chosen = list(same)
            sources, prefixes, theirs = ([each[i] for i in chosen] for each in (rows, given, found))
            cut = self._ended(sources, prefixes, limit, theirs)
            for i, hypotheses in zip(chosen, cut, strict=True):
                found[i] = hypotheses
        if self._rescores or prefix is not None:
            found = self._rescored(rows, found)
        return self._ordered(found)

    def attention(self, source: list[list[int]], target: list[list[int]]) -> list[np.ndarray]:
        """The attention that is the model's alignment, float32 [target pieces or more, source pieces], of each pair.

        Args:
            source, target: piece ids of sentences and translations of them, without EOS.
        """
        rows = [self._named(0, [*ids, EOS]) for ids in source]
        given = [self._named(1, ids) for ids in target]
        most = max(map(len, given), default=0) + 1
        found = self._translator.translate_batch(
            rows, given, beam_size=1, max_input_length=0, max_decoding_length=most, return_attention=True
        )
        return [
            np.asarray(result.attention[0], "float32").reshape(-1, len(row))
            for result, row in zip(found, rows, strict=True)
        ]

    def _named(self, side: int, ids: Sequence[int]) -> list[str]:
        return self._pieces[side][list(ids)].tolist() if ids else []

    def _search(self, rows: list[list[int]], given: list[list[int]], limit: int, patience: int = 1) -> list[Found]:
        """Hypotheses of at most `limit` pieces; what has no EOS was not finished.

        The search ends when `patience` times as many are finished as the beam holds.
        """
        results = self._translator.translate_batch(
            [self._named(0, ids) for ids in rows],
            [self._named(1, ids) for ids in given] if any(given) else None,
            beam_size=self.settings.beam,
            num_hypotheses=patience * self.settings.beam,
            patience=patience,
            length_penalty=self._alpha,
            repetition_penalty=self.settings.repetition_penalty,
            no_repeat_ngram_size=self.settings.no_repeat_ngram,
            suppress_sequences=self._banned,
            disable_unk=True,
            return_scores=True,
            return_end_token=True,
            max_input_length=0,
            min_decoding_length=min(self.settings.min_length, limit),
            max_decoding_length=limit,
        )
        return [
            [
                ([self._ids[piece] for piece in pieces], score * max(len(pieces), 1) ** self._alpha)
                for pieces, score in zip(result.hypotheses, result.scores, strict=True)
            ]
            for result in results
        ]

    def _ended(self, rows: list[list[int]], given: list[list[int]], limit: int, longer: list[Found]) -> list[Found]:
        """Hypotheses of at most `limit` pieces, the last of which is EOS, whether the model would end there or not.

        Keras ends there all that it would go on with. The engine gives back what is finished, in twice the beam all of
        it, and the first of the rest; what it went on with beyond the limit is of the rest, too.

        Args:
            rows, given: sources, and what their translations begin with.
            limit: most pieces.
            longer: what was found with a larger limit.
        """
        nothing: list[Found] = [[([], 0.0)] for _ in rows]
        found = self._search(rows, given, limit - 1, patience=2) if limit > 1 else nothing
        if not self._has_own_scores:  # Those of beginnings are not known.
            longer = [[(ids, log_prob) for ids, log_prob in each if _is_whole(ids, limit)] for each in longer]
        both = [[*each, *others] for each, others in zip(found, longer, strict=True)]
        cut = [{tuple(_cut(ids, limit)): (ids, log_prob) for ids, log_prob in reversed(each)} for each in both]
        ended = [[(list(ids), 0.0) for ids in each] for each in cut]
        if self._has_own_scores:
            return self._rescored(rows, ended)
        ends = [[values[-1] for values in each] for each in self._log_probs(rows, ended)]
        return [
            [
                (list(ids), log_prob + (0 if _is_whole(before, limit) else end))
                for (ids, (before, log_prob)), end in zip(each.items(), of_each, strict=True)
            ]
            for each, of_each in zip(cut, ends, strict=True)
        ]

    def _rescored(self, rows: list[list[int]], found: list[Found]) -> list[Found]:
        return [
            [(ids, sum(values)) for (ids, _), values in zip(each, of_each, strict=True)]
            for each, of_each in zip(found, self._log_probs(rows, found), strict=True)
        ]

    def _log_probs(self, rows: list[list[int]], found: list[Found]) -> list[list[list[float]]]:
        """The model's own log-probability of each piece of each hypothesis."""
        source = [self._named(0, ids) for ids, each in zip(rows, found, strict=True) for _ in each]
        target = [self._named(1, ids[:-1]) for each in found for ids, _ in each]
        scored = iter(self._translator.score_batch(source, target, max_input_length=0))
        return [[next(scored).log_probs for _ in each] for each in found]

    def _ordered(self, found: list[Found]) -> Hypotheses:
        longest = max((len(ids) for each in found for ids, _ in each), default=1)
        ids = np.full((len(found), self.settings.beam, longest), PAD, "int32")
        log_probs = np.full(ids.shape[:2], -np.inf, "float32")
        scores = log_probs.copy()
        for row, each in enumerate(found):
            ranked = sorted(each, key=lambda hypothesis: -hypothesis[1] / len(hypothesis[0]) ** self._alpha)
            for n, (pieces, log_prob) in enumerate(ranked[: self.settings.beam]):
                ids[row, n, : len(pieces)] = pieces
                log_probs[row, n] = log_prob
                scores[row, n] = log_prob / len(pieces) ** self._alpha
        return Hypotheses(ids, (ids != PAD).sum(axis=-1).astype("int32"), log_probs, scores)


def _is_whole(ids: list[int], limit: int) -> bool:
    """Whether a hypothesis ends within a limit of its own accord."""
    return len(ids) <= limit and ids[-1:] == [EOS]


def _cut(ids: list[int], limit: int) -> list[int]:
    """A hypothesis with an end, the last of `limit` pieces at the latest."""
    return ids if _is_whole(ids, limit) else [*ids[: limit - 1], EOS]
