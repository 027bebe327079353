"""Lines in capitals and in other scripts."""

import pytest

from nmt_rl.config import DecodingConfig
from nmt_rl.decoding.surface import is_foreign, is_shouted, quieted
from nmt_rl.decoding.translator import Translator


@pytest.mark.parametrize(
    ("line", "shouted"),
    [
        ("PLEASE READ THIS", True),
        ("ÖFFNEN SIE DIE TÜR!", True),
        ("Please READ this", False),
        ("NASA", False),
        ("A B", False),
        ("12 34 + 56", False),
        ("猫 がいる です", False),
    ],
)
def test_lines_in_capitals(line, shouted):
    assert is_shouted(line) is shouted


def test_small_letters_but_for_the_first():
    assert quieted("“PLEASE READ THIS”, ÄSOP") == "“Please read this”, äsop"


def test_foreign_lines_have_letters_that_are_all_unknown():
    known = frozenset("abcdefg▁")
    assert is_foreign("猫", known) and not is_foreign("a 猫", known) and not is_foreign("123 !", known)


def test_translations_of_lines_in_capitals_are_those_of_small_ones(tiny_model, tokenizers):
    plain = DecodingConfig(beam=2, max_length_ratio=0.5, max_length_extra=4)
    quiet = plain.model_copy(update={"recase": True, "copy_unknown": True})
    lines = ["EIN KLEINER HUND", "ein kleiner Hund", "", "猫がいる", "Wiese"]
    was = Translator.of_model(tiny_model, tokenizers, plain).translate([quieted(lines[0]), *lines[1:]], nbest=2)
    found = Translator.of_model(tiny_model, tokenizers, quiet).translate(lines, nbest=2)
    assert found[0].text == was[0].text.upper() and [h.text for h in found[0].nbest] == [
        h.text.upper() for h in was[0].nbest
    ]
    assert found[3].text == "猫がいる"
    for i in (1, 2, 4):
        assert [h.pieces for h in found[i].nbest] == [h.pieces for h in was[i].nbest]
        assert found[i].score == pytest.approx(was[i].score, rel=1e-5)
