import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from nmt_rl.corpus.words import count_words, word_splitter
from nmt_rl.errors import UserError

text = st.text(st.sampled_from("ab1.,-&;<> '\"$…é\u00a0\u2028中文，。ไทย่"), max_size=30)


@pytest.mark.parametrize("tokenizer", ["13a", "zh", "char", "intl"])
@settings(max_examples=100, deadline=None)
@given(text)
def test_words_are_those_of_sacrebleu(tokenizer, line):
    assert word_splitter(tokenizer)(line) == BLEU(tokenize=tokenizer).tokenizer(line.rstrip()).split()


def test_words_of_a_numeric_sentence():
    words = ["It's", "3.14", ",", "not", "3", ".", "or", "20", "-", "30", "!"]
    assert word_splitter("13a")("It's 3.14, not 3. or 20-30!") == words
    assert word_splitter("13a")("a-\nb") == ["a-", "b"]


def test_words_without_blanks():
    assert word_splitter("zh")("我有3.5个apples。") == ["我", "有", "3.5", "个", "apples", "。"]
    assert word_splitter("char")("ไทย a") == ["ไ", "ท", "ย", "a"]


def test_words_are_composed():
    assert word_splitter("13a")("cafe\u0301 1") == ["café", "1"]


def test_a_tokenizer_that_is_not_installed_names_its_package():
    pytest.importorskip("sacrebleu")
    try:
        word_splitter("ja-mecab")
    except UserError as error:
        assert "run pip install 'sacrebleu[ja]'" in str(error)
    else:
        assert word_splitter("ja-mecab")("私は猫です。") == ["私", "は", "猫", "です", "。"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", 0),
        ("a dog - runs", 4),
        ("der Hund läuft über die Straße", 6),
        ("나는 사과를 좋아한다", 3),
        ("我喜欢苹果。", 3),  # five characters
        ("我用Python写了3.5个程序。", 6),  # seven characters, two words of another script
        ("私はリンゴが好きです。", 5),
        ("ฉันชอบแอปเปิ้ล", 4),  # eleven letters; vowel signs above and tone marks do not count
        ("ខ្ញុំចូលចិត្តផ្លែប៉ោម", 4),
        ("。", 1),
    ],
)
def test_lengths_by_script(line, words):
    assert count_words(line) == words
