"""From a method to its parts."""

from types import SimpleNamespace

import numpy as np
import pytest
from copy_task import make_config, make_corpus, make_model, make_reward, make_sources, make_translations, tokenizers
from keras import ops

from nmt_rl.config import DecodingConfig
from nmt_rl.decoding.search import Searcher
from nmt_rl.models.q_guided import QGuided
from nmt_rl.rl.actor import MixerActor, ReferenceActor, SampleActor
from nmt_rl.rl.distillation import MBRActor
from nmt_rl.rl.family import build_family, copy_of
from nmt_rl.rl.fork_actor import ForkActor
from nmt_rl.rl.replay import Queue, Replay


@pytest.fixture(scope="module")
def prior():
    return make_model(noise=0.5, seed=6)


def family(prior, method, **settings):
    prepared = SimpleNamespace(train=make_corpus(5), tokenizers=tokenizers())
    return build_family(make_config(method=method, sentences=4, **settings), prior, prepared, make_reward())


@pytest.mark.parametrize(
    ("method", "actor", "replay", "terms"),
    [
        ("dqn", ForkActor, Replay, ["fork"]),
        ("fork", ForkActor, Queue, ["fork"]),
        ("trajectory", SampleActor, Replay, ["trajectory"]),
        ("reinforce", SampleActor, Queue, ["policy_gradient"]),
        ("mixer", MixerActor, Queue, ["policy_gradient"]),
        ("scst", SampleActor, Queue, ["policy_gradient"]),
        ("rloo", SampleActor, Queue, ["policy_gradient"]),
        ("grpo", SampleActor, Queue, ["policy_gradient"]),
        ("mrt", SampleActor, Queue, ["risk"]),
        ("mbr-distill", MBRActor, Queue, ["distillation"]),
        ("cross-entropy", ReferenceActor, Queue, ["reference"]),
    ],
)
def test_the_parts_of_every_method(prior, method, actor, replay, terms):
    made = family(prior, method)
    assert (type(made.actor), type(made.replay), [term.name for term in made.terms]) == (actor, replay, terms)
    assert made.model is not prior
    assert (made.ratio, made.together) == {"dqn": (1, 4), "grpo": (2, 1)}.get(method, (1, 1))
    for ours, theirs in zip(made.model.get_weights(), prior.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_replay_of_a_dqn_holds_all_that_is_young_enough(prior):
    method = {"type": "dqn", "replay": {"max_age": 18, "ratio": 3, "batches": 5}}
    made = family(prior, method, optimizer={"accumulate": 2})
    assert made.replay.capacity >= 4 * 2 * (18 // 3 + 5)
    assert (made.replay.max_age, made.ratio, made.together, made.replay.fresh) == (18, 3, 5, 2)


def test_what_is_played_at_once_is_young_enough_until_more_is_played(prior):
    with pytest.raises(ValueError, match="max_age must be at least ratio times batches, 44 updates"):
        family(prior, {"type": "dqn", "replay": {"ratio": 11}})


def test_v_completes_forks_only_if_they_are_cut(prior):
    cut, whole = (family(prior, {"type": "dqn", "steps": steps}) for steps in (2, 0))
    assert cut.actor.critic is cut.terms[0].critic and (cut.actor.steps, whole.actor.critic) == (2, None)
    assert whole.terms[0].critic is None and family(prior, "fork").terms[0].critic is None


def test_the_anchor_is_one_more_term(prior):
    made = family(prior, "scst", cross_entropy=0.25)
    assert [(term.name, term.weight) for term in made.terms] == [("policy_gradient", 1.0), ("reference", 0.25)]


@pytest.mark.parametrize("kind", ["dueling", "ilql"])
def test_heads_are_trained_at_their_own_rate_on_a_frozen_model(prior, kind):
    made = family(prior, {"type": "trajectory", "q": {"type": kind, "learning_rate": 0.125, "beta": 3.0}})
    assert isinstance(made.model, QGuided) and float(made.model.beta) == 3.0
    assert made.config.finetune.optimizer.learning_rate == 0.125 and made.config.model.q_heads.kind == kind
    trained = {id(v) for v in made.model.trainable_variables}
    assert trained == {id(v) for v in made.model.heads.trainable_variables}
    assert made.actor is not None and made.terms[0].network.models[0] is made.model


@pytest.mark.jax
def test_the_policy_starts_as_the_prior(prior):
    """The same beam search and the same probabilities, bit by bit."""
    policy, source = copy_of(prior, make_config()), make_sources(4)
    found, expected = (Searcher(m, DecodingConfig(beam=2))(source, 7) for m in (policy, prior))
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
    _, target_in = make_translations((5, 4, 3, 5))
    log_pi, log_prior = (
        ops.convert_to_numpy(ops.log_softmax(m.decode(target_in, m.encode(source)).logits)) for m in (policy, prior)
    )
    np.testing.assert_array_equal(log_pi, log_prior)
