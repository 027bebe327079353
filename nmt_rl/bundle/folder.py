"""Which folder is meant, what it says of itself, and whether its files are those that were written together."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt_rl.config import FORMAT_KEY, TRAINING, ModelDescription, parse_description
from nmt_rl.errors import UserError
from nmt_rl.storage.hashes import HASHES, Manifest, check_hashes, file_hash, read_hashes
from nmt_rl.storage.reading import file_size, must_be, read_json, read_yaml

CONFIG, WEIGHTS, CARD = "config.yaml", "model.weights.h5", "card.json"
TOKENIZERS = ("tokenizer.model", "tokenizer.source.model", "tokenizer.target.model")
FORMAT = 2
"""What stands in config.yaml under FORMAT_KEY. 1, where no number stands: versions up to 0.2.0. 2: with a manifest; how
a model was trained is for people to read, and translating and scoring do not depend on it."""
BOUND = "bound"
"""Of config.yaml in the manifest: the hash of what the weights depend on. The rest may be edited by hand."""
LAST_SECTION = "evaluation"
"""Of every config.yaml that version 0.2.0 wrote into a model folder."""
CARD_SHAPES = {
    "name": str, "languages": str, "stage": str, "parameters": int, "signature": str, "result": dict, "data": dict,
    "versions": dict, "seed": int, "date": str, "start": dict,
}  # fmt: skip
CARD_VALUES = {"versions": str, "data": str}
"""Of what the mappings of a card consist."""
RUN = "give RUN/model of a finished run"


def bundle_folder(path: Path, text_option: str | None = None) -> Path:
    """The model folder a user means: itself, or RUN/model of a run.

    Args:
        path: what was given.
        text_option: the option that takes a text file, if one was perhaps meant.

    Raises:
        UserError: saying what it is instead, and what was probably meant.
    """
    try:
        for folder in (path, path / "model"):
            if _is_there(folder / WEIGHTS):
                return folder
        raise UserError(_what_it_is(path, text_option))
    except OSError as error:
        raise UserError(f"model folder {path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _is_there(path: Path) -> bool:
    """Whether the name exists, be it a link to nothing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _what_it_is(path: Path, text_option: str | None) -> str:
    if not _is_there(path):
        return f"model folder {path} does not exist; {RUN}"
    if path.is_symlink() and not path.exists():
        return f"model folder {path} is a link to {path.readlink()}, which does not exist"
    if path.is_dir():
        return _what_is_missing(path)
    if path.name in (CONFIG, WEIGHTS, CARD, HASHES, *TOKENIZERS) and _is_there(path.parent / WEIGHTS):
        return f"{path} is a file of a model folder; give the folder, {path.parent}"
    if path.is_file() and _is_archive(path):
        return f"{path} is an archive, not a model folder; unpack it, and give the folder that was in it"
    hint = f"did you mean {text_option} {shlex.quote(str(path))}?" if text_option else RUN
    return f"{path} is a file, not a model folder; {hint}"


def _is_archive(path: Path) -> bool:
    import tarfile
    import zipfile

    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _what_is_missing(folder: Path) -> str:
    if _is_there(folder / "model.bin"):
        return f"{folder} is a model of CTranslate2; give the model folder that it was exported from"
    if _is_there(folder / CARD):
        return f"{folder / WEIGHTS} is missing"
    if _is_there(folder / "prepared.json"):
        return f"{folder} is the corpus of a run, not a model; {RUN}"
    if _is_there(folder / "checkpoints") or _is_there(folder / "corpus"):
        return f"{folder} holds no model yet: its training is not finished; the command that began it goes on with it"
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
    return f"{folder} holds no model ({WEIGHTS} is missing; found {found}); {RUN}"


def must_be_text(option: str, *paths: Path) -> None:
    """Raise a UserError if a folder was given where an option takes a text file; says what was probably meant."""
    for path in paths:
        if not path.is_dir():
            continue
        if any(_is_there(folder / WEIGHTS) for folder in (path, path / "model")):
            raise UserError(f"{option} {path} is a model folder, not a text file; a MODEL stands without {option}")
        raise UserError(f"{option} {path} is a folder, not a text file")


def read_bundle_config(path: Path) -> tuple[ModelDescription, dict[str, Any]]:
    """The experiment and the card of a model folder, without its weights.

    Args:
        path: a model folder, or a run that holds one.

    Returns:
        The experiment, and the card: empty if there is none, otherwise with values of the right types.

    Raises:
        UserError: naming the file that is missing, damaged or of another model.
    """
    folder = bundle_folder(path)
    tree = read_yaml(folder / CONFIG)
    check_format(tree, folder / CONFIG)
    config = parse_description(tree, str(folder / CONFIG))
    manifest, card = _read_manifest(folder), read_card(folder / CARD)
    if manifest is not None:
        _check_config(folder, tree, manifest)
    elif LAST_SECTION not in tree:
        raise UserError(f"{folder / CONFIG} is cut off: it has no section {LAST_SECTION}")
    return config, card


def _read_manifest(folder: Path) -> Manifest | None:
    """As `read_hashes`; raises UserError if there is none, although the folder was written with one."""
    manifest = read_hashes(folder)
    if manifest is None and check_format(read_yaml(folder / CONFIG), folder / CONFIG) > 1:
        raise UserError(f"{folder / HASHES} is missing; copy all files of the model from where it comes from")
    return manifest


def check_format(tree: Mapping[str, Any], path: Path) -> int:
    """The format of a model folder, see `FORMAT`; raises UserError if it is not known yet."""
    found = tree.get(FORMAT_KEY, 1)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise UserError(f"{path}: {FORMAT_KEY} should be a number from 1, found {found!r}")
    if found > FORMAT:
        raise UserError(f"{path}: {FORMAT_KEY} is {found}, of a newer nmt-rl; this one knows up to {FORMAT}")
    return found


def training_sections(folder: Path) -> dict[str, Any]:
    """How a model was trained, as its config.yaml says it in the words of the version that did it."""
    tree = read_yaml(folder / CONFIG)
    return {key: tree[key] for key in TRAINING if key in tree}


def read_card(path: Path) -> dict[str, Any]:
    """A model's card, with the right types of what it holds; empty if there is none."""
    if not _is_there(path):
        return {}
    card: dict[str, Any] = read_json(path)
    for key, shape in CARD_SHAPES.items():
        if key in card:
            must_be(card[key], shape, f"{path}: {key}")
    for key, shape in CARD_VALUES.items():
        for name, value in card.get(key, {}).items():
            must_be(value, shape, f"{path}: {key}.{name}")
    for name, value in must_be(card.get("result", {}).get("valid", {}), dict, f"{path}: result.valid").items():
        must_be(value, float, f"{path}: result.valid.{name}")
    return card


def bound_hash(tree: Mapping[str, Any]) -> str:
    """Hash of what weights depend on in the tree of a config.yaml, and of which sections it has."""
    corpus = tree.get("corpus")
    languages = [corpus.get(f"{side}_language") for side in ("source", "target")] if isinstance(corpus, dict) else []
    bound = [sorted(map(str, tree)), tree.get("model"), tree.get("tokenizer"), languages]
    return hashlib.sha256(json.dumps(bound, sort_keys=True, default=str).encode()).hexdigest()


def _check_config(folder: Path, tree: Mapping[str, Any], manifest: Manifest) -> None:
    entry = manifest.get(CONFIG, {})
    if file_hash(folder / CONFIG) != entry.get("sha256") and bound_hash(tree) != entry.get(BOUND):
        raise UserError(
            f"{folder / CONFIG} is not that of the weights: its model, tokenizer, languages or sections were changed; "
            "only settings of decoding and training can be"
        )


def check_bundle(folder: Path, full: bool | None = None) -> None:
    """See that weights and tokenizer are those that were written together, as far as the folder says so.

    Args:
        folder: a model folder.
        full: as in `check_hashes`.

    Raises:
        UserError: naming the first file that is missing, damaged or of another model.
    """
    file_size(folder / WEIGHTS)
    manifest = _read_manifest(folder) or {}
    tokenizers = [name for name in TOKENIZERS if name in manifest or _is_there(folder / name)]
    check_hashes(folder, [WEIGHTS, *tokenizers], full)


def same_languages(one: ModelDescription, other: ModelDescription) -> bool:
    """Whether both translate from one language into the same other one, whatever their regions (`en`, `en-GB`)."""
    return _languages(one) == _languages(other)


def _languages(config: ModelDescription) -> tuple[str, str]:
    from nmt_rl.corpus.languages import short_code

    return short_code(config.corpus.source_language), short_code(config.corpus.target_language)
