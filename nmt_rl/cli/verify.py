"""nmt-rl verify: whether a run, a model, an adapter or a memory is as it was written."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer


def verify(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN|MODEL|MEMORY...", help="Runs, model folders, adapters or memories.")
    ],
) -> None:
    """Read every file of runs, models and memories, and compare it with the hash or checksum that was written with it.

    A line for each says whether it is the same, or without such a hash readable; exit 1 if one is damaged.
    """
    from nmt_rl.errors import RunError, printable
    from nmt_rl.verification import verify

    found = []
    for each in itertools.chain.from_iterable([verify(folder) for folder in folders]):  # First whether all are there.
        typer.echo(printable(f"{each.state:<8}  {each.damage or each.path}"))
        found.append(each)
    if damaged := sum(each.state == "damaged" for each in found):
        raise RunError(f"{damaged} of {len(found)} checks found damage")
