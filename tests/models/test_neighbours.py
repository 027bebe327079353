"""What neighbours of a state say, worked out by hand."""

import math

import numpy as np
import pytest
from keras import ops

from nmt_rl.models.neighbours import (
    FAR,
    adaptive_share,
    distance_share,
    features,
    mixed,
    nearest,
    neighbour_weights,
    squared_distances,
)

pytestmark = pytest.mark.jax


def test_distances_and_the_nearest():
    queries = np.array([[[0.0, 0.0], [3.0, 4.0]]], "float32")
    keys = np.array([[[3.0, 4.0], [0.0, 1.0], [9.0, 9.0]]], "float32")
    found = squared_distances(queries, keys, np.array([[True, True, False]]))
    assert ops.convert_to_numpy(found).tolist() == [[[25.0, 1.0, FAR], [0.0, 18.0, FAR]]]
    near, values = nearest(found, np.array([[7, 8, 9]], "int32"), 2)
    assert ops.convert_to_numpy(near).tolist() == [[[1.0, 25.0], [0.0, 18.0]]]
    assert ops.convert_to_numpy(values).tolist() == [[[8, 7], [7, 8]]]


def test_weights_are_a_softmax_of_what_exists():
    found = ops.convert_to_numpy(neighbour_weights(np.array([[0.0, 2.0, FAR], [FAR, FAR, FAR]], "float32"), 2.0))
    first = 1 / (1 + math.exp(-1))
    np.testing.assert_allclose(found, [[first, 1 - first, 0], [0, 0, 0]], atol=1e-6)


def test_shares():
    distances = np.array([[1.0, 5.0], [8.0, 9.0]], "float32")
    assert ops.convert_to_numpy(distance_share(distances, 4.0)).tolist() == [0.75, 0.0]
    weights, values = np.array([[0.5, 0.5], [0.75, 0.25]], "float32"), np.array([[4, 4], [4, 5]], "int32")
    log_probs = np.log(np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], "float32"))
    judged = ops.convert_to_numpy(features(distances, values, weights, log_probs, 2.0))
    np.testing.assert_allclose(judged, [[1, 0.5, 1.0, math.log(0.5)], [1, 4.0, 0.75, math.log(0.75)]], rtol=1e-5)
    share = ops.convert_to_numpy(adaptive_share(np.array([[1.0, 0.5], [1.0, 1.5]], "float32"), [1.0, -2.0]))
    assert share.tolist() == [0.25, 0.0]  # Half, half as near as what says nothing; and beyond that.


def test_the_mixture_by_hand():
    log_probs = np.log(np.array([[0.5, 0.3, 0.2]] * 2, "float32"))
    values, weights = np.array([[2, 2], [0, 1]], "int32"), np.array([[0.6, 0.4], [0.0, 0.0]], "float32")
    found = np.exp(ops.convert_to_numpy(mixed(log_probs, values, weights, np.array([0.25, 0.25], "float32"))))
    np.testing.assert_allclose(found, [[0.375, 0.225, 0.4], [0.5, 0.3, 0.2]], atol=1e-6)
