"""Numbers of a comparison whose test sets are translated: seeds pooled, corrected p-values; of compare_methods.py."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison import DECODINGS, Folder, read_json, result_of

RESAMPLES, SEED = 10_000, 12345
"""Of the bootstrap. So many, because Holm's correction multiplies the smallest p by the number of comparisons."""

Outputs = Mapping[str, Sequence[Sequence[str]]]
"""By system, the baseline first, one translation of a test set for each seed."""


def collect(folder: Folder, source: str, target: str) -> dict[str, Any]:
    """Everything that is told of a comparison; source and target are codes of languages."""
    from nmt_rl.evaluation.environment import machine, versions

    spec, pretrained = folder.spec, read_json(folder.pretrained / "pretrain" / "result.json")
    seconds = read_json(folder.path / "seconds.json")
    return {
        "system": spec.name,
        "languages": f"{source}-{target}",
        "recipe": spec.recipe,
        "budget_minutes": spec.budget,
        "trial_minutes": spec.trial_budget or spec.budget,
        "seeds": spec.seeds,
        "date": datetime.date.today().isoformat(),
        "hours": round(sum(seconds.values()) / 3600, 2),
        "machine": {key: value for key, value in machine().items() if key != "system"},  # Kernels have names.
        "versions": versions(),
        "resamples": RESAMPLES,
        "pretrained": {key: pretrained[key] for key in ("updates", "valid", "length")},
        "methods": {name: _method(folder, name) for name in folder.methods},
        "tables": _tables(folder, target),
    }


def _method(folder: Folder, name: str) -> dict[str, Any]:
    """Trials, the chosen one, its seeds and curves."""
    chosen, seeds = folder.chosen(name), folder.spec.seeds
    runs = [(run, result_of(run)) for run in (folder.run(name, chosen, seed) for seed in seeds)]
    tried = [result_of(folder.trial(name, place)) for place in range(len(folder.methods[name]))]
    return {
        "trials": [{"settings": own, **_told(each)} for own, each in zip(folder.methods[name], tried, strict=True)],
        "chosen": chosen,
        "seeds": [
            {"seed": seed, **_told(result), "q": result.get("q")} for seed, (_, result) in zip(seeds, runs, strict=True)
        ],
        "curves": [_curve(run, result) for run, result in runs],
    }


def _told(result: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run of fine-tuning."""
    scores = {key: round(result["valid"][key], 3) for key in ("bleu", "chrf", "length_ratio", "kl")}
    length = {key: result["length"][key] for key in ("word_reward", "length_penalty")}
    return {**scores, **length, "updates": result["updates"], "processor_seconds": result["processor_seconds"]}


def _curve(run: Path, result: Mapping[str, Any]) -> list[list[float]]:
    """Processor minutes and validation BLEU along the way; processor time is taken to pass as time does."""
    from nmt_rl.evaluation.plots import read_events

    rate = result["processor_seconds"] / max(result["training_seconds"], 1e-9) / 60
    events = [e for e in read_events(run / "metrics.jsonl") if (e["stage"], e["event"]) == ("finetune", "valid")]
    return [[round(e["training_seconds"] * rate, 3), round(e["bleu"], 3)] for e in events]


def _tables(folder: Folder, language: str) -> list[dict[str, Any]]:
    """Of each test set, and of all of them as one."""
    labels = folder.spec.test_names()
    against = ["pretrained", *(name for name in folder.spec.against if name in folder.methods)]
    tables = []
    for name, sets in {**{label: [label] for label in labels}, "all": labels}.items():
        if name == "all" and len(labels) == 1:
            continue
        references = _lines(*(folder.text(each, "target") for each in sets))
        outputs = {
            how: {
                system: [_lines(*(folder.translation(stage, each, how) for each in sets)) for stage in stages]
                for system, stages in folder.systems().items()
            }
            for how in DECODINGS
        }
        found = set_table(outputs, references, folder.spec.metrics, language, against)
        tables.append({"test": name, "lines": len(references), **found})
    return tables


def _lines(*paths: Path) -> list[str]:
    return [line for path in paths for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def set_table(
    outputs: Mapping[str, Outputs],
    references: Sequence[str],
    metrics: Sequence[str],
    language: str,
    against: Sequence[str],
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Scores of all systems on a test set, with p-values corrected for all comparisons in it, metric by metric.

    Args:
        outputs: of each way of decoding.
        references: one per line.
        metrics: of `evaluation.metrics.LABELS`; with bleu.
        language: code of the target language.
        against: systems that each other one is compared with; the first of `outputs` is among them.
        resamples: of the bootstrap.
    """
    from nmt_rl.evaluation.metrics import build_metrics
    from nmt_rl.evaluation.pooling import pooled_bootstrap

    built = build_metrics([list(references)], metrics, language)
    rows = {how: _differences(systems, references, language) for how, systems in outputs.items()}
    signatures = {}
    for metric in metrics:
        p_values: dict[tuple[str, str, str], float] = {}
        for how, systems in outputs.items():
            for baseline in against:
                ordered = {baseline: systems[baseline], **systems}
                signatures[metric], pooled = pooled_bootstrap(ordered, built[metric], resamples, SEED)
                for system, found in zip(ordered, pooled, strict=True):
                    if baseline == against[0]:
                        rows[how][system][metric] = _score(found)
                    if found.p_value is not None and system not in against[: against.index(baseline)]:
                        p_values[how, system, baseline] = found.p_value
        for (how, system, baseline), p in corrected(p_values).items():
            rows[how][system][metric].setdefault("p", {})[baseline] = p
    return {"signatures": signatures, "decodings": rows}


def corrected(p_values: Mapping[Any, float]) -> dict[Any, dict[str, float]]:
    """`raw` and `holm` of each p-value."""
    from nmt_rl.evaluation.significance import holm

    adjusted = zip(p_values.items(), holm(list(p_values.values())), strict=True)
    return {key: {"raw": round(raw, 5), "holm": round(both, 5)} for (key, raw), both in adjusted}


def _score(found: Any) -> dict[str, Any]:
    return {"score": round(found.score, 3), "ci": round(found.ci, 3), "seeds": [round(s, 3) for s in found.by_seed]}


def _differences(systems: Outputs, references: Sequence[str], language: str) -> dict[str, dict[str, Any]]:
    """N-gram precisions, brevity penalty, length, and sentences that are better or worse than the first system's."""
    from nmt_rl.evaluation.contrast import contrast

    found, rows = contrast(list(systems.values()), references, target_language=language), {}
    for place, name in enumerate(systems):
        factors = found.factors[place]
        rows[name] = {
            "precisions": [round(each, 2) for each in factors.precisions],
            "brevity_penalty": round(factors.brevity_penalty, 4),
            "length_ratio": round(found.systems[place].length_ratio, 4),
        }
        if place:
            change = found.changes[place - 1]
            rows[name]["sentences"] = {"better": change.wins, "worse": change.losses, "same": change.ties}
    return rows
