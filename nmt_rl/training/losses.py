"""Log-probabilities of given translations, and cross-entropy with label smoothing."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.backend import dimension, in_chunks
from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batches import Batch, pad_mode
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.decoding.policies import pick
from nmt_rl.models.seq2seq import DecoderStates, Seq2Seq, Tensor
from nmt_rl.training.choices import at, choice_losses

LOGITS = 2**26
"""256 MB of float32."""
LEAST = 1e-9
"""Attention below it counts as it, so that its logarithm is finite."""


def normaliser_and_chosen(logits: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
    """lse(z) = log sum_v exp z_v, and z_a of one piece a of each row, of one matrix: z_a - lse(z) is never above 0.

    From the softmax p, of which the gradient is made, too: lse = max z - log max p. Several times faster on a CPU than
    the usual form, which reads and writes the matrix once for each of its steps.

    Args:
        logits: z, float32 [tokens, vocab].
        pieces: a, int32 [tokens].

    Returns:
        lse(z) and z_a, float32 [tokens] each.
    """

    @ops.custom_gradient
    def both(logits: Tensor) -> Tensor:
        probabilities = ops.softmax(logits, axis=-1)
        normaliser = ops.max(logits, axis=-1) - ops.log(ops.max(probabilities, axis=-1))

        def gradient(*_: Tensor, upstream: Tensor = None) -> Tensor:
            # JAX passes the upstream gradient by position, TensorFlow by either.
            of_normaliser, of_chosen = ops.unstack(_[0] if upstream is None else upstream, 2)
            slopes = probabilities * of_normaliser[:, None]
            places = ops.stack([ops.arange(dimension(pieces, 0), dtype="int32"), pieces], axis=1)
            return ops.scatter_update(slopes, places, pick(slopes, pieces) + of_chosen)

        return ops.stack([normaliser, pick(logits, pieces)]), gradient

    normaliser, chosen = ops.unstack(both(logits), 2)
    return normaliser, chosen


def chosen_logits(model: Seq2Seq, states: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
    """`normaliser_and_chosen` of the logits of states [tokens, width].

    Of more than `LOGITS`, memory holds so many at most at a time, where the backend can divide them (see `in_chunks`).
    """
    chunk = max(1, LOGITS // model.embeddings.sizes[1])
    if states.shape[0] is None or states.shape[0] <= chunk:
        return normaliser_and_chosen(model.project(states), pieces)

    def plain(states: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
        # Its gradient is made of logits that are computed once more, so none is given.
        logits = model.project(states)
        return ops.logsumexp(logits, axis=-1), pick(logits, pieces)

    normaliser, chosen = in_chunks(plain, chunk, states, pieces)
    return normaliser, chosen


def log_probs(model: Seq2Seq, source: Tensor, target_in: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
    """log pi(a_t|s_t) of given translations, in nats, float32 [batch, time]; 0 elsewhere than at `positions`.

    Args:
        model: the policy.
        source: int32 [batch, source].
        target_in: decoder inputs, int32 [batch, time].
        tokens: the pieces taken, int32 [batch, time].
        positions: of `real_positions`.
    """
    return log_probs_at(model, model.decode_states(target_in, model.encode(source)).states, tokens, positions)


def log_probs_at(model: Seq2Seq, states: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
    """log pi(a|s) = z_a - lse(z) of one piece a in each state s, in nats, float32 [batch, time]; see `log_probs`.

    Args:
        model: the policy.
        states: of its decoder, [batch, time, width].
        tokens: a, int32 [batch, time].
        positions: where they are wanted, in the flattened [batch * time], int32 [n].
    """
    states = ops.take(ops.reshape(states, (-1, states.shape[-1])), positions, axis=0)
    pieces = ops.take(ops.reshape(tokens, (-1,)), positions)
    normaliser, chosen = normaliser_and_chosen(model.project(states), pieces)
    found = chosen - normaliser
    shape = ops.shape(tokens)
    return ops.reshape(ops.scatter(positions[:, None], found, (shape[0] * shape[1],)), shape)


def smoothed_cross_entropy(log_normaliser: Tensor, chosen: Tensor, mean: Tensor, smoothing: float) -> Tensor:
    """lse(z) - (1 - e) z_y - e mean(z): cross-entropy with (1 - e) onehot(y) + e / V (Szegedy et al., 2016, section 7).

    Args:
        log_normaliser: lse(z) = log sum_v exp z_v, float32 [tokens].
        chosen: z_y, float32 [tokens].
        mean: mean of z over the vocabulary, float32 [tokens].
        smoothing: e; 0 gives the negative log-likelihood.

    Returns:
        float32 [tokens], in nats.
    """
    return log_normaliser - (1.0 - smoothing) * chosen - smoothing * mean


def with_positions(batch: Batch, config: BatchConfig) -> dict[str, np.ndarray]:
    """What `CrossEntropy` reads: `source`, `target_in`, the flat `positions` of real target tokens and
    their `labels`, both int32 [tokens], and their `alignment`, bool [tokens, source], of a batch that has one.

    The vocabulary projection, half of the work of a small model, then sees no padding. Where shapes must be few
    (buckets), all positions are kept and PAD labels weigh nothing.
    """
    positions = real_positions(batch.target_out, config)
    alignment = batch.alignment
    aligned = {} if alignment is None else {"alignment": alignment.reshape(-1, alignment.shape[2])[positions]}
    return {
        "source": batch.source,
        "target_in": batch.target_in,
        "positions": positions,
        "labels": batch.target_out.reshape(-1)[positions],
        **aligned,
    }


def real_positions(tokens: NDArray[np.int32], config: BatchConfig) -> NDArray[np.int32]:
    """Where tokens int32 [batch, time], flattened, are not PAD; all places where shapes must be few. int32 [tokens]."""
    flat = tokens.reshape(-1)
    return (np.arange(len(flat)) if pad_mode(config) == "buckets" else np.flatnonzero(flat != PAD)).astype("int32")


def alignment_cross_entropy(attention: Tensor, alignment: Tensor) -> Tensor:
    """- sum_i A_i log a_i, A the alignment divided by its sum (Chen et al., 2016, equation 7); 0 without a link.

    Args:
        attention: a, [tokens, source].
        alignment: bool [tokens, source].

    Returns:
        float32 [tokens], in nats.
    """
    links = ops.cast(alignment, "float32")
    shares = links / ops.maximum(ops.sum(links, axis=-1, keepdims=True), 1.0)
    return -ops.sum(shares * ops.log(ops.maximum(ops.cast(attention, "float32"), LEAST)), axis=-1)


class CrossEntropy:
    """The pretraining objective: mean smoothed cross-entropy per target token.

    Args:
        smoothing: label smoothing e.
        packed: rows hold several sentences.
        guidance: weight of the cross-entropy between alignment and attention, per target token, which is added where a
            batch has an alignment.
    """

    def __init__(self, smoothing: float, packed: bool = False, guidance: float = 0.0) -> None:
        """See the class docstring."""
        self.smoothing, self.packed, self.guidance = smoothing, packed, guidance

    def __call__(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """`loss` (smoothed), `nll`, both in nats per token, and `tokens`, for a batch of `with_positions`; `alignment`,
        which is part of the loss, if that is guided.

        Of a batch with a `share` of its update, it is that share of each.
        """
        return self.of_states(model, self.states(model, batch, training), batch, training)

    def states(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> DecoderStates:
        """Of the decoder before each label: states [tokens, width], attention [tokens, source], and the choice of a
        position if it makes one."""
        encoded, places = model.encode(batch["source"], training, self.packed), batch["positions"]
        output = model.decode_states(batch["target_in"], encoded, training)

        def at_labels(x: Tensor) -> Tensor:
            return ops.take(ops.reshape(x, (-1, dimension(x, 2))), places, axis=0)

        choice = None if output.choice is None else at(output.choice, places)
        return DecoderStates(at_labels(output.states), at_labels(output.attention), choice)

    def of_states(
        self, model: Seq2Seq, output: DecoderStates, batch: dict[str, Tensor], training: bool
    ) -> dict[str, Tensor]:
        """As a call, of what `states` gives."""
        labels = batch["labels"]
        weights = ops.cast(ops.not_equal(labels, PAD), "float32")
        tokens = ops.maximum(ops.sum(weights), 1.0)

        def log_likelihood(states: Tensor) -> tuple[Tensor, Tensor]:
            normaliser, chosen = chosen_logits(model, states, labels)
            if not training:
                return chosen - normaliser, chosen - normaliser
            # mean(z) is linear in the state, so the [tokens, vocab] matrix need not be read for it.
            mean = model.mean_logit(states)
            return -smoothed_cross_entropy(normaliser, chosen, mean, self.smoothing), chosen - normaliser

        if output.choice is None:
            smoothed, plain = log_likelihood(output.states)
            each = {"loss": -smoothed, "nll": -plain}
        else:
            each = choice_losses(output.choice, log_likelihood)
        found = {name: ops.sum(value * weights) / tokens for name, value in each.items()}
        if training and self.guidance and "alignment" in batch:
            found["alignment"] = ops.sum(alignment_cross_entropy(output.attention, batch["alignment"])) / tokens
            found["loss"] = found["loss"] + self.guidance * found["alignment"]
        if "share" in batch:
            found = {name: batch["share"] * value for name, value in found.items()}
        return {**found, "tokens": tokens}
