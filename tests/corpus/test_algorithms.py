"""Pairs made by rules: each target is what the rule says, and the same seed makes the same."""

import random

import pytest

from nmt_rl.config import CorpusConfig, MadeConfig
from nmt_rl.corpus.algorithms import ALGORITHMS, SYMBOLS, made_pairs
from nmt_rl.corpus.sources import read_pairs
from nmt_rl.evaluation.task_metrics import exact_match


def drawn(name, size, seed=1):
    source, target = ALGORITHMS[name](random.Random(seed), size)
    return source.split(" "), target.split(" ")


@pytest.mark.parametrize("seed", range(5))
def test_targets_follow_the_rules(seed):
    source, target = drawn("copy", 7, seed)
    assert source == target and len(source) == 7
    (*symbols, times), target = drawn("repeat-copy", 4, seed)
    assert target == symbols * int(times)
    source, target = drawn("sort", 6, seed)
    ranked = sorted(zip(map(int, source[1::2]), source[::2], strict=True), reverse=True)
    assert target == [symbol for _, symbol in ranked] and len(set(source[1::2])) == 6
    text, target = ALGORITHMS["recall"](random.Random(seed), 5)
    items, asked = text.split(" ? ")
    items = items.removeprefix("; ").split(" ; ")
    assert len(set(items)) == 5 and items[items.index(asked) + 1] == target
    (*given, mark, asked), target = drawn("registers", 9, seed)
    values = dict(zip(given[::2], given[1::2], strict=True))
    assert len(given) == 18 and mark == "?" and target == [values[asked]] and len(values) <= 4
    text, target = ALGORITHMS["facts"](random.Random(seed), 8)
    *told, question = text.split(" . ")
    name = question.split(" ")[2]
    assert [line.split(" ")[3] for line in told if line.startswith(f"{name} ")][-1] == target


def test_exact_match_sees_every_symbol():
    assert not any(exact_match(f"{symbol} z", "z") for symbol in SYMBOLS)


def test_sizes_and_seeds():
    config = MadeConfig(algorithm="copy", sizes=(2, 4), pairs=200)
    pairs = list(made_pairs(config))
    assert pairs == list(made_pairs(config)) and {len(source.split()) for source, _ in pairs} == {2, 3, 4}
    assert pairs != list(made_pairs(config.model_copy(update={"seed": 2})))
    with pytest.raises(ValueError, match="the smaller first"):
        MadeConfig(algorithm="copy", sizes=(5, 4))


def test_a_corpus_may_be_made():
    text = {"made": {"algorithm": "sort", "sizes": [3, 3], "pairs": 4}}
    tree = {"source_language": "en", "target_language": "en", "train": text, "valid": text}
    config = CorpusConfig.model_validate(tree)
    assert len(list(read_pairs(config.train[0], config))) == 4 and config.train[0].label == "sort 3-3"
