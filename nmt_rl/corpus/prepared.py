"""RUN/corpus: what preparation has left, opened for training and compared with what it was."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_rl.config import Config, CorpusConfig, first_difference
from nmt_rl.config.stages import shared
from nmt_rl.corpus.cleaning import CleaningReport, Pair
from nmt_rl.corpus.lines import read_own_lines
from nmt_rl.corpus.provenance import Change, Record, changes
from nmt_rl.corpus.store import EncodedCorpus
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import HASHES, check_hashes, file_hash
from nmt_rl.storage.ownership import strangers
from nmt_rl.storage.reading import file_size, must_be, read_json

log = logging.getLogger("nmt_rl")

TOKENIZERS = ("tokenizer.model", "tokenizer.source.model", "tokenizer.target.model")
FILES = (
    "train/", "train/corpus.json", "train/source.*.npy", "train/target.*.npy", "train/links.*.npy",
    "valid*.source", "valid*.target",
    "test.source", "test.target", *TOKENIZERS, "cleaning.json", "prepared.json", HASHES,
)  # fmt: skip
"""What RUN/corpus holds; see `ownership.must_be_ours`."""
UNFINISHED = (
    "text/", "text/*.text", "text/*.json", "text/*.npz", "text/hashes.*", "text/first.bool", *TOKENIZERS,
)  # fmt: skip
"""What RUN/preparing holds besides what `storage.unfinished` writes."""


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus.

    Attributes:
        tokenizers: of both sides.
        train: the encoded training pairs, memory-mapped.
        valid: validation pairs by which models are chosen, as they were read.
        further: pairs of the other validation sets, by their names.
        test: test pairs, as they were read; empty if the recipe has none.
        report: what cleaning dropped.
        hashes: SHA-256 of the text of train (after cleaning) and of each split that is held out.
    """

    tokenizers: Tokenizers
    train: EncodedCorpus
    valid: list[Pair]
    further: dict[str, list[Pair]]
    test: list[Pair]
    report: CleaningReport
    hashes: dict[str, str]


def is_prepared(run: Path) -> bool:
    """Whether RUN holds a prepared corpus."""
    return (run / "corpus" / "prepared.json").exists()


def looks_prepared(folder: Path) -> bool:
    """Whether a folder without a mark is a corpus that nmt-rl 0.2.0 prepared, and nothing else."""
    try:
        record = read_record(folder)
        return "train" in record["hashes"] and "corpus" in record["settings"] and not list(strangers(folder, FILES))
    except UserError:
        return False


def open_prepared(config: Config, run: Path) -> Prepared:
    """Open a prepared corpus.

    Raises:
        UserError: if there is none, it is damaged, or it was prepared with other settings.
    """
    folder = run / "corpus"
    if not is_prepared(run):
        raise UserError(f"{run} holds no prepared corpus; run nmt-rl prepare first")
    record = read_record(folder)
    check_settings(config, run, record)
    hashes = {"train": record["hashes"].get("train", "")}
    texts: dict[str, list[Pair]] = {}
    with _named_remedy(folder):
        check_corpus(folder, record)
        for split in config.corpus.held_out:
            texts[split], hashes[split] = checked_split(folder, split, record)
        return Prepared(
            tokenizers=Tokenizers.load(tokenizer_folder(run)),
            train=_linked(_mixed(EncodedCorpus.open(folder / "train"), config.corpus, folder), config, run),
            valid=texts["valid"],
            further={spec.label: texts[split] for split, spec in config.corpus.further.items()},
            test=texts.get("test", []),
            report=CleaningReport.from_json(read_json(folder / "cleaning.json"), str(folder / "cleaning.json")),
            hashes=hashes,
        )


def _mixed(corpus: EncodedCorpus, config: CorpusConfig, folder: Path) -> EncodedCorpus:
    weights = [spec.weight for spec in config.train]
    if len(set(weights)) == 1 and config.temperature == 1.0:
        return corpus
    if "sources" not in corpus.header:
        raise UserError(
            f"{folder} was prepared by a version that did not tell sources apart, as corpus.train's weight and "
            "corpus.temperature need"
        )
    corpus.mix(weights, config.temperature)
    return corpus


def _linked(corpus: EncodedCorpus, config: Config, run: Path) -> EncodedCorpus:
    if config.pretrain.guided_alignment is None:
        corpus.links = None
    elif corpus.links is None:
        raise UserError(
            f"{run} was prepared without alignments, which pretrain.guided_alignment needs; choose another --out, or "
            "nmt-rl prepare --fresh starts the whole run over"
        )
    return corpus


def check_corpus(folder: Path, record: Record) -> None:
    """Compare a corpus with its manifest, which every version but 0.2.0 wrote; raises UserError as `check_hashes`."""
    trained = record["sources"].get("train", [])
    if not check_hashes(folder) and all(each.get("files") is not None for each in trained):
        raise UserError(f"{folder / HASHES} is missing")


@contextlib.contextmanager
def _named_remedy(folder: Path) -> Iterator[None]:
    """The same text prepared once more is the same corpus: what was trained on it goes on."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; delete {folder}, then nmt-rl prepare makes it anew") from error


def tokenizer_folder(run: Path) -> Path:
    """RUN/corpus; in runs of nmt-rl 0.2.0 the tokenizer lies in RUN itself."""
    folder = run / "corpus"
    return folder if any((folder / name).exists() for name in TOKENIZERS) else run


def read_record(folder: Path) -> Record:
    """What prepared.json says: `settings`, `sources` by split (see `provenance`) and `hashes`; UserError names it."""
    path = folder / "prepared.json"
    with _named_remedy(folder):
        record: Record = read_json(path)
        settings = must_be(record.get("settings"), dict, f"{path}: settings")
        must_be(record.get("hashes"), dict, f"{path}: hashes")
        if "sources" not in record:  # Of nmt-rl 0.2.0: the specs stand among the settings.
            corpus = must_be(settings.get("corpus"), dict, f"{path}: settings.corpus")
            train = must_be(corpus.pop("train", None), list, f"{path}: settings.corpus.train")
            specs = {"train": train, "valid": [corpus.pop("valid", None)], "test": [corpus.pop("test", None)]}
            record["sources"] = {
                split: [{"spec": spec, "folder": str(Path.cwd()), "files": None} for spec in several if spec]
                for split, several in specs.items()
            }
        for split, records in must_be(record["sources"], dict, f"{path}: sources").items():
            for each in must_be(records, list, f"{path}: sources.{split}"):
                must_be(must_be(each, dict, f"{path}: {split}").get("spec"), dict, f"{path}: spec of {split}")
    return record


def settings_of(config: Config, recorded: Sequence[Any] = ()) -> dict[str, Any]:
    """Everything that preparation depends on besides the sources, as JSON.

    Args:
        config: the experiment.
        recorded: what was recorded of `tokenizer.model`; such a file may have gone since, or lie elsewhere.

    Raises:
        UserError: for another file that is not there.
    """
    tokenizer = config.tokenizer.model_dump(mode="json", exclude={"sampling", "sampling_alpha", "model"})
    both = itertools.zip_longest(config.tokenizer.model, recorded)
    tokenizer["model"] = [_own_model(name, was) for name, was in both if name is not None]
    return {
        "seed": config.seed,
        "corpus": config.corpus.model_dump(mode="json", exclude={"train", "valid", "test", "temperature"}),
        "tokenizer": tokenizer,
        "pretrain": {"batch": {"max_length": config.pretrain.batch.max_length}},
    }


def _own_model(name: str, was: Any) -> dict[str, str]:
    was = was if isinstance(was, dict) else {}
    if was.get("file") == name and not Path(name).exists():
        return was
    digest = file_hash(Path(name))
    return was if was.get("sha256") == digest else {"file": name, "sha256": digest}


def check_settings(config: Config, run: Path, record: Record) -> None:
    """Raise UserError if a corpus was prepared with other settings or sources; a test set may change."""
    tokenizer = must_be(record["settings"].get("tokenizer"), dict, f"{run / 'corpus' / 'prepared.json'}: tokenizer")
    own = tokenizer.setdefault("model", [])  # nmt-rl 0.2.0 trained all.
    old, new = record["settings"], settings_of(config, own if isinstance(own, list) else [])
    difference = first_difference(shared(old, new), shared(new, old))
    if difference is None:
        other = (change.words for change in _binding(config, record) if change.kind == "settings")
        difference = next(other, None)
    if difference is not None:
        raise UserError(
            f"{run} was prepared with other settings: {difference}; set it back, or choose another --out, "
            "or nmt-rl prepare --fresh starts the whole run over"
        )


def check_text(config: Config, run: Path, refused: Collection[str]) -> None:
    """Say if the text that a corpus was prepared from has changed or is gone.

    Args:
        config: the experiment, with the settings of the corpus.
        run: holds it.
        refused: of the kinds `text` (changed) and `gone`. Changed text is a warning without, and what is gone is not
            needed any more.

    Raises:
        UserError: for a change of a refused kind.
    """
    for change in _binding(config, read_record(run / "corpus"), contents="gone" in refused):
        words = f"{change.words}; {run / 'corpus'} holds the text as it was prepared"
        if change.kind == "gone" and "gone" in refused:
            raise UserError(f"{words}, and nmt-rl pretrain and finetune go on with that")
        if change.kind == "text" and "text" in refused:
            raise UserError(f"{words}; nmt-rl prepare --fresh starts the whole run over with the text as it is now")
        if change.kind == "text":
            log.warning("%s, and training goes on with that", words)


def _binding(config: Config, record: Record, contents: bool = False) -> Iterable[Change]:
    """What no model is chosen by binds nothing: see `prepare`."""
    return (
        change for change in changes(record["sources"], config.corpus, contents) if change.split in ("train", "valid")
    )


def read_split(folder: Path, split: str) -> tuple[list[Pair], str]:
    """Pairs of validation or test text, and their SHA-256; raises UserError if one of the files is damaged."""
    paths = [folder / f"{split}.{side}" for side in ("source", "target")]
    for path in paths:
        file_size(path)
    source, target = (list(read_own_lines(path)) for path in paths)
    if len(source) != len(target):
        raise UserError(f"{paths[0]} has {len(source)} lines but {paths[1]} has {len(target)}: one of them is damaged")
    pairs, digest = list(zip(source, target, strict=True)), hashlib.sha256()
    for pair in pairs:
        digest.update("{}\t{}\n".format(*pair).encode())
    return pairs, digest.hexdigest()


def checked_split(folder: Path, split: str, record: Record) -> tuple[list[Pair], str]:
    """As `read_split`; raises UserError if the text is not what was copied."""
    pairs, digest = read_split(folder, split)
    if digest != record["hashes"].get(split):
        raise UserError(f"{folder / split}.source and .target are not what preparation wrote")
    return pairs, digest
