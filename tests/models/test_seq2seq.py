"""Promises of the Seq2Seq interface, for every variant."""

import keras
import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.config import DNCConfig, LSTMConfig, NTMConfig, TransformerConfig
from nmt_rl.models.build import build_model
from nmt_rl.models.pair_memory import recalling
from nmt_rl.models.seq2seq import settled

SMALL = {"encoder_layers": 2, "decoder_layers": 2, "width": 16, "heads": 2, "feed_forward": 24, "max_positions": 32}
VARIANTS = {
    "pre-sinusoidal-relu": TransformerConfig(**SMALL),
    "post-learned-swiglu": TransformerConfig(
        **SMALL, norm="post", positions="learned", activation="swiglu", tie="target"
    ),
    "pre-aligned": TransformerConfig(**SMALL, alignment_layer=1),
    "pre-learned-gelu": TransformerConfig(**SMALL, positions="learned", activation="gelu", tie="none"),
    "additive": LSTMConfig(embedding=12, units=16, attention_units=8),
    "additive-coverage": LSTMConfig(embedding=12, units=16, attention_units=8, coverage=True, decoder_layers=2),
    "bilinear-coverage": LSTMConfig(embedding=12, units=16, attention="bilinear", coverage=True, encoder_layers=2),
    "hard-score": LSTMConfig(embedding=12, units=16, attention_units=8, hard="score", decoder_layers=2),
    "hard-marginal": LSTMConfig(embedding=12, units=16, attention="dot", hard={"type": "marginal", "positions": 7}),
    "hard-variational-coverage": LSTMConfig(
        embedding=12, units=16, attention="bilinear", coverage=True, hard={"type": "variational", "positions": 2}
    ),
    "ntm": NTMConfig(embedding=12, units=16, slots=6, slot_width=5, read_heads=2),
    "ntm-attention": NTMConfig(embedding=12, units=16, slots=6, slot_width=5, write_heads=2, attention=True),
    "dnc": DNCConfig(embedding=12, units=16, slots=6, slot_width=5, read_heads=2),
    "dnc-sharp": DNCConfig(embedding=12, units=16, slots=6, slot_width=5, sharp_links=True),
    "pair-memory": TransformerConfig(**SMALL, memory={"heads": 2, "feed_forward": 24}),
    "additive-pair-memory": LSTMConfig(embedding=12, units=16, memory={"heads": 2, "feed_forward": 24, "layers": 2}),
    "dot": LSTMConfig(embedding=12, units=16, attention="dot", tie="none"),
}
VOCABULARY = 30


def make(name, precision="float32"):
    with recalling(lambda source: [[(row[:2], row[1:4])] * (row[0] % 2) for row in source]):
        model = build_model(VARIANTS[name], VOCABULARY, VOCABULARY, seed=3, precision=precision)
    for variable in model.trainable_variables:  # what starts at 0 is given something to do
        if any(zero in variable.path for zero in ("coverage", "bias", "memory/out")):
            variable.assign(np.random.default_rng(5).normal(size=variable.shape, scale=0.3))
    return model


def ids(rows, length, seed=0):
    return np.random.default_rng(seed).integers(4, VOCABULARY, (rows, length)).astype("int32")


def prefix(rows, length):
    return np.concatenate([np.full((rows, 1), 2, "int32"), ids(rows, length - 1, 1)], axis=1)


def decode(model, source, target_in):
    return compile_fn(lambda s, t: model.decode(t, model.encode(s)), model)(source, target_in)


@pytest.mark.jax
@pytest.mark.parametrize("name", VARIANTS)
def test_stepwise_equals_teacher_forced_for_every_hypothesis_of_a_beam(name):
    model, beam, time = make(name), 2, 3
    source, target_in = ids(3, 6), prefix(3, time)
    source[1, 4:] = 0

    def stepwise(source, target_in):
        cache = model.start(model.encode(source), 8, beam)
        logits, attention = [], []
        for t in range(time):
            output, cache = model.step(ops.repeat(target_in[:, t], beam, axis=0), cache)
            logits.append(output.logits)
            attention.append(output.attention)
        return ops.stack(logits, axis=1), ops.stack(attention, axis=1)

    logits, attention = (np.asarray(x) for x in compile_fn(stepwise, model)(source, target_in))
    forced = decode(model, source, target_in)
    for hypothesis in range(beam):
        np.testing.assert_allclose(logits[hypothesis::beam], forced.logits, atol=1e-5)
        np.testing.assert_allclose(attention[hypothesis::beam], forced.attention, atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize("name", VARIANTS)
def test_resumed_equals_teacher_forced_from_any_time_of_any_row(name):
    model, beam, time = make(name), 2, 6
    source, target_in = ids(3, 6), prefix(3, time)
    source[1, 4:] = 0
    rows, times = np.array([2, 0, 0, 2, 1], "int32"), np.array([4, 0, 3, 1, 2], "int32")

    def resumed(source, target_in, rows, times):
        states, cache = model.resume(target_in, model.encode(source), rows, times, 9, beam)
        logits, attention = [], []
        for t in range(2):
            tokens = ops.take(ops.reshape(target_in, (-1,)), rows * time + times + t)
            output, cache = model.step(ops.repeat(tokens, beam), cache)
            logits.append(output.logits)
            attention.append(output.attention)
        return states, ops.stack(logits, axis=1), ops.stack(attention, axis=1), cache["time"]

    states, logits, attention, now = map(np.asarray, compile_fn(resumed, model)(source, target_in, rows, times))
    forced = decode(model, source, target_in)
    np.testing.assert_allclose(states, forced.states, atol=1e-5)
    assert now.tolist() == np.repeat(times + 2, beam).tolist()
    where = (rows[:, None], times[:, None] + np.arange(2))
    for hypothesis in range(beam):
        np.testing.assert_allclose(logits[hypothesis::beam], np.asarray(forced.logits)[where], atol=1e-5)
        np.testing.assert_allclose(attention[hypothesis::beam], np.asarray(forced.attention)[where], atol=1e-5)


@pytest.mark.jax
def test_what_was_computed_recently_joins_the_past_of_each_row():
    """Two rows, two heads: the first had 3 tokens and was fed 1, the second had 1 and was fed 2."""
    past = np.arange(24, dtype="float32").reshape(2, 2, 3, 2)
    recent = past[:, :, :2] + 100
    cache = {"past": [(past, past)], "recent": [(recent, recent)], "begun": np.array([3, 1], "int32")}
    after = settled({**cache, "time": np.array([4, 3], "int32"), "rows": []}, 5)
    joined = np.asarray(after["past"][0][1])
    assert joined.shape == (2, 2, 4, 2) and np.asarray(after["recent"][0][1]).shape == (2, 2, 5, 2)
    np.testing.assert_array_equal(joined[0], np.concatenate([past[0], recent[0, :, :1]], axis=1))
    np.testing.assert_array_equal(joined[1, :, :3], np.concatenate([past[1, :, :1], recent[1]], axis=1))
    assert np.asarray(after["begun"]).tolist() == np.asarray(after["time"]).tolist() == [4, 3]


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_changes_nothing(name):
    model = make(name)
    source, target_in = ids(2, 5), prefix(2, 4)
    plain = decode(model, source, target_in)
    padded = decode(model, np.pad(source, ((0, 0), (0, 3))), np.pad(target_in, ((0, 0), (0, 2))))
    np.testing.assert_allclose(padded.logits[:, :4], plain.logits, atol=1e-5)
    np.testing.assert_allclose(padded.attention[:, :4, :5], plain.attention, atol=1e-5)
    assert np.abs(padded.attention[:, :4, 5:]).max() < 1e-6


@pytest.mark.parametrize("name", VARIANTS)
def test_a_prefix_is_blind_to_what_follows_it(name):
    model, source = make(name), ids(2, 5)
    first, second = prefix(2, 6), prefix(2, 6)
    second[:, 3:] = 7
    a, b = decode(model, source, first).logits, decode(model, source, second).logits
    np.testing.assert_allclose(a[:, :3], b[:, :3], atol=1e-5)
    assert np.abs(np.asarray(a)[:, 3:] - np.asarray(b)[:, 3:]).max() > 1e-3


@pytest.mark.parametrize("name", VARIANTS)
def test_attention_is_a_distribution_over_the_source(name):
    attention = np.asarray(decode(make(name), ids(2, 5), prefix(2, 4)).attention)
    assert (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize("name", ["pre-sinusoidal-relu", "pre-learned-gelu", "additive", "dot"])
def test_chosen_and_mean_logits_are_those_of_the_projection(name):
    model = make(name)
    states = np.random.default_rng(0).normal(size=(6, model.embeddings.width)).astype("float32")
    pieces = ids(6, 2)
    logits = np.asarray(model.project(states))
    np.testing.assert_allclose(model.logits_of(states, pieces), np.take_along_axis(logits, pieces, 1), atol=1e-5)
    np.testing.assert_allclose(model.mean_logit(states), logits.mean(axis=-1), atol=1e-5)


@pytest.mark.parametrize("name", ["pre-sinusoidal-relu", "additive-coverage"])
def test_bfloat16_stays_near_float32_and_returns_float32(name):
    exact, source, target_in = make(name), ids(3, 6), prefix(3, 5)
    rough = make(name, "bfloat16")
    rough.set_weights(exact.get_weights())
    assert all(v.dtype == "float32" for v in rough.trainable_variables)
    a, b = decode(exact, source, target_in).logits, decode(rough, source, target_in).logits
    assert keras.backend.standardize_dtype(b.dtype) == "float32"
    np.testing.assert_allclose(a, b, atol=0.1)
    assert np.abs(np.asarray(a) - np.asarray(b)).max() > 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["post-learned-swiglu", "additive-coverage", "bilinear-coverage", "dot"])
def test_only_products_are_in_the_compute_type(name, precision):
    """Eagerly, where no compiled function casts for them: states, attention and caches keep the bits of float32."""
    model, source, target_in = make(name, precision), ids(2, 6), prefix(2, 3)
    encoded = model.encode(source)
    output, cache = model.step(target_in[:, 0], model.start(encoded, 3))
    states, attention, _ = model.decode_states(target_in, encoded, training=True)
    kept = [encoded["states"], output.states, output.attention, states, attention, *cache["rows"]]
    for array in map(np.asarray, kept):
        assert array.dtype == np.float32 and (array != np.asarray(ops.cast(array, precision), "float32")).any()
    np.testing.assert_allclose(np.asarray(attention).sum(axis=-1), 1.0, atol=1e-6)
    assert model({"source": source, "target_in": target_in}).dtype == output.logits.dtype


def test_the_seed_decides_the_weights():
    config = VARIANTS["additive"]
    first, same, other = (build_model(config, 30, 30, seed).get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, same, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_tied_tables_are_one():
    count = {
        tie: build_model(TransformerConfig(**SMALL, tie=tie), VOCABULARY, VOCABULARY).count_params()
        for tie in ("none", "target", "all")
    }
    table = VOCABULARY * SMALL["width"]
    assert count["none"] - count["target"] == table == count["target"] - count["all"]


def test_dropout_is_on_in_training_only():
    model = build_model(TransformerConfig(**SMALL, dropout=0.5), VOCABULARY, VOCABULARY)
    batch = {"source": ids(2, 5), "target_in": prefix(2, 4)}
    np.testing.assert_array_equal(model(batch), model(batch))
    assert np.abs(np.asarray(model(batch, training=True)) - np.asarray(model(batch))).max() > 1e-3


@pytest.mark.parametrize("name", VARIANTS)
def test_a_new_model_embeds_to_values_of_size_one(name):
    """Smaller ones drown in an LSTM's gates: it then learns next to nothing for a thousand updates."""
    embeddings = make(name).embeddings
    for embed in (embeddings.source, embeddings.target):
        assert np.std(ops.convert_to_numpy(embed(np.arange(VOCABULARY)[None]))) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("name", VARIANTS)
def test_two_models_of_a_process_name_their_weights_alike(name):
    """A stage may be the second of its process and go on in one of its own: snapshots know weights by their paths."""
    first, second = make(name), make(name)
    assert [v.path for v in first.trainable_variables] == [v.path for v in second.trainable_variables]
    assert len({v.path for v in first.trainable_variables}) == len(first.trainable_variables)
