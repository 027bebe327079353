"""Speed of the rewards on one core, in processor time: pieces per second of episodes, sentences per second of scores.

    python scripts/measure_reward_speed.py [--run RUN] [--text FILE] [--sentences 1500]

Hypotheses are lines of FILE (one detokenised sentence a line; the English side of the quickstart corpus by default)
with 15% of their pieces replaced at random; the lines themselves are the references. RUN is a run folder whose target
tokenizer is used; without it one is trained on FILE. "first" is the first pass over the sentences, with cold caches of
words; "again" the best of three further ones (other metrics than BLEU remember values, so theirs would say nothing).
"episode" is called for one translation at a time, "episodes" for 64, "scores" for 150.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nmt_rl.config import RewardConfig, TokenizerConfig
from nmt_rl.corpus.tokenizer import EOS, Tokenizer, Tokenizers, train_tokenizer
from nmt_rl.rl.reward import make_reward

QUICKSTART = Path(__file__).parents[1] / "data" / "quickstart" / "train.en"
VOCABULARY = 3000
UPDATE = 150
"""Sentences that one update of forks scores together."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--text", type=Path, default=QUICKSTART)
    parser.add_argument("--sentences", type=int, default=1500)
    arguments = parser.parse_args()
    lines = arguments.text.read_text(encoding="utf-8").splitlines()
    train = TokenizerConfig(vocabulary=VOCABULARY)
    tokenizer = Tokenizers.load(arguments.run).target if arguments.run else train_tokenizer(lines, train)
    references = lines[: arguments.sentences]
    pieces = _damage(tokenizer.encode(references), tokenizer.size)
    texts, count = tokenizer.decode(pieces), sum(map(len, pieces))
    print(f"{datetime.date.today()}, {_processor()}, Python {platform.python_version()}, one core, processor time")
    print(f"{arguments.text.name}: {len(references):,} sentences, {count:,} pieces, vocabulary {tokenizer.size:,}")
    for metric in ("bleu", "chrf", "ter"):
        config = RewardConfig(metrics={metric: 1.0})
        for name, number, work in (
            ("scores", len(texts), _work(config, tokenizer, "scores", texts, references, UPDATE)),
            ("episode", count, _work(config, tokenizer, "episodes", pieces, references, 1)),
            ("episodes", count, _work(config, tokenizer, "episodes", pieces, references, 64)),
        ):
            first, *again = (_seconds(work) for _ in range(4 if metric == "bleu" else 1))
            further = f", again {number / min(again):9,.0f}" if again else ""
            unit = "sentences" if name == "scores" else "pieces"
            print(f"{metric:5} {name:9} first {number / first:9,.0f}{further} {unit}/s")


def _work(
    config: RewardConfig, tokenizer: Tokenizer, method: str, hypotheses: list[Any], lines: list[str], together: int
) -> Callable[[], None]:
    """Calls a method of a fresh reward with so many hypotheses and references at a time."""
    reward = make_reward(config, tokenizer)
    references = reward.references(lines)

    def work() -> None:
        for i in range(0, len(hypotheses), together):
            getattr(reward, method)(hypotheses[i : i + together], references[i : i + together])

    return work


def _seconds(work: Callable[[], None]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _damage(rows: list[list[int]], size: int) -> list[list[int]]:
    """The rows with 15% of their pieces replaced, and EOS behind them."""
    rng = np.random.default_rng(0)
    return [[int(rng.integers(EOS + 1, size)) if rng.random() < 0.15 else i for i in row] + [EOS] for row in rows]


def _processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
