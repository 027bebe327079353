"""The most probable of given lines, of a real model of nothing."""

import pytest


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels"
    path.write_text("dog\ncat sees\nbird and house\n")
    return path


def test_the_choice_is_the_line_that_scores_best(command, tiny_run, tmp_path, labels):
    source = tmp_path / "in"
    source.write_text("hund\n\nkatze sieht\n")
    found = command("choose", tiny_run.folder, "--choices", labels, "-i", source, "--scores")
    assert found.code == 0, found.err
    rows = [line.split("\t") for line in found.out.splitlines()]
    assert len(rows) == 3 and all(row[0] in labels.read_text().splitlines() for row in rows)
    for number, line in enumerate(source.read_text().splitlines()):
        (tmp_path / "one").write_text(f"{line}\n" * 3)
        scored = command("score", tiny_run.folder, "--source", tmp_path / "one", "--target", labels).out.splitlines()
        each = [float(row.split("\t")[1]) for row in scored]
        assert float(rows[number][1]) == pytest.approx(max(each), abs=2e-3)
        assert rows[number][0] == labels.read_text().splitlines()[each.index(max(each))]
    assert all(1 / 3 <= float(row[2]) <= 1 for row in rows)
    assert command("choose", tiny_run.folder, "--choices", labels, "-i", source).out == "".join(
        f"{r[0]}\n" for r in rows
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [("one\n", "has 1 lines"), ("a\n\nb\n", "line 2 is blank"), ("a\nb\na\n", "has 'a' twice")],
)
def test_wrong_choices(command, tiny_run, tmp_path, text, words):
    (tmp_path / "labels").write_text(text)
    found = command("choose", tiny_run.folder, "--choices", tmp_path / "labels", "-i", tmp_path / "labels")
    assert found.code == 2 and words in found.err
