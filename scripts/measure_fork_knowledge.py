"""How much of a fork's value can be known from the source: by the model's probabilities, and by its own samples.

Usage: python scripts/measure_fork_knowledge.py RUN OUT.json [--samples 16] [--sentences 1014] [--temperature 1.0]

RUN holds a pretrained model and its corpus. Of validation sentences the greedy translation and forks of it (runner-up
above 0.05, five a sentence) are played to their end. The truth is the difference of the reward between both, against
the reference. Beside it stands what needs no reference: log-probabilities and position; and the difference of the mean
reward against samples of the model itself, the expected utility of minimum Bayes risk decoding, as an estimate of Q.
Writes and prints for 2, 4, ... samples: explained variance of the truth by linear fits (five folds of sentences),
how often the samples prefer the runner-up, and how much better it then is, with a 95 % interval over sentences.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np

SIDES = ("source", "target")
PER_SOURCE = 5
PROBABILITY = 0.05


def play(run: Path, sentences: int, samples: int, temperature: float) -> dict[str, np.ndarray]:
    """`sentence` [forks], `known` [forks, 4], `truth` [forks] and `opinions` [forks, samples]."""
    from nmt_rl.bundle import load_bundle
    from nmt_rl.config import RewardConfig
    from nmt_rl.corpus.batches import pad_source
    from nmt_rl.decoding.generator import Generator
    from nmt_rl.rl.fork_actor import choose_forks
    from nmt_rl.rl.padding import source_limits
    from nmt_rl.rl.reward import make_reward

    bundle = load_bundle(run / "pretrain" / "model", "bfloat16")
    model, decoding, target = bundle.model, bundle.config.decoding, bundle.tokenizers.target
    texts = [(run / "corpus" / f"valid.{side}").read_text(encoding="utf-8").split("\n")[:sentences] for side in SIDES]
    source_ids = bundle.tokenizers.source.encode(texts[0])
    reward = make_reward(RewardConfig(), target, bundle.config.corpus.target_language)
    greedy, go_on, sampler = Generator(model, alternatives=1), Generator(model), Generator(model)
    found: dict[str, list[Any]] = {"sentence": [], "known": [], "truth": [], "opinions": []}
    order, rng = sorted(range(len(source_ids)), key=lambda i: len(source_ids[i])), np.random.default_rng(1)
    for own in (order[i : i + 64] for i in range(0, len(order), 64)):
        source = pad_source([source_ids[i] for i in own], max(len(source_ids[i]) for i in own) + 1)
        limits = source_limits(source, decoding, model.max_length)
        path = greedy(source, limits)
        assert path.alternatives is not None and path.alternative_probs is not None
        row, time = choose_forks(path.alternative_probs[..., 0], path.lengths, PER_SOURCE, PROBABILITY, rng)
        forked = go_on.continue_from(source, path.ids, row, time, path.alternatives[row, time, 0], limits[row])
        both = [target.decode(played.ids) for played in (path, forked)]
        each = np.repeat(np.arange(len(own)), samples)
        drawn = target.decode(sampler(source[each], limits[each], temperature=temperature, seed=own[0] + 1).ids)
        references = reward.references([texts[1][i] for i in own])
        opinions = reward.references(drawn)

        runner_up = np.log(path.alternative_probs[row, time, 0])
        best, share = path.log_probs[row, time], time / path.lengths[row]
        found["sentence"].append(np.array(own)[row])
        found["known"].append(np.column_stack([best, runner_up, time, share]))
        found["truth"].append(gains(reward, both, row, references, 1)[:, 0])
        found["opinions"].append(gains(reward, both, row, opinions, samples))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def gains(reward: Any, both: list[list[str]], row: np.ndarray, judges: list[Any], many: int) -> np.ndarray:
    """What the greedy translation is worth less what the fork is, by each of many judges of a sentence; [forks, many].

    Args:
        reward: scores texts against judges.
        both: greedy translations [sentences], and forks [forks].
        row: sentence of each fork.
        judges: references as the reward takes them, `many` of each sentence.
        many: of them.
    """
    worth, sentences = [], (range(len(both[0])), row.tolist())
    for lines, rows in zip(both, sentences, strict=True):
        against = [judges[i * many + k] for i in rows for k in range(many)]
        worth.append(reward.scores([text for text in lines for _ in range(many)], against).reshape(-1, many))
    return worth[0][row] - worth[1]


def table(forks: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A row for every number of samples."""
    from nmt_rl.rl.diagnostics import clustered_mean, correlation, explained_by

    sentence, known, truth = forks["sentence"], forks["known"], forks["truth"]
    rows: list[dict[str, Any]] = [{"samples": 0, "explained": explained_by(known, truth, sentence)}]
    for count in (2**k for k in range(1, 10) if 2**k <= forks["opinions"].shape[1]):
        q = forks["opinions"][:, :count].mean(axis=1)
        other = q < 0
        mean, error = clustered_mean(-truth[other], sentence[other])
        rows.append(
            {
                "samples": count,
                "explained": explained_by(np.column_stack([known, q]), truth, sentence),
                "correlation": correlation(q, truth),
                "prefers_other": float(other.mean()),
                "gain": mean,
                "gain_interval": None if error is None else 1.96 * error,
            }
        )
    return rows


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--sentences", type=int, default=1014)
    parser.add_argument("--temperature", type=float, default=1.0)
    options = parser.parse_args()
    forks = play(options.run, options.sentences, options.samples, options.temperature)
    result = {
        "date": datetime.date.today().isoformat(),
        "forks": len(forks["truth"]),
        "temperature": options.temperature,
        "mean": float(forks["truth"].mean()),
        "deviation": float(forks["truth"].std()),
        "rows": table(forks),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
