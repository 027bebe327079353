"""Several sentence pairs in one row, so that little is padded and all batches have one shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def first_fit(lengths: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """The row of each pair, int64 [pairs]: the first that both its sides fit into, or a new one (first-fit packing).

    Args:
        lengths: tokens of both sides of each pair, int64 [2, pairs], none above `room`.
        room: tokens of either side that a row has room for.
    """
    left = np.full((2, lengths.shape[1]), room)
    row, opened = np.empty(lengths.shape[1], np.int64), 0
    for pair, (source, target) in enumerate(lengths.T.tolist()):
        fits = (left[0, :opened] >= source) & (left[1, :opened] >= target)
        place = int(fits.argmax()) if opened else 0
        if not opened or not fits[place]:
            place, opened = opened, opened + 1
        left[0, place] -= source
        left[1, place] -= target
        row[pair] = place
    return row
