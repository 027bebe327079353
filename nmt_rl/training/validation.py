"""Validation: cross-entropy per piece, and metrics of greedy, detokenised text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nmt_rl.backend import compile_fn
from nmt_rl.config import Config, FinetuneConfig, PretrainConfig
from nmt_rl.corpus.batches import ordered_batches
from nmt_rl.corpus.prepared import Prepared
from nmt_rl.corpus.sources import target_language
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.decoding.translator import Translator
from nmt_rl.evaluation.metrics import Scores, corpus_scores
from nmt_rl.models.adapters import merged_weights
from nmt_rl.models.build import build_model, compute_type
from nmt_rl.models.seq2seq import Seq2Seq
from nmt_rl.training.losses import CrossEntropy, with_positions

Pair = tuple[str, str]

SENTENCES = 64
"""Sentences per batch of the validation loss."""
REHEARSED = 2
"""Sentences that are translated before the first update."""


class Validator:
    """Scores a model on held-out pairs.

    Args:
        model: its current weights are used at each call.
        tokenizers: of both sides.
        pairs: (source, reference) text.
        config: decoding limits, and the target languages of the validation sets.
        further: pairs of other sets, by their names, that are scored as well.
    """

    def __init__(
        self,
        model: Seq2Seq,
        tokenizers: Tokenizers,
        pairs: Sequence[Pair],
        config: Config,
        further: Mapping[str, Sequence[Pair]] | None = None,
    ) -> None:
        """See the class docstring."""
        self.signature = ""
        self.sources, self.references = [p[0] for p in pairs], [p[1] for p in pairs]
        self.languages = {spec.label: target_language(spec, config.corpus) for spec in config.corpus.valid}
        self.name = config.corpus.valid[0].label
        self.metrics, self._metric = config.metrics, config.score
        self.further = further or {}
        self._translator = Translator.of_model(model, tokenizers, config.decoding.greedy())
        longest = min(model.max_length, config.decoding.max_source_length)
        source = [ids[: longest - 1] for ids in tokenizers.source.encode(self.sources)]
        target = [ids[: longest - 1] for ids in tokenizers.target.encode(self.references)]
        batch = config.pretrain.batch.model_copy(update={"type": "sentences", "size": SENTENCES})
        self._batches = [with_positions(rows, batch) for rows in ordered_batches(source, target, batch)]
        objective = CrossEntropy(0.0)
        self._nll = compile_fn(lambda batch: objective(model, batch, False), model)

    def loss(self) -> float:
        """Cross-entropy in nats per reference piece, end symbol included."""
        results = [self._nll(batch) for batch in self._batches]
        tokens = np.array([float(r["tokens"]) for r in results])
        return float(np.dot([float(r["nll"]) for r in results], tokens) / tokens.sum())

    def translate(self) -> list[str]:
        """Greedy translations of the validation sources."""
        return [t.text for t in self._translator.translate(self.sources)]

    def scores(self, hypotheses: Sequence[str]) -> Scores:
        """sacreBLEU's scores of translations of the validation sources."""
        scores = self._scores(hypotheses, self.references, self.name)
        self.signature = scores.metrics[self._metric].signature
        return scores

    def _scores(self, hypotheses: Sequence[str], references: Sequence[str], name: str) -> Scores:
        language = self.languages.get(name, "")
        return corpus_scores(hypotheses, references, test_set=name, metrics=self.metrics, target_language=language)

    def further_scores(self) -> dict[str, float]:
        """`bleu/NAME`, `chrf/NAME` and other metrics of greedy translations of the other sets."""
        found: dict[str, float] = {}
        for name, pairs in self.further.items():
            hypotheses = [t.text for t in self._translator.translate([source for source, _ in pairs])]
            references = [reference for _, reference in pairs]
            found |= {
                f"{key}/{name}": value for key, value in self._scores(hypotheses, references, name).values.items()
            }
        return found

    def rehearse(self) -> None:
        """Do all that a validation does, on few sentences: what fails there fails before hours of training."""
        pairs = [pair for pair in zip(self.sources, self.references, strict=True) if pair[0].strip()][:REHEARSED]
        sources, references = ([pair[side] for pair in pairs or [("", "")]] for side in (0, 1))
        hypotheses = [t.text for t in self._translator.translate(sources)]
        self._scores(hypotheses, references, self.name)
        self._nll(self._batches[-1])

    def __call__(self) -> dict[str, float]:
        """`loss`, the metrics and `length_ratio` of the current weights, and `further_scores`."""
        scores = self.scores(self.translate())
        return {
            "loss": self.loss(),
            **scores.values,
            "length_ratio": scores.length_ratio,
            **self.further_scores(),
        }


def whole_validation(model: Seq2Seq, prepared: Prepared, config: Config) -> dict[str, float]:
    """What is told of a finished model: scores in float32 on all validation lines, as those of its folder are.

    Args:
        model: of any precision.
        prepared: validation pairs and tokenizers.
        config: of the model, and how it translates.
    """
    return Validator(float32_twin(model, config), prepared.tokenizers, prepared.valid, config, prepared.further)()


def float32_twin(model: Seq2Seq, config: Config) -> Seq2Seq:
    """A model of the same weights, an adapter's in them, that computes in float32, as one from its folder does."""
    twin = build_model(config.model, *model.embeddings.sizes, config.seed)
    twin.set_weights(merged_weights(model))
    return twin


def is_whole(settings: PretrainConfig | FinetuneConfig, prepared: Prepared) -> bool:
    """Whether the validations of a stage are what `whole_validation` finds."""
    exact = compute_type(settings.precision) == "float32"
    return exact and len(prepared.valid) <= (settings.validation.sentences or math.inf)
