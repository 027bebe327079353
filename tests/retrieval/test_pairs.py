"""Pairs that sources recall, never themselves in training; remembered, translated with, refused where they misfit."""

import shutil

import numpy as np
import pytest

from nmt_rl.config import load_config
from nmt_rl.corpus.store import CorpusWriter, EncodedCorpus
from nmt_rl.errors import UserError
from nmt_rl.retrieval.pairs import SimilarPairs

MEMORY = ["model.memory.pairs=2", "model.memory.room=40", "model.memory.heads=2", "model.memory.feed_forward=8"]


@pytest.fixture
def corpus(tmp_path):
    sources = [[5, 6, 7], [5, 6, 8], [9, 10], [5, 6, 7]]
    with CorpusWriter(tmp_path / "pairs", 20, 20) as writer:
        writer.append(sources, [[11], [12], [13], [14]])
    return EncodedCorpus.open(tmp_path / "pairs")


def recalled(lookup, *sources):
    width = max(map(len, sources)) + 2
    rows = np.array([[*source, 3] + [0] * (width - len(source) - 1) for source in sources], "int32")
    return [[target.tolist() for _, target in found] for found in lookup(rows)]


def test_the_most_similar_come_first_and_nothing_for_what_is_unknown(corpus):
    lookup = SimilarPairs(corpus, count=2)
    found = recalled(lookup, [5, 6, 8], [15, 16], [10])
    assert found[0][0] == [12] and len(found[0]) == 2 and found[1:] == [[], [[13]]]
    # Once more, from mind, and in other company.
    assert recalled(lookup, [10], [], [5, 6, 8]) == [found[2], [], found[0]]


def test_in_training_no_source_recalls_itself_nor_its_double(corpus):
    assert recalled(SimilarPairs(corpus, count=4, without_itself=True), [5, 6, 7], [5, 6, 8]) == [
        [[12]],
        [[11], [14]],
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_recipe):
    """The tiny experiment with a memory of pairs, fine-tuned as a DQN."""
    from nmt_rl.experiment import run_stages

    folder = tmp_path_factory.mktemp("pairs") / "run"
    run_stages(load_config(str(tiny_recipe), [*MEMORY, "pretrain.updates=8", "finetune.updates=2"]), folder)
    return folder


@pytest.fixture(scope="module")
def memory(run, tiny_corpus):
    from nmt_rl.retrieval.writing import remember

    sides = [(tiny_corpus / f"train.{language}").read_text().splitlines() for language in ("de", "en")]
    made = remember(run, [*zip(*sides, strict=True), ("", "nothing")], run.parent / "memory")
    assert made.pairs > 20 and made.left_out >= 1 and not (run.parent / "memory" / "states.npy").exists()
    return run.parent / "memory"


def test_translations_change_with_the_memory_and_one_warning_tells_of_none(command, run, memory, tiny_corpus, tmp_path):
    """The memory is made loud, as few updates leave it nearly silent."""
    from nmt_rl.bundle import load_bundle, save_bundle

    bundle = load_bundle(run / "finetune" / "model")
    kernel = bundle.model.memory.out.kernel
    assert np.asarray(kernel).any(), "fine-tuning or pretraining must have trained it"
    kernel.assign(np.random.default_rng(1).normal(size=kernel.shape, scale=3.0))
    save_bundle(tmp_path / "loud", bundle.config, bundle.tokenizers, bundle.model, bundle.card)
    plain = command("translate", tmp_path / "loud", "-i", tiny_corpus / "test.de")
    assert plain.code == 0 and plain.err.count("reads a memory of pairs (model.memory), and has none here") == 1
    found = command("translate", tmp_path / "loud", "-i", tiny_corpus / "test.de", "--memory", memory)
    assert found.code == 0 and "has none" not in found.err, found.err
    assert found.out != plain.out and found.out.count("\n") == plain.out.count("\n")
    # Line by line the same as together.
    lines = (tiny_corpus / "test.de").read_text().splitlines()
    (tmp_path / "first").write_text(f"{lines[0]}\n")
    alone = command("translate", tmp_path / "loud", "-i", tmp_path / "first", "--memory", memory)
    assert alone.out.splitlines() == found.out.splitlines()[:1]
    engine = command("translate", tmp_path / "loud", "-i", tiny_corpus / "test.de", "--engine", "ctranslate2")
    assert engine.code == 2 and "model.memory" in engine.err


def test_what_does_not_fit_is_refused_in_a_sentence(command, run, memory, tiny_run, tiny_corpus, tmp_path):
    from nmt_rl.storage.hashes import write_hashes
    from nmt_rl.storage.reading import read_json
    from nmt_rl.storage.writing import write_json

    text = tiny_corpus / "test.de"
    found = command("translate", tiny_run.folder, "-i", text, "--memory", memory)
    assert found.code == 2 and "holds pairs, but" in found.err and "remembers by states" in found.err, found.err
    texts = ("--source", tiny_corpus / "valid.de", "--target", tiny_corpus / "valid.en")
    found = command("remember", run, *texts, "-o", tmp_path / "other", "--mixing", "distance")
    assert found.code == 2 and "--mixing is of models that were not trained to read pairs" in found.err
    shutil.copytree(memory, tmp_path / "foreign")
    record = read_json(tmp_path / "foreign" / "memory.json")
    write_json(tmp_path / "foreign" / "memory.json", record | {"tokenizers": {"tokenizer.model": "0" * 64}})
    write_hashes(tmp_path / "foreign")
    found = command("translate", run, "-i", text, "--memory", tmp_path / "foreign")
    assert found.code == 2 and "is of another tokenizer than" in found.err, found.err


def test_pairs_are_added(command, run, memory, tiny_corpus, tmp_path):
    shutil.copytree(memory, tmp_path / "memory")
    before = len(EncodedCorpus.open(memory / "pairs"))
    texts = ("--source", tiny_corpus / "valid.de", "--target", tiny_corpus / "valid.en")
    found = command("remember", run, *texts, "-o", tmp_path / "memory", "--add")
    assert found.code == 0 and "pairs; " in found.out, found.err
    assert before < SimilarPairs.open(tmp_path / "memory", 1).pairs.__len__() <= before + 8


def test_a_memory_is_added_to_a_model_and_trained_alone(tiny_run, tiny_recipe, tmp_path):
    from nmt_rl.bundle import load_bundle
    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.experiment import pretrain_stage

    start = [f"pretrain.start={tiny_run.folder}", "pretrain.updates=4", "pretrain.adapt.type=memory", *MEMORY]
    recipe = tmp_path / "start.yaml"  # Of the model that it starts from it takes model and tokenizer.
    lines = tiny_recipe.read_text().splitlines(keepends=True)
    recipe.write_text("".join(line for line in lines if not line.startswith(("model:", "tokenizer:"))))
    config = load_experiment(str(recipe), start)
    assert config.model.memory.pairs == 2 and config.model.width == 8
    pretrain_stage(config, tmp_path / "run")
    before, after = (load_bundle(f).model for f in (tiny_run.folder / "model", tmp_path / "run" / "pretrain" / "model"))
    for ours, theirs in zip(after.base.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(UserError, match=r"does not train model\.memory, which is new"):
        load_experiment(str(recipe), [*start[:2], "pretrain.adapt.type=lora", *MEMORY])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["pretrain.batch.type=packed", "pretrain.batch.size=512"], "not of pretrain.batch.type packed"),
        (["tokenizer.sampling=true"], "tokenizer.sampling true would change"),
        (["finetune.actors=2"], "finetune.actors"),
        (["model.memory.heads=3"], "is not an even multiple of memory.heads 3"),
    ],
)
def test_settings_that_exclude_a_memory(tiny_recipe, given, message):
    with pytest.raises(UserError, match=message):
        load_config(str(tiny_recipe), [*MEMORY, *given])
    if "heads" not in message:
        with pytest.raises(UserError, match=r"adapt.type 'memory' needs model\.memory"):
            load_config(str(tiny_recipe), ["finetune.adapt.type=memory"])
