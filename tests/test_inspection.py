"""Looking into models: what is shown is what was translated, by the probabilities of the model that did it."""

import numpy as np
import pytest

from nmt_rl.bundle import load_bundle
from nmt_rl.decoding.scorer import Scorer
from nmt_rl.decoding.translator import Translator, override
from nmt_rl.inspection import Inspector
from nmt_rl.retrieval.memory import Memory
from nmt_rl.retrieval.writing import remember

LINES = [(1, "alter hund sieht katze", None), (3, "baum und roter vogel läuft", None)]


@pytest.fixture(scope="module")
def greedy(tiny_run):
    return Inspector(tiny_run.folder / "model", overrides={"beam": 1}, all_heads=True).inspect(LINES)


def test_greedily_every_piece_is_the_most_probable_one(greedy):
    for sentence in greedy.sentences:
        assert [step.chosen for step in sentence.steps[:-1]] == [step.best[0] for step in sentence.steps[:-1]]
        for step in sentence.steps:
            shown = [each.probability for each in step.best]
            assert shown == sorted(shown, reverse=True) and sum(shown) <= 1 + 1e-5


def test_texts_and_numbers_are_those_of_translating_and_scoring(greedy, tiny_run):
    bundle = load_bundle(tiny_run.folder)
    settings = override(bundle.config.decoding, {"beam": 1})
    lines = [source for _, source, _ in LINES]
    found = Translator.of_model(bundle.model, bundle.tokenizers, settings).translate(lines)
    assert [sentence.target for sentence in greedy.sentences] == [each.text for each in found]
    given = Inspector(tiny_run.folder / "model").inspect(
        (n, line, each.text) for (n, line, _), each in zip(LINES, found, strict=True)
    )
    scored = Scorer(bundle.model, bundle.tokenizers, settings).score(lines, [each.text for each in found])
    for sentence, score in zip(given.sentences, scored, strict=True):
        assert tuple(step.chosen.piece for step in sentence.steps) == score.pieces
        assert sentence.log_prob == pytest.approx(score.log_prob, abs=1e-3)


def test_rows_and_columns_are_pieces(greedy):
    sentence = greedy.sentences[0]
    pieces = tuple(step.chosen.piece for step in sentence.steps)
    assert "".join(sentence.attention.columns) == "▁alter▁hund▁sieht▁katze</s>" and sentence.attention.rows == pieces
    np.testing.assert_allclose(sentence.attention.values.sum(axis=-1), 1, atol=1e-5)
    cross, own, encoder = sentence.heads
    assert cross.values.shape == (2, len(pieces), len(cross.columns))
    assert own.rows == pieces and own.columns == ("<s>", *pieces[:-1])
    assert encoder.rows == encoder.columns == sentence.attention.columns
    assert sentence.memory == ()


def test_a_policys_advantage_is_what_it_has_learnt_beside_its_prior(tiny_run):
    folders = [tiny_run.folder / stage / "model" for stage in ("finetune", "pretrain")]
    found = Inspector(folders[0], prior=folders[1]).inspect(LINES[:1])
    assert "tau 0.005" in found.values
    (sentence,) = found.sentences
    (before,) = Inspector(folders[1]).inspect([(1, sentence.source, sentence.target)]).sentences
    (after,) = (
        Inspector(folders[0], overrides={"word_reward": 0.0}).inspect([(1, sentence.source, sentence.target)]).sentences
    )
    for step, old, new in zip(sentence.steps, before.steps, after.steps, strict=True):
        if step.chosen.piece == old.chosen.piece:
            ratio = np.log(new.chosen.probability) - np.log(old.chosen.probability)
            assert step.chosen.advantage == pytest.approx(0.005 * ratio, abs=1e-4) and step.value is None
    same = Inspector(folders[1], prior=folders[1]).inspect(LINES[:1]).sentences[0]
    assert {each.advantage for step in same.steps for each in step.best} == {0.0}


@pytest.mark.parametrize("scope", ["like", "all"])
def test_what_is_remembered_is_named(tiny_run, tiny_corpus, tmp_path, scope):
    sides = [(tiny_corpus / f"train.{language}").read_text().splitlines() for language in ("de", "en")]
    remember(tiny_run.folder, zip(*sides, strict=True), tmp_path / "memory", scope, "distance")
    memory = Memory.open(tmp_path / "memory")
    inspector = Inspector(tiny_run.folder / "model", tmp_path / "memory")
    source, target = sides[0][0], sides[1][0]
    (sentence,) = inspector.inspect([(1, source, target)]).sentences
    numbers = [number for number, _, _ in sentence.pairs]
    assert (source, target) in [pair[1:] for pair in sentence.pairs]
    for step in sentence.steps:
        first = step.neighbours[0]  # The very state, but for float16.
        assert first.distance < 0.05 and first.piece == step.chosen.piece and first.pair in numbers
        assert 0 <= step.remembered <= 1
        pieces = inspector.tokenizers.target.pieces(memory.pairs.target(first.pair))
        assert first.piece in [*pieces, "</s>"]
