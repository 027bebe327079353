import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from nmt_rl.config import TokenizerConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK, train_tokenizer
from nmt_rl.rl.bleu import SentenceBleu
from nmt_rl.rl.reward import BleuReward, prepare_references, sentence_scores, words_13a

LINES = [
    "The small dog doesn't run 3.14 miles, it walks (slowly)!",
    "On 12-11-2026, Mr. O'Neill paid $1,000.50 for 20-30 books...",
    "Two men are sitting on a bench, reading newspapers.",
    'He said: "No, thanks - not today." & left; tea/coffee?',
    "A woman in a red coat walks her dog through the snowy park.",
    "Children play football on the beach while their parents watch.",
]
REFERENCE = LINES[1]
VOCABULARY = 330


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(LINES * 20, TokenizerConfig(vocabulary=VOCABULARY))


@pytest.fixture(scope="module")
def reward(tokenizer):
    return BleuReward(tokenizer)


@pytest.fixture(scope="module")
def reference():
    return prepare_references([REFERENCE])[0]


def metric(text, reference=REFERENCE):
    """sacreBLEU's sentence score with the same smoothing, in [0, 1]."""
    theirs = BLEU(smooth_method="add-k", smooth_value=1, effective_order=True)
    return theirs.sentence_score(text, [reference]).score / 100


class WordTokenizer:
    """One piece is one word; ids from 4 on are a, b, c, d."""

    size = 8

    def decode(self, ids):
        return [" ".join("abcd"[i - 4] for i in row if i >= 4) for row in ids]


text = st.text(st.sampled_from("ab1.,-&;<> '\"$…é\u00a0\u2028"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(text)
def test_words_are_those_of_sacrebleu(line):
    assert words_13a(line) == Tokenizer13a()(line).split()


def test_words_of_a_numeric_sentence():
    assert words_13a("It's 3.14, not 3. or 20-30!") == [
        "It's",
        "3.14",
        ",",
        "not",
        "3",
        ".",
        "or",
        "20",
        "-",
        "30",
        "!",
    ]
    assert words_13a("a-\nb") == ["a-", "b"]


def test_rewards_by_hand():
    bleu = SentenceBleu(max_order=2, smooth_unigrams=True)
    reward, reference = BleuReward(WordTokenizer(), bleu), bleu.reference(["a", "b"])
    episode = reward.episode([4, 5, 4, EOS], reference)
    # a word counts when the next one begins: a -> .367879, ab -> 1, aba -> .707107
    np.testing.assert_allclose(episode.potentials, [0, 0, 0.367879, 1.0, 0.707107], atol=5e-7)
    np.testing.assert_allclose(episode.rewards, [0, 0.367879, 0.632121, -0.292893], atol=5e-7)
    cut = reward.episode([4, 5], reference)
    np.testing.assert_allclose(cut.rewards, [0, 1.0], atol=5e-7)
    assert cut.score == 1.0


def test_features_by_hand():
    bleu = SentenceBleu(max_order=2, smooth_unigrams=True)
    reward = BleuReward(WordTokenizer(), bleu)
    features = reward.episode([4, 4, 5, EOS], bleu.reference(["a", "b"])).features
    # words / 50, reference / 50, missing share, two precisions, Phi
    np.testing.assert_allclose(features[0], [0, 0.04, 1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(features[2], [0.02, 0.04, 0.5, 1, 0, 0.367879], atol=1e-6)
    np.testing.assert_allclose(features[3], [0.04, 0.04, 0, 0.5, 0, 0.577350], atol=1e-6)
    assert features.shape == (4, reward.features)


def test_increments_stand_where_words_end(tokenizer, reward, reference):
    pieces = tokenizer.encode([REFERENCE])[0] + [EOS]
    episode = reward.episode(pieces, reference)
    begins = [piece.startswith("▁") for piece in tokenizer.pieces(pieces)]
    inside = [t for t in range(len(pieces) - 1) if not begins[t]]
    assert inside and not episode.rewards[inside].any()
    assert episode.rewards[0] == 0.0
    assert episode.score == 1.0
    for t in range(len(pieces)):
        last_space = max((i for i in range(t) if begins[i]), default=0)
        completed = tokenizer.decode([pieces[:last_space]])[0]
        if t:
            assert episode.potentials[t] == sentence_scores([completed], [reference])[0]


pieces = st.lists(st.integers(0, VOCABULARY - 1), max_size=25)


def known_pieces(tokenizer):
    return tokenizer.encode(LINES)


@settings(max_examples=150, deadline=None)
@given(pieces, st.booleans())
def test_rewards_telescope_to_the_metric(tokenizer, reward, reference, hypothesis, ended):
    """Random pieces: with specials, broken UTF-8, bytes that are white space, longer than the reference, or empty."""
    hypothesis = [p for p in hypothesis if p != EOS]
    episode = reward.episode(hypothesis + [EOS] * ended, reference)
    finished = tokenizer.decode([hypothesis])[0]
    assert abs(episode.rewards.sum() - sentence_scores([finished], [reference])[0]) < 1e-12
    assert episode.score == sentence_scores([finished], [reference])[0]
    if set(words_13a(finished)) & set(words_13a(REFERENCE)):
        assert episode.score == pytest.approx(metric(finished), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mixed_real_pieces_telescope(tokenizer, reward, reference, data):
    """Stretches of real sentences, cut inside words and sewn together."""
    hypothesis = []
    for line in data.draw(st.lists(st.sampled_from(known_pieces(tokenizer)), max_size=3)):
        begin = data.draw(st.integers(0, len(line)))
        hypothesis += line[begin : data.draw(st.integers(begin, len(line)))]
    episode = reward.episode(hypothesis, reference)
    finished = tokenizer.decode([hypothesis])[0]
    assert abs(episode.rewards.sum() - sentence_scores([finished], [reference])[0]) < 1e-12
    if set(words_13a(finished)) & set(words_13a(REFERENCE)):
        assert episode.score == pytest.approx(metric(finished), abs=1e-12)


@pytest.mark.parametrize("hypothesis", [[], [PAD], [EOS], [PAD, PAD], [BOS, EOS], [UNK, UNK, EOS]])
def test_hypotheses_without_words(reward, reference, hypothesis):
    episode = reward.episode(hypothesis, reference)
    # ⁇ ⁇: brevity, floor .01 of 2 unigrams, then 1/2, 1, 1
    expected = np.exp(1 - reference.length / 2) * (0.005 * 0.5) ** 0.25 if UNK in hypothesis else 0.0
    assert episode.score == pytest.approx(expected, abs=1e-15)
    assert episode.rewards.sum() == pytest.approx(expected, abs=1e-15)


def test_nothing_behind_the_end_matters(tokenizer, reward, reference):
    pieces = tokenizer.encode([REFERENCE[:30]])[0]
    clean = reward.episode([*pieces, EOS], reference)
    dirty = reward.episode(np.array([*pieces, EOS, 7, 300, EOS, 10**6, PAD]), reference)
    cut = reward.episode([*pieces, PAD, PAD], reference)
    assert dirty.length == clean.length == cut.length + 1 == len(pieces) + 1
    np.testing.assert_array_equal(dirty.rewards, clean.rewards)
    np.testing.assert_array_equal(dirty.features, clean.features)
    assert cut.score == clean.score == cut.rewards.sum()


@pytest.mark.parametrize("foreign", [-1, VOCABULARY])
def test_foreign_piece(reward, reference, foreign):
    with pytest.raises(IndexError, match="outside the vocabulary of 330"):
        reward.episode([5, foreign], reference)


def test_features_are_about_unit(tokenizer, reward, reference):
    features = reward.episode((tokenizer.encode([LINES[0]])[0] * 8)[:128], reference).features
    assert features.dtype == np.float32
    assert features.min() >= -1.0 and features.max() <= 2.0


def test_sentence_scores():
    references = prepare_references(LINES)
    scores = sentence_scores([LINES[0], "Two men sit on a bench.", ""], [references[0], references[2], references[3]])
    assert scores.dtype == np.float64
    assert scores[0] == 1.0
    assert scores[1] == pytest.approx(metric("Two men sit on a bench.", LINES[2]), abs=1e-12)
    assert scores[2] == 0.0
    with pytest.raises(ValueError):
        sentence_scores(LINES, references[:2])


def test_unknown_pieces_never_match():
    reference = prepare_references(["⁇ a"])[0]
    assert sentence_scores(["⁇ b"], [reference])[0] < sentence_scores(["a b"], [reference])[0]
    assert ("⁇",) not in reference.counts


def test_speed(tokenizer):
    """At least 20,000 words a second of processor time; measured well above, so a busy machine does not fail it."""
    rng = np.random.default_rng(0)
    words = [word for line in LINES for word in line.split()]
    hypotheses = [" ".join(rng.choice(words, 20)) for _ in range(1000)]
    references = prepare_references(LINES * 200)[:1000]
    start = time.process_time()
    sentence_scores(hypotheses, references)
    assert 20_000 / (time.process_time() - start) > 20_000
