"""nmt-rl merge: an adapter and its base as one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import named_folder


def merge(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="Model folder that the adapter was trained on.")],
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="RUN/pretrain/adapter or RUN/finetune/adapter.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", parser=named_folder, metavar="FOLDER", help="The new model folder.")
    ],
) -> None:
    """Put an adapter into the weights of its base, as a new model folder."""
    from nmt_rl.bundle.adapters import merge_adapter
    from nmt_rl.errors import printable

    name = merge_adapter(base, adapter, output)
    typer.echo(printable(f"{output} is {base} with {adapter} ({name})"))
