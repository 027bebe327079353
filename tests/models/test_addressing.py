"""Addressing of external memories by numbers worked out by hand, and its invariants."""

import math

import numpy as np
import pytest
from keras import ops

from nmt_rl.models.addressing import (
    allocation,
    by_modes,
    content_weights,
    gated,
    links,
    preceding,
    read,
    sharpened,
    shifted,
    usage,
    written,
)

pytestmark = pytest.mark.jax


def array(values):
    return np.array(values, "float32")


def numpy(values):
    return ops.convert_to_numpy(values)


def test_content_is_a_softmax_of_cosines():
    memory = array([[[3, 0], [0, 5], [-1, 0]]])
    found = numpy(content_weights(memory, array([[[2, 0]]]), array([[math.log(2)]])))
    np.testing.assert_allclose(found, [[[2 / 3.5, 1 / 3.5, 0.5 / 3.5]]], rtol=1e-4)


def test_location_by_gate_shift_and_sharpening():
    before = array([[[0, 0, 1, 0]]])
    weights = numpy(gated(array([[[1, 0, 0, 0]]]), before, array([[0.25]])))
    np.testing.assert_allclose(weights, [[[0.25, 0, 0.75, 0]]])
    moved = numpy(shifted(weights, array([[[0.1, 0.2, 0.7]]])))  # 0.7 one slot on, 0.1 one slot back
    np.testing.assert_allclose(moved, [[[0.05, 0.25, 0.15, 0.55]]], rtol=1e-5)
    sharp = numpy(sharpened(array([[[0.5, 0.25, 0.25, 0]]]), array([[2.0]])))
    np.testing.assert_allclose(sharp, [[[4 / 6, 1 / 6, 1 / 6, 0]]], atol=1e-4)


def test_reading_and_writing():
    memory, weights = array([[[1, 2], [3, 4]]]), array([[[1, 0], [0.5, 0.5]]])
    np.testing.assert_allclose(numpy(read(memory, weights)), [[[1, 2], [2, 3]]])
    erase, add = array([[[1, 0], [0, 1]]]), array([[[10, 0], [0, 20]]])
    # Slot 0: first column erased by head 0, second halved by head 1, then 10 and 0.5 * 20 added.
    np.testing.assert_allclose(numpy(written(memory, weights, erase, add)), [[[10, 11], [3, 12]]])


def test_usage_rises_by_writing_and_falls_by_freeing():
    found = numpy(usage(array([[0.5, 0.5, 0]]), array([[0, 1, 0.5]]), array([[[1, 0, 0]]]), array([[0.75]])))
    np.testing.assert_allclose(found, [[0.125, 1.0, 0.5]])


def test_usage_stays_in_the_unit_interval():
    rng = np.random.default_rng(1)
    used = rng.random((4, 6)).astype("float32")
    for _ in range(20):
        write, reads = (rng.dirichlet(np.ones(6), n).astype("float32") for n in (4, 8))
        used = numpy(usage(used, write, reads.reshape(4, 2, 6), rng.random((4, 2)).astype("float32")))
        assert (used >= 0).all() and (used <= 1).all()


def test_allocation_is_one_hot_on_the_free_slot():
    np.testing.assert_allclose(numpy(allocation(array([[1, 1, 0, 1]]))), [[0, 0, 1, 0]], atol=1e-5)
    # Usages 0.2, 0.5, 0.9 by rising order: 0.8, 0.5 * 0.2, 0.1 * 0.5 * 0.2.
    np.testing.assert_allclose(numpy(allocation(array([[0.5, 0.9, 0.2]]))), [[0.1, 0.01, 0.8]], rtol=1e-4)
    assert numpy(allocation(array([[1, 1, 1]]))).max() < 1e-5  # Nothing is free: nothing is allocated.


def test_links_after_two_writes():
    """Slot 2, then slot 0: the link leads from 2 to 0."""
    linked, last = np.zeros((1, 3, 3), "float32"), np.zeros((1, 3), "float32")
    for slot in (2, 0):
        write = np.eye(3, dtype="float32")[[slot]]
        linked, last = numpy(links(linked, last, write)), numpy(preceding(last, write))
    wanted = np.zeros((3, 3))
    wanted[0, 2] = 1
    np.testing.assert_allclose(linked[0], wanted)
    np.testing.assert_allclose(last, [[1, 0, 0]])
    content, modes = array([[[0, 1, 0]]]), array([[[0.25, 0.25, 0.5]]])
    from_2 = numpy(by_modes(modes, content, array([[[0, 0, 1]]]), linked))  # Forward from 2 is 0; nothing is before 2.
    np.testing.assert_allclose(from_2, [[[0.5, 0.25, 0]]])
    from_0 = numpy(by_modes(modes, content, array([[[1, 0, 0]]]), linked))  # Backward from 0 is 2.
    np.testing.assert_allclose(from_0, [[[0, 0.25, 0.25]]])


def test_what_blurred_links_say_is_sharpened():
    """Forward 0.8 and 0.2 to the power of 2 are 16 to 1; backward, to the power of 1, stay 0.8 to 0.75."""
    linked = array([[[0, 0, 0], [0.8, 0, 0.75], [0.2, 0.25, 0]]])  # From 0 forward to 1 and 2.
    content, reads = array([[[1, 0, 0]]]), array([[[1, 0, 0]]])
    forward = numpy(by_modes(array([[[0, 0, 1]]]), content, reads, linked, array([[[1, 2]]])))
    np.testing.assert_allclose(forward, [[[0, 16 / 17, 1 / 17]]], atol=1e-5)
    backward = numpy(by_modes(array([[[1, 0, 0]]]), content, array([[[0, 1, 0]]]), linked, array([[[1, 2]]])))
    np.testing.assert_allclose(backward, [[[0.8 / 1.55, 0, 0.75 / 1.55]]], atol=1e-5)
