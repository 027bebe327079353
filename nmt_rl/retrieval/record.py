"""What a memory says of itself, without Keras: of which model it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmt_rl.bundle import WEIGHTS, bundle_folder, read_bundle_config
from nmt_rl.bundle.folder import TOKENIZERS
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import HASHES, file_hash, read_hashes
from nmt_rl.storage.reading import must_be, read_json

RECORD = "memory.json"
FORMAT = 1
PAIRS_ALONE = "pairs"
"""The scope of a memory without states, of models with `model.memory`; see retrieval.pairs."""


def read_record(folder: Path) -> dict[str, Any]:
    """What a memory says of itself; raises UserError if the folder is none."""
    if not (folder / RECORD).is_file():
        raise UserError(f"{folder} is no memory: it holds no {RECORD}; nmt-rl remember makes one")
    record: dict[str, Any] = read_json(folder / RECORD)
    if record.get("format") != FORMAT:
        raise UserError(f"{folder / RECORD}: format is {record.get('format')!r}; this version knows {FORMAT}")
    if read_hashes(folder) is None:
        raise UserError(f"{folder / HASHES} is missing; copy all files of the memory from where it comes from")
    model = must_be(record.get("model"), dict, f"{folder / RECORD}: model")
    must_be(model.get("weights"), str, f"{folder / RECORD}: model.weights")
    return record


def must_belong(memory: Path, model: Path) -> None:
    """Raise a UserError if a memory is of another model, whose states would mean nothing, or of another tokenizer."""
    record, folder = read_record(memory), bundle_folder(model)
    reads_pairs = read_bundle_config(folder)[0].model.memory is not None
    if reads_pairs != (record.get("scope") == PAIRS_ALONE):
        held, wanted = ("states", "pairs") if reads_pairs else ("pairs", "states")
        raise UserError(f"{memory} holds {held}, but {model} remembers by {wanted}; make one by nmt-rl remember")
    if reads_pairs:
        if record.get("tokenizers") != tokenizer_hashes(folder):
            raise UserError(f"{memory} is of another tokenizer than {model}; make one by nmt-rl remember")
        return
    weights = file_hash(folder / WEIGHTS)
    if record["model"]["weights"] != weights:
        raise UserError(
            f"{memory} belongs to another model than {model}: to {record['model'].get('name')!r}, whose weights "
            f"have SHA-256 {record['model']['weights'][:12]}..., not {weights[:12]}...; make one by nmt-rl remember"
        )


def must_be_new(memory: Path) -> None:
    """Raise a UserError if something stands where a memory is to be made."""
    if memory.exists() or memory.is_symlink():
        raise UserError(f"{memory} exists; give another folder, or --add to add to the memory there")


def tokenizer_hashes(folder: Path) -> dict[str, str]:
    """Of the tokenizers of a model folder, by the names of their files."""
    return {name: file_hash(folder / name) for name in TOKENIZERS if (folder / name).exists()}
