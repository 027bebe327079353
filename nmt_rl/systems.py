"""Systems that are evaluated: model folders, which translate the test sets, and files of translations."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.evaluation.metrics import Scores
    from nmt_rl.evaluation.testsets import TestSet


@dataclasses.dataclass(frozen=True)
class System:
    """A system's translations of some test sets."""

    name: str
    """Its path, without the folders that it shares with the others."""
    target_language: str
    """Its code, or empty."""
    texts: Sequence[Sequence[str]]
    """One translation per line of each set."""
    decoding: str = ""
    """How it translated, if that is known."""


def read_systems(paths: Sequence[Path], sets: Sequence[TestSet], beam: int | None = None) -> list[System]:
    """The translations of model folders and of files, in the order of the paths.

    Files are read and folders looked into first, so that a mistake does not cost the time of translating.

    Args:
        paths: a folder is a model, or a run that holds one; anything else a text file.
        sets: the test sets; a file goes with one only.
        beam: of the models; None: their own.

    Raises:
        UserError: for what cannot be read or does not fit, or for a beam without a model.
    """
    from nmt_rl.bundle import bundle_folder
    from nmt_rl.corpus.lines import read_lines
    from nmt_rl.evaluation.metrics import check_lines

    found = {}
    names = _names(paths)
    for path in paths:
        if path.is_dir():
            _must_fit(bundle_folder(path), sets)  # So that what is wrong is found now.
            continue
        if len(sets) > 1:
            raise UserError(f"a file of translations goes with one test set, found {len(sets)}")
        lines = list(read_lines(path))
        check_lines(str(path), lines, sets[0].reference_name, sets[0].references)
        found[path] = System(names[path], sets[0].target_language, [lines])
    if beam is not None and len(found) == len(paths):
        raise UserError("--beam is of models, but only files of translations are given")
    return [found[path] if path in found else _translated(path, names[path], sets, beam) for path in paths]


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """What tells the paths apart: `a/b/c` and `a/d/c` are `b/c` and `d/c`; a single one stays whole."""
    different = set(paths)
    if len(different) < 2 or len({path.is_absolute() for path in different}) == 2:
        return {path: str(path) for path in different}
    shared = os.path.commonpath([path.parent for path in different])
    return {path: str(path.relative_to(shared)) for path in different}


def _must_fit(folder: Path, sets: Sequence[TestSet]) -> None:
    """Raise a UserError if the model is of other languages than a test set, as far as codes of two letters tell."""
    from nmt_rl.bundle import read_bundle_config

    corpus = read_bundle_config(folder)[0].corpus
    ours = (corpus.source_language, corpus.target_language)
    for each in sets:
        theirs = (each.source_language, each.target_language)
        if ours != theirs and all(len(code) == 2 for code in (*ours, *theirs)):
            raise UserError(f"{folder} translates {'-'.join(ours)}, but the test set {each.name} is {'-'.join(theirs)}")


def _translated(folder: Path, name: str, sets: Sequence[TestSet], beam: int | None) -> System:
    from nmt_rl.bundle import bundle_folder, read_bundle_config
    from nmt_rl.decoding.request import Request
    from nmt_rl.decoding.translator import Translator

    bundle = bundle_folder(folder)
    overrides: dict[str, object] = {} if beam is None else {"beam": beam, "samples": 0}
    if beam == 1:
        overrides["mbr"] = None
    request = Request(overrides)
    translator = Translator.from_folders([bundle], request)
    language = read_bundle_config(bundle)[0].corpus.target_language
    texts = [[t.text for t in translator.translate(each.sources)] for each in sets]
    return System(name, language, texts, request.summary(translator.config))


def score_systems(
    systems: Sequence[System], sets: Sequence[TestSet], metrics: Sequence[str], resamples: int, seed: int
) -> list[Scores]:
    """Every system on every set.

    Args:
        systems: with translations of all sets.
        sets: the test sets.
        metrics: of `evaluation.metrics.LABELS`, and `comet`.
        resamples, seed: of the confidence intervals, which COMET has none of; see `corpus_scores`.
    """
    from nmt_rl.evaluation.metrics import corpus_scores

    rows = []
    for system in systems:
        for each, texts in zip(sets, system.texts, strict=True):
            scores = corpus_scores(
                texts,
                each.references,
                test_set=each.name,
                system=system.name,
                metrics=[name for name in metrics if name != "comet"],
                resamples=resamples,
                seed=seed,
                target_language=system.target_language,
                reference_name=each.reference_name,
            )
            if "comet" in metrics:
                from nmt_rl.evaluation.comet import comet_score

                comet = comet_score(each.sources, texts, each.references[0])
                scores = dataclasses.replace(scores, metrics=scores.metrics | {"comet": comet})
            rows.append(dataclasses.replace(scores, decoding=system.decoding))
    return rows
