"""nmt-rl average: the mean of checkpoints or models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import named_folder


def average(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Model folders; or RUN/pretrain or RUN/finetune.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", parser=named_folder, metavar="FOLDER", help="The new model folder.")
    ],
    last: Annotated[
        int | None,
        typer.Option(min=1, help="Of a stage: its last N validated checkpoints, at most `average`."),
    ] = None,
    best: Annotated[
        int | None, typer.Option(min=1, help="Of a stage: the N that validated best, at most `average`.")
    ] = None,
) -> None:
    """Average the weights of several models, or of a training stage's checkpoints, into a new model folder."""
    from nmt_rl.errors import UserError, printable

    if last is not None and best is not None:
        raise UserError("--last and --best exclude each other")
    if (last or best) and len(folders) > 1:
        raise UserError(
            f"--last and --best take one stage (RUN/pretrain or RUN/finetune), found {len(folders)} folders"
        )
    if not (last or best) and len(folders) < 2:
        raise UserError("average needs two or more model folders, or --last N or --best N of a stage")
    from nmt_rl.bundle import must_be_new, open_members

    # Before Keras is loaded.
    must_be_new(output)
    open_members(folders, "an average", one_architecture=True)
    from nmt_rl.training.averaging import average_models, average_snapshots

    if last or best:
        names = average_snapshots(folders[0], last or best or 0, "last" if last else "best", output)
    else:
        names = average_models(folders, output)
    typer.echo("\n".join(map(printable, [f"{output} is the average of", *(f"    {name}" for name in names)])))
