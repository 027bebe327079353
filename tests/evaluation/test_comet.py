"""COMET through its package's interface, which a stand-in plays here: the package is not installed."""

import sys
from types import SimpleNamespace

import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.comet import MODEL, comet_score, comet_sentence_scores, load_model


@pytest.fixture(autouse=True)
def not_loaded_yet():
    load_model.cache_clear()


def stand_in(monkeypatch, load):
    module = SimpleNamespace(__version__="2.2", download_model=lambda name: name, load_from_checkpoint=load)
    monkeypatch.setitem(sys.modules, "comet", module)


def test_it_is_asked_for_sources_translations_and_references(monkeypatch):
    asked = []

    def predict(rows, batch_size, gpus):
        asked.extend(rows)
        return SimpleNamespace(system_score=0.75, scores=[0.75])

    loaded = []
    stand_in(monkeypatch, lambda name: loaded.append(name) or SimpleNamespace(predict=predict))
    score = comet_score(["ein Hund"], ["a dog"], ["the dog"])
    assert asked[:1] == [{"src": "ein Hund", "mt": "a dog", "ref": "the dog"}]
    assert comet_score(["ein Hund"], ["a dog"], ["the dog"]) == score and loaded == [MODEL]
    assert (score.value, score.signature) == (0.75, f"model:{MODEL}|nrefs:1|version:2.2")
    assert comet_sentence_scores(["ein Hund"], ["a dog"], ["the dog"]) == ([0.75], score.signature)


def test_without_the_package_or_its_model_the_user_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "comet", None)
    with pytest.raises(UserError, match="pip install unbabel-comet, or leave comet out"):
        comet_score(["a"], ["a"], ["a"])

    def offline(name):
        raise OSError("no network")

    stand_in(monkeypatch, offline)
    with pytest.raises(UserError, match=r"cannot be loaded \(no network\); connect"):
        comet_score(["a"], ["a"], ["a"])
