"""A memory of pairs says nothing at first and without pairs, and what is read in it can be the only way to know."""

import numpy as np
import pytest

from nmt_rl.backend import compile_fn
from nmt_rl.config import LSTMConfig, OptimizerConfig, PairMemoryConfig, TransformerConfig
from nmt_rl.corpus.batches import collate
from nmt_rl.corpus.store import ragged
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.models.build import build_model
from nmt_rl.models.embedding import Embeddings
from nmt_rl.models.pair_memory import KeysAndValues, laid_out, recalling

SMALL = {"encoder_layers": 1, "decoder_layers": 1, "width": 32, "heads": 4, "feed_forward": 64, "dropout": 0.0}
MEMORY = {"room": 24, "feed_forward": 64, "dropout": 0.0}
WORDS, LENGTH = 10, 5
VOCABULARY = 4 + 2 * WORDS


def decode(model, source, target_in):
    return np.asarray(compile_fn(lambda s, t: model.decode(t, model.encode(s)).logits, model)(source, target_in))


def target_of(source):
    """Drawn with the source as the seed, so that nothing but having seen the pair tells it."""
    return 4 + WORDS + np.random.default_rng(source.tolist()).permutation(WORDS)[:LENGTH]


def draw(count, seed):
    source = 4 + np.random.default_rng(seed).random((count, WORDS)).argsort(axis=1)[:, :LENGTH]
    return collate(ragged(source.tolist()), ragged([target_of(row).tolist() for row in source]), np.arange(count))


@pytest.mark.jax
def test_rows_hold_whole_pairs_as_far_as_there_is_room():
    pairs = [[([5, 6], [7]), ([8] * 9, [9]), ([4], [4])], []]
    rows = laid_out(pairs, room=10, width=8)
    assert rows.tolist() == [[5, 6, EOS, 7, EOS, 4, EOS, 4, EOS], [PAD] * 9]


@pytest.mark.jax
def test_a_state_reads_the_values_in_proportion_to_its_keys():
    """u = e_1 meets keys ln(3) e_1 and nothing, 0: p = 3/4 and 1/4; the value is 8 e_2, so that it reads 6 e_2."""
    memory = KeysAndValues(PairMemoryConfig(heads=1, dropout=0.0), 4, "memory")
    memory.build()
    memory.query.kernel.assign(np.eye(4))
    memory.out.kernel.assign(np.eye(4))
    nothing, first, second = np.zeros(4), *np.eye(4)[:2]
    rows = [[nothing, np.log(3) * first, 5 * first], [nothing, 8 * second, 9 * second]]
    keys, values = (np.array(x, "float32")[None, None] for x in rows)
    slots = {"keys": keys, "values": values, "bias": np.array([[0.0, 0.0, -1e9]], "float32")}
    read = np.asarray(memory.read(first[None, None].astype("float32"), slots))
    np.testing.assert_allclose(read, (first + 6 * second)[None, None], rtol=1e-5)


@pytest.mark.jax
def test_a_pair_is_written_as_if_it_stood_alone_whatever_stands_beside_it():
    memory, embeddings = KeysAndValues(PairMemoryConfig(heads=2), 8, "memory"), Embeddings(9, 9, 8, "all", "embeddings")
    embeddings.build()
    memory.build()
    pair, other = ([4, 5], [6]), ([7, 7, 7], [8, 8])
    alone, beside = (
        memory.write(laid_out([pairs], 99, width), embeddings) for pairs, width in (([pair], 0), ([other, pair], 20))
    )
    before = len(other[0]) + len(other[1]) + 2
    for name in ("keys", "values"):
        mine, theirs = np.asarray(alone[name]), np.asarray(beside[name])
        np.testing.assert_allclose(mine[:, :, 3:5], theirs[:, :, 3 + before : 5 + before], atol=1e-5)
        assert not mine[:, :, 0].any()
    assert np.flatnonzero(np.asarray(beside["bias"])[0] == 0).tolist() == [0, 4, 5, 6, 10, 11]


@pytest.mark.jax
@pytest.mark.parametrize("config", [TransformerConfig(**SMALL), LSTMConfig(embedding=12, units=16, dropout=0.0)])
def test_it_is_the_plain_model_at_first_and_wherever_nothing_is_recalled(config):
    batch, rng = draw(6, 0), np.random.default_rng(1)
    remembering = config.model_copy(update={"memory": PairMemoryConfig(**MEMORY)})
    with recalling(lambda source: [[(row[:3], row[1:])] * (number % 2) for number, row in enumerate(source)]):
        model = build_model(remembering, VOCABULARY, VOCABULARY, 1)
    plain = decode(build_model(config, VOCABULARY, VOCABULARY, 1), batch.source, batch.target_in)
    np.testing.assert_array_equal(decode(model, batch.source, batch.target_in), plain)
    model.memory.out.kernel.assign(rng.normal(size=model.memory.out.kernel.shape))
    found = decode(model, batch.source, batch.target_in)
    np.testing.assert_allclose(found[::2], plain[::2], atol=1e-5)
    assert np.abs(found[1::2] - plain[1::2]).max() > 0.1
    # Built outside of `recalling`, it has nothing to recall.
    without = build_model(remembering, VOCABULARY, VOCABULARY, 1)
    without.set_weights(model.get_weights())
    np.testing.assert_array_equal(decode(without, batch.source, batch.target_in), plain)


def train(model, updates):
    """Share of right words of pairs that training has not seen."""
    from nmt_rl.training.learner import Learner
    from nmt_rl.training.losses import CrossEntropy

    learner = Learner(model, CrossEntropy(0.0), OptimizerConfig())
    for update in range(updates):
        batch = draw(64, update + 1)
        places = np.arange(batch.target_out.size, dtype="int32")
        arrays = {"source": batch.source, "target_in": batch.target_in, "positions": places}
        learner.update([{**arrays, "labels": batch.target_out.reshape(-1)}], 5e-3 * min(1.0, (update + 1) / 30))
    batch = draw(100, 0)
    best = decode(model, batch.source, batch.target_in).argmax(axis=-1)
    return (best == batch.target_out)[:, :LENGTH].mean()


def test_what_only_the_memory_tells_is_learnt_with_it_and_not_without():
    """The recalled pair is all there is to know of a target. By chance 1 word of 10 is right."""
    config = TransformerConfig(**SMALL, memory=PairMemoryConfig(**MEMORY))
    with recalling(lambda source: [[(row[:LENGTH], target_of(row[:LENGTH]))] for row in source]):
        with_memory = build_model(config, VOCABULARY, VOCABULARY, 1)
    assert train(with_memory, 120) > 0.9
    without = build_model(config.model_copy(update={"memory": None}), VOCABULARY, VOCABULARY, 1)
    assert train(without, 60) < 0.25
