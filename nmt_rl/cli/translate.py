"""nmt-rl translate: text in, translations out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nmt_rl.cli.options import AlignmentKind, LengthNormalization, LengthPenalty, Precision

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig


def translate(
    ctx: typer.Context,
    model: Annotated[list[Path], typer.Argument(help="Model folder: RUN/model, or RUN itself; several: an ensemble.")],
    input: Annotated[Path | None, typer.Option("-i", "--input", help="Text file (.gz, .xz); default: stdin.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Text file; default: stdout.")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses kept; 1 is greedy.")] = None,
    nbest: Annotated[int | None, typer.Option(min=1, help="Write N lines 'index ||| text ||| score' per line.")] = None,
    length_penalty: LengthPenalty = None,
    length_normalization: LengthNormalization = None,
    coverage_penalty: Annotated[
        float | None, typer.Option(min=0.0, help="Prefers translations that look at all of the source; 0: none.")
    ] = None,
    diverse_groups: Annotated[
        int | None, typer.Option(min=1, help="Divide the beam into groups that avoid each other's words.")
    ] = None,
    diversity: Annotated[float | None, typer.Option(min=0.0, help="How much they avoid them, nats.")] = None,
    stopping: Annotated[
        Literal["early", "exact"] | None,
        typer.Option(help="End when the beam is full of finished translations, or when none can be better (slower)."),
    ] = None,
    no_repeat_ngram: Annotated[
        int | None, typer.Option(min=0, help="No N-gram of pieces twice in a translation; 0: allowed.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(min=1.0, help="Makes pieces that were said before less likely; 1: none.")
    ] = None,
    ban: Annotated[
        list[str] | None,
        typer.Option(metavar="PHRASE", help="What no translation may say, cut as text is; repeatable."),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=0, help="Draw so many translations; 0: search.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.01, help="Of samples; small: near the best.")] = None,
    top_k: Annotated[int | None, typer.Option(min=0, help="Samples take one of the K most probable pieces.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0.01, max=1.0, help="Samples take one of the nucleus P.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the samples.")] = None,
    mbr: Annotated[
        Literal["bleu", "chrf", "none"] | None,
        typer.Option(help="Of the hypotheses or samples take the one most alike to all (minimum Bayes risk)."),
    ] = None,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Write pieces, divided by blanks, instead of text; for score --pieces.")
    ] = False,
    alignment: AlignmentKind = None,
    prefix: Annotated[
        Path | None, typer.Option(help="Text file: what each translation begins with; blank: anything.")
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Source pieces per batch, times beam or samples.")
    ] = None,
    max_length_ratio: Annotated[
        float | None, typer.Option(min=0.01, help="Longest translation, pieces: so many times the source's,")
    ] = None,
    max_length_extra: Annotated[int | None, typer.Option(min=1, help="plus so many.")] = None,
    max_source_length: Annotated[
        int | None, typer.Option(min=4, help="Pieces after which a source is cut, with a warning.")
    ] = None,
    engine: Annotated[
        Literal["keras", "ctranslate2"], typer.Option(help="What computes; ctranslate2 after nmt-rl export.")
    ] = "keras",
    precision: Precision = None,
    split_sentences: Annotated[
        bool, typer.Option("--split-sentences", help="Split lines into sentences, translate these, join them.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Translate lines as they arrive, not by chunks of 2,000.")
    ] = False,
) -> None:
    """Translate text, one sentence per line: N lines in, N lines out, in order.

    Options that are not given are the (first) model's own. Only translations go to stdout.
    """
    from nmt_rl.bundle import bundle_folder, read_bundle_config
    from nmt_rl.config import DecodingConfig
    from nmt_rl.decoding.files import open_input, open_output, translate_stream
    from nmt_rl.decoding.line_progress import line_progress
    from nmt_rl.decoding.sentences import SentenceTranslator
    from nmt_rl.decoding.translator import Translator, override

    # Options named like keys of the decoding section override them.
    given = {key: ctx.params.get(key) for key in DecodingConfig.model_fields}
    overrides = {key: None if value == "none" else value for key, value in given.items() if value is not None}
    folders = [bundle_folder(folder) for folder in model]
    config = read_bundle_config(folders[0])[0]
    settings = override(config.decoding, overrides)
    _refuse_what_does_nothing(overrides, settings, nbest)
    _refuse_what_does_not_go_together(ctx.params, settings)
    # The files are opened first: a wrong path must not cost the time of loading the model.
    with open_input(input) as source, open_output(output) as sink, line_progress(input) as progress:
        translator = Translator.from_folders(folders, overrides, ban or (), engine, precision or "float32")
        name = str(input) if input else None
        languages = (config.corpus.source_language, config.corpus.target_language)
        by_sentence = SentenceTranslator(translator, *languages) if split_sentences else translator
        options: dict[str, Any] = {"arriving": stream, "prefixes": prefix, "progress": progress, "pieces": pieces}
        if alignment is not None and translator.model is not None:
            from nmt_rl.decoding.scorer import Scorer

            scorer = Scorer(translator.model, translator.tokenizers, translator.config)
            options["align"] = lambda *texts: [each.text(alignment) for each in scorer.alignments(*texts)]
        translate_stream(by_sentence, source, sink, nbest, name, **options)


def _refuse_what_does_not_go_together(options: Mapping[str, Any], settings: DecodingConfig) -> None:
    """Raise a UserError for options, by their names, that exclude each other, and for a prefix that is no file."""
    from nmt_rl.errors import UserError

    nbest, prefix, alignment = (options[name] for name in ("nbest", "prefix", "alignment"))
    if nbest is not None and nbest > settings.hypotheses:
        raise UserError(f"--nbest {nbest} needs --beam {nbest} or more, or --samples, found {settings.hypotheses}")
    if prefix is not None and not prefix.is_file():
        raise UserError(f"--prefix {prefix} is not a file")
    if options["engine"] == "ctranslate2":
        if options["precision"] is not None:
            raise UserError("--precision is for --engine keras; that of CTranslate2 is nmt-rl export's --quantization")
        if alignment is not None:
            raise UserError("--alignment needs --engine keras")
    if options["split_sentences"] and any(option is not None for option in (nbest, prefix, alignment)):
        raise UserError("n-best lists, prefixes and alignments are of single sentences; leave out --split-sentences")


def _refuse_what_does_nothing(given: Mapping[str, Any], settings: DecodingConfig, nbest: int | None) -> None:
    """Raise a UserError for an option that has no effect with the others."""
    from nmt_rl.errors import UserError

    def refuse(keys: tuple[str, ...], why: str) -> None:
        for key in keys:
            if key in given:
                raise UserError(f"--{key.replace('_', '-')} {why}")

    if settings.samples:
        refuse(("beam", "stopping", "coverage_penalty", "diverse_groups"), "is of a search; --samples 0 searches")
        if given.get("samples", 0) > 1 and nbest is None and settings.mbr is None:
            raise UserError(f"--samples {settings.samples} needs --nbest or --mbr: without, only the first is printed")
    else:
        refuse(("temperature", "top_k", "top_p", "seed"), "is of samples; give --samples N, too")
    if settings.diverse_groups == 1:
        refuse(("diversity",), "is of several groups; give --diverse-groups N, too")
    if settings.beam == 1:
        refuse(("stopping",), "is of a beam; give --beam N, too")
        if settings.coverage_penalty:
            refuse(("coverage_penalty",), "is of a beam; give --beam N, too")
    if settings.hypotheses == 1 or settings.samples:
        penalty = ("length_penalty", "length_normalization")
        if nbest is None:
            refuse(penalty, "chooses among a beam, and is in the scores of --nbest; give --beam N or --nbest N, too")
        if settings.mbr is not None:
            refuse(penalty, "is not in the utilities of --mbr")
