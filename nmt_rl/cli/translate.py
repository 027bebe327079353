"""nmt-rl translate: text in, translations out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

from nmt_rl.cli.format_options import FormatOptions
from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.options import Output
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.cli.terminal import is_typed, prompted
from nmt_rl.storage.streams import STANDARD, input_name

if TYPE_CHECKING:
    from nmt_rl.cluster.translation import Work
    from nmt_rl.decoding.formats import Format
    from nmt_rl.decoding.request import Request
    from nmt_rl.decoding.sentences import SentenceTranslator
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.documents.formats import Markup


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
    search: _Options,
) -> None:
    """Translate text, one sentence per line: N lines in, N lines out, in order.

    Options that are not given are the (first) model's own. Only translations go to stdout.
    """
    from nmt_rl.bundle import bundle_folder, must_be_text
    from nmt_rl.corpus.inputs import check_inputs, open_binary
    from nmt_rl.decoding.files import CHUNK, translate_stream
    from nmt_rl.decoding.line_progress import line_progress
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.errors import UserError
    from nmt_rl.storage.outputs import open_output

    folders = [bundle_folder(folder, "-i") for folder in model]
    must_be_text("-i", input)
    must_be_text("--prefix", *([] if prefix is None else [prefix]))
    written = form.written()
    if search.glossary is not None and (markup is not None or written.alignment is not None):
        what = "--markup" if markup is not None else "--alignment"
        raise UserError(f"--glossary writes into the source, whose words {what} goes by; leave out one of them")
    if markup is not None:
        others = {"--prefix": prefix is not None, "--actors": actors is not None, "--stream": stream}
        _refuse_with_markup(form, [option for option, given in others.items() if given])
    request = search.request(folders[:1], form.nbest, prefixes=prefix is not None, scores=form.scores or written.json)
    split = _splitter(folders[0], written, prefix) if split_sentences and markup is None else None
    if actors is not None:
        from nmt_rl.cluster.translation import Work

        others = {"--prefix": prefix is not None, "--split-sentences": split_sentences, "--stream": stream}
        work = Work(tuple(folder.resolve() for folder in folders), request, written, form.input_format == "json")
        _translate_on_cluster(work, input, output, actors, [option for option, given in others.items() if given])
        return
    if markup is not None:
        _translate_markup(folders, request, markup, input, output, split_sentences)
        return
    # The files are opened first: a wrong path must not cost the time of loading the model.
    texts = [input] if prefix is None else [input, prefix]
    check_inputs(texts)
    _must_be_as_long(prefix, input)
    typed = input == STANDARD and is_typed()
    with open_output(output, inputs=texts) as sink, line_progress(input) as progress, open_binary(input) as source:
        translator = Translator.from_folders(folders, request)
        translate_stream(
            translator if split is None else split(translator),
            source,
            prompted(sink) if typed else sink,
            written,
            input_name(input),
            chunk=1 if typed else CHUNK,
            arriving=stream and not typed,
            prefixes=prefix,
            progress=progress,
            is_json=form.input_format == "json",
        )


def _refuse_with_markup(form: FormatOptions, others: list[str]) -> None:
    """Raise a UserError for what is of lines."""
    from nmt_rl.errors import UserError

    if options := [*form.given(), *others]:
        raise UserError(f"--markup translates a document into the same document; leave out {options[0]}")


def _translate_markup(
    folders: list[Path], request: Request, markup: Markup, input: Path, output: Path, split_sentences: bool
) -> None:
    from nmt_rl.bundle import read_bundle_config
    from nmt_rl.corpus.inputs import check_inputs
    from nmt_rl.decoding.sentences import SentenceTranslator, require_splitter
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.documents.translation import documents, translate_document
    from nmt_rl.storage.outputs import open_output

    check_inputs([input])
    if split_sentences:
        require_splitter()
    corpus = read_bundle_config(folders[0])[0].corpus
    languages = (corpus.source_language, corpus.target_language)
    with open_output(output, inputs=[input]) as sink:
        translator = Translator.from_folders(folders, request)
        split = SentenceTranslator(translator, *languages).split if split_sentences else None
        for text in documents(input, markup):
            sink.write(translate_document(translator, text, markup, split).encode("utf-8"))
            sink.flush()


def _translate_on_cluster(work: Work, input: Path, output: Path, actors: int, others: list[str]) -> None:
    """Raises UserError for what does not go with --actors, such as `others` options."""
    from nmt_rl.cluster.translation import delete_parts, translate_on_cluster
    from nmt_rl.corpus.inputs import check_inputs
    from nmt_rl.errors import UserError
    from nmt_rl.storage.outputs import open_output

    if others:
        raise UserError(f"--actors translates parts of a file; leave out {others[0]}")
    if input != STANDARD:
        check_inputs([input])
    if not input.is_file() or output == STANDARD or (output.exists() and not output.is_file()):
        raise UserError("--actors translates a file into a file: give --input and --output")
    parts = output.with_name(f"{output.name}.parts")
    with open_output(output, inputs=[input]) as sink:
        translate_on_cluster(work, input, sink, parts, actors)
    delete_parts(parts)


def _splitter(model: Path, written: Format, prefix: Path | None) -> Callable[[Translator], SentenceTranslator]:
    """What makes a translator one of lines of several sentences; raises UserError for what does not go with that."""
    from nmt_rl.bundle import read_bundle_config
    from nmt_rl.decoding.sentences import SentenceTranslator, require_splitter
    from nmt_rl.errors import UserError

    if any(option is not None for option in (written.nbest, prefix, written.alignment)):
        raise UserError("n-best lists, prefixes and alignments are of single sentences; leave out --split-sentences")
    require_splitter()
    corpus = read_bundle_config(model)[0].corpus
    return lambda translator: SentenceTranslator(translator, corpus.source_language, corpus.target_language)


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
