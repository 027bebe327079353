"""The LSTM with hard attention: each word is predicted from one position of the source."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from nmt_rl.backend import dimension
from nmt_rl.config import HardMarginalConfig, HardScoreConfig, HardVariationalConfig, LSTMConfig
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.models.attention import SoftAttention, mask_bias
from nmt_rl.models.hard_attention import best_positions, contexts, divergence, drawn, entropy, weights_on_source
from nmt_rl.models.linear import Linear
from nmt_rl.models.lstm import LSTM
from nmt_rl.models.recurrence import Bidirectional
from nmt_rl.models.seq2seq import PAD, Choice, DecoderStates, Encoded, Tensor


class HardLSTM(LSTM):
    """An LSTM whose words depend on single positions; the loop over time is that of soft attention.

    See models.hard_attention for what is trained. When translating, k positions with the most weight are considered: a
    decoder state holds h~ of each, the best first, and for more than one position their log-weights: its width is then
    k * (embedding + 1), and `project` gives log sum_z p(z) p(y|z). Nothing is drawn there.

    Args:
        config: sizes and variants, `hard` among them.
        source_vocabulary, target_vocabulary: numbers of pieces.
    """

    def __init__(self, config: LSTMConfig, source_vocabulary: int, target_vocabulary: int) -> None:
        """See the class docstring."""
        super().__init__(config, source_vocabulary, target_vocabulary)
        if config.hard is None:
            raise ValueError("the attention is soft: model.hard is missing")
        self.hard = config.hard
        self.generator = keras.random.SeedGenerator()
        variational = isinstance(self.hard, HardVariationalConfig)
        self.posterior = Posterior(config.units, "posterior") if variational else None
        learned = not isinstance(self.hard, HardMarginalConfig) and self.hard.baseline == "learned"
        self.baseline = Linear(1, name="baseline") if self._samples and learned else None

    def build(self, input_shape: object = None) -> None:
        """Make all weights."""
        super().build(input_shape)
        if self.posterior is not None:
            self.posterior.build(self.settings.embedding)
        if self.baseline is not None:
            self.baseline.build(self.settings.units)

    @property
    def _samples(self) -> int:
        """Positions that are drawn for each word."""
        return 0 if isinstance(self.hard, HardMarginalConfig) else self.hard.samples

    @property
    def _kind(self) -> Literal["sampled", "marginal", "enumerated"]:
        """See Choice."""
        if isinstance(self.hard, HardMarginalConfig):
            return "marginal"
        return "sampled" if self._samples else "enumerated"

    @property
    def width(self) -> int:
        """See Seq2Seq.width."""
        count, width = self.hard.positions, self.settings.embedding
        return width if count == 1 else count * (width + 1)

    def decode_states(self, target_in: Tensor, encoded: Encoded, training: bool = False) -> DecoderStates:
        """See Seq2Seq.decode_states; a whole target in training, whose end is the sentence's."""
        outputs, values = self.loop(target_in, encoded, training), encoded["states"]
        states, attention = self.read(outputs, values)
        if not training:
            return DecoderStates(states, attention)
        soft, hidden, log_p = self._parted(outputs)
        log_q = log_p if self.posterior is None else self._log_posterior(target_in, encoded)
        # One dropout mask for a time's states, so that they differ in their positions only.
        mask = self.dropout(ops.ones_like(soft), training=True)
        places, log_weights = self._chosen(log_q)
        each = self._states(places, hidden, values) * mask[:, :, None]
        choice = Choice(self._kind, each, log_weights)
        if self.posterior is not None:
            choice = choice._replace(divergence=divergence(log_q, log_p))
        if isinstance(self.hard, HardScoreConfig) and self.hard.entropy:
            choice = choice._replace(cost=-self.hard.entropy * entropy(log_p))
        if self.baseline is not None:
            choice = choice._replace(baseline=self.baseline(ops.stop_gradient(hidden))[..., 0])
        elif self._samples:
            choice = choice._replace(soft=ops.stop_gradient(soft * mask))
        return DecoderStates(states, attention, choice)

    def read(self, outputs: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See LSTM.read; of the positions with the most weight."""
        _, hidden, log_p = self._parted(outputs)
        places, log_weights = best_positions(log_p, self.hard.positions)
        states = self._states(places, hidden, values)
        attention = weights_on_source(places, ops.exp(log_weights), dimension(values, 1))
        flat = ops.reshape(states, (-1, dimension(hidden, 1), self.hard.positions * self.settings.embedding))
        return flat if self.hard.positions == 1 else ops.concatenate([flat, log_weights], axis=-1), attention

    def _parted(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """h~ of the expected context, h, and log p(z), of the cell's outputs; the widths of two are known."""
        width, units, time = self.settings.embedding, self.settings.units, dimension(outputs, 1)
        soft = ops.reshape(outputs[..., :width], (-1, time, width))
        hidden = ops.reshape(outputs[..., width : width + units], (-1, time, units))
        return soft, hidden, ops.log_softmax(outputs[..., width + units :], axis=-1)

    def _states(self, places: Tensor, hidden: Tensor, values: Tensor) -> Tensor:
        """h~ with the context of each position int32 [batch, n, k]: [batch, n, k, embedding]."""
        found = contexts(values, places)
        return self.cell.attentional(found, ops.repeat(hidden[:, :, None], found.shape[2], axis=2))

    def _chosen(self, log_q: Tensor) -> tuple[Tensor, Tensor]:
        """Positions int32 [batch, time, n] that training considers, and their log-probabilities."""
        if not self._samples:
            return best_positions(log_q, self.hard.positions)
        shape = (dimension(log_q, 0), dimension(log_q, 1), self._samples)
        places = drawn(ops.stop_gradient(log_q), keras.random.uniform(shape, seed=self.generator))
        weights = ops.take_along_axis(log_q, places, axis=-1)
        # Keras takes one of them for one that is broadcast, and forgets how many there are.
        return ops.reshape(places, (-1, *shape[1:])), ops.reshape(weights, (-1, *shape[1:]))

    def _log_posterior(self, target_in: Tensor, encoded: Encoded) -> Tensor:
        """log q(z|x, y) [batch, time, source] of whole targets."""
        words = following(target_in)
        embedded = self.dropout(self.embeddings.target(words), training=True)
        scores = self.posterior.scores(embedded, ops.not_equal(words, PAD), encoded)  # type: ignore[union-attr]
        return ops.log_softmax(scores, axis=-1)

    def project(self, states: Tensor) -> Tensor:
        """Logits float32 [..., vocab]; of states of several positions log sum_z p(z) p(y|z), see the class."""
        width, count = self.settings.embedding, self.hard.positions
        if states.shape[-1] == width:
            return super().project(states)
        total = None
        for k in range(count):
            own = ops.log_softmax(super().project(states[..., k * width : (k + 1) * width]), axis=-1)
            own = own + states[..., count * width + k, None]
            total = own if total is None else ops.logaddexp(total, own)
        return total

    def logits_of(self, states: Tensor, pieces: Tensor) -> Tensor:
        """See Seq2Seq.logits_of; of several positions the whole vocabulary is computed."""
        if self.hard.positions == 1:
            return super().logits_of(states, pieces)
        return ops.take_along_axis(self.project(states), pieces, axis=-1)

    def mean_logit(self, states: Tensor) -> Tensor:
        """See Seq2Seq.mean_logit; of several positions the whole vocabulary is computed."""
        if states.shape[-1] == self.settings.embedding:
            return super().mean_logit(states)
        return ops.mean(self.project(states), axis=-1)


class Posterior(keras.layers.Layer):
    """The inference network q(z|x, y): an LSTM reads the target both ways, and each word looks at the source.

    It shares embeddings and encoder with the model (Deng et al., 2018, have others), and is for training alone.

    Args:
        units: of the encoder's states, and of what it reads into, half of them for each direction.
        name: of the layer.
    """

    def __init__(self, units: int, name: str) -> None:
        """See the class docstring."""
        super().__init__(name=name, dtype="float32")
        self.units = units
        self.reader = Bidirectional(units // 2, "reader")
        self.attention = SoftAttention("bilinear", units, 0, False, "attention")

    def build(self, width: Any) -> None:
        """Make the weights for embeddings of this width."""
        self.reader.build(width)
        self.attention.build(self.units)
        self.built = True

    def scores(self, embedded: Tensor, mask: Tensor, encoded: Encoded) -> Tensor:
        """Scores of positions, [batch, time, source], of the words' embeddings [batch, time, width]."""
        states = encoded["states"]
        read, _ = self.reader.read(embedded, mask)
        return self.attention.scores(read, self.attention.keys(states), mask_bias(encoded["mask"]), None)


def following(target_in: Tensor) -> Tensor:
    """What is predicted at each place of whole targets int32 [batch, time]: the next piece, and at the last one EOS."""
    later = ops.concatenate([target_in[:, 1:], ops.zeros_like(target_in[:, :1])], axis=1)
    ended = ops.where(ops.equal(later, PAD), ops.full_like(target_in, EOS), later)
    return ops.where(ops.equal(target_in, PAD), ops.zeros_like(target_in), ended)
