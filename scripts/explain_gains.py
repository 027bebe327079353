"""Say where a system's BLEU comes from: a page of what it writes otherwise than the baseline, and how often rightly.

Usage: python scripts/explain_gains.py SOURCE REFERENCE BASELINE OUTPUT [OUTPUT ...] --language en -o PAGE.md

BASELINE and each OUTPUT (one for each seed) hold a translation per line of SOURCE. A change is a stretch of words in
which an output differs from the baseline; it is credited with the change of its sentence's BLEU, shared out over the
changes of that sentence, so that the credits of all changes add up to what all sentences gain. A class's credit says
how much of the mean sentence BLEU it brings, its balance in how many sentences with such a change BLEU rose and fell.
The page is the mean over the seeds; the same numbers go to PAGE.json.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARTICLES = {"a", "an", "the", "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer",
            "eines", "le", "la", "les", "l", "un", "une", "du"}  # fmt: skip
EXAMPLES = 6
COMMON = 12


@dataclass(frozen=True)
class Change:
    """Words of the baseline and what the system has in their place."""

    line: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    at_end: bool
    """Whether nothing but a last full stop follows."""

    @property
    def kind(self) -> str:
        """What sort of change it is; the first that fits."""
        words = {word.lower() for word in (*self.before, *self.after)}
        if not any(any(c.isalnum() for c in word) for word in words):
            return "punctuation"
        if words <= ARTICLES:
            return "articles"
        if [w.lower() for w in self.before] == [w.lower() for w in self.after]:
            return "capitals"
        if sorted(self.before) == sorted(self.after):
            return "order"
        if not self.before:
            return "words added at the end" if self.at_end else "words added"
        if not self.after:
            return "words left out at the end" if self.at_end else "words left out"
        if len(self.before) == len(self.after) == 1:
            return "one word for another"
        grown = len(self.after) - len(self.before)
        return "longer wording" if grown > 0 else "shorter wording" if grown < 0 else "other wording"


def changes(baseline: Sequence[Sequence[str]], output: Sequence[Sequence[str]]) -> Iterator[Change]:
    """Stretches of words in which two translations differ, line by line."""
    for line, (old, new) in enumerate(zip(baseline, output, strict=True)):
        for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                yield Change(line, tuple(old[a:b]), tuple(new[c:d]), not any(w.isalnum() for w in old[b:]))


def credited(found: Sequence[Change], gains: Sequence[float]) -> list[tuple[Change, float]]:
    """Each change with its share of its sentence's gain."""
    count = Counter(change.line for change in found)
    return [(change, gains[change.line] / count[change.line]) for change in found]


def by_kind(found: Sequence[tuple[Change, float]], gains: Sequence[float], lines: int) -> dict[str, dict[str, float]]:
    """Of each kind: changes, sentences that rose and fell, credit per line of the text."""
    groups = defaultdict(list)
    for change, credit in found:
        groups[change.kind].append((change, credit))
    table = {}
    for kind, members in groups.items():
        own = {change.line for change, _ in members}
        table[kind] = {
            "changes": len(members),
            "better": sum(gains[line] > 0 for line in own),
            "worse": sum(gains[line] < 0 for line in own),
            "credit": sum(credit for _, credit in members) / lines,
        }
    return table


def mean_tables(tables: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Means over seeds, the largest credit first."""
    kinds = {kind for table in tables for kind in table}
    nothing = {"changes": 0.0, "better": 0.0, "worse": 0.0, "credit": 0.0}
    mean = {
        kind: {name: sum(t.get(kind, nothing)[name] for t in tables) / len(tables) for name in nothing}
        for kind in kinds
    }
    return dict(sorted(mean.items(), key=lambda item: -item[1]["credit"]))


def replacements(found: Sequence[tuple[Change, float]], count: int) -> list[dict[str, Any]]:
    """The most frequent changes of words: what, how often, in how many sentences BLEU rose and fell."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for change, credit in found:
        seen[" ".join(change.before), " ".join(change.after)].append(credit)
    most = sorted(seen.items(), key=lambda item: (-len(item[1]), item[0]))[:count]
    return [
        {
            "before": before,
            "after": after,
            "times": len(credits),
            "better": sum(c > 0 for c in credits),
            "worse": sum(c < 0 for c in credits),
        }
        for (before, after), credits in most
    ]


def page(result: dict[str, Any]) -> str:
    """The Markdown page."""
    rows = ["| change | changes | sentences better | worse | sentence BLEU it brings |", "|---|---|---|---|---|"]
    rows += [
        f"| {kind} | {own['changes']:.0f} | {own['better']:.0f} | {own['worse']:.0f} | {own['credit']:+.2f} |"
        for kind, own in result["kinds"].items()
    ]
    rows += ["", "| baseline | output | times | better | worse |", "|---|---|---|---|---|"]
    rows += [
        f"| {own['before'] or '(nothing)'} | {own['after'] or '(nothing)'} | {own['times']} | {own['better']} | "
        f"{own['worse']} |"
        for own in result["replacements"]
    ]
    rows += ["", "Sentences drawn at random among those that changed, with the change of their BLEU:", ""]
    for own in result["examples"]:
        rows += [
            f"* {own['change']:+.1f}: {own['source']}",
            f"  * reference: {own['reference']}",
            f"  * baseline: {own['baseline']}",
            f"  * output: {own['output']}",
        ]
    return "\n".join(rows) + "\n"


def explain(
    sources: list[str], references: list[str], baseline: list[str], outputs: list[list[str]], language: str
) -> dict[str, Any]:
    """All numbers of the page."""
    from nmt_rl.corpus.words import word_splitter
    from nmt_rl.evaluation.contrast import contrast
    from nmt_rl.evaluation.metrics import choose_tokenizer, sentence_bleu

    words = word_splitter(choose_tokenizer(language, None))
    cut = [words(line) for line in baseline]
    before = sentence_bleu(baseline, references, language)
    tables, told, everything = [], [], []
    for output in outputs:
        gains = [new - old for new, old in zip(sentence_bleu(output, references, language), before, strict=True)]
        found = credited(list(changes(cut, [words(line) for line in output])), gains)
        tables.append(by_kind(found, gains, len(baseline)))
        everything += found
        told.append(gains)
    changed = [i for i, line in enumerate(outputs[0]) if line != baseline[i]]
    drawn = sorted(random.Random(1).sample(changed, min(EXAMPLES, len(changed))))
    whole = contrast([baseline, outputs], references, sources, language)
    return {
        "lines": len(baseline),
        "seeds": len(outputs),
        "sentence_bleu": sum(map(sum, told)) / len(told) / len(baseline),
        "factors": [
            {"precisions": list(each.precisions), "brevity_penalty": each.brevity_penalty} for each in whole.factors
        ],
        "better_worse_same": [whole.changes[0].wins, whole.changes[0].losses, whole.changes[0].ties],
        "by_length": [[bucket.name, bucket.size, *bucket.scores] for bucket in whole.by_length],
        "kinds": mean_tables(tables),
        "replacements": replacements(everything, COMMON),
        "examples": [
            {
                "change": told[0][i],
                "source": sources[i],
                "reference": references[i],
                "baseline": baseline[i],
                "output": outputs[0][i],
            }
            for i in drawn
        ],
    }


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "reference", "baseline"):
        parser.add_argument(name, type=Path)
    parser.add_argument("output", type=Path, nargs="+")
    parser.add_argument("--language", required=True)
    parser.add_argument("-o", dest="page", type=Path, required=True)
    options = parser.parse_args()
    sources, references, baseline, *outputs = (
        path.read_text(encoding="utf-8").splitlines()
        for path in (options.source, options.reference, options.baseline, *options.output)
    )
    result = explain(sources, references, baseline, outputs, options.language)
    options.page.write_text(page(result), encoding="utf-8")
    options.page.with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
