import numpy as np
import pytest
from toy_mdp import soft_value

from nmt_rl.rl import targets

pytestmark = pytest.mark.jax

R = np.array([1.0, 0.0, -1.0, 0.0, 1.0])
D = np.array([0.5, 0.9, 1.0, 0.5, 0.8])
V = np.array([3.0, 1.0, 5.0, -5.0, 3.0])


def lambda_returns(r_t, discount_t, v_t, lambda_):
    """Without a prior."""
    return targets.soft_lambda_targets(r_t, discount_t, v_t, np.zeros(len(r_t)), lambda_)


def test_n_step_by_hand():
    r_t = np.arange(1.0, 8.0)
    v_t = 100.0 * r_t
    discount_t = np.full(7, 0.9)
    discount_t[3] = 0.0
    expected = [
        1 + 0.9 * 2 + 0.81 * 3 + 0.729 * 300,
        2 + 0.9 * 3 + 0.81 * 4,
        3 + 0.9 * 4,
        4,
        5 + 0.9 * 6 + 0.81 * 7 + 0.729 * 700,
        6 + 0.9 * 7 + 0.81 * 700,
        7 + 0.9 * 700,
    ]
    np.testing.assert_allclose(targets.n_step_targets(r_t, discount_t, v_t, 3), expected, rtol=1e-12)
    assert expected[:4] == pytest.approx([223.93, 7.94, 6.6, 4])


def test_lambda_returns_by_hand():
    expected = [1.6460547, 0.72281253, 0.7375001, 0.6500001, 3.4]
    np.testing.assert_allclose(lambda_returns(R, D, V, 0.75), expected, atol=1e-6)


def test_lambda_zero_is_one_step_and_one_is_monte_carlo():
    np.testing.assert_allclose(lambda_returns(R, D, V, 0.0), targets.n_step_targets(R, D, V, 1))
    np.testing.assert_allclose(lambda_returns(R, D, V, 1.0), targets.n_step_targets(R, D, V, 5))
    terminal = D * [1, 1, 1, 1, 0]
    np.testing.assert_allclose(lambda_returns(R, terminal, V, 1.0), targets.monte_carlo_returns(R, terminal))
    # 1 + .5 * (0 + .9 * (-1 + 1 * (0 + .5 * 1)))
    assert targets.monte_carlo_returns(R, terminal)[0] == pytest.approx(0.775)


def test_soft_lambda_targets_by_hand():
    # two steps, then the end: y_1 = .2; y_0 = .1 + .5 * .7 + .5 * (.2 - .04)
    y_t = targets.soft_lambda_targets([0.1, 0.2], [1.0, 0.0], [0.7, 9.0], [0.04, 9.0], 0.5)
    np.testing.assert_allclose(y_t, [0.53, 0.2], rtol=1e-12)


def test_soft_lambda_targets_stop_at_mask_and_end():
    r_t, penalty_t = np.array([[0.1, 0.2, 0.3, 0.4]] * 2), np.full((2, 4), 0.02)
    discount_t = np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    v_t = np.array([[0.5, 0.6, 0.7, 0.8]] * 2)
    mask = np.array([[True, True, False, False], [True, True, False, False]])
    y_t = targets.soft_lambda_targets(r_t, discount_t, v_t, penalty_t, 1.0, mask)
    # first row: terminal at 1; second: unknown beyond 1, so it bootstraps from v_t[1] = .6
    np.testing.assert_allclose(y_t, [[0.1 + 0.2 - 0.02, 0.2, 0, 0], [0.1 + 0.8 - 0.02, 0.8, 0, 0]], rtol=1e-12)
    for array in (r_t, v_t, penalty_t):
        array[:, 2:] = np.nan
    v_t[0, 1] = penalty_t[:, 1] = np.nan
    np.testing.assert_array_equal(targets.soft_lambda_targets(r_t, discount_t, v_t, penalty_t, 1.0, mask), y_t)


def test_next_step_and_value_targets():
    np.testing.assert_array_equal(targets.next_step([[1.0, 2.0, 3.0]]), [[2.0, 3.0, 0.0]])
    np.testing.assert_array_equal(targets.next_step([1.0, 2.0], last=7.0), [2.0, 7.0])
    np.testing.assert_allclose(targets.value_targets([0.5, 0.25], [0.1, -0.2]), [0.4, 0.45])


@pytest.mark.parametrize("tau", [0.005, 0.1, 2.0])
def test_soft_value_of_the_dueling_q_is_v(tau):
    rng = np.random.default_rng(3)
    log_pi, log_prior = (np.log(rng.dirichlet(np.ones(50), size=7)) for _ in range(2))
    v = rng.normal(size=7)
    q = targets.q_values(v[:, None], targets.log_ratio(log_pi, log_prior), tau)
    np.testing.assert_allclose(soft_value(q, log_prior, tau), v, atol=1e-6 * tau)


def test_soft_value_limits():
    q, log_prior = np.array([1.0, 2.0, 9.0]), np.array([np.log(0.5), np.log(0.5), -np.inf])
    assert soft_value(q, log_prior, 0.0) == 2.0
    assert soft_value(q, log_prior, 1e-9) == pytest.approx(2.0)
    # tau log(.5 e^1 + .5 e^2) at tau = 1
    assert soft_value(q, log_prior, 1.0) == pytest.approx(1.6201145)


def test_overestimation_of_hard_max_but_not_of_the_kl_soft_backup():
    """Ten thousand actions of the same true value 0, estimates with noise .05, prior with a top-1 of .65."""
    rng = np.random.default_rng(14)
    tail = 1.0 / np.arange(2, 10_001)
    prior = np.concatenate([[0.65], 0.35 * tail / tail.sum()])
    q = rng.normal(scale=0.05, size=(200, 10_000))
    assert 0.17 < np.mean(soft_value(q, np.log(prior), 0.0)) < 0.21
    assert 0.0 < np.mean(soft_value(q, np.log(prior), 0.05)) < 0.02


@pytest.mark.parametrize(
    "call",
    [
        lambda: targets.soft_lambda_targets(np.zeros(3), np.zeros(3), np.zeros(2), np.zeros(3), 0.5),
        lambda: targets.n_step_targets(np.zeros(3), np.zeros(2), np.zeros(3), 2),
        lambda: targets.n_step_targets(np.zeros(3), np.zeros(3), np.zeros(3), 0),
        lambda: targets.soft_lambda_targets(*[np.zeros(3)] * 4, 0.5, np.ones(2, bool)),
    ],
)
def test_wrong_shapes(call):
    with pytest.raises(ValueError, match="found"):
        call()
