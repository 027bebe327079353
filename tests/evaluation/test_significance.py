import json
import os
import random
import re
import subprocess
import sys

import pytest

from nmt_rl.errors import UserError
from nmt_rl.evaluation.metrics import corpus_scores
from nmt_rl.evaluation.significance import format_p, format_paired, holm, paired_test

WORDS = tuple("abcdefghijklmnopqrst")


def noisy(lines, rate, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) if rng.random() < rate else word for word in line.split()) for line in lines]


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(1)
    reference = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(5, 15))) for _ in range(200)]
    return {"reference": reference, "good": noisy(reference, 0.1, 2), "bad": noisy(reference, 0.3, 3)}


def compare(corpus, systems, **options):
    texts = {name: corpus[name.split()[0]] for name in systems}
    return paired_test(texts, corpus["reference"], test_set="toy", **{"samples": 200, **options})


def test_identical_systems_do_not_differ(corpus):
    result = compare(corpus, ["good", "good again"])
    assert result.systems[1].bleu.p_value == 1
    assert result.systems[1].chrf.p_value == 1


def test_clearly_better_system_is_significant(corpus):
    result = compare(corpus, ["bad", "good"])
    assert result.system("good").bleu.p_value < 0.05
    assert result.system("good").chrf.p_value < 0.05
    assert result.system("bad").bleu.p_value is None


def test_equally_noisy_systems_do_not_differ(corpus):
    texts = {"one": noisy(corpus["reference"], 0.1, 5), "two": noisy(corpus["reference"], 0.1, 6)}
    result = paired_test(texts, corpus["reference"], test_set="toy", samples=200)
    assert result.system("two").bleu.p_value > 0.05


def test_score_is_the_corpus_score_and_lies_in_the_interval(corpus):
    system = compare(corpus, ["bad", "good"]).system("good")
    scores = corpus_scores(corpus["good"], corpus["reference"], test_set="toy")
    assert system.bleu.score == pytest.approx(scores.bleu)
    assert system.chrf.score == pytest.approx(scores.chrf)
    assert abs(system.bleu.mean - system.bleu.score) < system.bleu.ci < 5


def test_seed_and_resamples_are_in_the_signature(corpus):
    result = compare(corpus, ["bad", "good"], seed=7)
    for signature in result.signatures.values():
        assert "bs:200" in signature
        assert "seed:7" in signature
    assert json.loads(json.dumps(result.to_json()))["seed"] == 7


def test_environment_neither_leaks_in_nor_is_changed(corpus, monkeypatch):
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    plain = compare(corpus, ["bad", "good"], seed=7)
    assert "SACREBLEU_SEED" not in os.environ
    monkeypatch.setenv("SACREBLEU_SEED", "none")
    assert compare(corpus, ["bad", "good"], seed=7) == plain
    assert os.environ["SACREBLEU_SEED"] == "none"
    assert compare(corpus, ["bad", "good"], seed=8) != plain


@pytest.mark.parametrize("kind", ["bootstrap", "randomization"])
def test_numbers_of_the_sacrebleu_command(corpus, tmp_path, kind):
    for name, lines in corpus.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    command = [sys.executable, "-m", "sacrebleu", "reference", "-i", "bad", "good", "-m", "bleu", "chrf", "-w", "4"]
    short = {"bootstrap": "bs", "randomization": "ar"}[kind]
    output = subprocess.run(
        [*command, f"--paired-{short}", f"--paired-{short}-n", "200", "-f", "text", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "SACREBLEU_SEED": "99", "NO_COLOR": "1"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    result = compare(corpus, ["bad", "good"], seed=99, kind=kind)
    theirs = [float(number) for number in re.findall(r"\d+\.\d+", output[output.index("System") :].split("----")[0])]
    ours = []
    for system in result.systems:
        for score in (system.bleu, system.chrf):
            ours += [score.score, score.mean, score.ci] if kind == "bootstrap" else [score.score]
    ours += [result.systems[1].bleu.p_value, result.systems[1].chrf.p_value]
    assert theirs == pytest.approx(ours, abs=1e-3)


@pytest.mark.parametrize("option", ["seed", "samples"])
def test_zero_is_refused(corpus, option):
    with pytest.raises(UserError, match=f"{option} of the paired test must be 1 or more, found 0"):
        compare(corpus, ["bad", "good"], **{option: 0})


def test_line_counts_that_differ_are_named(corpus):
    with pytest.raises(UserError, match="short has 1 lines but reference has 200"):
        paired_test({"good": corpus["good"], "short": ["x"]}, corpus["reference"], test_set="toy")


def test_table(corpus):
    table = format_paired(compare(corpus, ["bad", "good"]))
    assert "toy, 200 lines" in table
    assert "baseline" in table
    assert "bs:200" in table
    assert "version:" in table.splitlines()[-1]


def test_the_table_says_how_systems_translated_where_that_is_known(corpus):
    table = format_paired(compare(corpus, ["bad", "good"], samples=10, decodings={"good": "greedy"}))
    assert table.splitlines()[-1] == "good: greedy" and "bad:" not in table


def test_p_values_are_never_rounded_to_zero():
    assert format_p(0.0004) == "p < 0.001"
    assert format_p(0.0312) == "p = 0.031"


@pytest.mark.parametrize(("differing", "exact"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625)])
def test_randomization_of_few_sentences_that_differ(corpus, differing, exact):
    """All are better: of the 2^k shuffles the one that exchanges none, and the one that exchanges all, reach it."""
    worse = ["x y z" if line < differing else text for line, text in enumerate(corpus["good"])]
    test = paired_test(
        {"worse": worse, "good": corpus["good"]}, corpus["reference"], test_set="toy", kind="randomization"
    )
    assert test.system("good").bleu.p_value == pytest.approx(exact, abs=0.05)
    assert test.system("good").chrf.p_value == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize(("kind", "called"), [("randomization", (2, 22)), ("bootstrap", (16, 46))])
def test_how_often_equal_systems_are_called_different(corpus, kind, called):
    """p < .05 in 5 % of 240 pairs by the two-sided test, in about 13 % by sacreBLEU's bootstrap; three sigma each."""
    references, found = corpus["reference"][:60], 0
    for seed in range(0, 480, 2):
        texts = {str(n): noisy(references, 0.2, 1000 + seed + n) for n in range(2)}
        test = paired_test(texts, references, test_set="toy", kind=kind, metrics=["bleu"], samples=200)
        found += test.systems[1].bleu.p_value < 0.05
    assert called[0] <= found <= called[1], found


def test_a_reference_that_is_not_composed_makes_no_difference():
    plain, decomposed = ["un café noir et une forêt"], ["un cafe\u0301 noir et une fore\u0302t"]
    result = paired_test({"a": plain, "b": decomposed}, decomposed, test_set="t", metrics=("bleu", "chrf"), samples=10)
    assert [system.metrics["bleu"].score for system in result.systems] == pytest.approx([100, 100])
    assert all("nfc:yes" in signature for signature in result.signatures.values())


def test_holm_by_hand():
    # .01 x 4, .02 x 3, .03 x 2 = .06 and not less than before, .5 x 1.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    # .005 x 3; .04 x 2; .035 is smaller than .04: .035 x 2 = .07, then .04 x 1 is no less than that.
    assert holm([0.04, 0.005, 0.035]) == pytest.approx([0.07, 0.015, 0.07])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9]) and holm([0.6, 0.7]) == [1, 1]
    assert holm([0.2]) == [0.2] and holm([]) == []


def test_p_values_of_several_systems_are_corrected(corpus):
    texts = {name: corpus[name] for name in ("bad", "good")} | {"other": noisy(corpus["reference"], 0.27, 9)}
    options = {"test_set": "toy", "samples": 200, "metrics": ["bleu"]}
    both = paired_test(texts, corpus["reference"], **options)
    for system in both.systems[1:]:
        pair = {name: texts[name] for name in ("bad", system.system)}
        alone = paired_test(pair, corpus["reference"], **options).systems[1].bleu
        assert system.bleu.p_value == alone.p_value == alone.p_holm
    found = [system.bleu for system in both.systems[1:]]
    assert [score.p_holm for score in found] == holm([score.p_value for score in found])
    assert found[0].p_holm == 2 * found[0].p_value
    assert "corrected for 2 comparisons with the baseline (Holm, 1979)" in format_paired(both)
    assert f"  {found[0].p_holm:.3f}" in format_paired(both)
    assert "corrected" not in format_paired(compare(corpus, ["bad", "good"]))
