"""What `translate` does with its options: lines, a document, or parts of a file on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_rl.cli.format_options import FormatOptions
from nmt_rl.cli.terminal import is_typed, prompted
from nmt_rl.errors import UserError
from nmt_rl.storage.streams import STANDARD, input_name

if TYPE_CHECKING:
    from nmt_rl.decoding.formats import Format
    from nmt_rl.decoding.request import Request
    from nmt_rl.decoding.sentences import SentenceTranslator
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.documents.formats import Markup


@dataclass(frozen=True)
class TranslateJob:
    """A command with its model folders and files."""

    folders: list[Path]
    request: Request
    form: FormatOptions
    written: Format
    input: Path
    output: Path

    def lines(self, prefix: Path | None, split_sentences: bool, stream: bool) -> None:
        """Translate line by line."""
        from nmt_rl.corpus.inputs import check_inputs, open_binary
        from nmt_rl.decoding.files import CHUNK, translate_stream
        from nmt_rl.decoding.line_progress import line_progress
        from nmt_rl.decoding.translator import Translator
        from nmt_rl.storage.outputs import open_output

        split = self._splitter(prefix) if split_sentences else None
        # The files are opened first: a wrong path must not cost the time of loading the model.
        texts = [self.input] if prefix is None else [self.input, prefix]
        check_inputs(texts)
        _must_be_as_long(prefix, self.input)
        typed = self.input == STANDARD and is_typed()
        with (
            open_output(self.output, inputs=texts) as sink,
            line_progress(self.input) as progress,
            open_binary(self.input) as source,
        ):
            translator = Translator.from_folders(self.folders, self.request)
            translate_stream(
                translator if split is None else split(translator),
                source,
                prompted(sink) if typed else sink,
                self.written,
                input_name(self.input),
                chunk=1 if typed else CHUNK,
                arriving=stream and not typed,
                prefixes=prefix,
                progress=progress,
                is_json=self.form.input_format == "json",
            )

    def document(self, markup: Markup, split_sentences: bool) -> None:
        """Translate a document into the same document."""
        from nmt_rl.corpus.inputs import check_inputs
        from nmt_rl.decoding.sentences import SentenceTranslator, require_splitter
        from nmt_rl.decoding.translator import Translator
        from nmt_rl.documents.translation import documents, translate_document
        from nmt_rl.storage.outputs import open_output

        check_inputs([self.input])
        if split_sentences:
            require_splitter()
        with open_output(self.output, inputs=[self.input]) as sink:
            translator = Translator.from_folders(self.folders, self.request)
            split = SentenceTranslator(translator, *self._languages()).split if split_sentences else None
            for text in documents(self.input, markup):
                sink.write(translate_document(translator, text, markup, split).encode("utf-8"))
                sink.flush()

    def on_cluster(self, actors: int) -> None:
        """Have processes of Ray translate the file in parts."""
        from nmt_rl.cluster.translation import Work, delete_parts, translate_on_cluster
        from nmt_rl.corpus.inputs import check_inputs
        from nmt_rl.storage.outputs import open_output

        if self.input != STANDARD:
            check_inputs([self.input])
        if not self.input.is_file() or self.output == STANDARD or (self.output.exists() and not self.output.is_file()):
            raise UserError("--actors translates a file into a file: give --input and --output")
        parts = self.output.with_name(f"{self.output.name}.parts")
        is_json = self.form.input_format == "json"
        work = Work(tuple(folder.resolve() for folder in self.folders), self.request, self.written, is_json)
        with open_output(self.output, inputs=[self.input]) as sink:
            translate_on_cluster(work, self.input, sink, parts, actors)
        delete_parts(parts)

    def _splitter(self, prefix: Path | None) -> Callable[[Translator], SentenceTranslator]:
        """What makes a translator one of lines of several sentences; raises UserError for what does not go with it."""
        from nmt_rl.decoding.sentences import SentenceTranslator, require_splitter

        if any(option is not None for option in (self.written.nbest, prefix, self.written.alignment)):
            raise UserError(
                "n-best lists, prefixes and alignments are of single sentences; leave out --split-sentences"
            )
        require_splitter()
        languages = self._languages()
        return lambda translator: SentenceTranslator(translator, *languages)

    def _languages(self) -> tuple[str, str]:
        from nmt_rl.bundle import read_bundle_config

        corpus = read_bundle_config(self.folders[0])[0].corpus
        return corpus.source_language, self.request.target_language(corpus.target_language)


def check_options(
    form: FormatOptions, glossary: Path | None, markup: Markup | None, actors: int | None, others: Mapping[str, bool]
) -> None:
    """Raise a UserError for options that exclude each other.

    Args:
        form: of the output.
        glossary: whose translations are written into sources.
        markup, actors: as given.
        others: options of lines, and whether they were given.
    """
    given = [option for option, is_given in others.items() if is_given]
    if glossary is not None and (markup is not None or form.alignment is not None):
        what = "--markup" if markup is not None else "--alignment"
        raise UserError(f"--glossary writes into the source, whose words {what} goes by; leave out one of them")
    if markup is not None:
        of_lines = [*form.given(), *(option for option in given if option != "--split-sentences")]
        if options := [*of_lines, *(["--actors"] if actors is not None else [])]:
            raise UserError(f"--markup translates a document into the same document; leave out {options[0]}")
    elif actors is not None and given:
        raise UserError(f"--actors translates parts of a file; leave out {given[0]}")


def _must_be_as_long(prefix: Path | None, input: Path) -> None:
    """Raise a UserError if there are fewer prefixes than lines, as far as both are files."""
    from nmt_rl.corpus.lines import count_lines

    if prefix is None or not (prefix.is_file() and input.is_file()):
        return
    if (given := count_lines(prefix)) < (lines := count_lines(input)):
        names = input_name(prefix), input_name(input)
        count = f"{given:,} line{'s' if given != 1 else ''}"
        raise UserError(f"{names[0]} has {count}, but {names[1]} has {lines:,}; they must agree")
