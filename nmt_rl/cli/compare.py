"""nmt-rl compare: systems on one test set, with the p-values of a paired test against the first."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.scoring_options import ScoringOptions
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.storage.streams import STANDARD

if TYPE_CHECKING:
    from nmt_rl.evaluation.contrast import Contrast
    from nmt_rl.evaluation.resampling import Kind
    from nmt_rl.evaluation.significance import PairedTest
    from nmt_rl.evaluation.testsets import TestSet
    from nmt_rl.systems import Candidate, System

SAMPLES = {"bootstrap": 1000, "randomization": 10000}


@with_groups
def compare(
    systems: Annotated[
        list[Path], typer.Argument(help="Model folders, or files of translations; the first is the baseline.")
    ],
    *,
    scoring: ScoringOptions,
    test: Annotated[
        Literal["bootstrap", "randomization"],
        typer.Option(help="Paired bootstrap (Koehn, 2004) or approximate randomization (Riezler and Maxwell, 2005)."),
    ] = "bootstrap",
    resamples: Annotated[
        int | None, typer.Option(min=100, help="Of the test; 1,000 resamples or 10,000 trials.")
    ] = None,
    seed: Annotated[int, typer.Option(min=1, help="Of the test.")] = 12345,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with plots and examples; -: to stdout, instead of the table.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    search: SearchOptions,
) -> None:
    """Scores and paired p-values of systems against the first one, and in what their translations differ.

    Search options are of the models; those that are not given are each model's own. p-values are not corrected for the
    number of systems.
    """
    from nmt_rl.errors import UserError
    from nmt_rl.storage.outputs import open_output
    from nmt_rl.systems import check_scoring, find_systems

    if html == STANDARD and json_output:
        raise UserError("--html - and --json both write to standard output; give --html FILE")
    metrics, samples = scoring.metric_names(), resamples or SAMPLES[test]
    _check_different(systems)
    files = [path for path in systems if not path.is_dir()]
    sets = scoring.read(files, needs_source=len(files) < len(systems))
    if len(sets) > 1:
        raise UserError(f"compare takes one test set, found {len(sets)}")
    found = find_systems(systems, sets)
    _check_different([each.path for each in found])  # A run is the model that it holds.
    request = search.request([each.path for each in found if each.lines is None])
    languages = _languages(found)
    check_scoring([languages[1]], sets, ["bleu", *metrics], samples, scoring.tokenize)
    inputs = [*scoring.texts, *files]
    with open_output(html, "--html", inputs) if html is not None else contextlib.nullcontext() as page:
        translated = [each.translate(sets, request) for each in found]
        both = _compared(translated, sets[0], languages, scoring.tokenize, metrics, test, samples, seed)
        if page is not None:
            page.write(_page(*both, languages).encode("utf-8", "backslashreplace"))
        if html != STANDARD:
            _show(*both, json_output)


def _compared(
    systems: list[System],
    on: TestSet,
    languages: tuple[str, str],
    tokenize: str | None,
    metrics: list[str],
    test: Kind,
    samples: int,
    seed: int,
) -> tuple[PairedTest, Contrast]:
    from nmt_rl.evaluation.contrast import contrast
    from nmt_rl.evaluation.significance import paired_test

    result = paired_test(
        {system.name: system.texts[0] for system in systems},
        on.references,
        test_set=on.name,
        kind=test,
        metrics=metrics,
        samples=samples,
        seed=seed,
        target_language=languages[1],
        tokenize=tokenize,
        reference_name=on.reference_name,
        decodings={system.name: system.decoding for system in systems},
    )
    lines = [system.texts[0] for system in systems]
    return result, contrast(lines, on.references, on.sources, languages[1], tokenize, seed)


def _check_different(systems: list[Path]) -> None:
    from nmt_rl.errors import UserError

    if len(systems) < 2:
        raise UserError(f"compare needs two systems or more, found {len(systems)}; the first is the baseline")
    places = [path.resolve() for path in systems]
    for path, place in zip(systems, places, strict=True):
        if places.count(place) > 1:
            raise UserError(f"compare needs different systems, found {path} twice")


def _languages(found: list[Candidate]) -> tuple[str, str]:
    """Codes of source and target: of the models, which agree, before those of the test set."""
    ordered = sorted(found, key=lambda each: each.lines is not None)
    source, target = zip(*(each.languages for each in ordered), strict=True)
    return next(filter(None, source), ""), next(filter(None, target), "")


def _show(result: PairedTest, found: Contrast, json_output: bool) -> None:
    import json

    from nmt_rl.evaluation.contrast import format_contrast
    from nmt_rl.evaluation.significance import format_paired

    if json_output:
        typer.echo(json.dumps({**result.to_json(), "contrast": found.to_json()}, indent=2, ensure_ascii=False))
    else:
        names = [system.system for system in result.systems]
        typer.echo(f"{format_paired(result)}\n\n{format_contrast(found, names)}")


def _page(result: PairedTest, found: Contrast, languages: tuple[str, str]) -> str:
    import datetime

    from nmt_rl.evaluation.contrast_page import render_contrast

    return render_contrast(result, found, languages, datetime.date.today().isoformat())
