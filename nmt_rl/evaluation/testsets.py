"""Standard test sets by their sacreBLEU name, such as wmt14 (2,737 lines en-de) and wmt14/full (3,003)."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from pathlib import Path

from nmt_rl.errors import UserError


@dataclasses.dataclass(frozen=True)
class StandardSet:
    """The text of a standard test set."""

    name: str
    """sacreBLEU's name and the language pair, such as `wmt14/full en-de`: what scores are reported under."""
    source_language: str
    target_language: str
    sources: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    """One or several lists of references, each as long as `sources`."""


def load_standard_set(test_set: str, language_pair: str) -> StandardSet:
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
    source, target = language_pair.split("-", 1)
    return StandardSet(f"{test_set} {language_pair}", source, target, sources, references)


def _hint(name: str, known: Iterable[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def _read(file: str) -> tuple[str, ...]:
    """Lines without surrounding blanks, as sacreBLEU reads them: only a line feed ends a line."""
    with Path(file).open(encoding="utf-8", newline="\n") as stream:
        return tuple(line.strip() for line in stream)
