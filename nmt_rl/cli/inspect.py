"""nmt-rl inspect: what a model looks at, as a page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import Tag, To
from nmt_rl.cli.tag_options import chosen_tag

Line = tuple[int, str, str | None]


def inspect(
    model: Annotated[Path, typer.Argument(help="Model folder: RUN/model, or RUN itself.")],
    source: Annotated[Path, typer.Option(help="Source text, one sentence per line; - is stdin.")],
    html: Annotated[Path, typer.Option(help="The page; -: stdout.")],
    reference: Annotated[
        Path | None, typer.Option(help="A translation of each line, which is looked at instead of the model's own.")
    ] = None,
    lines: Annotated[int, typer.Option(min=1, help="So many lines, the first ones with text.")] = 5,
    all_heads: Annotated[
        bool, typer.Option("--all-heads", help="Attention of all heads of all layers, on itself too.")
    ] = False,
    memory: Annotated[Path | None, typer.Option(help="What nmt-rl remember made of the model.")] = None,
    prior: Annotated[
        Path | None,
        typer.Option(help="The model it was fine-tuned from: what the policy has learnt beside it is the advantage."),
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses kept; 1: greedy. Default: the model's.")] = None,
    tag: Tag = None,
    to: To = None,
) -> None:
    """Write a page that shows what a model looks at for a few sentences: attention, memory, alternatives, Q-values."""
    from nmt_rl.bundle import bundle_folder, must_be_text
    from nmt_rl.corpus.inputs import check_inputs
    from nmt_rl.corpus.lines import must_pair
    from nmt_rl.errors import UserError
    from nmt_rl.storage.outputs import open_output

    folder, texts = bundle_folder(model, "--source"), [source, *([] if reference is None else [reference])]
    must_be_text("--source", source)
    must_be_text("--reference", *texts[1:])
    if reference is not None and beam is not None:
        raise UserError("--beam is of a search, and --reference needs none; leave out one of them")
    check_inputs(texts)
    if reference is not None:
        must_pair(source, reference)
    before = None if prior is None else bundle_folder(prior)
    _must_fit(folder, before, memory)
    begins = chosen_tag([folder], tag, to)
    overrides = {} if beam is None else {"beam": beam}
    with open_output(html, "--html", texts) as page:
        import nmt_rl.backend  # noqa: F401 Which loads Keras, quietly; so it comes first.
        from nmt_rl.evaluation.insight_page import render_insights
        from nmt_rl.inspection import Inspector

        inspector = Inspector(folder, memory, before, overrides, begins, all_heads)
        found = inspector.inspect(islice(_with_text(source, reference), lines))
        page.write(render_insights(found).encode("utf-8", "backslashreplace"))


def _must_fit(folder: Path, prior: Path | None, memory: Path | None) -> None:
    """Raise a UserError for what is damaged or of another model."""
    from nmt_rl.bundle import open_members
    from nmt_rl.errors import UserError
    from nmt_rl.retrieval.record import must_belong

    opened = open_members([folder, *([] if prior is None else [prior])], "an advantage")
    if prior is not None and opened[0].config.model.q_heads is not None:
        raise UserError(f"{folder} has Q heads, which say what actions are worth; leave out --prior")
    if memory is not None:
        must_belong(memory, folder)


def _with_text(source: Path, reference: Path | None) -> Iterator[Line]:
    """Numbers of lines that are not blank, the lines, and their references."""
    from nmt_rl.corpus.lines import read_lines
    from nmt_rl.corpus.sources import read_files

    pairs: Iterator[tuple[str, str | None]] = ((line, None) for line in read_lines(source))
    if reference is not None:
        pairs = iter(read_files(source, reference))
    for number, (line, other) in enumerate(pairs, start=1):
        if line.strip():
            yield number, line, other
