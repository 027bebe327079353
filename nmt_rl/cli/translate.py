"""nmt-rl translate: text in, translations out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.options import AlignmentKind, Output
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.storage.streams import STANDARD, input_name


@dataclass(frozen=True)
class _Options(SearchOptions):
    """With no other seed beside it, that of the samples needs no longer name."""

    seed_option: ClassVar[str] = "--seed"
    sample_seed: Annotated[int | None, typer.Option("--seed", "--sample-seed", min=0, help="Of the samples.")] = None


@with_groups
def translate(
    model: Annotated[list[Path], typer.Argument(help="Model folder: RUN/model, or RUN itself; several: an ensemble.")],
    input: Annotated[
        Path, typer.Option("-i", "--input", help="Text file, compressed or not; default: stdin.")
    ] = STANDARD,
    output: Output = STANDARD,
    nbest: Annotated[int | None, typer.Option(min=1, help="Write N lines 'index ||| text ||| score' per line.")] = None,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Write pieces, divided by blanks, instead of text; for score --pieces.")
    ] = False,
    alignment: AlignmentKind = None,
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
    from nmt_rl.decoding.files import translate_stream
    from nmt_rl.decoding.line_progress import line_progress
    from nmt_rl.decoding.sentences import SentenceTranslator, require_splitter
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.errors import UserError
    from nmt_rl.storage.outputs import open_output

    folders = [bundle_folder(folder, "-i") for folder in model]
    must_be_text("-i", input)
    must_be_text("--prefix", *([] if prefix is None else [prefix]))
    request = search.request(folders[:1], nbest, prefixes=prefix is not None)
    if split_sentences and any(option is not None for option in (nbest, prefix, alignment)):
        raise UserError("n-best lists, prefixes and alignments are of single sentences; leave out --split-sentences")
    if split_sentences:
        corpus = read_bundle_config(folders[0])[0].corpus
        languages = (corpus.source_language, corpus.target_language)
        require_splitter()
    # The files are opened first: a wrong path must not cost the time of loading the model.
    check_inputs([input] if prefix is None else [input, prefix])
    with open_output(output) as sink, line_progress(input) as progress, open_binary(input) as source:
        translator = Translator.from_folders(folders, request)
        by_sentence = SentenceTranslator(translator, *languages) if split_sentences else translator
        options: dict[str, Any] = {"arriving": stream, "prefixes": prefix, "progress": progress, "pieces": pieces}
        if alignment is not None:
            options["align"] = lambda *texts: [each.text(alignment) for each in translator.alignments(*texts)]
        translate_stream(by_sentence, source, sink, nbest, input_name(input), **options)
