"""Model folders that appear whole, with the hashes of what belongs together, and take no good model's place else."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.bundle.folder import BOUND, CARD, CONFIG, FORMAT, TOKENIZERS, WEIGHTS, bound_hash, check_bundle
from nmt_rl.bundle.weights import save_weights
from nmt_rl.config import FORMAT_KEY, ModelDescription
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.hashes import HASHES, check_hashes, folder_hashes
from nmt_rl.storage.outputs import must_be_possible
from nmt_rl.storage.ownership import is_marked, mark, must_be_ours
from nmt_rl.storage.reading import read_yaml
from nmt_rl.storage.writing import write_json, write_text, written_folder
from nmt_rl.storage.yaml_core import dump_yaml

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizers
    from nmt_rl.models.seq2seq import Seq2Seq

FILES = (CONFIG, WEIGHTS, CARD, *TOKENIZERS)
EXPORTS = "ctranslate2*"
CONTENTS = (*FILES, HASHES, EXPORTS)
"""What nmt-rl writes into a model folder."""


def save_bundle(
    folder: Path,
    config: ModelDescription,
    tokenizers: Tokenizers,
    model: Seq2Seq,
    card: dict[str, Any],
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder, or replace one; a reader never sees half of it.

    Args:
        folder: where to.
        config: of the model; of a whole experiment how it is trained is written, too.
        tokenizers: of both sides.
        model: its weights are written.
        card: what is known of the model.
        training: how it was trained, if `config` does not say it; see `training_sections`.

    Raises:
        RunError: if a weight is not finite or the disk is full; what was there is as it was.
        UserError: if a folder stands there that is no model folder of nmt-rl.
    """
    with _written(folder) as made:
        write_text(made / CONFIG, dump_yaml({FORMAT_KEY: FORMAT, **config.model_dump(mode="json"), **(training or {})}))
        tokenizers.save(made)
        save_weights(made / WEIGHTS, model)
        write_json(made / CARD, card)
        _bind(made)


def copy_bundle(source: Path, folder: Path) -> None:
    """Copy a model folder, without its exports; nothing is written where the same model lies already.

    Exports of the folder that is replaced stay with the new one if they are of the same model.

    Raises:
        RunError: if the disk is full; what was there is as it was.
        UserError: if the source is damaged, or a folder stands there that is no model folder of nmt-rl.
    """
    check_bundle(source, full=True)
    names = [name for name in FILES if (source / name).exists()]
    new, old = folder_hashes(source, names), _hashes_of(folder)
    if new == old and _is_bound(folder):
        return
    with _written(folder) as made:
        for name in names:
            shutil.copyfile(source / name, made / name)
        _bind(made)
        if all(new.get(name) == old.get(name) for name in (WEIGHTS, *TOKENIZERS)) and _bound(made) == _bound(folder):
            for export in folder.glob(EXPORTS):
                shutil.copytree(export, made / export.name)


def _is_bound(folder: Path) -> bool:
    """Whether a model folder has a manifest that says what its files are."""
    with contextlib.suppress(UserError):
        return check_hashes(folder, full=True)
    return False


def _hashes_of(folder: Path) -> dict[str, Any]:
    """Of the files of a model folder as they are; those that cannot be read are left out."""
    hashes: dict[str, Any] = {}
    for name in FILES:
        with contextlib.suppress(UserError):
            hashes |= folder_hashes(folder, [name])
    return hashes


def _bound(folder: Path) -> str | None:
    try:
        return bound_hash(read_yaml(folder / CONFIG))
    except UserError:
        return None


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[Path]:
    try:
        with written_folder(folder, must_be_replaceable) as made:
            yield made
            mark(made, "model")
    except OSError as error:
        raise RunError(f"{folder} could not be written: {error.strerror or error}; what was there is kept") from error


def _bind(folder: Path) -> None:
    """Write the manifest of a model folder that is whole otherwise."""
    manifest = folder_hashes(folder, [name for name in FILES if (folder / name).exists()])
    manifest[CONFIG][BOUND] = bound_hash(read_yaml(folder / CONFIG))
    write_json(folder / HASHES, manifest)


def must_be_replaceable(folder: Path) -> None:
    """Raise a UserError if a folder is neither a model folder of nmt-rl without anything else in it, nor empty."""
    if is_marked(folder) or folder.is_symlink() or not folder.is_dir():
        must_be_ours(folder, CONTENTS, "be replaced")
    names = {path.name for path in folder.iterdir()}
    known = {CONFIG, WEIGHTS, CARD, *TOKENIZERS, "ctranslate2"}
    if not is_marked(folder) and (names - known or (names and WEIGHTS not in names)):  # 0.2.0 left no mark.
        must_be_ours(folder, CONTENTS, "be replaced")


def must_be_new(folder: Path) -> None:
    """Before the work for it: raise a UserError if something stands where a new folder is to be, or none can be there.

    Args:
        folder: the output; folders above it that are missing will be made.
    """
    if os.path.lexists(folder):
        raise UserError(f"output {folder} exists already; give the name of a new folder")
    must_be_possible(folder)
