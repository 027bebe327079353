"""Models converted for CTranslate2, once, and found again while they fit: beside the model or in the user's cache."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nmt_rl.bundle import WEIGHTS, bundle_folder, check_bundle, read_bundle_config
from nmt_rl.config import ModelConfig
from nmt_rl.decoding.export import require_ctranslate2, require_exportable, write_ctranslate2
from nmt_rl.decoding.request import Quantization
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.hashes import HASHES, check_hashes, file_hash, read_hashes, write_hashes
from nmt_rl.storage.outputs import folder_error, must_be_possible
from nmt_rl.storage.ownership import mark, must_be_ours
from nmt_rl.storage.reading import read_json
from nmt_rl.storage.writing import write_json, written_folder

log = logging.getLogger("nmt_rl")

FOLDER = "ctranslate2"
"""Of the conversions, in the model folder or the cache; one folder in it for each quantization and word reward."""
ORIGIN = "converted.json"
"""Says what a conversion was made of."""
FILES = ("config.json", "model.bin", "*vocabulary.json", ORIGIN, HASHES)
FORMAT = 1
"""Changes when conversions are made otherwise."""


class Kind(NamedTuple):
    """Of which kind a conversion is."""

    quantization: Quantization
    word_reward: float

    @property
    def parts(self) -> tuple[str | float, ...]:
        """What tells it apart: the quantization, and the word reward if there is one."""
        return self if self.word_reward else (self.quantization,)

    @property
    def name(self) -> str:
        """Of its folder: `float32`, `int8-word-reward-0.4`."""
        return "-word-reward-".join(map(str, self.parts))


def conversion(folder: Path, model: ModelConfig, quantization: Quantization, word_reward: float = 0.0) -> Path:
    """The folder that CTranslate2 loads for a model, which is made if there is none that fits.

    Args:
        folder: a model folder, or a run that holds one.
        model: its architecture.
        quantization: type of its matrices.
        word_reward: a bias against the end, which is in the weights there.

    Raises:
        UserError: if CTranslate2 has no such model, or the model folder is damaged.
        RunError: if there is no place to write it to.
    """
    folder = bundle_folder(folder)
    kind = Kind(quantization, word_reward)
    key = _key(folder, model, kind)
    places = list(_places(folder, key, kind))
    for place in places:
        if _fits(place, key):
            return place
    failed = []
    for place in places:
        try:
            with written_folder(place, _must_be_ours) as made:
                _fill(made, folder, kind, key)
        except OSError as error:
            failed.append(f"{error.filename or place}: {error.strerror or error}")
        else:
            log.info("%s: converted for CTranslate2, once", place)
            return place
    raise RunError(f"there is no place to convert {folder} for CTranslate2 ({'; '.join(failed)})")


def export_ctranslate2(folder: Path, quantization: Quantization = "float32", out: Path | None = None) -> Path:
    """Convert a model anew, with the word reward of its own settings.

    Args:
        folder: a model folder, or a run that holds one.
        quantization: type of its matrices.
        out: a new folder, or one that an export made; None: where translating looks for it.

    Returns:
        The folder that was written.

    Raises:
        UserError: if CTranslate2 is not installed or has no such model, or the folder is somebody's own or cannot be
            written.
        RunError: if the disk is full.
    """
    folder = bundle_folder(folder)
    require_ctranslate2()
    config = read_bundle_config(folder)[0]
    kind = Kind(quantization, config.decoding.word_reward)
    key = _key(folder, require_exportable(config.model, folder), kind)
    place = out or folder / FOLDER / kind.name
    if os.path.lexists(place):
        must_be_ours(place, FILES, "be replaced")
    elif out is not None:
        must_be_possible(place)
    try:
        with written_folder(place, _must_be_ours) as made:
            _fill(made, folder, kind, key)
    except OSError as error:
        failure = folder_error(place, "output", error)
        raise type(failure)(f"{failure}{'; give another folder with -o' if out is None else ''}") from error
    return place


def _key(folder: Path, model: ModelConfig, kind: Kind) -> str:
    """Of all that a conversion depends on."""
    check_bundle(folder)
    known = read_hashes(folder) or {}
    paths = [folder / WEIGHTS, *sorted(folder.glob("tokenizer*.model"))]
    parts = {path.name: known[path.name]["sha256"] if path.name in known else file_hash(path) for path in paths}
    text = json.dumps([FORMAT, *kind.parts, model.model_dump(mode="json"), parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _places(folder: Path, key: str, kind: Kind) -> Iterator[Path]:
    yield folder / FOLDER / kind.name
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # The user has no home.
        return
    yield cache / "nmt-rl" / FOLDER / f"{key[:16]}-{kind.name}"


def _fits(place: Path, key: str) -> bool:
    """Whether a conversion was made of this model and is as it was made."""
    try:
        return read_json(place / ORIGIN).get("key") == key and check_hashes(place)
    except UserError:
        return False


def _fill(made: Path, folder: Path, kind: Kind, key: str) -> None:
    write_ctranslate2(folder, kind.quantization, made, kind.word_reward)
    mark(made, FOLDER)
    write_json(made / ORIGIN, {"key": key, **kind._asdict()})
    write_hashes(made)


def _must_be_ours(place: Path) -> None:
    """Raise FileExistsError for a folder that must not be replaced."""
    try:
        must_be_ours(place, FILES, "be replaced")
    except UserError as error:
        raise FileExistsError(errno.EEXIST, str(error), str(place)) from error
