"""nmt-rl compare: two models on one test set, with the paired bootstrap's p-value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    model_a: Annotated[Path, typer.Argument(help="The baseline's model folder.")],
    model_b: Annotated[Path, typer.Argument(help="The other model folder.")],
    source: Annotated[Path | None, typer.Option(help="Source text, one sentence per line.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Reference translations.")] = None,
    test_set: Annotated[str | None, typer.Option("-t", "--test-set", help="A sacreBLEU test set: wmt14, ...")] = None,
    languages: Annotated[str | None, typer.Option("-l", "--languages", help="Its language pair: en-de, ...")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses kept; default: each model's own.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Of the paired bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=1, help="Of the resampling.")] = 12345,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """BLEU, chrF, length ratio and paired bootstrap p-value of two models."""
    from nmt_rl.cli.evaluate import read_test_set, translate_all
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.significance import format_paired, paired_bootstrap

    if model_a == model_b:
        raise UserError(f"compare needs two different models, found {model_a} twice")
    name, sources, references = read_test_set(source, reference, test_set, languages, needs_source=True)
    systems, language = {}, ""
    for model in (model_a, model_b):
        _, language, systems[str(model)] = translate_all(model, sources, beam)
    result = paired_bootstrap(
        systems, references, test_set=name, resamples=resamples, seed=seed, target_language=language
    )
    if json_output:
        import json

        typer.echo(json.dumps(result.to_json(), indent=2))
    else:
        typer.echo(format_paired(result))
