"""The copy task: eight words, the translation of a sentence is the sentence."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from nmt_rl.config import BatchConfig, Config, OptimizerConfig, RewardConfig, TransformerConfig
from nmt_rl.corpus.batch_stream import BatchStream
from nmt_rl.corpus.batches import Batch
from nmt_rl.corpus.store import EncodedCorpus, PackedSide
from nmt_rl.corpus.tokenizer import BOS, EOS, PAD, Tokenizers
from nmt_rl.decoding.generator import Generator
from nmt_rl.models.build import build_model
from nmt_rl.rl import reward
from nmt_rl.rl.actor import Sentences
from nmt_rl.rl.family import build_family
from nmt_rl.rl.finetune import make_agent
from nmt_rl.training.learner import Learner
from nmt_rl.training.losses import CrossEntropy, with_positions

WORDS = "abcdefgh"
FIRST = 4
"""Id of the first word, behind the control pieces."""
SIZE = FIRST + len(WORDS)
TRANSFORMER = TransformerConfig(width=16, heads=2, feed_forward=16, encoder_layers=1, decoder_layers=1, dropout=0.0)


class WordTokenizer:
    """Every piece is a word; control pieces have no text."""

    size = SIZE

    def decode(self, ids):
        return [" ".join(WORDS[i - FIRST] for i in row if i >= FIRST) for row in np.asarray(ids, object)]


def tokenizers():
    return Tokenizers(WordTokenizer(), WordTokenizer())


def make_reward(**settings):
    return reward.make_reward(RewardConfig(**settings), WordTokenizer())


class Student:
    """A pretrained policy, its frozen prior, and the real machinery of fine-tuning."""

    def __init__(self, weights, config, corpus):
        self.config, self.weights = config, weights
        self.prior = make_model(config.model)
        self.prior.set_weights(weights)
        self.prior.trainable = False
        prepared = SimpleNamespace(train=corpus, tokenizers=tokenizers())
        self.reward = make_reward(**config.finetune.reward.model_dump())
        family = build_family(config, self.prior, prepared, self.reward)
        self.policy, self.terms, self.actor = family.model, family.terms, family.actor
        self.agent = make_agent(family)
        self.learner = self.agent.learner
        self.decode = Generator(self.policy)
        self._start = [(v, np.array(v.value)) for v in self.learner.state]
        meta, arrays = self.agent.state()
        self._begin = meta, {name: np.array(array) for name, array in arrays.items()}

    def learn(self, updates, rate, seed):
        """From the pretrained weights, with nothing left of an earlier seed."""
        for variable, value in self._start:
            variable.assign(value)
        self.agent.restore(*self._begin)
        self.agent.sentences.seed = seed
        for step in range(1, updates + 1):
            self.agent.update(step, rate)


def make_config(model=TRANSFORMER, seed=1, decoding=None, **finetune):
    none = {"source": ["none"], "target": ["none"]}
    corpus = {"source_language": "x", "target_language": "y", "train": none, "valid": none}
    finetune = {"optimizer": {"warmup": 0}, **finetune}
    decoding = decoding or {"max_length_ratio": 1.0, "max_length_extra": 3}
    tree = {"name": "copy", "seed": seed, "corpus": corpus, "finetune": finetune, "decoding": decoding}
    return Config(model=model, **tree)


def make_corpus(pairs=200, seed=0, shortest=2, longest=5):
    """An encoded corpus in memory."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(FIRST, SIZE, rng.integers(shortest, longest + 1)).astype(np.int32) for _ in range(pairs)]
    side = PackedSide.concatenate([(np.concatenate(rows), np.array([len(row) for row in rows]))])
    return EncodedCorpus(side, side, {})


def make_model(config=TRANSFORMER, seed=1, noise=0.0, positions=None):
    """Freshly drawn; `noise` moves every weight, so that distributions differ by state and biases are not 0."""
    if positions:
        config = config.model_copy(update={"max_positions": positions})
    model = build_model(config, SIZE, SIZE, seed)
    rng = np.random.default_rng(seed + 100)
    model.set_weights([w + rng.normal(0.0, noise, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def make_sources(rows=6, longest=5, seed=3):
    """int32 [rows, longest + 1]: words of different number, EOS, padding."""
    rng = np.random.default_rng(seed)
    source = np.full((rows, longest + 1), PAD, np.int32)
    for row, length in zip(source, np.resize(np.arange(2, longest + 1), rows), strict=True):
        row[:length], row[length] = rng.integers(FIRST, SIZE, length), EOS
    return source


def make_translations(lengths, seed=4):
    """int32 [batch, time] of words that end in EOS, and the decoder's inputs."""
    rng = np.random.default_rng(seed)
    ids = np.full((len(lengths), max(lengths)), PAD, np.int32)
    for row, length in zip(ids, lengths, strict=True):
        row[: length - 1], row[length - 1] = rng.integers(FIRST, SIZE, length - 1), EOS
    return ids, np.concatenate([np.full((len(ids), 1), BOS, np.int32), ids[:, :-1]], axis=1)


def pretrain(model, corpus, updates, rate, size=32, seed=0):
    """Cross-entropy updates."""
    config = BatchConfig(type="sentences", size=size, pad="longest")
    learner = Learner(model, CrossEntropy(0.0), OptimizerConfig(clip_norm=1.0))
    stream = iter(BatchStream(corpus, config, seed))
    for _ in range(updates):
        learner.update([with_positions(next(stream)[0], config)], rate)


def exact_match(model, source, decode=None):
    """Share of sources int32 [batch, source] that greedy decoding copies."""
    ids = (decode or Generator(model))(source, source.shape[1]).ids
    ids = np.pad(ids, ((0, 0), (0, source.shape[1] - ids.shape[1])))
    return float((ids == source).all(axis=1).mean())


def make_sentences(source, reward, references=None):
    """To be played: sources int32 [batch, source], each its own reference; its place in the corpus is 10 times that."""
    target_in = np.concatenate([np.full((len(source), 1), BOS, np.int32), source[:, :-1]], axis=1)
    rows = Batch(source, target_in, source, 10 * np.arange(len(source)))
    return Sentences(rows, reward.references(references or WordTokenizer().decode(source)))
