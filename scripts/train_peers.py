"""Train small Transformers with other toolkits, to measure them beside nmt-rl with measure_translators.py.

    python scripts/train_peers.py FOLDER TRAIN VALID TOKENIZER NAME=BIN [NAME=BIN ...] [--updates 600]

TRAIN and VALID are prefixes of German and English text, TOKENIZER a SentencePiece model such as that of a run, BIN the
folder `bin` of a virtual environment with the toolkit NAME: `opennmt-tf` (2.32), `eole` (0.6) or `joeynmt` (2.3). The
models have the sizes of the recipe multi30k-de-en-transformer: 3+3 layers, width 256, 1,024 inside, 4 heads, the same
pieces, one thread. FOLDER gets pieces, configurations, logs and models; what is there is not trained again. Prints
greedy and beam-5 commands for measure_translators.py, batches of 64.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from sentencepiece import SentencePieceProcessor

SPLITS = ("train", "valid")
LANGUAGES = ("de", "en")
RATE = 0.0005


def main() -> None:
    """Train what is missing and print the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("peers", nargs="+", metavar="NAME=BIN")
    parser.add_argument("--updates", type=int, default=600)
    arguments = parser.parse_args()
    peers = dict(pair.split("=", 1) for pair in arguments.peers)
    if unknown := sorted(set(peers) - set(PEERS)):
        parser.error(f"unknown peers {', '.join(unknown)}; known: {', '.join(PEERS)}")
    folder = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    pieces = SentencePieceProcessor(model_file=str(arguments.tokenizer))
    for split, prefix in zip(SPLITS, (arguments.train, arguments.valid), strict=True):
        for language in LANGUAGES:
            _write_pieces(pieces, Path(f"{prefix}.{language}"), folder / f"{split}.{language}")
    for name, binaries in peers.items():
        for beam, command in PEERS[name](folder, Path(binaries).absolute(), arguments.updates).items():
            print(f'"{name}, beam {beam}={command}"')


def _write_pieces(pieces: SentencePieceProcessor, text: Path, out: Path) -> None:
    lines = text.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    out.write_text("".join(f"{' '.join(line)}\n" for line in pieces.encode(lines, out_type=str)), encoding="utf-8")


def _run(folder: Path, name: str, *commands: str) -> None:
    """Run shell lines in the folder, once: a model that is there is kept."""
    done, log = folder / f"{name}.done", folder / f"{name}.log"
    if done.exists():
        return
    with log.open("w", encoding="utf-8") as stream:
        for command in commands:
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "TF_NUM_INTRAOP_THREADS": "1",
                "TF_CPP_MIN_LOG_LEVEL": "2",
            }
            code = subprocess.run(
                command, shell=True, cwd=folder, stdout=stream, stderr=stream, env=environment
            ).returncode
            if code:
                sys.exit(f"{name}: exit {code}, see {log}")
    done.touch()


def _write_yaml(path: Path, tree: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(tree), sort_keys=False), encoding="utf-8")
    return path


def _opennmt_tf(folder: Path, binaries: Path, updates: int) -> dict[int, str]:
    """OpenNMT-tf: the model is a Python file, everything else YAML."""
    sizes = "num_layers=3, num_units=256, num_heads=4, ffn_inner_dim=1024"
    (folder / "opennmt_tf_model.py").write_text(
        "from opennmt import inputters, models\n\n\ndef model():\n"
        "    words = [inputters.WordEmbedder(embedding_size=256) for _ in range(2)]\n"
        f"    return models.Transformer(*words, {sizes}, share_embeddings=models.EmbeddingsSharingLevel.TARGET)\n"
    )
    shared = {
        "model_dir": str(folder / "opennmt_tf"),
        "data": {
            "train_features_file": str(folder / "train.de"),
            "train_labels_file": str(folder / "train.en"),
            "source_vocabulary": str(folder / "opennmt_tf.de.vocab"),
            "target_vocabulary": str(folder / "opennmt_tf.en.vocab"),
        },
        "train": {"batch_size": 128, "batch_type": "examples", "effective_batch_size": None, "max_step": updates}
        | {"save_checkpoints_steps": updates, "length_bucket_width": 2, "sample_buffer_size": 30000},
        "infer": {"batch_size": 64, "length_bucket_width": 5},
    }
    params = {"optimizer": "Adam", "learning_rate": RATE, "label_smoothing": 0.1, "dropout": 0.1}
    configs = {
        beam: _write_yaml(folder / f"opennmt_tf_{beam}.yaml", shared | {"params": params | {"beam_width": beam}})
        for beam in (1, 5)
    }
    main = f"{binaries}/onmt-main --model {folder}/opennmt_tf_model.py --config"
    vocabularies = [
        f"{binaries}/onmt-build-vocab --save_vocab opennmt_tf.{each}.vocab train.{each}" for each in LANGUAGES
    ]
    _run(folder, "opennmt-tf", *vocabularies, f"{main} {configs[1]} train")
    return {b: f"{main} {c} infer --features_file {{pieces}} --predictions_file {{output}}" for b, c in configs.items()}


def _eole(folder: Path, binaries: Path, updates: int) -> dict[int, str]:
    """eole, which was OpenNMT-py."""
    config = _write_yaml(
        folder / "eole.yaml",
        {
            "src_vocab": "eole.de.vocab",
            "tgt_vocab": "eole.en.vocab",
            "overwrite": True,
            "save_data": "eole_data",
            "n_sample": 0,
            "data": {
                "corpus_1": {"path_src": "train.de", "path_tgt": "train.en"},
                "valid": {"path_src": "valid.de", "path_tgt": "valid.en"},
            },
            "model": {"architecture": "transformer", "hidden_size": 256, "layers": 3, "heads": 4}
            | {"transformer_ff": 1024, "share_decoder_embeddings": True}
            | {"embeddings": {"word_vec_size": 256, "position_encoding_type": "SinusoidalInterleaved"}},
            "training": {"world_size": 1, "gpu_ranks": [], "model_path": "eole_model", "num_workers": 0}
            | {"batch_size": 128, "bucket_size": 12800, "compute_dtype": "fp32", "train_steps": updates}
            | {"save_checkpoint_steps": updates, "valid_steps": 10 * updates, "optim": "adam", "learning_rate": RATE}
            | {"label_smoothing": 0.1, "dropout": [0.1], "attention_dropout": [0.1]},
        },
    )
    _run(folder, "eole", f"{binaries}/eole build_vocab -c {config} -n_sample -1", f"{binaries}/eole train -c {config}")
    predict = f"{binaries}/eole predict -model_path {folder}/eole_model -src {{pieces}} -output {{output}}"
    return {beam: f"{predict} -beam_size {beam} -batch_size 64 -batch_type sents" for beam in (1, 5)}


def _joeynmt(folder: Path, binaries: Path, updates: int) -> dict[int, str]:
    """JoeyNMT, which reads standard input."""
    special: dict[str, Any] = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    special |= {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3}
    side: dict[str, Any] = {"max_length": 100, "min_length": 1, "lowercase": False, "normalize": False, "level": "word"}
    side |= {"voc_limit": 8000, "voc_min_freq": 1, "tokenizer_type": "none", "tokenizer_cfg": {"pretokenizer": "none"}}
    stack: dict[str, Any] = {
        "type": "transformer",
        "num_layers": 3,
        "num_heads": 4,
        "hidden_size": 256,
        "ff_size": 1024,
    }
    stack |= {"embeddings": {"embedding_dim": 256, "scale": True}, "dropout": 0.1, "layer_norm": "post"}
    tree = {
        "name": "peer",
        "joeynmt_version": "2.3.0",
        "model_dir": str(folder / "joeynmt"),
        "use_cuda": False,
        "fp16": False,
        "random_seed": 1,
        "data": {"train": "train", "dev": "valid", "test": "valid", "dataset_type": "plain", "special_symbols": special}
        | {"sample_dev_subset": 50}
        | {name: {"lang": language, **side} for name, language in zip(("src", "trg"), LANGUAGES, strict=True)},
        "training": {"optimizer": "adam", "learning_rate": RATE, "batch_size": 128, "batch_type": "sentence"}
        | {"loss": "crossentropy", "label_smoothing": 0.1, "normalization": "tokens", "epochs": 100}
        | {"learning_rate_warmup": max(1, updates // 2), "learning_rate_min": 1e-8}
        | {
            "scheduling": "warmupinversesquareroot",
            "updates": updates,
            "validation_freq": updates,
            "logging_freq": max(1, updates // 10),
            "early_stopping_metric": "loss",
        }
        | {"overwrite": True, "keep_best_ckpts": 1, "print_valid_sents": [0]},
        "model": {"initializer": "xavier_uniform", "bias_initializer": "zeros", "embed_initializer": "xavier_uniform"}
        | {"tied_embeddings": False, "tied_softmax": True, "encoder": stack, "decoder": stack},
    }
    testing = {"n_best": 1, "beam_alpha": 1.0, "batch_size": 64, "batch_type": "sentence", "eval_metrics": ["bleu"]}
    configs = {
        beam: _write_yaml(folder / f"joeynmt_{beam}.yaml", tree | {"testing": testing | {"beam_size": beam}})
        for beam in (1, 5)
    }
    _run(folder, "joeynmt", f"{binaries}/python -m joeynmt train {configs[1]} --skip-test")
    translate = f"cd {folder} && {binaries}/python -m joeynmt translate"
    return {beam: f"{translate} {config} < {{pieces}} > {{output}}" for beam, config in configs.items()}


PEERS = {"opennmt-tf": _opennmt_tf, "eole": _eole, "joeynmt": _joeynmt}


if __name__ == "__main__":
    main()
