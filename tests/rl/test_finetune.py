"""What the stage validates, releases and leaves out; resume is tested with pretraining's."""

import json
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from gradients import log_softmax

from nmt_rl.bundle import load_bundle, save_bundle
from nmt_rl.config import parse_config
from nmt_rl.corpus.prepare import prepare
from nmt_rl.corpus.tokenizer import EOS
from nmt_rl.errors import UserError
from nmt_rl.evaluation.plots import read_events
from nmt_rl.models.build import build_model
from nmt_rl.results import read_result
from nmt_rl.rl import finetune as stage
from nmt_rl.rl.divergence import Divergence
from nmt_rl.rl.family import build_family, copy_of
from nmt_rl.rl.reward import make_reward
from nmt_rl.training.averaging import average_snapshots
from nmt_rl.training.checkpoints import load_arrays

MODEL = {
    "type": "transformer",
    "encoder_layers": 1,
    "decoder_layers": 1,
    "width": 8,
    "heads": 2,
    "feed_forward": 8,
    "dropout": 0.1,
    "max_positions": 32,
}


def make_config(folder):
    sides = {split: str(folder / split) for split in ("train", "valid")}
    tree = {
        "name": "tiny",
        "corpus": {"source_language": "de", "target_language": "en", **sides},
        "tokenizer": {"vocabulary": 28, "byte_fallback": False},
        "model": MODEL,
        "decoding": {"max_length_ratio": 1.0, "max_length_extra": 3, "max_source_length": 24},
        "finetune": {"sentences": 4, "method": {"type": "fork", "per_source": 2}, "validation": {"sentences": 3}},
    }
    return parse_config(tree, "test")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """(folder of the text, prepared corpus, a model with drawn weights)."""
    folder, draw = tmp_path_factory.mktemp("finetune"), np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghijklmnop"), draw.integers(2, 6))) for _ in range(30)]
    for split, size in {"train": 30, "valid": 5}.items():
        lines = [" ".join(draw.choice(words, draw.integers(2, 6))) for _ in range(size)]
        for language in ("de", "en"):
            (folder / f"{split}.{language}").write_text(
                "".join(f"{line} {language[0]}\n" for line in lines), encoding="utf-8"
            )
    config = make_config(folder)
    corpus = prepare(config, folder / "run")
    model = build_model(config.model, corpus.tokenizers.source.size, corpus.tokenizers.target.size, 3)
    model.set_weights([w + draw.normal(0, 0.4, w.shape) for w in model.get_weights()])
    return folder, corpus, model


def test_the_reward_counts_the_words_of_the_target_language(prepared, tmp_path, monkeypatch):
    class Reached(Exception):
        pass

    def reach(*arguments):
        raise Reached(arguments)

    folder, corpus, _ = prepared
    config = make_config(folder)
    chinese = config.model_copy(update={"corpus": config.corpus.model_copy(update={"target_language": "zh_Hans"})})
    monkeypatch.setattr(stage, "make_reward", reach)
    (tmp_path / "pretrain" / "model").mkdir(parents=True)
    with pytest.raises(Reached) as reached:
        stage.finetune(chinese, corpus, tmp_path)
    assert reached.value.args == ((config.finetune.reward, corpus.tokenizers.target, "zh_Hans"),)


def test_the_candidate_is_the_average_of_the_last_validated_weights(tiny_run):
    snapshots = sorted((tiny_run.folder / "finetune" / "snapshots").glob("*.npz"))[-2:]
    assert [path.stem for path in snapshots] == ["weights-00000002", "weights-00000004"]
    arrays = [load_arrays(path) for path in snapshots]
    model = load_bundle(tiny_run.folder / "finetune" / "model").model
    for variable in model.trainable_variables:
        mean = (arrays[0][variable.path] + arrays[1][variable.path]) / 2
        np.testing.assert_allclose(np.asarray(variable.value), mean, atol=1e-6)


def test_what_q_predicts_is_told_at_every_validation_and_at_the_end(tiny_run):
    events = read_events(tiny_run.folder / "metrics.jsonl")
    valid = [event for event in events if event["stage"] == "finetune" and event["event"] == "valid"]
    assert [event["step"] for event in valid] == [0, 2, 4]
    assert abs(valid[0]["q_explained"]) < 1e-4 < abs(valid[-1]["q_correlation"])
    for name in ("q_explained", "q_beyond", "q_correlation", "q_sign", "q_gain", "v_explained"):
        assert all(np.isfinite(event[name]) for event in valid)
    result = read_result(tiny_run.folder / "finetune")
    assert result["q"]["forks"] == sum(each["forks"] for each in result["q"]["calibration"]) > 0
    assert result["q"]["explained"] == result["valid"]["q_explained"]
    assert json.loads((tiny_run.folder / "finetune" / "model" / "card.json").read_text())["result"]["q"] == result["q"]
    assert "What Q predicts" in (tiny_run.folder / "report.html").read_text(encoding="utf-8")


def test_kl_and_entropy_by_hand(prepared):
    """Over the greedy translations' pieces, EOS included."""
    folder, corpus, prior = prepared
    config = make_config(folder)
    policy = copy_of(prior, config)
    policy.set_weights([w + np.random.default_rng(1).normal(0, 0.2, w.shape) for w in policy.get_weights()])
    validator = stage.PolicyValidator(Divergence(policy, prior), corpus, config)
    numbers = validator()
    kl, entropy, pieces, longest = 0.0, 0.0, 0, config.decoding.max_source_length - 1
    for source, text in zip(validator._validator.sources, validator._validator.translate(), strict=True):
        ids = [*corpus.tokenizers.target.encode([text])[0], EOS]
        inputs = {
            "source": np.array([[*corpus.tokenizers.source.encode([source])[0][:longest], EOS]]),
            "target_in": np.array([[2, *ids[:-1]]]),
        }
        log_pi, log_prior = (log_softmax(np.asarray(m(inputs), np.float64)[0]) for m in (policy, prior))
        kl += (np.exp(log_pi) * (log_pi - log_prior)).sum()
        entropy -= (np.exp(log_pi) * log_pi).sum()
        pieces += len(ids)
    assert numbers["kl"] == pytest.approx(kl / pieces, rel=1e-3) and kl > 0.01
    assert numbers["entropy"] == pytest.approx(entropy / pieces, rel=1e-3)


def test_a_validation_source_beyond_the_limit_is_cut(prepared, caplog):
    folder, corpus, prior = prepared
    long = [("ab " * 60, "ab"), ("fad", "fad")]
    validator = stage.PolicyValidator(Divergence(prior, prior), replace(corpus, valid=long), make_config(folder))
    assert np.isfinite(list(validator().values())).all()
    assert "only the first" in caplog.text


def test_training_sentences_beyond_the_models_positions_are_left_out(prepared):
    folder, corpus, prior = prepared
    config = make_config(folder)
    short = config.model.model_copy(update={"max_positions": 12})
    config = config.model_copy(update={"model": short})
    policy = build_model(short, *prior.embeddings.sizes, 1)
    reward = make_reward(config.finetune.reward, corpus.tokenizers.target)
    family = build_family(config, policy, corpus, reward)
    agent = stage.make_agent(family)
    lengths = np.maximum(corpus.train.source_lengths, corpus.train.target_lengths) + 1
    assert (lengths > 12).any() and (lengths <= 12).any()
    for _ in range(3):
        episodes, _ = agent.actor.play(agent.sentences.next(), 0, agent.sentences.rng())
        assert max(len(episode.tokens) for episode in episodes) <= 12
        assert max(corpus.train.source_lengths[episode.source_id] + 1 for episode in episodes) <= 12


@pytest.mark.parametrize("q", ["dueling", "ilql"])
def test_q_heads_are_part_of_the_saved_model(prepared, tmp_path, q):
    folder, corpus, prior = prepared
    config = make_config(folder)
    finetune = type(config.finetune)(method={"type": "trajectory", "q": {"type": q, "beta": 12.0}})
    config = config.model_copy(update={"finetune": finetune})
    family = build_family(config, prior, corpus, make_reward(finetune.reward, corpus.tokenizers.target))
    rng = np.random.default_rng(0)
    for variable in family.model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    stage.choose_beta(family.model, lambda: {"bleu": -float(family.model.beta)})
    save_bundle(tmp_path / "model", family.config, corpus.tokenizers, family.model, {})
    loaded = load_bundle(tmp_path / "model").model
    assert float(loaded.beta) == 3.0
    inputs = {"source": np.array([[5, 6, EOS]]), "target_in": np.array([[2, 7, 8]])}
    logits = np.asarray(family.model(inputs))
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), logits)
    assert np.abs(logits - np.asarray(prior(inputs))).max() > 0.1


def test_a_stage_with_heads_stores_the_beta_it_chose(prepared, tmp_path):
    folder, corpus, prior = prepared
    method = {"type": "trajectory", "q": {"type": "dueling", "beta": 1e-6}, "samples": 1}
    tree = {"method": method, "updates": 1, "log_every": 1, "sentences": 2, "average": 1}
    tree |= {"validation": {"every": 1, "sentences": 2}, "checkpoint_every": 1}
    config = make_config(folder)
    config = config.model_copy(update={"finetune": type(config.finetune).model_validate(tree)})
    save_bundle(tmp_path / "pretrain" / "model", config, corpus.tokenizers, prior, {})
    result = stage.finetune(config, corpus, tmp_path)
    beta = float(load_bundle(tmp_path / "finetune" / "model").model.beta)
    assert result["valid"]["beta"] == pytest.approx(2.5e-7) == beta, "of five that are alike the smallest"
    assert result["valid"]["bleu"] == result["before"]["bleu"]
    # Only the heads were trained; the mean of one checkpoint is that checkpoint.
    average_snapshots(tmp_path / "finetune", 1, "last", tmp_path / "mean")
    mean, last = (load_bundle(tmp_path / name).model.get_weights() for name in ("mean", "finetune/model"))
    for a, b in zip(mean, last, strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_betas_that_validate_equally_well_the_smallest_is_chosen():
    """A quarter, a half, once, twice and four times what the method says."""
    model = SimpleNamespace(beta=keras.Variable(8.0))
    bleu, tried = {2.0: 30.0, 4.0: 31.5, 8.0: 31.0, 16.0: 31.5, 32.0: 1.0}, []

    def validate():
        tried.append(float(model.beta))
        return {"bleu": bleu[tried[-1]]}

    scores = stage.choose_beta(model, validate)
    assert tried == [2.0, 4.0, 8.0, 16.0, 32.0]
    assert scores == {"bleu": 31.5, "beta": 4.0} and float(model.beta) == 4.0


def test_without_a_pretrained_model(prepared, tmp_path):
    folder, corpus, _ = prepared
    with pytest.raises(UserError, match="holds no pretrained model; run nmt-rl pretrain"):
        stage.finetune(make_config(folder), corpus, tmp_path)
