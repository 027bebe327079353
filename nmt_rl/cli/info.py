"""nmt-rl info: what a model folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def info(
    model: Annotated[Path, typer.Argument(help="Model folder: RUN/model, or RUN itself.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print card and experiment as JSON.")] = False,
) -> None:
    """Languages, architecture, scores, versions and data hashes of a model."""
    import json

    from nmt_rl.bundle import bundle_folder, read_bundle_config

    folder = bundle_folder(model)
    config, card = read_bundle_config(folder)
    if json_output:
        typer.echo(json.dumps({"card": card, "config": config.model_dump(mode="json")}, indent=2, ensure_ascii=False))
        return
    facts: dict[str, Any] = {"model": folder, "name": card["name"], "languages": card["languages"]}
    facts |= {"architecture": config.model.type, "parameters": f"{card['parameters']:,}", "stage": card["stage"]}
    facts |= {f"validation {name}": f"{value:.4g}" for name, value in card["result"]["valid"].items()}
    facts |= {"validation decoding": config.decoding.greedy().summary(), "signature": card["signature"]}
    facts |= {"decoding": config.decoding.summary(), "seed": card["seed"], "date": card["date"]}
    facts |= {"versions": ", ".join(f"{k} {v}" for k, v in card["versions"].items())}
    facts |= {f"data {split}": f"sha256 {digest}" for split, digest in card["data"].items()}
    width = max(map(len, facts))
    typer.echo("\n".join(f"{name.ljust(width)}  {value}" for name, value in facts.items()))
