"""Files and streams: N lines in, N lines out, in order, in constant memory."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import itertools
import logging
import lzma
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, TextIO, cast

from nmt_rl.corpus.lines import open_binary, read_lines
from nmt_rl.corpus.prefetch import Prefetcher
from nmt_rl.errors import RunError, UserError

if TYPE_CHECKING:
    from nmt_rl.decoding.scorer import Scorer
    from nmt_rl.decoding.sentences import SentenceTranslator
    from nmt_rl.decoding.translator import Translation, Translator

log = logging.getLogger("nmt_rl")

CHUNK = 2000
"""Lines that are held, sorted by length and translated together."""
MOST_CHARACTERS = 2_000_000
"""Of the lines that are held: fewer are, if they are long."""
CLOSED_PIPE = 141
"""Exit code of a filter whose reader has gone: 128 + SIGPIPE, what a shell reports for `yes | head -1`."""


def translate_stream(
    translator: Translator | SentenceTranslator,
    source: IO[bytes],
    sink: IO[bytes],
    nbest: int | None = None,
    name: str | None = None,
    chunk: int = CHUNK,
    arriving: bool = False,
    prefixes: Path | None = None,
    progress: Callable[[int], None] = lambda lines: None,
    pieces: bool = False,
    align: Callable[[Sequence[str], Sequence[Translation]], list[str]] | None = None,
) -> int:
    r"""Translate every line of a binary stream; each output line ends in `\n`.

    Args:
        source: UTF-8 text; see `read_lines` for what a line is.
        sink: gets UTF-8 text, flushed after every chunk.
        nbest: write up to so many lines `index ||| text ||| score` per line, counting lines from 0; None: text only.
        name: what warnings call the source.
        chunk: lines held at a time.
        prefixes: a file with what each translation begins with, line by line; blank: anything.
        arriving: translate what has arrived as soon as the lines before are done, at most `chunk` lines.
        progress: told the number of lines done, now and then.
        pieces: write translations in pieces, divided by blanks, as `score_stream` reads them.
        align: gives an alignment, which is written last, for each of the best hypotheses of each line, in order.

    Returns:
        The number of lines read.

    Raises:
        BrokenPipeError: if the reader of `sink` has gone.
        RunError: if writing fails otherwise, such as on a full disk.
        UserError: if `prefixes` has fewer lines.
    """
    done, forced = 0, read_lines(prefixes) if prefixes is not None else None
    for held in (_arriving if arriving else _chunks)(read_lines(source, name), chunk):
        given = list(itertools.islice(forced, len(held))) if forced is not None else None
        if given is not None and len(given) < len(held):
            raise UserError(f"{prefixes} has {done + len(given):,} lines, fewer than the source; they must agree")
        report = _counting_from(done, progress)
        found = translator.translate(held, nbest or 1, first_line=done + 1, prefixes=given, progress=report)
        columns = _columns(found, done, nbest, pieces)
        if align is not None:
            columns = [[*column, last] for column, last in zip(columns, align(held, found), strict=True)]
        _write(sink, "".join(" ||| ".join(column) + "\n" for column in columns).encode("utf-8"))
        if (done + len(held)) // CHUNK > done // CHUNK:
            _return_memory()
        done += len(held)
        progress(done)
    if forced is not None and next(forced, None) is not None:
        log.warning("%s has more lines than the source; those after line %d were not used", prefixes, done)
    return done


def _return_memory() -> None:
    """Give what is free back to the system: glibc keeps the pieces that batches of ever other sizes leave."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _counting_from(done: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda lines: progress(done + lines)


def _chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    held: list[str] = []
    characters = 0
    for line in lines:
        held.append(line)
        characters += len(line)
        if len(held) == size or characters >= MOST_CHARACTERS:
            yield held
            held, characters = [], 0
    if held:
        yield held


def _arriving(lines: Iterator[str], most: int) -> Iterator[list[str]]:
    with Prefetcher(lines, depth=most) as waiting:
        while held := waiting.arrived(most):
            yield held


def score_stream(
    scorer: Scorer,
    source: Path,
    target: Path,
    sink: IO[bytes],
    tokens: bool = False,
    alignment: Literal["pharaoh", "matrix"] | None = None,
    chunk: int = CHUNK,
    pieces: bool = False,
) -> int:
    """Score every pair of lines; each output line holds score, log-probability and number of pieces, by tabs.

    Args:
        scorer: of a model.
        source, target: text files with the same number of lines.
        sink: gets UTF-8 text, flushed after every chunk.
        tokens: also every piece with its log-probability, `piece log-probability`, by tabs.
        alignment: also that of the words, before the pieces: `i-j` of source and target, or JSON with the weights.
        chunk: pairs held at a time.
        pieces: `target` holds pieces, divided by blanks, not text.

    Returns:
        The number of pairs.

    Raises:
        UserError: if one file has more lines than the other, or holds what is no piece.
    """
    pairs, done = itertools.zip_longest(read_lines(source), read_lines(target)), 0
    while held := list(itertools.islice(pairs, chunk)):
        if None in held[-1]:
            number = done + next(i for i, pair in enumerate(held) if None in pair)
            longer, shorter = (target, source) if held[-1][0] is None else (source, target)
            raise UserError(f"{shorter} has {number:,} lines but {longer} has more; they must agree")
        sources, targets = zip(*held, strict=True)
        for score in scorer.score(sources, targets, done + 1, align=alignment is not None, in_pieces=pieces):
            fields = [f"{score.score:.4f}", f"{score.log_prob:.4f}", str(len(score.pieces))]
            if alignment is not None and score.alignment is not None:
                fields.append(score.alignment.text(alignment))
            if tokens:
                fields += [f"{piece} {value:.4f}" for piece, value in zip(score.pieces, score.log_probs, strict=True)]
            _write(sink, ("\t".join(fields) + "\n").encode("utf-8"))
        done += len(held)
    return done


def _write(sink: IO[bytes], text: bytes) -> None:
    try:
        sink.write(text)
        sink.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RunError(f"the translations could not be written: {error.strerror or error}") from error


def _columns(found: Sequence[Translation], first: int, nbest: int | None, pieces: bool) -> list[list[str]]:
    """What is written on each line."""
    if nbest is None:
        return [[" ".join(each.nbest[0].pieces) if pieces else each.text] for each in found]
    return [
        [str(index), " ".join(best.pieces) if pieces else best.text, f"{best.score:.4f}"]
        for index, each in enumerate(found, start=first)
        for best in each.nbest
    ]


def _standard(stream: TextIO | None, name: str, option: str) -> TextIO:
    """The stream, which Python leaves out if the shell has closed it (`<&-`)."""
    if stream is None:
        raise UserError(f"standard {name} is closed; give {option} FILE")
    return stream


@contextlib.contextmanager
def open_input(path: Path | None) -> Iterator[IO[bytes]]:
    """A file (.gz and .xz decompressed) or, without a path, standard input; raises UserError if it cannot be read."""
    if path is None:
        yield _standard(sys.stdin, "input", "-i").buffer
    else:
        with open_binary(path) as stream:
            yield stream


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """A file for writing (.gz and .xz compressed) or, without a path, standard output.

    A regular file is written beside and renamed when the block ends well; otherwise what was there before stays. A
    closed pipe ends the process quietly, as it ends other filters.

    Raises:
        UserError: if the file cannot be opened.
        SystemExit: with CLOSED_PIPE when the reader of a pipe has gone.
    """
    try:
        if path is None:
            yield _standard(sys.stdout, "output", "-o").buffer
        elif path.exists() and not path.is_file() and not path.is_dir():  # a device or a named pipe
            with path.open("wb") as stream:
                yield stream
        else:
            with _written_beside(path) as stream:
                yield stream
    except BrokenPipeError:
        if path is None:
            # The interpreter flushes standard output once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED_PIPE) from None


@contextlib.contextmanager
def _written_beside(path: Path) -> Iterator[IO[bytes]]:
    if path.is_dir():
        raise UserError(f"output {path} is a directory; give the name of a file")
    path = path.resolve()  # so that a link keeps pointing to its file
    partial = path.with_name(path.name + ".partial")
    try:
        stream = _create(partial, path.suffix)
    except OSError as error:
        raise UserError(f"output {path} cannot be written: {error.strerror or error}") from None
    try:
        with stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _create(path: Path, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "wb"))
    if suffix == ".xz":
        return cast("IO[bytes]", lzma.open(path, "wb"))
    return path.open("wb")
