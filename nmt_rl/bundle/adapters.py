"""The folder of an adapter: the few weights that a stage has trained, and of which model they are.

adapter.npz    the trained arrays, by their names in the adapted model
adapter.json   format, name, `adapt` (the section of the stage), `base` (name, and hash of its weights), `decoding`,
               and the result of the stage
hashes.json    what both files were when they were written
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nmt_rl.bundle.folder import WEIGHTS, bundle_folder, training_sections
from nmt_rl.bundle.loading import load_bundle
from nmt_rl.bundle.saving import must_be_new, save_bundle
from nmt_rl.config import AdaptConfig, DecodingConfig, ModelDescription
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.hashes import HASHES, check_hashes, file_hash, read_hashes, write_hashes
from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.reading import must_be, read_json
from nmt_rl.storage.writing import write_json, written_file, written_folder

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq

ARRAYS, RECORD = "adapter.npz", "adapter.json"
CONTENTS = (ARRAYS, RECORD, HASHES)
FORMAT = 1


def save_adapter(folder: Path, model: Seq2Seq, record: dict[str, Any]) -> None:
    """Write what a stage has trained of a model.

    Args:
        folder: where to; an adapter that stands there is replaced.
        model: adapted, and not merged.
        record: `name`, `adapt`, `base`, `decoding` and `result`, see the head of this file.

    Raises:
        RunError: if the disk is full.
    """
    arrays = {variable.path: np.asarray(variable.value, "float32") for variable in model.trainable_variables}
    try:
        with written_folder(folder, lambda old: must_be_ours(old, CONTENTS, "be replaced")) as made:
            with written_file(made / ARRAYS) as stream:
                np.savez(stream, **arrays)  # type: ignore[arg-type]
            write_json(made / RECORD, {"format": FORMAT, **record})
            write_hashes(made, (ARRAYS, RECORD))
            mark(made, "adapter")
    except OSError as error:
        raise RunError(f"{folder} could not be written: {error.strerror or error}") from error


def base_of(folder: Path, config: ModelDescription) -> dict[str, str]:
    """What an adapter says of its base, a model folder."""
    return {"name": config.name, "weights": file_hash(folder / WEIGHTS)}


def merge_adapter(base: Path, adapter: Path, out: Path) -> str:
    """Write a model folder: the base with the adapter in its weights.

    Args:
        base: a model folder, or a run that holds one.
        adapter: of that model; or a stage of a run that holds one.
        out: where to; it must not exist.

    Returns:
        The new model's name.

    Raises:
        UserError: if one is damaged, or they do not belong together, or `out` exists.
    """
    from nmt_rl.models.adapters import adapt, merged_weights
    from nmt_rl.models.build import build_model

    must_be_new(out)
    folder, base = adapter_folder(adapter), bundle_folder(base)
    record = read_record(folder)
    if (found := file_hash(base / WEIGHTS)) != record["base"]["weights"]:
        raise UserError(
            f"{folder} belongs to another model than {base}: to {record['base'].get('name')!r}, whose weights have the "
            f"SHA-256 {record['base']['weights'][:12]}..., not {found[:12]}..."
        )
    bundle = load_bundle(base)
    adapt(bundle.model, record["adapt"], 0)
    _assign(bundle.model, folder / ARRAYS)
    merged = build_model(bundle.config.model, *bundle.model.embeddings.sizes)
    merged.set_weights(merged_weights(bundle.model))
    config = bundle.config.model_copy(update={"name": record["name"], "decoding": record["decoding"]})
    card = bundle.card | {"name": record["name"], "stage": "adapter", "result": record["result"]}
    card["start"] = record["base"] | {"folder": str(base)}
    save_bundle(out, config, bundle.tokenizers, merged, card, training_sections(base))
    return str(record["name"])


def adapter_folder(path: Path) -> Path:
    """The folder that is meant: itself, or that in a stage of a run; raises UserError if there is none."""
    stages = [path, path / "adapter", path / "finetune" / "adapter", path / "pretrain" / "adapter"]
    for folder in stages:
        if (folder / RECORD).exists():
            return folder
    raise UserError(f"{path} is no adapter: it holds no {RECORD}; give RUN/pretrain/adapter or RUN/finetune/adapter")


def read_record(folder: Path) -> dict[str, Any]:
    """What an adapter says of itself, its settings as sections; raises UserError if it or its arrays are damaged."""
    if read_hashes(folder) is None:
        raise UserError(f"{folder / HASHES} is missing; copy all files of the adapter from where it comes from")
    check_hashes(folder, (ARRAYS, RECORD), full=True)
    record: dict[str, Any] = read_json(folder / RECORD)
    if record.get("format") != FORMAT:
        raise UserError(f"{folder / RECORD}: format is {record.get('format')!r}; this version knows {FORMAT}")
    base = must_be(record.get("base"), dict, f"{folder / RECORD}: base")
    must_be(base.get("weights"), str, f"{folder / RECORD}: base.weights")
    must_be(record.get("name"), str, f"{folder / RECORD}: name")
    must_be(record.get("result"), dict, f"{folder / RECORD}: result")
    try:
        record["adapt"] = TypeAdapter(AdaptConfig).validate_python(record.get("adapt"))
        record["decoding"] = DecodingConfig.model_validate(record.get("decoding"))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{folder / RECORD}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return record


def _assign(model: Seq2Seq, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and NumPy fail in many ways.
        raise UserError(f"{path} is damaged: {error or type(error).__name__}") from None
    variables = {variable.path: variable for variable in model.trainable_variables}
    if {n: a.shape for n, a in arrays.items()} != {n: tuple(v.shape) for n, v in variables.items()}:
        raise UserError(f"{path} does not fit the base: it has other arrays than its adapter")
    for name, variable in variables.items():
        variable.assign(arrays[name])
