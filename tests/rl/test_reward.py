import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF
from toy_mdp import AddOneToEveryOrder

from nmt_rl.config import RewardConfig, TokenizerConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK, train_tokenizer
from nmt_rl.corpus.words import word_splitter
from nmt_rl.rl.reward import Reward, make_reward
from nmt_rl.rl.sentence_metrics import chrf, ter

pytestmark = pytest.mark.jax

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
words_13a = word_splitter("13a")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(LINES * 20, TokenizerConfig(vocabulary=VOCABULARY))


@pytest.fixture(scope="module")
def reward(tokenizer):
    return Reward(tokenizer)


@pytest.fixture(scope="module")
def reference(reward):
    return reward.references([REFERENCE])[0]


def metric(text, reference=REFERENCE, smoothing="add-k"):
    """sacreBLEU's sentence score with the same smoothing, in [0, 1]."""
    theirs = BLEU(smooth_method=smoothing, effective_order=True)
    return theirs.sentence_score(text, [reference]).score / 100


def score(reward, text):
    return reward.scores([text], reward.references([REFERENCE]))[0]


class WordTokenizer:
    """One piece is one word; ids from 4 on are a, b, c, d."""

    size = 8

    def decode(self, ids):
        return [" ".join("abcd"[i - 4] for i in row if i >= 4) for row in ids]


def test_rewards_by_hand():
    bleu = AddOneToEveryOrder(max_order=2)
    reward = Reward(WordTokenizer(), bleu)
    reference = reward.references(["a b"])[0]
    episode = reward.episode([4, 5, 4, EOS], reference)
    # a word counts when the next one begins: a -> .367879, ab -> 1, aba -> .707107
    np.testing.assert_allclose(episode.potentials, [0, 0, 0.367879, 1.0, 0.707107], atol=5e-7)
    np.testing.assert_allclose(episode.rewards, [0, 0.367879, 0.632121, -0.292893], atol=5e-7)
    cut = reward.episode([4, 5], reference)
    np.testing.assert_allclose(cut.rewards, [0, 1.0], atol=5e-7)
    assert cut.score == 1.0


def test_features_by_hand():
    bleu = AddOneToEveryOrder(max_order=2)
    reward = Reward(WordTokenizer(), bleu)
    features = reward.episode([4, 4, 5, EOS], reward.references(["a b"])[0]).features
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
            assert episode.potentials[t] == reward.scores([completed], [reference])[0]


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
    assert abs(episode.rewards.sum() - reward.scores([finished], [reference])[0]) < 1e-12
    assert episode.score == reward.scores([finished], [reference])[0]
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
    assert abs(episode.rewards.sum() - reward.scores([finished], [reference])[0]) < 1e-12
    if set(words_13a(finished)) & set(words_13a(REFERENCE)):
        assert episode.score == pytest.approx(metric(finished), abs=1e-12)


@pytest.mark.parametrize("hypothesis", [[], [PAD], [EOS], [PAD, PAD], [BOS, EOS], [UNK, UNK, EOS]])
def test_hypotheses_without_words(reward, reference, hypothesis):
    episode = reward.episode(hypothesis, reference)
    # ⁇ ⁇: brevity, floor .01 of 2 unigrams, then 1/2, 1, 1
    expected = np.exp(1 - len(reference.words) / 2) * (0.005 * 0.5) ** 0.25 if UNK in hypothesis else 0.0
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


def test_scores(reward):
    references = reward.references(LINES)
    scores = reward.scores([LINES[0], "Two men sit on a bench.", ""], [references[0], references[2], references[3]])
    assert scores.dtype == np.float64
    assert scores[0] == 1.0
    assert scores[1] == pytest.approx(metric("Two men sit on a bench.", LINES[2]), abs=1e-12)
    assert scores[2] == 0.0
    assert reward.scores([], []).shape == (0,)
    with pytest.raises(ValueError, match="6 hypotheses but 2 references"):
        reward.scores(LINES, references[:2])
    with pytest.raises(ValueError, match="1 translations but 2 references"):
        reward.episodes([[5]], references[:2])


def test_unknown_pieces_never_match(reward):
    reference = reward.references(["⁇ a"])
    assert reward.scores(["⁇ b"], reference)[0] < reward.scores(["a b"], reference)[0]
    assert reward.scores(["⁇ b"], reference)[0] == reward.scores(["c b"], reference)[0]
    assert ("⁇",) not in reference[0].ngrams.counts


def draw_pieces(tokenizer, data):
    """Stretches of real sentences, cut inside words and sewn together, with some EOS."""
    row = []
    for line in data.draw(st.lists(st.sampled_from(known_pieces(tokenizer)), max_size=3)):
        begin = data.draw(st.integers(0, len(line)))
        row += line[begin : data.draw(st.integers(begin, len(line)))]
    return row + [EOS] * data.draw(st.integers(0, 1))


@pytest.mark.parametrize("smoothing", ["add-k", "floor", "exp", "none"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_prefix_has_sacrebleus_score(tokenizer, smoothing, data):
    reward = make_reward(RewardConfig(smoothing=smoothing), tokenizer)
    pieces = draw_pieces(tokenizer, data)
    episode = reward.episode(pieces, reward.references([REFERENCE])[0])
    begins = [piece.startswith("▁") for piece in tokenizer.pieces(pieces)]
    for t, found in enumerate(episode.potentials):
        last_space = max((i for i in range(t) if begins[i]), default=0) if t < len(pieces) else t
        completed = tokenizer.decode([pieces[:last_space]])[0]
        if smoothing != "add-k" or set(words_13a(completed)) & set(words_13a(REFERENCE)):
            assert found == pytest.approx(metric(completed, smoothing=smoothing), abs=1e-12)
        else:  # sacreBLEU answers 0
            assert 0.0 <= found < 0.1


def test_the_brevity_of_the_configuration_reaches_the_scores(tokenizer):
    plain, longer = (make_reward(RewardConfig(brevity=brevity), tokenizer) for brevity in (0.0, 2.0))
    words = len(words_13a(REFERENCE))
    for reward, expected in ((plain, 1.0), (longer, np.exp(-2.0 / words))):
        assert reward.scores([REFERENCE], reward.references([REFERENCE])) == pytest.approx([expected])


MIXTURE = {"bleu": 0.5, "chrf": 2.0, "ter": 0.25, "constant": 0.5}


@pytest.mark.parametrize("shape", ["delta", "terminal"])
@pytest.mark.parametrize("metrics", [MIXTURE, {"chrf": 1.0}, {"ter": 1.0}, {"bleu": 1.0}, {"constant": 1.0}], ids=str)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_reward_telescopes(tokenizer, shape, metrics, data):
    reward = make_reward(RewardConfig(metrics=metrics, shape=shape), tokenizer)
    reference = reward.references([REFERENCE])
    pieces = [row for row in (draw_pieces(tokenizer, data) for _ in range(3)) if row]
    texts = tokenizer.decode(pieces)
    scores = reward.scores(texts, reference * len(texts))
    for row, episode, worth in zip(pieces, reward.episodes(pieces, reference * len(texts)), scores, strict=True):
        assert episode.score == worth
        assert abs(episode.rewards.sum() - worth) < 1e-12
        assert episode.potentials[0] == 0.0
        assert episode.features.shape == (len(row), reward.features) == (len(row), 8)
        np.testing.assert_allclose(episode.features[:, -1], episode.potentials[:-1], atol=1e-6)
        if shape == "terminal" or metrics.keys() == {"constant"}:
            assert not episode.rewards[:-1].any()
        alone = reward.episode(row, reference[0])
        np.testing.assert_array_equal(alone.potentials, episode.potentials)


def test_a_mixture_is_the_weighted_sum(tokenizer):
    line = "On 12-11-2026, Mr. Neill sold books"
    expected = 0.5 * metric(line) + 2 * chrf([line], [REFERENCE])[0] + 0.25 * ter([line], [REFERENCE])[0] + 0.25
    assert score(make_reward(RewardConfig(metrics=MIXTURE), tokenizer), line) == pytest.approx(expected, abs=1e-12)


def test_chrf_of_completed_words(tokenizer):
    reward = make_reward(RewardConfig(metrics={"chrf": 1.0}), tokenizer)
    pieces = [*tokenizer.encode(["On twelve books"])[0], EOS]
    potentials = reward.episode(pieces, reward.references([REFERENCE])[0]).potentials
    theirs = [CHRF().sentence_score(text, [REFERENCE]).score / 100 for text in ("On", "On twelve", "On twelve books")]
    found = [value for i, value in enumerate(potentials) if i and value != potentials[i - 1]]
    np.testing.assert_allclose(found, theirs, atol=1e-12)


def test_a_constant_has_no_advantage_anywhere(tokenizer):
    """The return from every state is the same, also for the empty text; so no piece and no fork is better."""
    reward = make_reward(RewardConfig(metrics={"constant": 1.0}), tokenizer)
    rows = [[*line, EOS] for line in known_pieces(tokenizer)] + [[EOS]]
    for episode in reward.episodes(rows, reward.references([REFERENCE] * len(rows))):
        np.testing.assert_array_equal(np.cumsum(episode.rewards[::-1]), np.full(episode.length, 0.5))
    np.testing.assert_array_equal(reward.scores([*LINES, ""], reward.references([REFERENCE] * 7)), np.full(7, 0.5))


def test_terminal_rewards_ask_once_for_the_whole_text(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "asked_metric.py").write_text(
        "seen = []\ndef f(h, r):\n    seen.append(h)\n    return [0.25] * len(h)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rows = [[*line, EOS] for line in known_pieces(tokenizer)[:2]]
    reward = make_reward(RewardConfig(metrics={"asked_metric:f": 2.0}, shape="terminal"), tokenizer)
    episodes = reward.episodes(rows, reward.references(LINES[:2]))
    assert [episode.score for episode in episodes] == [0.5, 0.5]
    assert sys.modules.pop("asked_metric").seen == [LINES[:2]]


def test_speed(tokenizer, reward):
    """At least 20,000 pieces a second of processor time; measured well above, so a busy machine does not fail it."""
    rng = np.random.default_rng(0)
    words = [word for line in LINES for word in line.split()]
    pieces = tokenizer.encode([" ".join(rng.choice(words, 20)) for _ in range(1000)])
    references = reward.references((LINES * 200)[:1000])
    start = time.process_time()
    for row, reference in zip(pieces, references, strict=True):
        reward.episode(row, reference)
    assert sum(map(len, pieces)) / (time.process_time() - start) > 20_000
