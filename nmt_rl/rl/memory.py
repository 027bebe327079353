"""Values that are costly to compute, remembered, and computed in batches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """A function of many keys at once that is asked only once for equal keys; it may be called from several threads.

    Args:
        compute: values of distinct keys, one for each and never None.
        size: most values remembered; when there would be more, all are forgotten.
    """

    def __init__(self, compute: Callable[[list[K]], Sequence[V]], size: int) -> None:
        self._compute, self._size = compute, size
        self._values: dict[K, V] = {}

    def __call__(self, keys: Sequence[K]) -> list[V]:
        """The value of each key."""
        values = self._values
        missing = [key for key in dict.fromkeys(keys) if key not in values]
        if missing:
            fresh = dict(zip(missing, self._compute(missing), strict=True))
            values = {**{key: values[key] for key in keys if key not in fresh}, **fresh}
            if len(self._values) + len(fresh) > self._size:
                self._values = values
            else:
                self._values.update(fresh)
        return [values[key] for key in keys]
