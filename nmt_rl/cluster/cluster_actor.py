"""An actor whose translations are played by processes of Ray, here or on other machines."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from nmt_rl.cluster.player import Orders, Player, Unit, parted
from nmt_rl.config import Config
from nmt_rl.rl.actor import Actor, Numbers, Sentences
from nmt_rl.rl.episode import Episode
from nmt_rl.rl.family import Family

logger = logging.getLogger("nmt_rl")

IN_FLIGHT = 2
"""Units that a player has at a time: one that it plays, and the next."""
REST, LONG = 1.0, 60.0
"""Seconds that a lost player gets nothing; and after which a further loss of it is told."""


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
        kind = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0)(Player)
        self._orders = [ray.put(orders)]
        self._players = [kind.remote() for _ in range(players)]
        ray.get([player.begin.remote(self._orders) for player in self._players])
        self._units = 0
        self._resting: dict[int, float] = {}
        """Until when players that were lost get nothing."""
        self._running: dict[Any, tuple[Unit, int]] = {}
        """Units being played, and by which player, by what Ray will know the result by."""
        self._waiting: deque[Unit] = deque()

    def play(self, sentences: Sentences, version: int, rng: np.random.Generator) -> tuple[list[Episode], Numbers]:
        """See Actor.play."""
        weights = [self.ray.put([np.asarray(variable.value) for variable in self.family.acting()])]
        parts = parted(sentences.rows, max(len(self._players), 2 if self.ahead else 1))
        chances = rng.spawn(len(parts)) if len(parts) > 1 else [rng]
        for rows, chance in zip(parts, chances, strict=True):
            self._units += 1
            self._waiting.append(Unit(self._units, rows, version, self._orders, weights, chance))
        left = len(self._running) + len(self._waiting)
        wanted = max(1, left - len(parts) // 2) if self.ahead else left
        results = [self._next() for _ in range(wanted)]
        if not self.ahead:  # In the order of the sentences, whoever was faster.
            results.sort(key=lambda result: result[0].id)
        episodes = [replace(episode, id=self.next_id()) for _, own, _ in results for episode in own]
        return episodes, self._together(results, version)

    def _submit(self) -> None:
        """Give waiting units to the players that have least to do, two each at most; to none that was just lost."""
        now = time.monotonic()
        awake = [player for player in range(len(self._players)) if self._resting.get(player, 0.0) <= now]
        while self._waiting and awake:
            busy = {player: sum(other == player for _, other in self._running.values()) for player in awake}
            player = min(awake, key=lambda each: busy[each])
            if busy[player] >= IN_FLIGHT:
                return
            unit = self._waiting.popleft()
            self._running[self._players[player].play.remote(unit)] = (unit, player)

    def _next(self) -> tuple[Unit, list[Episode], Numbers]:
        """Whatever unit is finished next; one that was lost is submitted again."""
        while True:
            self._submit()
            if not self._running:  # All are being started anew.
                time.sleep(REST / 4)
                continue
            done, _ = self.ray.wait(list(self._running), num_returns=1, timeout=REST)
            if not done:
                continue
            unit, player = self._running.pop(done[0])
            try:
                episodes, numbers = self.ray.get(done[0])
            except self.ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except self.ray.exceptions.RayError as error:
                if player not in self._resting or self._resting[player] < time.monotonic() - LONG:
                    text = "finetune: player %d was lost (%s); what it had is played again"
                    logger.warning(text, player, type(error).__name__)
                self._resting[player] = time.monotonic() + REST
                self._waiting.appendleft(unit)
            else:
                return unit, episodes, numbers

    def _together(self, results: list[tuple[Unit, list[Episode], Numbers]], version: int) -> Numbers:
        """Means over units by their sentences; and, ahead, how many updates old the policies were."""
        if len(results) == 1 and not self.ahead:
            return results[0][2]
        sizes = np.array([len(unit.rows.source) for unit, _, _ in results], np.float64)
        names = dict.fromkeys(name for _, _, numbers in results for name in numbers)
        found = {
            name: float(np.average([numbers.get(name, 0.0) for _, _, numbers in results], weights=sizes))
            for name in names
        }
        return found | {"lag": float(np.average([version - unit.version for unit, _, _ in results], weights=sizes))}

    def close(self) -> None:
        """See Actor.close."""
        for player in self._players:
            self.ray.kill(player)
