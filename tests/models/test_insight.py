"""What models show of themselves is what they compute."""

import numpy as np
import pytest
from keras import ops
from noise import with_noise

from nmt_rl.backend import seeded
from nmt_rl.config import DNCConfig, LSTMConfig, NTMConfig, TransformerConfig
from nmt_rl.models.build import build_model
from nmt_rl.models.ensemble import Ensemble
from nmt_rl.models.q_guided import QGuided, QHeads
from nmt_rl.models.retrieval import Mixing, Recalled, Retrieval, Searched
from nmt_rl.models.word_reward import WordReward

pytestmark = pytest.mark.jax
VOCABULARY = 9
SOURCE = np.array([[4, 5, 6, 7, 8, 3]], "int32")
TARGET_IN = np.array([[2, 5, 4, 7]], "int32")
MODELS = {
    "transformer": TransformerConfig(
        width=8, heads=2, feed_forward=8, encoder_layers=2, decoder_layers=3, max_positions=16
    ),
    "lstm": LSTMConfig(units=8, embedding=8, attention_units=4),
    "ntm": NTMConfig(embedding=8, units=8, slots=5, slot_width=4, read_heads=2, attention=True),
    "dnc": DNCConfig(embedding=8, units=8, slots=5, slot_width=4, read_heads=2),
}


def make(kind):
    return with_noise(build_model(MODELS[kind], VOCABULARY, VOCABULARY, seed=2), 0.5, 4)


def numbers(x):
    return np.asarray(ops.convert_to_numpy(x))


def stepwise(model, source=SOURCE, target_in=TARGET_IN):
    """Logits [time, vocab] as a search has them."""
    cache, logits = model.start({**model.encode(source), **model.recall(source)}, 8), []
    for token in target_in[0]:
        output, cache = model.step(np.array([token], "int32"), cache)
        logits.append(numbers(output.logits)[0])
    return np.stack(logits)


@pytest.mark.parametrize("kind", MODELS)
def test_logits_are_those_of_steps_and_weights_are_weights(kind):
    model = make(kind)
    seen = model.inspect(SOURCE, TARGET_IN)
    np.testing.assert_allclose(numbers(seen.logits)[0], stepwise(model), atol=1e-4)
    if kind == "dnc":
        assert seen.attention is None  # It has none of its own, and the even one says nothing.
    else:
        np.testing.assert_allclose(numbers(seen.attention).sum(axis=-1), 1, atol=1e-5)
    for weighting in seen.weightings:
        values = numbers(weighting.values)
        assert values.min() >= 0 and values.max() <= 1 + 1e-5, weighting.name
        if (
            weighting.kind == "attention"
            or weighting.name == "read modes"
            or (kind, weighting.columns) == ("ntm", "slots")
        ):
            np.testing.assert_allclose(values.sum(axis=-1), 1, atol=1e-5)
        elif weighting.name in ("read", "write"):  # Of a DNC, which need not look anywhere.
            assert values.sum(axis=-1).max() <= 1 + 1e-5


def test_a_transformer_shows_every_head_of_every_layer():
    model = make("transformer")
    seen = model.inspect(SOURCE, TARGET_IN)
    shapes = [(w.rows, w.columns, w.values.shape) for w in seen.weightings]
    assert shapes == [
        *[("target", "source", (1, 2, 4, 6))] * 3,
        *[("target", "target", (1, 2, 4, 4))] * 3,
        *[("source", "source", (1, 2, 6, 6))] * 2,
    ]
    np.testing.assert_allclose(numbers(seen.weightings[2].values).mean(axis=1), numbers(seen.attention), atol=1e-6)
    for weighting in seen.weightings[3:6]:
        assert np.triu(numbers(weighting.values), 1).max() == 0  # It has not seen what it has not written.
        assert weighting.name.endswith("on itself")


@pytest.mark.parametrize("kind", ["ntm", "dnc"])
def test_memories_are_shown_as_they_are_after_each_step(kind):
    model = make(kind)
    seen = {w.name: numbers(w.values)[0] for w in model.inspect(SOURCE, TARGET_IN).weightings}
    memory = [numbers(state)[0] for state in model.encode(SOURCE)["final"][3:]]
    reading, writing = (memory[1], memory[2]) if kind == "ntm" else (memory[5], memory[4][None])
    np.testing.assert_allclose(seen["read"][:, 5], reading, atol=1e-5)
    np.testing.assert_allclose(seen["write"][:, 5], writing, atol=1e-5)
    assert seen["read"].shape == (2, 6 + 4, 5)
    if kind == "dnc":
        np.testing.assert_allclose(seen["usage"][0, 5], memory[1], atol=1e-5)
        assert seen["gates"].shape == (1, 10, 4) and seen["read modes"].shape == (2, 10, 3)
        # w = g^w [g^a a + (1 - g^a) c] of distributions a and c (2016, equation 7): it sums to g^w at most.
        assert (seen["write"][0].sum(axis=-1) <= seen["gates"][0, :, 0] + 1e-5).all()


def remembered(model, room=4):
    """The states of TARGET_IN on SOURCE with what followed, as if of two pairs."""
    keys = numbers(model.decode_states(TARGET_IN, model.encode(SOURCE)).states)[:, :room]
    return {"keys": keys, "values": np.array([[5, 4, 7, 3]]), "pairs": np.array([[7, 7, 9, 9]])}


def test_neighbours_are_shown_with_their_pairs_and_shares():
    model = make("lstm")
    found = {name: x.astype("float32" if name == "keys" else "int32") for name, x in remembered(model).items()}
    reminded = Retrieval(model, Recalled(lambda source: found), Mixing("constant", 2, 0.5, (0.25,)))
    seen = reminded.inspect(SOURCE, TARGET_IN)
    np.testing.assert_allclose(numbers(seen.logits)[0], stepwise(reminded), atol=1e-4)
    near = [numbers(x)[0] for x in seen.neighbours]
    distances, pieces, pairs, weights, share = near
    np.testing.assert_allclose(distances[:, 0], 0, atol=1e-3)
    assert pieces[:, 0].tolist() == [5, 4, 7, 3] and pairs[:, 0].tolist() == [7, 7, 9, 9]
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(share, 0.25)
    # p = (1 - share) p_model + share p_neighbours
    plain = np.exp(numbers(ops.log_softmax(model.inspect(SOURCE, TARGET_IN).logits))[0])
    said = np.zeros_like(plain)
    np.add.at(said, (np.arange(4)[:, None], pieces), weights)
    np.testing.assert_allclose(np.exp(numbers(seen.logits)[0]), 0.75 * plain + 0.25 * said, atol=1e-5)
    rewarded = WordReward(reminded, 2.0)
    np.testing.assert_allclose(numbers(rewarded.inspect(SOURCE, TARGET_IN).logits)[0], stepwise(rewarded), atol=1e-4)


def test_a_store_that_is_searched_as_a_whole_shows_the_same():
    model = make("lstm")
    found = {name: x.astype("float32" if name == "keys" else "int32") for name, x in remembered(model).items()}

    def nearest(states, count):
        distances = ((states[:, None] - found["keys"]) ** 2).sum(axis=-1)
        return distances, np.argsort(distances, axis=1, kind="stable")[:, :count]

    def search(states, count):
        distances, order = nearest(states, count)
        return np.take_along_axis(distances, order, 1).astype("float32"), found["values"][0][order].astype("int32")

    mixing = Mixing("distance", 3, 0.5, (2.0,))
    whole = Searched(search, lambda states, count: found["pairs"][0][nearest(states, count)[1]])
    by_source = Recalled(lambda source: found)
    one, other = (Retrieval(model, store, mixing).inspect(SOURCE, TARGET_IN) for store in (whole, by_source))
    for ours, theirs in zip(one.neighbours, other.neighbours, strict=True):
        np.testing.assert_allclose(numbers(ours), numbers(theirs), atol=1e-3)


@pytest.mark.parametrize("kind", ["dueling", "ilql"])
def test_q_heads_are_shown_beside_the_policy_that_they_guide(kind):
    base = make("transformer")
    with seeded(3):
        heads = QHeads(kind, base.embeddings.width, VOCABULARY, 6)
    rng = np.random.default_rng(1)
    heads.set_weights([rng.normal(0, 0.5, w.shape) for w in heads.get_weights()])
    seen, alone = QGuided(base, heads, beta=2.0).inspect(SOURCE, TARGET_IN), base.inspect(SOURCE, TARGET_IN)
    q, value = numbers(seen.q.q), numbers(seen.q.value)
    np.testing.assert_allclose(numbers(seen.logits) - numbers(alone.logits), 2 * (q - value[..., None]), atol=1e-4)
    assert len(seen.weightings) == len(alone.weightings) == 8 and alone.q is None


def test_an_ensemble_shows_the_mean_of_its_members():
    members = [make("transformer"), make("lstm")]
    seen = Ensemble(members).inspect(SOURCE, TARGET_IN)
    each = [numbers(member.inspect(SOURCE, TARGET_IN).attention) for member in members]
    np.testing.assert_allclose(numbers(seen.attention), np.mean(each, axis=0), atol=1e-6)
