"""Marks of a source put into its translation, by the alignment of words: each once, and properly nested."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt_rl.documents.segment import Mark, Segment

OTHERS = 0.5
"""What a word of somebody else costs in the stretch that an element is put around; one of its own is worth 1."""


@dataclass
class _Unit:
    """A word of the translation, or several that hold what is kept."""

    start: int
    end: int
    source: int
    """The word of the source that it looks at."""
    kept: list[tuple[int, int, str]]
    """Stretches of characters and what stands for them."""


def place(segment: Segment, translation: str, weights: NDArray[np.floating], escape: Callable[[str], str] = str) -> str:
    """The translation of a segment with its marks.

    An element is put around the stretch of words that look at its own most (the largest sum of 1 for each of its words
    and -OTHERS for each other one), larger elements first, and around nothing where its words have no translation.
    What stands between words follows the translation of the word before it. What is kept is found in the translation,
    or put there as if it stood between words.

    Args:
        segment: of the source.
        translation: of its text, plain.
        weights: [words of the translation, words of the source], alignments; words are what stands between blanks.
        escape: what is done with text so that it is no markup.
    """
    return _Placement(segment, translation, weights, escape).written()


class _Placement:
    def __init__(
        self, segment: Segment, translation: str, weights: NDArray[np.floating], escape: Callable[[str], str]
    ) -> None:
        self.segment, self.translation, self.escape = segment, translation, escape
        self.words = spans(segment.text)
        self.units = self._units(weights)
        self.found = self._find_kept()

    def written(self) -> str:
        return self._emit(self.segment.marks, 0, len(self.units))

    def _units(self, weights: NDArray[np.floating]) -> list[_Unit]:
        words = spans(self.translation)
        fits = weights.shape == (len(words), len(self.words)) and weights.size
        looks = weights.argmax(axis=1) if fits else diagonal(len(words), len(self.words))
        return [_Unit(*word, int(source), []) for word, source in zip(words, looks, strict=True)]

    def _find_kept(self) -> set[int]:
        """Marks whose text the translation has, or that stand in place of what was made of it, by their identity."""
        found: set[int] = set()
        taken: list[tuple[int, int]] = []
        marks = [mark for mark in _kept(self.segment.marks) if self._text_of(mark).strip()]
        for mark in marks:
            places = (at.span() for at in re.finditer(_as_word(self._text_of(mark)), self.translation))
            free = (at for at in places if not any(at[0] < end and start < at[1] for start, end in taken))
            if (place := next(free, None)) is not None:
                taken.append(place)
                found.add(id(mark))
                self._join(*place, mark.raw)
        for mark in marks:
            if id(mark) not in found and mark.raw != self._text_of(mark) and self._replace(mark):
                found.add(id(mark))
        return found

    def _text_of(self, mark: Mark) -> str:
        return self.segment.text[mark.start : mark.end]

    def _replace(self, mark: Mark) -> bool:
        """Put what is kept in place of what it was translated to, if it was."""
        own = {i for i, (start, end) in enumerate(self.words) if mark.start <= start and end <= mark.end}
        units = [unit for unit in self.units if unit.source in own and not unit.kept]
        if units:
            units[0].kept = [(units[0].start, units[0].end, mark.raw)]
            self.units = [unit for unit in self.units if not any(unit is other for other in units[1:])]
        return bool(units)

    def _join(self, start: int, end: int, raw: str) -> None:
        inside = [unit for unit in self.units if unit.start < end and start < unit.end]
        first = self.units.index(inside[0])
        joined = _Unit(inside[0].start, inside[-1].end, inside[0].source, [k for unit in inside for k in unit.kept])
        joined.kept.append((start, end, raw))
        self.units[first : first + len(inside)] = [joined]

    def _emit(self, marks: Sequence[Mark], low: int, high: int) -> str:
        """Units from `low` to `high` with marks among them; blanks before the first and behind the last are not its."""
        marks = [mark for mark in marks if id(mark) not in self.found]
        around = self._stretches([mark for mark in marks if mark.is_element], low, high)
        between: dict[int, list[Mark]] = {}
        for mark in marks:
            if id(mark) not in around:
                between.setdefault(self._outside(self._place_of(mark, low, high), around), []).append(mark)
        starts = {start: mark for mark in marks if id(mark) in around for start in [around[id(mark)][0]]}
        out, at = "", low
        while at <= high:
            out += self._point(between.get(at, ()), at, low, high)
            if at == high:
                break
            if at in starts:
                start, end = around[id(starts[at])]
                out += self._element(starts[at], start, end)
                at = end
            else:
                out += self._text(self.units[at])
                at += 1
        return out

    def _element(self, mark: Mark, start: int, end: int) -> str:
        """An element around units; marks of punctuation at its edges stay outside if they do so in the source."""
        inner = self._emit(mark.inside, start, end)
        before, behind = "", ""
        first, last = self._text(self.units[start]), self._text(self.units[end - 1])
        if self._cuts(mark.start, start) and inner.startswith(first) and (edge := re.match(r"[^\w\s<&]+", inner)):
            before, inner = edge[0], inner[edge.end() :]
        if self._cuts(mark.end, end - 1) and inner.endswith(last) and (edge := re.search(r"[^\w\s>;]+$", inner)):
            inner, behind = inner[: edge.start()], edge[0]
        return f"{before}{mark.raw}{inner}{mark.close}{behind}"

    def _cuts(self, character: int, unit: int) -> bool:
        """Whether an element begins or ends within a word of the source, and at a word of the translation as it is."""
        return not self.units[unit].kept and any(start < character < end for start, end in self.words)

    def _point(self, marks: Sequence[Mark], at: int, low: int, high: int) -> str:
        """What stands before unit `at`: marks, and the blank that divides it from the unit before."""
        blank = " " if low < at < high else ""
        left, right = "", ""
        text = self.segment.text
        for mark in marks:
            inside = self._emit(mark.inside, at, at) if mark.inside else ""
            raw = f"{mark.raw}{inside}{mark.close}"
            glued = bool(mark.start) and not text[mark.start - 1].isspace()
            follows = mark.end < len(text) and not text[mark.end].isspace()
            if (glued or mark.is_element) and at > low:
                left += raw
            elif follows or mark.is_element or at == high == low:
                right += raw
            elif at == high:
                left += f" {raw}" if at > low else raw
            else:
                right += f"{raw} "
        return left + blank + right

    def _text(self, unit: _Unit) -> str:
        out, at = "", unit.start
        for start, end, raw in sorted(unit.kept):
            out += self.escape(self.translation[at:start]) + raw
            at = end
        return out + self.escape(self.translation[at : unit.end])

    def _stretches(self, elements: Sequence[Mark], low: int, high: int) -> dict[int, tuple[int, int]]:
        """Of elements that get some: their units, none of which has two, by the identity of the mark."""
        own = {id(mark): self._worth(mark, low, high) for mark in elements}
        free = np.ones(high - low, bool)
        found: dict[int, tuple[int, int]] = {}
        for mark in sorted(elements, key=lambda each: -(own[id(each)] > 0).sum()):
            worth = np.where(free, own[id(mark)], -np.inf)
            if (best := _best_stretch(worth)) is not None:
                start, end = best
                found[id(mark)] = (low + start, low + end)
                free[start:end] = False
        return found

    def _worth(self, mark: Mark, low: int, high: int) -> NDArray[np.float64]:
        own = {i for i, (start, end) in enumerate(self.words) if start < mark.end and mark.start < end}
        return np.array([1.0 if unit.source in own else -OTHERS for unit in self.units[low:high]])

    def _place_of(self, mark: Mark, low: int, high: int) -> int:
        """Before which unit something stands that is around none."""
        before = sum(start < mark.start for start, _ in self.words)
        looks, text = [unit.source for unit in self.units[low:high]], self.segment.text
        is_before = mark.start and text[mark.start - 1].isspace() and not text[mark.start : mark.start + 1].isspace()
        if is_before and before in looks:
            return low + looks.index(before)
        for word in range(before - 1, -1, -1):
            if word in looks:
                return low + len(looks) - looks[::-1].index(word)
            if before in looks and word == before - 1:
                return low + looks.index(before)
        return low

    @staticmethod
    def _outside(at: int, around: dict[int, tuple[int, int]]) -> int:
        """Behind the stretch that it is inside of, if it is."""
        return next((end for start, end in around.values() if start < at < end), at)


def spans(text: str) -> list[tuple[int, int]]:
    """Where words begin and end."""
    return [found.span() for found in re.finditer(r"\S+", text)]


def diagonal(words: int, others: int) -> NDArray[np.int64]:
    """For want of an alignment: the word at the same share of the sentence."""
    return np.arange(words) * max(others, 1) // max(words, 1)


def _kept(marks: Sequence[Mark]) -> list[Mark]:
    """Those at all levels, the longest first, so that none is found in another one."""
    below = [each for mark in marks for each in ([mark] if mark.is_kept else _kept(mark.inside))]
    return sorted(below, key=lambda mark: mark.start - mark.end)


def _as_word(text: str) -> str:
    """A pattern for text that is no part of a longer word."""
    left = r"(?<!\w)" if re.match(r"\w", text) else ""
    right = r"(?!\w)" if re.search(r"\w$", text) else ""
    return left + re.escape(text) + right


def _best_stretch(worth: NDArray[np.float64]) -> tuple[int, int] | None:
    """Where the largest sum is (Kadane), if it is above 0; the first of several."""
    best, result, total, start = 0.0, None, 0.0, 0
    for i, value in enumerate(worth.tolist()):
        if total <= 0:
            total, start = 0.0, i
        total += value
        if total > best:
            best, result = total, (start, i + 1)
    return result
