"""Terms found in text and written into it."""

import pytest

from nmt_rl.corpus.glossary import Glossary, annotated_pairs, read_glossary, terms_kept
from nmt_rl.errors import UserError

TERMS = Glossary({"file": "Datei", "file system": "Dateisystem", "save": "speichern"})


def test_terms_are_whole_words_in_any_case_the_longest_first():
    assert TERMS.found("Save the file system, not the files") == [("Save", "speichern"), ("file system", "Dateisystem")]
    assert TERMS.annotated("Save the file.") == "Save <t> speichern </t> the file <t> Datei </t>."
    assert TERMS.annotated("Save the file.", ["Datei"]) == "Save the file <t> Datei </t>."
    assert TERMS.annotated("") == "" and len(TERMS) == 3
    assert Glossary({"C++": "C++"}).found("in C++, of course") == [("C++", "C++")]


def test_a_share_of_the_pairs_that_hold_both_sides_is_annotated():
    pairs = [(f"the file {i}", f"die Datei {i}") for i in range(400)] + [("the file", "das Dokument"), ("a", "b")]
    found = list(annotated_pairs(pairs, TERMS, 0.25, seed=1))
    written = sum("<t>" in source for source, _ in found)
    assert 70 < written < 130 and found[-2:] == pairs[-2:]
    assert [target for _, target in found] == [target for _, target in pairs]
    assert (
        found == list(annotated_pairs(pairs, TERMS, 0.25, seed=1)) != list(annotated_pairs(pairs, TERMS, 0.25, seed=2))
    )


def test_what_is_kept_of_what_the_reference_has():
    sources = ["save the file", "save file", "nothing"]
    hypotheses = ["Datei speichern", "Dokument sichern", "nichts"]
    assert terms_kept(TERMS, sources, hypotheses) == (2, 4)
    assert terms_kept(TERMS, sources, hypotheses, ["die datei", "Datei speichern", "x"]) == (1, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file\tDatei\nfolder\n", "line 2 has 1 tab-separated columns"),
        ("file\tDatei\tx\n", "line 1 has 3 tab-separated columns"),
        ("file\tDatei\nFile\tAkte\n", "line 2 has 'File' once more"),
        ("# nothing\n\n", "holds no term"),
        ("<t>\tx\n", "holds <t> or </t>"),
    ],
)
def test_wrong_glossaries(tmp_path, text, words):
    path = tmp_path / "terms.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_glossary(path)


def test_a_good_one(tmp_path):
    path = tmp_path / "terms.tsv"
    path.write_text("# English\tGerman\nfile\tDatei\n\nFile\tDatei\n")
    assert read_glossary(path).terms == {"file": "Datei"}
