from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt_rl import bundle, systems
from nmt_rl.decoding.request import Request
from nmt_rl.errors import UserError
from nmt_rl.evaluation.testsets import TestSet

SETS = [TestSet("toy", ("ein Hund",), (("a dog",),), "toy.en"), TestSet("wmt en-de", (), ((),), "wmt", "en", "de")]


def test_a_model_of_other_languages_than_the_test_set_is_refused(tiny_run):
    with pytest.raises(UserError, match="model translates de-en, but the test set wmt en-de is en-de"):
        systems.find_systems([tiny_run.folder / "model"], SETS)


def test_models_of_other_directions_share_no_test_set(monkeypatch, tmp_path):
    pairs = {"a": ("de", "en"), "b": ("deu", "eng"), "c": ("en", "de")}

    def opened(folder):
        source, target = pairs[folder.name]
        corpus = SimpleNamespace(source_language=source, target_language=target)
        return SimpleNamespace(folder=folder, config=SimpleNamespace(corpus=corpus))

    monkeypatch.setattr(bundle, "open_bundle", opened)
    for name in pairs:
        (tmp_path / name).mkdir()
    found = systems.find_systems([tmp_path / "a", tmp_path / "b"], SETS[:1])
    assert [(each.name, each.languages) for each in found] == [("a", ("de", "en")), ("b", ("deu", "eng"))]
    with pytest.raises(UserError, match=r"a translates de-en, but .*c en-de; they share no test set"):
        systems.find_systems([tmp_path / "a", tmp_path / "c"], SETS[:1])


def test_scores_say_how_a_model_translated(tiny_run):
    (model,) = systems.find_systems([tiny_run.folder / "model"], SETS[:1])
    system = model.translate(SETS[:1], [Request({"beam": 3}, banned=["a cat"])])
    (row,) = systems.score_systems([system], SETS[:1], ["bleu"])
    limits = "at most 1 times the source + 4 pieces, sources cut after 40 pieces"
    assert row.decoding == f'beam 3, length penalty 1 (average), {limits}, never "a cat"'


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
    assert [system.name for system in systems.find_systems([Path(path) for path in paths], SETS[:1])] == names


def test_seeds_of_a_system_stand_behind_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lr=1,2", "b,c"):
        (tmp_path / name).touch()
    parsed = {
        "A=x,y/z": ("A", ["x", "y/z"]),
        "A=x": ("A", ["x"]),
        "A=p=1,q": ("A", ["p=1", "q"]),
        "lr=1,2": ("", ["lr=1,2"]),
        "A=a,b,c,d": ("A", ["a", "b,c", "d"]),
        "runs/lr=3,4": ("", ["runs/lr=3,4"]),
        "x,y": ("", ["x,y"]),
        "=x": ("", ["=x"]),
        "A=~/x,-": ("A", [str(Path.home() / "x"), "-"]),
    }
    for argument, (name, paths) in parsed.items():
        assert systems.parse_seeds(argument) == systems.SeedPaths(name, tuple(map(Path, paths))), argument
    for argument in ("A=", "A=x,,y", "A=x,"):
        with pytest.raises(UserError, match=f"{argument}: a path is missing after = or a comma"):
            systems.parse_seeds(argument)
