import pytest

from nmt_rl.corpus.languages import bleu_tokenizer, joins_sentences, short_code, split_pair

CODES = {
    "zh": "zh zh-CN zh_TW zh_Hans zh-Hant-HK ZH zho chi cmn yue zho_Hans zho_Hant yue_Hant cmn_Hans zh_CN.UTF-8",
    "ja-mecab": "ja jpn JPN ja-JP ja_XX jpn_Jpan",
    "ko-mecab": "ko kor ko-KR kor_Hang",
    "char": "th tha th-TH tha_Thai lo lao lao_Laoo km khm khm_Khmr my mya bur my_MM mya_Mymr bo bod_Tibt shn_Mymr",
    "13a": "en de de-CH fr vi hi hin_Deva ar eng_Latn zho_Latn nan_Latn ja_Latn Deutsch",
}


@pytest.mark.parametrize(("code", "tokenizer"), [(code, name) for name, all_ in CODES.items() for code in all_.split()])
def test_the_tokenizer_of_a_code_in_any_form(code, tokenizer):
    assert bleu_tokenizer(code) == tokenizer


def test_a_language_that_is_not_known_has_blanks():
    assert bleu_tokenizer("") == "13a"


def test_what_stands_between_sentences():
    """Thai puts blanks between sentences, though not between words."""
    assert [joins_sentences(code) for code in ("zh_Hans", "jpn", "yue", "th", "ko", "de", "")] == ["", "", ""] + [
        " "
    ] * 4


def test_short_codes():
    assert [short_code(code) for code in ("zho_Hans", "zh-CN", "deu_Latn", "DE-ch", "gsw", "")] == [
        "zh", "zh", "de", "de", "gsw", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "codes"),
    [
        ("en-de", ("en", "de")),
        ("EN-DE", ("EN", "DE")),
        ("en-zh-CN", ("en", "zh-CN")),
        ("zh-CN-en", ("zh-CN", "en")),
        ("zh-Hant-TW-pt-BR", ("zh-Hant-TW", "pt-BR")),
        ("zho_Hans-eng_Latn", ("zho_Hans", "eng_Latn")),
        ("es-419-en", ("es-419", "en")),
        ("en", ("", "")),
        ("", ("", "")),
        ("zh-cn-en", ("", "")),
        ("en-de-fr", ("", "")),
    ],
)
def test_pairs_are_parted_where_a_language_begins(pair, codes):
    assert split_pair(pair) == codes
