"""Q is measured on forks of validation sentences: by hand, for every kind of Q."""

from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest
from copy_task import FIRST, WORDS, WordTokenizer, make_config, make_corpus, make_model, make_reward
from gradients import log_softmax

from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.rl.family import build_family
from nmt_rl.rl.fork_actor import ForkActor
from nmt_rl.rl.forks import fork_arrays
from nmt_rl.rl.padding import shift_right
from nmt_rl.rl.validation_forks import ValidationForks, known, validation_sentences

pytestmark = pytest.mark.jax

KL = [{"type": "fork"}, {"type": "dqn"}, {"type": "trajectory", "q": {"type": "kl"}}]
HEADS = [{"type": "trajectory", "q": {"type": kind}} for kind in ("dueling", "ilql")]
LOGITS = {"type": "trajectory", "q": {"type": "logits"}}
TAU = 0.02


class Words(WordTokenizer):
    def encode(self, texts):
        return [[FIRST + WORDS.index(word) for word in text.split()] for text in texts]


TOKENIZERS = Tokenizers(Words(), Words())


def sentences(count=20):
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(list(WORDS), rng.integers(2, 6))) for _ in range(count)]
    return list(zip(texts, texts, strict=True))


def make_family(method, pairs=None):
    method = {"tau": TAU, **method} if method["type"] in ("fork", "dqn", "trajectory") else method
    prior = make_model(noise=0.3, seed=2)
    pairs = sentences() if pairs is None else pairs
    prepared = SimpleNamespace(train=make_corpus(8), valid=pairs, tokenizers=TOKENIZERS)
    return build_family(make_config(method=method), prior, prepared, make_reward())


def disturb(model, noise=0.3):
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(np.asarray(variable.value) + rng.normal(0, noise, variable.shape))


@pytest.fixture(scope="module")
def forks():
    family = make_family({"type": "dqn", "steps": 2})
    return ValidationForks(family, family.q)


def measured(forks, q):
    forks._q = q
    return forks.diagnosis()


def truth(batch):
    return batch["value_difference"]


@pytest.fixture(scope="module")
def played(width=12):
    """Episodes of the pretrained policy, their forks as Q takes them, and where these are real."""
    family = make_family({"type": "fork"})
    rows = next(validation_sentences(sentences(), TOKENIZERS, family.reward, width))
    actor = ForkActor(family.prior, family.prior, Words(), family.reward, family.config.decoding, 3, 0.0)
    episodes, _ = actor.play(rows, 0, np.random.default_rng(0))
    tokens = np.zeros((len(episodes), width), np.int32)
    for row, episode in zip(tokens, episodes, strict=True):
        row[: len(episode.tokens)] = episode.tokens
    forks = fork_arrays(episodes, np.ones(len(episodes)), 3, width)
    return episodes, {"source": rows.rows.source, "target_in": shift_right(tokens), **forks}, forks["weights"] > 0


def at_forks(values, batch):
    """[forks, 2]: values [batch, time, vocab] of a and a'."""
    return np.take_along_axis(
        np.asarray(values, np.float64).reshape(-1, values.shape[-1])[batch["positions"]], batch["actions"], axis=1
    )


@pytest.mark.parametrize("method", KL + HEADS)
def test_the_pretrained_model_knows_nothing_yet(forks, method):
    family = make_family(method)
    found = measured(forks, lambda batch: family.q(family.model, batch))
    assert found.forks > found.sentences > 5 and any(each.true for each in found.calibration)
    # Not exactly 0: policy and prior are computed in two graphs, which may round otherwise.
    assert found.explained == pytest.approx(0.0, abs=1e-4)
    assert abs(found.calibration[0].predicted) < 1e-6 and abs(found.calibration[-1].predicted) < 1e-6


def test_a_perfect_q_explains_everything(forks):
    found = measured(forks, truth)
    assert found.explained == found.sign_agreement == 1.0 and found.correlation == pytest.approx(1.0)
    assert found.slope == pytest.approx(1.0) and found.gain > 0.0 and found.explained_beyond > 0.2
    assert found.explained_known + found.explained_beyond == pytest.approx(1.0, abs=0.01)
    for each in found.calibration:
        assert each.predicted == pytest.approx(each.true)
    numbers = forks.numbers()
    assert numbers["q_explained"] == numbers["q_sign"] == 1.0 and "v_explained" in numbers
    worst = measured(forks, lambda batch: -truth(batch))
    assert worst.sign_agreement == 0.0 and worst.gain < 0.0 and worst.explained == pytest.approx(-3.0)


@pytest.mark.parametrize("method", KL)
def test_q_of_the_policy_is_tau_times_its_log_ratio_to_the_prior(played, method):
    family, (_, batch, real) = make_family(method), played
    disturb(family.model)
    ratio = np.subtract(*(log_softmax(np.asarray(m(batch), np.float64)) for m in (family.model, family.prior)))
    expected = TAU * np.subtract(*at_forks(ratio, batch).T)[real]
    found = np.asarray(family.q(family.model, batch))[real]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("method", HEADS)
def test_q_of_heads_is_the_smallest_of_theirs(played, method):
    family, (_, batch, real) = make_family(method), played
    disturb(family.model)
    states = family.model.decode_states(batch["target_in"], family.model.encode(batch["source"])).states
    q = reduce(np.minimum, (np.asarray(x) for x in family.model.heads.all_q(states)))
    expected = np.subtract(*at_forks(q, batch).T)[real]
    np.testing.assert_allclose(np.asarray(family.q(family.model, batch))[real], expected, atol=1e-5)


def test_q_of_the_control_is_the_logits(played):
    family, (_, batch, real) = make_family(LOGITS), played
    expected = np.subtract(*at_forks(family.model(batch), batch).T)[real]
    np.testing.assert_allclose(np.asarray(family.q(family.model, batch))[real], expected, atol=1e-5)
    assert (expected >= 0).all()  # the most probable piece is the greedy one


@pytest.mark.parametrize("method", ["scst", "rloo", "mrt", "reinforce", "mixer", "cross-entropy"])
def test_a_method_without_q_has_none(method):
    assert make_family({"type": method}).q is None


def test_what_is_known_without_q(played):
    family, (episodes, batch, real) = make_family({"type": "fork"}), played
    found = np.concatenate([known(episode) for episode in episodes])
    log_probs = at_forks(log_softmax(np.asarray(family.prior(batch), np.float64)), batch)[real]
    np.testing.assert_allclose(found[:, :2], log_probs, atol=1e-5)
    lengths = np.repeat([len(episode.tokens) for episode in episodes], 3)[real]
    np.testing.assert_array_equal(found[:, 2], (batch["positions"] % 12)[real])
    np.testing.assert_allclose(found[:, 3], found[:, 2] / lengths)


def test_v_may_be_off_by_a_constant_but_not_by_the_way():
    """The rest of a return is the score less Phi, the last feature; of one sentence the score is a constant."""
    family = make_family({"type": "dqn"}, [("a b c d", "a b c d")])
    family.critic = SimpleNamespace()
    forks = ValidationForks(family, family.q)
    family.critic.value = lambda source, ids, features: 7.0 - features[..., -1]
    assert forks.numbers()["v_explained"] == pytest.approx(1.0)
    family.critic.value = lambda source, ids, features: 0.0 * features[..., -1]
    assert forks.numbers()["v_explained"] == pytest.approx(0.0)


def test_every_run_measures_on_the_same_forks_and_blank_lines_have_none(forks):
    family = make_family({"type": "dqn"}, [*sentences(), ("", "a b"), ("a b", " ")])
    assert measured(ValidationForks(family, family.q), truth) == measured(forks, truth)
    family.prepared.valid = [("", "")]
    assert ValidationForks(family, family.q).diagnosis().forks == 0
