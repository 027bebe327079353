import gzip
import io
import logging
import lzma

import pytest

from nmt_rl.corpus.lines import count_lines, read_lines, read_own_lines
from nmt_rl.errors import UserError


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\n\n", ["", ""]),
        (b"a", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\n", ["a\r"]),
        (b"a\rb\n", ["a\rb"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n", [""]),
        (b"a\x00b\n", ["a\x00b"]),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf"]),
    ],
)
def test_only_line_feeds_end_lines(data, lines, tmp_path):
    path = tmp_path / "text"
    path.write_bytes(data)
    assert list(read_lines(path)) == lines
    assert list(read_lines(io.BytesIO(data), "stdin")) == lines


def test_invalid_utf8_is_replaced_and_the_line_named(caplog):
    with caplog.at_level(logging.WARNING, logger="nmt_rl"):
        lines = list(read_lines(io.BytesIO(b"fine\n\xed\xa0\x80\nb\xff\n"), "input"))
    assert lines == ["fine", "\ufffd\ufffd\ufffd", "b\ufffd"]
    assert ["line 2" in caplog.messages[0], "input line 3" in caplog.messages[1]] == [True, True]


def test_a_flood_of_invalid_lines_is_summed_up(caplog):
    with caplog.at_level(logging.WARNING, logger="nmt_rl"):
        assert len(list(read_lines(io.BytesIO(b"\xff\n" * 1000), "input"))) == 1000
    assert len(caplog.messages) == 11
    assert "1000 lines" in caplog.messages[-1]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files(suffix, compress, tmp_path):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(compress(b"eins\nzwei"))
    assert list(read_lines(path)) == ["eins", "zwei"]
    path.write_bytes(compress(b"eins\nzwei" * 1000)[:-5])
    with pytest.raises(UserError, match="text"):
        list(read_lines(path))
    path.write_bytes(b"plain text\n")
    assert list(read_lines(path)) == ["plain text"]


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(UserError, match="missing does not exist"):
        list(read_lines(tmp_path / "missing"))
    with pytest.raises(UserError, match="is a directory"):
        list(read_lines(tmp_path))


def test_errors_of_the_consumer_are_not_swallowed():
    lines = read_lines(io.BytesIO(b"a\nb\n"), "input")
    next(lines)
    with pytest.raises(OSError, match="mine"):
        lines.throw(OSError("mine"))


@pytest.mark.parametrize(("data", "lines"), [(b"", 0), (b"a\n\nb", 3), (b"a\r\n\xff\n", 2)])
def test_lines_are_counted_as_they_are_read(tmp_path, data, lines):
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(data))
    stream = io.BytesIO(data)
    assert count_lines(path) == len(list(read_lines(stream))) == lines
    path.write_bytes(gzip.compress(data)[:-9])
    with pytest.raises(UserError, match=r"text\.gz is not a complete compressed file"):
        count_lines(path)


def test_a_text_of_our_own_is_text_whatever_it_begins_with(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"%PDF-1.7 is how such a file begins\nzwei\n")
    assert list(read_own_lines(path)) == ["%PDF-1.7 is how such a file begins", "zwei"]
    with pytest.raises(UserError):
        list(read_lines(path))


def test_a_byte_order_mark_alone_is_no_line(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(b"\xef\xbb\xbf")
    assert count_lines(path) == len(list(read_lines(path))) == 0
