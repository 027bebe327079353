"""Where an external memory is read and written: the neural Turing machine (Graves et al., 2014) and the differentiable
neural computer (Graves et al., 2016, Methods). Memories are [batch, slots, width], weightings [batch, heads, slots]."""

from __future__ import annotations

from typing import Any

from keras import ops

from nmt_rl.backend import gather

SMALL = 1e-6
"""Keeps the cosine of an empty slot, and logarithms, finite."""


def content_weights(memory: Any, keys: Any, strengths: Any) -> Any:
    """softmax over slots of strength times the cosine of key and slot (2014, equations 5 and 6): [batch, heads, slots].

    Args:
        memory: [batch, slots, width].
        keys: [batch, heads, width].
        strengths: above 0, [batch, heads].
    """
    products = ops.matmul(keys, ops.transpose(memory, (0, 2, 1)))
    lengths = _norm(keys)[:, :, None] * _norm(memory)[:, None, :]
    return ops.softmax(strengths[:, :, None] * products / (lengths + SMALL), axis=-1)


def gated(content: Any, before: Any, gate: Any) -> Any:
    """g content + (1 - g) before (2014, equation 7), with gates [batch, heads]."""
    gate = gate[:, :, None]
    return gate * content + (1.0 - gate) * before


def shifted(weights: Any, shifts: Any) -> Any:
    """Circular convolution (2014, equation 8): slot i gets sum_j w(i - j) s(j), j from -(n - 1) / 2 to (n - 1) / 2.

    Args:
        weights: [batch, heads, slots].
        shifts: distributions over an odd number n of shifts, [batch, heads, n].
    """
    reach = shifts.shape[-1] // 2
    parts = [ops.roll(weights, j, axis=-1) * shifts[:, :, j + reach, None] for j in range(-reach, reach + 1)]
    return sum(parts[1:], parts[0])


def sharpened(weights: Any, power: Any) -> Any:
    """w^p over its sum (2014, equation 9), with powers of 1 and more [batch, heads]."""
    # By logarithms: the gradient of a power of 0 is not finite.
    return ops.softmax(power[:, :, None] * ops.log(weights + SMALL), axis=-1)


def read(memory: Any, weights: Any) -> Any:
    """What each head reads, sum_i w(i) M(i) (2014, equation 2): [batch, heads, width]."""
    return ops.matmul(weights, memory)


def written(memory: Any, weights: Any, erase: Any, add: Any) -> Any:
    """M (1 - w e) + w a, of all heads in turn (2014, equations 3 and 4): [batch, slots, width].

    Args:
        memory: [batch, slots, width].
        weights: [batch, heads, slots].
        erase: in [0, 1], [batch, heads, width].
        add: [batch, heads, width].
    """
    # Head by head: the gradient of a product over an axis takes several times as long.
    for head in range(erase.shape[1]):
        memory = memory * (1.0 - weights[:, head, :, None] * erase[:, head, None, :])
    return memory + ops.matmul(ops.transpose(weights, (0, 2, 1)), add)


def usage(before: Any, write: Any, reads: Any, free: Any) -> Any:
    """How much of each slot is taken: (u + w - u w) prod_i (1 - f_i r_i) (2016, equations 2 and 3), [batch, slots].

    Args:
        before: u, [batch, slots].
        write: w of the step before, [batch, slots].
        reads: r of the step before, [batch, heads, slots].
        free: gates f, [batch, heads].
    """
    retained = ops.prod(1.0 - free[:, :, None] * reads, axis=1)
    return (before + write - before * write) * retained


def allocation(used: Any) -> Any:
    """Where to write next: of the slots by rising usage the j-th gets (1 - u_j) prod_{i < j} u_i (2016, equation 1),
    [batch, slots]."""
    order = ops.cast(ops.argsort(used, axis=-1), "int32")
    # Away from 0: the gradient of a product divides by its factors.
    rising = gather(SMALL + (1.0 - SMALL) * used, order)
    before = ops.cumprod(rising, axis=-1) / rising
    return gather((1.0 - rising) * before, ops.cast(ops.argsort(order, axis=-1), "int32"))


def links(before: Any, precedence: Any, write: Any) -> Any:
    """How far slot i was written just after slot j (2016, equations 5 and 6), [batch, slots, slots]:

    L(i, j) = (1 - w(i) - w(j)) L(i, j) + w(i) p(j), and 0 on the diagonal.
    """
    ours, theirs = write[:, :, None], write[:, None, :]
    found = (1.0 - ours - theirs) * before + ours * precedence[:, None, :]
    return found * (1.0 - ops.eye(found.shape[-1]))


def preceding(before: Any, write: Any) -> Any:
    """How far each slot was the last to be written: (1 - sum w) p + w (2016, equation 4), [batch, slots]."""
    return (1.0 - ops.sum(write, axis=-1, keepdims=True)) * before + write


def by_modes(modes: Any, content: Any, reads: Any, linked: Any, powers: Any = None) -> Any:
    """Read weightings: backward along the links, by content, forward (2016, equations 7 to 9), [batch, heads, slots].

    Args:
        modes: distributions over the three, [batch, heads, 3].
        content: [batch, heads, slots].
        reads: of the step before, [batch, heads, slots].
        linked: of `links`, [batch, slots, slots].
        powers: of 1 and more, [batch, heads, 2], that sharpen what is backward and forward, which is less and less
            clear along the links (Csordás and Schmidhuber, 2019); none: as they are.
    """
    backward, forward = ops.matmul(reads, linked), ops.matmul(reads, ops.transpose(linked, (0, 2, 1)))
    if powers is not None:
        backward, forward = sharpened(backward, powers[..., 0]), sharpened(forward, powers[..., 1])
    return modes[..., 0:1] * backward + modes[..., 1:2] * content + modes[..., 2:3] * forward


def _norm(x: Any) -> Any:
    return ops.sqrt(ops.sum(x**2, axis=-1) + SMALL**2)
