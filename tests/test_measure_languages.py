"""The scripts on terms, memories and zero-shot directions, on the tiny run."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def run_script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(name, *options):
        module = __import__(name)
        monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
        module.main()

    return run


def test_memories_beside_none(run_script, tmp_path, tiny_run, tiny_corpus):
    options = (
        "--memory",
        tiny_corpus / "train",
        "--test",
        tiny_corpus / "test",
        "-l",
        "de-en",
        "--ways",
        "like-distance",
    )
    run_script("measure_retrieval", tiny_run.folder, tmp_path / "out", *options)
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(found["ways"]) == {"Keras", "CTranslate2", "like-distance"}
    assert found["memories"]["like-distance"]["mixing"]["kind"] == "distance"


def test_a_dictionary_of_words_that_go_together(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_terms

    pairs = [("open the file", "öffne die Datei"), ("close the file", "schließe die Datei")] * 15
    found = measure_terms.dictionary(pairs)
    assert found["file"] == "Datei" and "open" not in found  # 15 of it are too few.


def test_terms_forced_and_not(run_script, tmp_path, tiny_run, tiny_corpus, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_terms

    monkeypatch.setattr(measure_terms, "LEAST", 2)
    options = ("--train", tiny_corpus / "train", "--test", tiny_corpus / "test", "-l", "de-en", "--terms", 3)
    run_script("measure_terms", tiny_run.folder, tmp_path / "out", *options)
    found = json.loads((tmp_path / "out" / "results.json").read_text())["ways"]
    assert found["forced"]["kept"] == found["forced"]["wanted"] > 0 and found["without"]["wanted"] > 0
