"""The embedded quickstart corpus: sizes, disjoint splits, byte-for-byte regeneration, and the grammar's word forms."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data" / "quickstart"
SCRIPTS = ROOT / "scripts"
SIZES = {"train": 10_000, "valid": 500, "test": 500}
FILES = sorted(f"{split}.{language}" for split in SIZES for language in ("en", "de"))


def lines(name: str) -> list[str]:
    return (DATA / name).read_bytes().decode("utf-8").split("\n")[:-1]


@pytest.fixture(scope="module", autouse=True)
def _scripts_on_path() -> None:
    sys.path.insert(0, str(SCRIPTS))


def test_data_holds_the_six_files_and_nothing_else() -> None:
    assert sorted(p.name for p in DATA.iterdir()) == FILES


@pytest.mark.parametrize("split", SIZES)
def test_split_sizes(split: str) -> None:
    assert len(lines(f"{split}.en")) == len(lines(f"{split}.de")) == SIZES[split]


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_sentence_occurs_twice_in_or_across_splits(language: str) -> None:
    sentences = [line for split in SIZES for line in lines(f"{split}.{language}")]
    assert len(set(sentences)) == len(sentences) == sum(SIZES.values())


@pytest.mark.parametrize("name", FILES)
def test_lines_are_clean_sentences(name: str) -> None:
    for line in lines(name):
        assert line == unicodedata.normalize("NFC", line).strip()
        assert all(unicodedata.category(c)[0] != "C" for c in line)
        assert line[0].isupper() or line[0].isdigit() or line[0] == "€"
        assert re.search(r"[.?!]$", line) and not re.search(r"\s[,.?!]|,,|\s\s|[{}\[\]_|~^=]", line), line
        assert 4 <= len(line.split()) <= 25, line


@pytest.mark.parametrize(("language", "low", "high"), [("en", 10, 12), ("de", 9.5, 12)])
def test_average_length(language: str, low: float, high: float) -> None:
    train = lines(f"train.{language}")
    assert low < sum(len(line.split()) for line in train) / len(train) < high


def test_numbers_agree_between_languages() -> None:
    """English 1,250.5 is German 1.250,5."""
    checked = 0
    for english, german in zip(lines("train.en"), lines("train.de"), strict=True):
        for number in re.findall(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", english):
            assert number.translate(str.maketrans(",.", ".,")) in german, (english, german)
            checked += 1
    assert checked > 100


def test_the_test_set_has_unseen_words_but_few() -> None:
    for language in ("en", "de"):
        seen = {w for line in lines(f"train.{language}") for w in re.findall(r"\w+", line)}
        words = [w for line in lines(f"test.{language}") for w in re.findall(r"\w+", line)]
        rate = sum(w not in seen for w in words) / len(words)
        assert 0.001 < rate < 0.08, (language, rate)


def test_the_script_reproduces_the_files_byte_for_byte(tmp_path: Path) -> None:
    script = SCRIPTS / "make_quickstart_corpus.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_another_seed_gives_other_sentences() -> None:
    from make_quickstart_corpus import make_pairs

    assert make_pairs(1, 20) == make_pairs(1, 20)
    assert not set(make_pairs(1, 20)) & set(make_pairs(2, 20))


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (1, "one", "eins"),
        (16, "sixteen", "sechzehn"),
        (17, "seventeen", "siebzehn"),
        (21, "twenty-one", "einundzwanzig"),
        (30, "thirty", "dreißig"),
        (101, "one hundred and one", "einhunderteins"),
        (777, "seven hundred and seventy-seven", "siebenhundertsiebenundsiebzig"),
        (1021, "one thousand and twenty-one", "eintausendeinundzwanzig"),
        (250_300, "two hundred and fifty thousand three hundred", "zweihundertfünfzigtausenddreihundert"),
    ],
)
def test_spelled_numbers(number: int, english: str, german: str) -> None:
    from quickstart_grammar.numbers import english_words, german_words

    assert (english_words(number), german_words(number)) == (english, german)


@pytest.mark.parametrize(
    ("hour", "minute", "style", "english", "german"),
    [
        (7, 30, "words", "half past seven", "halb acht"),
        (20, 45, "words", "a quarter to nine", "Viertel vor neun"),
        (16, 10, "words", "ten past four", "zehn nach vier"),
        (13, 0, "words", "one o'clock", "ein Uhr"),
        (20, 30, "twelve", "8.30 p.m.", "20.30 Uhr"),
        (12, 0, "twelve", "12 p.m.", "12 Uhr"),
        (9, 5, "digits", "09:05", "9.05 Uhr"),
    ],
)
def test_clock(hour: int, minute: int, style: str, english: str, german: str) -> None:
    from quickstart_grammar.numbers import clock

    assert clock(hour, minute, style) == (english, german)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("an|rufen rief gerufen", "ruft rief angerufen anzurufen ruf"),
        ("lesen liest las gelesen", "liest las gelesen zu lesen lies"),
        ("treten tritt trat getreten s", "tritt trat getreten zu treten tritt"),
        ("reparieren", "repariert reparierte repariert zu reparieren repariere"),
        ("arbeiten", "arbeitet arbeitete gearbeitet zu arbeiten arbeite"),
        ("sich öffnen", "öffnet öffnete geöffnet zu öffnen öffne"),
        ("streicheln", "streichelt streichelte gestreichelt zu streicheln streichle"),
        ("über|raschen", "rascht raschte übergerascht überzuraschen rasch"),
        ("überraschen", "überrascht überraschte überrascht zu überraschen überrasch"),
    ],
)
def test_german_verbs(entry: str, expected: str) -> None:
    from quickstart_grammar.german import parse_german

    verb = parse_german(entry)
    forms = [verb.finite("present", 2), verb.finite("preterite", 2), verb.full_participle, verb.zu_infinitive]
    assert " ".join([*forms, verb.imperative(1)]) == expected


@pytest.mark.parametrize(
    ("determiner", "adjective", "entry", "plural", "expected"),
    [
        ("THE", "old alt", "table Tisch m -e", False, ("der alte Tisch", "den alten Tisch", "dem alten Tisch")),
        ("A", "new neu", "book Buch n ^er", False, ("ein neues Buch", "ein neues Buch", "einem neuen Buch")),
        ("A", "dark dunkel stem=dunkl", "door Tür f -en", True, ("dunkle Türen", "dunkle Türen", "dunklen Türen")),
        ("THE", "young jung", "bear Bär mw -en", False, ("der junge Bär", "den jungen Bären", "dem jungen Bären")),
        ("BARE", "fresh frisch", "milk Milch f 0", False, ("frische Milch", "frische Milch", "frischer Milch")),
        ("THE", "pink rosa", "hat Hut m ^e", True, ("die rosa Hüte", "die rosa Hüte", "den rosa Hüten")),
    ],
)
def test_noun_phrases(determiner: str, adjective: str, entry: str, plural: bool, expected: tuple[str, ...]) -> None:
    from quickstart_grammar import phrases
    from quickstart_grammar.adjectives import parse_adjective
    from quickstart_grammar.nouns import parse_noun

    chosen = getattr(phrases, determiner)
    made = phrases.noun_phrase(chosen, [parse_adjective(adjective)], parse_noun(entry, "small"), plural)
    assert made.de[:3] == expected


def test_compounds_join_with_linking_elements() -> None:
    from quickstart_grammar.compounds import compound
    from quickstart_grammar.nouns import parse_noun

    made = compound("garden:Garten", parse_noun("door_key Türschlüssel m =", "small"))
    assert made is not None
    assert (made.en, made.de, made.genitive) == ("garden door key", "Gartentürschlüssel", "Gartentürschlüssels")
    hyphen = compound("underground:U-Bahn-", parse_noun("driver Fahrer m = Fahrerin", "person"))
    assert hyphen is not None and hyphen.as_feminine().de == "U-Bahn-Fahrerin"
    assert compound("paper:Papier", parse_noun("door Tür f -en", "opening")) is None


def test_word_order_of_a_separable_verb() -> None:
    from dataclasses import replace

    from quickstart_grammar.adverbs import Adverb
    from quickstart_grammar.phrases import pronoun
    from quickstart_grammar.render import Clause, english, german
    from quickstart_grammar.verbs import VERBS

    call = next(v for v in VERBS if v.de.full_infinitive == "anrufen")
    c = Clause(pronoun("she"), call, (("a", pronoun("he")),))
    assert (english(c), german(c)) == ("she calls him", "sie ruft ihn an")
    assert german(c, "last") == "sie ihn anruft"
    assert german(c, "zu", subject=False) == "ihn anzurufen"
    assert german(replace(c, modal="want to")) == "sie will ihn anrufen"
    assert german(replace(c, tense="perfect", negated=True), front="heute") == "heute hat sie ihn nicht angerufen"
    asked = replace(c, tense="past", adverbs=(Adverb("yesterday", "gestern", "time"),))
    assert english(asked, "question") == "did she call him yesterday"
    assert german(asked, "v1") == "rief sie ihn gestern an"
