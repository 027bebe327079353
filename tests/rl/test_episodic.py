"""Neural episodic control: its equations by hand, what is kept of what was written, and exact resumes."""

import numpy as np
import pytest

from nmt_rl.config import EpisodicConfig
from nmt_rl.rl.episodic import EpisodicMemory, kernel_weights, mixed_value, state_keys, state_names

pytestmark = pytest.mark.jax

NOTHING = np.full(1, 7.0, np.float32)
"""What stands where the dictionary knows nothing."""


def make_memory(capacity=4, neighbours=1, **settings):
    return EpisodicMemory(EpisodicConfig(capacity=capacity, neighbours=neighbours, **settings), 2)


def write(memory, **entries):
    """Entries: name -> (key, return)."""
    names = np.array([ord(name) for name in entries], np.uint64)
    keys, returns = zip(*entries.values(), strict=True)
    memory.write(names, np.array(keys, np.float32), np.array(returns))


def value(memory, *key):
    return float(memory.value(np.array([key], np.float32), NOTHING)[0])


def test_weights_of_the_kernel_by_hand():
    """Squared distances 0, .5 and 2 with delta .5: kernels 2, 1 and .4, together 3.4."""
    weights = np.asarray(kernel_weights(np.float32([0.0, 0.5, 2.0]), 0.5))
    np.testing.assert_allclose(weights, [2 / 3.4, 1 / 3.4, 0.4 / 3.4], rtol=1e-6)


def test_a_value_is_the_mean_of_its_neighbours_by_hand():
    """From (0, 0): (1, 0) at squared distance 1, (0, 2) at 4, delta 1: kernels .5 and .2, (.5 * 3 + .2 * 10) / .7 = 5;
    the third is farther than two neighbours reach."""
    memory = make_memory(neighbours=2, kernel_delta=1.0)
    write(memory, a=((1, 0), 3.0), b=((0, 2), 10.0), c=((5, 5), -100.0))
    assert value(memory, 0, 0) == pytest.approx(5.0, rel=1e-5)


def test_the_nearest_of_many_is_found_exactly():
    rng = np.random.default_rng(1)
    memory = make_memory(capacity=500, neighbours=1)
    keys, returns = rng.normal(size=(500, 2)).astype(np.float32), rng.normal(size=500).astype(np.float32)
    memory.write(np.arange(500, dtype=np.uint64), keys, returns)
    queries = rng.normal(size=(300, 2)).astype(np.float32)
    nearest = ((queries[:, None] - keys) ** 2).sum(axis=-1).argmin(axis=1)
    np.testing.assert_allclose(memory.value(queries, np.zeros(300)), returns[nearest], rtol=1e-5)


def test_an_empty_dictionary_says_nothing_and_one_entry_everything():
    memory = make_memory(neighbours=3)
    assert value(memory, 1, 1) == 7.0
    write(memory, a=((0, 0), 0.25))
    assert value(memory, 1, 1) == pytest.approx(0.25, abs=1e-6)


def test_the_oldest_is_overwritten():
    memory = make_memory(capacity=3)
    write(memory, a=((0, 0), 1.0), b=((10, 0), 2.0))
    write(memory, c=((20, 0), 3.0), d=((30, 0), 4.0))
    assert [value(memory, x, 0) for x in (0, 10, 20, 30)] == pytest.approx([2.0, 2.0, 3.0, 4.0])
    write(memory, a=((0, 0), 5.0))
    assert [value(memory, x, 0) for x in (0, 12, 20, 30)] == pytest.approx([5.0, 3.0, 3.0, 4.0])
    assert len(memory) == 3


def test_a_state_that_is_met_again_moves_to_its_new_return_and_gets_its_new_key():
    """Q <- 1 + .25 (3 - 1) = 1.5, and no second entry."""
    memory = make_memory(capacity=2, learning_rate=0.25)
    write(memory, a=((0, 0), 1.0), b=((10, 0), 9.0))
    write(memory, a=((4, 0), 3.0))
    assert [value(memory, x, 0) for x in (0, 4, 10)] == pytest.approx([1.5, 1.5, 9.0])
    write(memory, c=((20, 0), 4.0))  # a is older than b, however young its key.
    assert [value(memory, x, 0) for x in (4, 10, 20)] == pytest.approx([9.0, 9.0, 4.0])


def test_a_restored_dictionary_goes_on_as_if_nothing_had_been():
    rng = np.random.default_rng(2)
    ours, theirs = make_memory(capacity=7, neighbours=3), make_memory(capacity=7, neighbours=3)

    def more(*memories):
        names, keys = rng.integers(0, 12, 5).astype(np.uint64), rng.normal(size=(5, 2))
        returns = rng.normal(size=5)
        for memory in memories:
            memory.write(names, keys, returns)

    more(ours)
    theirs.restore({name: array.copy() for name, array in ours.state().items()})
    for _ in range(5):
        more(ours, theirs)
    for name, array in ours.state().items():
        np.testing.assert_array_equal(array, theirs.state()[name])


def test_more_look_ups_than_are_made_at_once_are_as_many_alone():
    rng = np.random.default_rng(3)
    memory = make_memory(capacity=20, neighbours=5)
    memory.write(np.arange(20, dtype=np.uint64), rng.normal(size=(20, 2)), rng.normal(size=20))
    queries = rng.normal(size=(600, 2)).astype(np.float32)
    together = memory.value(queries, np.zeros(600))
    alone = [memory.value(query[None], np.zeros(1))[0] for query in queries[::97]]
    np.testing.assert_allclose(together[::97], alone, rtol=1e-6)


def test_keys_do_not_depend_on_how_wide_states_are():
    """h = (2, 0, 0, 0) and c = .5: the squared length is the mean 1 of h^2 plus .25."""
    key = state_keys(np.float32([[2, 0, 0, 0]]), np.float32([[0.5]]))
    np.testing.assert_allclose(key, [[1.0, 0.0, 0.0, 0.0, 0.5]])
    assert float((key**2).sum()) == pytest.approx(1.25)


def test_names_tell_sources_and_prefixes_apart():
    tokens = np.array([[5, 6, 3], [5, 7, 3], [5, 6, 3]], np.int32)
    names = state_names(np.array([1, 1, 2]), tokens)
    factor, modulus = 6364136223846793005, 2**64
    first = 2 * factor % modulus
    assert names[0, :2].tolist() == [first, (first + 6) * factor % modulus]
    np.testing.assert_array_equal(names[0, :2], names[1, :2])  # The same source and the same prefix.
    assert len(np.unique(names)) == 7


def test_mixing_by_hand():
    np.testing.assert_allclose(mixed_value(np.array([1.0, 0.0]), np.array([0.0, 0.5]), 0.25), [0.75, 0.125])
