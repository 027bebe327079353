"""Part B: what is played and stored, the targets, and what moves when."""

import numpy as np
import pytest
from copy_task import (
    FIRST,
    Student,
    WordTokenizer,
    make_config,
    make_corpus,
    make_model,
    make_translations,
)
from gradients import taken_log_probs
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.config import TrajectoryConfig
from nmt_rl.corpus.batches import Batch, pad_source
from nmt_rl.corpus.tokenizer import EOS, PAD
from nmt_rl.rl.replay import EpisodeRecord
from nmt_rl.rl.rollouts import shift_right
from nmt_rl.rl.term import Drawn
from nmt_rl.rl.value import ValueHead, value_objective
from nmt_rl.training.learner import Learner

pytestmark = pytest.mark.jax

CORPUS = make_corpus(40)
TAU = 0.05


class Setting(Student):
    """A policy, its prior, and everything that fine-tuning with both terms makes of them."""

    def __init__(self):
        part = {"value_units": 16}
        config = make_config(objective="both", tau=TAU, sentences=4, fork={"per_source": 2}, trajectory=part)
        super().__init__(make_model(noise=0.5, seed=8).get_weights(), config, CORPUS)
        self.policy.set_weights(make_model(noise=0.5, seed=9).get_weights())
        self.part_b = self.terms[1]
        self.part_b.network.move_target(1.0)
        self.head, self.target_head = self.part_b.network.pairs[1]
        self.target = self.part_b.network.pairs[0][1]
        variables = (*self.learner.state, *self.part_b.network.variables)
        self._start = [(v, np.array(v.value)) for v in variables]

    def reset(self, **trajectory):
        """As it was made, but with other settings: what is compiled serves every test."""
        for variable, value in self._start:
            variable.assign(value)
        defaults = {"value_units": 16, "monte_carlo_updates": 0, **trajectory}
        settings = TrajectoryConfig(**defaults)
        self.part_b.settings = settings
        self.part_b.network.settings = self.config.finetune.model_copy(update={"trajectory": settings})
        self.part_b._forget()
        self.batches.restore({"epoch": 0, "batch": 0}, self.batches.state()[1])
        return self

    def batch(self, step=1, indices=(0, 1, 2, 3), seed=0):
        sides = [[side(i).tolist() for i in indices] for side in (CORPUS.source, CORPUS.target)]
        source, target = (pad_source(side) for side in sides)
        rows = Batch(source, shift_right(target), target, np.array(indices))
        references = self.reward.references(WordTokenizer().decode(sides[1]))
        return self.part_b.batch(Drawn(step, rows, references, TAU, np.random.default_rng(seed)))

    def update(self, step):
        batches, _ = self.batches.next(step)
        self.learner.update(batches, 0.01)
        self.batches.after_update(step)


@pytest.fixture(scope="module")
def shared():
    return Setting()


@pytest.fixture
def make(shared):
    """The shared setting with fresh weights and the given settings of part B."""
    return shared.reset


def digest(*models):
    return [w.tobytes() for model in models for w in model.get_weights()]


def fill(model, number):
    model.set_weights([np.full_like(w, number) for w in model.get_weights()])


def test_the_target_network_starts_as_the_policy(make):
    setting = make()
    assert digest(setting.target) == digest(setting.policy)
    assert digest(setting.target_head) == digest(setting.head)


def test_the_target_network_is_copied_at_multiples_of_the_period_and_untouched_between(make):
    setting = make(target_period=3)
    part_b = setting.part_b
    for step in range(1, 10):
        before = digest(setting.target, setting.target_head)
        fill(setting.policy, step), fill(setting.head, -step)
        part_b.after_update(step)
        after = digest(setting.target, setting.target_head)
        assert after == (digest(setting.policy, setting.head) if step % 3 == 0 else before)


def test_polyak_average_of_constant_weights(make):
    setting = make(target_rate=0.1)
    part_b = setting.part_b
    fill(setting.target, 0.0), fill(setting.target_head, 0.0)
    fill(setting.policy, 1.0), fill(setting.head, 4.0)
    for step in range(1, 11):
        part_b.after_update(step)
        for weight in setting.target.get_weights():
            np.testing.assert_allclose(weight, 1 - 0.9**step, rtol=1e-5)
        for weight in setting.target_head.get_weights():
            np.testing.assert_allclose(weight, 4 * (1 - 0.9**step), rtol=1e-5)


def test_updates_move_policy_and_value_but_never_the_prior_and_the_target_only_when_due(make):
    setting = make(target_period=3)
    start = digest(setting.prior), digest(setting.target, setting.target_head)
    policy, value = digest(setting.policy), digest(setting.head)
    for step in (1, 2):
        setting.update(step)
        assert (digest(setting.prior), digest(setting.target, setting.target_head)) == start
    assert digest(setting.policy) != policy and digest(setting.head) != value
    setting.update(3)
    assert digest(setting.prior) == start[0]
    assert digest(setting.target, setting.target_head) == digest(setting.policy, setting.head)


def test_log_probabilities_of_a_batch_are_those_of_stepwise_decoding(make, monkeypatch):
    """For sentences padded to different lengths, on the policy and on the prior."""
    setting = make(replay={"share": 0.0})
    sampler, played = setting.part_b._behaviour._generator, []

    def recorded(*args, **kwargs):
        played.append(sampler(*args, **kwargs))
        return played[-1]

    monkeypatch.setattr(setting.part_b._behaviour, "_generator", recorded)
    batch, _ = setting.batch()
    w = batch["weights"]
    width = played[0].ids.shape[1]
    np.testing.assert_array_equal(batch["tokens"][:, :width], played[0].ids)
    assert len(set(played[0].lengths)) > 1

    def forced(model):
        def evaluate(source, target_in, tokens):
            return taken_log_probs(model.decode(target_in, model.encode(source)).logits, tokens)

        arrays = [batch[name] for name in ("source", "target_in", "tokens")]
        return np.asarray(compile_fn(evaluate, model)(*arrays)) * w

    np.testing.assert_allclose(forced(setting.policy)[:, :width], played[0].log_probs, atol=1e-5)
    np.testing.assert_allclose(forced(setting.prior), batch["log_prior"], atol=1e-5)


def test_targets_are_equation_5_step_by_step(make):
    setting = make(trace=0.7, replay={"share": 0.0})
    rng = np.random.default_rng(1)
    setting.target.set_weights([w + rng.normal(0, 0.3, w.shape) for w in setting.target.get_weights()])
    part_b = setting.part_b
    online = digest(setting.head)
    batch, _ = setting.batch()
    assert digest(setting.head) != online  # V was trained once
    features = [part_b.replay.get([i])[0].features for i in part_b.replay.ids]
    padded = np.zeros((*batch["tokens"].shape, part_b.reward.features), np.float32)
    for row, feature in zip(padded, features, strict=True):
        row[: len(feature)] = feature
    inputs = (batch["source"], batch["target_in"], batch["tokens"], batch["positions"], padded)
    v_bar, log_pi_bar, _ = (np.asarray(x, np.float64) for x in part_b.network._target(*inputs))
    kappa = log_pi_bar - batch["log_prior"]
    for row, record in enumerate(part_b.replay.get(part_b.replay.ids)):
        y = 0.0
        for t in reversed(range(len(record.tokens))):
            last = t + 1 == len(record.tokens)
            onward = 0.0 if last else 0.3 * v_bar[row, t + 1] + 0.7 * (y - TAU * kappa[row, t + 1])
            y = record.rewards[t] + onward
            assert batch["target"][row, t] == pytest.approx(y, abs=1e-5)


def test_monte_carlo_targets_do_not_look_at_v_while_it_is_untrained(make):
    setting = make(monte_carlo_updates=5, replay={"share": 0.0})
    fill(setting.target_head, 100.0)
    early, _ = setting.batch(step=5)
    late, _ = setting.batch(step=6)
    np.testing.assert_array_equal(early["tokens"], late["tokens"])
    assert np.abs(early["target"]).max() < 5 < np.abs(late["target"]).max()


def test_rewards_of_a_record_are_those_of_its_sentence(make):
    setting = make()
    setting.batch(step=4)
    for record in setting.part_b.replay.get(setting.part_b.replay.ids):
        reference = setting.reward.references(WordTokenizer().decode([CORPUS.target(record.source_id)]))
        assert record.score == pytest.approx(
            setting.reward.scores(WordTokenizer().decode([record.tokens]), reference)[0], abs=1e-6
        )
        np.testing.assert_allclose(
            record.rewards, setting.reward.episode(record.tokens, reference[0]).rewards, atol=1e-6
        )
        assert record.tokens[-1] == EOS and EOS not in record.tokens[:-1] and PAD not in record.tokens
        assert record.policy_version == 3


def test_replayed_sequences_are_a_share_of_the_batch(make):
    setting = make(replay={"share": 0.5}, samples=2)
    first, numbers = setting.batch(step=1)
    assert len(first["tokens"]) == 8 and numbers["replay"] == 8
    second, numbers = setting.batch(step=2, indices=(4, 5, 6, 7), seed=1)
    assert len(second["tokens"]) == 16 and numbers["replay"] == 16
    old = {row[row != PAD].tobytes() for row in first["tokens"]}
    assert all(row[row != PAD].tobytes() in old for row in second["tokens"][8:])
    assert setting.batch(step=3, seed=2)[1]["replay"] == 24


def test_old_sequences_are_not_drawn_any_more(make):
    setting = make(replay={"share": 0.5, "max_age": 1})
    rows = [len(setting.batch(step=step, seed=step)[0]["tokens"]) for step in (1, 2, 4)]
    assert rows == [8, 16, 8] and len(setting.part_b.replay) == 24


def test_draws_by_priority_are_weighed_and_their_priorities_renewed(make, monkeypatch):
    """p_i / sum p draws a record, (N P)^-b / max weighs it, and what it is worth now replaces p_i."""
    replay = {"share": 0.5, "priority": 1.0, "uniform_mix": 0.0, "importance": 0.5}
    setting = make(replay=replay)
    part, seen = setting.part_b, []
    regression = part.regression

    def spy(records, weights, step, tau):
        arrays, numbers, priorities = regression(records, weights, step, tau)
        seen.append((records, weights, priorities))
        return arrays, numbers, priorities

    monkeypatch.setattr(part, "regression", spy)
    setting.batch(step=1)
    arrays, _ = setting.batch(step=2, indices=(4, 5, 6, 7), seed=1)
    (first, _, before), (records, weights, after) = seen
    ids = [next(i for i, record in enumerate(first) if record is old) for old in records[8:]]
    exponent = 0.5 + 0.5 * 2 / setting.config.finetune.updates
    expected = (8 * before[ids] / before.sum()) ** -exponent
    np.testing.assert_array_equal(weights[:8], 1.0)
    np.testing.assert_allclose(weights[8:], expected / expected.max(), rtol=1e-6)
    np.testing.assert_allclose(arrays["weights"].max(axis=1), weights, rtol=1e-6)
    mass = np.concatenate([before, after[:8]])
    mass[ids] = after[8:]
    drawn, probabilities = part.sampler.draw(500, np.random.default_rng(0))
    np.testing.assert_allclose(probabilities, mass[drawn] / mass.sum(), rtol=1e-6)


def test_demonstrations_outlive_the_prior_and_know_the_new_one(make):
    setting = make(replay={"share": 0.0, "demonstrations": 0.3})
    setting.batch()
    part, old = setting.part_b, [w.copy() for w in setting.prior.get_weights()]
    before = part.replay.get(part.replay.demonstration_ids)
    setting.prior.set_weights([0.5 * w for w in old])
    part.prior_changed()
    try:
        after = part.replay.get(part.replay.demonstration_ids)
        assert len(part.replay) == 0 and [r.source_id for r in after] == [r.source_id for r in before]
        for one, other in zip(before, after, strict=True):
            tokens = one.tokens[None]
            encoded = setting.prior.encode(pad_source([CORPUS.source(one.source_id).tolist()]))
            logits = setting.prior.decode(shift_right(tokens), encoded).logits
            np.testing.assert_allclose(other.prior_logp, taken_log_probs(logits, tokens)[0], atol=1e-4)
            assert np.abs(other.prior_logp - one.prior_logp).max() > 0.01 and other.score == one.score
        setting.batch()
        assert len(part.replay.demonstration_ids) == len(before)  # The same sentences are not stored again.
    finally:
        setting.prior.set_weights(old)


def test_the_same_seed_plays_the_same(make):
    setting = make(replay={"share": 0.0})
    first, _ = setting.batch(seed=5)
    again, _ = setting.batch(seed=5)
    other, _ = setting.batch(seed=6)
    np.testing.assert_array_equal(first["tokens"], again["tokens"])
    assert first["tokens"].shape != other["tokens"].shape or (first["tokens"] != other["tokens"]).any()


def test_accumulated_batches_of_one_update_draw_differently(make, monkeypatch):
    setting, draws = make(), []
    monkeypatch.setattr(setting.batches, "terms", [setting.part_b])

    def draw(drawn):
        draws.append(drawn.rng.random())
        return {}, {}

    monkeypatch.setattr(setting.part_b, "batch", draw)
    setting.batches.next(1), setting.batches.next(1)
    assert draws[0] != draws[1]


def test_the_value_head_learns():
    rng = np.random.default_rng(3)
    head = ValueHead(6, 3, 8)
    batch = {"states": rng.normal(size=(4, 5, 6)), "features": rng.uniform(size=(4, 5, 3))}
    batch["target"] = batch["features"].sum(-1) + 0.3 * batch["states"][..., 0]
    batch["weights"] = np.ones((4, 5))
    batch["weights"][1, 3:] = 0.0
    batch["target"][1, 3:] = 1e6  # behind the end
    batch = {name: array.astype(np.float32) for name, array in batch.items()}
    learner = Learner(head, value_objective, make_config().finetune.optimizer)
    losses = [learner.update([batch], 0.03)["loss"] for _ in range(60)]
    assert losses[-1] < 0.05 * losses[0] < 10


def test_v_explains_the_return_after_some_updates(make):
    setting = make(value_learning_rate=0.02, trace=1.0, replay={"share": 0.0})
    losses = [setting.batch(step=step, indices=range(20))[1]["value_loss"] for step in range(1, 101)]
    assert losses[-1] < 0.5 * losses[0], losses


def test_without_privileged_features_v_sees_only_the_state():
    head = ValueHead(5, 0, 4)
    assert head.hidden.kernel.shape[0] == 5
    states = np.random.default_rng(0).normal(size=(1, 2, 5)).astype("float32")
    first, second = (ops.convert_to_numpy(head(states, np.full((1, 2, 8), x, "float32"))) for x in (0.0, 9.0))
    np.testing.assert_array_equal(first, second)


def test_state_and_restore_are_exact(make):
    setting = make(target_rate=0.3)
    for step in (1, 2):
        setting.update(step)
    meta, arrays = setting.batches.state()
    arrays = {name: np.array(value) for name, value in arrays.items()}
    learner = [np.array(v.value) for v in setting.learner.state]

    def go_on():
        for step in (3, 4):
            setting.update(step)
        meta, arrays = setting.batches.state()
        return digest(setting.policy, setting.target), meta, {name: array.tobytes() for name, array in arrays.items()}

    straight = go_on()
    make(target_rate=0.3)
    for variable, value in zip(setting.learner.state, learner, strict=True):
        variable.assign(value)
    setting.batches.restore(meta, arrays)
    assert go_on() == straight
    assert {name.split("/")[0] for name in arrays} == {"prior", "trajectory"}


def test_nothing_behind_the_end_reaches_a_target(make):
    """A long record beside a short one: the short one's targets are those it has alone."""
    setting = make()
    rng = np.random.default_rng(2)
    records = []
    for number, (ids, length) in enumerate(zip(make_translations((3, 9))[0], (3, 9), strict=True)):
        drawn = rng.uniform(0, 0.2, (2, length)).astype(np.float32)
        features = rng.uniform(size=(length, 8)).astype(np.float32)
        records.append(EpisodeRecord(number, ids[:length], drawn[0], -1.0 - drawn[1], features, 0))
    value_learner = setting.part_b.network.value_learner
    start = value_learner.get_weights()
    alone, _, priority = setting.part_b.regression(records[:1], np.ones(1), 1, TAU)
    value_learner.set_weights(start)
    both, _, priorities = setting.part_b.regression(records, np.ones(2), 1, TAU)
    assert priorities[0] == pytest.approx(priority[0], abs=1e-5)
    for name in ("target", "value", "log_prior", "weights"):
        np.testing.assert_allclose(both[name][0, :3], alone[name][0, :3], atol=1e-5, err_msg=name)
        assert name == "value" or not both[name][0, 3:].any()
    assert both["target_in"].tolist() == shift_right(both["tokens"]).tolist() and both["tokens"].max() >= FIRST
