"""One tiny corpus, its recipe, and one whole tiny run that every test may read."""

import importlib
import logging
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

# Under JAX, XLA's optimizations of these tiny models take longer than the models run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

WORDS = {
    "hund": "dog", "katze": "cat", "vogel": "bird", "haus": "house", "baum": "tree", "sieht": "sees", "und": "and",
    "alter": "old", "kleiner": "little", "roter": "red", "läuft": "runs", "drei": "three",
}  # fmt: skip

RECIPE = """\
name: tiny
seed: 3
corpus:
  source_language: de
  target_language: en
  train: {folder}/train
  valid: {folder}/valid
  test: {folder}/test
tokenizer: {{vocabulary: 48, byte_fallback: false}}
model: {{type: transformer, encoder_layers: 1, decoder_layers: 1, width: 8, heads: 2, feed_forward: 8, dropout: 0.2}}
pretrain:
  updates: 24
  batch: {{type: sentences, size: 10}}
  optimizer: {{learning_rate: 0.02, warmup: 4}}
  validation: {{every: 4, metric: loss, patience: 10}}
  checkpoint_every: 3
  average: 2
  log_every: 2
finetune:
  method: {{type: dqn, steps: 2, monte_carlo: 0.25}}
  updates: 4
  sentences: 4
  optimizer: {{learning_rate: 0.001, warmup: 1, ema: 0.5}}
  cross_entropy: 0.1
  validation: {{every: 2, sentences: 4}}
  average: 2
  checkpoint_every: 1
  log_every: 1
decoding: {{tune_length: false, beam: 2, max_length_ratio: 1.0, max_length_extra: 4, max_source_length: 40}}
evaluation: {{bootstrap: 100}}
"""


def sentence_pair(draw):
    words = draw.choices(sorted(WORDS), k=draw.randint(2, 6))
    return " ".join(words), " ".join(WORDS[word] for word in words)


def pytest_collection_modifyitems(items):
    """A file with the tiny run comes first and the others later: one process trains it while the other goes on."""
    with_run = list(dict.fromkeys(item.path for item in items if "tiny_run" in getattr(item, "fixturenames", ())))
    others = [path for path in dict.fromkeys(item.path for item in items) if path not in with_run]
    half = len(others) // 2
    order = [*with_run[:1], *others[:half], *with_run[1:], *others[half:]]
    items.sort(key=lambda item: order.index(item.path))


@pytest.fixture
def script(request, monkeypatch):
    """The module of scripts/ that a test's module is named after."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    return importlib.import_module(request.module.__name__.removeprefix("test_"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Makes a folder once for all processes of the tests: shared(name, make) calls make(folder) if it is not there."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def once(name, make):
        with FileLock(base / f"{name}.lock"):
            if not (base / f"{name}.made").exists():
                (base / name).mkdir()
                make(base / name)
                (base / f"{name}.made").touch()
        return base / name

    return once


@pytest.fixture(scope="session")
def tiny_corpus(shared):
    """Folder with 60 pairs of word-for-word translations in train, 8 in valid and 8 in test; and the recipe."""
    return shared("corpus", make_corpus)


def make_corpus(folder):
    draw = random.Random(7)
    for split, size in {"train": 60, "valid": 8, "test": 8}.items():
        pairs = [sentence_pair(draw) for _ in range(size)]
        for language, lines in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "tiny.yaml").write_text(RECIPE.format(folder=folder), encoding="utf-8")


@pytest.fixture(scope="session")
def tiny_recipe(tiny_corpus):
    """Path of the tiny experiment's YAML file."""
    return tiny_corpus / "tiny.yaml"


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    recipe: Path


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe, shared):
    """The tiny experiment, prepared, pretrained, fine-tuned and reported; tests only read it."""
    from nmt_rl.config import load_config
    from nmt_rl.decoding.conversions import export_ctranslate2
    from nmt_rl.experiment import run_stages

    def make(folder):
        run_stages(load_config(str(tiny_recipe)), folder)
        export_ctranslate2(folder)  # Otherwise the first test that translates would, beside others that copy.

    return Run(shared("whole", make), tiny_recipe)


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys):
    """Run an nmt-rl command in this process, as the console script does: command("info", folder) -> Result."""
    from nmt_rl.cli.main import main

    logger = logging.getLogger("nmt_rl")

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["nmt-rl", *map(str, args)])
        capsys.readouterr()
        handlers, level = list(logger.handlers), logger.level
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            logger.handlers[:] = handlers
            logger.setLevel(level)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
