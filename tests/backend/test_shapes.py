import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compile_fn, dimension, gather, gather_rows


@pytest.mark.jax
def test_gathered_is_what_numpy_indexes():
    values = np.arange(24, dtype="float32").reshape(2, 3, 4)
    of_rows, of_places, along = (compile_fn(f) for f in (gather_rows, gather, lambda x, i: gather(x, i, axis=2)))
    for first, second in (([2, 0], [1, 1]), ([1], [0]), ([], [])):
        index = np.array([first, second], "int32")
        assert np.array_equal(of_rows(values, index % 2), values[index % 2])
        assert np.array_equal(of_places(values, index), [values[0, index[0]], values[1, index[1]]])
        assert np.array_equal(along(values, index), [values[0][:, index[0]], values[1][:, index[1]]])


@pytest.mark.jax
def test_dimensions_are_those_of_each_call():
    fill = compile_fn(lambda x: ops.zeros((dimension(x, 1), dimension(x, 2) + 1)))
    assert [tuple(fill(np.zeros(shape, "float32")).shape) for shape in ((5, 2, 7), (1, 3, 7))] == [(2, 8), (3, 8)]
