"""Lines of several sentences."""

import logging
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_rl.decoding.sentences import SentenceTranslator
from nmt_rl.decoding.translator import BLANK
from nmt_rl.errors import UserError

LINES = ["Der Hund sieht Dr. Vogel. Die Wiese ist z.B. grün! Und?", "", "ein Hund"]


def test_sentences_are_translated_by_themselves_and_joined(translator):
    by_sentence = SentenceTranslator(translator, "de", "en")
    parts = ["Der Hund sieht Dr. Vogel.", "Die Wiese ist z.B. grün!", "Und?"]
    assert by_sentence.split(LINES[0]) == parts
    found, alone = by_sentence.translate(LINES), translator.translate(parts)
    assert found[0].text == " ".join(t.text for t in alone if t.text)
    assert found[0].score == pytest.approx(sum(t.score for t in alone) / 3)
    chinese = SentenceTranslator(translator, "de", "zh").translate(LINES[:1])[0]
    assert chinese.text == "".join(t.text for t in alone)
    assert found[1] == BLANK and found[2].text == translator.translate(LINES[2:])[0].text


def test_any_blank_is_a_blank(translator):
    by_sentence = SentenceTranslator(translator, "de", "en")
    for blank in ("\u00a0", "\u0085", "\u2028", "\u3000"):
        assert by_sentence.split(f"Typ A{blank}. Dann kommt er.") == by_sentence.split("Typ A . Dann kommt er.")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["de", "en", "fr", "zh", "xx"]))
def test_splitting_loses_nothing(line, language):
    line = line.encode("utf-8", "replace").decode("utf-8")  # what reading a file gives
    sentences = SentenceTranslator(None, language, "en").split(line)
    assert "".join("".join(sentences).split()) == "".join(line.split())
    assert all(sentence.strip() == sentence != "" for sentence in sentences)


def test_warnings_name_the_line_and_a_long_line_needs_none(translator, caplog):
    long = "Ein kleiner Hund. " * 9
    with caplog.at_level(logging.WARNING, logger="nmt_rl"):
        SentenceTranslator(translator, "de", "en").translate(["Hund", "Hund. " + "Hund " * 60 + "."], first_line=10)
        assert ["line 11 has" in record.getMessage() for record in caplog.records] == [True]
        caplog.clear()
        translator.translate([long])
        assert len(caplog.records) == 1
        caplog.clear()
        SentenceTranslator(translator, "de", "en").translate([long])
    assert not caplog.records


def test_what_is_of_single_sentences_is_refused(translator, monkeypatch):
    by_sentence = SentenceTranslator(translator, "de", "en")
    for options in ({"nbest": 2}, {"prefixes": ["a"]}):
        with pytest.raises(UserError, match="of single sentences; leave out --split-sentences"):
            by_sentence.translate(["Hund"], **options)
    monkeypatch.setitem(sys.modules, "sentencex", None)
    with pytest.raises(UserError, match="splitter is not installed; pip install sentencex"):
        SentenceTranslator(translator, "de", "en")
