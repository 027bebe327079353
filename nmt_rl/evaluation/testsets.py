"""Test sets: files, and standard ones by their sacreBLEU name, such as wmt14 (2,737 lines) and wmt14/full (3,003)."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from nmt_rl.corpus.languages import short_code, split_pair
from nmt_rl.corpus.lines import read_lines
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import read_bytes
from nmt_rl.storage.streams import input_name

LARGEST = 2**28
"""Bytes of a file of a standard test set."""


@dataclasses.dataclass(frozen=True)
class TestSet:
    """Source and references of a test set."""

    __test__ = False
    name: str
    """What scores are reported under: sacreBLEU's name and the language pair, such as `wmt14/full en-de`; or a file."""
    sources: tuple[str, ...]
    """Empty if only references were given."""
    references: tuple[tuple[str, ...], ...]
    """One or several lists of references, one for each line."""
    reference_name: str
    """What errors call the reference."""
    source_language: str = ""
    target_language: str = ""
    """Their codes, if they are known."""


def read_test_sets(
    sources: Sequence[Path],
    references: Sequence[Path],
    names: Sequence[str],
    languages: str | None,
    needs_source: bool,
) -> list[TestSet]:
    """Test sets from files, or those of sacreBLEU by their names.

    Args:
        sources, references: files; of one source several references of each line, of several sources one each.
        names: sacreBLEU's, such as `wmt14/full`; instead of files.
        languages: the pair, such as `en-de`; that of files may be left out.
        needs_source: whether references alone do not do.

    Raises:
        UserError: for a wrong combination, a file that cannot be read, or numbers of lines that differ.
    """
    pair = split_pair(languages or "")
    if languages is not None and not all(pair):
        raise UserError(f"-l takes a pair of languages such as en-de or zh_CN-en, found {languages!r}")
    if names:
        if sources or references or not languages:
            raise UserError(
                "-t SET goes with -l LANGUAGES (such as -t wmt14 -l en-de), without --source and --reference"
            )
        _refuse_twice("-t", names)
        return [load_standard_set(name, languages) for name in names]
    if not references or (needs_source and not sources):
        raise UserError("give --source FILE and --reference FILE, or a named set such as -t wmt14 -l en-de")
    if len(sources) < 2:
        _refuse_twice("--reference", references)
        return [_read_files(next(iter(sources), None), references, *pair)]
    if len(sources) != len(references):
        counts = f"found {len(sources)} and {len(references)}"
        raise UserError(f"several --source go with one --reference each, {counts}; one takes several references")
    both = list(zip(sources, references, strict=True))
    _refuse_twice("--source and --reference", [" and ".join(map(str, each)) for each in both])
    sets = [_read_files(source, [reference], *pair) for source, reference in both]
    if len({each.name for each in sets}) < len(sets):
        sets = [dataclasses.replace(each, name=each.reference_name) for each in sets]
    return sets


def _refuse_twice(option: str, values: Sequence[object]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise UserError(f"{option} {value} is given twice")


def _read_files(source: Path | None, references: Sequence[Path], *languages: str) -> TestSet:
    files = [*([source] if source is not None else []), *references]
    texts = [tuple(read_lines(file)) for file in files]
    for file, lines in zip(files, texts, strict=True):
        if len(lines) != len(texts[0]):
            first, other = map(input_name, (files[0], file))
            raise UserError(f"{first} has {len(texts[0]):,} lines but {other} has {len(lines):,}; they must agree")
    streams = tuple(texts[len(files) - len(references) :])
    paths = [input_name(file) for file in references]
    name, path = (", ".join(names) for names in ([Path(file).name for file in paths], paths))
    return TestSet(name, texts[0] if source is not None else (), streams, path, *languages)


def load_standard_set(test_set: str, language_pair: str) -> TestSet:
    """Source and reference lines of a sacreBLEU test set, downloaded once to sacreBLEU's cache.

    Args:
        test_set: sacreBLEU's name, such as `wmt14/full` (`sacrebleu --list`).
        language_pair: such as `en-de`.

    Raises:
        UserError: for an unknown set or pair, if it cannot be downloaded, or if the cached files do not fit together.
    """
    from sacrebleu.dataset import DATASETS
    from sacrebleu.utils import SACREBLEU_DIR

    if test_set not in DATASETS:
        lower = {name.lower(): name for name in DATASETS}
        near = difflib.get_close_matches(test_set.lower(), lower, n=1)
        hint = f"did you mean {lower[near[0]]}?" if near else "sacrebleu --list shows all"
        raise UserError(f"sacreBLEU has no test set {test_set!r}; {hint}")
    dataset = DATASETS[test_set]
    if language_pair not in dataset.langpairs:
        pair = _near_pair(language_pair, dataset.langpairs)
        hint = f"did you mean {pair}?" if pair else f"it has {', '.join(dataset.langpairs)}"
        raise UserError(f"test set {test_set} has no language pair {language_pair!r}; {hint}")
    try:
        source_file = dataset.get_source_file(language_pair)
        reference_files = dataset.get_reference_files(language_pair)
    # sacreBLEU exits on a bad checksum or certificate; urllib's and portalocker's errors share no base but Exception.
    except (Exception, SystemExit) as error:
        reason = getattr(error, "reason", None) or f"{type(error).__name__} {error}"
        raise UserError(
            f"test set {test_set} {language_pair} is not in {SACREBLEU_DIR} and cannot be downloaded ({reason}); "
            "connect to the network once, or give --source and --reference files"
        ) from error
    sources = _read(source_file)
    references = tuple(_read(file) for file in reference_files)
    if not references:
        raise UserError(f"test set {test_set} {language_pair} has no references; it can be translated but not scored")
    for file, lines in zip(reference_files, references, strict=True):
        if len(lines) != len(sources) or not lines:
            raise UserError(
                f"{source_file} has {len(sources):,} lines but {file} has {len(lines):,}; "
                f"delete {Path(source_file).parent} to download test set {test_set} again"
            )
    name = f"{test_set} {language_pair}"
    return TestSet(name, sources, references, name, *language_pair.split("-", 1))


def _near_pair(pair: str, known: Iterable[str]) -> str | None:
    """The pair that is meant by other codes of the same languages, or by their wrong order; other codes are no slip."""
    wanted = [short_code(language) for language in split_pair(pair)]
    for meant in (wanted, wanted[::-1]):
        for each in known:
            if [short_code(language) for language in each.split("-")] == meant:
                return each
    return None


def _read(file: str) -> tuple[str, ...]:
    """Lines without surrounding blanks, as sacreBLEU reads them: only a line feed ends a line."""
    path, again = Path(file), f"delete {Path(file).parent} to download the test set again"
    try:
        text = read_bytes(path, LARGEST).decode("utf-8")
    except UserError as error:
        raise UserError(f"{error}; {again}") from error
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; {again}") from None
    return tuple(line.strip() for line in text.removesuffix("\n").split("\n"))
