"""Objectives that keep what a model knew while it learns new text."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import compile_accumulation, to_device
from nmt_rl.config import BatchConfig, Config, DistillConfig, EWCConfig, NothingConfig, OptimizerConfig
from nmt_rl.corpus.batches import ordered_batches
from nmt_rl.corpus.sources import read_pairs
from nmt_rl.corpus.tokenizer import PAD, Tokenizers
from nmt_rl.errors import UserError
from nmt_rl.models.build import build_model
from nmt_rl.models.seq2seq import DecoderStates, Seq2Seq, Tensor
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy, with_positions


def keeping(
    config: Config, model: Seq2Seq, tokenizers: Tokenizers, objective: CrossEntropy
) -> tuple[CrossEntropy, keras.Layer | None]:
    """The objective of pretraining that keeps what the settings say, and what it reads beside the model.

    Args:
        config: the experiment.
        model: with the weights that it starts from, adapted.
        tokenizers: of both sides.
        objective: without keeping.

    Raises:
        UserError: if there is no old text.
    """
    settings = config.pretrain.keep
    if isinstance(settings, NothingConfig):
        return objective, None
    if isinstance(settings, DistillConfig):
        teacher = build_model(config.model, *model.embeddings.sizes, config.seed, config.pretrain.precision)
        base = {variable.path: variable for variable in model.variables}
        for variable in teacher.weights:
            variable.assign(base[variable.path])
        teacher.trainable = False
        return Distilled(objective, teacher, settings.weight), teacher
    anchor = Anchor(model, fisher_information(model, _old_batches(config, settings, tokenizers, model)))
    return Elastic(objective, anchor, settings.weight), anchor


class Keeping(CrossEntropy):
    """Cross-entropy of new text, and what leaving the old model costs.

    Args:
        objective: its cross-entropy.
        weight: of that cost.
    """

    def __init__(self, objective: CrossEntropy, weight: float) -> None:
        """See the class docstring."""
        super().__init__(objective.smoothing, objective.packed, objective.guidance)
        self.weight = weight

    @abstractmethod
    def cost(self, model: Seq2Seq, output: DecoderStates, batch: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """In nats per token, [], of the decoder's states [tokens, width]."""

    def __call__(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """As CrossEntropy; `kept` is the cost."""
        output = self.states(model, batch, training)
        found = self.of_states(model, output, batch, training)
        if not training:
            return found
        kept = self.cost(model, output, batch, found["tokens"]) * batch.get("share", 1.0)
        return {**found, "loss": found["loss"] + self.weight * kept, "kept": kept}


class Distilled(Keeping):
    """Cross-entropy, and KL(old || new) of the distributions before each label (Li and Hoiem, 2016).

    Args:
        objective: its cross-entropy.
        teacher: the old model.
        weight: of the divergence.
    """

    def __init__(self, objective: CrossEntropy, teacher: Seq2Seq, weight: float) -> None:
        """See the class docstring."""
        super().__init__(objective, weight)
        self.teacher = teacher

    def cost(self, model: Seq2Seq, output: DecoderStates, batch: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """See Keeping.cost: the divergence."""
        taught = self.teacher.project(self.states(self.teacher, batch, False).states)
        old = ops.stop_gradient(ops.log_softmax(taught, axis=-1))
        new = ops.log_softmax(model.project(output.states), axis=-1)
        weights = ops.cast(ops.not_equal(batch["labels"], PAD), "float32")
        divergence = ops.sum(ops.exp(old) * (old - new), axis=-1)
        return ops.sum(divergence * weights) / tokens


class Anchor(keras.Layer):
    """Weights as they were, and how much each is needed.

    Args:
        model: whose trainable weights are held.
        needs: F of each of them, at least 0.
    """

    def __init__(self, model: Seq2Seq, needs: Sequence[NDArray[np.floating]]) -> None:
        """See the class docstring."""
        super().__init__(name="anchor", dtype="float32", trainable=False)
        self.places: list[keras.Variable] = []
        self.needs: list[keras.Variable] = []
        for number, (variable, need) in enumerate(zip(model.trainable_variables, needs, strict=True)):
            for kind, values, kept in (("place", np.asarray(variable.value), self.places), ("need", need, self.needs)):
                made = self.add_weight(shape=values.shape, trainable=False, name=f"{kind}_{number}")
                made.assign(values)
                kept.append(made)
        self.built = True

    def penalty(self, variables: Sequence[Tensor]) -> Tensor:
        """1/2 sum_i F_i (w_i - w*_i)^2 (Kirkpatrick et al., 2017, equation 3)."""
        each = zip(variables, self.places, self.needs, strict=True)
        return 0.5 * sum(ops.sum(need * ops.square(variable - place)) for variable, place, need in each)


class Elastic(Keeping):
    """Cross-entropy, and the penalty of an anchor.

    Args:
        objective: its cross-entropy.
        anchor: of the model.
        weight: of the penalty.
    """

    def __init__(self, objective: CrossEntropy, anchor: Anchor, weight: float) -> None:
        """See the class docstring."""
        super().__init__(objective, weight)
        self.anchor = anchor

    def cost(self, model: Seq2Seq, output: DecoderStates, batch: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """See Keeping.cost: the penalty."""
        return self.anchor.penalty(model.trainable_variables)


def fisher_information(model: Seq2Seq, batches: Iterable[dict[str, Any]]) -> list[NDArray[np.float32]]:
    """F of each trainable weight: the sum of squared gradients of log p(sentence), per token; one sentence a batch.

    The diagonal of the empirical Fisher information, so that its penalty is in nats per token of that text.
    """
    plain = CrossEntropy(0.0)
    learner = Learner(model, lambda model, batch, training: plain(model, batch, False), OptimizerConfig())
    gradients, _ = compile_accumulation(learner)
    sums, tokens = [np.zeros(v.shape, np.float64) for v in model.trainable_variables], 0.0
    for batch in batches:
        (outputs,), found = gradients([to_device(batch)])
        count = float(outputs["tokens"])
        tokens += count
        for total, gradient in zip(sums, found, strict=True):
            total += np.square(np.asarray(gradient, np.float64) * count)
    return [(total / max(tokens, 1.0)).astype("float32") for total in sums]


def _old_batches(
    config: Config, settings: EWCConfig, tokenizers: Tokenizers, model: Seq2Seq
) -> Iterable[dict[str, Any]]:
    first = itertools.islice(read_pairs(settings.text, config.corpus), settings.sentences)
    pairs = [pair for pair in first if all(side.strip() for side in pair)]
    if not pairs:
        raise UserError(f"pretrain.keep.text has no sentence pairs: there is no line in {settings.text.origin}")
    longest = min(model.max_length, config.pretrain.batch.max_length) - 1
    source = [ids[:longest] for ids in tokenizers.source.encode([pair[0] for pair in pairs])]
    target = [ids[:longest] for ids in tokenizers.target.encode([pair[1] for pair in pairs])]
    batch = BatchConfig(type="sentences", size=1)
    return (with_positions(rows, batch) for rows in ordered_batches(source, target, batch))
