"""nmt-rl evaluate: scores of models or of files of translations, on one or several test sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.scoring_options import ScoringOptions
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.cli.tag_options import SetTagOptions

if TYPE_CHECKING:
    from nmt_rl.corpus.glossary import Glossary
    from nmt_rl.evaluation.testsets import TestSet
    from nmt_rl.systems import System

Format = Literal["text", "markdown", "latex", "json"]
SEED = 12345
"""sacreBLEU's."""


@with_groups
def evaluate(
    models: Annotated[list[Path] | None, typer.Argument(help="Model folders; each translates every test set.")] = None,
    *,
    hypothesis: Annotated[
        list[Path] | None, typer.Option(help="Score these translations of the test set; repeatable.")
    ] = None,
    scoring: ScoringOptions,
    confidence: Annotated[
        int, typer.Option(min=0, help="Resamples for 95 % confidence intervals, such as 1000; 0: none.")
    ] = 0,
    seed: Annotated[int | None, typer.Option(min=1, help=f"Of the resampling; {SEED:,}, as sacreBLEU's.")] = None,
    terms: Annotated[
        Path | None,
        typer.Option(help="Table of terms and translations: also the share that is kept where the reference has them."),
    ] = None,
    sentences: Annotated[
        bool, typer.Option("--sentences", help="Scores of every line: a list divided by tabs, or JSON lines.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Of the table.")] = "text",
    tagging: SetTagOptions,
    search: SearchOptions,
) -> None:
    """Score translations with sacreBLEU: cased (but TER), detokenised, with signature, test set and number of lines.

    Search options are of the models; those that are not given are each model's own.
    """
    from nmt_rl.corpus.glossary import read_glossary
    from nmt_rl.systems import check_scoring, find_systems, in_languages

    models, files = models or [], hypothesis or []
    folders = _check_options(models, files, confidence, seed, sentences, format)
    wanted = scoring.metric_names(("comet",))
    glossary = None if terms is None else read_glossary(terms)
    sets = scoring.read(files, needs_source=bool(models) or "comet" in wanted or glossary is not None)
    tags = tagging.of(folders, sets)
    sets = in_languages(sets, tags)
    found = find_systems([*files, *models], sets, tags)
    through = tagging.between(folders, tags)
    asked = {tag: search.request(folders, tag=tag, through=through) for tag in dict.fromkeys(tags)}
    requests = [asked[tag] for tag in tags]
    needed = wanted if sentences else ["bleu", *wanted]
    languages = [[request.target_language(each.languages[1]) for each in found] for request in requests]
    check_scoring(languages, sets, needed, confidence, scoring.tokenize)
    systems = [each.translate(sets, requests) for each in found]
    if sentences:
        _print_sentences(systems, sets, wanted, scoring.tokenize, format)
        return
    from nmt_rl.evaluation.tables import format_scores
    from nmt_rl.systems import score_systems

    typer.echo(format_scores(score_systems(systems, sets, wanted, confidence, seed or SEED, scoring.tokenize), format))
    if glossary is not None:
        _tell_terms(systems, sets, glossary, err=format == "json")


def _tell_terms(systems: list[System], sets: list[TestSet], glossary: Glossary, err: bool) -> None:
    """How many of the terms' translations that the references hold each system has."""
    from nmt_rl.corpus.glossary import terms_kept

    for system in systems:
        for each, texts in zip(sets, system.texts, strict=True):
            kept, wanted = terms_kept(glossary, each.sources, texts, each.references[0])
            share = f"{kept / wanted:.1%}" if wanted else "none"
            typer.echo(f"{system.name}: {share} of {wanted:,} terms kept, {each.name}", err=err)


def _check_options(
    models: list[Path], files: list[Path], confidence: int, seed: int | None, sentences: bool, format: Format
) -> list[Path]:
    """The model folders."""
    from nmt_rl.bundle import bundle_folder, must_be_text
    from nmt_rl.errors import UserError

    if not models and not files:
        raise UserError("evaluate needs a MODEL or --hypothesis FILE, found neither")
    for path in [*files, *models]:
        if [*files, *models].count(path) > 1:
            raise UserError(f"{path} is given twice; each system is scored once")
    must_be_text("--hypothesis", *files)
    folders = [bundle_folder(model, "--hypothesis") for model in models]
    if 0 < confidence < 100:
        raise UserError(f"--confidence needs 100 resamples or more, found {confidence}")
    if seed is not None and not confidence:
        raise UserError("--seed is of the resampling; give --confidence N, too")
    if sentences and confidence:
        raise UserError("--confidence is of whole test sets; leave out --sentences")
    if sentences and format in ("markdown", "latex"):
        raise UserError(f"--sentences makes a list, as --format text or json, found {format}")
    return folders


def _print_sentences(
    systems: list[System], sets: list[TestSet], metrics: list[str], tokenize: str | None, format: Format
) -> None:
    import logging

    from nmt_rl.evaluation.tables import format_sentences, sentence_notes
    from nmt_rl.systems import score_sentences

    tables = score_sentences(systems, sets, metrics, tokenize)
    for line in format_sentences(tables, "json" if format == "json" else "text"):
        typer.echo(line)
    for note in sentence_notes(tables):
        logging.getLogger("nmt_rl").info("%s", note)
