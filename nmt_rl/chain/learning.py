"""A chain in its folder: every domain is learnt from the model of the last, and every model scored on all domains.

CHAIN/chain.json             recipe, domains and ways; more domains and ways may be added
CHAIN/WAY/2-NAME, 3-NAME     runs of the steps
CHAIN/scores.json            scores of models on test sets, by hashes of both
CHAIN/matrix.json, matrix.png, report.html
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_rl.bundle import WEIGHTS, bundle_folder, read_bundle_config
from nmt_rl.chain.spec import BY_DOMAIN, Chain
from nmt_rl.config import Config, first_difference
from nmt_rl.config.chain import DomainConfig, WayConfig, folder_name
from nmt_rl.config.stages import shared
from nmt_rl.corpus.sources import read_pairs, target_language
from nmt_rl.errors import UserError
from nmt_rl.evaluation.chain_page import ChainScores, WayScores, write_chain
from nmt_rl.experiment import pretrain_stage
from nmt_rl.results import read_result
from nmt_rl.storage.hashes import file_hash
from nmt_rl.storage.lock import held
from nmt_rl.storage.outputs import folder_error
from nmt_rl.storage.ownership import is_marked, mark, strangers
from nmt_rl.storage.reading import must_be, read_json
from nmt_rl.storage.streams import from_home
from nmt_rl.storage.writing import write_json

logger = logging.getLogger("nmt_rl")

RECORD, SCORES = "chain.json", "scores.json"


@dataclass(frozen=True)
class TestText:
    """The test set of a domain."""

    __test__ = False
    name: str
    language: str
    """Code of the target language."""
    sources: list[str]
    references: list[str]

    @property
    def hash(self) -> str:
        """Of both sides and the language."""
        text = json.dumps([self.language, self.sources, self.references], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def learn(chain: Chain, folder: Path) -> ChainScores:
    """Go through a chain by all its ways, as far as that is not done, and write what came of it.

    Raises:
        UserError: for text that cannot be read, or a folder of something else; before anything is trained.
    """
    start, first = bundle_folder(from_home(chain.start)), chain.experiment(WayConfig(), 1)
    tests = [_read_test(domain, first) for domain in chain.section.domains]
    import nmt_rl.backend  # noqa: F401 Which says what is wrong with it before anything is written.

    try:
        with held(folder):
            _begin(chain, folder, first, start)
            scorer = _Scorer(folder / SCORES, tests, first.score)
            ways = [_go(chain, folder, way, start, scorer) for way in chain.section.ways]
            names, notes = [test.name for test in tests], (scorer.signatures, scorer.decodings)
            scores = ChainScores(first.name, first.score, names, ways, *notes)
            write_chain(folder, scores)
    except OSError as error:
        raise folder_error(folder, "--out", error) from error
    return scores


def _go(chain: Chain, folder: Path, name: str, start: Path, scorer: _Scorer) -> WayScores:
    """One way from the first to the last domain."""
    way, model, seconds = chain.section.ways[name], start, 0.0
    rows = [scorer.row(start)]
    for step, domain in enumerate(chain.section.domains[1:], start=1):
        logger.info("%s: %s, domain %d of %d", name, domain.name, step + 1, len(chain.section.domains))
        run = folder / folder_name(name) / f"{step + 1}-{folder_name(domain.name)}"
        run.parent.mkdir(exist_ok=True)
        result = read_result(run / "pretrain") if (run / "model" / WEIGHTS).exists() else None
        result = result or pretrain_stage(chain.experiment(way, step, str(model.resolve())), run)
        seconds, model = seconds + float(result["seconds"]), run / "model"
        rows.append(scorer.row(model))
    return WayScores(name, rows, seconds / 60)


class _Scorer:
    """Scores models on all test sets, each once.

    Args:
        path: of the scores that are known.
        tests: the test sets.
        metric: the name of a metric.
    """

    def __init__(self, path: Path, tests: Sequence[TestText], metric: str) -> None:
        self.path, self.tests, self.metric = path, tests, metric
        self.known: dict[str, dict[str, Any]] = must_be(read_json(path), dict, str(path)) if path.exists() else {}
        self._signatures: dict[str, None] = {}
        self._decodings: dict[str, None] = {}

    @property
    def signatures(self) -> list[str]:
        return list(self._signatures)

    @property
    def decodings(self) -> list[str]:
        return list(self._decodings)

    def row(self, folder: Path) -> list[float]:
        """Scores of a model on each test set."""
        decoding = read_bundle_config(folder)[0].decoding.summary()
        model = f"{file_hash(folder / WEIGHTS)} {self.metric} {decoding}"
        of_model = self.known.setdefault(model, {})
        missing = [test for test in self.tests if test.hash not in of_model]
        if missing:
            of_model |= self._scored(folder, missing)
            write_json(self.path, self.known)
        found = [of_model[test.hash] for test in self.tests]
        self._signatures |= dict.fromkeys(str(each["signature"]) for each in found)
        self._decodings[decoding] = None
        return [float(each["value"]) for each in found]

    def _scored(self, folder: Path, tests: Sequence[TestText]) -> dict[str, dict[str, Any]]:
        from nmt_rl.decoding.translator import Translator
        from nmt_rl.evaluation.metrics import corpus_scores

        translator, found = Translator.from_folders([folder]), {}
        for test in tests:
            texts = [each.text for each in translator.translate(test.sources)]
            scores = corpus_scores(
                texts,
                [test.references],
                test_set=test.name,
                metrics=[self.metric],
                target_language=test.language,
                reference_name=f"the test set of {test.name}",
            ).metrics[self.metric]
            found[test.hash] = {"value": scores.value, "signature": scores.signature}
        return found


def _read_test(domain: DomainConfig, config: Config) -> TestText:
    pairs = list(read_pairs(domain.test, config.corpus, "test"))
    if not pairs:
        raise UserError(f"the test set of domain {domain.name}, {domain.test.origin}, is empty")
    language = target_language(domain.test, config.corpus)
    return TestText(domain.name, language, [source for source, _ in pairs], [target for _, target in pairs])


def _begin(chain: Chain, folder: Path, first: Config, start: Path) -> None:
    """Make the folder the chain's, or see that it is: ways and, at the end, domains may be new.

    Raises:
        UserError: if it was begun otherwise, or is not nmt-rl's.
    """
    recipe = first.model_dump(mode="json")
    recipe["corpus"] = {key: value for key, value in recipe["corpus"].items() if key not in BY_DOMAIN}
    recipe["tokenizer"].pop("model")  # Files of the model that it starts from, whose hash binds.
    recipe["pretrain"] = {key: value for key, value in recipe["pretrain"].items() if key not in ("start", "keep")}
    section = chain.section.model_dump(mode="json", exclude_unset=True)
    domains = {str(place): domain for place, domain in enumerate(section["domains"], start=1)}
    now = {"recipe": recipe, "start": file_hash(start / WEIGHTS), "domains": domains, "ways": section.get("ways", {})}
    path = folder / RECORD
    if not path.exists():
        if not is_marked(folder) and (found := next(strangers(folder, ()), None)):
            raise UserError(f"--out {folder} holds {found}, which is not of a chain; give another folder")
        mark(folder, "chain")
    else:
        old = read_json(path)
        if changed := first_difference(_in_both(old, now), _in_both(now, old)):
            raise UserError(f"{folder} is of a chain with other settings ({changed}); give --out another folder")
        for key in ("domains", "ways"):
            now[key] = {**old[key], **now[key]}
    write_json(path, now)


def _in_both(record: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What of a record the other one has as well: domains and ways by their names, keys of the recipe."""
    listed = {
        key: {name: each for name, each in record[key].items() if name in other[key]} for key in ("domains", "ways")
    }
    return {**record, **listed, "recipe": shared(record["recipe"], other["recipe"])}
