"""nmt-rl export: a model in another engine's format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt_rl.cli.options import named_folder


def export(
    model: Annotated[Path, typer.Argument(help="Model folder: RUN/model, or RUN itself.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            parser=named_folder,
            metavar="FOLDER",
            help="A new folder; default: where translate looks for a conversion.",
        ),
    ] = None,
    format: Annotated[Literal["ctranslate2"], typer.Option(help="The engine's format.")] = "ctranslate2",
    quantization: Annotated[
        Literal["float32", "int8", "int16", "float16"], typer.Option(help="Type of the stored matrices.")
    ] = "float32",
) -> None:
    """Export a Transformer for CTranslate2 itself; translate converts models by itself, once."""
    from nmt_rl.bundle import bundle_folder, read_bundle_config
    from nmt_rl.decoding.conversions import export_ctranslate2

    folder = export_ctranslate2(model, quantization, output)
    size = sum(path.stat().st_size for path in folder.iterdir())
    reward = read_bundle_config(bundle_folder(model))[0].decoding.word_reward
    carried = f", word reward {reward:g}" if reward else ""
    typer.echo(f"{folder}: {quantization}{carried}, {size / 2**20:.1f} MiB, for {format}")
