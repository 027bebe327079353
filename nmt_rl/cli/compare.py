"""nmt-rl compare: systems on one test set, with the p-values of a paired test against the first."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.scoring_options import ScoringOptions
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.cli.tag_options import TagOptions
from nmt_rl.storage.streams import STANDARD

if TYPE_CHECKING:
    from nmt_rl.decoding.request import Request
    from nmt_rl.evaluation.contrast import Contrast
    from nmt_rl.evaluation.resampling import Kind
    from nmt_rl.evaluation.significance import PairedTest
    from nmt_rl.evaluation.testsets import TestSet
    from nmt_rl.systems import Candidate, SeedPaths, System

SAMPLES = {"bootstrap": 1000, "randomization": 10000}


@with_groups
def compare(
    systems: Annotated[
        list[str],
        typer.Argument(
            help="Model folders, or files of translations; the first is the baseline. NAME=X,Y,Z: a system that was "
            "trained with several seeds, and the model or translations of each (what exists under a name with = or , "
            "is that file or folder).",
        ),
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
    tagging: TagOptions,
    search: SearchOptions,
) -> None:
    """Scores and paired p-values of systems against the first one, and in what their translations differ.

    Search options are of the models; those that are not given are each model's own. If a system has several seeds, its
    score is their mean, and the test is a two-sided bootstrap over sentences and seeds. p-values of several systems are
    corrected for their number (Holm, 1979); --json has them as they were, too.
    """
    from nmt_rl.errors import UserError
    from nmt_rl.storage.outputs import open_output
    from nmt_rl.systems import check_scoring, parse_seeds

    if html == STANDARD and json_output:
        raise UserError("--html - and --json both write to standard output; give --html FILE")
    metrics, samples = scoring.metric_names(), resamples or SAMPLES[test]
    given = [parse_seeds(system) for system in systems]
    _check_systems(given, test)
    on, groups, request, languages = _prepared(given, scoring, tagging, search)
    check_scoring([[languages[1]]], [on], ["bleu", *metrics], samples, scoring.tokenize)
    inputs = [*scoring.texts, *(path for each in given for path in each.paths if not path.is_dir())]
    with open_output(html, "--html", inputs) if html is not None else contextlib.nullcontext() as page:
        translated = {name: [seed.translate([on], [request]) for seed in seeds] for name, seeds in groups.items()}
        both = _compared(translated, on, languages, scoring.tokenize, metrics, test, samples, seed)
        if page is not None:
            page.write(_page(*both, languages).encode("utf-8", "backslashreplace"))
        if html != STANDARD:
            _show(*both, json_output)


def _prepared(
    given: list[SeedPaths], scoring: ScoringOptions, tagging: TagOptions, search: SearchOptions
) -> tuple[TestSet, dict[str, list[Candidate]], Request, tuple[str, str]]:
    """The test set, systems by name, what their models are asked, and codes of source and target."""
    from nmt_rl.bundle import bundle_folder
    from nmt_rl.errors import UserError
    from nmt_rl.systems import find_systems, group_seeds, in_languages

    paths = [path for each in given for path in each.paths]
    _check_different(paths)
    files = [path for path in paths if not path.is_dir()]
    sets = scoring.read(files, needs_source=len(files) < len(paths))
    if len(sets) > 1:
        raise UserError(f"compare takes one test set, found {len(sets)}")
    models = [bundle_folder(path) for path in paths if path.is_dir()]
    tag, through = tagging.of(models), tagging.between(models)
    sets = in_languages(sets, [tag])
    found = find_systems(paths, sets, [tag])
    _check_different([each.path for each in found])  # A run is the model that it holds.
    request = search.request([each.path for each in found if each.lines is None], tag=tag, through=through)
    source, target = _languages(found)
    return sets[0], group_seeds(given, found), request, (source, request.target_language(target))


def _compared(
    systems: dict[str, list[System]],
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

    outputs = {name: [each.texts[0] for each in seeds] for name, seeds in systems.items()}
    result = paired_test(
        outputs,
        on.references,
        test_set=on.name,
        kind=test,
        metrics=metrics,
        samples=samples,
        seed=seed,
        target_language=languages[1],
        tokenize=tokenize,
        reference_name=on.reference_name,
        decodings={
            name: "; ".join(dict.fromkeys(filter(None, itertools.chain(*(each.decodings for each in seeds)))))
            for name, seeds in systems.items()
        },
    )
    return result, contrast(list(outputs.values()), on.references, on.sources, languages[1], tokenize, seed)


def _check_systems(given: list[SeedPaths], test: Kind) -> None:
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.significance import ONE_OUTPUT

    if len(given) < 2:
        raise UserError(f"compare needs two systems or more, found {len(given)}; the first is the baseline")
    if test == "randomization" and any(len(each.paths) > 1 for each in given):
        raise UserError(ONE_OUTPUT)


def _check_different(paths: list[Path]) -> None:
    from nmt_rl.errors import UserError

    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
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
