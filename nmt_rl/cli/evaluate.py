"""nmt-rl evaluate: scores of models or of files of translations, on one or several test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt_rl.cli.options import BeamOf, Languages, Metrics, References, Sources, StandardSets, split_metrics


def evaluate(
    models: Annotated[list[Path] | None, typer.Argument(help="Model folders; each translates every test set.")] = None,
    source: Sources = None,
    reference: References = None,
    hypothesis: Annotated[
        list[Path] | None, typer.Option(help="Score these translations of the test set; repeatable.")
    ] = None,
    test_set: StandardSets = None,
    languages: Languages = None,
    metrics: Metrics = "bleu,chrf",
    beam: BeamOf = None,
    confidence: Annotated[
        int, typer.Option(min=0, help="Resamples for 95 % confidence intervals, such as 1000; 0: none.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=1, help="Of the resampling.")] = 12345,
    format: Annotated[Literal["text", "markdown", "latex", "json"], typer.Option(help="Of the table.")] = "text",
) -> None:
    """Score translations with sacreBLEU: cased, detokenised, with signature, test set and number of lines."""
    from nmt_rl.bundle import bundle_folder
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.tables import format_scores
    from nmt_rl.evaluation.testsets import read_test_sets
    from nmt_rl.systems import read_systems, score_systems

    models, files = models or [], hypothesis or []
    if not models and not files:
        raise UserError("evaluate needs a MODEL or --hypothesis FILE, found neither")
    for model in models:
        bundle_folder(model)  # Which a file of translations is not.
    wanted = split_metrics(metrics, ("comet",))
    if "comet" in wanted:
        from nmt_rl.evaluation.comet import require_comet

        require_comet()
    needs_source = bool(models) or "comet" in wanted
    sets = read_test_sets(source or [], reference or [], test_set or [], languages, needs_source)
    if 0 < confidence < 100:
        raise UserError(f"--confidence needs 100 resamples or more, found {confidence}")
    systems = read_systems([*files, *models], sets, beam)
    typer.echo(format_scores(score_systems(systems, sets, wanted, confidence, seed), format))
