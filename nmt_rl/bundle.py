"""The folder of a finished model: config.yaml, tokenizer, model.weights.h5, card.json. It can be moved anywhere."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.config import Config, dump_config, parse_config
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import read_yaml
from nmt_rl.storage.writing import written_file

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizers
    from nmt_rl.models.seq2seq import Seq2Seq

WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class Bundle:
    """A loaded model folder."""

    config: Config
    tokenizers: Tokenizers
    model: Seq2Seq
    card: dict[str, Any]
    """Scores with signatures, versions, data hashes, parameters."""


def save_bundle(folder: Path, config: Config, tokenizers: Tokenizers, model: Seq2Seq, card: dict[str, Any]) -> None:
    """Write a model folder; it is made beside and renamed, so that a reader never sees half of it."""
    made, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    (made / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    tokenizers.save(made)
    save_weights(made / WEIGHTS, model)
    (made / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


class _Image(io.BytesIO):
    """An HDF5 file in memory, which Keras takes for one on disk because its name has the right ending."""

    def __str__(self) -> str:
        return WEIGHTS


def save_weights(path: Path, model: Seq2Seq) -> None:
    """Write the weights of a model; raises OSError if the disk is full.

    They are put together in memory: what HDF5 cannot write to a disk breaks the process when it ends.
    """
    image = _Image()
    model.save_weights(image)
    with written_file(path) as stream:
        stream.write(image.getbuffer())


def bundle_folder(folder: Path) -> Path:
    """The model folder a user means: itself, or RUN/model of a run; raises UserError if it is neither."""
    for candidate in (folder, folder / "model"):
        if (candidate / WEIGHTS).is_file():
            return candidate
    if not folder.is_dir():
        raise UserError(f"model folder {folder} does not exist; give RUN/model of a finished run")
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
    raise UserError(f"{folder} holds no model ({WEIGHTS} is missing; found {found}); give RUN/model of a finished run")


def read_bundle_config(folder: Path) -> tuple[Config, dict[str, Any]]:
    """The experiment and the card of a model folder, without loading its weights."""
    folder = bundle_folder(folder)
    path = folder / "config.yaml"
    config = parse_config(read_yaml(path), str(path))
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'card.json'} cannot be read: {error}") from error
    return config, card


def load_bundle(folder: Path, precision: str = "float32") -> Bundle:
    """Load a model folder (or a run that holds one).

    Args:
        folder: the folder.
        precision: compute type of the model, see `build_model`; the weights are the same.

    Raises:
        UserError: naming what is missing or does not fit.
    """
    from nmt_rl.corpus.tokenizer import Tokenizers
    from nmt_rl.models.build import build_model

    config, card = read_bundle_config(folder)
    folder = bundle_folder(folder)
    if config.model.type == "lstm" and card.get("versions", {}).get("nmt-rl") == "0.1.0":
        raise UserError(f"{folder} was made by nmt-rl 0.1.0, whose LSTMs did not scale embeddings; train it again")
    tokenizers = Tokenizers.load(folder)
    model = build_model(config.model, tokenizers.source.size, tokenizers.target.size, config.seed, precision)
    try:
        model.load_weights(folder / WEIGHTS)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{folder / WEIGHTS} does not fit {folder / 'config.yaml'}: {first}") from error
    return Bundle(config, tokenizers, model, card)


def load_ensemble(folders: Sequence[Path], precision: str = "float32") -> Bundle:
    """Load one model folder, or several as an ensemble with the settings and the card of the first.

    Args:
        folders: one or more.
        precision: as in `load_bundle`.

    Raises:
        UserError: if a folder holds no model, or another tokenizer than the first.
    """
    from nmt_rl.models.ensemble import Ensemble

    bundles = [load_bundle(folder, precision) for folder in folders]
    first = bundles[0]
    for folder, bundle in zip(folders, bundles, strict=True):
        if bundle.tokenizers != first.tokenizers:
            raise UserError(f"an ensemble needs one tokenizer, but {folder} and {folders[0]} have different ones")
    return first if len(bundles) == 1 else replace(first, model=Ensemble([bundle.model for bundle in bundles]))
