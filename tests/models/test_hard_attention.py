"""The equations of hard attention, by numbers worked out by hand, and whether their draws are right on average."""

import math

import numpy as np
import pytest
from keras import ops

from nmt_rl.backend import is_jax
from nmt_rl.models.hard_attention import (
    BLOCKED,
    baseline_error,
    best_positions,
    contexts,
    divergence,
    drawn,
    entropy,
    expected_log_likelihood,
    marginal_log_likelihood,
    sampled_log_likelihood,
    weights_on_source,
)

pytestmark = pytest.mark.jax
LOG = np.log(np.array([0.2, 0.5, 0.3], "float32"))


def numpy(x):
    return ops.convert_to_numpy(x)


def gradients(function, *arrays):
    """Of a scalar function, for each array."""
    if is_jax():
        import jax

        return [np.asarray(g) for g in jax.grad(function, range(len(arrays)))(*arrays)]
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(x) for x in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    zero = tf.UnconnectedGradients.ZERO
    return [g.numpy() for g in tape.gradient(value, tensors, unconnected_gradients=zero)]


def test_a_position_is_where_the_sum_of_probabilities_passes_the_number():
    uniforms = np.array([0.0, 0.19, 0.21, 0.69, 0.71, 0.999999], "float32")
    assert numpy(drawn(LOG, uniforms)).tolist() == [0, 0, 1, 1, 2, 2]


def test_positions_are_drawn_as_often_as_they_are_likely_and_padding_never():
    logs = np.concatenate([LOG, [BLOCKED, BLOCKED]]).astype("float32")
    places = numpy(drawn(logs, np.random.default_rng(0).random(20000, np.float32)))
    shares = np.bincount(places, minlength=5) / 20000
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3, 0, 0], atol=3 * math.sqrt(0.25 / 20000))


def test_the_best_positions_share_what_they_have_in_proportion():
    logs = np.log(np.array([[0.1, 0.4, 0.2, 0.3]], "float32"))
    places, weights = best_positions(logs, 2)
    assert numpy(places).tolist() == [[1, 3]]
    np.testing.assert_allclose(np.exp(numpy(weights)), [[4 / 7, 3 / 7]], atol=1e-6)
    places, weights = best_positions(logs, 6)
    assert numpy(places)[0, :4].tolist() == [1, 3, 2, 0] and numpy(places).max() == 3
    np.testing.assert_allclose(np.exp(numpy(weights)), [[0.4, 0.3, 0.2, 0.1, 0, 0]], atol=1e-6)


def test_a_context_is_the_state_at_a_position_and_attention_is_what_weighs_it():
    values = np.arange(12, dtype="float32").reshape(2, 3, 2)
    places = np.array([[[2, 0]], [[1, 1]]], "int32")
    assert numpy(contexts(values, places)).tolist() == [[[[4, 5], [0, 1]]], [[[8, 9], [8, 9]]]]
    weights = np.array([[[0.75, 0.25]], [[0.5, 0.5]]], "float32")
    assert numpy(weights_on_source(places, weights, 3)).tolist() == [[[0.25, 0, 0.75]], [[0, 1, 0]]]


PRIOR, LIKELIHOODS = np.array([0.5, 0.25, 0.25], "float32"), np.array([0.2, 0.4, 0.8], "float32")


def test_the_marginal_likelihood_by_hand():
    """0.5 * 0.2 + 0.25 * 0.4 + 0.25 * 0.8 = 0.4"""
    found = marginal_log_likelihood(np.log(PRIOR), np.log(LIKELIHOODS))
    assert float(found) == pytest.approx(math.log(0.4), abs=1e-6)


def test_the_expected_log_likelihood_by_hand():
    """0.5 ln 0.2 + 0.25 ln 0.4 + 0.25 ln 0.8 = -1.08958"""
    found = expected_log_likelihood(np.log(PRIOR), np.log(LIKELIHOODS))
    assert float(found) == pytest.approx(-1.08958, abs=1e-5)


def test_divergence_and_entropy_by_hand_and_padding_has_none():
    """0.5 ln (0.5 / 0.25) + 0.5 ln (0.5 / 0.75) = 0.143841; -0.25 ln 0.25 - 0.75 ln 0.75 = 0.562335"""
    q, p = np.log(np.array([0.5, 0.5], "float32")), np.log(np.array([0.25, 0.75], "float32"))
    assert float(divergence(q, p)) == pytest.approx(0.143841, abs=1e-6)
    assert float(entropy(p)) == pytest.approx(0.562335, abs=1e-6)
    q, p = (np.append(x, np.float32(BLOCKED)) for x in (q, p))
    assert float(divergence(q, p)) == pytest.approx(0.143841, abs=1e-6)
    assert float(entropy(p)) == pytest.approx(0.562335, abs=1e-6)
    of_p, of_q = gradients(lambda p, q: divergence(q, p), p, q)
    assert of_p[2] == of_q[2] == 0 and np.isfinite([of_p, of_q]).all()


def test_the_bounds_are_in_their_order_and_the_posterior_reaches_the_marginal():
    """p(z|y) = [0.1, 0.1, 0.2] / 0.4"""
    logs, likelihoods = np.log(PRIOR), np.log(LIKELIHOODS)

    def elbo(q):
        return float(expected_log_likelihood(np.log(q), likelihoods) - divergence(np.log(q), logs))

    posterior, other = np.array([0.25, 0.25, 0.5], "float32"), np.array([0.3, 0.3, 0.4], "float32")
    assert elbo(posterior) == pytest.approx(math.log(0.4), abs=1e-6)
    assert elbo(PRIOR) == pytest.approx(float(expected_log_likelihood(logs, likelihoods)), abs=1e-6)
    assert elbo(PRIOR) < elbo(other) < math.log(0.4)


def test_with_one_position_all_are_its_log_likelihood():
    logs, likelihoods = np.array([BLOCKED, 0.0, BLOCKED], "float32"), np.log(LIKELIHOODS)
    for found in (marginal_log_likelihood(logs, likelihoods), expected_log_likelihood(logs, likelihoods)):
        assert float(found) == pytest.approx(math.log(0.4), abs=1e-6)
    drawn_once = sampled_log_likelihood(logs[1:2], likelihoods[1:2], np.array(-7.0, "float32"))
    assert float(drawn_once) == pytest.approx(math.log(0.4), abs=1e-6)
    assert float(divergence(logs, logs)) == float(entropy(logs)) == 0


def test_a_baseline_learns_the_mean_and_changes_no_likelihood():
    of_baseline, of_likelihoods = gradients(
        lambda b, f: ops.sum(baseline_error(b, f)), np.array([1.0], "float32"), np.array([[0.0, 4.0]], "float32")
    )
    assert of_baseline.tolist() == [-1.0] and not of_likelihoods.any()


DRAWS = 20000
SCORES, EMITTED = np.array([0.3, -0.5, 0.9], "float32"), np.array([[0.2, 1.0], [0.5, -0.4], [-1.0, 0.7]], "float32")
"""Of positions, and of two words at each."""


def likelihoods_of(emitted):
    return ops.log_softmax(emitted, axis=-1)[..., 0]


def for_each(function, *parameters):
    """Gradients of a function of each draw's own copy of the parameters, [draws, ...]."""
    copies = [np.broadcast_to(x, (DRAWS, *x.shape)).copy() for x in parameters]
    return gradients(lambda *own: ops.sum(function(*own)), *copies)


def assert_unbiased(found, exact):
    for each, truth in zip(found, exact, strict=True):
        each = each.astype("float64")
        error = each.std(axis=0) / math.sqrt(DRAWS)
        assert (np.abs(each.mean(axis=0) - truth) <= 3 * error + 1e-5).all()
    assert max(each.std(axis=0).max() for each in found) > 0.01


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("baseline", [-20.0, -0.9, 0.0])
def test_the_mean_of_many_score_function_gradients_is_the_exact_one(samples, baseline):
    uniforms = np.random.default_rng(3).random((DRAWS, samples), np.float32)

    def sampled(scores, emitted):
        logs, likelihoods = ops.log_softmax(scores), likelihoods_of(emitted)
        places = drawn(logs, uniforms)
        taken = [ops.take_along_axis(x, places, axis=-1) for x in (logs, likelihoods)]
        return sampled_log_likelihood(*taken, baseline * ops.ones((DRAWS,)))

    def exact(scores, emitted):
        return expected_log_likelihood(ops.log_softmax(scores), likelihoods_of(emitted))

    assert_unbiased(for_each(sampled, SCORES, EMITTED), gradients(exact, SCORES, EMITTED))


def test_a_good_baseline_makes_the_gradient_vary_less():
    uniforms = np.random.default_rng(3).random((DRAWS, 1), np.float32)

    def spread(baseline):
        def sampled(scores):
            logs = ops.log_softmax(scores)
            places = drawn(logs, uniforms)
            likelihoods = likelihoods_of(EMITTED) * ops.ones((DRAWS, 1))
            taken = [ops.take_along_axis(x, places, axis=-1) for x in (logs, likelihoods)]
            return sampled_log_likelihood(*taken, baseline * ops.ones((DRAWS,)))

        return for_each(sampled, SCORES)[0].std()

    assert spread(-0.9) < 0.5 * spread(0.0)


def test_the_mean_of_many_variational_gradients_is_that_of_the_bound():
    uniforms = np.random.default_rng(4).random((DRAWS, 1), np.float32)
    inferred = np.array([-0.2, 0.8, 0.1], "float32")

    def sampled(scores, inferred, emitted):
        log_p, log_q, likelihoods = ops.log_softmax(scores), ops.log_softmax(inferred), likelihoods_of(emitted)
        places = drawn(log_q, uniforms)
        taken = [ops.take_along_axis(x, places, axis=-1) for x in (log_q, likelihoods)]
        return sampled_log_likelihood(*taken, -0.7 * ops.ones((DRAWS,))) - divergence(log_q, log_p)

    def exact(scores, inferred, emitted):
        log_p, log_q = ops.log_softmax(scores), ops.log_softmax(inferred)
        return expected_log_likelihood(log_q, likelihoods_of(emitted)) - divergence(log_q, log_p)

    found = for_each(sampled, SCORES, inferred, EMITTED)
    assert_unbiased(found, gradients(exact, SCORES, inferred, EMITTED))
