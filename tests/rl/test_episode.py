import io

import numpy as np
import pytest
from episodes import assert_same_arrays, make_episode

from nmt_rl.rl.episode import Episode, Origin, collate, from_arrays, to_arrays

pytestmark = pytest.mark.jax


def test_collate_by_hand():
    batch = collate([make_episode(1), make_episode(0)])
    np.testing.assert_array_equal(batch.tokens, [[14, 15], [4, 0]])
    np.testing.assert_allclose(batch.rewards, [[0.01, 0.02], [0.0, 0.0]])
    np.testing.assert_array_equal(batch.log_probs, [[-2, -3], [-1, 0]])
    np.testing.assert_array_equal(batch.prior_log_probs, [[-3, -4], [-2, 0]])
    np.testing.assert_array_equal(batch.features, [[[0, 1], [1, 2]], [[0, 0], [0, 0]]])
    np.testing.assert_array_equal(batch.mask, [[True, True], [True, False]])
    np.testing.assert_array_equal(batch.discount, [[1, 0], [0, 0]])
    np.testing.assert_array_equal(batch.source_id, [1001, 1000])
    assert collate([make_episode(1)], length=5).tokens.shape == (1, 5)


def test_what_cannot_be_collated():
    with pytest.raises(ValueError, match="2 steps does not fit into 1"):
        collate([make_episode(1)], length=1)
    with pytest.raises(ValueError, match="at least one"):
        collate([])


@pytest.mark.parametrize("forks", [[], [0], [0, 0], [2, 0, 3], [0, 1, 0]])
def test_round_trip_through_a_file(forks):
    """Episodes of different lengths, some with forks; none at all, too."""
    episodes = [make_episode(number + 2, forks=count) for number, count in enumerate(forks)]
    file = io.BytesIO()
    np.savez(file, **to_arrays(episodes))
    file.seek(0)
    read = from_arrays(np.load(file, allow_pickle=False))
    assert_same_arrays(to_arrays(read), to_arrays(episodes))
    for before, after in zip(episodes, read, strict=True):
        assert (after.id, after.source_id, after.policy_version) == (before.id, before.source_id, before.policy_version)
        assert after.origin is before.origin and len(after.forks) == len(before.forks)
        np.testing.assert_array_equal(after.tokens, before.tokens)
        np.testing.assert_array_equal(after.forks.actions, before.forks.actions)


def test_episodes_survive_changes_of_the_saved_arrays():
    arrays = to_arrays([make_episode(1)])
    (episode,) = from_arrays(arrays)
    arrays["tokens"][:] = 0
    np.testing.assert_array_equal(episode.tokens, [14, 15])


def test_the_score_is_the_sum_of_the_rewards():
    assert make_episode(1).score == pytest.approx(0.03) and make_episode(2).origin is Origin.GREEDY


def test_bad_episodes():
    with pytest.raises(ValueError, match="one length"):
        Episode(**{**vars(make_episode(1)), "rewards": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="at least 1"):
        make_episode(0, length=0)
