"""Of equally similar pairs the first come first, whatever library chooses."""

import numpy as np
import pytest

from nmt_rl.retrieval.lexical import best


@pytest.mark.parametrize(
    ("scores", "count", "expected"),
    [
        ([0.0, 3.0, 1.0, 3.0, 2.0], 3, [1, 3, 4]),
        ([2.0, 2.0, 2.0, 2.0], 2, [0, 1]),  # Ties at the end of what is asked for.
        ([1.0, 2.0, 1.0, 2.0, 1.0], 3, [1, 3, 0]),
        ([0.0, 0.0, 1.0], 2, [2]),  # Nothing in common is never similar.
    ],
)
def test_the_best_places(scores, count, expected):
    assert best(np.array(scores, np.float32), count).tolist() == expected
