import numpy as np
import pytest
from keras import ops

from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.models.segments import positions_within, same_segment, source_segments, target_segments

SOURCE = np.array([[5, 6, EOS, 7, EOS, EOS, PAD], [PAD] * 7], "int32")
TARGET = np.array([[BOS, 5, BOS, BOS, 6, 7, PAD], [PAD] * 7], "int32")


@pytest.mark.jax
def test_segments_and_positions_by_hand():
    source, target = (ops.convert_to_numpy(x) for x in (source_segments(SOURCE), target_segments(TARGET)))
    assert source[0].tolist() == [0, 0, 0, 1, 1, 2, 3]  # Padding belongs to none.
    assert target[0].tolist() == [0, 0, 1, 2, 2, 2, 2]
    assert ops.convert_to_numpy(positions_within(source))[0].tolist() == [0, 1, 2, 0, 1, 0, 0]
    assert ops.convert_to_numpy(positions_within(target))[0].tolist() == [0, 1, 0, 0, 1, 2, 3]
    seen = ops.convert_to_numpy(same_segment(target, source))
    assert seen.shape == (2, 7, 7)
    assert seen[0, 4].tolist() == [False] * 5 + [True, False]
