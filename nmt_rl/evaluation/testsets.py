"""Test sets: files, and standard ones by their sacreBLEU name, such as wmt14 (2,737 lines) and wmt14/full (3,003)."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from nmt_rl.corpus.lines import read_lines
from nmt_rl.errors import UserError


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
        sources, references: files, in pairs.
        names: sacreBLEU's, such as `wmt14/full`; instead of files.
        languages: the pair of the named ones, such as `en-de`.
        needs_source: whether references alone do not do.

    Raises:
        UserError: for a wrong combination, a file that cannot be read, or numbers of lines that differ.
    """
    if languages is not None and not all(languages.partition("-")):
        raise UserError(f"-l takes a pair of languages such as en-de, found {languages!r}")
    if names:
        if sources or references or not languages:
            raise UserError(
                "-t SET goes with -l LANGUAGES (such as -t wmt14 -l en-de), without --source and --reference"
            )
        return [load_standard_set(name, languages) for name in names]
    if not references or (needs_source and not sources):
        raise UserError("give --source FILE and --reference FILE, or a named set such as -t wmt14 -l en-de")
    if sources and len(sources) != len(references):
        raise UserError(f"--source and --reference go in pairs, found {len(sources)} and {len(references)}")
    source_language, _, target_language = (languages or "").partition("-")
    both = itertools.zip_longest(sources, references)
    sets = [_read_files(source, reference, source_language, target_language) for source, reference in both]
    if len({each.name for each in sets}) < len(sets):
        sets = [dataclasses.replace(each, name=each.reference_name) for each in sets]
    return sets


def _read_files(source: Path | None, reference: Path, *languages: str) -> TestSet:
    references = tuple(read_lines(reference))
    sources = tuple(read_lines(source)) if source is not None else ()
    if source is not None and len(sources) != len(references):
        raise UserError(f"{source} has {len(sources):,} lines but {reference} has {len(references):,}; they must agree")
    return TestSet(reference.name, sources, (references,), str(reference), *languages)


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
        hint = _hint(test_set, DATASETS, "sacrebleu --list shows all")
        raise UserError(f"sacreBLEU has no test set {test_set!r}; {hint}")
    dataset = DATASETS[test_set]
    if language_pair not in dataset.langpairs:
        hint = _hint(language_pair, dataset.langpairs, f"it has {', '.join(dataset.langpairs)}")
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


def _hint(name: str, known: Iterable[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def _read(file: str) -> tuple[str, ...]:
    """Lines without surrounding blanks, as sacreBLEU reads them: only a line feed ends a line."""
    with Path(file).open(encoding="utf-8", newline="\n") as stream:
        return tuple(line.strip() for line in stream)
