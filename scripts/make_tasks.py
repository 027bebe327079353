"""Writes the texts of two tasks that are no translation: labels for pairs of sentences, and questions on short stories.

Usage: python scripts/make_tasks.py OUT [--seed 1]

OUT/matching/{train,valid,test}.tsv: an English sentence of the quickstart corpus, ` | `, a German one, and whether the
second translates the first, `same` or `other`; the other one is that of the sentence with the most words in common
among 200. OUT/answers/{train,valid,test}.tsv: a story of people, places and things, a question, and the answer, one to
three words; what was said last holds. Then: nmt-rl run matching --out RUN, nmt-rl run answers --out RUN, in OUT.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt_rl.config import CorpusConfig
from nmt_rl.corpus.sources import read_pairs

Row = tuple[str, str]
RIVALS = 200
STORIES = {"train": 12_000, "valid": 1_000, "test": 1_000}
NAMES = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Greta",
    "Henry",
    "Ida",
    "Jonas",
    "Karla",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Simon",
    "Tina",
    "Victor",
]
PLACES = [
    "garden",
    "kitchen",
    "library",
    "station",
    "market",
    "harbour",
    "museum",
    "office",
    "school",
    "theatre",
    "forest",
    "church",
    "castle",
    "hotel",
]
COLOURS = ["red", "blue", "green", "yellow", "black", "white", "brown", "grey", "purple", "pink"]
THINGS = [
    "ball",
    "book",
    "lamp",
    "coat",
    "cup",
    "hat",
    "key",
    "bag",
    "bottle",
    "umbrella",
    "violin",
    "letter",
    "map",
    "ring",
    "knife",
    "candle",
]


def matching(pairs: Sequence[Row], draw: random.Random) -> Iterator[Row]:
    """Every pair, and every first sentence with another second one, in random order."""
    words = [set(source.split()) for source, _ in pairs]
    rows = []
    for number, (source, target) in enumerate(pairs):
        rivals = [i for i in draw.sample(range(len(pairs)), min(RIVALS, len(pairs))) if i != number]
        nearest = max(rivals, key=lambda i: len(words[i] & words[number]) / len(words[i] | words[number]))
        rows += [(f"{source} | {target}", "same"), (f"{source} | {pairs[nearest][1]}", "other")]
    draw.shuffle(rows)
    return iter(rows)


def story(draw: random.Random) -> Row:
    """A story with a question, and the answer."""
    people = draw.sample(NAMES, 3)
    places = {name: draw.choice(PLACES) for name in people}
    things = {name: (draw.choice(COLOURS), draw.choice(THINGS)) for name in people}
    lines = [f"{name} is in the {places[name]}." for name in people]
    lines += [f"{name} has a {' '.join(things[name])}." for name in people]
    draw.shuffle(lines)
    for _ in range(draw.randint(1, 3)):
        giver, taker = draw.sample(people, 2)
        if draw.random() < 0.5:
            places[giver] = draw.choice(PLACES)
            lines.append(f"{giver} goes to the {places[giver]}.")
        else:
            things[giver], things[taker] = things[taker], things[giver]
            lines.append(f"{giver} and {taker} swap what they have.")
    name = draw.choice(people)
    colour, thing = things[name]
    question, answer = draw.choice(
        [
            (f"Where is {name}?", f"in the {places[name]}"),
            (f"What does {name} have?", f"a {colour} {thing}"),
            (f"Where is the {colour} {thing}?", f"in the {places[name]}"),
        ]
    )
    return f"{' '.join(lines)} {question}", answer


def stories(count: int, draw: random.Random) -> Iterator[Row]:
    """Stories, no two the same."""
    seen: set[str] = set()
    while len(seen) < count:
        row = story(draw)
        if row[0] not in seen:
            seen.add(row[0])
            yield row


def write(path: Path, rows: Iterator[Row]) -> None:
    """One row per line, a tab between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")


def main() -> None:
    """Parse the command line and write all six files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for split, count in STORIES.items():
        text = {"source_language": "en", "target_language": "de", "train": {"embedded": split}, "valid": "none"}
        config = CorpusConfig.model_validate(text)
        draw = random.Random(f"{given.seed} {split}")
        write(given.out / "matching" / f"{split}.tsv", matching(list(read_pairs(config.train[0], config)), draw))
        write(given.out / "answers" / f"{split}.tsv", stories(count, draw))


if __name__ == "__main__":
    main()
