"""A model that a word reward keeps from ending: its logit of EOS is lowered."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.models.insight import Insight
from nmt_rl.models.seq2seq import Cache, Seq2Seq, StepOutput, Tensor
from nmt_rl.models.wrapper import Wrapper


class WordReward(Wrapper):
    """A model with z'(s, a) = z(s, a) - w [a = EOS]: every piece that is not the end gains w nats on it.

    The bias stands before the softmax, so what is left is a distribution, of which greedy decoding, sampling, beam
    search and scoring are all true. He et al. (2016) and Marian's `--word-penalty` (-w) add w to a
    hypothesis' score for each of its words instead. Greedily both choose the same: w per word is a handicap of w for
    the end. In a beam the scores differ by the normaliser: log p' = log p - w [a = EOS] - log(1 - p(EOS)(1 - e^-w)), so
    that a word gains much where the end was near and next to nothing elsewhere.

    A Seq2Seq like any other; of an ensemble it lowers the log of the mean probability.

    Args:
        base: the model.
        reward: w, nats; below 0 translations become shorter. `reward.assign(value)` needs no new compilation.
    """

    def __init__(self, base: Seq2Seq, reward: float) -> None:
        """See the class docstring."""
        super().__init__(base, "word_reward")
        initializer = keras.initializers.Constant(reward)
        self.reward = self.add_weight(
            shape=(), initializer=initializer, trainable=False, dtype="float32", name="word_reward"
        )
        self.built = True

    def project(self, states: Tensor) -> Tensor:
        """Logits float32 [..., vocab] of states [..., width]; that of EOS is lowered."""
        return self._lowered(self.base.project(states))

    def step(self, tokens: Tensor, cache: Cache) -> tuple[StepOutput, Cache]:
        """See Seq2Seq.step; lowered are the logits of the base's own step."""
        output, cache = self.base.step(tokens, cache)
        return output._replace(logits=self._lowered(output.logits)), cache

    def inspect(self, source: np.ndarray, target_in: np.ndarray) -> Insight:
        """See Seq2Seq.inspect; lowered are the base's own logits."""
        seen = self.base.inspect(source, target_in)
        return seen._replace(logits=self._lowered(seen.logits))

    def _lowered(self, logits: Tensor) -> Tensor:
        return logits - self.reward * (np.arange(logits.shape[-1]) == EOS).astype("float32")

    def logits_of(self, states: Tensor, pieces: Tensor) -> Tensor:
        """See Seq2Seq.logits_of."""
        return self.base.logits_of(states, pieces) - self.reward * ops.cast(ops.equal(pieces, EOS), "float32")

    def mean_logit(self, states: Tensor) -> Tensor:
        """See Seq2Seq.mean_logit."""
        return self.base.mean_logit(states) - self.reward / self.embeddings.sizes[1]


def rewarded(model: Seq2Seq, reward: float) -> Seq2Seq:
    """The model with a word reward; itself if that is 0."""
    return WordReward(model, reward) if reward else model
