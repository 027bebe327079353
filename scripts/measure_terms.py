"""How many terms of a glossary are kept, and what that does to BLEU: told to the model, forced, or neither.

Usage: python scripts/measure_terms.py MODEL OUT --train PREFIX --test PREFIX -l en-de [--terms 200] [--tag TAG]
       [--soft]

The glossary is made of the training text: words of four letters and more, each with the word of the other side that
stands beside it most often (Dice's coefficient 0.5 and more), as many as are wanted of those that the test set has on
both sides, drawn at random. Test lines are those with a term. Terms that the reference holds, too, count. With --soft
the model was trained with corpus.terms. Writes OUT/terms.tsv, OUT/results.json and the translations.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from comparison import write_json
from measure_adaptation import ONE_THREAD, file_scores, nmt_rl

from nmt_rl.corpus.glossary import read_glossary, terms_kept

Pair = tuple[str, str]
WORD = re.compile(r"[^\W\d_]{4,}")
LEAST, DICE = 20, 0.5


def read_pairs(prefix: str, languages: Sequence[str]) -> Iterator[Pair]:
    """Lines of PREFIX.SOURCE and PREFIX.TARGET."""
    sides = [Path(f"{prefix}.{language}").read_text(encoding="utf-8").splitlines() for language in languages]
    yield from zip(*sides, strict=True)


def dictionary(pairs: Sequence[Pair]) -> dict[str, str]:
    """Words of the source side, and of each the target word that goes with it best."""
    ours: collections.Counter[str] = collections.Counter()
    theirs: collections.Counter[str] = collections.Counter()
    both: collections.Counter[Pair] = collections.Counter()
    for source, target in pairs:
        words, others = set(map(str.lower, WORD.findall(source))), set(WORD.findall(target))
        ours.update(words)
        theirs.update(others)
        both.update((word, other) for word in words for other in others)
    best: dict[str, tuple[float, str]] = {}
    for (word, other), count in both.items():
        dice = 2 * count / (ours[word] + theirs[other])
        if count >= LEAST and dice >= DICE and word != other.lower():
            best[word] = max(best.get(word, (0.0, "")), (dice, other))
    return {word: other for word, (_, other) in best.items()}


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", required=True, metavar="PREFIX")
    parser.add_argument("--test", required=True, metavar="PREFIX")
    parser.add_argument("-l", "--languages", default="en-de")
    parser.add_argument("--terms", type=int, default=200)
    parser.add_argument("--tag")
    parser.add_argument("--soft", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    languages = options.languages.split("-")
    known, test = dictionary(list(read_pairs(options.train, languages))), list(read_pairs(options.test, languages))
    there = sorted(
        word
        for word, other in known.items()
        if any(re.search(rf"\b{word}\b", s, re.IGNORECASE) and re.search(rf"\b{other}\b", t) for s, t in test)
    )
    chosen = random.Random(1).sample(there, min(options.terms, len(there)))
    terms = options.out / "terms.tsv"
    terms.write_text("".join(f"{word}\t{known[word]}\n" for word in chosen), encoding="utf-8")
    glossary = read_glossary(terms)
    lines = [pair for pair in test if glossary.found(pair[0])]
    for language, side in zip(languages, zip(*lines, strict=True), strict=True):
        (options.out / f"lines.{language}").write_text("".join(f"{line}\n" for line in side), encoding="utf-8")
    ways: dict[str, list[Any]] = {"without": [], "forced": ["--glossary", terms, "--force-terms"]}
    if options.soft:
        ways["told"] = ["--glossary", terms]
    found = {name: measure(options, name, extra, lines, glossary) for name, extra in ways.items()}
    result = {"date": datetime.date.today().isoformat(), "terms": len(chosen), "lines": len(lines), "ways": found}
    write_json(options.out / "results.json", result)


def measure(options: Any, name: str, extra: list[Any], lines: Sequence[Pair], glossary: Any) -> dict[str, Any]:
    """BLEU, terms kept and seconds of one way."""
    source, target = options.languages.split("-")
    output, tag = options.out / name, ["--tag", options.tag] if options.tag else []
    began, log = time.monotonic(), options.out / "log"
    text = options.out / f"lines.{source}"
    nmt_rl("translate", options.model, "-i", text, "-o", output, "--engine", "keras", *tag, *extra, log=log)
    seconds = time.monotonic() - began
    metrics = file_scores(output, options.out / f"lines.{target}", options.languages, "bleu,chrf", log)
    hypotheses = output.read_text(encoding="utf-8").splitlines()
    kept, wanted = terms_kept(glossary, [s for s, _ in lines], hypotheses, [t for _, t in lines])
    bleu = metrics["bleu"]
    print(f"{name}: {kept / wanted:.1%} of {wanted} terms kept, BLEU {bleu['value']:.2f}, {seconds:.0f} s", flush=True)
    return {"kept": kept, "wanted": wanted, "metrics": metrics, "seconds": round(seconds, 1)}


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
