"""Which pieces may be chosen, and how one is drawn: Boltzmann with top-k and top-p, or epsilon-greedy.

The draws are functions of uniform random numbers, so that both backends draw the same pieces from the same ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from nmt_rl.backend import gather
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK

NEVER = -1e9
"""Score of a forbidden piece or a dead hypothesis: finite, so that sums stay free of NaN."""
BLOCKS = (40, 32, 50, 64, 25, 20, 16)
"""Sizes a vocabulary is divided into evenly, the best first, when its largest scores are looked for."""


def free_pieces(vocabulary: int, allow_unknown: bool) -> np.ndarray:
    """0 for pieces a search may choose, NEVER for PAD, BOS and (unless allowed) UNK: float32 [1, vocabulary]."""
    free = np.zeros((1, vocabulary), "float32")
    free[:, [PAD, BOS] if allow_unknown else [PAD, BOS, UNK]] = NEVER
    return free


def largest(scores: Any, count: int) -> tuple[Any, Any]:
    """The largest of scores float32 [rows, pieces], falling, and which pieces they are: [rows, count] each.

    The same as `ops.top_k`, which takes a multiple of the time on a whole vocabulary: the largest are in the blocks
    with the largest maxima. Of equal scores the first come first.
    """
    pieces = scores.shape[-1]
    size = next((size for size in BLOCKS if pieces % size == 0), pieces)
    if pieces < 4 * size * count:
        values, found = ops.top_k(scores, min(count, pieces))
        return values, ops.cast(found, "int32")
    blocks = ops.reshape(scores, (-1, pieces // size, size))
    kept = ops.sort(ops.cast(ops.top_k(ops.max(blocks, axis=-1), count)[1], "int32"), axis=-1)
    values, places = ops.top_k(ops.reshape(gather(blocks, kept), (-1, count * size)), count)
    places = ops.cast(places, "int32")
    return values, gather(kept, places // size) * size + places % size


def permitted_pieces(scores: Any, count: int, last: Any, allow_unknown: bool) -> tuple[Any, Any]:
    """At least `count` largest of scores [rows, vocab] among permitted pieces, and which pieces they are; NEVER pads.

    Args:
        scores: float32 [rows, vocab].
        count: of all that are permitted, if they are fewer.
        last: bool [rows]: EOS alone is permitted.
        allow_unknown: PAD and BOS never are; whether UNK is.
    """
    forbidden = [PAD, BOS] if allow_unknown else [PAD, BOS, UNK]
    values, pieces = largest(scores, min(count + len(forbidden), scores.shape[-1]))
    first = ops.arange(values.shape[-1], dtype="int32")[None, :] == 0
    last, end = last[:, None], scores[:, EOS][:, None]
    pieces = ops.where(last, EOS, pieces)
    free = ops.where(last, first, ops.all(pieces[..., None] != np.array(forbidden, "int32"), axis=-1))
    return ops.where(free, ops.where(last, end, values), NEVER), pieces


def best_piece(scores: Any) -> tuple[Any, Any]:
    """The largest of scores [rows, pieces] and where it is: float32 and int32 [rows]."""
    # Not argmax: Keras' takes several passes over the vocabulary to tell -0 from 0.
    values, pieces = largest(scores, 1)
    return values[:, 0], pieces[:, 0]


def second_piece(scores: Any, best: Any) -> tuple[Any, Any]:
    """The largest of scores [rows, pieces] without that of `best` int32 [rows], and where it is: [rows] each."""
    is_best = ops.arange(scores.shape[-1], dtype="int32")[None, :] == best[:, None]
    return best_piece(ops.where(is_best, 2 * NEVER, scores))


def draw_boltzmann(scores: Any, uniforms: Any, top_k: int = 0, top_p: float = 1.0) -> Any:
    """A piece per row from softmax(scores), cut to the top_k pieces and to the nucleus: int32 [rows].

    The nucleus is the smallest set of pieces, from the most probable on, whose probability is at least `top_p`
    (Holtzman et al., 2020, equation 2); top_k (Fan et al., 2018) cuts it further. What is left is renormalised.

    Args:
        scores: logits, divided by the temperature; float32 [rows, pieces].
        uniforms: float32 [rows] in [0, 1), which the distribution is inverted at.
        top_k: 0: no such cut.
        top_p: 1: no such cut.
    """
    pieces, kept = scores.shape[-1], None
    if 0 < top_k < pieces or top_p < 1:
        total = ops.logsumexp(scores, axis=-1, keepdims=True)
        scores, kept = ops.top_k(scores, min(top_k or pieces, pieces))
        if top_p < 1:
            probabilities = ops.exp(scores - total)
            before = ops.cumsum(probabilities, axis=-1) - probabilities
            scores = ops.where(before < top_p, scores, NEVER)
    heights = ops.cumsum(ops.softmax(scores, axis=-1), axis=-1)
    drawn = ops.sum(ops.cast(heights <= uniforms[:, None] * heights[:, -1:], "int32"), axis=-1)
    return drawn if kept is None else pick(ops.cast(kept, "int32"), drawn)


def draw_epsilon_greedy(scores: Any, best: Any, uniforms: Any, epsilon: Any, top_k: int = 0) -> Any:
    """The best piece, or with probability epsilon any permitted one of the top_k, all alike: int32 [rows].

    Args:
        scores: float32 [rows, pieces], NEVER where a piece is forbidden.
        best: the piece with the largest score, int32 [rows].
        uniforms: float32 [rows] in [0, 1): below epsilon they say which of the pieces it is.
        epsilon: float32 [rows] in [0, 1].
        top_k: 0: of all pieces.
    """
    scores, pieces = ops.top_k(scores, min(top_k or scores.shape[-1], scores.shape[-1]))
    count = ops.sum(ops.cast(scores > NEVER / 2, "float32"), axis=-1)
    place = ops.floor(uniforms / ops.maximum(epsilon, 1e-9) * count)
    place = ops.cast(ops.clip(place, 0.0, ops.maximum(count - 1, 0.0)), "int32")
    return ops.where(uniforms < epsilon, pick(ops.cast(pieces, "int32"), place), best)


def pick(values: Any, index: Any) -> Any:
    """values[b, index[b]]: [batch]."""
    return gather(values, index[:, None])[:, 0]
