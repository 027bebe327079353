"""Attention that is taught word alignments: the equation, what a batch carries, and that it is learnt."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import compile_accumulation
from nmt_rl.config import BatchConfig, LSTMConfig, OptimizerConfig, TransformerConfig, load_config
from nmt_rl.corpus.batches import collate, with_rows
from nmt_rl.corpus.prepare import prepare
from nmt_rl.corpus.store import ragged
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.decoding.attention import Attention
from nmt_rl.models.build import build_model
from nmt_rl.training.learner import Learner, joined
from nmt_rl.training.losses import CrossEntropy, alignment_cross_entropy, with_positions
from nmt_rl.training.pretrain import CorpusTrainer

pytestmark = pytest.mark.jax

SIZES = {"encoder_layers": 1, "decoder_layers": 2, "width": 16, "heads": 2, "feed_forward": 16, "dropout": 0.0}
MODELS = {
    "transformer": TransformerConfig(**SIZES, alignment_layer=1),
    "lstm": LSTMConfig(embedding=16, units=16, attention_units=16, dropout=0.0),
}


def test_cross_entropy_of_an_alignment_by_hand():
    """One link, two that share the target piece, none: -log .5, -(log .2 + log .8) / 2, 0."""
    attention = np.array([[0.5, 0.5, 0.0], [0.2, 0.0, 0.8], [1.0, 0.0, 0.0]], "float32")
    alignment = np.array([[True, False, False], [True, False, True], [False, False, False]])
    found = ops.convert_to_numpy(alignment_cross_entropy(attention, alignment))
    np.testing.assert_allclose(found, [-np.log(0.5), -(np.log(0.2) + np.log(0.8)) / 2, 0.0], rtol=1e-6)


def backwards(pairs=24, words=12, seed=1):
    """Sentences of 3 to 5 pieces whose translations are written backwards, and their links."""
    rng = np.random.default_rng(seed)
    source = [rng.choice(np.arange(4, 4 + words), rng.integers(3, 6), replace=False).tolist() for _ in range(pairs)]
    target = [[piece + words for piece in reversed(row)] for row in source]
    links = [[n for j in range(len(row)) for n in (len(row) - 1 - j, j)] for row in source]
    return source, target, links


def batch_of(source, target, links, row_of=None, widths=(0, 0)):
    sides = (ragged(source), ragged(target), np.arange(len(source)))
    return collate(*sides, widths=widths, row_of=row_of, links=ragged(links))


def test_links_stand_where_the_pieces_do_in_packed_rows_too():
    source, target, links = [[4, 5], [6, 7, 8]], [[9, 10, 11], [12]], [[0, 0, 1, 2], [2, 0]]
    plain = batch_of(source, target, links)
    assert list(zip(*np.nonzero(plain.alignment), strict=True)) == [(0, 0, 0), (0, 2, 1), (1, 0, 2)]
    packed = batch_of(source, target, links, np.array([0, 0]), (8, 8))
    assert list(zip(*np.nonzero(packed.alignment), strict=True)) == [(0, 0, 0), (0, 2, 1), (0, 4, 5)]
    for row, piece, looked in zip(*np.nonzero(packed.alignment), strict=True):
        assert (packed.target_out[row, piece], packed.source[row, looked]) in {(9, 4), (11, 5), (12, 8)}
    more = with_rows(plain, 4)
    assert more.alignment.shape == (4, *plain.alignment.shape[1:]) and not more.alignment[2:].any()
    assert collate(ragged(source), ragged(target), np.arange(2)).alignment is None


@pytest.mark.parametrize("kind", MODELS)
def test_attention_learns_its_alignment(kind):
    """Of sentences written backwards; a model that was not guided looks elsewhere."""
    source, target, links = backwards()
    batch, right = with_positions(batch_of(source, target, links), BatchConfig()), {}
    for guidance in (0.0, 1.0):
        model = build_model(MODELS[kind], 30, 30, seed=1)
        optimizer = OptimizerConfig(schedule="constant", warmup=0)
        learner = Learner(model, CrossEntropy(0.0, guidance=guidance), optimizer)
        for _ in range(60):
            told = learner.update([batch], 0.01)
        assert ("alignment" in told) == bool(guidance)
        attention = Attention(model)(source, target)
        looked = [
            weights[: len(row), : len(row)].argmax(axis=1) for weights, row in zip(attention, source, strict=True)
        ]
        right[guidance] = np.mean([place == len(each) - 1 - j for each in looked for j, place in enumerate(each)])
    assert right[1.0] > 0.95 and right[1.0] > right[0.0] + 0.1


def gradients(model, batches, **objective):
    learner = Learner(model, CrossEntropy(0.1, guidance=2.0, **objective), OptimizerConfig())
    outputs, slopes = compile_accumulation(learner)[0](batches)
    return sum(float(each["loss"]) for each in outputs), [np.asarray(slope) for slope in slopes]


def test_packing_and_accumulation_change_no_loss_and_no_gradient():
    source, target, links = backwards(pairs=5)
    model = build_model(MODELS["transformer"], 30, 30, seed=1)
    whole = with_positions(batch_of(source, target, links), BatchConfig())
    packed = with_positions(
        batch_of(source, target, links, np.array([0, 0, 0, 1, 1]), (20, 20)), BatchConfig(type="packed")
    )
    parts = [
        with_positions(batch_of(source[cut], target[cut], links[cut]), BatchConfig()) for cut in (slice(3), slice(3, 5))
    ]
    expected = gradients(model, [whole])
    shared = joined(parts, [float(np.count_nonzero(part["labels"])) for part in parts])
    for loss, slopes in (gradients(model, [packed], packed=True), gradients(model, shared)):
        assert loss == pytest.approx(expected[0], abs=1e-5)
        for one, other in zip(slopes, expected[1], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_alignment_is_that_of_the_layers_first_head():
    """Without it, the mean of the last layer's heads; what the model says is the same."""
    source, target, _ = backwards(pairs=2)
    found = {}
    for layer in (None, 1, 2):
        config = TransformerConfig(**SIZES, alignment_layer=layer)
        model = build_model(config, 30, 30, seed=1)
        weights = Attention(model)(source, target)[0]
        seen = []
        for each in model.decoder:
            each._cross_attention = _watched(each._cross_attention, seen)
        model.decode_states(np.array([[2, *target[0]]], "int32"), model.encode(np.array([[*source[0], 3]], "int32")))
        looked = ops.convert_to_numpy(seen[-1] if layer is None else seen[layer - 1])[0]
        size = len(target[0]) + 1, len(source[0]) + 1
        expected = looked.mean(axis=0) if layer is None else looked[0]
        np.testing.assert_allclose(weights[: size[0], : size[1]], expected, atol=1e-5)
        found[layer] = weights
    assert np.abs(found[1] - found[2]).max() > 1e-3


def _watched(function, seen):
    def call(*args):
        context, weights = function(*args)
        seen.append(weights)
        return context, weights

    return call


def test_a_prepared_run_gives_every_update_its_alignment(tiny_recipe, tmp_path):
    """A row for each label; of most pieces something is known, and of the end nothing."""
    config = load_config(str(tiny_recipe), ["pretrain.guided_alignment={weight: 1}"])
    prepared = prepare(config, tmp_path)
    trainer = CorpusTrainer(SimpleNamespace(), prepared.train, config, prepared.tokenizers, 64)
    ((batch,), tokens) = trainer._next()
    trainer.close()
    alignment = np.asarray(batch["alignment"])
    assert alignment.shape == (len(batch["positions"]), batch["source"].shape[1])
    linked = alignment.any(axis=1)
    assert 0.5 * tokens < linked.sum() <= tokens
    labels = np.asarray(batch["labels"])
    assert not linked[(labels == EOS) | (labels == PAD)].any()
