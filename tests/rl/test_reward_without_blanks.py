"""The reward of languages that put no blanks between words: BLEU by the words that validation counts."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from nmt_rl.config import RewardConfig, TokenizerConfig
from nmt_rl.corpus.tokenizer import EOS, train_tokenizer
from nmt_rl.corpus.words import word_splitter
from nmt_rl.errors import UserError
from nmt_rl.rl import reward as reward_module
from nmt_rl.rl.reward import make_reward

LINES = {
    "zh_Hans": ["我喜欢吃苹果和梨。", "他昨天去了学校，今天在家。", "这3.5公斤的Python书很贵！", "猫在垫子上睡觉。"],
    "th": ["ฉันชอบกินแอปเปิ้ลและลูกแพร์", "เมื่อวานเขาไปโรงเรียน วันนี้อยู่บ้าน", "แมวนอนหลับบนเสื่อ 3.5 ชั่วโมง"],
}
TOKENIZERS = {"zh_Hans": "zh", "th": "char"}
VOCABULARY = 315


@pytest.fixture(scope="module")
def tokenizers():
    halves = {
        code: [line[a:b] for line in lines for a, b in ((0, 4), (2, 6), (4, -1))] for code, lines in LINES.items()
    }
    made = {}
    for code, lines in LINES.items():
        made[code] = train_tokenizer((lines + halves[code]) * 20, TokenizerConfig(type="bpe", vocabulary=VOCABULARY))
    return made


def sacrebleu(language, text, reference):
    metric = BLEU(tokenize=TOKENIZERS[language], smooth_method="add-k", smooth_value=1, effective_order=True)
    return metric.sentence_score(text, [reference]).score / 100


@pytest.mark.parametrize("language", ["zh", "zh-CN", "zho_Hans", "cmn", "yue"])
def test_one_character_off_is_better_than_an_unrelated_sentence(tokenizers, language):
    reward = make_reward(RewardConfig(), tokenizers["zh_Hans"], language)
    reference = reward.references(["我喜欢吃苹果和梨。"])
    same, near, far = reward.scores(["我喜欢吃苹果和梨。", "我喜欢吃苹果和李。", "他昨天去了学校了"], reference * 3)
    assert same == 1.0
    assert near == pytest.approx(sacrebleu("zh_Hans", "我喜欢吃苹果和李。", "我喜欢吃苹果和梨。"))
    assert near > 0.7 > 0.2 > far


def test_metrics_of_a_reward_see_characters(tokenizers):
    line, other = LINES["zh_Hans"][:2]
    for metrics in ({"ter": 1.0}, {"chrf": 1.0}, {"bleu": 0.5, "ter": 0.5}):
        reward = make_reward(RewardConfig(metrics=metrics), tokenizers["zh_Hans"], "zh_Hans")
        near, far = reward.scores([line[:-2] + line[-1], other], reward.references([line] * 2))
        assert near > 0.7 > far
    with pytest.raises(UserError, match=r"finetune.reward.metrics has 'ter': TER counts .* which th does not"):
        make_reward(RewardConfig(metrics={"ter": 1.0}), tokenizers["th"], "th")


@pytest.mark.parametrize("metrics", [{"bleu": 1.0}, {"bleu": 0.5, "chrf": 0.5, "constant": 0.5}])
@pytest.mark.parametrize("shape", ["delta", "terminal"])
@pytest.mark.parametrize("language", LINES)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_rewards_add_up_to_the_worth_of_the_text(tokenizers, language, shape, metrics, seed):
    """Stretches of sentences sewn together, with single bytes and specials among them."""
    tokenizer, draw = tokenizers[language], random.Random(seed)
    reward = make_reward(RewardConfig(metrics=metrics, shape=shape), tokenizer, language)
    row = []
    for line in draw.choices(LINES[language], k=draw.randint(0, 2)):
        row += tokenizer.encode([line])[0][draw.randint(0, 4) :] + [draw.randrange(4, VOCABULARY)]
    row = [piece for piece in row if piece != EOS] + [EOS] * draw.randint(0, 1)
    reference = reward.references([LINES[language][0]])
    episode = reward.episode(row, reference[0])
    worth = reward.scores(tokenizer.decode([row]), reference)[0] if row else 0.0
    assert episode.score == worth and abs(episode.rewards.sum() - worth) < 1e-12


@pytest.mark.parametrize("language", LINES)
def test_every_prefix_has_sacrebleus_score(tokenizers, language):
    tokenizer, line = tokenizers[language], LINES[language][2]
    reward, words = make_reward(RewardConfig(), tokenizer, language), word_splitter(TOKENIZERS[language])
    pieces = [*tokenizer.encode([line])[0], EOS]
    episode = reward.episode(pieces, reward.references([line])[0])
    for t in range(1, len(pieces)):
        done = words(tokenizer.decode([pieces[:t]])[0])[:-1]
        expected = sacrebleu(language, " ".join(done), line) if done else 0.0
        assert episode.potentials[t] == pytest.approx(expected, abs=1e-12)
    assert np.count_nonzero(episode.rewards) > len(pieces) / 2 and episode.score == 1.0


def test_a_character_in_bytes_counts_when_it_is_whole(tokenizers):
    tokenizer = tokenizers["zh_Hans"]
    pieces = [*tokenizer.ids_of(["<0xE7>", "<0x8C>", "<0xAB>"]), *tokenizer.encode(["在"])[0], EOS]
    reward = make_reward(RewardConfig(), tokenizer, "zh")
    potentials = reward.episode(pieces, reward.references(["猫在"])[0]).potentials
    assert not potentials[:4].any() and potentials[-1] == 1.0


def test_words_that_are_cut_anew_as_the_text_grows(tokenizers, monkeypatch):
    """As MeCab does: what is said later may change the words before."""

    def pairs_from_the_end(text):
        return [text[max(end - 2, 0) : end] for end in range(len(text), 0, -2)][::-1]

    monkeypatch.setattr(reward_module, "word_splitter", lambda _: pairs_from_the_end)
    tokenizer = tokenizers["zh_Hans"]
    reward = make_reward(RewardConfig(), tokenizer, "ja")
    reference, text = reward.references(["猫在垫子上睡"]), "猫在垫子"
    pieces = [*(piece for character in text for piece in tokenizer.encode([character])[0][-1:]), EOS]
    assert tokenizer.decode([pieces]) == [text]
    episode = reward.episode(pieces, reference[0])
    assert episode.score == reward.scores([text], reference)[0] > 0.3
    # 猫|, |猫, 猫|在垫, 猫在|: only the last of these holds a word of the reference
    assert [value > 0.1 for value in episode.potentials] == [False, False, False, False, True, True]


def test_decomposed_references_are_those_that_models_can_write(tokenizers):
    reward = make_reward(RewardConfig(metrics={"bleu": 1.0, "chrf": 1.0, "ter": 1.0}), tokenizers["th"], "fr")
    assert reward.scores(["un café"], reward.references(["un cafe\u0301"])) == pytest.approx([3.0])
