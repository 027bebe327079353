"""Which validation and test pairs are training pairs too: scores on them say little about new text."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nmt_rl.corpus.characters import composed
from nmt_rl.corpus.cleaning import Pair, normalize_space

log = logging.getLogger("nmt_rl")


@dataclass(frozen=True)
class Overlap:
    """How many pairs of a held-out split are in the training text."""

    pairs: int
    """Without those that have an empty side."""
    same: int
    """The whole pair."""
    same_source: int
    """The source, with this or another target."""

    def __str__(self) -> str:
        """In words."""
        return (
            f"{self.same:,} of {self.pairs:,} pairs are in the training text, and {self.same_source:,} of the sources"
        )


class HeldOut:
    """Looks for held-out pairs among the training pairs, by hashes of theirs; the training text is only streamed.

    White space, and how letters and accents are composed, make no difference.

    Args:
        splits: the held-out pairs by the name of their split.
    """

    def __init__(self, splits: Mapping[str, Iterable[Pair]]) -> None:
        """See the class docstring."""
        self._splits = {
            name: [
                (_digest(source), _digest(source, target)) for source, target in map(_plain, pairs) if source and target
            ]
            for name, pairs in splits.items()
        }
        self._wanted = {digest for pairs in self._splits.values() for both in pairs for digest in both}
        self._found: set[bytes] = set()

    def watched(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The same training pairs, cleaned, looked at as they pass."""
        for source, target in pairs:
            if (digest := _digest(source)) in self._wanted:
                self._found |= {digest, _digest(source, target)}
            yield source, target

    def overlaps(self) -> dict[str, Overlap]:
        """What was found, by split."""
        return {
            name: Overlap(
                len(pairs),
                sum(pair in self._found for _, pair in pairs),
                sum(source in self._found for source, _ in pairs),
            )
            for name, pairs in self._splits.items()
        }

    def warn(self) -> None:
        """Say on stderr which splits overlap with the training text."""
        for name, overlap in self.overlaps().items():
            if overlap.same_source:
                text = "corpus.%s overlaps with corpus.train: %s; scores on these say little about new text"
                log.warning(text, name, overlap)


def _plain(pair: Pair) -> Pair:
    return normalize_space(pair[0]), normalize_space(pair[1])


def _digest(*texts: str) -> bytes:
    """128 bits of text with single spaces."""
    return hashlib.blake2b(composed("\n".join(texts)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
