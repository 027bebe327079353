import shutil

import pytest
from typer.testing import CliRunner

from nmt_rl.cli.main import app
from nmt_rl.cluster import translation
from nmt_rl.decoding import files

pytest.importorskip("ray")


class Inline:
    """Players without Ray: units are done when they are asked for, the last one given first."""

    lost: int | None = None

    def __init__(self, ray, kind, count):
        self.player, self.units, self.asked, self.count = kind(), [], 0, count

    def __len__(self):
        return len(self.units)

    def give(self, unit):
        self.units.append(unit)
        assert len(self.units) <= 2 * self.count  # No more of the text is held.

    def next(self):
        if self.asked == self.lost:
            raise KeyboardInterrupt
        self.asked += 1
        unit = self.units.pop()
        return unit, self.player.play(unit)

    def close(self):
        pass


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(translation, "CHUNK", 3)
    monkeypatch.setattr(files, "CHUNK", 3)


@pytest.fixture
def inline(monkeypatch):
    import contextlib

    monkeypatch.setattr(translation, "Players", Inline)
    monkeypatch.setattr(translation, "ray_session", lambda actors: contextlib.nullcontext())


@pytest.fixture
def text(tiny_corpus, tmp_path):
    path = tmp_path / "in.de"
    lines = (tiny_corpus / "test.de").read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in [*lines[:4], "", *lines]))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["translate", *map(str, arguments)])


def test_the_text_is_that_of_one_process_in_the_same_order(tiny_run, text, tmp_path, small_parts, inline):
    plain, many = tmp_path / "plain.txt", tmp_path / "many.txt"
    options = (tiny_run.folder / "model", "-i", text, "--nbest", "2")
    assert run(*options, "-o", plain, "--engine", "keras").exit_code == 0
    result = run(*options, "-o", many, "--engine", "keras", "--actors", "2")
    assert result.exit_code == 0, result.output
    assert many.read_text() == plain.read_text() != ""
    assert not (tmp_path / "many.txt.parts").exists()


def test_it_goes_on_with_the_parts_that_are_missing(tiny_run, text, tmp_path, small_parts, inline, monkeypatch):
    out, options = (
        tmp_path / "out.txt",
        (tiny_run.folder / "model", "-i", text, "-o", tmp_path / "out.txt", "--actors", "1"),
    )
    monkeypatch.setattr(Inline, "lost", 3)
    assert run(*options).exit_code == 130
    parts = sorted(path.name for path in (tmp_path / "out.txt.parts").glob("*.part"))
    assert len(parts) == 3 and not out.exists()
    monkeypatch.setattr(Inline, "lost", None)
    played = []
    play = translation.PartPlayer.play
    monkeypatch.setattr(
        translation.PartPlayer, "play", lambda self, part: played.append(part.number) or play(self, part)
    )
    assert run(*options).exit_code == 0
    assert sorted(played) == [n for n in range(5) if f"{n:07d}.part" not in parts]
    plain = run(tiny_run.folder / "model", "-i", text).stdout
    assert out.read_text() == plain


def test_parts_of_another_text_are_made_anew_and_foreign_ones_stay(
    tiny_run, text, tmp_path, small_parts, inline, monkeypatch
):
    options = (tiny_run.folder / "model", "-i", text, "-o", tmp_path / "out.txt", "--actors", "1")
    monkeypatch.setattr(Inline, "lost", 2)
    run(*options)
    monkeypatch.setattr(Inline, "lost", None)
    text.write_text("hund\n")
    assert run(*options).exit_code == 0
    assert (tmp_path / "out.txt").read_text().count("\n") == 1
    (tmp_path / "out.txt.parts").mkdir()
    (tmp_path / "out.txt.parts" / "mine").write_text("mine")
    result = run(*options)
    assert result.exit_code != 0 and "would be deleted, but nmt-rl did not make it" in str(result.exception)
    assert (tmp_path / "out.txt.parts" / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--stream"], "leave out --stream"),
        (["--split-sentences"], "leave out --split-sentences"),
        ([], "give --input and --output"),
    ],
)
def test_what_does_not_go_with_actors(more, words, tiny_run, text, tmp_path):
    output = ["-o", tmp_path / "out.txt"] if more else []
    result = run(tiny_run.folder / "model", "-i", text, *output, "--actors", "2", *more)
    assert words in str(result.exception)


def test_a_file_that_is_not_there_is_named(tiny_run, tmp_path):
    result = run(tiny_run.folder / "model", "-i", tmp_path / "none.de", "-o", tmp_path / "out.txt", "--actors", "2")
    assert "none.de does not exist" in str(result.exception)


def test_processes_of_ray_write_the_same(tiny_run, text, tmp_path, small_parts):
    shutil.copy(text, tmp_path / "again.de")
    result = run(tiny_run.folder / "model", "-i", text, "-o", tmp_path / "out.txt", "--actors", "2")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out.txt").read_text() == run(tiny_run.folder / "model", "-i", text).stdout
