"""How often an epoch goes through each source, worked out by hand."""

import numpy as np
import pytest

from nmt_rl.config import BatchConfig
from nmt_rl.corpus.batch_stream import BatchStream, Position
from nmt_rl.corpus.mixture import Mixture, draws_of
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus, ragged


def test_weights_are_how_often_an_epoch_goes_through_a_source():
    assert draws_of([100, 10], [1.0, 3.0], 1.0) == [100, 30]
    assert draws_of([100, 0], [0.25, 1.0], 1.0) == [25, 0]


def test_temperature_draws_small_sources_more_often():
    """Of 900 and 100 pairs: sqrt gives 3 to 1 of 1,000; a very large temperature the same number of both."""
    assert draws_of([900, 100], [1.0, 1.0], 2.0) == [750, 250]
    assert draws_of([900, 100], [1.0, 1.0], 1e9) == [500, 500]


def test_a_source_is_gone_through_before_a_pair_comes_again():
    """Two of three pairs and four of two per epoch: places 0 and 1 are of the first source, 2 to 5 of the second."""
    mixture = Mixture([3, 2], [2, 4])
    epochs = [mixture.pairs_at(epoch, np.arange(6)).tolist() for epoch in range(3)]
    assert epochs == [[0, 1, 3, 4, 3, 4], [2, 0, 3, 4, 3, 4], [1, 2, 3, 4, 3, 4]]


@pytest.fixture
def corpus(tmp_path):
    """Six pairs of a first source and two of a second one; pair i is made of piece 10 + i."""
    with CorpusWriter(tmp_path / "train", 40, 40) as writer:
        for number, rows in enumerate(([[10 + i] for i in range(6)], [[16], [17]])):
            writer.append_ragged(ragged(rows), ragged(rows), number)
    return EncodedCorpus.open(tmp_path / "train")


def drawn(corpus, epochs, kind="sentences"):
    """How often each pair comes in so many epochs."""
    config = BatchConfig(type=kind, size=3 if kind == "sentences" else 12, packed_length=6, max_length=6, pool=4)
    counts = np.zeros(len(corpus), int)
    for batch, after in BatchStream(corpus, config, seed=1):
        rows = batch.source[np.isin(batch.source, np.arange(10, 18))]
        np.add.at(counts, rows - 10, 1)
        if after >= Position(epochs, 0):
            return counts.tolist()


def test_batches_are_of_the_mixture(corpus):
    assert drawn(corpus, 1) == [1] * 8
    corpus.mix([0.5, 2.0], 1.0)
    assert len(corpus.mixture) == 7
    assert drawn(corpus, 4) == [2] * 6 + [8, 8] and drawn(corpus, 2, "packed") == [1] * 6 + [4, 4]
