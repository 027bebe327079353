"""Compare methods of fine-tuning on one system, from pretraining to corrected p-values.

Usage: python scripts/compare_methods.py SPEC OUT [--data DIR] [--pretrained RUN] [--only STAGE ...]
                                          [--methods NAME ...] [--jobs N]

SPEC is a file such as comparisons/multi30k-de-en-transformer.yaml; DATA in it stands for DIR. Stages, each skipped
where it is done, so that the same command goes on after a kill; every run on one thread, N runs at a time:

    pretrain    the recipe's model; or RUN's with RUN's settings, its length tuned if it was not: OUT/pretrained
    calibrate   processor seconds of a few updates of every trial, which say how many fill a budget: calibration.json
    trials      every trial of every method with the first seed; validation BLEU (greedy, length-tuned) chooses one
    seeds       the chosen trial with every seed
    test        the pretrained model and all seeds translate the test sets, greedily and with beam 5: OUT/translations
    statistics  seeds pooled, p by bootstrap over sentences and seeds, two-sided, Holm over each table: OUT/results.json

Only `test` reads a test set. make_results.py makes tables of several OUT/results.json.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from comparison import (
    DECODINGS,
    SIDES,
    TIMED,
    TRIAL_LINES,
    VALIDATIONS,
    WARM,
    Cost,
    Folder,
    cost_key,
    read_json,
    read_spec,
    write_json,
)
from comparison_results import collect

SHARED = ("corpus", "tokenizer.model", "tokenizer.source.model", "tokenizer.target.model")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def pretrain(folder: Folder, given: Path | None) -> None:
    """Make OUT/pretrained: a run with a pretrained model whose length is tuned.

    Args:
        folder: the comparison's.
        given: a run that holds the model already.
    """
    from nmt_rl.config import dump_config, load_config

    run = folder.pretrained
    if not folder.recipe.exists():
        whole = dump_config(load_config(folder.spec.recipe, folder.spec.set)) if given is None else ""
        tree = yaml.safe_load(whole or (Path(given or "") / "config.yaml").read_text(encoding="utf-8"))
        # A trial is what its settings say, whatever the recipe fine-tunes by.
        plain = {key: value for key, value in tree.items() if key != "finetune"}
        folder.recipe.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    if given is None:
        nmt_rl("pretrain", folder.recipe, "--out", run, log=folder.path / "pretrain.log")
    elif not (run / "pretrain").exists():
        run.mkdir(exist_ok=True)
        link(given, run, SHARED)
        unneeded = shutil.ignore_patterns("checkpoints", "snapshots", "ctranslate2*")
        shutil.copytree(given / "pretrain", run / "pretrain.part", ignore=unneeded, dirs_exist_ok=True)
        (run / "pretrain.part").rename(run / "pretrain")
    if not read_json(run / "pretrain" / "result.json").get("length"):
        alone(tune_pretrained, folder.recipe, run)


def tune_pretrained(recipe: Path, run: Path) -> None:
    """Give a pretrained model its word reward and length penalty, as `nmt-rl pretrain` does at its end."""
    from nmt_rl.bundle import load_bundle, save_bundle
    from nmt_rl.config import load_config
    from nmt_rl.corpus.prepared import open_prepared
    from nmt_rl.training.length import tune_length
    from nmt_rl.training.validation import whole_validation

    config, path = load_config(str(recipe)), run / "pretrain" / "result.json"
    prepared, bundle = open_prepared(config, run), load_bundle(run / "pretrain" / "model")
    config, length = tune_length(bundle.model, prepared, config)
    if not length:
        sys.exit(f"{recipe}: decoding leaves no length to tune; every system of a comparison is tuned")
    result = read_json(path) | {"valid": whole_validation(bundle.model, prepared, config), "length": length}
    card = bundle.card | {"result": {key: value for key, value in result.items() if key != "limits"}}
    save_bundle(run / "pretrain" / "model", config, bundle.tokenizers, bundle.model, card)
    write_json(path, result)


def calibrate(folder: Folder) -> None:
    """Find what updates of each trial cost."""
    trials = {cost_key(trial): trial for own in folder.methods.values() for trial in own}

    def measure(key: str) -> None:
        say("calibrate", key)
        cost = alone(cost_of_updates, folder.recipe, folder.pretrained, trials[key])
        with lock:
            write_json(folder.path / "calibration.json", folder.costs() | {key: asdict(cost)})

    lock = threading.Lock()
    at_once(folder.jobs, measure, [key for key in trials if key not in folder.costs()])


def cost_of_updates(recipe: Path, run: Path, settings: Sequence[str]) -> Cost:
    """What updates of a run's pretrained model cost."""
    from nmt_rl.bundle import load_bundle
    from nmt_rl.config import DQNConfig, load_config
    from nmt_rl.corpus.prepared import open_prepared
    from nmt_rl.rl.family import build_family
    from nmt_rl.rl.finetune import make_agent
    from nmt_rl.rl.reward import make_reward

    changes = [f"finetune.{each}" for each in settings]
    method = load_config(str(recipe), changes).finetune.method
    # It plays before the first update of so many.
    cycle = method.replay.ratio * method.replay.batches if isinstance(method, DQNConfig) else 1
    warm, timed = max(WARM, cycle), -(-TIMED // cycle) * cycle
    # What is logged is compiled in the first updates, too.
    length = (f"finetune.updates={warm + timed}", f"finetune.log_every={WARM}")
    config = load_config(str(recipe), [*changes, *length])
    prepared = open_prepared(config, run)
    frozen = load_bundle(run / "pretrain" / "model", config.finetune.precision).model
    frozen.trainable = False
    reward = make_reward(config.finetune.reward, prepared.tokenizers.target, config.corpus.target_language)
    agent, began = make_agent(build_family(config, frozen, prepared, reward)), [time.process_time()]
    for step in range(1, warm + timed + 1):
        agent.update(step, config.finetune.optimizer.learning_rate)
        began.append(time.process_time())
    return Cost(warm, round(began[warm] - began[0], 3), round((began[-1] - began[warm]) / timed, 4))


def trials(folder: Folder) -> None:
    """Fine-tune by every trial of methods that have several, the first ones of all methods first."""
    tried = {name: own for name, own in folder.methods.items() if len(own) > 1}
    most, minutes = max(map(len, tried.values()), default=0), folder.spec.trial_budget or folder.spec.budget
    places = [(name, place) for place in range(most) for name, own in tried.items() if place < len(own)]
    few = [] if folder.spec.trial_budget is None else [f"validation.sentences={TRIAL_LINES}"]

    def run(method: str, place: int) -> None:
        own, path = folder.methods[method][place], folder.trial(method, place)
        finetune(folder, path, [*own, *few], minutes, folder.spec.seeds[0])

    at_once(folder.jobs, run, [name for name, _ in places], [place for _, place in places])


def seeds(folder: Folder) -> None:
    """Fine-tune by the chosen trials with every seed."""
    chosen = {method: folder.chosen(method) for method in folder.methods}

    def run(seed: int, method: str) -> None:
        place = chosen[method]
        own, path = folder.methods[method][place], folder.run(method, place, seed)
        finetune(folder, path, own, folder.spec.budget, seed)

    at_once(folder.jobs, run, *zip(*itertools.product(folder.spec.seeds, chosen), strict=True))


def finetune(folder: Folder, run: Path, own: Sequence[str], minutes: float, seed: int) -> None:
    """Fine-tune to the end, unless that is done."""
    updates = folder.updates(own, minutes)
    every = updates // VALIDATIONS
    settings = [*own, f"updates={updates}", f"validation.every={every}", f"checkpoint_every={every}", f"seed={seed}"]
    kept = run / "settings.json"
    if kept.exists() and read_json(kept) != settings:
        sys.exit(f"{run} was made with other settings ({kept}); move it away, or give another OUT")
    run.mkdir(parents=True, exist_ok=True)
    write_json(kept, settings)
    if not (run / "finetune" / "result.json").exists():
        link(folder.pretrained, run, (*SHARED, "pretrain"))
        say(run.name, " ".join(settings))
        changes = [word for setting in settings for word in ("--set", f"finetune.{setting}")]
        nmt_rl("finetune", folder.recipe, "--out", run, *changes, log=run / "log")


def test(folder: Folder) -> None:
    """Translate every test set; source and reference lie beside the translations."""
    from nmt_rl.config import SourceSpec, load_config
    from nmt_rl.corpus.sources import read_pairs

    corpus = load_config(str(folder.recipe)).corpus
    (folder.path / "translations").mkdir(exist_ok=True)
    for name, spec in zip(folder.spec.test_names(), folder.spec.tests, strict=True):
        pairs = list(read_pairs(SourceSpec.model_validate(spec), corpus, "test"))
        for side, lines in zip(SIDES, zip(*pairs, strict=True), strict=True):
            folder.text(name, side).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for stage in (stage for stages in folder.systems().values() for stage in stages):
            for how, beam in DECODINGS.items():
                path = folder.translation(stage, name, how)
                if not path.exists():
                    files = ("--input", folder.text(name, "source"), "--output", path)
                    nmt_rl("translate", stage / "model", "--beam", beam, *files, log=folder.path / "test.log")


def statistics(folder: Folder) -> None:
    """Put everything into OUT/results.json."""
    from nmt_rl.config import load_config

    corpus = load_config(str(folder.recipe)).corpus
    write_json(folder.path / "results.json", collect(folder, corpus.source_language, corpus.target_language))
    say("results in", str(folder.path / "results.json"))


STAGES: dict[str, Callable[[Folder], None]] = {
    "calibrate": calibrate,
    "trials": trials,
    "seeds": seeds,
    "test": test,
    "statistics": statistics,
}
"""Behind `pretrain`."""


def at_once(jobs: int, function: Callable[..., None], *arguments: Sequence[Any]) -> None:
    """Call a function as `map` does, some calls at a time; the first that fails ends what has not begun."""
    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        for _ in pool.map(function, *arguments):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def link(source: Path, run: Path, names: Sequence[str]) -> None:
    """Let a run share parts of another one."""
    for name in names:
        if (source / name).exists() and not (run / name).exists():
            (run / name).symlink_to((source / name).resolve())


def nmt_rl(*arguments: Any, log: Path) -> None:
    """Run nmt-rl; end with its log if it fails."""
    with log.open("a") as out:
        done = subprocess.run([sys.executable, "-m", "nmt_rl", *map(str, arguments)], stdout=out, stderr=out)
    if done.returncode:
        sys.exit(f"nmt-rl {arguments[0]} failed, see {log}:\n{log.read_text(encoding='utf-8')[-2000:]}")


def say(*words: str) -> None:
    """Tell the terminal what is done."""
    print(time.strftime("%H:%M"), *words, file=sys.stderr, flush=True)


def main() -> None:
    """Run the stages."""
    stages = ["pretrain", *STAGES]
    parser = argparse.ArgumentParser(description="Compare methods of fine-tuning; see the head of this file.")
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="DATA", help="folder that DATA in SPEC stands for")
    parser.add_argument("--pretrained", type=Path, metavar="RUN", help="run with the pretrained model")
    parser.add_argument("--only", nargs="+", choices=stages, default=stages, metavar="STAGE", help=", ".join(stages))
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="of SPEC's; all stages are of these alone")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time (1); a core for each")
    arguments = parser.parse_args()
    try:
        spec = read_spec(arguments.spec, arguments.data)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        parser.error(f"{arguments.spec}: {error!r}")
    methods = arguments.methods or list(spec.methods)
    if unknown := [name for name in methods if name not in spec.methods]:
        parser.error(f"there is no method {unknown[0]}; known: {', '.join(spec.methods)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    folder, path = Folder(spec, arguments.out, methods, arguments.jobs), arguments.out / "seconds.json"
    for stage in (stage for stage in stages if stage in arguments.only):
        began = time.monotonic()
        try:
            pretrain(folder, arguments.pretrained) if stage == "pretrain" else STAGES[stage](folder)
        finally:
            seconds = read_json(path) if path.exists() else {}
            write_json(path, seconds | {stage: round(seconds.get(stage, 0.0) + time.monotonic() - began, 1)})


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
