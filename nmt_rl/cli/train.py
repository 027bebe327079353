"""nmt-rl prepare, pretrain, finetune, run, quickstart: the stages of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from nmt_rl.cli.options import Fresh, Out, Overrides, Processes, Recipe


def prepare(
    recipe: Recipe, out: Out, set_: Overrides = None, fresh: Fresh = False, processes: Processes = None
) -> None:
    """Clean the parallel text, train SentencePiece, encode; goes on where it was interrupted."""
    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.experiment import prepare_stage

    prepared = prepare_stage(load_experiment(recipe, set_ or ()), out, fresh, processes)
    typer.echo(str(prepared.report))


def pretrain(recipe: Recipe, out: Out, set_: Overrides = None, fresh: Fresh = False) -> None:
    """Train with cross-entropy; prepares first if needed."""
    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.experiment import pretrain_stage

    result = pretrain_stage(load_experiment(recipe, set_ or ()), out, fresh)
    typer.echo(f"{_line(result['valid'], out, 'pretrain')} after {result['updates']} updates; model in {out / 'model'}")


def finetune(recipe: Recipe, out: Out, set_: Overrides = None, fresh: Fresh = False) -> None:
    """Fine-tune the run's pretrained model as a deep Q-network with BLEU reward."""
    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.experiment import better_stage, finetune_stage

    result = finetune_stage(load_experiment(recipe, set_ or ()), out, fresh)
    before, after = _line(result["before"], out, "pretrain"), _line(result["valid"], out, "finetune")
    typer.echo(f"pretrained  {before}\nfine-tuned  {after}")
    typer.echo(f"the {'fine-tuned' if better_stage(out) == 'finetune' else 'pretrained'} model is in {out / 'model'}")


def run(recipe: Recipe, out: Out, set_: Overrides = None, fresh: Fresh = False) -> None:
    """All stages, then the report."""
    import shlex

    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.experiment import run_stages

    report = run_stages(load_experiment(recipe, set_ or ()), out, fresh)
    typer.echo(f"{report.text()}\n\nReport: {report.path}\nTranslate a file with the new model:")
    typer.echo(f"    nmt-rl translate {shlex.quote(str(out / 'model'))} < input.txt > output.txt")


def quickstart(
    out: Out = Path("quickstart"),
    set_: Overrides = None,
    fresh: Fresh = False,
) -> None:
    """The main job in a few minutes, on the corpus that ships with nmt-rl."""
    run("quickstart", out, set_, fresh)


def _line(scores: dict[str, Any], run: Path, stage: str) -> str:
    """Of a stage's model: its scores on validation, and how it translated there."""
    from nmt_rl.bundle import read_bundle_config
    from nmt_rl.config.task import METRICS
    from nmt_rl.evaluation.metrics import LABELS

    model = read_bundle_config(run / stage / "model")[0]
    told = "  ".join(f"{LABELS[metric]} {scores[metric]:.2f}" for metric in METRICS[model.task])
    return f"validation {told}  length {scores['length_ratio']:.3f}  ({model.decoding.greedy().summary()})"
