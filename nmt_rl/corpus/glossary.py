"""Terms and what they are to be translated by: found in text, and written into it for the model to see."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nmt_rl.corpus.lines import read_lines
from nmt_rl.errors import UserError

Pair = tuple[str, str]
OPEN, CLOSE = "<t>", "</t>"
"""Pieces around a translation that stands behind its term."""


class Glossary:
    """Terms of the source language, each with one translation; found as whole words, in any case, the longest first.

    Args:
        terms: translations by terms.
    """

    def __init__(self, terms: Mapping[str, str]) -> None:
        """See the class docstring."""
        self.terms = {term.lower(): translation for term, translation in terms.items()}
        longest = sorted(self.terms, key=len, reverse=True)
        # Where words are not parted by blanks a term may stand anywhere.
        self._pattern = re.compile("|".join(rf"(?<!\w){re.escape(term)}(?!\w)" for term in longest), re.IGNORECASE)

    def __len__(self) -> int:
        """Terms."""
        return len(self.terms)

    def found(self, source: str) -> list[Pair]:
        """The terms in a text, as they stand there, with their translations, in order."""
        return [(term[0], self.terms[term[0].lower()]) for term in self._pattern.finditer(source)]

    def annotated(self, source: str, wanted: Iterable[str] | None = None) -> str:
        """The text with translations behind its terms: `the <t> Datei </t>` (Dinu et al., 2019, appended).

        Args:
            source: a sentence.
            wanted: translations that are written; None: all.
        """
        kept = None if wanted is None else set(wanted)

        def written(term: re.Match[str]) -> str:
            translation = self.terms[term[0].lower()]
            return (
                term[0] if kept is not None and translation not in kept else f"{term[0]} {OPEN} {translation} {CLOSE}"
            )

        return self._pattern.sub(written, source)


def read_glossary(path: Path) -> Glossary:
    """A glossary of a table: term, tab, translation; blank lines and those that begin with # are left out.

    Raises:
        UserError: naming file and line.
    """
    terms: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        where = f"{path} line {number}"
        if len(columns) != 2 or not all(columns):
            raise UserError(f"{where} has {len(columns)} tab-separated columns; it needs two: term, tab, translation")
        if any(mark in column for mark in (OPEN, CLOSE) for column in columns):
            raise UserError(f"{where} holds {OPEN} or {CLOSE}, which mark translations of terms")
        if terms.setdefault(columns[0].lower(), columns[1]) != columns[1]:
            raise UserError(f"{where} has {columns[0]!r} once more, with another translation")
    if not terms:
        raise UserError(f"{path} holds no term")
    return Glossary(terms)


def annotated_pairs(pairs: Iterable[Pair], glossary: Glossary, share: float, seed: int) -> Iterator[Pair]:
    """Training pairs, of which a share of those with a term and its translation have it written into the source.

    Args:
        pairs: (source, target).
        glossary: whose translations count where they stand in the target, in any case.
        share: of these pairs; the same ones for the same seed.
        seed: of the choice.
    """
    for source, target in pairs:
        said = target.lower()
        wanted = [translation for _, translation in glossary.found(source) if translation.lower() in said]
        yield (glossary.annotated(source, wanted) if wanted and _chance(source, seed) < share else source), target


def _chance(text: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}\t{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def terms_kept(
    glossary: Glossary, sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str] | None = None
) -> tuple[int, int]:
    """How many translations of terms hypotheses hold, of how many that they should.

    Args:
        glossary: of the terms.
        sources: in which terms are looked for.
        hypotheses: their translations.
        references: where given, only translations that the reference holds, too, count.
    """
    kept = wanted = 0
    for number, (source, hypothesis) in enumerate(zip(sources, hypotheses, strict=True)):
        reference, said = references[number].lower() if references is not None else None, hypothesis.lower()
        for translation in {translation.lower() for _, translation in glossary.found(source)}:
            if reference is None or translation in reference:
                wanted += 1
                kept += translation in said
    return kept, wanted
