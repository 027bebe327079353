"""A Transformer in the format of CTranslate2, an engine that translates without Keras; made without Keras, too."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt_rl.bundle import WEIGHTS, open_bundle
from nmt_rl.bundle.weights import check_parameters, damaged
from nmt_rl.config import AnyModelConfig, TransformerConfig
from nmt_rl.config.model import NORM_EPSILON
from nmt_rl.config.positions import sinusoids
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.errors import RunError, UserError

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizer, Tokenizers
    from nmt_rl.decoding.request import Quantization


def require_ctranslate2() -> None:
    """Raise a UserError if CTranslate2 is not installed."""
    if importlib.util.find_spec("ctranslate2") is None:
        raise UserError("CTranslate2 is not installed; pip install ctranslate2")


def require_exportable(model: AnyModelConfig, folder: Path) -> TransformerConfig:
    """The architecture, if CTranslate2 has it; otherwise raises a UserError about the folder."""
    if not isinstance(model, TransformerConfig):
        raise UserError(f"CTranslate2 runs Transformers only, but {folder} is of type {model.type}")
    if model.q_heads is not None:
        raise UserError(f"CTranslate2 has no Q heads, but {folder} has (model.q_heads)")
    if model.memory is not None:
        raise UserError(f"CTranslate2 has no memory of pairs, but {folder} has (model.memory)")
    return model


def write_ctranslate2(folder: Path, quantization: Quantization, out: Path, word_reward: float = 0.0) -> None:
    """Write a Transformer's weights in CTranslate2's format.

    Args:
        folder: a model folder, or a run that holds one.
        quantization: type that the matrices are stored in.
        out: an empty folder.
        word_reward: what the logit of the end loses, as a bias of the projection.

    Raises:
        UserError: if CTranslate2 has no such model, or the weights are not those of config.yaml and tokenizer.
        OSError: if they cannot be written.
    """
    opened = open_bundle(folder)
    config, tokenizers = require_exportable(opened.config.model, opened.folder), opened.tokenizers
    check_parameters(opened.folder, opened.card)
    with _Weights(opened.folder / WEIGHTS) as weights:
        spec = _specification(config, tokenizers, weights)
        weights.must_be_used_up()
    if word_reward:
        spec.decoder.projection.bias = np.zeros(tokenizers.target.size, "float32")
        spec.decoder.projection.bias[EOS] = -word_reward
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    try:
        spec.save(str(out))
    except RuntimeError as error:
        raise RunError(f"{out} could not be written: {error}") from error


class _Weights:
    """The arrays in a file of weights, each of which is taken by its name and with the shape it has to have."""

    def __init__(self, path: Path) -> None:
        import h5py

        self.path = path
        self._left: dict[str, Any] = {}
        try:
            self._file = h5py.File(path, "r")
            self._file.visititems(lambda name, item: self._note(name, item) if isinstance(item, h5py.Dataset) else None)
        except Exception as error:  # HDF5 fails in many ways.
            raise damaged(path, error) from error

    def __enter__(self) -> _Weights:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _note(self, name: str, dataset: Any) -> None:
        self._left[name] = dataset

    def take(self, layer: str, number: int, *shape: int) -> np.ndarray:
        """A layer's array float32 of this number; raises UserError if it is not there, or of another shape."""
        name = f"{layer}/vars/{number}"
        found = self._left.pop(name, None)
        if found is None:
            raise UserError(f"{self.path} does not fit config.yaml: it has no {name}")
        if found.shape != shape:
            raise UserError(f"{self.path} does not fit config.yaml: {name} is {list(found.shape)}, not {list(shape)}")
        try:
            weights = np.asarray(found[()], "float32")
        except Exception as error:
            raise damaged(self.path, error) from error
        if not np.isfinite(weights).all():
            raise UserError(f"{self.path} is damaged: weights of {name} are not finite")
        return weights

    def must_be_used_up(self) -> None:
        """Raise a UserError if there are more arrays than were taken."""
        if self._left:
            raise UserError(f"{self.path} does not fit config.yaml: it has {min(self._left)}, too")


def _specification(config: TransformerConfig, tokenizers: Tokenizers, weights: _Weights) -> Any:
    from ctranslate2.specs import TransformerSpec
    from ctranslate2.specs.common_spec import Activation

    kinds = {"relu": Activation.RELU, "gelu": Activation.GELUTanh, "swiglu": Activation.SWISH}
    spec = TransformerSpec.from_config(
        (config.encoder_layers, config.decoder_layers),
        config.heads,
        pre_norm=config.norm == "pre",
        activation=kinds[config.activation],
        ffn_glu=config.activation == "swiglu",
        alignment_layer=-1 if config.alignment_layer is None else config.alignment_layer - 1,
        alignment_heads=config.heads if config.alignment_layer is None else 1,
    )
    spec.config.layer_norm_epsilon = NORM_EPSILON
    spec.config.decoder_start_token = spec.config.bos_token
    spec.register_source_vocabulary(vocabulary(tokenizers.source))
    spec.register_target_vocabulary(vocabulary(tokenizers.target))
    _fill_tables(spec, config, (tokenizers.source.size, tokenizers.target.size), weights)
    for name, side in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if config.norm == "pre":
            _fill_norm(side.layer_norm, f"{name}_norm", config.width, weights)
        for number, to in enumerate(side.layer):
            _fill_layer(to, f"{name}/__layer{_suffix(number)}", config, weights)
    return spec


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """All pieces, by their ids."""
    return tokenizer.pieces(range(tokenizer.size))


def _suffix(number: int) -> str:
    """What Keras tells layers of one kind apart by."""
    return f"_{number}" if number else ""


def _fill_tables(spec: Any, config: TransformerConfig, sizes: tuple[int, int], weights: _Weights) -> None:
    """Embeddings, the projection and positions."""
    target = weights.take("embeddings", 0, sizes[1], config.width)
    source = target if config.tie == "all" else weights.take("embeddings", 1, sizes[0], config.width)
    softmax = weights.take("embeddings", 2, sizes[1], config.width) if config.tie == "none" else target
    spec.encoder.embeddings[0].weight, spec.decoder.embeddings.weight = source, target
    spec.decoder.projection.weight = softmax
    for name, side in (("layers/__positions", spec.encoder), ("layers/__positions_1", spec.decoder)):
        shape = (config.max_positions, config.width)
        learned = config.positions == "learned"
        side.position_encodings.encodings = weights.take(name, 0, *shape) if learned else sinusoids(*shape)


def _fill_layer(to: Any, name: str, config: TransformerConfig, weights: _Weights) -> None:
    width, inner = config.width, config.feed_forward
    self_attention, cross, forward = to.self_attention, getattr(to, "attention", None), to.ffn
    _fill_linear(self_attention.linear[0], f"{name}/self_qkv", width, 3 * width, weights)
    _fill_linear(self_attention.linear[1], f"{name}/self_out", width, width, weights)
    norms = [self_attention.layer_norm, forward.layer_norm]
    if cross is not None:
        norms.insert(1, cross.layer_norm)
        parts = {"cross_query": width, "cross_keys_values": 2 * width, "cross_out": width}
        for linear, (part, units) in zip(cross.linear, parts.items(), strict=True):
            _fill_linear(linear, f"{name}/{part}", width, units, weights)
    for number, norm in enumerate(norms):
        _fill_norm(norm, f"{name}/norms/layer_normalization{_suffix(number)}", width, weights)
    _fill_linear(forward.linear_1, f"{name}/narrow", inner, width, weights)
    if config.activation != "swiglu":
        _fill_linear(forward.linear_0, f"{name}/wide", width, inner, weights)
        return
    kernel, bias = (
        weights.take(f"{name}/wide", n, *shape) for n, shape in enumerate([(width, 2 * inner), (2 * inner,)])
    )
    for linear, columns in ((forward.linear_0, slice(0, inner)), (forward.linear_0_noact, slice(inner, None))):
        linear.weight, linear.bias = np.ascontiguousarray(kernel[:, columns].T), np.ascontiguousarray(bias[columns])


def _fill_linear(to: Any, name: str, inputs: int, units: int, weights: _Weights) -> None:
    to.weight, to.bias = np.ascontiguousarray(weights.take(name, 0, inputs, units).T), weights.take(name, 1, units)


def _fill_norm(to: Any, name: str, width: int, weights: _Weights) -> None:
    to.gamma, to.beta = weights.take(name, 0, width), weights.take(name, 1, width)
