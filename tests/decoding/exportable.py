"""Small models with drawn weights that say something, written as model folders."""

import numpy as np

from nmt_rl.bundle import save_bundle
from nmt_rl.config import Config, TransformerConfig
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, UNK
from nmt_rl.models.build import build_model

LINES = ["ein kleiner Hund", "", "die grüne Wiese und drei Vögel am blauen Himmel sieht ein Hund", "Himmel", "Hund xyz"]
SMALL = {"width": 8, "heads": 2, "feed_forward": 8, "encoder_layers": 2, "decoder_layers": 1, "max_positions": 40}


def save_model(folder, tokenizers, decoding, architecture=None, unknown=0.0, end=3.0):
    """Write a model folder, and return it.

    Args:
        unknown: logit that the pieces which may not be chosen have beside the end's; those of a trained model have next
            to none.
        end: how much longer the vector of the end is than drawn; with a shorter one translations go on.
    """
    architecture = architecture or TransformerConfig(**SMALL)
    files = {"source_language": "de", "target_language": "en", "train": "t", "valid": "v"}
    sections = {"model": architecture, "decoding": decoding, "tokenizer": {"vocabulary": 295}}
    config = Config(name="tiny", corpus=files, **sections)
    model = build_model(architecture, tokenizers.source.size, tokenizers.target.size, seed=1)
    draw = np.random.default_rng(2)
    model.set_weights([w + draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
    if architecture.type == "transformer" and architecture.q_heads is None:
        # So that translations end, and that pieces which may not be chosen have little probability.
        table = model.embeddings.softmax_table.numpy()
        table[EOS] *= end
        table[[PAD, UNK, BOS]] = (unknown or -2) * table[EOS]
        model.embeddings.softmax_table.assign(table)
        last = model.decoder_norm or model.decoder[-1].norms["feed_forward"]
        last.gamma.assign(0.9 / end * last.gamma)
        last.beta.assign(4 * table[EOS] / (table[EOS] ** 2).sum())
    save_bundle(folder, config, tokenizers, model, {})
    return folder
