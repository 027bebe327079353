"""An actor whose translations are played by processes of Ray, here or on other machines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from nmt_rl.cluster.player import Orders, Player, Unit, parted
from nmt_rl.cluster.players import Players
from nmt_rl.config import Config
from nmt_rl.rl.actor import Actor, Numbers, Sentences
from nmt_rl.rl.episode import Episode
from nmt_rl.rl.family import Family


class ClusterActor(Actor):
    """Divides sentences into units, has players play them, and takes each unit's episodes once.

    A unit that fails with its player is played again, by that player when Ray has started it anew or by another one;
    as its chance is its own, the episodes are the same.

    In lock step all units of a batch are waited for: one player gives what the family's own actor would give, bit for
    bit. Ahead, half a batch is always being played while the learner learns, by a policy that is older for it: a batch
    is then whatever is finished.

    Args:
        family: the method's parts; its own actor plays nothing.
        config: that the family was built by.
        ray: of `ray_session`.
        players: how many.
        ahead: see above.
        threads: of each player.
    """

    def __init__(
        self, family: Family, config: Config, ray: Any, players: int, ahead: bool = False, threads: int = 1
    ) -> None:
        """See the class docstring."""
        super().__init__()
        self.family, self.ray, self.ahead = family, ray, ahead
        tokenizers = family.prepared.tokenizers
        both = (tokenizers.source,) if tokenizers.shared else (tokenizers.source, tokenizers.target)
        orders = Orders(
            config=json.dumps(config.model_dump(mode="json")),
            tokenizers=tuple(each.model for each in both),
            prior=family.prior.get_weights(),
            threads=threads,
        )
        self._orders = [ray.put(orders)]
        self.players: Players[Unit] = Players(ray, Player, players)
        ray.get([player.begin.remote(self._orders) for player in self.players.handles])
        self._units = 0

    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """See Actor.play."""
        weights = [self.ray.put([np.asarray(variable.value) for variable in self.family.acting()])]
        parts = parted(sentences.rows, max(len(self.players.handles), 2 if self.ahead else 1))
        chances = rng.spawn(len(parts)) if len(parts) > 1 else [rng]
        for rows, chance in zip(parts, chances, strict=True):
            self._units += 1
            self.players.give(Unit(self._units, rows, version, self._orders, weights, chance))
        left = len(self.players)
        wanted = max(1, left - len(parts) // 2) if self.ahead else left
        results = [self.players.next() for _ in range(wanted)]
        if not self.ahead:  # In the order of the sentences, whoever was faster.
            results.sort(key=lambda result: result[0].id)
        episodes = [replace(episode, id=self.next_id()) for _, (own, _) in results for episode in own]
        return episodes, self._together(results, version)

    def _together(self, results: list[tuple[Unit, tuple[list[Episode], Numbers]]], version: int) -> Numbers:
        """Means over units by their sentences; and, ahead, how many updates old the policies were."""
        if len(results) == 1 and not self.ahead:
            return results[0][1][1]
        sizes = np.array([len(unit.rows.source) for unit, _ in results], np.float64)
        names = dict.fromkeys(name for _, (_, numbers) in results for name in numbers)
        found = {
            name: float(np.average([numbers.get(name, 0.0) for _, (_, numbers) in results], weights=sizes))
            for name in names
        }
        return found | {"lag": float(np.average([version - unit.version for unit, _ in results], weights=sizes))}

    def close(self) -> None:
        """See Actor.close."""
        self.players.close()
