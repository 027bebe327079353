"""nmt-rl evaluate: scores of models or of files of translations, on one or several test sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt_rl.cli.options import BeamOf, Languages, Metrics, References, Sources, StandardSets, split_metrics

if TYPE_CHECKING:
    from nmt_rl.evaluation.metrics import Scores
    from nmt_rl.evaluation.testsets import TestSet


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
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.tables import format_scores
    from nmt_rl.evaluation.testsets import read_test_sets

    models, files = models or [], hypothesis or []
    if not models and not files:
        raise UserError("evaluate needs a MODEL or --hypothesis FILE, found neither")
    wanted = split_metrics(metrics, ("comet",))
    if "comet" in wanted:
        from nmt_rl.evaluation.comet import require_comet

        require_comet()
    needs_source = bool(models) or "comet" in wanted
    sets = read_test_sets(source or [], reference or [], test_set or [], languages, needs_source)
    if files and len(sets) > 1:
        raise UserError(f"--hypothesis goes with one test set, found {len(sets)}")
    if 0 < confidence < 100:
        raise UserError(f"--confidence needs 100 resamples or more, found {confidence}")
    rows: list[Scores] = []
    for file in files:
        from nmt_rl.corpus.lines import read_lines

        language = sets[0].target_language
        rows.append(_score(str(file), language, list(read_lines(file)), sets[0], wanted, confidence, seed))
    for model in models:
        language, texts = translate_all(model, sets, beam)
        for each, lines in zip(sets, texts, strict=True):
            rows.append(_score(str(model), language, lines, each, wanted, confidence, seed))
    typer.echo(format_scores(rows, format))


def _score(
    system: str, language: str, texts: list[str], test_set: TestSet, metrics: list[str], resamples: int, seed: int
) -> Scores:
    from dataclasses import replace

    from nmt_rl.evaluation.metrics import corpus_scores

    scores = corpus_scores(
        texts,
        test_set.references,
        test_set=test_set.name,
        system=system,
        metrics=[name for name in metrics if name != "comet"],
        resamples=resamples,
        seed=seed,
        target_language=language,
        reference_name=test_set.reference_name,
    )
    if "comet" in metrics:
        from nmt_rl.evaluation.comet import comet_score

        comet = comet_score(test_set.sources, texts, test_set.references[0])
        scores = replace(scores, metrics=scores.metrics | {"comet": comet})
    return scores


def translate_all(model: Path, sets: list[TestSet], beam: int | None) -> tuple[str, list[list[str]]]:
    """The target language of a model folder, and its translations of each test set."""
    from nmt_rl.bundle import bundle_folder, read_bundle_config
    from nmt_rl.decoding.translator import Translator

    folder = bundle_folder(model)
    translator = Translator.from_folders([folder], {} if beam is None else {"beam": beam})
    language = read_bundle_config(folder)[0].corpus.target_language
    return language, [[t.text for t in translator.translate(each.sources)] for each in sets]
