"""Files and streams: N lines in, N lines out, in order, in constant memory."""

from __future__ import annotations

import ctypes
import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from nmt_rl.corpus.lines import read_lines
from nmt_rl.corpus.prefetch import Prefetcher
from nmt_rl.errors import UserError
from nmt_rl.storage.streams import input_name

if TYPE_CHECKING:
    from nmt_rl.decoding.scorer import Scorer
    from nmt_rl.decoding.sentences import SentenceTranslator
    from nmt_rl.decoding.translator import Translation, Translator

log = logging.getLogger("nmt_rl")

CHUNK = 2000
"""Lines that are held, sorted by length and translated together."""
MOST_CHARACTERS = 2_000_000
"""Of the lines that are held: fewer are, if they are long."""


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
        sink: of `storage.outputs.open_output`; gets UTF-8 text, flushed after every chunk.
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
        RunError: if writing fails, such as on a full disk.
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
        sink.write("".join(" ||| ".join(column) + "\n" for column in columns).encode("utf-8"))
        sink.flush()
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
            both = (target, source) if held[-1][0] is None else (source, target)
            longer, shorter = map(input_name, both)
            raise UserError(f"{shorter} has {number:,} lines but {longer} has more; they must agree")
        sources, targets = zip(*held, strict=True)
        for score in scorer.score(sources, targets, done + 1, align=alignment is not None, in_pieces=pieces):
            fields = [f"{score.score:.4f}", f"{score.log_prob:.4f}", str(len(score.pieces))]
            if alignment is not None and score.alignment is not None:
                fields.append(score.alignment.text(alignment))
            if tokens:
                fields += [f"{piece} {value:.4f}" for piece, value in zip(score.pieces, score.log_probs, strict=True)]
            sink.write(("\t".join(fields) + "\n").encode("utf-8"))
        sink.flush()
        done += len(held)
    return done


def _columns(found: Sequence[Translation], first: int, nbest: int | None, pieces: bool) -> list[list[str]]:
    """What is written on each line."""
    if nbest is None:
        return [[" ".join(each.nbest[0].pieces) if pieces else each.text] for each in found]
    return [
        [str(index), " ".join(best.pieces) if pieces else best.text, f"{best.score:.4f}"]
        for index, each in enumerate(found, start=first)
        for best in each.nbest
    ]
