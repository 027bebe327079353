"""Nasty files: whatever comes in, as many lines go out, in order."""

import gzip
import io
import lzma
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt_rl.corpus.inputs import open_binary
from nmt_rl.decoding.files import translate_stream
from nmt_rl.decoding.formats import Format
from nmt_rl.decoding.translator import BLANK, Hypothesis, Translation, Translator
from nmt_rl.errors import UserError
from nmt_rl.storage.outputs import open_output
from nmt_rl.storage.streams import CLOSED_PIPE


class Echo:
    """Stands in for a Translator where the text does not matter: upper case."""

    def translate(self, lines, nbest=1, first_line=1, prefixes=None, progress=None, by_pieces=False):
        return [
            Translation(
                line.upper(), -1.5, tuple(Hypothesis(f"{line.upper()}{n or ''}", -1.5 - n) for n in range(nbest))
            )
            if line.strip()
            else BLANK
            for line in lines
        ]


def utf8(text):
    return text.encode("utf-8", "surrogatepass")


def translated(translator, data, **options):
    sink = io.BytesIO()
    count = translate_stream(translator, io.BytesIO(data), sink, **options)
    return sink.getvalue(), count


NASTY = {
    "blank lines first and last": (b"\n\nein Hund\n\nVogel\n\n\n", 7),
    "only blank lines": (b"\n \n\t\n\xe3\x80\x80\n", 4),
    "carriage returns": (b"ein Hund\r\nVogel\r\n\r\n", 3),
    "carriage return inside": (b"ein\rHund\nVogel\n", 2),
    "byte order mark": (b"\xef\xbb\xbfein Hund\nVogel\n", 2),
    "zero bytes": (b"ein\x00Hund\n\x00\nVogel\n", 3),
    "surrogate bytes": (b"ein \xed\xa0\x80 Hund\nVogel\n", 2),
    "invalid bytes": (b"\xff\xfe\xc3\nVogel\n", 2),
    "long line": (b"Hund\n" + b"Hund " * 5000 + b"\nVogel\n", 3),
    "long word": (b"x" * 5000 + b"\nVogel\n", 2),
    "line separator": ("ein\u2028Hund\u2029und\x85Vogel\x0c\nVogel\n".encode(), 2),
    "no final newline": (b"ein Hund\nVogel", 2),
    "one line": (b"Hund\n", 1),
    "one line without newline": (b"Hund", 1),
    "one newline": (b"\n", 1),
    "empty": (b"", 0),
    "emoji and other scripts": ("🙂 Hund\nпривет 世界\n\u202eabc\n".encode(), 3),
}


@pytest.mark.parametrize("name", NASTY)
def test_as_many_lines_out_as_in(translator, name):
    data, lines = NASTY[name]
    out, count = translated(translator, data)
    assert count == lines
    text = out.decode("utf-8")
    assert text.count("\n") == lines and len(text.splitlines()) == lines
    assert not text or text.endswith("\n")
    vogel = translated(translator, b"Vogel\n")[0].decode()
    inputs = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n")
    for source, target in zip(inputs, text.splitlines(keepends=True), strict=False):
        if source.strip("\r") == "Vogel":
            assert target == vogel
        if not source.strip(" \t\r\x00\u3000"):
            assert target == "\n"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.one_of(st.binary(max_size=40), st.text(max_size=20).map(utf8)), max_size=6).map(b"\n".join))
def test_any_bytes_give_a_line_for_every_line(translator, data):
    out, count = translated(translator, data)
    rest = data.removeprefix(b"\xef\xbb\xbf")
    assert count == rest.count(b"\n") + bool(rest and not rest.endswith(b"\n"))
    assert len(out.decode("utf-8").splitlines()) == out.count(b"\n") == count


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(alphabet="ein kHuWs🙂", max_size=30), min_size=1, max_size=9), chunk=st.integers(1, 9))
def test_what_is_held_together_changes_nothing(translator, lines, chunk):
    data = utf8("".join(f"{line}\n" for line in lines))
    assert translated(translator, data, chunk=chunk) == translated(translator, data)


def test_byte_order_mark_and_line_ends_do_not_change_the_translation(translator):
    plain = translated(translator, b"ein Hund\nVogel\n")[0]
    for data in (b"\xef\xbb\xbfein Hund\nVogel\n", b"ein Hund\r\nVogel\r\n", b"ein Hund\nVogel"):
        assert translated(translator, data)[0] == plain


def test_chunks_keep_order_and_line_numbers():
    lines = [f"line {n}".encode() for n in range(25)]
    out, count = translated(Echo(), b"\n".join(lines), chunk=4)
    assert count == 25
    assert out == b"".join(line.upper() + b"\n" for line in lines)


def test_long_lines_are_held_by_their_characters(monkeypatch):
    monkeypatch.setattr("nmt_rl.decoding.files.MOST_CHARACTERS", 10)
    echo, sizes = Echo(), []

    def translate(lines, *rest, **options):
        sizes.append(len(lines))
        return Echo.translate(echo, lines, *rest, **options)

    echo.translate = translate
    out, count = translated(echo, b"abcdefghijkl\nab\nabc\nabcdefgh\na\n")
    assert sizes == [1, 3, 1] and count == 5
    assert out == b"ABCDEFGHIJKL\nAB\nABC\nABCDEFGH\nA\n"


def test_warnings_name_the_line_of_the_whole_file(translator, caplog):
    data = b"Hund\n" * 6 + b"Hund " * 100 + b"\n"
    translated(translator, data, chunk=3)
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("line 7 has ")


def test_nbest_format():
    out, _ = translated(Echo(), b"a\n\nb\n", output=Format(nbest=2), chunk=1)
    assert out.decode().splitlines() == [
        "0 ||| A ||| -1.5000",
        "0 ||| A1 ||| -2.5000",
        "1 |||  ||| 0.0000",
        "2 ||| B ||| -1.5000",
        "2 ||| B1 ||| -2.5000",
    ]


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_files_in_and_out(tmp_path, suffix, pack):
    source, target = tmp_path / f"in.txt{suffix}", tmp_path / f"out.txt{suffix}"
    source.write_bytes(pack(b"a\n\nb\n"))
    with open_binary(source) as stream, open_output(target) as sink:
        translate_stream(Echo(), stream, sink)
        assert not target.exists()
    with open_binary(target) as stream:
        assert stream.read() == b"A\n\nB\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, target.name])


def test_failure_keeps_the_old_output(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old\n")
    with pytest.raises(KeyError), open_output(target) as sink:
        sink.write(b"half")
        raise KeyError
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_output_may_be_the_input_or_a_link(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_bytes(b"a\nb\n")
    link.symlink_to(real)
    with open_binary(real) as stream, open_output(link) as sink:
        translate_stream(Echo(), stream, sink)
    assert real.read_bytes() == b"A\nB\n" and link.is_symlink()


@pytest.mark.parametrize("path", ["missing.txt", "missing.txt.gz", "."])
def test_unreadable_input_is_a_user_error(tmp_path, path):
    with pytest.raises(UserError, match=r"does not exist|is a directory"), open_binary(tmp_path / path):
        pass


def test_corrupt_input_is_a_user_error(tmp_path):
    path = tmp_path / "in.gz"
    path.write_bytes(gzip.compress(b"a\n" * 1000)[:-9])
    with pytest.raises(UserError, match=r"in\.gz is not a complete"), open_binary(path) as stream:
        translate_stream(Echo(), stream, io.BytesIO(), name=str(path))


FILTER = """
from nmt_rl.corpus.inputs import open_binary
from nmt_rl.decoding.files import translate_stream
from nmt_rl.storage.outputs import open_output
from nmt_rl.storage.streams import STANDARD
from types import SimpleNamespace

class Echo:
    def translate(self, lines, nbest=1, first_line=1, prefixes=None, progress=None):
        return [SimpleNamespace(nbest=[SimpleNamespace(text=line)]) for line in lines]

with open_binary(STANDARD) as source, open_output(STANDARD) as sink:
    translate_stream(Echo(), source, sink, chunk=10)
"""


def test_closed_pipe_ends_quietly(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes(b"a line of text\n" * 50_000)
    with path.open("rb") as stdin:
        child = subprocess.Popen(
            [sys.executable, "-c", FILTER], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout.readline() == b"a line of text\n"
        child.stdout.close()
        errors = child.stderr.read()
    assert child.wait(timeout=60) == CLOSED_PIPE
    assert errors == b""


def test_filter_reads_stdin_and_writes_stdout():
    child = subprocess.run([sys.executable, "-c", FILTER], input=b"a\r\n\nb", capture_output=True, timeout=60)
    assert (child.returncode, child.stdout, child.stderr) == (0, b"a\n\nb\n", b"")


def test_a_stream_is_translated_as_it_arrives():
    """The answer to a line comes before the next line is written."""
    reader, writer = os.pipe()
    answers_in, answers_out = os.pipe()

    def work():
        with os.fdopen(reader, "rb") as source, os.fdopen(answers_out, "wb") as sink:
            translate_stream(Echo(), source, sink, arriving=True)

    thread = threading.Thread(target=work)
    thread.start()
    with os.fdopen(writer, "wb") as source, os.fdopen(answers_in, "rb") as answers:
        for line in (b"hund\n", b"\n", b"vogel\n"):
            source.write(line)
            source.flush()
            assert answers.readline() == line.upper()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_progress_is_told_the_lines_done():
    told = []
    translate_stream(Echo(), io.BytesIO(b"a\nb\nc\n"), io.BytesIO(), chunk=2, progress=told.append)
    assert told == [2, 3]


def test_progress_moves_with_every_batch(tiny_model, tokenizers, translator):
    small = Translator.of_model(tiny_model, tokenizers, translator.config.model_copy(update={"batch_tokens": 1}))
    told = []
    translate_stream(small, io.BytesIO(b"Hund\n\nein\nVogel\n"), io.BytesIO(), progress=told.append)
    assert told == [2, 3, 4, 4]


def test_a_prefix_that_is_too_long_is_named(translator, caplog):
    translator.translate(["Hund", "ein"], prefixes=["a", "a " * 5000], first_line=4)
    (warning,) = (text for text in caplog.messages if text.startswith("prefix"))
    assert warning.startswith("prefix 5 has") and warning.endswith("are used")


def test_more_prefixes_than_lines_are_named(translator, tmp_path, caplog):
    (tmp_path / "prefixes").write_text("Hund\n\nVogel\n", encoding="utf-8")
    translate_stream(translator, io.BytesIO(b"ein\n"), io.BytesIO(), prefixes=tmp_path / "prefixes")
    assert "prefixes has more lines than the source; those after line 1 were not used" in caplog.text


def test_pieces_are_written_instead_of_text(translator, tokenizers):
    text, _ = translated(translator, b"ein Hund\n\nVogel\n")
    pieces, _ = translated(translator, b"ein Hund\n\nVogel\n", output=Format(pieces=True))
    ids = [tokenizers.target.ids_of(line.split()) for line in pieces.decode("utf-8").split("\n")]
    spelled = tokenizers.target.decode(ids)
    assert [line.strip() for line in spelled] == [line.strip() for line in text.decode("utf-8").split("\n")]
    listed, _ = translated(translator, b"ein Hund\n", output=Format(pieces=True, nbest=2))
    assert listed.decode("utf-8").split("\n")[0].split(" ||| ")[1] == pieces.decode("utf-8").split("\n")[0]


def test_too_few_prefixes_are_a_user_error(translator, tmp_path):
    (tmp_path / "prefixes").write_text("Hund\n", encoding="utf-8")
    with pytest.raises(UserError, match="prefixes has 1 lines, fewer than the source"):
        translate_stream(translator, io.BytesIO(b"ein\nHund\n"), io.BytesIO(), prefixes=tmp_path / "prefixes")
