"""Systems that are evaluated: model folders, which translate the test sets, and files of translations."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_rl.corpus.languages import short_code, tagged_language
from nmt_rl.errors import UserError, printable
from nmt_rl.storage.streams import STANDARD, from_home, input_name

if TYPE_CHECKING:
    from nmt_rl.decoding.request import Request
    from nmt_rl.evaluation.metrics import Scores, SentenceScores
    from nmt_rl.evaluation.testsets import TestSet


@dataclasses.dataclass(frozen=True)
class System:
    """A system's translations of some test sets."""

    name: str
    """Its path, without the folders that it shares with the others."""
    target_languages: Sequence[str]
    """Into which it translated each set: codes, or empty."""
    texts: Sequence[Sequence[str]]
    """One translation per line of each set."""
    decodings: Sequence[str]
    """How it translated each set; empty if that is not known."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model folder or a file of translations that was looked into: what can be known before a model translates."""

    path: Path
    name: str
    """As in System."""
    languages: tuple[str, str]
    """Codes of source and target, or empty."""
    lines: Sequence[str] | None
    """Of a file; None: a model."""

    def translate(self, sets: Sequence[TestSet], requests: Sequence[Request]) -> System:
        """The system with its translations of the test sets; requests are to models, one of each set.

        They differ in their tags at most.
        """
        if self.lines is not None:
            return System(self.name, [self.languages[1]], [self.lines], [""])
        from nmt_rl.decoding.translator import Translator

        languages = [request.target_language(self.languages[1]) for request in requests]
        translator = Translator.from_folders([self.path], requests[0])
        texts = []
        for each, request, language in zip(sets, requests, languages, strict=True):
            if request.tag != translator.marks.tag:
                translator = translator.tagged(request.tag, language)
            texts.append([t.text for t in translator.translate(each.sources)])
        return System(self.name, languages, texts, [request.summary(translator.config) for request in requests])


@dataclasses.dataclass(frozen=True)
class SeedPaths:
    """Where the outputs of a system are, one of each seed that it was trained with."""

    name: str
    """Empty: named by its only path."""
    paths: tuple[Path, ...]


def parse_seeds(argument: str) -> SeedPaths:
    """`NAME=X,Y,Z`, or a single path; what exists under a name with `=` or `,` is that file or folder.

    Raises:
        UserError: if no path stands between two commas or after the `=`.
    """
    name, equals, rest = argument.partition("=")
    if not (name and equals) or os.sep in name or Path(argument).exists():
        return SeedPaths("", (Path(argument),))
    paths, parts = [], rest.split(",")
    while parts:
        ends = range(len(parts), 1, -1)
        end = next((end for end in ends if from_home(",".join(parts[:end])).exists()), 1)
        paths.append(",".join(parts[:end]))
        parts = parts[end:]
    if not all(paths):
        raise UserError(f"{argument}: a path is missing after = or a comma; give NAME=X,Y,Z")
    return SeedPaths(printable(name), tuple(map(from_home, paths)))


def in_languages(sets: Sequence[TestSet], tags: Sequence[str]) -> list[TestSet]:
    """The test sets, each in the language that its tag asks for.

    Raises:
        UserError: if a set is known to be in another one.
    """
    found = []
    for each, tag in zip(sets, tags, strict=True):
        language = tagged_language(tag)
        if language and each.target_language and short_code(language) != short_code(each.target_language):
            pair = f"{each.source_language}-{each.target_language}"
            raise UserError(f"tag {tag} asks for {language}, but the test set {each.name} is {pair}")
        found.append(dataclasses.replace(each, target_language=language) if language else each)
    return found


def find_systems(paths: Sequence[Path], sets: Sequence[TestSet], tags: Sequence[str] = ()) -> list[Candidate]:
    """Read the files and look into the folders, so that a mistake does not cost the time of translating.

    Args:
        paths: a folder is a model, or a run that holds one; anything else a text file.
        sets: the test sets; a file goes with one only.
        tags: what sources of each set begin with; the language of one takes the place of the model's.

    Raises:
        UserError: for what cannot be read or does not fit.
    """
    names = _names(paths)
    found = [_model(path, names[path]) if path.is_dir() else _file(path, names[path], sets) for path in paths]
    told = [each for each, tag in zip(sets, tags or [""] * len(sets), strict=True) if not tagged_language(tag)]
    _check_languages([each for each in found if each.lines is None], told)
    return found


def group_seeds(given: Sequence[SeedPaths], found: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """The candidates of each system, by the system's name.

    Args:
        given: systems.
        found: one of each of their paths, in their order.

    Raises:
        UserError: if two systems have the same name.
    """
    groups: dict[str, list[Candidate]] = {}
    rest = iter(found)
    for each in given:
        own = list(itertools.islice(rest, len(each.paths)))
        name = each.name or own[0].name
        if name in groups:
            raise UserError(f"two systems are called {name}; give one of them another NAME=")
        groups[name] = own
    return groups


def _model(path: Path, name: str) -> Candidate:
    from nmt_rl.bundle import open_bundle

    model = open_bundle(path)
    corpus = model.config.corpus
    return Candidate(model.folder, name, (corpus.source_language, corpus.target_language), None)


def _file(path: Path, name: str, sets: Sequence[TestSet]) -> Candidate:
    from nmt_rl.corpus.lines import read_lines
    from nmt_rl.evaluation.metrics import check_lines

    if len(sets) > 1:
        raise UserError(f"a file of translations goes with one test set, found {len(sets)}")
    lines = list(read_lines(path))
    check_lines(input_name(path), lines, sets[0].reference_name, sets[0].references)
    return Candidate(path, name, (sets[0].source_language, sets[0].target_language), lines)


def _check_languages(models: Sequence[Candidate], sets: Sequence[TestSet]) -> None:
    """Raise a UserError if models are of other languages than each other or a test set, as far as codes tell."""
    for model in models:
        if _differ(model.languages, models[0].languages):
            pair, other = ("-".join(each.languages) for each in (models[0], model))
            raise UserError(f"{models[0].path} translates {pair}, but {model.path} {other}; they share no test set")
        for each in sets:
            theirs = (each.source_language, each.target_language)
            if _differ(model.languages, theirs):
                pair = "-".join(model.languages)
                raise UserError(f"{model.path} translates {pair}, but the test set {each.name} is {'-'.join(theirs)}")


def _differ(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    codes = [[short_code(code) for code in pair] for pair in (ours, theirs)]
    return codes[0] != codes[1] and all(len(code) == 2 for pair in codes for code in pair)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """What tells the paths apart: `a/b/c` and `a/d/c` are `b/c` and `d/c`; a single one stays whole."""
    different = set(paths)
    if len(different) < 2 or len({path.is_absolute() for path in different}) == 2 or STANDARD in different:
        return {path: input_name(path) for path in different}
    shared = os.path.commonpath([path.parent for path in different])
    return {path: input_name(path.relative_to(shared)) for path in different}


def check_scoring(
    languages: Sequence[Iterable[str]],
    sets: Sequence[TestSet],
    metrics: Sequence[str],
    resamples: int = 0,
    tokenize: str | None = None,
) -> None:
    """Look at what scoring needs before a model translates: packages, COMET's model, memory.

    Args:
        languages: codes of the target languages that systems translate each set into.
        sets, metrics, resamples, tokenize: as in `score_systems`; only metrics that are named are looked at.

    Raises:
        UserError: for what is missing.
    """
    from nmt_rl.evaluation.metrics import check_metrics, warn_if_unspaced
    from nmt_rl.evaluation.resampling import check_resamples

    if "comet" in metrics:
        from nmt_rl.evaluation.comet import load_model

        load_model()
    for language in dict.fromkeys(itertools.chain(*languages)):
        check_metrics([name for name in metrics if name != "comet"], language, tokenize)
    for each, own in zip(sets, languages, strict=True):
        for language in dict.fromkeys(own):
            warn_if_unspaced(each.reference_name, each.references[0], language, tokenize)
    for each in sets:
        check_resamples(resamples, len(each.references[0]))


def score_systems(
    systems: Sequence[System],
    sets: Sequence[TestSet],
    metrics: Sequence[str],
    resamples: int = 0,
    seed: int = 12345,
    tokenize: str | None = None,
) -> list[Scores]:
    """Every system on every set.

    Args:
        systems: with translations of all sets.
        sets: the test sets.
        metrics: of `evaluation.metrics.LABELS`, and `comet`.
        resamples, seed: of the confidence intervals, which COMET has none of; see `corpus_scores`.
        tokenize: sacreBLEU's tokenizer for BLEU; None: the target language's.
    """
    from nmt_rl.evaluation.metrics import corpus_scores

    rows = []
    for system in systems:
        own = zip(sets, system.texts, system.target_languages, system.decodings, strict=True)
        for each, texts, language, decoding in own:
            scores = corpus_scores(
                texts,
                each.references,
                test_set=each.name,
                system=system.name,
                metrics=[name for name in metrics if name != "comet"],
                resamples=resamples,
                seed=seed,
                target_language=language,
                tokenize=tokenize,
                reference_name=each.reference_name,
            )
            if "comet" in metrics:
                from nmt_rl.evaluation.comet import comet_score

                comet = comet_score(each.sources, texts, each.references[0])
                scores = dataclasses.replace(scores, metrics=scores.metrics | {"comet": comet})
            rows.append(dataclasses.replace(scores, decoding=decoding))
    return rows


def score_sentences(
    systems: Sequence[System], sets: Sequence[TestSet], metrics: Sequence[str], tokenize: str | None = None
) -> list[SentenceScores]:
    """Every line of every system on every set; arguments as in `score_systems`."""
    from nmt_rl.evaluation.metrics import SentenceScores, sentence_scores

    tables = []
    for system in systems:
        own = zip(sets, system.texts, system.target_languages, system.decodings, strict=True)
        for each, texts, language, decoding in own:
            ours = [name for name in metrics if name != "comet"]
            found = sentence_scores(texts, each.references, ours, language, tokenize)
            if "comet" in metrics:
                from nmt_rl.evaluation.comet import comet_sentence_scores

                found["comet"] = comet_sentence_scores(each.sources, texts, each.references[0])
            ordered = {name: found[name] for name in metrics}
            tables.append(SentenceScores(system.name, each.name, ordered, decoding))
    return tables
