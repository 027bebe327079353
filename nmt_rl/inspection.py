"""Looking into a model while it translates: attention, memories, neighbours, Q-values, alternatives."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.bundle import load_bundle, training_sections
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.characters import plain
from nmt_rl.corpus.tokenizer import BOS, EOS
from nmt_rl.decoding.marks import Marks
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.sources import encode_sources
from nmt_rl.decoding.translator import Translator, override
from nmt_rl.evaluation.insights import Alternative, HeatMap, Insights, Neighbour, Sentence, Step
from nmt_rl.models.neighbours import FAR
from nmt_rl.models.retrieval import Retrieval
from nmt_rl.models.word_reward import rewarded
from nmt_rl.retrieval.memory import Memory, load_remembering
from nmt_rl.rl.rescaling import unscaled
from nmt_rl.rl.targets import log_ratio, q_values

if TYPE_CHECKING:
    from nmt_rl.models.insight import Insight, Weighting
    from nmt_rl.models.seq2seq import Seq2Seq

log = logging.getLogger("nmt_rl")
Floats = NDArray[Any]
BEST = 5
"""Alternatives that are shown of every piece."""


@dataclass(frozen=True)
class Values:
    """What actions are worth, by what a model was taught."""

    q: Floats
    """Of every piece, [time, vocab]."""
    advantage: Floats
    """[time, vocab]"""
    value: Floats | None
    """Of the states, [time]; None: there is none after training, and `q` is without it."""


class Inspector:
    """Looks into a model.

    Args:
        folder: its bundle.
        memory: of pairs that it remembers.
        prior: the bundle it was fine-tuned from, beside which a policy is an advantage.
        overrides: of its decoding settings.
        tag: what every source begins with.
        all_heads: keep the attention of all heads of all layers.
    """

    def __init__(
        self,
        folder: Path,
        memory: Path | None = None,
        prior: Path | None = None,
        overrides: dict[str, Any] | None = None,
        tag: str = "",
        all_heads: bool = False,
    ) -> None:
        """See the class docstring; raises UserError for what is damaged."""
        bundle = load_bundle(folder) if memory is None else load_remembering(folder, memory)
        self.folder, self.config, self.tokenizers, self.all_heads = folder, bundle.config, bundle.tokenizers, all_heads
        self.settings, marks = override(bundle.config.decoding, overrides or {}), Marks(tag)
        self.request = Request(tag=tag, memory=memory)
        model: Seq2Seq = bundle.model
        looked_up = memory is not None and isinstance(model, Retrieval)  # Not read by a layer of the model's own.
        self.memory = Memory.open(memory) if memory is not None and looked_up else None
        self.plain: Seq2Seq = model.base if isinstance(model, Retrieval) else model
        language = bundle.config.corpus.target_language
        self.translator = Translator.of_model(model, self.tokenizers, self.settings, language=language, marks=marks)
        self.model = rewarded(model, self.settings.word_reward)
        self.prior = None if prior is None else load_bundle(prior).model
        finetune = training_sections(folder).get("finetune", {}) if bundle.card.get("stage") == "finetune" else {}
        method = finetune.get("method")
        self.method: dict[str, Any] = method if isinstance(method, dict) else {}

    def inspect(self, lines: Iterable[tuple[int, str, str | None]]) -> Insights:
        """What a page shows of lines: number, source, and a translation that is given, or None."""
        sentences, given = [], False
        for number, source, target in lines:
            given = target is not None
            sentences.append(self.sentence(number, source, target))
        corpus = self.config.corpus
        how = "given" if given else self.request.summary(self.settings)
        languages = (corpus.source_language, corpus.target_language)
        return Insights(self.config.name, languages, how, self._what_values_are(), tuple(sentences))

    def sentence(self, line: int, source: str, target: str | None = None) -> Sentence:
        """A line's translation, or a given one, as the model sees it."""
        text, ids = self._written(source, target, line)
        limit = min(self.settings.max_source_length, self.plain.max_length - 1)
        marks, before = self.translator.marks, self.translator.surface.before([source])
        given = pad_source(encode_sources(self.tokenizers.source, before, limit, marks=marks))
        pieces = [*ids, EOS]
        target_in = np.array([[BOS, *ids]], "int32")
        seen = self.model.inspect(given, target_in)
        axes = {
            "source": tuple(self.tokenizers.source.pieces(given[0])),
            "target": tuple(self.tokenizers.target.pieces(pieces)),
            "fed": tuple(self.tokenizers.target.pieces(target_in[0])),
        }
        steps = self._steps(seen, self._values(seen, given, target_in), pieces)
        kinds = {kind: [w for w in seen.weightings if w.kind == kind] for kind in ("attention", "memory")}
        return Sentence(
            line,
            source,
            text,
            steps,
            _attention(seen, axes),
            tuple(_heat_map(w, axes) for w in kinds["attention"]) if self.all_heads else (),
            tuple(_heat_map(w, axes) for w in kinds["memory"]),
            self._pairs(steps),
        )

    def _written(self, source: str, target: str | None, line: int) -> tuple[str, list[int]]:
        """A translation and its piece ids, without EOS."""
        if target is None:
            found = self.translator.translate([source], numbers=[line])[0]
            return found.text, self.tokenizers.target.ids_of(found.nbest[0].pieces)
        ids, limit = self.tokenizers.target.encode([plain(target)])[0], self.plain.max_length - 1
        if len(ids) > limit:
            log.warning("translation %d has %d pieces; only the first %d are looked at", line, len(ids), limit)
        return target, ids[:limit]

    def _values(self, seen: Insight, source: NDArray[np.int32], target_in: NDArray[np.int32]) -> Values | None:
        """What the method of fine-tuning says an action is worth; see docs/methods.md."""
        if seen.q is not None:
            q, value = _numpy(seen.q.q)[0], _numpy(seen.q.value)[0]
            if self._q().get("rescale"):
                q, value = _numpy(unscaled(q)), _numpy(unscaled(value))
            return Values(q, q - value[:, None], value)
        if self.prior is not None:
            both = (ops.log_softmax(m.inspect(source, target_in).logits) for m in (self.plain, self.prior))
            kappa = log_ratio(*(_numpy(x)[0] for x in both))
            advantage = q_values(0.0, kappa, self.method.get("tau", 1.0))
            return Values(advantage, advantage, None)
        if self._q().get("type") != "logits":
            return None
        q = _numpy(self.plain.inspect(source, target_in).logits)[0]
        value = q.max(axis=-1)
        return Values(q, q - value[:, None], value)

    def _q(self) -> dict[str, Any]:
        q = self.method.get("q")
        return q if isinstance(q, dict) else {}

    def _what_values_are(self) -> str:
        if self.config.model.q_heads is not None:
            return "Q and advantage A = Q - V of the model's Q heads, in BLEU of [0, 1]."
        if self.prior is None:
            logits = "Q are the logits themselves, which are no returns; A = Q - max Q."
            return logits if self._q().get("type") == "logits" else ""
        if "tau" not in self.method:
            return "A is log p / p₀ in nats, p₀ of the prior: the model's method has no tau that would make BLEU of it."
        tau = f"tau {self.method['tau']:g}"
        return f"A = tau log p / p₀ with p₀ of the prior and {tau}, in BLEU of [0, 1]: Q less a V that is not kept."

    def _steps(self, seen: Insight, values: Values | None, pieces: list[int]) -> tuple[Step, ...]:
        probabilities = _numpy(ops.softmax(seen.logits))[0]
        order = np.argsort(-probabilities, axis=-1, kind="stable")[:, :BEST]
        names = self.tokenizers.target.pieces(range(probabilities.shape[-1]))

        def alternative(time: int, piece: int) -> Alternative:
            probability = float(probabilities[time, piece])
            if values is None:
                return Alternative(names[piece], probability)
            q = float(values.q[time, piece]) if values.value is not None else None
            return Alternative(names[piece], probability, q, float(values.advantage[time, piece]))

        steps = []
        for time, piece in enumerate(pieces):
            best = tuple(alternative(time, int(other)) for other in order[time])
            value = None if values is None or values.value is None else float(values.value[time])
            steps.append(Step(alternative(time, piece), best, value, _neighbours(seen, time, names)))
        return tuple(steps)

    def _pairs(self, steps: tuple[Step, ...]) -> tuple[tuple[int, str, str], ...]:
        """The pairs that neighbours are of, by falling share."""
        shares: dict[int, float] = {}
        for step in steps:
            for near in step.neighbours:
                shares[near.pair] = shares.get(near.pair, 0.0) + near.share
        if self.memory is None:
            return ()
        numbers, pairs = sorted(shares, key=lambda pair: -shares[pair]), self.memory.pairs
        sources = self.tokenizers.source.decode([pairs.source(n) for n in numbers])
        targets = self.tokenizers.target.decode([pairs.target(n) for n in numbers])
        return tuple(zip(numbers, sources, targets, strict=True))


def _attention(seen: Insight, axes: dict[str, tuple[str, ...]]) -> HeatMap | None:
    if seen.attention is None:
        return None
    return HeatMap("attention on the source", _numpy(seen.attention), axes["target"], axes["source"])


def _heat_map(weighting: Weighting, axes: dict[str, tuple[str, ...]]) -> HeatMap:
    """With the names of its rows and columns; what is looked at of the target are the pieces that were fed."""
    values, columns = _numpy(weighting.values)[0], weighting.columns
    rows = {**axes, "time": axes["source"] + axes["target"]}[weighting.rows]
    if columns == "slots":
        columns = tuple(map(str, range(values.shape[-1])))
    elif isinstance(columns, str):
        columns = axes["fed" if columns == "target" else columns]
    return HeatMap(weighting.name, values, rows, columns, len(axes["source"]) if weighting.rows == "time" else 0)


def _neighbours(seen: Insight, time: int, names: list[str]) -> tuple[Neighbour, ...]:
    if seen.neighbours is None:
        return ()
    distances, pieces, pairs, weights, share = (_numpy(x)[0, time] for x in seen.neighbours)
    return tuple(
        Neighbour(int(pairs[n]), names[pieces[n]], float(distances[n]), float(share * weights[n]))
        for n in range(len(distances))
        if distances[n] < FAR / 2
    )


def _numpy(values: Any) -> Floats:
    return np.asarray(ops.convert_to_numpy(values))
