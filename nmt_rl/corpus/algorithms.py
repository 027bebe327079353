"""Pairs made by rules, whose answers are known: what external memories are tried on (Graves et al., 2014, 2016)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt_rl.config import MadeConfig

Pair = tuple[str, str]
SYMBOLS = "bcdefghijklmnopq"
"""Without a, an article that exact match and F1 of answers leave out."""
NAMES = (
    "anna", "ben", "clara", "david", "emma", "felix", "greta", "henry", "ida", "jonas", "karla", "leo", "mia", "noah",
    "olga", "paul",
)  # fmt: skip
PLACES = (
    "oslo", "rome", "paris", "berlin", "madrid", "vienna", "prague", "lisbon", "athens", "dublin", "warsaw", "london",
)  # fmt: skip
ITEM = 3
"""Symbols of an item of `recall`."""
REGISTERS = 4
"""Different keys of a line of `registers`, however many values they are given."""


def copied(draw: random.Random, size: int) -> Pair:
    """`b d c` as it is."""
    symbols = " ".join(draw.choices(SYMBOLS, k=size))
    return symbols, symbols


def repeated(draw: random.Random, size: int) -> Pair:
    """`b d c 3` three times over; up to ten times."""
    symbols, times = draw.choices(SYMBOLS, k=size), draw.randint(1, 10)
    return " ".join([*symbols, str(times)]), " ".join(symbols * times)


def recalled(draw: random.Random, size: int) -> Pair:
    """Items of three symbols, then one of them: what followed it. `; b c d ; e f g ? b c d` is `e f g`."""
    count = max(size, 2)
    items: dict[str, None] = {}
    while len(items) < count:
        items[" ".join(draw.choices(SYMBOLS, k=ITEM))] = None
    every = list(items)
    asked = draw.randrange(count - 1)
    return f"; {' ; '.join(every)} ? {every[asked]}", every[asked + 1]


def sorted_by_priority(draw: random.Random, size: int) -> Pair:
    """`b 7 d 2 c 9`, symbols with priorities, none twice, the highest first: `c b d`."""
    symbols, priorities = draw.choices(SYMBOLS, k=size), draw.sample(range(10 * max(size, 10)), size)
    source = itertools.chain.from_iterable(zip(symbols, map(str, priorities), strict=True))
    order = sorted(range(size), key=lambda i: -priorities[i])
    return " ".join(source), " ".join(symbols[i] for i in order)


def facts(draw: random.Random, size: int) -> Pair:
    """Keys and values, told in sentences, and a question for one: `anna is in rome . ... where is anna ?` is `rome`.

    A key that comes again has its last value (Weston et al., 2015, task 1).
    """
    told = [(draw.choice(NAMES), draw.choice(PLACES)) for _ in range(size)]
    asked = draw.choice(told)[0]
    text = " ".join(f"{name} is in {place} ." for name, place in told)
    return f"{text} where is {asked} ?", dict(told)[asked]


def registers(draw: random.Random, size: int) -> Pair:
    """Keys are given values, again and again, and one is asked for: `b 3 d 5 b 7 ? b` is `7`."""
    keys = draw.sample(SYMBOLS, REGISTERS)
    given = [(draw.choice(keys), str(draw.randrange(10))) for _ in range(size)]
    asked = draw.choice(given)[0]
    return f"{' '.join(itertools.chain(*given))} ? {asked}", dict(given)[asked]


ALGORITHMS: dict[str, Callable[[random.Random, int], Pair]] = {
    "copy": copied,
    "repeat-copy": repeated,
    "recall": recalled,
    "sort": sorted_by_priority,
    "facts": facts,
    "registers": registers,
}


def made_pairs(config: MadeConfig) -> Iterator[Pair]:
    """The pairs of a section; the same ones every time, and none of another seed's but by chance."""
    draw = random.Random(f"{config.algorithm} {config.seed}")
    for _ in range(config.pairs):
        yield ALGORITHMS[config.algorithm](draw, draw.randint(*config.sizes))
