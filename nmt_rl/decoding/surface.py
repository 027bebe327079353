"""Lines that look like no line a model was trained on: in capitals throughout, or in a script that it cannot read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.corpus.tokenizer import Tokenizer
    from nmt_rl.decoding.translator import Translation

FEWEST = 4
"""Letters of a line in capitals: fewer may be a name."""


def is_shouted(line: str) -> bool:
    """Whether a line is of two words and more and all its letters with a case are capitals."""
    cased = [character for character in line if character.lower() != character.upper()]
    return len(cased) >= FEWEST and len(line.split()) > 1 and all(c == c.upper() for c in cased)


def quieted(line: str) -> str:
    """A line in small letters but for its first."""
    small = line.lower()
    first = next((place for place, character in enumerate(small) if character.isalpha()), 0)
    return small[:first] + small[first : first + 1].upper() + small[first + 1 :]


def is_foreign(line: str, known: frozenset[str]) -> bool:
    """Whether a line has letters, none of which a model has in any piece."""
    letters = {character for character in line if character.isalpha()}
    return bool(letters) and not letters & known


class Surface:
    """What is done to lines before and after their translation.

    Args:
        config: `recase` and `copy_unknown`.
        tokenizer: of the source side.
    """

    def __init__(self, config: DecodingConfig, tokenizer: Tokenizer) -> None:
        """See the class docstring."""
        self.config = config
        self._known = (
            frozenset("".join(tokenizer.pieces(range(tokenizer.size)))) if config.copy_unknown else frozenset()
        )

    def before(self, lines: Sequence[str]) -> list[str]:
        """Lines as they are translated; one that is to be copied is blank."""
        if self.config.recase:
            lines = [quieted(line) if is_shouted(line) else line for line in lines]
        return ["" if self._is_copied(line) else line for line in lines]

    def after(self, lines: Sequence[str], found: list[Translation], copied: Callable[[str], Translation]) -> None:
        """Put translations of `before`'s lines right.

        Args:
            lines: as they were given.
            found: their translations, which are replaced.
            copied: the translation of a line that is its own.
        """
        for number, line in enumerate(lines):
            if self._is_copied(line):
                found[number] = copied(line)
            elif self.config.recase and is_shouted(line):
                one = found[number]
                nbest = tuple(each._replace(text=each.text.upper()) for each in one.nbest)
                found[number] = replace(one, text=one.text.upper(), nbest=nbest)

    def _is_copied(self, line: str) -> bool:
        return self.config.copy_unknown and is_foreign(line, self._known)
