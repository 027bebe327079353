"""Files and streams: N lines in, N lines out, in order, in constant memory."""

from __future__ import annotations

import ctypes
import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from nmt_rl.corpus.lines import read_lines
from nmt_rl.corpus.prefetch import Prefetcher
from nmt_rl.decoding.formats import TEXT, Format, Item, json_items, plain_items
from nmt_rl.errors import UserError
from nmt_rl.storage.streams import input_name

if TYPE_CHECKING:
    from nmt_rl.decoding.scorer import Scorer
    from nmt_rl.decoding.sentences import SentenceTranslator
    from nmt_rl.decoding.translator import Translator

log = logging.getLogger("nmt_rl")

CHUNK = 2000
"""Lines that are held, sorted by length and translated together."""
MOST_CHARACTERS = 2_000_000
"""Of the lines that are held: fewer are, if they are long."""


def translate_stream(
    translator: Translator | SentenceTranslator,
    source: IO[bytes],
    sink: IO[bytes],
    output: Format = TEXT,
    name: str | None = None,
    chunk: int = CHUNK,
    arriving: bool = False,
    prefixes: Path | None = None,
    progress: Callable[[int], None] = lambda lines: None,
    is_json: bool = False,
    first: int = 0,
) -> int:
    r"""Translate every line of a binary stream; each output line ends in `\n`.

    Args:
        translator: one of single sentences, if an alignment or several hypotheses are written.
        source: UTF-8 text; see `read_lines` for what a line is.
        sink: of `storage.outputs.open_output`; gets UTF-8 text, flushed after every chunk.
        output: what is written of each line.
        name: what warnings call the source.
        chunk: lines held at a time.
        prefixes: a file with what each translation begins with, line by line; blank: anything.
        arriving: translate what has arrived as soon as the lines before are done, at most `chunk` lines.
        progress: told the number of lines done, now and then.
        is_json: the lines are JSON.
        first: number of the first line, from 0, if the stream is a part of another one.

    Returns:
        The number of lines read.

    Raises:
        RunError: if writing fails, such as on a full disk.
        UserError: if `prefixes` has fewer lines, or a line is not JSON that should be.
    """
    done, forced = first, _Prefixes(prefixes, first) if prefixes is not None else None
    lines = read_lines(source, name)
    items = json_items(lines, name or "standard input") if is_json else plain_items(lines)
    for held in (_arriving if arriving else _chunks)(items, chunk):
        texts = [item.text for item in held]
        options: dict[str, Any] = {
            "first_line": done + 1,
            "prefixes": forced.next(len(held)) if forced is not None else None,
            "progress": _counting_from(done, progress),
        }
        if output.nbest is not None:
            options |= {"nbest": output.nbest, "by_pieces": output.pieces}
        found = translator.translate(texts, **options)
        aligned = cast("Translator", translator).alignments(texts, found) if output.alignment is not None else ()
        written = output.lines(held, found, aligned, done)
        sink.write("".join(f"{line}\n" for line in written).encode("utf-8"))
        sink.flush()
        if (done + len(held)) // CHUNK > done // CHUNK:
            _return_memory()
        done += len(held)
        progress(done)
    if forced is not None:
        forced.end()
    return done - first


class _Prefixes:
    """What translations begin with, line by line of a file.

    Args:
        path: the file.
        first: the number of its first line, from 0.
    """

    def __init__(self, path: Path, first: int) -> None:
        self.lines, self.name, self.done = read_lines(path), input_name(path), first

    def next(self, count: int) -> list[str]:
        """So many lines; raises UserError if there are fewer."""
        given = list(itertools.islice(self.lines, count))
        self.done += len(given)
        if len(given) < count:
            raise UserError(f"{self.name} has {self.done:,} lines, fewer than the source; they must agree")
        return given

    def end(self) -> None:
        """Warn if there are more."""
        if next(self.lines, None) is not None:
            log.warning("%s has more lines than the source; those after line %d were not used", self.name, self.done)


def _return_memory() -> None:
    """Give what is free back to the system: glibc keeps the pieces that batches of ever other sizes leave."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _counting_from(done: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda lines: progress(done + lines)


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    held: list[Item] = []
    characters = 0
    for item in items:
        held.append(item)
        characters += len(item.text)
        if len(held) == size or characters >= MOST_CHARACTERS:
            yield held
            held, characters = [], 0
    if held:
        yield held


def _arriving(items: Iterator[Item], most: int) -> Iterator[list[Item]]:
    with Prefetcher(items, depth=most) as waiting:
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
