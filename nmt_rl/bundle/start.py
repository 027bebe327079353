"""Training that starts from a model: the experiment has its architecture and its tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.bundle.folder import TOKENIZERS, WEIGHTS, bundle_folder, read_bundle_config
from nmt_rl.bundle.loading import load_bundle
from nmt_rl.config import Config, load_config
from nmt_rl.config.recipes import Completion
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import file_hash
from nmt_rl.storage.streams import from_home

if TYPE_CHECKING:
    from keras import Variable

    from nmt_rl.models.seq2seq import Seq2Seq

logger = logging.getLogger("nmt_rl")

ADDED = {"memory": ("full", "memory"), "hard": ("full",)}
"""Keys of `model` that a start may lack: parts that are new then, and what pretrain.adapt.type trains them."""
FREE = {"model": ("dropout", "attention_dropout", "activation_dropout"), "tokenizer": ("sampling", "sampling_alpha")}
"""Keys of sections that are the model's which may be others than its own: no weight depends on them."""


def load_experiment(recipe: str, overrides: Sequence[str] = (), complete: Completion | None = None) -> Config:
    """As `load_config`; an experiment that starts from a model has the sections `model` and `tokenizer` of that.

    Args:
        recipe, overrides: as of `load_config`.
        complete: adds to the tree before that is done.

    Raises:
        UserError: as `load_config` and `bundle_folder`, and for a key of these sections that is given otherwise.
    """

    def whole(tree: dict[str, Any], written: Container[tuple[str, str]]) -> None:
        if complete is not None:
            complete(tree, written)
        _with_start(tree, written)

    return load_config(recipe, overrides, whole)


def _with_start(tree: dict[str, Any], written: Container[tuple[str, str]]) -> None:
    start = (tree.get("pretrain") or {}).get("start") if isinstance(tree.get("pretrain"), dict) else None
    if not isinstance(start, str):
        return
    try:
        folder = start_folder(start)
    except UserError as error:
        tokenizer = tree.get("tokenizer")
        if tree.get("model") and isinstance(tokenizer, dict) and tokenizer.get("model"):
            return  # A run's own config.yaml has it all; only pretraining still needs the weights, and says so.
        raise UserError(f"pretrain.start: {error}") from None
    config, _ = read_bundle_config(folder)
    files = [str(folder / name) for name in TOKENIZERS if (folder / name).exists()]
    own = {
        "model": config.model.model_dump(mode="json") | {"q_heads": None},
        "tokenizer": {"model": files, "shared": config.tokenizer.shared},
    }
    for name, section in own.items():
        given = tree.get(name) if isinstance(tree.get(name), dict) else {}
        for key, value in (given or {}).items():
            if (name, key) in written and section.get(key) != value:
                if name == "model" and key in ADDED and key in section and section[key] is None:
                    _must_be_trained(key, tree["pretrain"].get("adapt"))
                elif key not in FREE[name]:
                    has = f", which has {section[key]!r}" if key in section else ""
                    raise UserError(
                        f"{name}.{key} {value!r} cannot be changed: {name} is that of pretrain.start {start}{has}; "
                        "leave it out"
                    )
                section[key] = value
        tree[name] = section
    _tell_languages(tree.get("corpus"), config, start)


def _must_be_trained(key: str, adapt: Any) -> None:
    """A new part says nothing until it is trained."""
    kind = adapt.get("type", "full") if isinstance(adapt, dict) else adapt or "full"
    if kind not in ADDED[key]:
        would = " or ".join(ADDED[key])
        raise UserError(f"pretrain.adapt.type {kind!r} does not train model.{key}, which is new; give {would}")


def _tell_languages(corpus: Any, config: Any, start: str) -> None:
    if not isinstance(corpus, dict):
        return
    before = f"{config.corpus.source_language}-{config.corpus.target_language}"
    now = f"{corpus.get('source_language')}-{corpus.get('target_language')}"
    if now != before:
        logger.warning("pretrain.start %s translates %s, and is trained on %s", start, before, now)


def start_folder(start: str) -> Path:
    """The model folder that is meant; raises UserError if there is none."""
    return bundle_folder(from_home(start) if start.startswith("~") else Path(start))


def start_from(model: Seq2Seq, start: str) -> dict[str, Any]:
    """Give a model the weights of another, its Q heads left out; what the other lacks of ADDED stays as it is.

    Returns:
        What the card of what is made of it says of that.

    Raises:
        UserError: if it is damaged, or has another architecture.
    """
    from nmt_rl.models.pair_memory import PairMemory
    from nmt_rl.models.q_guided import QGuided

    folder = start_folder(start)
    bundle = load_bundle(folder)
    base = bundle.model.base if isinstance(bundle.model, QGuided) else bundle.model
    if isinstance(model, PairMemory) and not isinstance(base, PairMemory):
        model = model.base  # The memory is new: it says nothing yet.
    own, given = _common(model, base), base.weights
    if [tuple(v.shape) for v in own] != [tuple(v.shape) for v in given]:
        raise UserError(f"pretrain.start: {folder} has another architecture or vocabulary than model and tokenizer say")
    for mine, its in zip(own, given, strict=True):
        mine.assign(its)
    before = bundle.card.get("start")
    lineage = {"name": bundle.config.name, "folder": start, "weights": file_hash(folder / WEIGHTS)}
    return lineage if before is None else lineage | {"start": before}


def _common(model: Seq2Seq, start: Seq2Seq) -> list[Variable]:
    """The model's weights that the start has too: without what trains hard attention, if that is new."""
    from nmt_rl.models.hard_lstm import HardLSTM

    if not isinstance(model, HardLSTM) or isinstance(start, HardLSTM):
        return model.weights
    known = {variable.path for variable in start.weights}
    return [variable for variable in model.weights if variable.path in known]
