"""Episodes with numbers of their own."""

import numpy as np

from nmt_rl.rl.episode import NO_FORKS, Episode, Forks, Origin


def make_episode(number, length=None, version=None, forks=0):
    """Whose every number can be told from every other's; its id is not its place."""
    length = number % 4 + 1 if length is None else length
    steps = np.arange(length)
    times = np.arange(forks, dtype=np.int32)
    return Episode(
        id=500 - number,
        source_id=1000 + number,
        policy_version=number // 2 if version is None else version,
        origin=(Origin.SAMPLE, Origin.REFERENCE, Origin.GREEDY)[number % 3],
        tokens=(10 * number + 4 + steps).astype(np.int32),
        rewards=(0.01 * (number + steps)).astype(np.float32),
        log_probs=(-1.0 - number - steps).astype(np.float32),
        prior_log_probs=(-2.0 - number - steps).astype(np.float32),
        features=np.stack([steps, steps + number], 1).astype(np.float32),
        forks=Forks(
            times,
            np.stack([10 * number + 4 + times, 90 + times], 1).astype(np.int32),
            np.stack([0.5 + 0 * times, 0.1 * times + 0.01 * number], 1).astype(np.float32),
            (0.2 * times - number).astype(np.float32),
        )
        if forks
        else NO_FORKS,
    )


def assert_same_arrays(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype, name
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
