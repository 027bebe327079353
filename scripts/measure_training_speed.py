"""CPU seconds per training update of a small Transformer on Multi30k de-en, start-up removed, beside OpenNMT-tf.

    python scripts/measure_training_speed.py MULTI30K_DIR [--peer FOLDER] [--precision float32] [--rounds 2]

MULTI30K_DIR holds train.de, train.en, val.de and val.en. FOLDER holds OpenNMT-tf installed in ./venv-onmttf and a
`measure.sh` that, called with `onmttf`, prints a line `onmttf SECONDS CPU s per update`. Both train 3+3 layers, d=256,
ff=1024, 4 heads, 8k joint pieces, tied target embedding, dropout 0.1, label smoothing 0.1, 128 pairs per update, on
one thread of one core. The cost of an update is (CPU seconds with MANY updates - CPU seconds with FEW) / (MANY - FEW).
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FEW, MANY = 5, 25
RECIPE = "multi30k-de-en-transformer"
SIZES = ("model.encoder_layers=3", "model.decoder_layers=3", "model.width=256", "model.heads=4")
SETTINGS = (
    *SIZES,
    "model.feed_forward=1024",
    "model.tie=target",
    "model.dropout=0.1",
    "tokenizer.vocabulary=8000",
    "pretrain.label_smoothing=0.1",
    "pretrain.batch.type=sentences",
    "pretrain.batch.size=128",
)


def main() -> None:
    """Measure nmt-rl and the peer by turns and print seconds, ratio, date and machine."""
    arguments = _arguments()
    if arguments.child:
        return train(arguments.data, Path(arguments.child), arguments.updates, arguments.precision)
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        child = [sys.executable, __file__, str(arguments.data), "--precision", arguments.precision, "--child", folder]
        _cpu_seconds([*child, "--updates", "0"], arguments.cpu)  # prepares the corpus
        for _ in range(arguments.rounds):
            few, many = (_cpu_seconds([*child, "--updates", str(n)], arguments.cpu) for n in (FEW, MANY))
            ours.append((many - few) / (MANY - FEW))
            print(f"nmt-rl {arguments.precision} {ours[-1]:.2f} CPU s per update", flush=True)
            if arguments.peer:
                peers.append(_peer_seconds(arguments.peer))
                print(f"OpenNMT-tf {peers[-1]:.2f} CPU s per update", flush=True)
    print(f"{datetime.date.today()}, {_processor()}, one thread, median of {arguments.rounds}")
    print(f"nmt-rl {arguments.precision}: {statistics.median(ours):.2f} CPU s per update")
    if peers:
        ratio = statistics.median(ours) / statistics.median(peers)
        print(f"OpenNMT-tf: {statistics.median(peers):.2f} CPU s per update; ratio {ratio:.2f}")


def train(data: Path, run: Path, updates: int, precision: str) -> None:
    """Make so many updates as `nmt-rl pretrain` makes them, without validation; prepares the corpus in `run` first."""
    from nmt_rl.backend import is_jax, limit_threads
    from nmt_rl.config import load_config
    from nmt_rl.corpus.prepare import prepare
    from nmt_rl.models.build import build_model
    from nmt_rl.training.learner import Learner
    from nmt_rl.training.losses import CrossEntropy
    from nmt_rl.training.pretrain import CorpusTrainer

    if not is_jax():
        limit_threads(1)
    sources = (f"corpus.train={data / 'train'}", f"corpus.valid={data / 'val'}", "corpus.test=null")
    config = load_config(RECIPE, [*sources, *SETTINGS, f"pretrain.precision={precision}"])
    prepared = prepare(config, run)
    settings, tokenizers = config.pretrain, prepared.tokenizers
    if not updates:
        return
    model = build_model(config.model, tokenizers.source.size, tokenizers.target.size, config.seed, precision)
    learner = Learner(model, CrossEntropy(settings.label_smoothing), settings.optimizer, precision)
    trainer = CorpusTrainer(learner, prepared.train, config, tokenizers, model.max_length)
    for step in range(updates):
        trainer.update(step + 1, settings.optimizer.learning_rate)
    trainer.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with train.de, train.en, val.de, val.en")
    parser.add_argument("--peer", type=Path, help="folder with venv-onmttf and measure.sh")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each, by turns")
    parser.add_argument("--cpu", type=int, default=0, help="core to run on")
    parser.add_argument("--updates", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _cpu_seconds(command: list[str], cpu: int) -> float:
    """User and system seconds of a command on one core and one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    subprocess.run(["taskset", "-c", str(cpu), *command], check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _peer_seconds(folder: Path) -> float:
    done = subprocess.run(["./measure.sh", "onmttf"], cwd=folder, check=True, capture_output=True, text=True)
    found = re.search(r"onmttf ([\d.]+) CPU s per update", done.stdout)
    if found is None:
        raise SystemExit(f"{folder}/measure.sh printed no seconds: {done.stdout or done.stderr}")
    return float(found[1])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
