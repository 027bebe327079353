"""Word reward and length penalty, chosen on validation."""

import json
import shutil

import pytest

from nmt_rl.bundle import load_bundle, read_bundle_config
from nmt_rl.config import DecodingConfig, load_config
from nmt_rl.corpus.prepared import open_prepared
from nmt_rl.decoding.request import Request
from nmt_rl.decoding.translator import Hypothesis, Translation, Translator
from nmt_rl.evaluation.metrics import corpus_scores
from nmt_rl.experiment import finetune_stage, pretrain_stage, report_stage
from nmt_rl.training import length
from nmt_rl.training.length import best_value, climb, reranked, tune_length


def translation(*hypotheses):
    return Translation(hypotheses[0].text, hypotheses[0].score, hypotheses)


def test_another_length_penalty_chooses_by_hand():
    """-2 of 2 pieces and -3 of 4: by the sum the short one, by the mean (-1, -0.75) the long one, and even at 0.58."""
    short = Hypothesis("short", -1.0, log_prob=-2.0, length=2)
    long = Hypothesis("long", -0.75, log_prob=-3.0, length=4)
    found = {alpha: reranked([translation(long, short)], 1.0, alpha) for alpha in (0.0, 0.5, 0.6, 1.0)}
    assert found == {0.0: ["short"], 0.5: ["short"], 0.6: ["long"], 1.0: ["long"]}
    # ((5 + 2) / 6)^a and ((5 + 4) / 6)^a: even at a = log 1.5 / log(9 / 7) = 1.613.
    gnmt = [translation(Hypothesis("short", -2.0, (), -2.0, 2), Hypothesis("long", -3.0, (), -3.0, 4))]
    assert [reranked(gnmt, 0.0, alpha, "gnmt") for alpha in (1.6, 1.7)] == [["short"], ["long"]]


def test_what_else_a_score_holds_stays_in_it():
    """A coverage penalty of -1.5 on the long one outweighs what its length gains."""
    short = Hypothesis("short", -1.0, log_prob=-2.0, length=2)
    long = Hypothesis("long", -0.75 - 1.5, log_prob=-3.0, length=4)
    lists = [translation(short, long)]
    assert reranked(lists, 1.0, 1.0) == reranked(lists, 1.0, 2.0) == ["short"]
    assert reranked([translation(Hypothesis("", 0.0))], 1.0, 0.5) == [""]


@pytest.mark.parametrize(
    ("curve", "tried", "chosen"),
    [
        ({0: 30.0, 1: 31.0, 2: 31.5, 3: 31.2}, [0, 1, 2, 3], 2),
        ({0: 30.0, 1: 29.0, -1: 30.6, -2: 30.0}, [0, 1, -1, -2], -1),
        ({0: 30.0, 1: 30.04, -1: 30.05}, [0, 1, -1], 0),
        ({0: 30.0, 1: 30.5, 2: 30.52}, [0, 1, 2], 1),
        ({0: 30.0, 1: 31.0, 2: 32.0, 3: 33.0, 4: 34.0}, [0, 1, 2, 3], 3),
    ],
)
def test_a_climb_stops_where_nothing_is_gained_and_noise_changes_nothing(curve, tried, chosen):
    scores = climb(curve.__getitem__, 0, step=1, farthest=3)
    assert list(scores) == tried
    assert best_value(scores, 0) == chosen


def test_of_two_as_far_the_better_is_chosen():
    assert best_value({1.0: 30.0, 0.9: 31.0, 1.1: 31.02, 1.2: 31.04}, 1.0) == 1.1


@pytest.fixture
def prepared(tiny_run):
    return open_prepared(load_config(str(tiny_run.recipe)), tiny_run.folder)


def test_a_model_that_ends_too_early_gets_a_word_reward(tiny_run, prepared, monkeypatch):
    """Whatever is told of the tuned model is what its settings give: by Keras as by CTranslate2."""
    model = load_bundle(tiny_run.folder / "pretrain").model
    config = load_config(str(tiny_run.recipe), ["decoding.tune_length=true"])
    lengths = iter([0.6, 0.8, 1.0, 1.2])
    measure = length._HeldOut.measure

    def measured(held_out, texts):
        return {**measure(held_out, texts), "bleu": 10 * next(lengths, 0.9)}

    monkeypatch.setattr(length._HeldOut, "measure", measured)
    tuned, found = tune_length(model, prepared, config)
    assert tuned.decoding.word_reward == found["word_reward"] == 1.5
    assert (found["greedy"]["untuned"]["bleu"], found["greedy"]["tuned"]["bleu"]) == (6.0, 12.0)
    assert found["greedy"]["tuned"]["length_ratio"] >= found["greedy"]["untuned"]["length_ratio"]
    assert tuned.decoding.length_penalty == 1.0 and found["lines"] == 8


@pytest.mark.parametrize("converts", [True, False])
def test_scores_that_are_told_are_those_of_the_settings(tiny_run, prepared, converts, monkeypatch):
    if not converts:
        monkeypatch.setattr(length, "check_engine", lambda *_: "it is asked for")
    model = load_bundle(tiny_run.folder / "pretrain").model
    config = load_config(str(tiny_run.recipe), ["decoding.tune_length=true", "decoding.beam=3"])
    tuned, found = tune_length(model, prepared, config)
    for how, name, decoding in (
        ("greedy", "untuned", config.decoding.greedy()),
        ("greedy", "tuned", tuned.decoding.greedy()),
        ("beam", "untuned", config.decoding),
    ):
        translator = Translator.of_model(model, prepared.tokenizers, decoding)
        texts = [t.text for t in translator.translate([source for source, _ in prepared.valid])]
        scores = corpus_scores(texts, [reference for _, reference in prepared.valid], test_set="valid")
        assert found[how][name] == pytest.approx({"bleu": scores.bleu, "length_ratio": scores.length_ratio})
    for scores in (found["greedy"], found["beam"]):
        assert scores["tuned"]["bleu"] >= scores["untuned"]["bleu"] - length.TIE
    assert tuned.decoding == config.decoding.model_copy(
        update={"word_reward": found["word_reward"], "length_penalty": found["length_penalty"]}
    )


def test_what_the_recipe_sets_is_kept():
    settings = DecodingConfig(word_reward=0.2)
    assert settings.tunable == ("length_penalty",)
    assert DecodingConfig(length_penalty=0.6).tunable == ("word_reward",)
    assert DecodingConfig(tune_length=False).tunable == ()
    other = DecodingConfig(word_reward=-0.5, length_penalty=1.3)
    assert (settings.tuned_as(other).word_reward, settings.tuned_as(other).length_penalty) == (0.2, 1.3)


def test_nothing_to_tune_costs_nothing():
    config = load_config("quickstart", ["decoding.tune_length=false"])
    assert tune_length(None, None, config) == (config, {})


def test_a_stage_keeps_what_it_has_tuned_with_the_model(tiny_run, tmp_path, monkeypatch, command):
    """config.yaml, result.json and `info` say the same, and translating obeys it."""
    monkeypatch.setattr(length, "climb", lambda score, start: {start: score(start) - 100, -2.0: score(-2.0)})
    config = load_config(str(tiny_run.recipe), ["decoding.tune_length=true", "pretrain.updates=4"])
    result = pretrain_stage(config, tmp_path / "run")
    model = tmp_path / "run" / "model"
    decoding = read_bundle_config(model)[0].decoding
    assert decoding.word_reward == result["length"]["word_reward"] == -2.0
    assert decoding.length_penalty == result["length"]["length_penalty"]
    assert result["valid"]["length_ratio"] == pytest.approx(result["length"]["greedy"]["tuned"]["length_ratio"])
    assert json.loads((tmp_path / "run" / "pretrain" / "result.json").read_text())["length"] == result["length"]
    told = command("info", model).out
    assert "greedy, word reward -2" in told and "length tuned" in told
    sources = ["hund sieht katze", "alter baum"]
    ours, plain = (
        [t.text for t in Translator.from_folders([model], Request({"beam": 1, **reward})).translate(sources)]
        for reward in ({}, {"word_reward": -2.0})
    )
    assert ours == plain


def test_both_models_are_compared_with_their_own_lengths(tiny_run, tmp_path, monkeypatch):
    """Pretraining tuned nothing here; the report says how each of them translated, and its scores are the stage's."""
    monkeypatch.setattr(length, "climb", lambda score, start: {start: score(start) - 100, -2.0: score(-2.0)})
    run = shutil.copytree(tiny_run.folder, tmp_path / "run")
    shutil.rmtree(run / "finetune")
    config = load_config(str(tiny_run.recipe), ["decoding.tune_length=true", "finetune.updates=2"])
    result = finetune_stage(config, run)
    assert read_bundle_config(run / "finetune" / "model")[0].decoding.word_reward == -2.0
    before = json.loads((run / "pretrain" / "result.json").read_text())["valid"]
    for name in ("bleu", "length_ratio"):
        assert result["valid"][name] == pytest.approx(result["length"]["greedy"]["tuned"][name])
        assert result["before"][name] == pytest.approx(before[name])
    report = report_stage(config, run).text()
    validation = next(line for line in report.splitlines() if line.startswith("Validation ("))
    assert "(pretrained: greedy," in validation and "; fine-tuned: greedy, word reward -2," in validation
