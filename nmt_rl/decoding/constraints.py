"""How far hypotheses are with phrases that they must hold, and which of them a beam keeps."""

from __future__ import annotations

from typing import Any

from keras import ops

from nmt_rl.backend import dimension
from nmt_rl.corpus.tokenizer import PAD
from nmt_rl.decoding.policies import NEVER


def progress(ids: Any, step: Any, phrases: Any) -> tuple[Any, Any]:
    """Which phrases hypotheses hold, bool [rows, phrases], and how many first pieces of each they end with.

    The second is int32 [rows, phrases], the most that are fewer than the phrase has. An empty phrase is held.

    Args:
        ids: int32 [rows, time]; what stands at `step` and behind it does not count.
        step: pieces so far, int32 [].
        phrases: int32 [rows, phrases, pieces], PAD-padded.
    """
    width, longest = dimension(ids, 1), dimension(phrases, 2)
    length = ops.sum(ops.cast(phrases != PAD, "int32"), axis=-1)[..., None]
    time, place = ops.arange(width, dtype="int32"), ops.arange(longest, dtype="int32")
    # Of each begin, and of each number of last pieces, what stands there: [rows, time or longest, longest].
    behind = ops.take(ids, ops.minimum(time[:, None] + place, width - 1), axis=1)
    before = ops.take(ids, ops.clip(step - place[:, None] + place, 0, width - 1), axis=1)
    same = _equal(behind, phrases, place < length) & (time + length <= step)
    matches = _equal(before, phrases, place < place[:, None])
    ends = ops.where(matches & (place < length) & (place <= step), place, 0)
    return (length[..., 0] == 0) | ops.any(same, axis=-1), ops.max(ends, axis=-1)


def _equal(windows: Any, phrases: Any, counts: Any) -> Any:
    """Whether phrases equal windows int32 [rows, windows, pieces] where it counts: bool [rows, phrases, windows]."""
    counts = counts[:, :, None, :] if len(counts.shape) == 3 else counts
    return ops.all((windows[:, None] == phrases[:, :, None, :]) | ~counts, axis=-1)


def bank(met: Any, begun: Any, phrases: Any) -> Any:
    """Pieces of phrases that hypotheses hold, those of the one they are in the middle of included: int32 [rows].

    Args:
        met, begun: of `progress`.
        phrases: int32 [rows, phrases, pieces].
    """
    length = ops.sum(ops.cast(phrases != PAD, "int32"), axis=-1)
    done = ops.sum(ops.where(met, length, 0), axis=-1)
    return done + ops.max(ops.where(met, 0, begun), axis=-1)


def next_pieces(met: Any, begun: Any, phrases: Any) -> Any:
    """The piece that goes on with each phrase which is not held yet, else PAD: int32 [rows, phrases]."""
    places = ops.arange(dimension(phrases, 2), dtype="int32")
    found = ops.sum(ops.where(places == begun[..., None], phrases, 0), axis=-1)
    return ops.where(met, PAD, found)


def allocated(worth: Any, banks: Any, count: int) -> Any:
    """The candidates that a beam keeps, in order: int32 [rows, count].

    Dynamic beam allocation (Post and Vilar, 2018, section 3.2): the places are shared out evenly among the banks, and
    what a bank does not fill goes to the others. Here the best of every bank come first, by worth, then all second
    best, and so on; the best of the fullest bank is the very first, so that each step brings a phrase further.

    Args:
        worth: float32 [rows, candidates]; at NEVER or below there is none.
        banks: int32 [rows, candidates].
        count: at most the candidates.
    """
    candidates = dimension(worth, 1)
    exists = worth > NEVER / 2
    banks = ops.where(exists, banks, -1)
    number = ops.arange(candidates, dtype="int32")
    earlier = (number[:, None] < number[None, :]) & (worth[:, :, None] == worth[:, None, :])
    better = (worth[:, :, None] > worth[:, None, :]) | earlier
    order = ops.sum(ops.cast(better, "int32"), axis=1)
    rank = ops.sum(ops.cast(better & (banks[:, :, None] == banks[:, None, :]), "int32"), axis=1)
    key = ops.where(exists, rank * candidates + order, candidates * candidates + order)
    fullest = (rank == 0) & (banks == ops.max(banks, axis=-1, keepdims=True))
    return ops.cast(ops.top_k(-ops.where(fullest, -1, key), count)[1], "int32")
