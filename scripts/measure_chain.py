"""Domains learnt one after the other: what each step does to all of them, by ways to keep what was known.

Usage: python scripts/measure_chain.py SPEC OUT --start RUN --data DIR [--only WAY ...]

SPEC is a file such as adaptations/chain.yaml: a recipe, domains in their order with text in DATA, the first being that
of RUN, and ways to keep, each with its strength: `nothing`, `replay` (weight of every earlier domain's text), `ewc` and
`distill` (their weights; EWC knows the first lines of the domain before). Each step starts from the model of the last.
R[i, j] is BLEU on the test set of domain j after domain i. Forgetting is the mean over earlier domains of the best R
before the end minus the last (Chaudhry et al., 2018); backward transfer the mean of R[last, j] - R[j, j], forward
transfer that of R[j - 1, j] - R[0, j] (Lopez-Paz and Ranzato, 2017, against the first model). Writes OUT/results.json
and OUT/results.md; what is finished is not done again.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from comparison import write_json
from measure_adaptation import ONE_THREAD, bleu, read_spec, scores, train

Matrix = list[list[float]]
"""R[i][j]: after domain i, on domain j."""


def settings_of(way: str, strength: float, start: Path, domains: Sequence[dict[str, Any]], step: int) -> list[str]:
    """Settings of the recipe for a step: where it starts, its text, and how what was known is kept."""
    new, before = domains[step]["text"], domains[step - 1]["text"]
    text = [f"{{prefix: {new}/train}}"]
    if way == "replay":
        text += [f"{{prefix: {earlier['text']}/train, weight: {strength}}}" for earlier in domains[:step]]
    found = [
        f"pretrain.start={start}",
        f"corpus.train=[{', '.join(text)}]",
        f"corpus.valid={{prefix: {new}/{domains[step]['valid']}}}",
    ]
    if way == "ewc":
        found.append(f"pretrain.keep={{type: ewc, text: {before}/train, weight: {strength}}}")
    elif way == "distill":
        found.append(f"pretrain.keep={{type: distill, weight: {strength}}}")
    return found


def forgetting(matrix: Matrix) -> float:
    """Mean over all domains but the last of the best score before the end minus the last."""
    earlier = range(len(matrix) - 1)
    return sum(max(matrix[i][j] for i in range(j, len(matrix) - 1)) - matrix[-1][j] for j in earlier) / len(earlier)


def backward_transfer(matrix: Matrix) -> float:
    """Mean over all domains but the last of the last score minus that when it was learnt."""
    earlier = range(len(matrix) - 1)
    return sum(matrix[-1][j] - matrix[j][j] for j in earlier) / len(earlier)


def forward_transfer(matrix: Matrix) -> float:
    """Mean over all domains but the first of the score just before it is learnt minus the first model's."""
    later = range(1, len(matrix))
    return sum(matrix[j - 1][j] - matrix[0][j] for j in later) / len(later)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path)
    for name in ("start", "data"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="WAY")
    options = parser.parse_args()
    spec = read_spec(options.spec, {"DATA": options.data})
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = options.out / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(spec["recipe"], sort_keys=False), encoding="utf-8")
    domains, corpus = spec["domains"], spec["recipe"]["corpus"]
    models, minutes = {"start": options.start.resolve()}, {}
    for way, strength in spec["ways"].items():
        if options.only and way not in options.only:
            continue
        last, spent = options.start.resolve(), 0.0
        for step in range(1, len(domains)):
            run = (options.out / "runs" / f"{way}-{step}").resolve()
            spent += train(recipe, run, settings_of(way, strength, last, domains, step))
            last = models[f"{way}-{step}"] = run / "pretrain" / "model"
            print(way, domains[step]["name"], f"{spent / 60:.1f} CPU minutes", file=sys.stderr, flush=True)
        minutes[way] = round(spent / 60, 1)
    tests = {domain["name"]: f"{domain['text']}/{domain['test']}" for domain in domains}
    languages = (corpus["source_language"], corpus["target_language"])
    found = scores(models, tests, languages, options.out / "evaluate.log")
    rows = {name: [bleu(each[test]) for test in tests] for name, each in found.items()}
    matrices = {way: [rows["start"], *(rows[f"{way}-{step}"] for step in range(1, len(domains)))] for way in minutes}
    result = {"name": spec["name"], "date": datetime.date.today().isoformat(), "domains": list(tests)}
    result |= {"strengths": spec["ways"], "cpu_minutes": minutes, "matrices": matrices, "scores": found}
    write_json(options.out / "results.json", result)
    (options.out / "results.md").write_text(table(result), encoding="utf-8")
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """Every way's matrix as Markdown, and a line of its sums."""
    parts, domains = [], result["domains"]
    for way, matrix in result["matrices"].items():
        lines = [[f"{way}: after", *domains], ["---"] * (len(domains) + 1)]
        lines += [[name, *(f"{score:.2f}" for score in row)] for name, row in zip(domains, matrix, strict=True)]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    parts.append("| way | mean of the last | forgetting | backward transfer | forward transfer | CPU minutes |\n")
    parts[-1] += "| --- | --- | --- | --- | --- | --- |\n"
    for way, matrix in result["matrices"].items():
        sums = (sum(matrix[-1]) / len(matrix), forgetting(matrix), backward_transfer(matrix), forward_transfer(matrix))
        cells = [way, *(f"{value:.2f}" for value in sums), f"{result['cpu_minutes'][way]}"]
        parts[-1] += f"| {' | '.join(cells)} |\n"
    return "\n".join(parts)


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
