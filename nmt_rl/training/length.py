"""Length set right without learning: the word reward and the length penalty that translate validation best."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt_rl.bundle import save_bundle
from nmt_rl.config import Config, DecodingConfig, ModelDescription
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.corpus.sources import target_language
from nmt_rl.decoding.engines import check_engine
from nmt_rl.decoding.export import write_ctranslate2
from nmt_rl.decoding.penalties import Normalization, length_penalty
from nmt_rl.decoding.request import AS_CONFIGURED
from nmt_rl.decoding.translator import Hypothesis, Translation, Translator
from nmt_rl.errors import RunError
from nmt_rl.evaluation.metrics import LABELS, corpus_scores
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.training.validation import float32_twin

logger = logging.getLogger("nmt_rl")

LINES = 1024
"""Of validation, at most, that both are chosen on."""
STEP, FARTHEST = 0.5, 3.0
"""Between word rewards that are tried, and of the last one from the first, nats."""
TIE = 0.05
"""BLEU that a value must gain to be better than one nearer to what was set: so much is noise."""
PENALTIES = tuple(round(0.1 * n, 1) for n in range(31))
"""Length penalties that are tried: 0 to 3."""

Measured = dict[str, float]
"""`bleu`, the metric of the task, and `length_ratio`."""


def tune_length(model: Seq2Seq, prepared: Prepared, config: Config) -> tuple[Config, dict[str, Any]]:
    """Choose `decoding.word_reward` by greedy translations, then `decoding.length_penalty` by n-best lists of the beam.

    Both by the metric of the task on the first `LINES` lines of validation; what the recipe sets itself is kept, see
    `DecodingConfig.tunable`.

    Args:
        model: finished, of any precision.
        prepared: validation pairs and tokenizers.
        config: of the model.

    Returns:
        The experiment with both, and what a stage's result says of it: `word_reward`, `length_penalty`, `lines`,
        `seconds`, and `greedy` and `beam`, each with the scores `untuned` and `tuned`. Empty if there is nothing to
        tune.
    """
    if not config.decoding.tunable:
        return config, {}
    began = time.monotonic()
    held_out = _HeldOut(model, prepared, config)
    reward, found = _choose_reward(held_out, config.decoding)
    chosen = config.decoding.model_copy(update={"word_reward": reward})
    if config.decoding.is_plain_beam:
        penalty, found["beam"] = _choose_penalty(held_out, config.decoding, chosen)
        chosen = chosen.model_copy(update={"length_penalty": penalty})
    for how, scores in found.items():
        settings = chosen.greedy() if how == "greedy" else chosen
        before, after = scores["untuned"][config.score], scores["tuned"][config.score]
        label = LABELS[config.score]
        logger.info("length tuned: %s, validation %s %.2f -> %.2f", settings.summary(), label, before, after)
    facts = {"word_reward": reward, "length_penalty": chosen.length_penalty, "lines": len(held_out.sources)}
    seconds = {"seconds": round(time.monotonic() - began, 1)}
    return config.model_copy(update={"decoding": chosen}), {**facts, **seconds, **found}


def tuned_as(config: Config, model: ModelDescription) -> Config:
    """The experiment with the word reward and the length penalty that were tuned for a model."""
    return config.model_copy(update={"decoding": config.decoding.tuned_as(model.decoding)})


class _HeldOut:
    """Translates lines of validation, by CTranslate2 where translating does, and scores them."""

    def __init__(self, model: Seq2Seq, prepared: Prepared, config: Config) -> None:
        """See the class docstring; arguments as in `tune_length`."""
        pairs = prepared.valid[:LINES]
        self.sources, self._references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self._model, self._tokenizers, self._config = float32_twin(model, config), prepared.tokenizers, config
        self.metric = config.score
        self._converts = check_engine([Path("model")], config, config.decoding, AS_CONFIGURED) is None

    def nbest(self, decoding: DecodingConfig) -> list[Translation]:
        """All hypotheses of every line."""
        return self._translator(decoding).translate(self.sources, nbest=decoding.beam, by_pieces=True)

    def _translator(self, decoding: DecodingConfig) -> Translator:
        if self._converts:
            try:
                with tempfile.TemporaryDirectory(prefix="nmt-rl-") as folder:
                    return self._converted(decoding, Path(folder))
            except (RunError, OSError):  # There is no room for it.
                self._converts = False
        return Translator.of_model(self._model, self._tokenizers, decoding)

    def _converted(self, decoding: DecodingConfig, folder: Path) -> Translator:
        save_bundle(folder / "model", self._config, self._tokenizers, self._model, {})
        (folder / "converted").mkdir()
        write_ctranslate2(folder / "model", "float32", folder / "converted", decoding.word_reward)
        return Translator.of_conversion(folder / "converted", self._config, self._tokenizers, decoding, AS_CONFIGURED)

    def measure(self, texts: Sequence[str]) -> Measured:
        """Scores of one translation per line."""
        corpus = self._config.corpus
        name, language = corpus.valid[0].label, target_language(corpus.valid[0], corpus)
        scores = corpus_scores(texts, self._references, test_set=name, metrics=[self.metric], target_language=language)
        return {**scores.values, "length_ratio": scores.length_ratio}


def _choose_reward(held_out: _HeldOut, decoding: DecodingConfig) -> tuple[float, dict[str, dict[str, Measured]]]:
    """The word reward, and what greedy translations score without it and with it."""
    measured: dict[float, Measured] = {}

    def score(reward: float) -> float:
        greedy = decoding.greedy().model_copy(update={"word_reward": reward})
        measured[reward] = held_out.measure([found.text for found in held_out.nbest(greedy)])
        return measured[reward][held_out.metric]

    start = decoding.word_reward
    scores = climb(score, start) if "word_reward" in decoding.tunable else {start: score(start)}
    chosen = best_value(scores, start)
    return chosen, {"greedy": {"untuned": measured[start], "tuned": measured[chosen]}}


def _choose_penalty(
    held_out: _HeldOut, decoding: DecodingConfig, rewarded: DecodingConfig
) -> tuple[float, dict[str, Measured]]:
    """The length penalty, and what the beam scores as it was and with both.

    Args:
        held_out: the model.
        decoding: as it was.
        rewarded: the same with the word reward that was chosen.
    """
    start, kind = decoding.length_penalty, decoding.length_normalization
    nbest = held_out.nbest(decoding)
    untuned = held_out.measure([found.text for found in nbest])
    if rewarded != decoding:
        nbest = held_out.nbest(rewarded)
    tried = {start, *PENALTIES} if "length_penalty" in decoding.tunable else {start}
    texts = {penalty: tuple(reranked(nbest, start, penalty, kind)) for penalty in sorted(tried)}
    measured = {text: held_out.measure(text) for text in set(texts.values())}
    chosen = best_value({penalty: measured[text][held_out.metric] for penalty, text in texts.items()}, start)
    return chosen, {"untuned": untuned, "tuned": measured[texts[chosen]]}


def climb(
    score: Callable[[float], float], start: float, step: float = STEP, farthest: float = FARTHEST
) -> dict[float, float]:
    """Scores of the values that were tried: upwards from `start` while they rise by more than a tie; else downwards.

    Args:
        score: of a value; larger is better.
        start: the first one.
        step: between two.
        farthest: the last one from the first.
    """
    scores = {start: score(start)}
    for direction in (step, -step):
        value, following = start, start + direction
        while abs(following - start) <= farthest:
            scores[following] = score(following)
            if scores[following] <= scores[value] + TIE:
                break
            value, following = following, following + direction
        if value != start:
            break
    return scores


def best_value(scores: Mapping[float, float], start: float) -> float:
    """The value with the largest score; of those that tie with it the one nearest to `start`, of two the better."""
    tied = [value for value in scores if scores[value] >= max(scores.values()) - TIE]
    return min(tied, key=lambda value: (round(abs(value - start), 6), -scores[value]))


def reranked(
    translations: Sequence[Translation], before: float, alpha: float, kind: Normalization = "average"
) -> list[str]:
    """The best hypotheses of n-best lists by another length penalty.

    What else is in a score, such as a coverage penalty, stays in it.

    Args:
        translations: with all their hypotheses.
        before: the length penalty of their scores.
        alpha: another one.
        kind: of both.
    """

    def score(hypothesis: Hypothesis) -> float:
        length = float(max(hypothesis.length, 1))  # Blank lines have none.
        rest = hypothesis.score - hypothesis.log_prob / length_penalty(length, before, kind)
        return float(hypothesis.log_prob / length_penalty(length, alpha, kind) + rest)

    return [max(translation.nbest, key=score).text for translation in translations]
