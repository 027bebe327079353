"""From the sources to RUN/corpus: clean, drop duplicates, train SentencePiece, encode. Everything streams."""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_rl.config import Config, SourceSpec, first_difference
from nmt_rl.corpus.cleaning import DUPLICATE, TOO_MANY_PIECES, CleaningReport, DuplicateFinder, Pair, clean_pairs
from nmt_rl.corpus.lines import read_lines
from nmt_rl.corpus.overlap import HeldOut
from nmt_rl.corpus.sources import read_pairs
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizers, train_tokenizers
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import check_hashes, write_hashes
from nmt_rl.storage.reading import file_size, must_be, read_json
from nmt_rl.storage.writing import write_json

log = logging.getLogger("nmt_rl")

CHUNK = 5000
"""Pairs that are encoded together."""
PROGRESS = 500_000
"""Pairs between two progress messages."""


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus.

    Attributes:
        tokenizers: of both sides.
        train: the encoded training pairs, memory-mapped.
        valid: validation pairs, as they were read.
        test: test pairs, as they were read; empty if the recipe has none.
        report: what cleaning dropped.
        hashes: SHA-256 of the text of train (after cleaning), valid and test.
    """

    tokenizers: Tokenizers
    train: EncodedCorpus
    valid: list[Pair]
    test: list[Pair]
    report: CleaningReport
    hashes: dict[str, str]


def prepare(config: Config, run: Path, fresh: bool = False) -> Prepared:
    """Prepare the corpus of a run, or open what was prepared before.

    Writes RUN/corpus (train/, valid.source, valid.target, test.source, test.target, cleaning.json, prepared.json) and
    the tokenizer's files in RUN. RUN/corpus appears when everything is done; a half-finished preparation starts over.

    Args:
        config: the experiment.
        run: the run's directory.
        fresh: prepare anew, even if it was done.

    Raises:
        UserError: if a source is wrong, if nothing is left of the training text, or if the run was prepared with other
            settings.
    """
    folder = run / "corpus"
    if fresh or not (folder / "prepared.json").is_file():
        partial = run / "corpus.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _prepare_into(partial, config, run)
        partial.replace(folder)
    return open_prepared(config, run)


def open_prepared(config: Config, run: Path) -> Prepared:
    """Open a prepared corpus; raises UserError if there is none, it is damaged, or the settings were others."""
    folder = run / "corpus"
    if not (folder / "prepared.json").exists():
        raise UserError(f"{run} holds no prepared corpus; run nmt-rl prepare first")
    try:
        prepared = read_json(folder / "prepared.json")
        for key in ("settings", "hashes"):
            must_be(prepared.get(key), dict, f"{folder / 'prepared.json'}: {key}")
        check_hashes(folder)
        report = CleaningReport.from_json(read_json(folder / "cleaning.json"), str(folder / "cleaning.json"))
        train = EncodedCorpus.open(folder / "train")
        valid, test = (_read_split(folder, split) for split in ("valid", "test"))
    except UserError as error:
        raise UserError(f"{error}; delete {folder}, then nmt-rl prepare makes it anew") from None
    if difference := first_difference(prepared["settings"], _settings(config)):
        raise UserError(f"{run} was prepared with other settings: {difference}; --fresh starts over")
    return Prepared(Tokenizers.load(run), train, valid, test, report, prepared["hashes"])


def _prepare_into(folder: Path, config: Config, run: Path) -> None:
    hashes = {"valid": _copy_split(folder, "valid", config.corpus.valid, config)}
    if config.corpus.test is not None:
        hashes["test"] = _copy_split(folder, "test", config.corpus.test, config)
    text, held_out = _CleanText(folder / "text"), HeldOut({split: _read_split(folder, split) for split in hashes})
    report = text.write(config, held_out)
    if not report.read:
        raise UserError(_empty("train", *config.corpus.train))
    if not report.kept:
        left = f"no training pair is left of {report.read:,} after cleaning"
        raise UserError(f"{left} ({report.reasons()}); see corpus.cleaning")
    report.warn_if_most_went(report.read)
    held_out.warn()
    cleaned = report.kept
    log.info("training SentencePiece on %d pairs", report.kept)
    with report.told():
        tokenizers = train_tokenizers(
            lambda: (source for source, _ in text.read()),
            lambda: (target for _, target in text.read()),
            report.kept,
            config.tokenizer,
            config.seed,
        )
    shutil.rmtree(run / "corpus", ignore_errors=True)  # never an old corpus beside a new tokenizer
    tokenizers.save(run)
    hashes["train"] = _encode(text.read(), tokenizers, config.pretrain.batch.max_length, folder / "train", report)
    if not report.kept:
        longest = config.pretrain.batch.max_length
        raise UserError(f"every training pair is longer than pretrain.batch.max_length {longest}; {report.summary()}")
    report.warn_if_most_went(cleaned)
    shutil.rmtree(text.folder)
    log.info("%s", report)
    write_json(folder / "cleaning.json", report.to_json())
    write_json(folder / "prepared.json", {"settings": _settings(config), "hashes": hashes})
    write_hashes(folder)


class _CleanText:
    """The cleaned training text on disk, and marks of the pairs that occurred before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._first: NDArray[np.bool_] | None = None

    def write(self, config: Config, held_out: HeldOut) -> CleaningReport:
        """Clean every training source into files, and look for held-out pairs on the way."""
        self.folder.mkdir()
        cleaning, report = config.corpus.cleaning, CleaningReport()
        raw = itertools.chain.from_iterable(read_pairs(spec, config.corpus) for spec in config.corpus.train)
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
        pairs = zip(read_lines(self.folder / "source"), read_lines(self.folder / "target"), strict=True)
        return pairs if self._first is None else itertools.compress(pairs, self._first)


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
    digest, count = hashlib.sha256(), 0
    default_split = {"valid": "validation"}.get(split, split)
    with (folder / f"{split}.source").open("wb") as source_file, (folder / f"{split}.target").open("wb") as target_file:
        for source, target in read_pairs(spec, config.corpus, default_split):
            source_file.write(source.encode() + b"\n")
            target_file.write(target.encode() + b"\n")
            digest.update(f"{source}\t{target}\n".encode())
            count += 1
    if not count:
        raise UserError(_empty(split, spec))
    return digest.hexdigest()


def _empty(split: str, *specs: SourceSpec) -> str:
    return f"corpus.{split} has no sentence pairs: there is no line in {', '.join(spec.origin for spec in specs)}"


def _read_split(folder: Path, split: str) -> list[Pair]:
    """Pairs of a validation or test set; none if there is no such set."""
    paths = [folder / f"{split}.{side}" for side in ("source", "target")]
    if not any(path.exists() for path in paths):
        return []
    for path in paths:
        file_size(path)
    source, target = (list(read_lines(path)) for path in paths)
    if len(source) != len(target):
        raise UserError(f"{paths[0]} has {len(source)} lines but {paths[1]} has {len(target)}: one of them is damaged")
    return list(zip(source, target, strict=True))


def _settings(config: Config) -> dict[str, Any]:
    """Everything that preparation depends on, as JSON."""
    tokenizer = config.tokenizer.model_dump(mode="json", exclude={"sampling", "sampling_alpha"})
    return {
        "seed": config.seed,
        "corpus": config.corpus.model_dump(mode="json"),
        "tokenizer": tokenizer,
        "pretrain": {"batch": {"max_length": config.pretrain.batch.max_length}},
    }
