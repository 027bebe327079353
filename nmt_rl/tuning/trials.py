"""What a trial is: validation translated by other settings, or a run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmt_rl.bundle import read_bundle_config
from nmt_rl.config import Config, dump_config
from nmt_rl.corpus.prepared import TOKENIZERS, open_prepared
from nmt_rl.corpus.sources import target_language
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Translator
from nmt_rl.errors import RunError, UserError
from nmt_rl.evaluation.metrics import corpus_scores, sentence_bleu
from nmt_rl.evaluation.plots import read_events
from nmt_rl.results import read_result
from nmt_rl.storage.writing import write_text

PORTION = 16
"""Lines whose mean sentence BLEU is told at a time."""
TOGETHER = 4 * PORTION
"""Lines that are translated at a time; a trial that is given up has translated three portions in vain at most."""
WAIT = 0.5
"""Seconds between two looks at a run."""

Report = Callable[[float, int], bool]
"""Tells (score, step) of a trial; whether it is to be given up."""


class Pruned(Exception):
    """The trial was given up: it will hardly become the best."""


@dataclass
class DecodingTrials:
    """Validation translated by a finished model with other settings of `decoding`.

    Args:
        run: holds the model, and the validation text.
        config: its experiment.
        folder: for what a trial needs while it translates.
    """

    run: Path
    config: Config
    folder: Path

    def __post_init__(self) -> None:
        """Read the text, and how the model translates by itself."""
        self.own = read_bundle_config(self.run / "model")[0].decoding
        pairs = open_prepared(self.config, self.run).valid
        order = np.random.default_rng(self.config.seed).permutation(len(pairs))
        self.sources, self.references = [pairs[i][0] for i in order], [pairs[i][1] for i in order]

    def measure(self, config: Config, number: int, report: Report) -> float:
        """The score of a trial by the metric of the task; raises Pruned."""
        settings, own = config.decoding.model_dump(), self.own.model_dump()
        request = Request({key: value for key, value in settings.items() if value != own[key]})
        with self._links() as model:
            return self._score(Translator.from_folders([model], request), config, report)

    @contextmanager
    def _links(self) -> Iterator[Path]:
        """The model by links, so that what is converted of it with other settings goes when the trial has ended."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            for path in (self.run / "model").resolve().iterdir():
                if path.is_file():
                    (Path(name) / path.name).symlink_to(path)
            yield Path(name)

    def _score(self, translator: Translator, config: Config, report: Report) -> float:
        texts: list[str] = []
        valid = config.corpus.valid[0]
        language, name = target_language(valid, config.corpus), valid.label
        for step, start in enumerate(range(0, len(self.sources), PORTION)):
            part = slice(start, start + PORTION)
            if start == len(texts):
                texts += [found.text for found in translator.translate(self.sources[start : start + TOGETHER])]
            each = sentence_bleu(texts[part], self.references[part], language)
            if report(float(np.mean(each)), step):
                raise Pruned
        metric = config.score
        scores = corpus_scores(texts, self.references, test_set=name, metrics=[metric], target_language=language)
        return scores.values[metric]


@dataclass
class TrainingTrials:
    """Runs of a stage, each in a folder and a process of its own, which share what does not depend on the space.

    Args:
        stage: `pretrain` or `finetune`.
        folder: of the trials' runs.
        shared: a run whose corpus, and for fine-tuning its pretrained model, all of them take; None: each prepares.
    """

    stage: str
    folder: Path
    shared: Path | None

    def measure(self, config: Config, number: int, report: Report) -> float:
        """The score on validation at the end of the stage; raises Pruned, and RunError if it fails."""
        run, recipe = self.folder / f"{number:04d}", self.folder / f"{number:04d}.yaml"
        run.mkdir(parents=True, exist_ok=True)
        if self.shared is not None:
            share(self.shared, run, pretrained=self.stage == "finetune")
        write_text(recipe, dump_config(config))
        log = self.folder / f"{number:04d}.log"
        command = [sys.executable, "-m", "nmt_rl", self.stage, str(recipe), "--out", str(run)]
        with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                self._watch(process, run, config, report)
            finally:
                if process.poll() is None:
                    process.terminate()
        if process.returncode:
            last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise RunError(f"trial {number} failed: {last} ({log})")
        result = read_result(run / self.stage)
        assert result is not None
        return float(result["valid"][config.score])

    def _watch(self, process: subprocess.Popen[bytes], run: Path, config: Config, report: Report) -> None:
        """Tell every validation as it comes, until the process ends."""
        every = getattr(config, self.stage).validation.every
        told: set[int] = set()
        while True:
            ended = process.poll() is not None
            for step, score in validations(run / "metrics.jsonl", self.stage, config.score):
                if step and step not in told:
                    told.add(step)
                    if report(score, round(step / every)) and not ended:
                        raise Pruned
            if ended:
                return
            time.sleep(WAIT)


def validations(path: Path, stage: str, metric: str) -> Iterator[tuple[int, float]]:
    """Updates and scores of the validations in a run's diary."""
    for event in read_events(path):
        if event.get("stage") == stage and event.get("event") == "valid" and metric in event:
            yield int(event["step"]), float(event[metric])


def share(source: Path, run: Path, pretrained: bool) -> None:
    """Let a run have the corpus of another one, and its pretrained model."""
    names: Sequence[str] = ("corpus", *TOKENIZERS, *(["pretrain"] if pretrained else []))
    for name in names:
        if (source / name).exists() and not os.path.lexists(run / name):
            (run / name).symlink_to((source / name).resolve())


def must_have(run: Path | None, stage: str) -> Path:
    """The run that trials start from; raises UserError if there is none, or it has not come so far."""
    what = {"decoding": "a finished model", "finetune": "a pretrained model"}[stage]
    if run is None:
        raise UserError(f"to search {stage}, give --run RUN with {what}")
    if not (run / ("model" if stage == "decoding" else "pretrain/model")).is_dir():
        raise UserError(f"--run {run} holds no {what.removeprefix('a ')}")
    return run
