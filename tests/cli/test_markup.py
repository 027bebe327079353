"""translate --markup with a real model, of nothing: its translations are rubbish, and the tags are all there."""

import pytest

PAGE = '<html><body><p>hund <b id="1">und katze</b> <br>baum &amp; {name}</p>\n<p>roter vogel. haus</p></body></html>\n'


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_page(command, tiny_run, tmp_path, engine):
    (tmp_path / "page.html").write_text(PAGE)
    found = command("translate", tiny_run.folder, "--markup", "html", "--engine", engine, "-i", tmp_path / "page.html")
    assert found.code == 0, found.err
    for tag in ('<b id="1">', "</b>", "<br>", "{name}"):
        assert found.out.count(tag) == 1, found.out
    assert found.out.startswith("<html><body><p>") and found.out.endswith("</p></body></html>\n")
    assert "hund" not in found.out and "&amp;" not in found.out.replace("&amp;", "", 1)


def test_lines_sentence_by_sentence(command, tiny_run, tmp_path):
    pytest.importorskip("sentencex")
    (tmp_path / "in").write_text("hund %s und katze. roter vogel\r\n\nbaum")
    found = command(
        "translate", tiny_run.folder, "--markup", "placeholders", "--split-sentences", "-i", tmp_path / "in"
    )
    assert found.code == 0, found.err
    lines = found.out.split("\n")
    assert len(lines) == 4 and lines[0].count("%s") == 1 and lines[1] == lines[3] == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--nbest", "2"), "leave out --nbest"),
        (("--scores",), "leave out --scores"),
        (("--stream",), "leave out --stream"),
        (("--format", "json"), "leave out --format"),
        (("-i", "nowhere.html"), "nowhere.html does not exist"),
    ],
)
def test_what_does_not_go_with_it(command, tiny_run, options, words):
    found = command("translate", tiny_run.folder, "--markup", "html", *options)
    assert found.code == 2 and words in found.err
