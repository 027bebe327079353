"""From the sources to RUN/corpus: clean, drop duplicates, train SentencePiece, encode. Everything streams."""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import Config, SourceSpec
from nmt_rl.corpus.cleaning import DUPLICATE, TOO_MANY_PIECES, CleaningReport, DuplicateFinder, Pair, clean_pairs
from nmt_rl.corpus.languages import bleu_tokenizer
from nmt_rl.corpus.lines import read_own_lines
from nmt_rl.corpus.overlap import HeldOut
from nmt_rl.corpus.prepared import (
    FILES,
    Prepared,
    check_settings,
    is_prepared,
    open_prepared,
    read_record,
    read_split,
    settings_of,
    tokenizer_folder,
)
from nmt_rl.corpus.provenance import changes, record_source, record_sources
from nmt_rl.corpus.sources import hub_split, read_pairs
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizers, own_tokenizers, train_tokenizers
from nmt_rl.corpus.words import is_unspaced, word_splitter
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import folder_hashes, write_hashes
from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.writing import write_json, written_file, written_folder

log = logging.getLogger("nmt_rl")

CHUNK = 5000
"""Pairs that are encoded together."""
PROGRESS = 500_000
"""Pairs between two progress messages."""


def prepare(
    config: Config, run: Path, fresh: bool = False, replaceable: Callable[[Path], None] | None = None
) -> Prepared:
    """Prepare the corpus of a run, or open what was prepared before; sets that no model is chosen by may change.

    Writes RUN/corpus (train/, valid.source, valid.target, test.source, test.target, tokenizer.model, cleaning.json,
    prepared.json), which appears when everything is done; a half-finished preparation starts over.

    Args:
        config: the experiment.
        run: the run's directory.
        fresh: prepare anew, even if it was done.
        replaceable: raises if the folder that stands at RUN/corpus must stay, just before it is replaced; None: if
            nmt-rl did not make it, or it holds something else.

    Raises:
        UserError: if a source is wrong, if nothing is left of the training text, if the target language's words need a
            package that is not installed, or if the run was prepared with other settings.
    """
    folder = run / "corpus"
    if not fresh and is_prepared(run):
        log.info("the corpus is prepared already (%s)", folder)
        _update_held_out(config, run)
        return open_prepared(config, run)
    if folder.exists():
        must_be_ours(folder, FILES, "be replaced")
    with written_folder(folder, replaceable or (lambda old: must_be_ours(old, FILES, "be replaced"))) as made:
        mark(made, "corpus")
        _prepare_into(made, config)
    return open_prepared(config, run)


def _prepare_into(folder: Path, config: Config) -> None:
    sources, own = record_sources(config.corpus), own_tokenizers(config.tokenizer)
    word_splitter(bleu_tokenizer(config.corpus.target_language))  # What every validation needs is found missing now.
    hashes = {split: _copy_split(folder, split, spec, config) for split, spec in config.corpus.held_out.items()}
    splits = {split: read_split(folder, split)[0] for split in hashes}
    _warn_if_unspaced([target for _, target in splits["valid"]], config.corpus.target_language)
    text, held_out = _CleanText(folder / "text"), HeldOut(splits)
    report = text.write(config, held_out)
    if not report.read:
        raise UserError(_empty("train", *config.corpus.train))
    if not report.kept:
        left = f"no training pair is left of {report.read:,} after cleaning"
        raise UserError(f"{left} ({report.reasons()}); see corpus.cleaning")
    report.warn_if_most_went(report.read)
    held_out.warn()
    cleaned = report.kept
    tokenizers = own or _trained_tokenizers(text, report, config)
    tokenizers.save(folder)
    hashes["train"] = _encode(text.read(), tokenizers, config.pretrain.batch.max_length, folder / "train", report)
    if not report.kept:
        longest = config.pretrain.batch.max_length
        raise UserError(f"every training pair is longer than pretrain.batch.max_length {longest}; {report.summary()}")
    report.warn_if_most_went(cleaned)
    shutil.rmtree(text.folder)
    write_json(folder / "cleaning.json", report.to_json())
    write_json(folder / "prepared.json", {"settings": settings_of(config), "sources": sources, "hashes": hashes})
    bound = ("train/", "valid.", "tokenizer.", "cleaning.json")
    write_hashes(folder, [name for name in folder_hashes(folder) if name.startswith(bound)])


def _warn_if_unspaced(lines: list[str], language: str) -> None:
    """BLEU, and with it the reward of fine-tuning, would be blind: say so on stderr."""
    if bleu_tokenizer(language) == "13a" and is_unspaced(lines):
        text = "corpus.valid has no blanks between words, but BLEU looks for them in corpus.target_language %s;"
        log.warning(f"{text} give its code, such as zh, ja or th", language)


def _trained_tokenizers(text: _CleanText, report: CleaningReport, config: Config) -> Tokenizers:
    log.info("training SentencePiece on %d pairs", report.kept)
    with report.told():
        return train_tokenizers(
            lambda: (source for source, _ in text.read()),
            lambda: (target for _, target in text.read()),
            report.kept,
            config.tokenizer,
            config.seed,
        )


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


class _CleanText:
    """The cleaned training text on disk, and marks of the pairs that occurred before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._first: NDArray[np.bool_] | None = None

    def write(self, config: Config, held_out: HeldOut) -> CleaningReport:
        """Clean every training source into files, and look for held-out pairs on the way."""
        self.folder.mkdir()
        cleaning, report = config.corpus.cleaning, CleaningReport()
        raw = itertools.chain.from_iterable(_training_pairs(spec, config) for spec in config.corpus.train)
        with (
            (self.folder / "source").open("w", encoding="utf-8", newline="\n") as source_file,
            (self.folder / "target").open("w", encoding="utf-8", newline="\n") as target_file,
            DuplicateFinder(self.folder) as duplicates,
        ):
            for number, (source, target) in enumerate(held_out.watched(clean_pairs(raw, cleaning, report)), start=1):
                source_file.write(source + "\n")
                target_file.write(target + "\n")
                if cleaning.drop_duplicates:
                    duplicates.add(source, target)
                if number % PROGRESS == 0:
                    log.info("cleaned %d pairs, kept %d", report.read, number)
            if cleaning.drop_duplicates:
                self._first = duplicates.first_occurrences()
                repeated = len(self._first) - int(np.count_nonzero(self._first))
                report.dropped.update({DUPLICATE: repeated} if repeated else {})
        return report

    def read(self) -> Iterator[Pair]:
        """The pairs that are left."""
        pairs = zip(read_own_lines(self.folder / "source"), read_own_lines(self.folder / "target"), strict=True)
        return pairs if self._first is None else itertools.compress(pairs, self._first)


def _training_pairs(spec: SourceSpec, config: Config) -> Iterator[Pair]:
    """Of one source; that it is empty is told where it is not the only one, which is an error."""
    pairs = read_pairs(spec, config.corpus)
    first = next(pairs, None)
    if first is not None:
        yield first
        yield from pairs
    elif len(config.corpus.train) > 1:
        log.warning("%s", _empty("train", spec))


def _encode(
    pairs: Iterable[Pair], tokenizers: Tokenizers, max_length: int, folder: Path, report: CleaningReport
) -> str:
    """Encode into a store, leaving out (and counting) too long pairs; the text's SHA-256."""
    digest, done, too_long = hashlib.sha256(), 0, 0
    iterator = iter(pairs)
    with CorpusWriter(folder, tokenizers.source.size, tokenizers.target.size) as writer:
        while chunk := list(itertools.islice(iterator, CHUNK)):
            digest.update("".join(f"{source}\t{target}\n" for source, target in chunk).encode())
            source = tokenizers.source.encode([s for s, _ in chunk])
            target = tokenizers.target.encode([t for _, t in chunk])
            fits = [len(s) < max_length and len(t) < max_length for s, t in zip(source, target, strict=True)]
            writer.append(list(itertools.compress(source, fits)), list(itertools.compress(target, fits)))
            too_long += fits.count(False)
            done += len(chunk)
            if done % PROGRESS == 0:
                log.info("encoded %d pairs", done)
    report.dropped.update({TOO_MANY_PIECES: too_long} if too_long else {})
    return digest.hexdigest()


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
