"""Models that remember, in every way of decoding: what they remember is said, and what is not there changes nothing."""

import numpy as np
import pytest
from keras import ops
from lively import SOURCES, pieces_of

from nmt_rl.config import DecodingConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD
from nmt_rl.decoding.generator import Generator
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.retrieval import Mixing, Recalled, Retrieval, Searched

pytestmark = pytest.mark.jax
WANTED = [[4, 6, 5], [5], [6, 4]]


def remembered(model, room=8):
    """The states of WANTED on SOURCES, and what follows each."""
    target = np.zeros((3, 4), "int32")
    values = np.zeros((3, room), "int32")
    for row, pieces in enumerate(WANTED):
        target[row, : len(pieces) + 1] = [BOS, *pieces]
        values[row, : len(pieces) + 1] = [*pieces, EOS]
    states = ops.convert_to_numpy(model.decode_states(target, model.encode(SOURCES)).states)
    keys = np.zeros((3, room, states.shape[2]), "float32")
    keys[:, :4] = states
    table = {tuple(row): (keys[n], values[n]) for n, row in enumerate(SOURCES.tolist())}

    def recall(source):
        width = SOURCES.shape[1]
        rows = [table[tuple(row[:width].tolist())] for row in source]
        return {"keys": np.stack([row[0] for row in rows]), "values": np.stack([row[1] for row in rows])}

    return recall


@pytest.mark.parametrize("mixing", [Mixing("constant", 2, 0.01, (0.99,)), Mixing("distance", 2, 0.01, (1e-2,))])
def test_what_is_remembered_is_said(model, mixing):
    reminded = Retrieval(model, Recalled(remembered(model)), mixing)
    greedy = Generator(reminded)(SOURCES, 6)
    beam = Searcher(reminded, DecodingConfig(beam=3, stopping="exact"))(SOURCES, 6)
    for row, pieces in enumerate(WANTED):
        assert pieces_of(greedy.ids[row]) == (*pieces, EOS) == pieces_of(beam.ids[row, 0])


def test_a_word_reward_lowers_the_end_of_what_is_remembered(model):
    reminded = Retrieval(model, Recalled(remembered(model)), Mixing("constant", 2, 0.01, (0.9,)))
    found = Searcher(reminded, DecodingConfig(beam=1, word_reward=50.0))(SOURCES, 6)
    assert found.lengths.tolist() == [[6]] * 3


def test_without_neighbours_it_is_the_model(model):
    def recall(source):
        return {"keys": np.ones((len(source), 8, 8), "float32"), "values": np.full((len(source), 8), PAD, "int32")}

    plain = Searcher(model, DecodingConfig(beam=3))(SOURCES, 6)
    found = Searcher(Retrieval(model, Recalled(recall), Mixing("constant", 4, 1.0, (0.9,))), DecodingConfig(beam=3))(
        SOURCES, 6
    )
    np.testing.assert_array_equal(found.ids, plain.ids)
    np.testing.assert_allclose(found.log_probs, plain.log_probs, atol=1e-4)


def test_room_for_more_keys_changes_nothing(model):
    mixing = Mixing("adaptive", 4, 1.0, (0.1, -0.2, 1.0, 0.3, 2.0))
    few, many = (
        Searcher(Retrieval(model, Recalled(remembered(model, room)), mixing), DecodingConfig(beam=3))(SOURCES, 6)
        for room in (8, 32)
    )
    np.testing.assert_array_equal(few.ids, many.ids)
    np.testing.assert_allclose(few.log_probs, many.log_probs, atol=1e-4)


def test_a_store_that_is_searched_as_a_whole_finds_the_same(model):
    """Keys of all sources together, searched on the host at every step."""
    recall = remembered(model)
    found = recall(SOURCES)
    kept = found["values"].reshape(-1) > 0
    keys, values = found["keys"].reshape(-1, found["keys"].shape[2])[kept], found["values"].reshape(-1)[kept]

    def search(states, count):
        distances = ((states[:, None] - keys[None]) ** 2).sum(axis=-1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(distances, order, 1).astype("float32"), values[order].astype("int32")

    mixing = Mixing("distance", 4, 0.5, (2.0,))
    whole = Searcher(
        Retrieval(model, Searched(search, lambda states, count: search(states, count)[1]), mixing),
        DecodingConfig(beam=3),
    )(SOURCES, 6)

    def everything(source):
        count = len(source)
        return {"keys": np.repeat(keys[None], count, axis=0), "values": np.repeat(values[None], count, axis=0)}

    by_source = Searcher(Retrieval(model, Recalled(everything), mixing), DecodingConfig(beam=3))(SOURCES, 6)
    np.testing.assert_array_equal(whole.ids, by_source.ids)
    np.testing.assert_allclose(whole.log_probs, by_source.log_probs, atol=1e-3)
