"""nmt-rl info: what a model folder or a memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nmt_rl.config import ModelDescription


def info(
    model: Annotated[Path, typer.Argument(help="Model folder: RUN/model, or RUN itself; or a memory.")],
    json_output: Annotated[
        bool, typer.Option("--json", help="Print card and experiment, or the record of a memory, as JSON.")
    ] = False,
) -> None:
    """Languages, architecture, scores, versions and data hashes of a model; of a memory its model and what it holds."""
    import json

    from nmt_rl.bundle import bundle_folder, read_bundle_config, training_sections
    from nmt_rl.retrieval.record import RECORD, read_record

    if (model / RECORD).is_file():
        record = read_record(model)
        if json_output:
            typer.echo(json.dumps(record, indent=2))
        else:
            _tell({"memory": str(model), **_facts_of_memory(model, record)})
        return
    folder = bundle_folder(model)
    config, card = read_bundle_config(folder)
    if json_output:
        typer.echo(
            json.dumps({"card": card, "config": config.model_dump(mode="json") | training_sections(folder)}, indent=2)
        )
        return
    _tell({"model": str(folder), **_facts(config, card)})


def _tell(facts: dict[str, str]) -> None:
    from nmt_rl.errors import printable

    width = max(map(len, facts))
    typer.echo("\n".join(printable(f"{name.ljust(width)}  {value}") for name, value in facts.items()))


def _facts_of_memory(folder: Path, record: dict[str, Any]) -> dict[str, str]:
    from nmt_rl.corpus.store import EncodedCorpus
    from nmt_rl.retrieval.pairs import PAIRS

    facts = {"of model": f"{record['model'].get('name')} ({record['model']['weights'][:12]})"}
    facts |= {"languages": "-".join(record.get("languages", ())), "looked up": str(record.get("scope"))}
    facts["pairs"] = f"{len(EncodedCorpus.open(folder / PAIRS)):,}"
    if "mixing" in record:
        facts["mixing"] = str(record["mixing"].get("kind"))
    if likelihood := record.get("likelihood"):
        facts["log-probability per piece"] = f"{likelihood['alone']:.3f} -> {likelihood['mixed']:.3f} nats"
    return facts


def _facts(config: ModelDescription, card: dict[str, Any]) -> dict[str, str]:
    """What a card does not say is left out."""
    from nmt_rl.config.task import METRICS

    languages = f"{config.corpus.source_language}-{config.corpus.target_language}"
    facts: dict[str, Any] = {"name": card.get("name", config.name), "languages": card.get("languages", languages)}
    facts["architecture"] = config.model.type
    if "parameters" in card:
        facts["parameters"] = f"{card['parameters']:,}"
    facts |= {"stage": card.get("stage"), "started from": _lineage(card.get("start"))}
    valid = card.get("result", {}).get("valid", {})
    facts |= {f"validation {name}": f"{value:.4g}" for name, value in valid.items()}
    facts |= {"validation decoding": config.decoding.greedy().summary(), "signature": card.get("signature")}
    facts["length tuned"] = _tuned(card.get("result", {}).get("length") or {}, METRICS[config.task][0])
    facts |= {"decoding": config.decoding.summary(), "seed": card.get("seed"), "date": card.get("date")}
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in card.get("versions", {}).items())
    facts |= {f"data {split}": f"sha256 {digest}" for split, digest in card.get("data", {}).items()}
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def _lineage(start: Any) -> str:
    """The models that it was made from, the last one first."""
    names = []
    while isinstance(start, dict):
        names.append(f"{start.get('name')} ({str(start.get('weights'))[:12]})")
        start = start.get("start")
    return ", from ".join(names)


def _tuned(length: dict[str, Any], metric: str) -> str:
    """What the tuned word reward and length penalty changed on validation: `BLEU greedy 38.87 -> 38.91, beam ...`."""
    from nmt_rl.evaluation.metrics import LABELS

    both = {how: length[how] for how in ("greedy", "beam") if how in length}
    changes = [f"{how} {each['untuned'][metric]:.2f} -> {each['tuned'][metric]:.2f}" for how, each in both.items()]
    return f"validation {LABELS[metric]} {', '.join(changes)}" if changes else ""
