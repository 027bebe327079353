"""From the sources to RUN/corpus: clean, drop duplicates, train SentencePiece, encode. Everything streams."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt_rl.config import Config, SourceSpec, TokenizerConfig
from nmt_rl.corpus.clean_text import CleanText
from nmt_rl.corpus.cleaning import Pair
from nmt_rl.corpus.encoding import encode
from nmt_rl.corpus.glossary import CLOSE, OPEN, annotated_pairs, read_glossary
from nmt_rl.corpus.languages import bleu_tokenizer
from nmt_rl.corpus.links import check_alignments, write_links
from nmt_rl.corpus.overlap import HeldOut
from nmt_rl.corpus.prepared import (
    FILES,
    TOKENIZERS,
    UNFINISHED,
    Prepared,
    check_settings,
    is_prepared,
    open_prepared,
    read_record,
    read_split,
    settings_of,
    tokenizer_folder,
)
from nmt_rl.corpus.processes import MOST, usable_processors
from nmt_rl.corpus.provenance import changes, record_source, record_sources
from nmt_rl.corpus.sources import count_pairs, hub_split, read_pairs, target_language
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizers, own_tokenizers, train_tokenizers
from nmt_rl.corpus.words import is_unspaced, word_splitter
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import folder_hashes, write_hashes
from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.unfinished import begin, delete
from nmt_rl.storage.writing import write_json, written_file, written_folder

log = logging.getLogger("nmt_rl")

CHUNK = 5000
"""Pairs that are decoded together."""


def prepare(
    config: Config,
    run: Path,
    fresh: bool = False,
    replaceable: Callable[[Path], None] | None = None,
    processes: int | None = None,
) -> Prepared:
    """Prepare the corpus of a run, or open what was prepared before; sets that no model is chosen by may change.

    Writes RUN/corpus (train/, valid.source, valid.target, test.source, test.target, tokenizer.model, cleaning.json,
    prepared.json), which appears when everything is done. What is done by then stands in RUN/preparing, from which a
    preparation of the same text goes on.

    Args:
        config: the experiment.
        run: the run's directory.
        fresh: prepare anew, even if it was done.
        replaceable: raises if the folder that stands at RUN/corpus must stay, just before it is replaced; None: if
            nmt-rl did not make it, or it holds something else.
        processes: that clean and encode; the result is the same. None: one for each processor, at most `MOST`.

    Raises:
        UserError: if a source is wrong, if nothing is left of the training text, if the target language's words need a
            package that is not installed, or if the run was prepared with other settings.
        RunError: if one of the processes was killed.
    """
    folder, work = run / "corpus", run / "preparing"
    if not fresh and is_prepared(run):
        log.info("the corpus is prepared already (%s)", folder)
        _update_held_out(config, run)
        return open_prepared(config, run)
    if folder.exists():
        must_be_ours(folder, FILES, "be replaced")
    if fresh:
        delete(work, UNFINISHED)
    with written_folder(folder, replaceable or (lambda old: must_be_ours(old, FILES, "be replaced"))) as made:
        mark(made, "corpus")
        _prepare_into(made, work, config, processes or min(MOST, usable_processors()))
    delete(work, UNFINISHED)
    return open_prepared(config, run)


def _prepare_into(folder: Path, work: Path, config: Config, processes: int) -> None:
    sources, own = record_sources(config.corpus), own_tokenizers(config.tokenizer)
    if config.corpus.terms is not None:
        read_glossary(Path(config.corpus.terms.file))
        if own is not None and OPEN not in own.source.pieces(own.source.encode([OPEN])[0]):
            raise UserError(
                f"corpus.terms needs a tokenizer with the pieces {OPEN} and {CLOSE}, which tokenizer.model lacks"
            )
    check_alignments(config)
    for spec in config.corpus.held_out.values():  # What every validation needs is found missing now.
        word_splitter(bleu_tokenizer(target_language(spec, config.corpus)))
    hashes = {split: _copy_split(folder, split, spec, config) for split, spec in config.corpus.held_out.items()}
    splits = {split: read_split(folder, split)[0] for split in hashes}
    _warn_if_unspaced([target for _, target in splits["valid"]], target_language(config.corpus.valid[0], config.corpus))
    settings = settings_of(config)
    record = {"settings": settings, "train": [{**each, "folder": ""} for each in sources["train"]]}
    if begin(work, "preparing", UNFINISHED, record):
        log.info("going on with what was prepared in %s", work)
    try:
        text = _clean_text(work / "text", config, HeldOut(splits), processes)
        tokenizers, cleaned = own or _trained_tokenizers(work, text, config), text.report.kept
        tokenizers.save(folder)
        longest = config.pretrain.batch.max_length
        hashes["train"] = encode(text, folder, longest, folder / "train", processes)
        if not text.report.kept:
            raise UserError(
                f"every training pair is longer than pretrain.batch.max_length {longest}; {text.report.summary()}"
            )
        if config.pretrain.guided_alignment is not None:
            write_links(folder / "train", config, text, tokenizers)
    except UserError:
        # Other settings are needed, or another text; unless reading broke off, such as that of a hub set.
        if CleanText(work / "text").is_finished or not any(work.glob("text/*.json")):
            delete(work, UNFINISHED)
        raise
    text.report.warn_if_most_went(cleaned)
    write_json(folder / "cleaning.json", text.report.to_json())
    write_json(folder / "prepared.json", {"settings": settings, "sources": sources, "hashes": hashes})
    bound = ("train/", "valid.", "tokenizer.", "cleaning.json")
    write_hashes(folder, [name for name in folder_hashes(folder) if name.startswith(bound)])


def _clean_text(folder: Path, config: Config, held_out: HeldOut, processes: int) -> CleanText:
    """The training text, cleaned and compared with what is held out; UserError if nothing is left of it."""
    corpus, text = config.corpus, CleanText(folder)
    counts = [count_pairs(spec, corpus) for spec in corpus.train]
    raw = [_training_pairs(spec, config) for spec in corpus.train]
    text.write(raw, corpus.cleaning, processes, None if None in counts else sum(filter(None, counts)))
    text.mark_duplicates(held_out, corpus.cleaning.drop_duplicates)
    if not text.report.read:
        raise UserError(_empty("train", *corpus.train))
    if not text.report.kept:
        left = f"no training pair is left of {text.report.read:,} after cleaning"
        raise UserError(f"{left} ({text.report.reasons()}); see corpus.cleaning")
    text.report.warn_if_most_went(text.report.read)
    held_out.warn()
    return text


def _warn_if_unspaced(lines: list[str], language: str) -> None:
    """BLEU, and with it the reward of fine-tuning, would be blind: say so on stderr."""
    if bleu_tokenizer(language) == "13a" and is_unspaced(lines):
        text = "corpus.valid has no blanks between words, but BLEU looks for them in corpus.target_language %s;"
        log.warning(f"{text} give its code, such as zh, ja or th", language)


def _trained_tokenizers(work: Path, text: CleanText, config: Config) -> Tokenizers:
    """Those that were trained before, or trained now."""
    if not any((work / name).exists() for name in TOKENIZERS):
        log.info("training SentencePiece on %d pairs", text.report.kept)
        with text.report.told():
            trained = train_tokenizers(
                lambda: (source for source, _ in text.read()),
                lambda: (target for _, target in text.read()),
                text.report.kept,
                _with_tags(config),
                config.seed,
            )
        trained.save(work)
    return Tokenizers.load(work)


def _with_tags(config: Config) -> TokenizerConfig:
    """The tokenizer's settings, in which tags are symbols."""
    symbols = config.tokenizer.user_symbols
    marks = (OPEN, CLOSE) if config.corpus.terms is not None else ()
    new = tuple(tag for tag in (*config.corpus.tags, *marks) if tag not in symbols)
    return config.tokenizer.model_copy(update={"user_symbols": (*symbols, *new)})


def _update_held_out(config: Config, run: Path) -> None:
    """Copy test and further validation sets that are others than before: no model is chosen by them."""
    folder = run / "corpus"
    record = read_record(folder)
    check_settings(config, run, record)
    others = {c.split for c in changes(record["sources"], config.corpus) if c.kind != "gone"} - {"valid"}
    new = {split: spec for split, spec in config.corpus.held_out.items() if split in others}
    for split, spec in new.items():
        record["hashes"][split] = _copy_split(folder, split, spec, config)
        record["sources"][split] = [record_source(spec, config.corpus, split)]
        write_json(folder / "prepared.json", record)
        log.info("corpus.%s is another one than before: its text is in %s now", split, folder)
    if new:
        held_out = HeldOut({split: read_split(folder, split)[0] for split in new})
        for _ in held_out.watched(_decoded(folder / "train", Tokenizers.load(tokenizer_folder(run)))):
            pass
        held_out.warn()


def _decoded(folder: Path, tokenizers: Tokenizers) -> Iterator[Pair]:
    """The text of encoded training pairs."""
    corpus = EncodedCorpus.open(folder)
    for start in range(0, len(corpus), CHUNK):
        rows = range(start, min(start + CHUNK, len(corpus)))
        source = tokenizers.source.decode(corpus.source(i) for i in rows)
        yield from zip(source, tokenizers.target.decode(corpus.target(i) for i in rows), strict=True)
        corpus.release()


def _training_pairs(spec: SourceSpec, config: Config) -> Iterator[Pair]:
    """Of one source; that it is empty is told where it is not the only one, which is an error."""
    pairs, terms = read_pairs(spec, config.corpus), config.corpus.terms
    if terms is not None:
        pairs = annotated_pairs(pairs, read_glossary(Path(terms.file)), terms.share, config.seed)
    first = next(pairs, None)
    if first is not None:
        yield first
        yield from pairs
    elif len(config.corpus.train) > 1:
        log.warning("%s", _empty("train", spec))


def _copy_split(folder: Path, split: str, spec: SourceSpec, config: Config) -> str:
    """Copy validation or test text as it is; its SHA-256."""
    count = 0
    files = (written_file(folder / f"{split}.{side}") for side in ("source", "target"))
    with next(files) as source_file, next(files) as target_file:
        for source, target in read_pairs(spec, config.corpus, hub_split(split)):
            source_file.write(source.encode() + b"\n")
            target_file.write(target.encode() + b"\n")
            count += 1
        if not count:
            raise UserError(_empty(split, spec))
    return read_split(folder, split)[1]


def _empty(split: str, *specs: SourceSpec) -> str:
    return f"corpus.{split} has no sentence pairs: there is no line in {', '.join(spec.origin for spec in specs)}"
