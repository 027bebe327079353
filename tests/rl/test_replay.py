import io

import numpy as np
import pytest
from episodes import assert_same_arrays, make_episode

from nmt_rl.rl.replay import Queue, Replay

pytestmark = pytest.mark.jax


def replay(capacity=100, share=0.0, max_age=0, priority=0.0, updates=10, fresh=None):
    return Replay(capacity, share, max_age, priority, updates, fresh)


def rng(seed=0):
    return np.random.default_rng(seed)


def sources(sampled):
    return [episode.source_id - 1000 for episode in sampled.episodes]


def every(memory, step=1):
    """Numbers of all that can be drawn; nothing new is left."""
    return set(sources(memory.sample(1, step, rng()))) | set(sources(memory.sample(300, step, rng(1))))


def test_an_episode_is_taken_once_whoever_sends_it_again():
    memory, first = replay(), [make_episode(0), make_episode(1)]
    assert memory.add(first) == 2
    assert memory.add([make_episode(1), make_episode(2)]) == 1
    assert len(memory) == 3
    assert sources(memory.sample(9, 1, rng())) == [0, 1, 2]


def test_episodes_may_come_in_any_order():
    """As from several actors, some of which are slower."""
    memory = replay(max_age=2)
    memory.add(make_episode(n, version=version) for n, version in ((5, 4), (3, 1), (4, 4)))
    assert sources(memory.sample(9, 5, rng())) == [5, 4], "the one of 3 updates ago is too old"


def test_of_many_new_ones_each_update_has_some_at_random_and_older_ones_beside_them():
    memory = replay(fresh=2)
    memory.add(make_episode(n) for n in range(7))
    drawn = [memory.sample(4, step, rng(step)) for step in range(1, 6)]
    sizes = [len(each.episodes) for each in drawn]
    assert sizes == [2, 4, 4, 4, 4], "nothing is older than the first"
    new = [n for each in drawn[:3] for n in sources(each)[:2]] + sources(drawn[3])[:1]
    assert sorted(new) == list(range(7)) != new, "each is new once, in no order"
    assert all(set(sources(each)[2:]) <= set(new[: 2 * i]) for i, each in enumerate(drawn[:3]))


def test_the_oldest_go_first_and_may_come_back():
    memory = replay(capacity=3)
    assert memory.add(make_episode(n) for n in range(5)) == 5
    assert every(memory) == {2, 3, 4} and len(memory) == 3
    assert memory.add([make_episode(0), make_episode(4)]) == 1
    assert every(memory) == {0, 3, 4}


def test_what_is_new_comes_first_as_it_is_and_once():
    memory = replay(priority=0.6)
    memory.add([make_episode(0), make_episode(1)])
    first = memory.sample(9, 1, rng())
    assert sources(first) == [0, 1] and first.weights.tolist() == [1.0, 1.0]
    memory.add([make_episode(2)])
    assert sources(memory.sample(9, 2, rng())) == [2]
    assert len(memory.sample(9, 3, rng()).episodes) == 9, "nothing is new: as many as asked for"


@pytest.mark.parametrize(("share", "old"), [(0.0, 0), (0.25, 1), (0.5, 3), (0.75, 9)])
def test_the_share_of_older_ones_in_a_batch(share, old):
    memory = replay(share=share)
    memory.add(make_episode(n) for n in range(4))
    assert len(memory.sample(9, 1, rng()).episodes) == 4, "there is nothing older yet"
    memory.add(make_episode(n) for n in range(4, 7))
    drawn = sources(memory.sample(9, 2, rng()))
    assert drawn[:3] == [4, 5, 6] and len(drawn) == 3 + old and set(drawn[3:]) <= {0, 1, 2, 3}


def test_age_is_counted_in_updates_of_the_policy():
    memory = replay(max_age=3)
    memory.add([make_episode(0, version=0), make_episode(1, version=2)])
    assert every(memory, step=4) == {0, 1}
    assert every(memory, step=5) == {1} and len(memory) == 1
    assert memory.add([make_episode(0, version=4)]) == 1, "what is forgotten is not known any more"
    with pytest.raises(ValueError, match="empty"):
        memory.sample(1, 100, rng())


def test_draws_follow_the_priorities_and_are_weighed():
    """P = p / sum p and (N P)^-b / max: at the last update b = 1, so that weights times probabilities are alike."""
    memory = replay(priority=1.0, updates=10)
    memory.add([make_episode(0), make_episode(1)])
    memory.prioritise(memory.sample(9, 1, rng()).places, [0.9, 0.1])
    drawn = memory.sample(20_000, 10, rng())
    share = np.mean([number == 0 for number in sources(drawn)])
    assert share == pytest.approx(0.9, abs=0.01)
    weights = dict(zip(sources(drawn), drawn.weights, strict=True))
    assert weights[1] == pytest.approx(1.0) and weights[0] == pytest.approx(1 / 9, rel=0.02)


def test_without_an_exponent_draws_are_uniform():
    memory = replay(priority=0.0)
    memory.add(make_episode(n) for n in range(5))
    memory.prioritise(memory.sample(9, 1, rng()).places, [100.0, 1.0, 1.0, 1.0, 0.0])
    drawn = memory.sample(50_000, 5, rng())
    counts = np.bincount(sources(drawn), minlength=5)
    # chi-square with 4 degrees of freedom exceeds 18.47 with probability 1e-3
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 18.47
    np.testing.assert_allclose(drawn.weights, 1.0)


def test_priorities_of_what_is_gone_meanwhile_are_ignored():
    memory = replay(capacity=2, priority=1.0)
    memory.add([make_episode(0), make_episode(1)])
    places = memory.sample(9, 1, rng()).places
    memory.add([make_episode(2), make_episode(3)])
    memory.prioritise(places, [1e6, 1e6])
    memory.sample(9, 2, rng())
    assert every(memory, step=3) == {2, 3}


@pytest.mark.parametrize("added", [0, 2, 9])
def test_a_resume_draws_what_would_have_been_drawn(added):
    memory = replay(capacity=6, share=0.5, max_age=9, priority=0.7)
    memory.add(make_episode(n, forks=n % 3) for n in range(added))
    if added:
        sampled = memory.sample(3, 1, rng())
        memory.prioritise(sampled.places, np.linspace(0.1, 1.0, len(sampled.places)))
    memory.add(make_episode(n) for n in range(20, 22))
    file = io.BytesIO()
    np.savez(file, **memory.state())
    file.seek(0)
    restored = replay(capacity=6, share=0.5, max_age=9, priority=0.7)
    restored.add([make_episode(9)])
    restored.restore(np.load(file, allow_pickle=False))
    assert_same_arrays(restored.state(), memory.state())
    for step in (2, 3):
        one, other = (each.sample(5, step, rng(step)) for each in (memory, restored))
        assert sources(one) == sources(other)
        np.testing.assert_array_equal(one.weights, other.weights)
        assert memory.add([make_episode(21), make_episode(30)]) == restored.add([make_episode(21), make_episode(30)])
    assert_same_arrays(restored.state(), memory.state())


def test_a_smaller_capacity_keeps_the_newest():
    memory, smaller = replay(capacity=5, priority=0.5), replay(capacity=2, priority=0.5)
    memory.add(make_episode(n) for n in range(7))
    memory.sample(1, 1, rng())
    smaller.restore(memory.state())
    assert every(smaller) == {5, 6} and len(smaller) == 2


def test_a_queue_gives_everything_once():
    queue = Queue()
    assert queue.add([make_episode(0), make_episode(1)]) == 2 and len(queue) == 2
    other = Queue()
    other.restore(queue.state())
    for each in (queue, other):
        sampled = each.sample(1, 1, rng())
        assert sources(sampled) == [0, 1] and sampled.weights.tolist() == [1.0, 1.0] and len(each) == 0
        with pytest.raises(ValueError, match="nothing was played"):
            each.sample(1, 1, rng())


def test_a_capacity_below_1():
    with pytest.raises(ValueError, match="capacity must be at least 1, found 0"):
        replay(capacity=0)
