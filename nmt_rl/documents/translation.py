"""A document in, the same document in another language out."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmt_rl.corpus.lines import read_lines, read_whole
from nmt_rl.decoding.files import CHUNK
from nmt_rl.documents.formats import Markup, read_document
from nmt_rl.documents.placement import diagonal, place, spans
from nmt_rl.documents.segment import Segment
from nmt_rl.documents.tokens import IN_LINES, PLACEHOLDER

if TYPE_CHECKING:
    from nmt_rl.decoding.translator import Translator

Split = Callable[[str], list[str]]


def documents(path: Path, markup: Markup) -> Iterator[str]:
    """What is translated at a time of a file: all of it; or of one of lines so many, each ended by LF."""
    if markup != "placeholders":
        yield read_whole(path)
        return
    lines = read_lines(path)
    while held := list(itertools.islice(lines, CHUNK)):
        yield "".join(f"{line}\n" for line in held)


def translate_document(
    translator: Translator,
    text: str,
    markup: Markup,
    split: Split | None = None,
) -> str:
    """The document with its text translated: every tag, entity and placeholder of it, once, in a proper place.

    Args:
        translator: of sentences.
        text: of the document.
        markup: its format.
        split: cuts text into sentences; None: every segment is one.
    """
    document = read_document(text, markup)
    segments = [part for part in document.parts if isinstance(part, Segment)]
    sentences = [_sentences(segment.text, split) for segment in segments]
    flat = [sentence for own in sentences for sentence in own]
    found = translator.translate(flat)
    aligned = translator.alignments(flat, found)
    results = iter(zip(flat, found, aligned, strict=True))
    escape: Callable[[str], str] = (lambda part: html.escape(part, quote=False)) if document.escaped else str
    kept = PLACEHOLDER if document.escaped else IN_LINES
    written = []
    for segment, own in zip(segments, sentences, strict=True):
        texts, weights = [], []
        for _ in own:
            source, translation, alignment = next(results)
            words = (translation.text.split(), source.split())
            fits = (list(alignment.target), list(alignment.source)) == words
            texts.append(translation.text)
            weights.append(alignment.weights if fits else np.eye(len(words[1]))[diagonal(*map(len, words))])
        translated = _without_invented(" ".join(filter(None, texts)), segment.text, kept)
        both = _together(weights)
        fits = both.shape == (len(spans(translated)), len(spans(segment.text)))
        written.append(place(segment, translated, both if fits else np.zeros((0, 0)), escape))
    rest = iter(written)
    return "".join(part if isinstance(part, str) else next(rest) for part in document.parts)


def _sentences(text: str, split: Split | None) -> list[str]:
    line = " ".join(text.split())
    return (split(line) if split is not None else None) or [line]


def _together(parts: list[np.ndarray]) -> np.ndarray:
    """Alignments of sentences as that of all of them."""
    rows, columns = (sum(part.shape[axis] for part in parts) for axis in (0, 1))
    weights, row, column = np.zeros((rows, columns)), 0, 0
    for part in parts:
        weights[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return weights


def _without_invented(translation: str, source: str, pattern: re.Pattern[str]) -> str:
    """Without placeholders that the source does not have, or not so often."""
    left = pattern.findall(source)

    def kept(found: str) -> str:
        if found not in left:
            return ""
        left.remove(found)
        return found

    return " ".join(pattern.sub(lambda found: kept(found[0]), translation).split())
