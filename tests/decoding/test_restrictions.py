"""Which pieces are ruled out, on literal sequences."""

import numpy as np
import pytest
from keras import ops

from nmt_rl.decoding.policies import NEVER
from nmt_rl.decoding.restrictions import Restrictions, breaks_characters, completions, ends_with

IDS = np.array([[4, 5, 6, 4, 5, 0, 0], [4, 4, 4, 4, 4, 0, 0], [4, 5, 6, 7, 8, 0, 0]], "int32")
VOCABULARY = 9


def named(mask):
    return [set(np.flatnonzero(row).tolist()) for row in ops.convert_to_numpy(mask)]


@pytest.mark.jax
@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, [{4, 5, 6}, {4}, {4, 5, 6, 7, 8}]),
        (2, [{6}, {4}, set()]),  # behind 5 stood 6, behind 4 stood 4
        (3, [{6}, {4}, set()]),
        (5, [set(), {4}, set()]),
        (6, [set(), set(), set()]),
    ],
)
def test_completions(n, expected):
    assert named(completions(IDS, 5, n, VOCABULARY)) == expected


def test_pieces_behind_the_step_do_not_count():
    assert named(completions(IDS, 3, 1, VOCABULARY)) == [{4, 5, 6}, {4}, {4, 5, 6}]
    assert named(completions(IDS, 0, 1, VOCABULARY)) == [set()] * 3
    assert named(completions(IDS, 0, 2, VOCABULARY)) == [set()] * 3


def test_ends_with():
    assert ops.convert_to_numpy(ends_with(IDS, 5, [4, 5])).tolist() == [True, False, False]
    assert ops.convert_to_numpy(ends_with(IDS, 5, [])).tolist() == [True] * 3
    assert ops.convert_to_numpy(ends_with(IDS, 1, [9, 4])).tolist() == [False] * 3


def test_repetition_lowers_what_was_said():
    logits = np.array([[0, 0, 0, 0, 2.0, -1.0, 0.5, 3.0, -2.0]] * 3, "float32")
    found = ops.convert_to_numpy(Restrictions(repetition=2.0).rescaled(logits, IDS, 5))
    np.testing.assert_allclose(found[0], [0, 0, 0, 0, 1.0, -2.0, 0.25, 3.0, -2.0])
    np.testing.assert_allclose(found[1], [0, 0, 0, 0, 1.0, -1.0, 0.5, 3.0, -2.0])


def test_banned_phrases():
    logits = np.zeros((3, VOCABULARY), "float32")
    found = ops.convert_to_numpy(Restrictions(banned=[[7], [4, 5, 8], [8, 6]]).blocked(logits, IDS, 5))
    assert named(found == np.float32(NEVER)) == [{7, 8}, {7}, {6, 7}]
    assert not found[0, [4, 5, 6]].any()


def test_ngrams_are_blocked():
    found = Restrictions(ngram=2).blocked(np.zeros((3, VOCABULARY), "float32"), IDS, 5)
    assert named(ops.convert_to_numpy(found) < 0) == [{6}, {4}, set()]


@pytest.mark.jax
def test_bytes_that_may_follow_are_those_that_python_decodes():
    """Any bytes that are permitted make whole characters, but for the last."""
    values = np.array([-1] * 4 + list(range(256)) + [-1] * 3)
    draw = np.random.default_rng(1)
    ids = np.zeros((64, 24), "int32")
    for step in range(24):
        broken = ops.convert_to_numpy(breaks_characters(values, ids, step))
        ids[:, step] = [draw.choice(np.flatnonzero(~row[4:260]) + 4) for row in broken]
    for row in ids:
        data = bytes(values[row].tolist())
        text = data.decode("utf-8", "replace")
        assert "\ufffd" not in text.rstrip("\ufffd") and len(data) - len(text.rstrip("\ufffd").encode()) <= 3
        assert not any(0x7F <= ord(c) <= 0xA0 or ord(c) <= 0x20 for c in text)


@pytest.mark.parametrize("text", ["é", "Ω", "€", "한", "👍", "\U0010ffff"])
def test_every_character_may_be_said_and_not_be_left(text):
    values = np.array([-1, *range(256)])
    data = list(text.encode())
    ids = np.array([[byte + 1 for byte in data] + [0]], "int32")
    for step, byte in enumerate([*data, -1]):
        broken = ops.convert_to_numpy(breaks_characters(values, ids, step))[0]
        assert not broken[byte + 1] and broken[0] == (0 < step < len(data))
