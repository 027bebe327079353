import io

import numpy as np
import pytest

from nmt_rl.rl.priorities import (
    PrioritySampler,
    SumTree,
    importance_exponent,
    importance_weights,
    sampling_probabilities,
    sequence_priorities,
)

pytestmark = pytest.mark.jax

# chi-square with 2 and with 4 degrees of freedom exceeds this with probability 1e-3
CHI_SQUARE = {2: 13.82, 4: 18.47}


def rng(seed=0):
    return np.random.default_rng(seed)


def sampler_of(priorities, exponent=1.0, uniform_mix=0.0, first=0):
    sampler = PrioritySampler(len(priorities), exponent, uniform_mix)
    sampler.insert(np.arange(first, first + len(priorities)), priorities)
    return sampler


def assert_same_state(left, right):
    left, right = left.state_dict(), right.state_dict()
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name])


# ---- equations


def test_sequence_priorities_by_hand():
    # .9 * .5 + .1 * (.1 + .5 + .3) / 3
    np.testing.assert_allclose(sequence_priorities([[0.1, -0.5, 0.3]], [[1, 1, 1]], 0.9), [0.48])
    np.testing.assert_allclose(sequence_priorities([[0.1, -0.5, 0.3]], [[1, 1, 1]], 1.0), [0.5])
    np.testing.assert_allclose(sequence_priorities([[0.1, -0.5, 0.3]], [[1, 1, 1]], 0.0), [0.3])


@pytest.mark.parametrize("padding", [0.0, 1e9, np.nan, np.inf])
def test_nothing_padded_reaches_a_priority(padding):
    errors = np.array([[0.1, -0.5, 0.3, padding, padding], [0.2, padding, padding, padding, padding]], np.float32)
    mask = np.arange(5) < np.array([[3], [1]])
    np.testing.assert_allclose(sequence_priorities(errors, mask, 0.9), [0.48, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(sequence_priorities(errors, np.zeros((2, 5)), 0.9), [0.0, 0.0])
    with pytest.raises(ValueError, match="one shape"):
        sequence_priorities(errors, mask[:, :4], 0.9)


def probabilities_of(priorities, exponent, mix):
    mass = np.asarray(priorities, float) ** exponent
    return sampling_probabilities(mass, mass.sum(), mass.size, mix)


def test_sampling_probabilities_by_hand():
    # powers 1.0000000, 3.0314331, 2.4082247 sum to 6.4396578
    found = probabilities_of([1, 4, 3], 0.8, 0.1)
    np.testing.assert_allclose(found, [0.17309231, 0.45700333, 0.36990436], atol=1e-7)
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(probabilities_of([1, 4, 3], 1.0, 0.0), [0.125, 0.5, 0.375])
    np.testing.assert_allclose(probabilities_of([1, 4, 3], 0.0, 0.0), [1 / 3] * 3)
    np.testing.assert_allclose(probabilities_of([1, 4, 3], 0.8, 1.0), [1 / 3] * 3)
    np.testing.assert_array_equal(probabilities_of([0, 0, 0, 0], 0.8, 0.1), [0.25] * 4)
    np.testing.assert_allclose(probabilities_of([0, 2], 1.0, 0.1), [0.05, 0.95])


def test_importance_weights_by_hand():
    # (N p) = .5, 2, 1; beta = .5: 1.41421, .70711, 1, over the largest
    np.testing.assert_allclose(importance_weights([0.125, 0.5, 0.25], 4, 0.5), [1.0, 0.5, 0.70710678])
    np.testing.assert_allclose(importance_weights([0.125, 0.5, 0.25], 4, 1.0), [1.0, 0.25, 0.5])
    np.testing.assert_array_equal(importance_weights([0.125, 0.5, 0.25], 4, 0.0), [1.0, 1.0, 1.0])


def test_full_importance_weights_undo_the_priorities():
    probabilities = probabilities_of([1, 4, 3], 0.8, 0.1)
    weights = importance_weights(probabilities, 3, 1.0)
    np.testing.assert_allclose(probabilities * weights, np.full(3, probabilities.min()))


def test_importance_exponent_by_hand():
    assert [importance_exponent(0.4, step, 10) for step in (0, 5, 10, 12)] == pytest.approx([0.4, 0.7, 1.0, 1.0])


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_bad_priorities_are_refused_and_change_nothing(bad):
    sampler = sampler_of([1.0, 2.0], exponent=0.0)
    for act in (sampler.insert, sampler.update):
        with pytest.raises(ValueError, match="finite and not negative"):
            act([0, 1], [5.0, bad])
    with pytest.raises(ValueError, match="finite and not negative"):
        SumTree(2).set([0], [bad])
    assert_same_state(sampler, sampler_of([1.0, 2.0], exponent=0.0))


# ---- sum tree


@pytest.mark.parametrize("slots", [1, 2, 3, 13, 64])
def test_sum_tree_does_what_a_list_does(slots):
    """Whole numbers, so that float64 sums are exact in any order."""
    chance = rng(slots)
    tree, naive = SumTree(slots), np.zeros(slots)
    for _ in range(1000 // 5):
        for action in chance.choice(["add", "update", "evict", "several", "several"], 5):
            where = chance.integers(slots, size=4 if action == "several" else 1)
            value = np.zeros(1) if action == "evict" else chance.integers(0, 9, len(where)).astype(float)
            tree.set(where, value)
            for slot, number in zip(where, np.resize(value, len(where)), strict=True):
                naive[slot] = number
        assert tree.total == naive.sum()
        np.testing.assert_array_equal(tree.get(range(slots)), naive)
        if tree.total:
            targets = np.append(np.arange(naive.sum()), chance.random(8) * naive.sum())
            expected = (np.cumsum(naive) > targets[:, None]).argmax(axis=1)
            np.testing.assert_array_equal(tree.find(targets), expected)


def test_sums_have_no_memory():
    tree = SumTree(5)
    tree.set(range(5), [0.1, 1e15, 0.3, 1e-9, 0.7])
    tree.set([1, 0, 2, 4], 0.0)
    assert tree.total == 1e-9
    fresh = SumTree(5)
    fresh.set(3, 1e-9)
    assert fresh.total == tree.total


def test_a_slot_of_value_0_is_never_found():
    tree = SumTree(6)
    tree.set([1, 3], [0.1, 0.2])
    targets = [0.0, np.nextafter(0.1, 0), 0.1, np.nextafter(tree.total, 0), tree.total, 1.0]
    np.testing.assert_array_equal(tree.find(targets), [1, 1, 3, 3, 3, 3])
    tree.set([1, 3], 0.0)
    with pytest.raises(ValueError, match="all values"):
        tree.find([0.0])


def test_slots_that_are_not_there():
    tree = SumTree(3)
    for slot in (-1, 3):
        with pytest.raises(IndexError, match="from 0 to 2"):
            tree.set([0, slot], 1.0)
        with pytest.raises(IndexError, match="from 0 to 2"):
            tree.get(slot)
    with pytest.raises(ValueError, match="at least 1"):
        PrioritySampler(0, 0.6, 0.0)


# ---- draws


@pytest.mark.parametrize(
    ("priorities", "exponent", "mix"),
    [([1, 4, 3], 0.8, 0.1), ([1, 4, 3], 0.0, 0.1), ([0, 0, 0], 0.8, 0.1), ([0, 5, 1, 0.2, 2], 0.6, 0.3)],
)
def test_draws_follow_the_probabilities(priorities, exponent, mix):
    sampler, chance = sampler_of(priorities, exponent, mix, first=7), rng()
    expected = probabilities_of(priorities, exponent, mix)
    counts = np.zeros(len(priorities))
    for _ in range(2_500):
        ids, probabilities = sampler.draw(20, chance)
        np.add.at(counts, ids - 7, 1)
        np.testing.assert_allclose(probabilities, expected[ids - 7])
    counts_expected = 50_000 * expected
    assert ((counts - counts_expected) ** 2 / counts_expected).sum() < CHI_SQUARE[len(priorities) - 1]


def test_single_draws_follow_the_probabilities_too():
    """Without strata to even them out, the counts are multinomial and chi-square is at its place."""
    sampler, chance = sampler_of([1, 4, 3], 0.8, 0.1), rng(3)
    counts = np.bincount([int(sampler.draw(1, chance)[0][0]) for _ in range(5_000)], minlength=3)
    expected = 5_000 * probabilities_of([1, 4, 3], 0.8, 0.1)
    assert ((counts - expected) ** 2 / expected).sum() < CHI_SQUARE[2]


def test_draws_are_stratified():
    for exponent in (0.0, 1.0):
        ids, _ = sampler_of([2.0] * 8, exponent).draw(8, rng())
        np.testing.assert_array_equal(np.sort(ids), range(8))
    ids, _ = sampler_of([1, 2, 1], 1.0).draw(400, rng())
    np.testing.assert_array_equal(np.bincount(ids), [100, 200, 100])


def test_draws_are_deterministic():
    def drawn(seed):
        return sampler_of([1, 4, 3, 2, 5], 0.6, 0.2).draw(64, rng(seed))[0]

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()


def test_new_ids_get_the_largest_priority_so_far():
    sampler = PrioritySampler(8, 1.0, 0.0)
    sampler.insert([0, 1])
    np.testing.assert_array_equal(sampler.state_dict()["priorities"], [1, 1])
    sampler.insert([2])
    sampler.update([0, 1], [0.2, 0.4])
    sampler.update([1], [0.1])
    sampler.insert([3, 4])
    sampler.update([77], [9.0])
    sampler.insert([5])
    np.testing.assert_array_equal(sampler.state_dict()["priorities"], [0.2, 0.1, 1, 0.4, 0.4, 0.4])


def test_evicted_and_unknown_ids_are_ignored():
    sampler = sampler_of([1.0, 2.0, 3.0])
    sampler.insert([3, 4], [4.0, 5.0])
    before = sampler.state_dict()
    sampler.update([0, 1, 99, -1, -3], [7.0] * 5)
    sampler.evict([0, 1, 99, -1, -3])
    sampler.update([], [])
    for name, value in sampler.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(before["ids"], [2, 3, 4])
    sampler.update([1, 3], [7.0, 6.0])
    np.testing.assert_array_equal(sampler.state_dict()["priorities"], [3, 6, 5])
    empty = PrioritySampler(3, 1.0, 0.0)
    empty.update([-1, 0], [7.0, 7.0])
    assert_same_state(empty, PrioritySampler(3, 1.0, 0.0))
    with pytest.raises(ValueError, match="negative, found -1"):
        sampler.insert([5, -1], [1.0, 1.0])


def test_a_flood_leaves_the_newest():
    sampler = PrioritySampler(3, 1.0, 0.0)
    sampler.insert(np.arange(8), np.arange(8.0))
    assert len(sampler) == 3
    ids, probabilities = sampler.draw(50, rng())
    np.testing.assert_allclose(probabilities, ids / 18)
    assert set(ids) == {5, 6, 7}


def test_age_limit():
    sampler = sampler_of([8.0, 1.0, 4.0, 3.0], 0.8, 0.1, first=10)
    expected = probabilities_of([1, 4, 3], 0.8, 0.1)
    ids, probabilities = sampler.draw(500, rng(), oldest_id=11)
    assert set(ids) == {11, 12, 13} and len(sampler) == 3
    np.testing.assert_allclose(probabilities, expected[ids - 11])
    with pytest.raises(ValueError, match="no id to draw"):
        sampler.draw(1, rng(), oldest_id=14)
    sampler.insert([14], [2.0])
    np.testing.assert_array_equal(sampler.draw(2, rng(), oldest_id=14), [[14, 14], [1.0, 1.0]])


def test_sampler_does_what_a_dictionary_does():
    """1,000 random operations; after each, what would be drawn is what the equation says of what is stored."""
    chance, sampler, naive, added = rng(5), PrioritySampler(11, 0.6, 0.05), {}, 0
    for _ in range(1000):
        action = chance.choice(["insert", "update", "evict", "age"], p=[0.4, 0.4, 0.15, 0.05])
        count, oldest = int(chance.integers(0, 4)), 0
        ids = chance.integers(max(added - 15, 0), added + 1, count)
        priorities = np.where(chance.random(count) < 0.2, 0.0, chance.random(count))
        if action == "insert":
            ids = np.arange(added, added + count)
            sampler.insert(ids, priorities)
            naive |= dict(zip(ids.tolist(), priorities, strict=True))
            added += count
            naive = {i: p for i, p in naive.items() if i >= added - 11}
        elif action == "update":
            sampler.update(ids, priorities)
            naive |= {i: p for i, p in zip(ids.tolist(), priorities, strict=True) if i in naive}
        elif action == "evict":
            sampler.evict(ids)
            naive = {i: p for i, p in naive.items() if i not in ids}
        else:
            oldest = added - 6
            naive = {i: p for i, p in naive.items() if i >= oldest}
        if not naive:
            with pytest.raises(ValueError, match="no id"):
                sampler.draw(1, chance, oldest)
            continue
        expected = dict(zip(naive, probabilities_of(list(naive.values()), 0.6, 0.05), strict=True))
        drawn, probabilities = sampler.draw(3, chance, oldest)
        np.testing.assert_allclose(probabilities, [expected[i] for i in drawn.tolist()], rtol=1e-12)
        assert len(sampler) == len(naive)


# ---- state


@pytest.mark.parametrize("added", [0, 3, 20])
def test_state_round_trip_gives_the_same_draws(added):
    sampler = PrioritySampler(8, 0.6, 0.05)
    sampler.insert(np.arange(added))
    sampler.update(np.arange(added), rng(1).random(added))
    sampler.insert([added])
    sampler.evict([added - 2])
    file = io.BytesIO()
    np.savez(file, **sampler.state_dict())
    file.seek(0)
    restored = PrioritySampler(8, 0.6, 0.05)
    restored.insert([3], [99.0])
    restored.load_state_dict(np.load(file, allow_pickle=False))
    chances = rng(2), rng(2)
    for step in range(20):
        drawn = [s.draw(4, chance) for s, chance in zip((sampler, restored), chances, strict=True)]
        np.testing.assert_array_equal(*drawn)
        new = [added + 1 + step]
        errors = rng(step).random(4)
        for s in (sampler, restored):
            s.update(drawn[0][0], errors)
            s.insert(new)
    assert_same_state(sampler, restored)


def test_smaller_capacity_keeps_the_newest():
    smaller = PrioritySampler(2, 1.0, 0.0)
    smaller.load_state_dict(sampler_of([1.0, 9.0, 3.0, 4.0, 5.0]).state_dict())
    np.testing.assert_array_equal(smaller.state_dict()["ids"], [3, 4])
    np.testing.assert_array_equal(smaller.state_dict()["priorities"], [4, 5])
    smaller.insert([5])
    np.testing.assert_array_equal(smaller.state_dict()["priorities"], [5, 9])
