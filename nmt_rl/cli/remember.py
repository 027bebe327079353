"""nmt-rl remember: pairs of sentences that a model can look up when it translates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt_rl.cli.options import Tag, To, named_folder
from nmt_rl.cli.tag_options import chosen_tag


def remember(
    model: Annotated[Path, typer.Argument(help="Model folder: RUN/model, or RUN itself.")],
    source: Annotated[Path, typer.Option(help="Source text, one sentence per line, compressed or not.")],
    target: Annotated[Path, typer.Option(help="The translation of each line.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", parser=named_folder, metavar="MEMORY", help="The memory's folder.")
    ],
    add: Annotated[bool, typer.Option("--add", help="Add to the memory that stands there.")] = False,
    look_up: Annotated[
        Literal["like", "all"] | None,
        typer.Option(
            help="The 16 pairs with the sources most like the one that is translated (BM25), or the states of all "
            "pairs (FAISS; slower). Default: like."
        ),
    ] = None,
    mixing: Annotated[
        Literal["adaptive", "distance", "constant"] | None,
        typer.Option(
            help="How much memory says: learnt, by the distance of the nearest state, or the same always. "
            "Default: adaptive."
        ),
    ] = None,
    tag: Tag = None,
    to: To = None,
) -> None:
    """Let a model remember pairs of sentences, without training: translate --memory MEMORY then looks them up."""
    from nmt_rl.bundle import bundle_folder, read_bundle_config
    from nmt_rl.corpus.inputs import check_inputs
    from nmt_rl.corpus.lines import must_pair
    from nmt_rl.corpus.sources import read_files
    from nmt_rl.errors import UserError, printable
    from nmt_rl.retrieval.record import must_be_new, must_belong

    if add and look_up is not None:
        raise UserError("--look-up is of a new memory; leave it out with --add, which keeps what the memory has")
    folder = bundle_folder(model)
    layer = read_bundle_config(folder)[0].model.memory
    if layer is not None and (look_up, mixing) != (None, None):
        option = "--look-up" if look_up is not None else "--mixing"
        raise UserError(f"{option} is of models that were not trained to read pairs (model.memory); leave it out")
    must_belong(output, folder) if add else must_be_new(output)
    check_inputs([source, target])
    must_pair(source, target)
    begins = chosen_tag([folder], tag, to)
    import nmt_rl.backend  # noqa: F401 Which loads Keras, quietly; so it comes first.
    from nmt_rl.retrieval.writing import remember as write_memory

    pairs = read_files(source, target)
    made = write_memory(folder, pairs, output, look_up or "like", mixing or "adaptive", add, begins)
    if layer is not None:
        typer.echo(printable(f"{output}: {made.pairs:,} pairs; {made.left_out:,} left out"))
        return
    alone, mixed = made.likelihood["alone"], made.likelihood["mixed"]
    typer.echo(
        printable(
            f"{output}: {made.pairs:,} pairs, {made.pieces:,} states; {made.left_out:,} pairs left out. "
            f"Log-probability per piece of its own pairs, each without itself: {alone:.3f} -> {mixed:.3f} nats"
        )
    )
