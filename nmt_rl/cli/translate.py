"""nmt-rl translate: text in, translations out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import typer

from nmt_rl.cli.format_options import FormatOptions
from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.options import Output
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.cli.tag_options import TagOptions
from nmt_rl.cli.translate_job import TranslateJob, check_options
from nmt_rl.storage.streams import STANDARD


@dataclass(frozen=True)
class _Options(SearchOptions):
    """With no other seed beside it, that of the samples needs no longer name."""

    seed_option: ClassVar[str] = "--seed"
    lists: ClassVar[bool] = True
    sample_seed: Annotated[int | None, typer.Option("--seed", "--sample-seed", min=0, help="Of the samples.")] = None


@with_groups
def translate(
    model: Annotated[list[Path], typer.Argument(help="Model folder: RUN/model, or RUN itself; several: an ensemble.")],
    input: Annotated[
        Path, typer.Option("-i", "--input", help="Text file, compressed or not; default: stdin.")
    ] = STANDARD,
    output: Output = STANDARD,
    prefix: Annotated[
        Path | None, typer.Option(help="Text file: what each translation begins with; blank: anything.")
    ] = None,
    split_sentences: Annotated[
        bool, typer.Option("--split-sentences", help="Split lines into sentences, translate these, join them.")
    ] = False,
    actors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that translate a file, by Ray (nmt-rl[ray]), here or on the cluster of RAY_ADDRESS. What "
            "is done stands in OUTPUT.parts till all is; the same command goes on.",
        ),
    ] = None,
    markup: Annotated[
        Literal["placeholders", "html", "xliff"] | None,
        typer.Option(
            help="What the input is: a page, or XLIFF, of which the text is translated and every tag stays; or lines "
            "whose tags and placeholders (%s, {name}, addresses) stay."
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Translate lines as they arrive, not by chunks of 2,000.")
    ] = False,
    *,
    form: FormatOptions,
    tagging: TagOptions,
    search: _Options,
) -> None:
    """Translate text, one sentence per line: N lines in, N lines out, in order.

    Options that are not given are the (first) model's own. Only translations go to stdout.
    """
    from nmt_rl.bundle import bundle_folder, must_be_text
    from nmt_rl.errors import UserError

    folders = [bundle_folder(folder, "-i") for folder in model]
    must_be_text("-i", input)
    must_be_text("--prefix", *([] if prefix is None else [prefix]))
    written = form.written()
    others = {"--prefix": prefix is not None, "--split-sentences": split_sentences, "--stream": stream}
    told = None if search.force_terms else search.glossary
    check_options(form, told, markup, actors, others)
    tag, through = tagging.of(folders[:1]), tagging.between(folders[:1])
    if through and (markup is not None or form.alignment is not None):
        what = "--alignment" if markup is None else "--markup"
        raise UserError(f"{what} goes by the words of the source, which --through has others between; leave out one")
    scores = form.scores or written.json
    request = search.request(folders[:1], form.nbest, prefix is not None, scores, tag, through)
    job = TranslateJob(folders, request, form, written, input, output)
    if actors is not None:
        job.on_cluster(actors)
    elif markup is not None:
        job.document(markup, split_sentences)
    else:
        job.lines(prefix, split_sentences, stream)
