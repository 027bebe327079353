"""Which sentences fine-tuning draws; what is made of them is tested with the terms."""

import numpy as np
import pytest

from nmt_rl.config import parse_config
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.corpus.tokenizer import PAD, train_tokenizer
from nmt_rl.models.build import build_model
from nmt_rl.rl.divergence import Divergence
from nmt_rl.rl.episodes import EpisodeBatches
from nmt_rl.rl.prior import Prior
from nmt_rl.rl.reward import make_reward
from nmt_rl.rl.term import Term

PAIRS, SENTENCES = 512, 16


class Recorder(Term):
    """Keeps the rows it was given."""

    name = "recorder"

    def __init__(self, **numbers):
        self.rows, self.numbers = [], numbers

    def batch(self, drawn):
        self.rows.append(drawn.rows)
        return {}, self.numbers

    def loss(self, model, batch, training):
        raise AssertionError("no update is made here")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Batches of some terms, from 512 pairs of 1 to 30 pieces."""
    folder, rng = tmp_path_factory.mktemp("episodes"), np.random.default_rng(0)
    config = parse_config(
        {
            "name": "tiny",
            "corpus": {"source_language": "de", "target_language": "en", "train": "train", "valid": "valid"},
            "tokenizer": {"vocabulary": 16, "byte_fallback": False},
            "model": {"type": "lstm", "embedding": 4, "units": 4},
            "finetune": {"sentences": SENTENCES},
        },
        "test",
    )
    tokenizer = train_tokenizer(["abcde fghij", "badce jihgf", "cab fig"] * 5, config.tokenizer)
    lengths = rng.integers(1, 30, PAIRS)
    ids = [rng.integers(4, tokenizer.size, length).tolist() for length in lengths]
    with CorpusWriter(folder / "train", tokenizer.size, tokenizer.size) as writer:
        writer.append(ids, ids)
    corpus = EncodedCorpus.open(folder / "train")
    model = build_model(config.model, tokenizer.size, tokenizer.size, 1)
    reward = make_reward(config.finetune.reward, tokenizer)

    def batches(*terms, accumulate=1):
        optimizer = config.finetune.optimizer.model_copy(update={"accumulate": accumulate})
        settings = config.model_copy(update={"finetune": config.finetune.model_copy(update={"optimizer": optimizer})})
        rest = (terms, reward, corpus, tokenizer, settings)
        return EpisodeBatches(Divergence(model, model), Prior(model, config.finetune), *rest)

    return batches


@pytest.fixture(scope="module")
def draw(make):
    """Rows of so many updates."""

    def rows(updates):
        term = Recorder()
        batches = make(term)
        for step in range(1, updates + 1):
            batches.next(10 * step + 1)  # an update that logs nothing
        return term.rows

    return rows


def test_a_batch_holds_long_and_short_sentences_alike(draw):
    """A batch of one length would pull the length of all translations its way (docs/fine-tuning.md)."""
    found = draw(PAIRS // SENTENCES)
    lengths = [(rows.target_out != PAD).sum(axis=1) for rows in found]
    everything = np.concatenate(lengths)
    assert np.std([np.mean(x) for x in lengths]) < 2 * np.std(everything) / np.sqrt(SENTENCES)
    assert np.mean([np.std(x) for x in lengths]) > 0.8 * np.std(everything)


def test_an_epoch_draws_every_pair_once(draw):
    indices = np.concatenate([rows.indices for rows in draw(PAIRS // SENTENCES)])
    np.testing.assert_array_equal(np.sort(indices), np.arange(PAIRS))


def test_batches_of_one_update_share_each_term_by_its_size(make):
    """Two batches, the second with three times the weights of the first."""

    class Sized(Recorder):
        def batch(self, drawn):
            super().batch(drawn)
            return {"weights": np.ones(2 * 3 ** (len(self.rows) - 1), np.float32)}, {
                "tokens": 10.0,
                "return": len(self.rows),
            }

    batches = make(Sized(), accumulate=2)
    found, numbers = batches.next(11)
    assert [float(batch["recorder"]["share"]) for batch in found] == [0.25, 0.75]
    assert numbers == {"tokens": 20.0, "return": 1.5}


def test_pieces_of_all_terms_count_and_of_other_numbers_the_first(make):
    batches = make(Recorder(tokens=30.0, length_ratio=0.9), Recorder(tokens=12.0, length_ratio=1.2, td_error=0.1))
    assert batches.next(11)[1] == {"tokens": 42.0, "length_ratio": 0.9, "td_error": 0.1}
