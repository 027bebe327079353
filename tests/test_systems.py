from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt_rl import bundle, systems
from nmt_rl.config import DecodingConfig
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import UserError
from nmt_rl.evaluation.testsets import TestSet

SETS = [TestSet("toy", ("ein Hund",), (("a dog",),), "toy.en"), TestSet("wmt en-de", (), ((),), "wmt", "en", "de")]


@pytest.mark.parametrize(
    ("beam", "overrides"),
    [(None, {}), (4, {"beam": 4, "samples": 0}), (1, {"beam": 1, "samples": 0, "mbr": None})],
)
def test_a_beam_is_searched_whatever_the_recipe_draws_or_chooses(monkeypatch, tmp_path, beam, overrides):
    """A recipe may draw samples and choose among them by mbr, which a beam of 1 leaves nothing to."""
    asked = []
    corpus = SimpleNamespace(source_language="de", target_language="en")
    monkeypatch.setattr(bundle, "bundle_folder", lambda folder: folder)
    monkeypatch.setattr(bundle, "read_bundle_config", lambda folder: (SimpleNamespace(corpus=corpus), {}))
    translator = SimpleNamespace(
        config=DecodingConfig(),
        translate=lambda lines: [SimpleNamespace(text=line.upper()) for line in lines],
    )
    monkeypatch.setattr(
        Translator, "from_folders", lambda folders, request: asked.append(request.overrides) or translator
    )
    (system,) = systems.read_systems([tmp_path], [SETS[0]], beam)
    assert asked == [overrides] and system.texts == [["EIN HUND"]] and system.target_language == "en"


def test_a_model_of_other_languages_than_the_test_set_is_refused(tiny_run):
    with pytest.raises(UserError, match="model translates de-en, but the test set wmt en-de is en-de"):
        systems.read_systems([tiny_run.folder / "model"], SETS)


def test_scores_say_how_a_model_translated(tiny_run):
    found = systems.read_systems([tiny_run.folder / "model"], SETS[:1], 3)
    (row,) = systems.score_systems(found, SETS[:1], ["bleu"], 0, 1)
    assert (
        row.decoding
        == "beam 3, length penalty 1 (average), at most 1 times the source + 4 pieces, sources cut after 40 pieces"
    )


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/long/way/a.txt", "/long/way/b.txt"], ["a.txt", "b.txt"]),
        (["runs/x/pretrain/model", "runs/x/finetune/model"], ["pretrain/model", "finetune/model"]),
        (["run", "run/model"], ["run", "run/model"]),
        (["/long/way/a.txt", "b.txt"], ["/long/way/a.txt", "b.txt"]),
        (["long/way/a.txt", "long/way/a.txt"], ["long/way/a.txt", "long/way/a.txt"]),
    ],
)
def test_systems_are_named_without_the_folders_they_share(monkeypatch, paths, names):
    monkeypatch.setattr("nmt_rl.corpus.lines.read_lines", lambda path: ["a dog"])
    assert [system.name for system in systems.read_systems([Path(path) for path in paths], SETS[:1])] == names
