"""nmt-rl evaluate: BLEU and chrF of a model or of a file of translations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    model: Annotated[Path | None, typer.Argument(help="Model folder; not needed with --hypothesis.")] = None,
    source: Annotated[Path | None, typer.Option(help="Source text, one sentence per line.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Reference translations.")] = None,
    hypothesis: Annotated[Path | None, typer.Option(help="Score these translations instead of a model's.")] = None,
    test_set: Annotated[str | None, typer.Option("-t", "--test-set", help="A sacreBLEU test set: wmt14, ...")] = None,
    languages: Annotated[str | None, typer.Option("-l", "--languages", help="Its language pair: en-de, ...")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses kept; default: the model's own.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score translations with sacreBLEU: cased, detokenised, with signature, test set and number of lines."""
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.metrics import corpus_scores, format_scores

    if (model is None) == (hypothesis is None):
        raise UserError(
            "evaluate needs either a MODEL or --hypothesis FILE, " + ("neither" if not model else "not both")
        )
    name, sources, references = read_test_set(source, reference, test_set, languages, needs_source=model is not None)
    if hypothesis is not None:
        from nmt_rl.corpus.lines import read_lines

        texts, system, language = list(read_lines(hypothesis)), str(hypothesis), (languages or "-").split("-")[-1]
    else:
        assert model is not None
        system, language, texts = translate_all(model, sources, beam)
    scores = corpus_scores(
        texts, references, test_set=name, system=system, target_language=language, reference_name=str(reference or name)
    )
    if json_output:
        import json

        typer.echo(json.dumps(scores.to_json(), indent=2))
    else:
        typer.echo(format_scores([scores]))


def read_test_set(
    source: Path | None, reference: Path | None, test_set: str | None, languages: str | None, needs_source: bool
) -> tuple[str, list[str], Sequence[str] | Sequence[Sequence[str]]]:
    """Name, sources and references (several for some named sets); raises UserError for a wrong combination."""
    from nmt_rl.corpus.lines import read_lines
    from nmt_rl.errors import UserError

    if test_set is not None:
        if source or reference or not languages:
            raise UserError(
                "-t SET goes with -l LANGUAGES (such as -t wmt14 -l en-de), without --source and --reference"
            )
        from nmt_rl.evaluation.testsets import load_standard_set

        loaded = load_standard_set(test_set, languages)
        return loaded.name, list(loaded.sources), loaded.references
    if reference is None or (needs_source and source is None):
        raise UserError("give --source FILE and --reference FILE, or a named set such as -t wmt14 -l en-de")
    references = list(read_lines(reference))
    sources = list(read_lines(source)) if source is not None else []
    if source is not None and len(sources) != len(references):
        raise UserError(f"{source} has {len(sources):,} lines but {reference} has {len(references):,}; they must agree")
    return reference.name, sources, references


def translate_all(model: Path, sources: list[str], beam: int | None) -> tuple[str, str, list[str]]:
    """(system name, target language, translations) of a model folder."""
    from nmt_rl.bundle import bundle_folder
    from nmt_rl.decoding.translator import Translator

    folder = bundle_folder(model)
    overrides: dict[str, Any] = {} if beam is None else {"beam": beam}
    translator = Translator.from_folders([folder], overrides)
    return str(model), target_language(folder), [t.text for t in translator.translate(sources)]


def target_language(folder: Path) -> str:
    """Target language code of a model folder."""
    from nmt_rl.bundle import read_bundle_config

    return read_bundle_config(folder)[0].corpus.target_language
