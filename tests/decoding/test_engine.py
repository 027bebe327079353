"""A converted Transformer says in CTranslate2 what it says in Keras."""

import numpy as np
import pytest
from exportable import LINES, SMALL, save_model

from nmt_rl.config import TransformerConfig
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator

LIMIT = 14
OTHER = {"norm": "post", "positions": "learned", "activation": "swiglu", "tie": "none", "decoder_layers": 2}


@pytest.fixture
def both(tokenizers, translator, tmp_path):
    """Translators of one model in Keras and in CTranslate2."""

    def both(variant, settings, unknown=0.0, end=3.0, **request):
        architecture = TransformerConfig(**SMALL | variant)
        folder = save_model(tmp_path / "model", tokenizers, translator.config, architecture, unknown, end)
        engines = ("keras", "ctranslate2")
        return [Translator.from_folders([folder], Request(settings, engine=e, scores=True, **request)) for e in engines]

    return both


def sources(translator):
    lines = [" ".join(LINES).split()[i : i + n] for n in (1, 3, 5) for i in range(0, 12, 2)]
    return pad_source(translator.tokenizers.source.encode([" ".join(words) for words in lines]))


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ({}, {"beam": 1}),
        ({}, {"beam": 4}),
        ({"activation": "gelu", "tie": "target"}, {"beam": 2, "length_penalty": 0.0}),
        (OTHER, {"beam": 3, "repetition_penalty": 1.2}),
        ({}, {"beam": 1, "word_reward": 0.6}),
        ({}, {"beam": 4, "word_reward": -0.4}),
        ({"tie": "target"}, {"beam": 3, "word_reward": 0.3, "length_penalty": 0.5}),
    ],
)
def test_the_engine_finds_what_keras_finds(both, variant, settings):
    ours, theirs = both(variant, settings)
    source = sources(ours)
    one, other = (t.search(source, np.full(len(source), LIMIT)) for t in (ours, theirs))
    # Of what runs into its limit the last of a beam may be others.
    whole = (one.lengths < LIMIT).all(axis=1)
    assert whole.sum() >= 5
    width = min(one.ids.shape[2], other.ids.shape[2])
    np.testing.assert_array_equal(one.ids[whole, :, :width], other.ids[whole, :, :width])
    np.testing.assert_allclose(one.scores[whole], other.scores[whole], atol=2e-3)


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_what_is_cut_at_its_own_limit_ends_and_scores_as_in_keras(both, reward):
    """A batch has one limit in CTranslate2; each line must be cut as if it were alone, and scored with its end."""
    ours, theirs = both({}, {"beam": 1, "word_reward": reward})
    source = sources(ours)
    limits = np.arange(len(source)) % 5 + 1
    one, other = (t.search(source, limits) for t in (ours, theirs))
    assert (one.lengths[:, 0] == limits).sum() >= 3
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    alone = theirs.search(source[3:4], limits[3:4])
    np.testing.assert_array_equal(alone.ids[0, 0, : limits[3]], other.ids[3, 0, : limits[3]])


@pytest.mark.parametrize("beam", [2, 5])
def test_a_beam_at_its_limit_finds_what_keras_finds(both, beam):
    """At a limit Keras ends what has not ended; which is best then is not which was best before it had an end."""
    ours, theirs = both({}, {"beam": beam}, end=1.0)
    source = np.repeat(sources(ours), 12, axis=0)
    limits = np.tile(np.arange(12) + 2, len(source) // 12)
    one, other = (t.search(source, limits) for t in (ours, theirs))
    assert (one.lengths == limits[:, None]).any(axis=1).sum() >= 20
    longest = max(one.lengths[:, 0])
    np.testing.assert_array_equal(one.ids[:, 0, :longest], other.ids[:, 0, :longest])
    np.testing.assert_allclose(one.scores[:, 0], other.scores[:, 0], atol=1e-4)


def test_scores_are_the_models_whatever_may_not_be_said(both):
    """CTranslate2 shares the probability of UNK out among the other pieces; here it has a third of that of the end."""
    ours, theirs = both({}, {"beam": 1}, unknown=0.8)
    source = sources(ours)
    one, other = (t.search(source, np.full(len(source), LIMIT)) for t in (ours, theirs))
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-4)


@pytest.mark.parametrize("settings", [{"beam": 1}, {"beam": 1, "no_repeat_ngram": 1}, {"beam": 1, "min_length": 6}])
def test_what_restricts_greedy_decoding_does_so_in_both(both, settings):
    ours, theirs = both({}, settings)
    source = sources(ours)
    one, other = (t.search(source, np.full(len(source), LIMIT)) for t in (ours, theirs))
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_a_banned_word_is_not_said(both):
    _, translator = both({}, {})
    said = translator.translate(LINES[:1])[0].text
    word = next(word for word in said.split() if word.isalpha())
    _, other = both({}, {}, banned=[word])
    assert word in said and word not in other.translate(LINES[:1])[0].text.split()


def test_translations_begin_with_their_prefixes(both):
    ours, theirs = both({}, {"beam": 3})
    one, other = theirs.translate(LINES[:1] * 2, 3, prefixes=["Vögel am", ""])
    assert all(best.text.startswith("Vögel am") for best in one.nbest)
    assert other.text == theirs.translate(LINES[:1])[0].text
    keras = ours.translate(LINES[:1], 3, prefixes=["Vögel am"])[0]
    assert (keras.text, keras.score) == (one.text, pytest.approx(one.score, abs=1e-4))


def test_shortest_translations_do_not_end_before(both):
    for translator in both({}, {"beam": 3, "min_length": 7}):
        found = translator.search(sources(translator), np.full(18, LIMIT))
        assert (found.lengths >= 8).all() and ((found.ids == EOS).sum(axis=2) == 1).all()
