"""The file of a model's weights, in the format of Keras: written whole, and read only if it is the model's."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.bundle.folder import CARD, CONFIG, WEIGHTS
from nmt_rl.config import AnyModelConfig, LSTMConfig, TransformerConfig
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.reading import file_size
from nmt_rl.storage.writing import written_file

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq

Shapes = Counter[tuple[int, ...]]
HDF5 = b"\x89HDF\r\n\x1a\n"
"""What such a file begins with."""
BYTES = 4
"""Of a weight, float32."""


class _Image(io.BytesIO):
    """An HDF5 file in memory, which Keras takes for one on disk because its name has the right ending."""

    def __str__(self) -> str:
        return WEIGHTS


def save_weights(path: Path, model: Seq2Seq) -> None:
    """Write the weights of a model.

    They are put together in memory: what HDF5 cannot write to a disk breaks the process when it ends.

    Raises:
        RunError: if one is not a finite number.
        OSError: if the disk is full.
    """
    if (bad := _not_finite(model)) is not None:
        raise RunError(f"{path} is not written: {bad}")
    image = _Image()
    model.save_weights(image)
    with written_file(path) as stream:
        stream.write(image.getbuffer())


def load_weights(path: Path, model: Seq2Seq) -> None:
    """Give a model the weights in a file.

    Raises:
        UserError: if the file is damaged, has other arrays than the model, or a weight is not a finite number.
    """
    expected = Counter(tuple(variable.shape) for variable in model.weights)
    found = read_shapes(path)
    if found != expected:
        raise UserError(
            f"{path} does not fit {path.with_name(CONFIG)}: it has {_sizes(found)}, the model {_sizes(expected)}"
        )
    try:
        model.load_weights(path)
    except Exception as error:  # And so does Keras.
        raise damaged(path, error) from error
    if (bad := _not_finite(model)) is not None:
        raise UserError(f"{path} is damaged: {bad}")


def read_shapes(path: Path) -> Shapes:
    """How many arrays of which shapes a file of weights holds; raises UserError if it is damaged."""
    shapes: Shapes = Counter()
    _visit(path, lambda array: shapes.update([tuple(array.shape)]))
    return shapes


def check_weights(path: Path) -> None:
    """Read all weights in a file, without a model; raises UserError if it is damaged or one is not finite."""
    import numpy as np

    def look(array: Any) -> None:
        if not np.isfinite(array[()]).all():
            raise ValueError(f"weights of {array.name} are not finite")

    _visit(path, look)


def _visit(path: Path, look: Callable[[Any], None]) -> None:
    """Show every array in a file of weights to a function; raises UserError if the file or what it holds is damaged."""
    import h5py

    file_size(path)

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external or item.dtype.kind != "f":
                raise ValueError(f"{name} is no array of numbers")
            look(item)

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except Exception as error:  # HDF5 fails in many ways.
        raise damaged(path, error) from error


def check_parameters(folder: Path, card: Mapping[str, Any]) -> None:
    """See that a model folder's weights are as many as its card says.

    Raises:
        UserError: if they are not, or their file is damaged.
    """
    count = _count(read_shapes(folder / WEIGHTS))
    if (said := card.get("parameters", count)) != count:
        raise UserError(f"{folder / WEIGHTS} does not fit {folder / CARD}: it has {count:,} weights, not {said:,}")


def damaged(path: Path, error: Exception) -> UserError:
    """What an error of HDF5 or Keras means to the user of a file of weights."""
    if not _is_hdf5(path):
        return UserError(f"{path} is no file of weights (HDF5)")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = "it is cut off" if "truncated file" in lines[0] else lines[0][:200]
    return UserError(f"{path} is damaged: {reason}")


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(HDF5)) == HDF5


def _sizes(shapes: Shapes) -> str:
    return f"{_count(shapes):,} weights in {shapes.total():,} arrays"


def _count(shapes: Shapes) -> int:
    return sum(math.prod(shape) * arrays for shape, arrays in shapes.items())


def _not_finite(model: Seq2Seq) -> str | None:
    import numpy as np

    for variable in model.weights:
        values = np.asarray(variable)
        if not np.isfinite(values).all():
            return f"{(~np.isfinite(values)).sum():,} of the {values.size:,} weights of {variable.path} are not finite"
    return None


def must_have_room(path: Path, config: AnyModelConfig, vocabularies: tuple[int, int]) -> None:
    """Before a model is built: see that a file can hold its weights.

    Args:
        path: of the weights.
        config: of the model.
        vocabularies: source and target pieces.

    Raises:
        UserError: if the file is too small for a model of these sizes.
    """
    size, least = file_size(path), least_weights(config, vocabularies)
    if not _is_hdf5(path):
        raise UserError(f"{path} is no file of weights (HDF5)")
    if size < BYTES * least:
        raise UserError(
            f"{path} does not fit {path.with_name(CONFIG)}: it has {size:,} bytes, "
            f"but the model {least:,} weights of {BYTES} bytes or more"
        )


def least_weights(config: AnyModelConfig, vocabularies: tuple[int, int]) -> int:
    """A number of weights that a model of these sizes has in any case."""
    source, target = vocabularies
    if isinstance(config, LSTMConfig):
        width, units = config.embedding, config.units
        layers = 2 * config.encoder_layers * units**2 + 4 * config.decoder_layers * units**2
    elif not isinstance(config, TransformerConfig):
        width, units = config.embedding, config.units
        # A feed-forward controller has no matrix from its states to its states.
        layers = (4 * units**2 if config.controller == "lstm" else 0) + units * config.slot_width
    else:
        width = config.width
        layers = 4 * (config.encoder_layers + 2 * config.decoder_layers) * width**2
        layers += 2 * (config.encoder_layers + config.decoder_layers) * width * config.feed_forward
        if config.positions == "learned":
            layers += 2 * config.max_positions * width
    tables = {"all": target, "target": source + target, "none": source + 2 * target}[config.tie]
    heads = 0 if config.q_heads is None else config.q_heads.units * (width + target)
    memory = 0 if config.memory is None else config.memory.layers * 4 * width**2
    return tables * width + layers + heads + memory
