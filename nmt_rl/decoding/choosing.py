"""One of given translations for every line: labels of a classification, answers to choose from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nmt_rl.corpus.lines import read_lines
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.decoding.scorer import Scorer

CHUNK = 200
"""Lines that are scored together with all choices."""
MOST = 1000
"""Choices."""


class Choice(NamedTuple):
    """What was chosen for a line."""

    text: str
    log_prob: float
    """log p(choice | source), nats."""
    share: float
    """Of the probability of all choices, in [0, 1]."""


def read_choices(path: Path) -> list[str]:
    """The lines of a file, which are different from each other; raises UserError if they are fewer than two."""
    found = [line.strip() for line in read_lines(path)]
    if "" in found:
        raise UserError(f"{path} line {found.index('') + 1} is blank; every line should be a choice")
    if twice := [line for number, line in enumerate(found) if line in found[:number]]:
        raise UserError(f"{path} has {twice[0]!r} twice; every line should be a choice of its own")
    if not 2 <= len(found) <= MOST:
        raise UserError(f"{path} has {len(found):,} lines; choices are 2 to {MOST:,}, a line each")
    return found


def choose(scorer: Scorer, lines: Iterable[str], choices: Sequence[str]) -> Iterator[Choice]:
    """The most probable choice for each line, in order; log-probabilities are those of whole choices, ends included.

    Args:
        scorer: of a model.
        lines: sources; a blank one is scored like any other.
        choices: of which one is chosen; of equal ones the first.
    """
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == CHUNK:
            yield from _chosen(scorer, held, choices)
            held = []
    yield from _chosen(scorer, held, choices)


def _chosen(scorer: Scorer, lines: Sequence[str], choices: Sequence[str]) -> Iterator[Choice]:
    scores = scorer.score([line for line in lines for _ in choices], [*choices] * len(lines))
    for number in range(len(lines)):
        own = [score.log_prob for score in scores[number * len(choices) : (number + 1) * len(choices)]]
        best = max(own)
        total = sum(math.exp(each - best) for each in own)
        yield Choice(choices[own.index(best)], best, 1.0 / total)
