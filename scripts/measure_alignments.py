"""Alignment error rate of models' attention on sentences of the quickstart grammar, whose lexicon knows the truth.

Usage: python scripts/measure_alignments.py OUT NAME=MODEL... [--test PREFIX] [--aligner RUN]

The models translate English to German. Sure links are those of the grammar's nouns, compounds and adjectives
(`quickstart_grammar.gold`); of what is found, links of the German words that have one count. A model's links are those
of `nmt-rl score --alignment pharaoh` with the references. With --aligner RUN, a run that was prepared for guided
alignment, also the error of the statistical aligner, which has learnt from the training text of that run. Writes
OUT/results.json; what that holds already is not measured again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from comparison import write_json
from measure_adaptation import ONE_THREAD, file_scores, nmt_rl
from quickstart_grammar.gold import Link, sure_links

from nmt_rl.corpus.links import align_texts
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.corpus.word_pieces import word_starts
from nmt_rl.evaluation.alignment_error import alignment_scores

LANGUAGES = ("en", "de")


def scores(found: Sequence[set[Link]], gold: Sequence[set[Link]]) -> dict[str, float]:
    """Precision, recall and error rate of the links of words that have sure ones."""
    kept = [
        {link for link in links if link[1] in {j for _, j in sure}} for links, sure in zip(found, gold, strict=True)
    ]
    rates = asdict(alignment_scores((links, sure, set()) for links, sure in zip(kept, gold, strict=True)))
    return {name: round(value, 4) for name, value in rates.items()}


def of_model(model: Path, files: Sequence[Path], log: Path) -> list[set[Link]]:
    """The links that a model's attention has of given translations."""
    told, _ = nmt_rl("score", model, "--source", files[0], "--target", files[1], "--alignment", "pharaoh", log=log)
    fields = (line.split("\t")[3] for line in told.splitlines())
    return [{(int(i), int(j)) for i, j in (link.split("-") for link in each.split())} for each in fields]


def of_aligner(run: Path, texts: Sequence[Sequence[str]]) -> list[set[Link]]:
    """The links of words whose pieces the aligner links."""
    tokenizers = Tokenizers.load(run / "corpus")
    both = [side.encode(list(text)) for side, text in zip((tokenizers.source, tokenizers.target), texts, strict=True)]
    corpus, found = EncodedCorpus.open(run / "corpus" / "train"), []
    for links, *sides in zip(align_texts(corpus, *both), *both, strict=True):
        pieces = (tokenizers.source.pieces(sides[0]), tokenizers.target.pieces(sides[1]))
        of_sides = zip(map(word_starts, pieces), np.reshape(links, (-1, 2)).T, strict=True)
        words = [np.searchsorted(starts, places, side="right") - 1 for starts, places in of_sides]
        found.append({(int(i), int(j)) for i, j in zip(*words, strict=True)})
    return found


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--test", default=str(Path(__file__).parents[1] / "data" / "quickstart" / "test"))
    parser.add_argument("--aligner", type=Path, metavar="RUN")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    files = [Path(f"{options.test}.{language}") for language in LANGUAGES]
    texts = [file.read_text(encoding="utf-8").splitlines() for file in files]
    gold, log = [sure_links(*pair) for pair in zip(*texts, strict=True)], options.out / "log"
    results = options.out / "results.json"
    found: dict[str, Any] = json.loads(results.read_text())["systems"] if results.exists() else {}
    for name, model in (given.split("=", 1) for given in options.models):
        if name in found:
            continue
        output = options.out / f"{name}.de"
        nmt_rl("translate", model, "-i", files[0], "-o", output, log=log)
        bleu = file_scores(output, files[1], "en-de", "bleu", log)["bleu"]
        found[name] = {**scores(of_model(Path(model), files, log), gold), "bleu": bleu}
    if options.aligner and "statistical aligner" not in found:
        found["statistical aligner"] = scores(of_aligner(options.aligner, texts), gold)
    count = sum(map(len, gold))
    for name, each in found.items():
        rates = (f"{key.replace('_', ' ')} {each[key]:.1%}" for key in ("error_rate", "precision", "recall"))
        print(f"{name}: {', '.join(rates)}")
    result = {"date": datetime.date.today().isoformat(), "lines": len(gold), "links": count, "systems": found}
    write_json(results, result)


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
