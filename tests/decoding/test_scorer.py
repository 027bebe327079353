"""Scores of given translations: by teacher forcing, whatever the batch, and the same as a search gives."""

import io

import numpy as np
import pytest
from lively import forced_log_probs

from nmt_rl.corpus.batches import pad_source
from nmt_rl.decoding.files import score_stream
from nmt_rl.decoding.scorer import Scorer
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import UserError

SOURCES = ["ein kleiner Hund", "", "die grüne Wiese und drei Vögel am blauen Himmel", "Hund"]
TARGETS = ["Hund", "die grüne Wiese", "", "ein kleiner Hund läuft"]


@pytest.fixture(scope="module")
def scorer(tiny_model, tokenizers, translator):
    return Scorer(tiny_model, tokenizers, translator.config)


def test_log_probabilities_are_those_of_teacher_forcing(scorer, tiny_model, tokenizers):
    found = scorer.score(SOURCES, TARGETS)
    source, target = (pad_source(tokenizers.source.encode(lines)) for lines in (SOURCES, TARGETS))
    expected = forced_log_probs(tiny_model, source, target)
    for score, values, ids in zip(found, expected, target, strict=True):
        count = int((ids != 0).sum())
        np.testing.assert_allclose(score.log_probs, values[:count], atol=1e-4)
        assert score.log_prob == pytest.approx(values.sum(), abs=1e-3)
        assert score.score == pytest.approx(score.log_prob / count)
        assert score.pieces == tuple(tokenizers.target.pieces(ids[:count])) and score.pieces[-1] == "</s>"


def test_batches_change_nothing(translator, tiny_model, tokenizers):
    whole = Scorer(tiny_model, tokenizers, translator.config).score(SOURCES, TARGETS)
    small = translator.config.model_copy(update={"batch_tokens": 1})
    for one, other in zip(whole, Scorer(tiny_model, tokenizers, small).score(SOURCES, TARGETS), strict=True):
        np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-4)


@pytest.mark.parametrize("reward", [0.0, 1.5])
def test_a_search_is_scored_as_it_scored_itself(tiny_model, tokenizers, translator, reward):
    changed = {"beam": 4, "word_reward": reward}
    four = Translator.of_model(tiny_model, tokenizers, translator.config.model_copy(update=changed))
    found = zip(SOURCES, four.translate(SOURCES, nbest=4, by_pieces=True), strict=True)
    pairs = [(line, best) for line, translation in found for best in translation.nbest]
    assert len(pairs) >= 8 and ("", "") in [(line, best.text) for line, best in pairs]
    # An untrained model spells no word as the tokenizer does.
    assert any(tokenizers.target.encode([best.text])[0] != tokenizers.target.ids_of(best.pieces) for _, best in pairs)
    scorer, pieces = Scorer(tiny_model, tokenizers, four.config), [" ".join(best.pieces) for _, best in pairs]
    scores = scorer.score([line for line, _ in pairs], pieces, in_pieces=True)
    np.testing.assert_allclose([s.score for s in scores], [best.score for _, best in pairs], atol=1e-4)


def test_what_is_no_piece_is_a_user_error(scorer):
    with pytest.raises(UserError, match="translation 8 holds 'zebra', which is no piece of the model"):
        scorer.score(["Hund", "Hund"], ["▁", "▁ zebra"], first_line=7, in_pieces=True)


def test_an_end_is_taken_as_it_is_written_and_other_control_pieces_are_refused(scorer):
    plain, ended = scorer.score(["Hund", "Hund"], ["▁", "▁ </s>"], in_pieces=True)
    assert plain.pieces == ended.pieces == ("▁", "</s>") and plain.score == pytest.approx(ended.score, abs=1e-5)
    for bad in ("▁ </s> ▁", "<s> ▁", "▁ <pad>"):
        with pytest.raises(UserError, match="which cannot stand within a translation"):
            scorer.score(["Hund"], [bad], in_pieces=True)


def test_what_is_too_long_is_cut_with_a_warning(scorer, caplog):
    (score,) = scorer.score(["Hund"], ["Hund " * 60], first_line=7)
    assert len(score.pieces) == 40 and "translation 7 has" in caplog.text


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("chunk", [3, 100])
def test_a_line_for_every_pair(scorer, tmp_path, chunk):
    sink = io.BytesIO()
    source, target = write(tmp_path / "s", SOURCES), write(tmp_path / "t", TARGETS)
    assert score_stream(scorer, source, target, sink, tokens=True, chunk=chunk) == 4
    lines = sink.getvalue().decode("utf-8").splitlines()
    for line, score in zip(lines, scorer.score(SOURCES, TARGETS), strict=True):
        value, total, count, *pieces = line.split("\t")
        assert (float(value), float(total)) == pytest.approx((score.score, score.log_prob), abs=1e-3)
        assert int(count) == len(pieces) == len(score.pieces)
        assert pieces[-1] == f"</s> {score.log_probs[-1]:.4f}"


@pytest.mark.parametrize("chunk", [2, 100])
def test_unequal_files_are_a_user_error(scorer, tmp_path, chunk):
    source, target = write(tmp_path / "s", SOURCES), write(tmp_path / "t", TARGETS[:3])
    with pytest.raises(UserError, match=r"t has 3 lines but .*s has more; they must agree"):
        score_stream(scorer, source, target, io.BytesIO(), chunk=chunk)
