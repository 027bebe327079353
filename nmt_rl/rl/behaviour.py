"""The behaviour policy: who samples the translations that the Q-network learns from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import BehaviourConfig
from nmt_rl.decoding.generator import Generation, Generator
from nmt_rl.decoding.restrictions import FREE, Restrictions
from nmt_rl.models.seq2seq import Seq2Seq


def linear_schedule(start: float, end: float, step: int, steps: int) -> float:
    """From `start` at step 0 to `end` at `steps` and for ever after."""
    return start + (end - start) * min(step / steps, 1.0)


class Behaviour:
    """Samples translations with a ladder of temperatures, or epsilon-greedily.

    Args:
        model: its current weights are the policy.
        config: which policy.
        restrictions: what translations must not repeat.
    """

    def __init__(self, model: Seq2Seq, config: BehaviourConfig, restrictions: Restrictions = FREE) -> None:
        """See the class docstring."""
        self.config = config
        self._generator = Generator(model, top_k=config.top_k, top_p=config.top_p, restrictions=restrictions)

    def __call__(
        self, source: NDArray[np.int32], limits: NDArray[np.int32], step: int, rng: np.random.Generator
    ) -> Generation:
        """One translation for each row of source ids [rows, source], of at most `limits` pieces [rows]."""
        config, seed = self.config, int(rng.integers(2**31))
        if config.policy == "epsilon-greedy":
            epsilon = linear_schedule(config.epsilon, config.epsilon_end, step, config.epsilon_updates)
            return self._generator(source, limits, epsilon=epsilon, seed=seed)
        # A ladder as it comes would give the same sources the same temperatures whenever the counts divide.
        temperatures = rng.permutation(np.resize(np.asarray(config.temperatures, np.float32), len(source)))
        return self._generator(source, limits, temperature=temperatures, seed=seed)
