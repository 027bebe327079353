"""Model folders in memory: one, or several as an ensemble."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.bundle.folder import WEIGHTS, bundle_folder, check_bundle, read_bundle_config, same_languages
from nmt_rl.bundle.weights import check_parameters, load_weights, must_have_room
from nmt_rl.config import ModelDescription
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizers
    from nmt_rl.models.seq2seq import Seq2Seq


log = logging.getLogger("nmt_rl")


@dataclass(frozen=True)
class Bundle:
    """A loaded model folder."""

    config: ModelDescription
    tokenizers: Tokenizers
    model: Seq2Seq
    card: dict[str, Any]
    """Scores with signatures, versions, data hashes, parameters; empty if there is none."""


@dataclass(frozen=True)
class Opened:
    """A model folder that was looked into, without Keras: all but its model."""

    folder: Path
    config: ModelDescription
    tokenizers: Tokenizers
    card: dict[str, Any]


def open_bundle(path: Path) -> Opened:
    """Look into a model folder (or a run that holds one), before anything heavy is loaded.

    Raises:
        UserError: naming what is missing, damaged, or does not belong together.
    """
    from nmt_rl.corpus.tokenizer import Tokenizers

    folder = bundle_folder(path)
    config, card = read_bundle_config(folder)
    if config.model.type == "lstm" and card.get("versions", {}).get("nmt-rl") == "0.1.0":
        raise UserError(f"{folder} was made by nmt-rl 0.1.0, whose LSTMs did not scale embeddings; train it again")
    check_bundle(folder)
    tokenizers = Tokenizers.load(folder)
    must_have_room(folder / WEIGHTS, config.model, (tokenizers.source.size, tokenizers.target.size))
    return Opened(folder, config, tokenizers, card)


def _load(opened: Opened, precision: str) -> Bundle:
    from nmt_rl.models.build import build_model
    from nmt_rl.models.pair_memory import recalls_pairs

    folder, config, tokenizers = opened.folder, opened.config, opened.tokenizers
    model = build_model(config.model, tokenizers.source.size, tokenizers.target.size, config.seed, precision)
    if config.model.memory is not None and not recalls_pairs():
        log.warning("%s reads a memory of pairs (model.memory), and has none here; see translate --memory", folder)
    load_weights(folder / WEIGHTS, model)
    return Bundle(config, tokenizers, model, opened.card)


def load_bundle(path: Path, precision: str = "float32") -> Bundle:
    """Load a model folder (or a run that holds one).

    Args:
        path: the folder.
        precision: compute type of the model, see `build_model`; the weights are the same.

    Raises:
        UserError: naming what is missing, damaged or does not fit.
    """
    return next(load_members([path], "a model", precision))


def open_members(paths: Sequence[Path], what: str, one_architecture: bool = False) -> list[Opened]:
    """Look into models that are to be one, without Keras.

    Args:
        paths: model folders.
        what: they make: `an ensemble`.
        one_architecture: they need to have one.

    Raises:
        UserError: if one is no model, is damaged, or is of another tokenizer, other languages or another architecture
            than the first.
    """
    members = [open_bundle(path) for path in paths]
    first = members[0]
    for each in members[1:]:
        both = f"{each.folder} and {first.folder}"
        if not same_languages(each.config, first.config):
            pairs = " and ".join(
                f"{m.config.corpus.source_language}-{m.config.corpus.target_language}" for m in (each, first)
            )
            raise UserError(f"{what} needs models of the same languages, but {both} translate {pairs}")
        if each.tokenizers != first.tokenizers:
            raise UserError(f"{what} needs one tokenizer, but {both} have different ones")
        if one_architecture and each.config.model != first.config.model:
            raise UserError(f"{what} needs one architecture, but {both} have different ones")
    for each in members:
        check_parameters(each.folder, each.card)
    return members


def load_members(
    paths: Sequence[Path], what: str, precision: str = "float32", one_architecture: bool = False
) -> Iterator[Bundle]:
    """Load models that are to be one, one after the other; see `open_members`, which comes first, and `load_bundle`."""
    for each in open_members(paths, what, one_architecture):
        yield _load(each, precision)


def load_ensemble(paths: Sequence[Path], precision: str = "float32") -> Bundle:
    """Load one model folder, or several as an ensemble with the settings and the card of the first.

    Args:
        paths: one or more.
        precision: as in `load_bundle`.

    Raises:
        UserError: as `load_members`.
    """
    bundles = list(load_members(paths, "an ensemble", precision))
    if len(bundles) == 1:
        return bundles[0]
    from nmt_rl.models.ensemble import Ensemble

    return replace(bundles[0], model=Ensemble([bundle.model for bundle in bundles]))
