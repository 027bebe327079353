"""nmt-rl inspect: the page, and what can be wrong with its files."""

import pytest


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in"
    path.write_text('hund & <katze> "sieht"\n\nalter vogel\nroter baum\n', encoding="utf-8")
    return path


def test_a_page_of_the_first_lines_with_text(command, tiny_run, tmp_path, source):
    page = tmp_path / "page.html"
    found = command("inspect", tiny_run.folder, "--source", source, "--html", page, "--lines", 2, "--all-heads")
    assert (found.code, found.out) == (0, ""), found.err
    html = page.read_text(encoding="utf-8")
    assert "hund &amp; &lt;katze&gt; &quot;sieht&quot;" in html and "<katze>" not in html
    assert "Line 1<" in html and "Line 3<" in html and "Line 4<" not in html and "Line 2<" not in html
    assert "encoder layer 1, on itself" in html
    translated = command("translate", tiny_run.folder, "-i", source, "--engine", "keras").out.splitlines()
    assert translated[2] in html


def test_wrong_files(command, tiny_run, tiny_corpus, tmp_path, source):
    """One sentence, and the page that was there stays."""
    page, model = tmp_path / "page.html", tiny_run.folder / "model"
    page.write_text("mine")
    (tmp_path / "short").write_text("one\n")
    wrong = [
        (["--source", tmp_path / "no"], "does not exist"),
        (["--source", model], "is a model folder, not a text file"),
        (["--source", source, "--reference", tmp_path / "short"], "has 4 lines but"),
        (["--source", source, "--memory", tmp_path], "is no memory"),
        (["--source", source, "--prior", tmp_path], "holds no model"),
        (["--source", source, "--tag", "<2xx>"], "is no tag of"),
        (["--source", source, "--to", "xx"], "--to xx is of models whose sources have tags"),
        (["--source", source, "--reference", source, "--beam", 2], "leave out one of them"),
        (["--source", source, "--lines", 0], "--lines"),
    ]
    for options, words in wrong:
        found = command("inspect", model, *options, "--html", page)
        assert found.code == 2 and words in found.err, found.err
        assert len(found.err.splitlines()) == 1 and found.err.startswith("nmt-rl: error: ")
    over = command("inspect", model, "--source", source, "--html", source)
    assert over.code == 2 and "is read by the same command and would be lost" in over.err
    assert page.read_text() == "mine" and source.read_text().startswith("hund")


def test_a_page_that_fails_leaves_the_old_one(command, tiny_run, tmp_path, source, monkeypatch):
    from nmt_rl.errors import RunError
    from nmt_rl.inspection import Inspector

    def broken(self, lines):
        raise RunError("the disk is on fire")

    page = tmp_path / "page.html"
    page.write_text("mine")
    monkeypatch.setattr(Inspector, "inspect", broken)
    found = command("inspect", tiny_run.folder, "--source", source, "--html", page)
    assert found.code == 1 and page.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".nmt-rl")] == []
