"""Where sentence pairs come from: text files, one TSV, a `datasets` hub set, the embedded corpus."""

from __future__ import annotations

import contextlib
import importlib.resources
import itertools
from collections.abc import Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from nmt_rl.config import CorpusConfig, SourceSpec
from nmt_rl.corpus.algorithms import made_pairs
from nmt_rl.corpus.languages import tagged_language
from nmt_rl.corpus.lines import count_lines, read_lines
from nmt_rl.errors import UserError

Pair = tuple[str, str]

PACKED = (".gz", ".xz", ".bz2")
SUFFIXES = ("", ".txt", *(f"{text}{packed}" for text in ("", ".txt") for packed in PACKED))
SPLIT_NAMES = {"validation": ("validation", "valid", "val", "dev"), "valid": ("valid", "validation", "val", "dev")}
HINT = "or give text files: --set corpus.train=PREFIX, where PREFIX.{source} and PREFIX.{target} exist"


def read_pairs(spec: SourceSpec, config: CorpusConfig, default_split: str = "train") -> Iterator[Pair]:
    r"""Stream (source, target) pairs of one split; no line contains `\n`.

    Args:
        spec: where they come from; `spec.limit` keeps the first pairs only.
        config: gives the two language codes.
        default_split: split of a hub set if `spec.split` is absent.

    Raises:
        UserError: naming the file and line, or the hub set, and what is wrong with it.
    """
    pairs = itertools.islice(_open_pairs(spec, config, default_split), spec.limit)
    return pairs if spec.tag is None else ((tagged(spec.tag, source), target) for source, target in pairs)


def tagged(tag: str, source: str) -> str:
    """A source line behind a tag; a blank one stays blank."""
    return f"{tag} {source}" if source.strip() else source


def target_language(spec: SourceSpec, config: CorpusConfig) -> str:
    """Code of the language of a source's targets: what its tag asks for, or the corpus' own."""
    return tagged_language(spec.tag) or config.target_language


def _open_pairs(spec: SourceSpec, config: CorpusConfig, default_split: str) -> Iterator[Pair]:
    languages = (config.source_language, config.target_language)
    if spec.source:
        files = zip(spec.source, spec.target, strict=True)
        return itertools.chain.from_iterable(read_files(Path(s), Path(t)) for s, t in files)
    if spec.prefix is not None:
        source, target = (find_file(spec.prefix, language) for language in languages)
        return read_files(source, target)
    if spec.tsv is not None:
        return _read_tsv(Path(spec.tsv))
    if spec.made is not None:
        return made_pairs(spec.made)
    if spec.embedded is not None:
        return _read_embedded(spec.embedded, languages)
    return _read_hub(spec, spec.split or default_split, languages)


def source_files(spec: SourceSpec, config: CorpusConfig, default_split: str) -> list[Path]:
    """The regular files that `read_pairs` reads, source before target; none for a set that the hub keeps.

    Raises:
        UserError: if one does not exist.
    """
    languages = (config.source_language, config.target_language)
    if spec.source:
        files = [Path(path) for pair in zip(spec.source, spec.target, strict=True) for path in pair]
    elif spec.prefix is not None:
        files = [find_file(spec.prefix, language) for language in languages]
    elif spec.tsv is not None:
        files = [Path(spec.tsv)]
    elif spec.hub is not None and Path(spec.hub).is_dir():
        files = [Path(path) for path in _local_files(Path(spec.hub), spec.hub_config, spec.split or default_split)[1]]
    else:
        return []
    for path in files:
        if not path.exists():
            raise UserError(f"{path} does not exist")
    return [path for path in files if path.is_file()]


def count_pairs(spec: SourceSpec, config: CorpusConfig) -> int | None:
    """How many training pairs a source has, if that is quickly known: of plain files, and of parquet files."""
    count = None
    files = source_files(spec, config, "train")
    if spec.hub is not None and files and all(path.suffix == ".parquet" for path in files):
        from pyarrow import ArrowException, parquet

        with contextlib.suppress(ArrowException):  # Reading will say what is wrong.
            count = sum(parquet.read_metadata(path).num_rows for path in files)
    elif spec.hub is None and files and not any(path.suffix in PACKED for path in files):
        count = sum(count_lines(path) for path in (files if spec.tsv else files[::2]))
    return count if spec.limit is None or count is None else min(spec.limit, count)


def hub_split(split: str) -> str:
    """What hub sets call a split of a corpus: train, valid, valid2, ..., test."""
    return "validation" if split.startswith("valid") else split


def find_file(prefix: str, language: str) -> Path:
    """PREFIX.LANG with .txt, .gz, .xz or .bz2 or without; raises UserError if there is none."""
    for suffix in SUFFIXES:
        path = Path(f"{prefix}.{language}{suffix}")
        if path.is_file():
            return path
    raise UserError(f"{prefix}.{language} does not exist (nor with .txt, .gz, .xz or .bz2){_meant(prefix, language)}")


def _meant(prefix: str, language: str) -> str:
    """What somebody who gave a file or folder instead of a prefix probably wanted."""
    path = Path(prefix)
    if path.is_dir():
        return f"; {prefix} is a folder: is it hub:{prefix}, or {path / 'train'}?"
    if not path.is_file():
        return ""
    stem = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        stem = stem.removesuffix(suffix)
    without = path.with_name(stem).with_suffix("")
    if any(Path(f"{without}.{language}{suffix}").is_file() for suffix in SUFFIXES):
        return f"; a prefix has no language at its end: did you mean {without}?"
    return f"; {prefix} is a file: two files are given as {{source: FILE, target: FILE}}, a table ends in .tsv"


def read_files(source: Path, target: Path) -> Iterator[Pair]:
    """Line by line; raises UserError where one of them ends before the other."""
    return _zip_lines(read_lines(source), read_lines(target), str(source), str(target))


def _zip_lines(source: Iterator[str], target: Iterator[str], source_name: str, target_name: str) -> Iterator[Pair]:
    for number, (source_line, target_line) in enumerate(itertools.zip_longest(source, target), start=1):
        if source_line is None or target_line is None:
            more = number + sum(1 for _ in (target if source_line is None else source))
            lines = (number - 1, more) if source_line is None else (more, number - 1)
            raise UserError(
                f"{source_name} has {lines[0]} lines but {target_name} has {lines[1]}; "
                "line n of one must translate line n of the other"
            )
        yield source_line, target_line


def _read_tsv(path: Path) -> Iterator[Pair]:
    for number, line in enumerate(read_lines(path), start=1):
        columns = line.split("\t") if line else ["", ""]
        if len(columns) != 2:
            raise UserError(
                f"{path} line {number} has {len(columns)} tab-separated columns; it needs two: source, tab, target"
            )
        yield columns[0], columns[1]


def _read_embedded(split: str, languages: tuple[str, str]) -> Iterator[Pair]:
    folder = embedded_folder()
    files = [folder / f"{split}.{language}" for language in languages]
    for file, language in zip(files, languages, strict=True):
        if not file.is_file():
            raise UserError(f"the embedded corpus has no language {language!r}; it has 'en' and 'de'")
    with files[0].open("rb") as source, files[1].open("rb") as target:
        names = [f"embedded:{file.name}" for file in files]
        yield from _zip_lines(read_lines(source, names[0]), read_lines(target, names[1]), names[0], names[1])


def embedded_folder() -> Traversable:
    """The quickstart corpus: inside the installed package, or in data/ of a source checkout."""
    packaged = importlib.resources.files("nmt_rl") / "data" / "quickstart"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[2] / "data" / "quickstart"


def _read_hub(spec: SourceSpec, split: str, languages: tuple[str, str]) -> Iterator[Pair]:
    """Values that are null are blank lines, which cleaning drops and counts."""
    for number, row in enumerate(_hub_rows(spec, split, languages), start=1):
        translation = row.get("translation", {})
        blank = dict.fromkeys(languages) if translation is None else {}
        fields = translation if isinstance(translation, dict) and translation else {**blank, **row}
        where = f"hub set {spec.hub!r} row {number}"
        source, target = (_hub_text(fields, language, where, _hint(languages)) for language in languages)
        yield source, target


def _hub_text(fields: dict[str, Any], language: str, where: str, hint: str) -> str:
    if language not in fields:
        raise UserError(f"{where} has no text field {language!r}, found {', '.join(map(str, fields))}; {hint}")
    text = fields[language]
    if not isinstance(text, str | None):
        raise UserError(f"{where} has no text in field {language!r}, found {type(text).__name__}; {hint}")
    return (text or "").replace("\n", " ")


def _hub_rows(spec: SourceSpec, split: str, languages: tuple[str, str]) -> Iterator[dict[str, Any]]:
    import datasets

    assert spec.hub is not None
    try:
        if Path(spec.hub).is_dir():
            kind, files = _local_files(Path(spec.hub), spec.hub_config, split)
            rows: Iterable[Any] = datasets.load_dataset(kind, data_files={split: files}, split=split, streaming=True)
        else:
            rows = datasets.load_dataset(
                spec.hub, spec.hub_config, split=split, streaming=spec.streaming, revision=spec.revision
            )
        iterator = iter(rows)
    except UserError:
        raise
    except Exception as error:  # datasets raises many kinds: no network, no such set, no such split, bad files
        raise _hub_error(spec, split, languages, error) from None
    while True:
        try:
            row = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise _hub_error(spec, split, languages, error) from None
        yield row


def _hub_error(spec: SourceSpec, split: str, languages: tuple[str, str], error: Exception) -> UserError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    config = f" ({spec.hub_config})" if spec.hub_config else ""
    return UserError(f"hub set {spec.hub!r}{config} split {split!r} cannot be read: {reason}; {_hint(languages)}")


def _hint(languages: tuple[str, str]) -> str:
    return HINT.format(source=languages[0], target=languages[1])


def _local_files(folder: Path, config: str | None, split: str) -> tuple[str, list[str]]:
    """Format and files of one split in a local folder in the hub's layout (parquet or JSON lines)."""
    places = [folder / config, folder / "data" / config] if config else [folder / "data", folder]
    endings = {"parquet": ("parquet",), "json": ("jsonl", "json", "jsonl.gz", "json.gz")}
    for place in places:
        for split_name in SPLIT_NAMES.get(split, (split,)):
            for kind, suffixes in endings.items():
                patterns = [f"{split_name}{part}.{suffix}" for part in ("", "-*") for suffix in suffixes]
                if files := sorted(str(path) for pattern in patterns for path in place.glob(pattern)):
                    return kind, files
    looked = " or ".join(str(place) for place in places)
    raise UserError(f"{looked} has no {split}.parquet, {split}-*.parquet, {split}.jsonl or {split}-*.jsonl")
