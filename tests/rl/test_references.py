from dataclasses import replace

import numpy as np
from copy_task import make_corpus, make_model
from episodes import make_episode

from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.rl.references import ReferenceTerm
from nmt_rl.rl.replay import Sampled


def test_the_references_of_the_sources_that_were_played_once_each():
    corpus = make_corpus(9)
    episodes = [replace(make_episode(number), source_id=source) for number, source in enumerate((3, 8, 3, 3))]
    term = ReferenceTerm(make_model(), corpus, 0.1, 1.0)
    batch, numbers = term.batch(Sampled(episodes, np.arange(4), np.ones(4)), 1)
    expected = [*corpus.target(3).tolist(), EOS, *corpus.target(8).tolist(), EOS]
    labels = batch["labels"][batch["labels"] != PAD]
    assert labels.tolist() == expected
    assert numbers["tokens"] == term.size(batch) == len(labels)
    assert batch["source"].shape[0] == 2
