import io

import numpy as np
import pytest

from nmt_rl.rl.priorities import PrioritySampler
from nmt_rl.rl.replay import EpisodeRecord, Origin, SequenceReplay, choose_uniform, collate

pytestmark = pytest.mark.jax


def record(number, length=None):
    """A record whose every number can be told from every other's."""
    length = number % 4 + 1 if length is None else length
    steps = np.arange(length)
    return EpisodeRecord(
        source_id=1000 + number,
        tokens=(10 * number + 4 + steps).astype(np.int32),
        rewards=(0.01 * (number + steps)).astype(np.float32),
        prior_logp=(-2.0 - number - steps).astype(np.float32),
        features=np.stack([steps, steps + number], 1).astype(np.float32),
        policy_version=number // 2,
        origin=(Origin.SAMPLE, Origin.REFERENCE)[number % 2],
    )


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name])


def test_first_in_first_out():
    replay = SequenceReplay(3)
    assert (len(replay), replay.ids) == (0, range(0))
    np.testing.assert_array_equal(replay.add([record(0), record(1)]), [0, 1])
    np.testing.assert_array_equal(replay.add([record(2), record(3), record(4)]), [2, 3, 4])
    assert (len(replay), replay.ids) == (3, range(2, 5))
    assert [r.source_id for r in replay.get([4, 2, 2])] == [1004, 1002, 1002]
    for gone in (1, 5):
        with pytest.raises(KeyError, match="ids go from 2 to 4"):
            replay.get([gone])


def test_a_flood_leaves_the_newest():
    replay = SequenceReplay(2)
    np.testing.assert_array_equal(replay.add(map(record, range(5))), range(5))
    assert [r.source_id for r in replay.get(replay.ids)] == [1003, 1004]


def test_collate_by_hand():
    batch = collate([record(1), record(0)])
    np.testing.assert_array_equal(batch.tokens, [[14, 15], [4, 0]])
    np.testing.assert_allclose(batch.rewards, [[0.01, 0.02], [0.0, 0.0]])
    np.testing.assert_array_equal(batch.prior_logp, [[-3, -4], [-2, 0]])
    np.testing.assert_array_equal(batch.features, [[[0, 1], [1, 2]], [[0, 0], [0, 0]]])
    np.testing.assert_array_equal(batch.mask, [[True, True], [True, False]])
    np.testing.assert_array_equal(batch.discount, [[1, 0], [0, 0]])
    np.testing.assert_array_equal(batch.source_id, [1001, 1000])
    np.testing.assert_array_equal(batch.origin, [Origin.REFERENCE, Origin.SAMPLE])
    assert collate([record(1)], length=5).tokens.shape == (1, 5)
    with pytest.raises(ValueError, match="2 steps does not fit into 1"):
        collate([record(1)], length=1)
    with pytest.raises(ValueError, match="at least one"):
        collate([])


def test_demonstrations_are_never_evicted():
    replay = SequenceReplay(2)
    assert replay.demonstration_ids == range(0)
    np.testing.assert_array_equal(replay.add_demonstrations([record(20), record(21)]), [-1, -2])
    replay.add(map(record, range(9)))
    np.testing.assert_array_equal(replay.add_demonstrations([record(3)]), [-3])
    replay.add(map(record, range(9, 12)))
    assert (len(replay), replay.ids, replay.demonstration_ids) == (2, range(10, 12), range(-3, 0))
    assert [r.source_id for r in replay.get([-1, 11, -3, -2, -1])] == [1020, 1011, 1003, 1021, 1020]
    drawn = choose_uniform(replay.demonstration_ids, 100, np.random.default_rng(0))
    assert {r.source_id for r in replay.get(drawn)} == {1020, 1021, 1003}
    with pytest.raises(KeyError, match="there are 3 demonstrations"):
        replay.get([-4])


def test_age_limit_gives_the_ids_that_are_new_enough():
    replay = SequenceReplay(5)
    assert replay.ids_since(0) == range(0)
    replay.add_demonstrations([record(0)])
    replay.add(map(record, range(8)))  # ids 3 ... 7 are left, of versions 1, 2, 2, 3, 3
    since = {version: replay.ids_since(version) for version in (-1, 1, 2, 3, 4)}
    assert since == {-1: range(3, 8), 1: range(3, 8), 2: range(4, 8), 3: range(6, 8), 4: range(8, 8)}
    with pytest.raises(ValueError, match="found 2 after 3"):
        replay.add([record(4)])


def test_the_age_limit_looks_at_few_records():
    """14 of 10,000: halving finds the place."""
    replay, looked = SequenceReplay(10_000), []
    replay.add(record(n, 1) for n in range(12_000))

    class Noting(dict):
        def __getitem__(self, number):
            looked.append(number)
            return super().__getitem__(number)

    replay._records = Noting(replay._records)
    assert replay.ids_since(3000) == range(6000, 12_000) and len(looked) <= 14


def test_what_a_sampler_of_the_same_capacity_draws_is_stored():
    replay, sampler = SequenceReplay(6), PrioritySampler(6, 0.6, 0.1)
    rng = np.random.default_rng(0)
    replay.add_demonstrations([record(9)])
    for number in range(0, 40, 2):
        sampler.insert(replay.add([record(number), record(number + 1)]))
        assert len(sampler) == len(replay)
        young = replay.ids_since(number // 2 - 1)
        ids, _ = sampler.draw(6, rng, young.start)
        assert len(sampler) == len(young) == (5 if number else 2)
        assert {r.policy_version for r in replay.get(ids)} <= {number // 2 - 1, number // 2}
        sampler.insert(replay.add([record(number + 1)]))


@pytest.mark.parametrize("demonstrations", [0, 3])
@pytest.mark.parametrize("added", [0, 2, 7])
def test_state_round_trip_through_a_file(added, demonstrations):
    replay = SequenceReplay(4)
    replay.add_demonstrations(record(30 + n) for n in range(demonstrations))
    replay.add(record(n) for n in range(added))
    file = io.BytesIO()
    np.savez(file, **replay.state_dict())
    file.seek(0)
    restored = SequenceReplay(4)
    restored.add([record(9)])
    restored.add_demonstrations([record(9)])
    restored.load_state_dict(np.load(file, allow_pickle=False))
    assert restored.ids == replay.ids
    assert_same(restored.state_dict(), replay.state_dict())
    replay.add([record(50)])
    restored.add([record(50)])
    assert_same(restored.state_dict(), replay.state_dict())
    assert restored.get(restored.ids)[0].origin is replay.get(replay.ids)[0].origin
    stored = restored.get(restored.demonstration_ids)
    assert [r.source_id for r in stored] == [1030 + n for n in reversed(range(demonstrations))]


def test_smaller_capacity_keeps_the_newest():
    replay, smaller = SequenceReplay(5), SequenceReplay(2)
    replay.add(record(n) for n in range(7))
    replay.add_demonstrations(record(n) for n in range(20, 24))
    smaller.load_state_dict(replay.state_dict())
    assert (smaller.ids, smaller.demonstration_ids) == (range(5, 7), range(-4, 0))
    assert [r.source_id for r in smaller.get(smaller.ids)] == [1005, 1006]


def test_records_survive_changes_of_the_saved_arrays():
    replay = SequenceReplay(2)
    replay.add([record(1)])
    state = replay.state_dict()
    replay.load_state_dict(state)
    state["tokens"][:] = 0
    np.testing.assert_array_equal(replay.get([0])[0].tokens, [14, 15])


def test_uniform_choice():
    ids = choose_uniform(range(10, 15), 50_000, np.random.default_rng(0))
    values, counts = np.unique(ids, return_counts=True)
    np.testing.assert_array_equal(values, range(10, 15))
    # chi-square with 4 degrees of freedom exceeds 18.47 with probability 1e-3
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 18.47
    np.testing.assert_array_equal(ids, choose_uniform(range(10, 15), 50_000, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="empty"):
        choose_uniform(range(3, 3), 1, np.random.default_rng(0))


def test_bad_records_and_capacity():
    good = record(1)
    with pytest.raises(ValueError, match="one length"):
        EpisodeRecord(**{**vars(good), "rewards": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="at least 1"):
        record(0, length=0)
    with pytest.raises(ValueError, match="capacity"):
        SequenceReplay(0)
    assert good.score == pytest.approx(0.03)
