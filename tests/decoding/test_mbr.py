"""Minimum Bayes risk: expected utilities by hand, and the translation they choose."""

import numpy as np
import pytest

from nmt_rl.decoding.hypotheses import Hypotheses
from nmt_rl.decoding.mbr import MinimumRisk, expected_utilities, sentence_utility
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import UserError


def common_words(hypotheses, references):
    """Share of each hypothesis' words that its reference holds."""
    pairs = [(h.split(), r.split()) for h, r in zip(hypotheses, references, strict=True)]
    return [sum(word in theirs for word in ours) / len(ours) for ours, theirs in pairs]


def test_expected_utilities_by_hand():
    texts = ["a b", "a c", "a b", "d"]
    # "a b": 1 + 1/2 + 1 + 0; "a c": 1/2 + 1 + 1/2 + 0; "d": 1 with itself.
    found = expected_utilities([texts, [], ["d", "a d"]], common_words)
    np.testing.assert_allclose(found[0], [2.5 / 4, 2 / 4, 2.5 / 4, 1 / 4])
    np.testing.assert_allclose(found[2], [1, 1.5 / 2])
    assert not len(found[1])


def test_equal_texts_are_compared_once_and_all_groups_in_one_call():
    asked = []

    def utility(texts, others):
        asked.append(list(zip(texts, others, strict=True)))
        return np.ones(len(texts))

    expected_utilities([["a", "b", "a"], ["a"]], utility)
    assert asked == [[("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("a", "a")]]


def test_the_most_common_translation_comes_first(tokenizers):
    texts = ["drei Vögel", "ein kleiner Hund läuft", "ein kleiner Hund"]
    rows = [[*ids, 3] for ids in tokenizers.target.encode(texts)]
    width = max(map(len, rows))
    ids = np.array([[row + [0] * (width - len(row)) for row in rows] + [[0] * width]])
    lengths = np.array([[*map(len, rows), 0]])
    scores = np.array([[-1.0, -2.0, -3.0, -np.inf]], "float32")

    def search(source, max_lengths, prefix=None):
        return Hypotheses(ids, lengths, scores, scores)

    search.max_length = 40
    found = MinimumRisk(search, tokenizers.target, sentence_utility("chrf"))(np.array([[4, 3]]), np.array([9]))
    order = tokenizers.target.decode(row[:n] for row, n in zip(found.ids[0], found.lengths[0], strict=True))
    assert order[0] in texts[1:] and order[2:] == [texts[0], ""]
    assert found.scores[0, 0] >= found.scores[0, 1] > found.scores[0, 2] > found.scores[0, 3] == -np.inf
    assert found.log_probs[0, 2] == -1.0


def test_utilities_are_sacrebleus_sentence_scores():
    found = sentence_utility("bleu")(["the cat sat", "the cat ran"], ["the cat sat"] * 2)
    # 1-grams 2/3, 2-grams 1/2, and of longer ones only what there are: 3-grams, smoothed to 1/2 of one.
    assert found == pytest.approx([100, 100 * (2 / 3 * 1 / 2 * 1 / 2) ** (1 / 3)])


def test_a_translator_with_mbr(tiny_model, tokenizers, translator):
    settings = {"samples": 6, "mbr": "chrf", "temperature": 0.8}
    found = Translator.of_model(tiny_model, tokenizers, translator.config.model_copy(update=settings))
    (line,) = found.translate(["ein kleiner Hund"], nbest=6)
    scores = [best.score for best in line.nbest]
    assert len(scores) == 6 and scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 100
    with pytest.raises(UserError, match="beam or samples of at least 2"):
        Translator.of_model(tiny_model, tokenizers, translator.config.model_copy(update={"beam": 1, "mbr": "bleu"}))


def test_bleu_cuts_chinese_into_characters():
    near = (["他喜欢那只小猫和狗"], ["他喜欢那只小猫"])
    assert sentence_utility("bleu", "zh")(*near)[0] > 40 > sentence_utility("bleu")(*near)[0]
    assert sentence_utility("bleu", "cmn")(*near)[0] == sentence_utility("bleu", "zh-CN")(*near)[0] > 40


def test_a_tokenizer_that_is_not_installed_is_named(monkeypatch):
    def refuse(**_):
        raise RuntimeError("Please install\nMeCab")

    monkeypatch.setattr("sacrebleu.metrics.BLEU", refuse)
    with pytest.raises(
        UserError, match=r"tokenizer ja-mecab is not .* run pip install 'sacrebleu\[ja\]'; or take mbr chrf"
    ):
        sentence_utility("bleu", "ja")
