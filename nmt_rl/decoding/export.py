"""A Transformer in the format of CTranslate2, an engine that translates without Keras."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nmt_rl.bundle import Bundle, bundle_folder, load_bundle, read_bundle_config
from nmt_rl.config import LSTMConfig, TransformerConfig
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.reading import read_json

if TYPE_CHECKING:
    from nmt_rl.corpus.tokenizer import Tokenizer, Tokenizers
    from nmt_rl.models.transformer import Transformer

Quantization = Literal["float32", "int8", "int16", "float16"]
VOCABULARY_LIMIT = 2**26
"""Bytes of a list of pieces."""
FOLDER = "ctranslate2"
"""Where the export lies, in the model folder: it goes when the model is replaced."""


def export_ctranslate2(folder: Path, quantization: Quantization = "float32") -> Path:
    """Write a Transformer's weights for CTranslate2 into its model folder.

    Args:
        folder: a model folder, or a run that holds one.
        quantization: type that the matrices are stored in.

    Returns:
        The folder that was written.

    Raises:
        UserError: if CTranslate2 is not installed, or has no such model.
    """
    require_ctranslate2()
    require_exportable(read_bundle_config(folder)[0].model, folder)
    bundle = load_bundle(folder)
    out = bundle_folder(folder) / FOLDER
    spec = _specification(bundle)
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    made = out.with_name(out.name + ".new")
    try:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        spec.save(str(made))
        shutil.rmtree(out, ignore_errors=True)
        return made.rename(out)
    except OSError as error:
        raise RunError(f"{out} could not be written: {error.strerror or error}") from error


def require_ctranslate2() -> None:
    """Raise a UserError if CTranslate2 is not installed."""
    import importlib.util

    if importlib.util.find_spec("ctranslate2") is None:
        raise UserError('CTranslate2 is not installed; pip install ctranslate2, or pip install "nmt-rl[ctranslate2]"')


def require_exportable(model: TransformerConfig | LSTMConfig, folder: Path) -> TransformerConfig:
    """The architecture, if CTranslate2 has it; otherwise raises a UserError about the folder."""
    if not isinstance(model, TransformerConfig):
        raise UserError(f"CTranslate2 runs Transformers only, but {folder} is of type {model.type}")
    if model.q_heads is not None:
        raise UserError(f"CTranslate2 has no Q heads, but {folder} has (model.q_heads)")
    return model


def _specification(bundle: Bundle) -> Any:
    from ctranslate2.specs import TransformerSpec
    from ctranslate2.specs.common_spec import Activation

    config: Any = bundle.config.model
    model: Any = bundle.model
    kinds = {"relu": Activation.RELU, "gelu": Activation.GELUTanh, "swiglu": Activation.SWISH}
    spec = TransformerSpec.from_config(
        (config.encoder_layers, config.decoder_layers),
        config.heads,
        pre_norm=config.norm == "pre",
        activation=kinds[config.activation],
        ffn_glu=config.activation == "swiglu",
    )
    spec.config.layer_norm_epsilon = model.encoder[0].norms["self"].epsilon
    spec.config.decoder_start_token = spec.config.bos_token
    spec.register_source_vocabulary(vocabulary(bundle.tokenizers.source))
    spec.register_target_vocabulary(vocabulary(bundle.tokenizers.target))
    _fill_sides(spec, model)
    for side, layers in ((spec.encoder, model.encoder), (spec.decoder, model.decoder)):
        for to, layer in zip(side.layer, layers, strict=True):
            _fill_layer(to, layer, config)
    return spec


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """All pieces, by their ids."""
    return tokenizer.pieces(range(tokenizer.size))


def require_vocabulary(export: Path, tokenizers: Tokenizers) -> None:
    """Raise a UserError if a folder that CTranslate2 loads has other pieces than the model's tokenizer."""
    sides = {"source": tokenizers.source, "target": tokenizers.target}
    for side, tokenizer in sides.items():
        path = export / f"{side}_vocabulary.json"
        if not path.exists():
            path = export / "shared_vocabulary.json"
        pieces = read_json(path, list, VOCABULARY_LIMIT)
        if len(pieces) != tokenizer.size:
            raise UserError(f"{path} has {len(pieces):,} pieces, but the model's tokenizer has {tokenizer.size:,}")
        if pieces != vocabulary(tokenizer):
            raise UserError(f"{path} has other pieces than the model's tokenizer")


def _fill_sides(spec: Any, model: Transformer) -> None:
    """Embeddings, positions, final norms and the projection."""
    tables = model.embeddings
    spec.encoder.embeddings[0].weight = _array(tables.source_table)
    spec.decoder.embeddings.weight = _array(tables.target_table)
    spec.decoder.projection.weight = _array(tables.softmax_table)
    for side, positions in ((spec.encoder, model.source_positions), (spec.decoder, model.target_positions)):
        side.position_encodings.encodings = positions.all()
    for side, norm in ((spec.encoder, model.encoder_norm), (spec.decoder, model.decoder_norm)):
        if norm is not None:
            _fill_norm(side.layer_norm, norm)


def _fill_layer(to: Any, layer: Any, config: TransformerConfig) -> None:
    attention = to.self_attention
    _fill_norm(attention.layer_norm, layer.norms["self"])
    _fill_linear(attention.linear[0], layer.self_qkv)
    _fill_linear(attention.linear[1], layer.self_out)
    if layer.is_decoder:
        _fill_norm(to.attention.layer_norm, layer.norms["cross"])
        parts = (layer.cross_query, layer.cross_keys_values, layer.cross_out)
        for linear, part in zip(to.attention.linear, parts, strict=True):
            _fill_linear(linear, part)
    _fill_norm(to.ffn.layer_norm, layer.norms["feed_forward"])
    _fill_linear(to.ffn.linear_1, layer.narrow)
    if config.activation != "swiglu":
        _fill_linear(to.ffn.linear_0, layer.wide)
        return
    halves = zip(np.split(_array(layer.wide.kernel), 2, 1), np.split(_array(layer.wide.bias), 2), strict=True)
    for linear, (kernel, bias) in zip((to.ffn.linear_0, to.ffn.linear_0_noact), halves, strict=True):
        linear.weight, linear.bias = np.ascontiguousarray(kernel.T), np.ascontiguousarray(bias)


def _fill_linear(to: Any, layer: Any) -> None:
    to.weight, to.bias = np.ascontiguousarray(_array(layer.kernel).T), _array(layer.bias)


def _fill_norm(to: Any, norm: Any) -> None:
    to.gamma, to.beta = _array(norm.gamma), _array(norm.beta)


def _array(variable: Any) -> np.ndarray:
    return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable, "float32")
