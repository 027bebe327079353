"""Fine-tune one pretrained model by many methods and seeds, and compare them in one table.

Usage: python scripts/compare_finetuning.py RUN OUT VARIANT [VARIANT ...] [--seeds 1 2 3] [--set key=value ...] [--test]
                                            [--beams 1 5] [--against NAME]

RUN holds a pretrained model; it stays as it is. A VARIANT is a name and its settings of the section `finetune`:

    dqn scst:method=scst,optimizer.learning_rate=3e-5 "mrt:method.type=mrt,method.alpha=0.05"

or @methods, @ablations-dqn and so on: the sets in finetuning_variants.py. What is not set has its default,
whatever RUN's own recipe says.
Each variant and seed is a run of its own in OUT (linked to RUN's corpus and pretrained model), made by `nmt-rl
finetune`; the same command again resumes. Prints a Markdown table: greedy BLEU on the validation set as the stage found
it, then of the validation set, or with --test of the test set, which is for the end, not for choosing: BLEU of every
beam with its difference from the pretrained model (or from variant NAME of the same seed) and the p-value of a paired
bootstrap, chrF, length ratio; KL to the pretrained model and entropy in nats per piece of the greedy validation
translations; updates, minutes and processor minutes of training, validation not counted (on a shared machine, give
methods updates that take the same processor minutes). Also writes it to OUT/valid.md (or test.md), as JSON beside it,
and validation curves to OUT/curves.png.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from finetuning_variants import variants

LINKED = ("corpus", "pretrain", "tokenizer.model", "tokenizer.source.model", "tokenizer.target.model")


def make_run(source: Path, out: Path) -> None:
    """A run folder that shares corpus, tokenizer and pretrained model with another one, and not its fine-tuning."""
    out.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        if (source / name).exists() and not (out / name).exists():
            (out / name).symlink_to((source / name).resolve())
    if not (out / "recipe.yaml").exists():
        from nmt_rl.config import read_yaml

        # A variant is what its settings say, whatever RUN would be fine-tuned by.
        config = {key: value for key, value in read_yaml(source / "config.yaml").items() if key != "finetune"}
        (out / "recipe.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def finetune(source: Path, out: Path, settings: list[str]) -> None:
    """Run the stage to its end, unless it is finished."""
    make_run(source, out)
    kept, now = out / "settings.json", json.dumps([str(source.resolve()), *settings])
    if (out / "finetune").exists() and (not kept.exists() or kept.read_text(encoding="utf-8") != now):
        sys.exit(f"{out} was made from another run or with other settings; give OUT another name")
    kept.write_text(now, encoding="utf-8")
    if (out / "finetune" / "result.json").exists():
        return
    command = [sys.executable, "-m", "nmt_rl", "finetune", str(out / "recipe.yaml"), "--out", str(out)]
    for setting in settings:
        command += ["--set", f"finetune.{setting}"]
    with (out / "log").open("a") as log:
        print(f"{out.name}: {' '.join(settings)}", file=sys.stderr, flush=True)
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{out.name} failed:\n" + (out / "log").read_text(encoding="utf-8")[-2000:])


class Split:
    """Validation or test set of a run, translated by models with every beam; translations are kept in files."""

    def __init__(self, run: Path, name: str, beams: list[int]) -> None:
        """`name` is valid or test."""
        from nmt_rl.config import parse_config, read_yaml
        from nmt_rl.corpus.prepared import open_prepared

        config = parse_config(read_yaml(run / "config.yaml"), str(run / "config.yaml"))
        prepared = open_prepared(config, run)
        pairs = prepared.valid if name == "valid" else prepared.test
        self.name, self.beams, self.language = name, beams, config.corpus.target_language
        self.sources, self.references = [p[0] for p in pairs], [p[1] for p in pairs]

    def translations(self, folder: Path, stage: str, beam: int) -> list[str]:
        """Of the model of a stage, one line per source."""
        path = folder / f"{stage}.{self.name}.beam{beam}.txt"
        if not path.exists():
            from nmt_rl.decoding.request import Request
            from nmt_rl.decoding.translator import Translator

            translator = Translator.from_folders([folder / stage / "model"], Request({"beam": beam, "samples": 0}))
            lines = [t.text for t in translator.translate(self.sources)]
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path.read_text(encoding="utf-8").split("\n")[:-1]

    def scores(self, system: tuple[Path, str], baseline: tuple[Path, str] | None) -> dict[int, dict[str, Any]]:
        """Scores of a system for each beam, with the difference from a baseline and its p-value."""
        from nmt_rl.evaluation.metrics import corpus_scores
        from nmt_rl.evaluation.significance import paired_test

        found: dict[int, dict[str, Any]] = {}
        options: Any = {"test_set": self.name, "target_language": self.language}
        for beam in self.beams:
            ours = self.translations(*system, beam)
            scores = corpus_scores(ours, self.references, **options)
            found[beam] = {name: getattr(scores, name) for name in ("bleu", "chrf", "length_ratio")}
            found[beam]["bleu_signature"] = scores.metrics["bleu"].signature
            if baseline is not None:
                theirs = self.translations(*baseline, beam)
                paired = paired_test({"baseline": theirs, "system": ours}, self.references, **options)
                gain = scores.bleu - corpus_scores(theirs, self.references, **options).bleu
                found[beam] |= {"gain": gain, "p": paired.system("system").bleu.p_value}
        return found


def table(rows: list[dict[str, Any]], beams: list[int], signature: str) -> str:
    """The results as Markdown, with what is needed to repeat them."""
    heads = [f"beam {b}" if b > 1 else "greedy" for b in beams]
    names = ["method", "seed", "validation", *heads, "chrF", "length ratio", "KL", "entropy"]
    names += ["updates", "minutes", "CPU minutes"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [row["method"], str(row["seed"]), f"{row['valid']['bleu']:.2f}"]
        for beam in beams:
            score = row["scores"][beam]
            gain = f" ({score['gain']:+.2f}, p = {score['p']:.3f})" if "gain" in score else ""
            cells.append(f"{score['bleu']:.2f}{gain}")
        last = row["scores"][beams[0]]
        cells += [f"{last['chrf']:.2f}", f"{last['length_ratio']:.3f}"]
        cells += [f"{row['valid']['kl']:.3f}", f"{row['valid']['entropy']:.3f}"]
        cells += [str(row["updates"]), f"{row['minutes']:.1f}", f"{row['processor_minutes']:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores, {datetime.date.today()}"
    return "\n".join([*lines, "", f"{signature}; one-sided paired bootstrap, 1,000 resamples; {machine}"]) + "\n"


def draw_curves(runs: list[tuple[str, int, Path]], path: Path) -> None:
    """Greedy validation BLEU over minutes of fine-tuning, one colour per method, one line per seed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from nmt_rl.evaluation.plots import read_events

    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    methods = list(dict.fromkeys(name for name, _, _ in runs))
    for name, seed, run in runs:
        events = [e for e in read_events(run / "metrics.jsonl") if (e["stage"], e["event"]) == ("finetune", "valid")]
        minutes, bleu = [e["training_seconds"] / 60 for e in events], [e["bleu"] for e in events]
        label = name if (name, seed) == next((n, s) for n, s, _ in runs if n == name) else None
        axis.plot(minutes, bleu, color=f"C{methods.index(name)}", marker="o", markersize=3, label=label)
    axis.set_xlabel("minutes of fine-tuning, validation not counted")
    axis.set_ylabel("BLEU, greedy, validation (%)")
    axis.grid(color="#e4e4e4")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def main() -> None:
    """Run and compare."""
    parser = argparse.ArgumentParser(description="Compare methods of fine-tuning; see the head of this file.")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--set", action="append", default=[], help="key=value of finetune for every variant")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--against", help="compare with this variant (same seed), not with the pretrained model")
    parser.add_argument("--test", action="store_true", help="score the test set, not the validation set")
    args = parser.parse_args()
    runs = []
    try:
        chosen = variants(args.variants)
    except ValueError as error:
        parser.error(str(error))
    if args.against and args.against not in chosen:
        parser.error(f"--against {args.against} is no variant; variants: {', '.join(chosen)}")
    for name, settings in chosen.items():
        for seed in args.seeds:
            run = args.out / f"{name}-{seed}"
            finetune(args.run, run, [*args.set, *settings, f"seed={seed}"])
            runs.append((name, seed, run))
    draw_curves(runs, args.out / "curves.png")
    split = Split(args.run, "test" if args.test else "valid", args.beams)
    start = runs[0][2]
    rows: list[dict[str, Any]] = []
    for name, seed, run in runs:
        result = json.loads((run / "finetune" / "result.json").read_text(encoding="utf-8"))
        if not rows:
            before = split.scores((start, "pretrain"), None)
            row = {"method": "pretrained", "seed": "-", "scores": before, "valid": result["before"]}
            rows.append(row | {"updates": 0, "minutes": 0.0, "processor_minutes": 0.0})
        baseline = (args.out / f"{args.against}-{seed}", "finetune") if args.against else (start, "pretrain")
        scores = split.scores((run, "finetune"), baseline)
        row = {"method": name, "seed": seed, "scores": scores, "valid": result["valid"], "updates": result["updates"]}
        minutes = {"minutes": result["training_seconds"] / 60, "processor_minutes": result["processor_seconds"] / 60}
        rows.append(row | minutes)
        text = table(rows, args.beams, rows[0]["scores"][args.beams[0]]["bleu_signature"])
        (args.out / f"{split.name}.md").write_text(text, encoding="utf-8")
        (args.out / f"{split.name}.json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
