"""nmt-rl translate: text in, translations out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.options import AlignmentKind, Output
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.cli.terminal import is_typed, prompted
from nmt_rl.storage.streams import STANDARD, input_name

if TYPE_CHECKING:
    from nmt_rl.decoding.formats import Format


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
    nbest: Annotated[int | None, typer.Option(min=1, help="Write N lines 'index ||| text ||| score' per line.")] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Write 'text TAB score TAB confidence' per line; confidence is in [0, 1].")
    ] = False,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Write pieces, divided by blanks, instead of text; for score --pieces.")
    ] = False,
    alignment: AlignmentKind = None,
    format: Annotated[
        Literal["text", "json"],
        typer.Option(help="Of the output; json: an object with text, score, confidence and what else is asked for."),
    ] = "text",
    input_format: Annotated[
        Literal["text", "json"],
        typer.Option(help='Of the input; json: a string or {"text": ...} per line, other keys are given back.'),
    ] = "text",
    prefix: Annotated[
        Path | None, typer.Option(help="Text file: what each translation begins with; blank: anything.")
    ] = None,
    split_sentences: Annotated[
        bool, typer.Option("--split-sentences", help="Split lines into sentences, translate these, join them.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Translate lines as they arrive, not by chunks of 2,000.")
    ] = False,
    *,
    search: _Options,
) -> None:
    """Translate text, one sentence per line: N lines in, N lines out, in order.

    Options that are not given are the (first) model's own. Only translations go to stdout.
    """
    from nmt_rl.bundle import bundle_folder, must_be_text, read_bundle_config
    from nmt_rl.corpus.inputs import check_inputs, open_binary
    from nmt_rl.decoding.files import CHUNK, translate_stream
    from nmt_rl.decoding.formats import Format
    from nmt_rl.decoding.line_progress import line_progress
    from nmt_rl.decoding.sentences import SentenceTranslator, require_splitter
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.storage.outputs import open_output

    folders = [bundle_folder(folder, "-i") for folder in model]
    must_be_text("-i", input)
    must_be_text("--prefix", *([] if prefix is None else [prefix]))
    written = Format(nbest, pieces, scores, alignment, format == "json")
    request = search.request(folders[:1], nbest, prefixes=prefix is not None, scores=scores or written.json)
    _refuse_what_does_not_go_together(written, prefix, split_sentences)
    languages = ("", "")
    if split_sentences:
        corpus = read_bundle_config(folders[0])[0].corpus
        languages = (corpus.source_language, corpus.target_language)
        require_splitter()
    # The files are opened first: a wrong path must not cost the time of loading the model.
    texts = [input] if prefix is None else [input, prefix]
    check_inputs(texts)
    _must_be_as_long(prefix, input)
    typed = input == STANDARD and is_typed()
    with open_output(output, inputs=texts) as sink, line_progress(input) as progress:
        sink = prompted(sink) if typed else sink
        with open_binary(input) as source:
            translator = Translator.from_folders(folders, request)
            by_sentence = SentenceTranslator(translator, *languages) if split_sentences else translator
            translate_stream(
                by_sentence,
                source,
                sink,
                written,
                input_name(input),
                chunk=1 if typed else CHUNK,
                arriving=stream and not typed,
                prefixes=prefix,
                progress=progress,
                is_json=input_format == "json",
            )


def _refuse_what_does_not_go_together(written: Format, prefix: Path | None, split_sentences: bool) -> None:
    from nmt_rl.errors import UserError

    if split_sentences and any(option is not None for option in (written.nbest, prefix, written.alignment)):
        raise UserError("n-best lists, prefixes and alignments are of single sentences; leave out --split-sentences")
    if written.scores and (written.json or written.nbest is not None):
        raise UserError(f"--scores is in {'JSON' if written.json else 'n-best lists'} already; leave it out")


def _must_be_as_long(prefix: Path | None, input: Path) -> None:
    """Raise a UserError if there are fewer prefixes than lines, as far as both are files."""
    from nmt_rl.corpus.lines import count_lines
    from nmt_rl.errors import UserError

    if prefix is None or not (prefix.is_file() and input.is_file()):
        return
    if (given := count_lines(prefix)) < (lines := count_lines(input)):
        names = input_name(prefix), input_name(input)
        count = f"{given:,} line{'s' if given != 1 else ''}"
        raise UserError(f"{names[0]} has {count}, but {names[1]} has {lines:,}; they must agree")
