"""Memories: what a model has read is found, mixed in by what fits its own pairs, added to, and of that model alone."""

import json
import shutil

import numpy as np
import pytest

from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.errors import UserError
from nmt_rl.retrieval.fitting import logistic_mixture


@pytest.fixture(scope="module")
def memory(tmp_path_factory, tiny_run, tiny_corpus):
    from nmt_rl.retrieval.writing import remember

    folder = tmp_path_factory.mktemp("memory") / "memory"
    sides = [(tiny_corpus / f"train.{language}").read_text().splitlines() for language in ("de", "en")]
    made = remember(tiny_run.folder, [*zip(*sides, strict=True), ("", "nothing"), (sides[0][0], sides[1][0])], folder)
    assert made.left_out >= 2 and made.pairs + made.left_out == len(sides[0]) + 2
    assert made.likelihood["mixed"] > made.likelihood["alone"]
    return folder


def test_states_are_the_decoders_before_each_piece(memory, tiny_run):
    from keras import ops

    from nmt_rl.bundle import load_bundle
    from nmt_rl.corpus.batches import collate
    from nmt_rl.corpus.store import ragged
    from nmt_rl.retrieval.memory import Memory

    opened, model = Memory.open(memory), load_bundle(tiny_run.folder).model
    for pair in (0, len(opened.pairs) - 1):
        source, target = opened.pairs.source(pair), opened.pairs.target(pair)
        batch = collate(ragged([source.tolist()]), ragged([target.tolist()]), np.array([0]))
        keys, values = opened.keys(np.array([pair]))
        states = ops.convert_to_numpy(model.decode_states(batch.target_in, model.encode(batch.source)).states)[0]
        np.testing.assert_allclose(keys, states, atol=2e-3)
        assert values.tolist() == [*target, EOS]


def test_a_source_finds_its_own_pair_first_and_not_when_it_is_left_out(memory):
    from nmt_rl.retrieval.memory import Memory

    opened = Memory.open(memory)
    sources = [opened.pairs.source(i).tolist() for i in range(5)]
    first = [row[0] for row in opened.found(sources)]
    assert [opened.pairs.source(int(i)).tolist() for i in first] == sources
    without = opened.found(sources, list(range(5)))
    assert all(number not in row for number, row in enumerate(without)) and all(len(row) <= 16 for row in without)


def test_recalled_arrays_have_a_row_for_each_source(memory):
    from nmt_rl.retrieval.memory import Memory

    opened = Memory.open(memory)
    unknown = np.array([[*opened.pairs.source(0), EOS, 0, 0], [EOS] + [0] * (len(opened.pairs.source(0)) + 2)], "int32")
    found = opened.recall(unknown)
    assert found["keys"].shape[:2] == found["values"].shape and found["keys"].dtype == np.float32
    assert (found["values"][0] > 0).any() and not found["values"][1].any()


def test_translate_says_what_it_remembers(command, memory, tiny_run, tmp_path):
    """A model of a few updates translates badly; with its memory it knows the training text."""
    from nmt_rl.retrieval.memory import Memory

    opened = Memory.open(memory)
    from nmt_rl.corpus.tokenizer import Tokenizers

    tokenizers = Tokenizers.load(tiny_run.folder / "model")
    texts = [
        side.decode([read(i) for i in range(20)])
        for side, read in ((tokenizers.source, opened.pairs.source), (tokenizers.target, opened.pairs.target))
    ]
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in texts[0]))
    plain = command("translate", tiny_run.folder, "-i", tmp_path / "in").out.splitlines()
    found = command("translate", tiny_run.folder, "-i", tmp_path / "in", "--memory", memory)
    assert found.code == 0, found.err
    right = [sum(a == b for a, b in zip(lines, texts[1], strict=True)) for lines in (plain, found.out.splitlines())]
    assert right[1] > right[0] + 5, right


def test_adding_keeps_what_was_there(command, memory, tiny_run, tiny_corpus, tmp_path):
    from nmt_rl.retrieval.memory import Memory

    folder = tmp_path / "memory"
    shutil.copytree(memory, folder)
    before = Memory.open(folder)
    assert before.scope == "like"
    count, keys = len(before.pairs), before.keys(np.array([3]))[0].copy()
    del before
    texts = ("--source", tiny_corpus / "valid.de", "--target", tiny_corpus / "valid.en")
    refused = command("remember", tiny_run.folder, *texts, "-o", folder)
    assert refused.code == 2 and "--add" in refused.err
    found = command("remember", tiny_run.folder, *texts, "-o", folder, "--add", "--mixing", "distance")
    assert found.code == 0, found.err
    after = Memory.open(folder)
    assert count < len(after.pairs) <= count + 8 and after.mixing.kind == "distance"
    np.testing.assert_array_equal(after.keys(np.array([3]))[0], keys)


def test_a_memory_is_of_one_model(command, memory, tiny_run, tmp_path):
    (tmp_path / "in").write_text("hund\n")
    other = tiny_run.folder / "pretrain" / "model"
    if (other / "model.weights.h5").read_bytes() == (tiny_run.folder / "model" / "model.weights.h5").read_bytes():
        other = tiny_run.folder / "finetune" / "model"
    found = command("translate", other, "-i", tmp_path / "in", "--memory", memory)
    assert found.code == 2 and "belongs to another model than" in found.err, found.err
    found = command("translate", tiny_run.folder, "-i", tmp_path / "in", "--memory", tmp_path)
    assert found.code == 2 and "is no memory" in found.err
    engine = command("translate", tiny_run.folder, "-i", tmp_path / "in", "--memory", memory, "--engine", "ctranslate2")
    assert engine.code == 2 and "CTranslate2 has no --memory" in engine.err


def test_a_memory_is_told_of_and_verified_as_a_model_is(command, memory, tiny_run, tmp_path):
    told = command("info", memory).out
    assert told.startswith(f"memory                     {memory}\nof model                   ")
    assert "\nlanguages                  de-en\n" in told and "\nmixing                     adaptive\n" in told
    record = json.loads(command("info", memory, "--json").out)
    assert record["scope"] == "like" and f"({record['model']['weights'][:12]})" in told
    copy = shutil.copytree(memory, tmp_path / "copy")
    good = command("verify", copy)
    assert good.code == 0 and f"same      {copy / 'memory.json'}\n" in good.out and "damaged" not in good.out
    (copy / "memory.json").write_text((copy / "memory.json").read_text() + " ")
    found = command("verify", copy)
    assert found.code == 1 and f"damaged   {copy / 'memory.json'}" in found.out
    (copy / "hashes.json").unlink()
    (copy / ".nmt-rl").unlink()
    found = command("verify", copy)
    assert found.code == 1 and found.out == f"damaged   {copy / 'hashes.json'} is missing\n"


def test_a_damaged_memory_is_named(memory, tmp_path):
    from nmt_rl.retrieval.memory import Memory

    shutil.copytree(memory, tmp_path / "memory")
    record = json.loads((tmp_path / "memory" / "memory.json").read_text())
    (tmp_path / "memory" / "memory.json").write_text(json.dumps(record | {"format": 9}))
    with pytest.raises(UserError, match="format is 9"):
        Memory.open(tmp_path / "memory")


def test_the_learnt_share_is_that_of_the_better_source():
    """Where f is 1 the second source is right, where it is 0 the first: the share follows."""
    judged = np.array([[1.0, 1.0], [1.0, 0.0]] * 200, "float32")
    first, second = np.array([0.1, 0.8] * 200), np.array([0.9, 0.05] * 200)
    weights = logistic_mixture(judged, first, second)
    share = 1 / (1 + np.exp(-judged[:2] @ weights))
    assert share[0] > 0.9 and share[1] < 0.1


def test_a_memory_that_is_searched_as_a_whole(command, tiny_run, tiny_corpus, tmp_path):
    from nmt_rl.retrieval.memory import Memory

    texts = ("--source", tiny_corpus / "train.de", "--target", tiny_corpus / "train.en")
    found = command("remember", tiny_run.folder, *texts, "-o", tmp_path / "memory", "--look-up", "all")
    assert found.code == 0, found.err
    memory = Memory.open(tmp_path / "memory")
    keys, values = memory.keys(np.array([2]))
    distances, pieces = memory.search(keys, 1)
    assert distances.max() < 1e-3 and pieces[:, 0].tolist() == values.tolist()
    found = command("translate", tiny_run.folder, "-i", tiny_corpus / "train.de", "--memory", tmp_path / "memory")
    plain = command("translate", tiny_run.folder, "-i", tiny_corpus / "train.de").out.splitlines()
    wanted = (tiny_corpus / "train.en").read_text().splitlines()
    right = [sum(a == b for a, b in zip(lines, wanted, strict=True)) for lines in (plain, found.out.splitlines())]
    assert found.code == 0 and right[1] > right[0] + 5, (right, found.err)


@pytest.mark.parametrize("kind", ["constant", "distance", "adaptive"])
def test_neighbours_that_are_always_wrong_say_nothing(monkeypatch, kind):
    from nmt_rl.retrieval import fitting

    count = max(fitting.NEIGHBOURS)
    seen = fitting.Seen(
        distances=np.tile(np.arange(1, count + 1, dtype="float32"), (50, 1)),
        values=np.full((50, count), 7, "int32"),
        pieces=np.full(50, 5, "int32"),
        truth=np.full(50, -0.5, "float32"),
        best=np.full(50, -0.5, "float32"),
    )
    monkeypatch.setattr(fitting, "look", lambda *_: seen)
    mixing, likelihood = fitting.fit(None, None, kind)
    assert mixing.numbers == fitting.SILENT[kind] and likelihood == {"alone": -0.5, "mixed": -0.5}


def test_states_that_are_no_array_are_named(memory, tmp_path):
    from nmt_rl.retrieval.memory import Memory

    shutil.copytree(memory, tmp_path / "memory")
    path = tmp_path / "memory" / "states.npy"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(UserError, match=r"states\.npy"):
        Memory.open(tmp_path / "memory")


def test_what_is_added_to_keeps_its_index(command, memory, tiny_run, tiny_corpus):
    texts = ("--source", tiny_corpus / "valid.de", "--target", tiny_corpus / "valid.en")
    found = command("remember", tiny_run.folder, *texts, "-o", memory, "--add", "--look-up", "all")
    assert found.code == 2 and "leave it out with --add" in found.err
