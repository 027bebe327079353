"""nmt-rl choose: one of given answers or labels for every line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import Output, Precision, Tag, To
from nmt_rl.cli.tag_options import chosen_tag
from nmt_rl.storage.streams import STANDARD


def choose(
    model: Annotated[list[Path], typer.Argument(help="Model folder: RUN/model, or RUN itself; several: an ensemble.")],
    choices: Annotated[Path, typer.Option(help="Text file, every line of which is a choice, such as a label.")],
    input: Annotated[Path, typer.Option("-i", "--input", help="Text, one source per line; default: stdin.")] = STANDARD,
    scores: Annotated[
        bool, typer.Option("--scores", help="Write 'choice TAB log-probability TAB share among the choices'.")
    ] = False,
    tag: Tag = None,
    to: To = None,
    precision: Precision = None,
    output: Output = STANDARD,
) -> None:
    """Choose the most probable of some lines for every source, such as a label that is always a valid one."""
    from nmt_rl.bundle import bundle_folder, load_ensemble, must_be_text, open_members
    from nmt_rl.corpus.inputs import check_inputs
    from nmt_rl.corpus.lines import read_lines
    from nmt_rl.decoding.choosing import choose, read_choices
    from nmt_rl.decoding.marks import Marks
    from nmt_rl.storage.outputs import open_output

    folders = [bundle_folder(folder, "-i or --choices") for folder in model]
    must_be_text("-i", input)
    must_be_text("--choices", choices)
    check_inputs([choices, input])
    known = read_choices(choices)
    opened = open_members(folders, "an ensemble")
    marks = Marks(chosen_tag(folders[:1], tag, to))
    with open_output(output, inputs=[input, choices]) as sink:
        bundle = load_ensemble(folders, precision or "float32")  # Which loads Keras, quietly; so it comes first.
        from nmt_rl.decoding.scorer import Scorer

        scorer = Scorer(bundle.model, bundle.tokenizers, opened[0].config.decoding, marks)
        for found in choose(scorer, read_lines(input), known):
            more = f"\t{found.log_prob:.4f}\t{found.share:.4f}" if scores else ""
            sink.write(f"{found.text}{more}\n".encode())
