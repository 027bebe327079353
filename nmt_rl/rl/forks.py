"""Differences of Q between two actions of one state, learnt from forks: the advantage of the dueling network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.models.seq2seq import Seq2Seq, Tensor
from nmt_rl.rl.critic import Critic
from nmt_rl.rl.episode import Episode, collate
from nmt_rl.rl.losses import fork_loss, fork_td_error
from nmt_rl.rl.padding import corpus_sources, padded_length, shift_right
from nmt_rl.rl.replay import Sampled
from nmt_rl.rl.term import ERRORS, Arrays, Numbers, Term, below, root_mean_square


class ForkTerm(Term):
    """Regression of log-ratio differences on return differences: equation (4) of docs/methods.md.

    Args:
        model: the policy.
        corpus: sources of the episodes.
        per_source: most forks of an episode.
        tau: BLEU per nat.
        huber: cut of the Huber loss on TD errors; 0: squared.
        critic: learns V from the same episodes; None: there is no V.
    """

    name = "fork"

    def __init__(
        self,
        model: Seq2Seq,
        corpus: EncodedCorpus,
        per_source: int,
        tau: float,
        huber: float,
        critic: Critic | None = None,
    ) -> None:
        """See the class docstring."""
        self.corpus, self.per_source, self.tau, self.huber, self.critic = corpus, per_source, tau, huber, critic
        self._longest = model.max_length

    def batch(self, sampled: Sampled, step: int) -> tuple[Arrays, Numbers]:
        """See Term.batch; each episode has room for its most forks, so that shapes stay few."""
        episodes = sampled.episodes
        batch = collate(episodes, padded_length(max(len(e.tokens) for e in episodes), self._longest))
        source, target_in = corpus_sources(self.corpus, batch.source_id, self._longest), shift_right(batch.tokens)
        numbers: Numbers = {"tokens": float(batch.mask.sum())}
        if self.critic is not None:
            numbers |= self.critic.learn(batch, source, target_in, sampled.weights, step)
        forks = fork_arrays(episodes, sampled.weights, self.per_source, batch.tokens.shape[1])
        return {"source": source, "target_in": target_in, **forks}, numbers

    def q_difference(self, model: Seq2Seq, batch: dict[str, Tensor]) -> Tensor:
        """Q(s, a) - Q(s, a') of the forks in a batch; see `kl_q_difference`."""
        return kl_q_difference(model, batch, self.tau)

    def loss(self, model: Seq2Seq, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        """Equation (4); only the two logits of each fork are computed."""
        difference, weights = logit_difference(model, *_places(batch)), batch["weights"]
        rest = (batch["prior_difference"], batch["value_difference"], self.tau)
        delta = fork_td_error(difference, *rest)
        loss = fork_loss(difference, *rest, huber=self.huber, weights=weights)
        return {"loss": loss, "td_error": root_mean_square(delta, weights), ERRORS: delta}

    def after_update(self, step: int) -> None:
        """See Term.after_update."""
        if self.critic is not None:
            self.critic.move_target()

    def state(self) -> Arrays:
        """See Term.state."""
        return {} if self.critic is None else {f"critic/{name}": value for name, value in self.critic.state().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See Term.restore."""
        if self.critic is not None:
            self.critic.restore(below(arrays, "critic/"))


def fork_arrays(episodes: Sequence[Episode], weights: NDArray[np.floating], per_source: int, width: int) -> Arrays:
    """The forks, [episodes * per_source]: those of an episode one after the other, then room with weight 0.

    Args:
        episodes: with their forks.
        weights: of the episodes, above 0, which their forks inherit.
        per_source: most forks of an episode.
        width: to which translations are padded.
    """
    shape = (len(episodes), per_source)
    positions, actions = np.zeros(shape, np.int32), np.zeros((*shape, 2), np.int32)
    prior, values, found = (np.zeros(shape, np.float32) for _ in range(3))
    for row, episode in enumerate(episodes):
        forks = episode.forks
        each = slice(len(forks))
        positions[row, each] = row * width + forks.times
        actions[row, each] = forks.actions
        prior[row, each] = forks.prior_difference
        values[row, each] = forks.values[:, 0] - forks.values[:, 1]
        found[row, each] = weights[row]
    return {
        "positions": positions.reshape(-1),
        "actions": actions.reshape(-1, 2),
        "prior_difference": prior.reshape(-1),
        "value_difference": values.reshape(-1),
        "weights": found.reshape(-1),
    }


def kl_q_difference(model: Seq2Seq, batch: dict[str, Tensor], tau: float) -> Tensor:
    """Q(s, a) - Q(s, a') = tau { [z(a) - z(a')] - [z_0(a) - z_0(a')] }, float32 [forks]: V and normalisers cancel.

    Args:
        model: the policy.
        batch: `source`, `target_in`, and what `fork_arrays` gives.
        tau: BLEU per nat.
    """
    return tau * (logit_difference(model, *_places(batch)) - batch["prior_difference"])


def _places(batch: dict[str, Tensor]) -> Iterator[Tensor]:
    return (batch[name] for name in ("source", "target_in", "positions", "actions"))


def logit_difference(model: Seq2Seq, source: Tensor, target_in: Tensor, positions: Tensor, actions: Tensor) -> Tensor:
    """z(s, a) - z(s, a') float32 [forks]; no other logit is computed.

    Args:
        model: policy or prior.
        source: int32 [batch, source].
        target_in: decoder inputs of the translations the forks are on, int32 [batch, time].
        positions: places of the forks' states in the flattened [batch * time], int32 [forks].
        actions: a and a', int32 [forks, 2].
    """
    logits = model.logits_of(fork_states(model, source, target_in, positions), actions)
    return logits[:, 0] - logits[:, 1]


def fork_states(model: Seq2Seq, source: Tensor, target_in: Tensor, positions: Tensor) -> Tensor:
    """The decoder's states of the forks, [forks, width]; see `logit_difference`."""
    states = model.decode_states(target_in, model.encode(source)).states
    return ops.take(ops.reshape(states, (-1, states.shape[-1])), positions, axis=0)
