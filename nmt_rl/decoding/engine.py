"""CTranslate2 as a search: for a model that was exported to it, without Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt_rl.bundle import bundle_folder
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.decoding.export import FOLDER, require_ctranslate2, require_exportable, require_vocabulary, vocabulary
from nmt_rl.decoding.hypotheses import Hypotheses, Prefix
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig, LSTMConfig, TransformerConfig
    from nmt_rl.corpus.tokenizer import Tokenizers

LEAST_PENALTY = 1e-6
"""As good as none; with 0 the engine would search on after `beam` hypotheses are finished."""


class EngineSearcher:
    """Beam search by CTranslate2, as `Searcher` searches with early stopping.

    A batch has one limit, its largest; a hypothesis that reaches its row's own limit is cut there.

    Args:
        folder: a model folder that holds an export.
        architecture: of the model.
        tokenizers: of the model.
        settings: beam, length penalty, repetitions.
        banned: piece ids of phrases that no hypothesis may contain.

    Raises:
        UserError: if there is no export, or a setting that the engine does not have.
    """

    def __init__(
        self,
        folder: Path,
        architecture: TransformerConfig | LSTMConfig,
        tokenizers: Tokenizers,
        settings: DecodingConfig,
        banned: Sequence[Sequence[int]] = (),
    ) -> None:
        """See the class docstring."""
        require_ctranslate2()
        architecture = require_exportable(architecture, folder)
        import ctranslate2

        path = bundle_folder(folder) / FOLDER
        if not path.is_dir():
            raise UserError(f"{folder} holds no export for CTranslate2; nmt-rl export {folder} makes one")
        if settings.stopping != "early":
            raise UserError("CTranslate2 stops a search early only; give --stopping early, or --engine keras")
        if settings.coverage_penalty or settings.diverse_groups > 1:
            raise UserError("CTranslate2 has neither --coverage-penalty nor --diverse-groups; they need --engine keras")
        if settings.samples:
            raise UserError("CTranslate2 draws samples without a seed; sampling needs --engine keras")
        if settings.length_normalization != "average":
            raise UserError("CTranslate2 has --length-normalization average only; give it, or --engine keras")
        self._alpha = max(settings.length_penalty, LEAST_PENALTY)
        self.settings, self.max_length = settings, architecture.max_positions
        self._pieces = [np.array(vocabulary(side)) for side in (tokenizers.source, tokenizers.target)]
        self._ids = {piece: number for number, piece in enumerate(self._pieces[1].tolist())}
        forbidden = [[PAD], [BOS], *(list(phrase) for phrase in banned if phrase)]
        self._banned = [self._pieces[1][phrase].tolist() for phrase in forbidden]
        try:
            require_vocabulary(path, tokenizers)
        except UserError as error:
            raise UserError(f"{error}; nmt-rl export {folder} makes it anew") from error
        try:
            self._translator = ctranslate2.Translator(os.fsencode(path), device="cpu", inter_threads=1)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} cannot be loaded ({reason}); nmt-rl export {folder} makes it anew") from error

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray, prefix: Prefix | None = None) -> Hypotheses:
        """See Search; hypotheses are scored without their prefix, and so may be ranked otherwise than in Keras."""
        rows = [self._pieces[0][row[row != PAD]].tolist() for row in source]
        given = None
        if prefix is not None:
            given = [self._pieces[1][row[:n]].tolist() for row, n in zip(*prefix, strict=True)]
            max_lengths = np.maximum(max_lengths, prefix.lengths + 1)
        found = self._translator.translate_batch(
            rows,
            given,
            beam_size=self.settings.beam,
            num_hypotheses=self.settings.beam,
            length_penalty=self._alpha,
            repetition_penalty=self.settings.repetition_penalty,
            no_repeat_ngram_size=self.settings.no_repeat_ngram,
            suppress_sequences=self._banned,
            disable_unk=True,
            return_scores=True,
            return_end_token=True,
            max_input_length=0,
            min_decoding_length=0,
            max_decoding_length=int(max_lengths.max()),
        )
        return self._hypotheses(found, max_lengths)

    def _hypotheses(self, found: list[Any], max_lengths: np.ndarray) -> Hypotheses:
        beam = self.settings.beam
        ids = np.full((len(found), beam, int(max_lengths.max())), PAD, "int32")
        scores = np.full((len(found), beam), -np.inf, "float32")
        for row, (result, limit) in enumerate(zip(found, max_lengths, strict=True)):
            for n, pieces in enumerate(result.hypotheses):
                kept = [self._ids[piece] for piece in pieces][:limit]
                ids[row, n, : len(kept)] = kept if kept[-1:] == [EOS] else [*kept[:-1], EOS]
            scores[row, : len(result.scores)] = result.scores
        lengths = (ids != PAD).sum(axis=-1).astype("int32")
        log_probs = scores * np.maximum(lengths, 1).astype("float32") ** self._alpha
        return Hypotheses(ids[:, :, : max(int(lengths.max(initial=0)), 1)], lengths, log_probs, scores)
