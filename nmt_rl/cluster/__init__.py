"""Playing on other processes and machines, by Ray (the extra `ray`); nothing below knows of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt_rl.config import Config, FinetuneConfig
    from nmt_rl.rl.actor import Actor
    from nmt_rl.rl.family import Family


@contextlib.contextmanager
def cluster_actors(settings: FinetuneConfig) -> Iterator[Callable[[Family, Config], Actor]]:
    """What makes an actor of a family whose translations processes of Ray play, as many as the settings say.

    Raises:
        UserError: if Ray is not installed.
        RunError: if it cannot be started, or reached.
    """
    from nmt_rl.cluster.cluster_actor import ClusterActor
    from nmt_rl.cluster.session import ray_session

    with ray_session(settings.actors) as ray:
        yield lambda family, config: ClusterActor(family, config, ray, settings.actors, settings.ahead)
