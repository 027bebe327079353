"""The bootstrap over sentences and seeds: what it must agree with, and what it must tell apart."""

import random

import numpy as np
import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import build_metrics
from nmt_rl.evaluation.pooling import pooled_bootstrap, two_sided
from nmt_rl.evaluation.resampling import resample
from nmt_rl.evaluation.significance import format_paired, paired_test

WORDS = tuple("abcdefghijklmnopqrst")


def noisy(lines, rate, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) if rng.random() < rate else word for word in line.split()) for line in lines]


def seeds_of(lines, rates, first):
    return [noisy(lines, rate, first + number) for number, rate in enumerate(rates)]


@pytest.fixture(scope="module")
def reference():
    rng = random.Random(1)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(5, 15))) for _ in range(200)]


def pooled(reference, samples=500, names=("bleu",), **systems):
    return paired_test(systems, reference, test_set="toy", metrics=names, samples=samples)


def test_tails_by_hand():
    # One of five at or below 0: 2 (1 + 1) / 6; two of four on either side, 0 on both: at most 1.
    assert two_sided(np.array([0.5, 1.0, -0.1, 0.2, 3.0])) == pytest.approx(2 / 3)
    assert two_sided(-np.array([0.5, 1.0, -0.1, 0.2, 3.0])) == pytest.approx(2 / 3)
    assert two_sided(np.ones(999)) == pytest.approx(2 / 1000)
    assert two_sided(np.zeros(10)) == 1


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_single_outputs_have_sacrebleus_means_and_intervals(reference, name):
    systems = {"a": noisy(reference, 0.2, 2), "b": noisy(reference, 0.25, 3)}
    (metric,) = build_metrics([reference], [name]).values()
    signature, ours = pooled_bootstrap({key: [text] for key, text in systems.items()}, metric, 150, 7)
    _, theirs = resample(systems, metric, "bootstrap", 150, 7)
    assert "bs:" not in signature
    for own, other in zip(ours, theirs, strict=True):
        assert own.score == pytest.approx(float(other.score), abs=1e-4)
        assert (own.mean, own.ci) == pytest.approx((float(other.mean), float(other.ci)), abs=1e-4)


def test_seeds_that_are_the_same_count_as_one(reference):
    one, two = noisy(reference, 0.2, 2), noisy(reference, 0.21, 3)
    (metric,) = build_metrics([reference], ["bleu"]).values()
    single = pooled_bootstrap({"a": [one], "b": [two]}, metric, 500, 7)[1]
    thrice = pooled_bootstrap({"a": [one] * 3, "b": [two] * 2}, metric, 500, 7)[1]
    assert 0.05 < single[1].p_value == thrice[1].p_value < 1
    assert thrice[1].ci == pytest.approx(single[1].ci) and thrice[1].by_seed == single[1].by_seed * 2


def test_a_system_against_itself(reference):
    outputs = seeds_of(reference, [0.2, 0.21, 0.19], 10)
    test = pooled(reference, a=outputs, b=outputs)
    assert test.systems[1].bleu.p_value > 0.9


def test_a_clear_difference_is_found_in_both_directions(reference):
    worse, better = seeds_of(reference, [0.3] * 3, 10), seeds_of(reference, [0.1] * 3, 20)
    assert pooled(reference, a=worse, b=better).systems[1].bleu.p_value == pytest.approx(2 / 501)
    assert pooled(reference, a=better, b=worse).systems[1].bleu.p_value == pytest.approx(2 / 501)


def test_one_lucky_seed_is_not_a_difference(reference):
    """The best seed alone is significantly better; the seeds together, which differ among themselves, are not."""
    base = [noisy(reference, 0.2, 5)]
    outputs = seeds_of(reference, [0.1, 0.2, 0.3], 30)
    assert pooled(reference, a=base, b=[outputs[0]]).systems[1].bleu.p_value < 0.01
    assert pooled(reference, a=base, b=outputs).systems[1].bleu.p_value > 0.2


def test_seeds_that_differ_widen_the_interval(reference):
    alike, apart = seeds_of(reference, [0.2] * 3, 30), seeds_of(reference, [0.1, 0.2, 0.3], 30)
    test = pooled(reference, a=alike, b=apart)
    assert test.systems[1].bleu.ci > 1.5 * test.systems[0].bleu.ci
    assert test.systems[1].bleu.score == pytest.approx(sum(test.systems[1].bleu.by_seed) / 3)


def test_the_interval_of_seeds_is_that_of_the_standard_error(reference):
    """Scores x, y that sentences do not sway: one of them, drawn, has the variance of their mean, s²/2."""
    (metric,) = build_metrics([["a b c d e f g h"] * 50], ["bleu"]).values()
    outputs = [["a b c d e f g h"] * 50, ["a b c d e f g x"] * 50]
    ours = pooled_bootstrap({"a": outputs}, metric, 2000, 1)[1][0]
    high, low = ours.by_seed
    assert ours.mean == pytest.approx((high + low) / 2, abs=0.05 * (high - low))
    assert ours.ci == pytest.approx((high - low) / 2)


def test_systems_that_only_differ_by_their_seeds_are_rarely_called_different(reference):
    """Three seeds each, whose rates of noise vary: p < .05 in 5 % of 60 pairs and three sigma at most; of a seed each,
    whose sentences alone are drawn, in far more."""
    references, rng, found, singly = reference[:100], random.Random(4), 0, 0
    (metric,) = build_metrics([references], ["bleu"]).values()
    for trial in range(60):
        systems = {
            name: seeds_of(references, [0.2 + rng.gauss(0, 0.03) for _ in range(3)], 10_000 * side + 10 * trial)
            for side, name in enumerate("ab", 1)
        }
        single = {name: outputs[:1] for name, outputs in systems.items()}
        found += pooled_bootstrap(systems, metric, 200, trial + 1)[1][1].p_value < 0.05
        singly += pooled_bootstrap(single, metric, 200, trial + 1)[1][1].p_value < 0.05
    assert found <= 8 and singly > 12, (found, singly)


def test_table_names_seeds_and_their_scores(reference):
    outputs = seeds_of(reference, [0.2, 0.21], 10)
    test = pooled(reference, names=("bleu", "chrf"), base=outputs[0], tuned=outputs)
    table = format_paired(test)
    assert "bootstrap over sentences and seeds, 500 resamples, two-sided" in table and "tuned, 2 seeds " in table
    (line,) = (line for line in table.splitlines() if line.startswith("tuned, seed by seed: BLEU "))
    assert line.split("BLEU ")[1].split("; ")[0] == ", ".join(
        f"{score:.2f}" for score in test.system("tuned").bleu.by_seed
    )
    assert test.systems[0].seeds == 1 and test.to_json()["systems"][1]["metrics"]["chrf"]["by_seed"]


def test_what_is_refused(reference):
    outputs = seeds_of(reference, [0.2, 0.21], 10)
    with pytest.raises(UserError, match="--test randomization exchanges translations of two outputs"):
        paired_test({"a": outputs[0], "b": outputs}, reference, test_set="toy", kind="randomization")
    with pytest.raises(UserError, match="b, seed 2, has 199 lines but reference has 200"):
        pooled(reference, a=outputs[0], b=[outputs[0], outputs[1][1:]])
