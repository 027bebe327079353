"""Files of word alignments: what is read, and what is said of those that do not fit their text."""

import pytest

from nmt_rl.corpus.pharaoh import parse_links, with_links
from nmt_rl.errors import UserError

PAIRS = [("ein kleiner Hund", "a small dog"), ("ja", "yes")]


def test_links_of_a_line():
    assert parse_links("0-0 1-1 2-2  2-1", (3, 3), "here") == [(0, 0), (1, 1), (2, 2), (2, 1)]
    assert parse_links("", (3, 3), "here") == []


@pytest.mark.parametrize(
    "line, words",
    [
        ("0-0 1:1", "f line 1: '1:1' is no link of two words; one is written 0-0, source before target, from 0"),
        ("0-0 -1-1", "f line 1: '-1-1' is no link of two words; one is written 0-0, source before target, from 0"),
        ("3-0", "f line 1: 3-0 is beyond the source line, which has 3 words between blanks, counted from 0"),
        ("0-1", "f line 1: 0-1 is beyond the target line, which has 1 word between blanks, counted from 0"),
    ],
)
def test_what_is_no_link_is_named(line, words):
    with pytest.raises(UserError) as error:
        parse_links(line, (3, 1), "f line 1")
    assert str(error.value) == words


def test_a_line_for_each_pair(tmp_path):
    file = tmp_path / "a.align"
    file.write_text("0-0 2-2\n0-0\n")
    assert [links for _, links in with_links(iter(PAIRS), [str(file)], False)] == [[(0, 0), (2, 2)], [(0, 0)]]
    file.write_text("0-0\n")
    with pytest.raises(UserError, match=r"a.align has 1 lines, but there are 2 pairs; line n aligns pair n"):
        list(with_links(iter(PAIRS), [str(file)], False))
    file.write_text("0-0\n0-0\n0-0\n")
    with pytest.raises(UserError, match=r"a.align has 3 lines, but there are 2 pairs"):
        list(with_links(iter(PAIRS), [str(file)], False))
    assert len(list(with_links(iter(PAIRS), [str(file)], True))) == 2, "a limit takes the first lines"


def test_several_files_one_after_the_other(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("0-0\n")
    files = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert len(list(with_links(iter(PAIRS), files, False))) == 2
    with pytest.raises(UserError, match="line 1: 2-0 is beyond the source line"):
        (tmp_path / "b").write_text("2-0\n")
        list(with_links(iter(PAIRS), files, False))
