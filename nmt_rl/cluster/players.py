"""Processes of Ray that are given work, unit by unit, until all of it is done, whoever is lost on the way."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any, Generic, TypeVar

Unit = TypeVar("Unit")

logger = logging.getLogger("nmt_rl")

IN_FLIGHT = 2
"""Units that a player has at a time: one that it works on, and the next."""
REST, LONG = 1.0, 60.0
"""Seconds that a lost player gets nothing; and after which a further loss of it is told."""


class Players(Generic[Unit]):
    """So many processes of one class; its method `play(unit)` does the work.

    A unit that is lost with its player is given out again; Ray starts the player anew, without end.

    Args:
        ray: of `ray_session`.
        kind: the class, made without arguments.
        count: how many.
    """

    def __init__(self, ray: Any, kind: type, count: int) -> None:
        """See the class docstring."""
        self.ray = ray
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0)(kind)
        self.handles = [remote.remote() for _ in range(count)]
        self._waiting: deque[Unit] = deque()
        self._running: dict[Any, tuple[Unit, int]] = {}
        """Units being worked on, and by which player, by what Ray will know the result by."""
        self._resting: dict[int, float] = {}
        """Until when players that were lost get nothing."""

    def __len__(self) -> int:
        """Units that are not done."""
        return len(self._waiting) + len(self._running)

    def give(self, unit: Unit) -> None:
        """Have a unit done."""
        self._waiting.append(unit)

    def next(self) -> tuple[Unit, Any]:
        """Whatever unit is done next, and what `play` returned; its own errors are raised."""
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
                return unit, self.ray.get(done[0])
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except self.ray.exceptions.RayError as error:
                self._lose(player, type(error).__name__)
                self._waiting.appendleft(unit)

    def _submit(self) -> None:
        """Give waiting units to the players that have least to do; to none that was just lost."""
        now = time.monotonic()
        awake = [player for player in range(len(self.handles)) if self._resting.get(player, 0.0) <= now]
        while self._waiting and awake:
            busy = {player: sum(other == player for _, other in self._running.values()) for player in awake}
            player = min(awake, key=lambda each: busy[each])
            if busy[player] >= IN_FLIGHT:
                return
            unit = self._waiting.popleft()
            self._running[self.handles[player].play.remote(unit)] = (unit, player)

    def _lose(self, player: int, reason: str) -> None:
        now = time.monotonic()
        if now - self._resting.get(player, -LONG) >= LONG:
            logger.warning("player %d was lost (%s); what it had is done again", player, reason)
        self._resting[player] = now + REST

    def close(self) -> None:
        """End the processes."""
        for handle in self.handles:
            self.ray.kill(handle)
