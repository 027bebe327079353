"""nmt-rl chain: domains that a model learns one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import Out, Overrides


def chain(
    recipe: Annotated[Path, typer.Argument(help="YAML file of a recipe with a section chain: domains and ways.")],
    out: Out,
    set_: Overrides = None,
) -> None:
    """Learn domains one after the other, and show what each step does to all of them.

    The matrix of scores, forgetting and transfer are in FOLDER/report.html and matrix.json. The same command goes on;
    more ways, and more domains at the end, may be added.
    """
    from nmt_rl.chain.learning import learn
    from nmt_rl.chain.spec import read_chain
    from nmt_rl.errors import printable_lines

    scores = learn(read_chain(recipe, set_ or ()), out)
    typer.echo(printable_lines(f"{scores.text()}\n\nReport: {out / 'report.html'}"))
