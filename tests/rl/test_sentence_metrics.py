import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF, TER

from nmt_rl.config import RewardConfig
from nmt_rl.errors import UserError
from nmt_rl.rl.sentence_metrics import chrf, load_metric, ter

text = st.text(st.sampled_from("abcd e.,A\u00e9\U0001f600 \u00a0"), max_size=30)
pairs = st.lists(st.tuples(text, text), max_size=6)


def split(both):
    return [a for a, _ in both], [b for _, b in both]


def test_chrf_by_hand():
    # "ab" against "a b c": P = (2/2 + 1/1)/2, R = (2/3 + 1/2)/2 = 7/12; 5 P R / (4 P + R)
    expected = 5 * (7 / 12) / (4 + 7 / 12)
    np.testing.assert_allclose(chrf(["ab", "", "xyz"], ["a b c", "abc", "abc"]), [expected, 0, 0], atol=1e-15)


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_chrf_is_that_of_sacrebleu(both):
    theirs = [CHRF().sentence_score(a, [b]).score / 100 for a, b in both]
    found = chrf(*split(both))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, theirs, atol=1e-12, rtol=0)


def test_ter_by_hand():
    # one substitution of four; equal but for case; three insertions beside one word: TER 3
    found = ter(["a b c x", "A b", "a b c d", ""], ["a b c d", "a B", "a", "a"])
    np.testing.assert_allclose(found, [0.75, 1.0, 0.0, 0.0], atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_ter_is_that_of_sacrebleu_but_not_below_0(both):
    theirs = [1 - TER().sentence_score(a, [b]).score / 100 for a, b in both]
    np.testing.assert_allclose(ter(*split(both)), np.maximum(theirs, 0), atol=1e-12, rtol=0)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a user's module; returns the name of a function in it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_metric", raising=False)

    def write(code):
        (tmp_path / "users_metric.py").write_text(code, encoding="utf-8")
        return "users_metric:worth"

    yield write
    sys.modules.pop("users_metric", None)


def test_a_users_function(module):
    name = module(
        "calls = []\n"
        "def worth(hypotheses, references):\n"
        "    calls.append((hypotheses, references))\n"
        "    return [float(a == b) for a, b in zip(hypotheses, references)]\n"
    )
    RewardConfig(metrics={name: 1.0})
    assert "users_metric" not in sys.modules  # a configuration, and so a saved model's, imports nothing
    metric = load_metric(name)
    np.testing.assert_array_equal(metric(["a", "b", "a"], ["a", "a", "a"]), [1, 0, 1])
    np.testing.assert_array_equal(metric(["b", "c"], ["a", "c"]), [0, 1])
    assert sys.modules["users_metric"].calls == [(["a", "b"], ["a", "a"]), (["c"], ["c"])]


def test_a_function_that_raises(module):
    metric = load_metric(module("def worth(h, r):\n    raise KeyError(h[0])\n"))
    with pytest.raises(UserError, match=r"finetune\.reward\.metrics: users_metric:worth raised KeyError: 'a'"):
        metric(["a"], ["b"])


@pytest.mark.parametrize("result", ["(0.5 for _ in h)", "None", "0.5", "'no'", "[[0.5], [0.5]]", "{1, 2}"])
def test_results_that_are_no_list(module, result):
    metric = load_metric(module(f"def worth(h, r):\n    return {result}\n"))
    with pytest.raises(UserError, match=r"finetune\.reward\.metrics: users_metric:worth must return one finite number"):
        metric(["a", "b"], ["a", "b"])


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ("[0.5]", "each of 2 hypotheses, found 1 results"),
        ("[0.5, None]", "found None"),
        ("[0.5, '0.5']", "found '0.5'"),
        ("[0.5, float('nan')]", "found nan"),
        ("[[0.5], [0.5, 1]]", "found a list that is no list of numbers"),
    ],
)
def test_results_that_are_no_numbers(module, result, found):
    metric = load_metric(module(f"def worth(h, r):\n    return {result}\n"))
    with pytest.raises(UserError, match=r"finetune\.reward\.metrics") as error:
        metric(["a", "b"], ["a", "b"])
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module_here:f", "module no_such_module_here cannot be imported: ModuleNotFoundError"),
        ("math:squirt", "module math has no squirt; did you mean sqrt?"),
        ("math:pi", "module math has a float, not a function, pi"),
        (":f", "must look like package.module:function"),
        ("math:", "must look like package.module:function"),
    ],
)
def test_names_that_cannot_be_loaded(name, said):
    with pytest.raises(UserError) as error:
        load_metric(name)
    assert str(error.value).startswith("finetune.reward.metrics has ")
    assert said in str(error.value)


def test_a_module_that_fails(module):
    name = module("raise RuntimeError('no GPU here')\n")
    with pytest.raises(UserError, match="cannot be imported: RuntimeError: no GPU here"):
        load_metric(name)


def test_answers_and_labels_can_be_rewarded():
    assert load_metric("accuracy")(["yes", "no"], ["yes", "yes"]).tolist() == [1.0, 0.0]
    assert load_metric("f1")(["red cat"], ["red dog"]).tolist() == [0.5]
