"""nmt-rl compare: two systems on one test set, with the p-value of a paired test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt_rl.cli.options import BeamOf, Languages, Metrics, References, Sources, StandardSets, split_metrics

if TYPE_CHECKING:
    from nmt_rl.evaluation.contrast import Contrast
    from nmt_rl.evaluation.significance import PairedTest


def compare(
    baseline: Annotated[Path, typer.Argument(help="A model folder, or a file of translations.")],
    other: Annotated[Path, typer.Argument(help="Another one.")],
    source: Sources = None,
    reference: References = None,
    test_set: StandardSets = None,
    languages: Languages = None,
    metrics: Metrics = "bleu,chrf",
    beam: BeamOf = None,
    test: Annotated[
        Literal["bootstrap", "randomization"],
        typer.Option(help="Paired bootstrap (Koehn, 2004) or approximate randomization (Riezler and Maxwell, 2005)."),
    ] = "bootstrap",
    resamples: Annotated[
        int | None, typer.Option(min=100, help="Of the test; 1,000 resamples or 10,000 trials.")
    ] = None,
    seed: Annotated[int, typer.Option(min=1, help="Of the test.")] = 12345,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots and examples.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scores and paired p-value of two systems, and in what their translations differ."""
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.contrast import contrast
    from nmt_rl.evaluation.examples import Texts
    from nmt_rl.evaluation.significance import paired_test
    from nmt_rl.evaluation.testsets import read_test_sets
    from nmt_rl.systems import read_systems

    wanted = split_metrics(metrics)
    if baseline.resolve() == other.resolve():
        raise UserError(f"compare needs two different systems, found {baseline} twice")
    needs_source = baseline.is_dir() or other.is_dir()
    sets = read_test_sets(source or [], reference or [], test_set or [], languages, needs_source)
    if html is not None and not html.absolute().parent.is_dir():
        raise UserError(f"--html {html} cannot be written: there is no folder {html.absolute().parent}")
    if len(sets) > 1:
        raise UserError(f"compare takes one test set, found {len(sets)}")
    first, second = read_systems([baseline, other], sets, beam)
    if first.target_language != second.target_language and baseline.is_dir() and other.is_dir():
        both = f"{first.target_language} and {second.target_language}"
        raise UserError(f"compare needs one target language, but the models have {both}")
    target = first.target_language or second.target_language
    result = paired_test(
        {system.name: system.texts[0] for system in (first, second)},
        sets[0].references,
        test_set=sets[0].name,
        kind=test,
        metrics=wanted,
        samples=resamples or {"bootstrap": 1000, "randomization": 10000}[test],
        seed=seed,
        target_language=target,
        reference_name=sets[0].reference_name,
        decodings={system.name: system.decoding for system in (first, second)},
    )
    found = contrast(Texts(sets[0].sources, sets[0].references, first.texts[0], second.texts[0]), target, seed)
    _show(result, found, json_output)
    if html is not None:
        _write(html, result, found, (sets[0].source_language, target))


def _show(result: PairedTest, found: Contrast, json_output: bool) -> None:
    import json

    from nmt_rl.evaluation.contrast import format_contrast
    from nmt_rl.evaluation.significance import format_paired

    if json_output:
        typer.echo(json.dumps({**result.to_json(), "contrast": found.to_json()}, indent=2, ensure_ascii=False))
    else:
        names = [system.system for system in result.systems]
        typer.echo(f"{format_paired(result)}\n\n{format_contrast(found, names)}")


def _write(path: Path, result: PairedTest, found: Contrast, languages: tuple[str, str]) -> None:
    import datetime

    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.contrast_page import render_contrast

    page = render_contrast(result, found, languages, datetime.date.today().isoformat())
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--html {path} cannot be written: {error.strerror or error}") from None
