import dataclasses
import json
import logging
import math
import subprocess
import sys
import urllib.error

import pytest
from sacrebleu.metrics import BLEU

from nmt_rl.errors import UserError
from nmt_rl.evaluation.compounds import split_compounds
from nmt_rl.evaluation.metrics import (
    LABELS,
    build_metrics,
    check_lines,
    check_metrics,
    corpus_scores,
    sentence_bleu,
    sentence_scores,
    warn_if_unspaced,
)
from nmt_rl.evaluation.resampling import check_resamples

REFERENCE = ["The cat sat on the mat.", "There is a dog in the garden.", "It rains."]


def test_perfect_translation_scores_100():
    scores = corpus_scores(REFERENCE, REFERENCE, test_set="toy")
    assert scores.bleu == pytest.approx(100)
    assert scores.chrf == pytest.approx(100)
    assert scores.length_ratio == 1
    assert scores.brevity_penalty == 1
    assert (scores.test_set, scores.lines) == ("toy", 3)


def test_known_bleu_of_one_sentence():
    # 13a: "the cat is on the mat ." against "the cat sat on the mat .": precisions 6/7, 4/6, 2/5, 1/4.
    scores = corpus_scores(["the cat is on the mat."], ["the cat sat on the mat."], test_set="toy")
    assert scores.bleu == pytest.approx(100 * (6 / 7 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25)
    assert (scores.hypothesis_length, scores.reference_length) == (7, 7)


def test_length_ratio_and_brevity_penalty_count_tokens():
    scores = corpus_scores(["a b c d e f"], ["a b c d e f g h"], test_set="toy")
    assert scores.length_ratio == pytest.approx(6 / 8)
    assert scores.brevity_penalty == pytest.approx(math.exp(1 - 8 / 6))


def test_scores_are_cased_and_say_so():
    hypotheses = [line.upper() for line in REFERENCE]
    cased = corpus_scores(hypotheses, REFERENCE, test_set="toy")
    caseless = corpus_scores(hypotheses, REFERENCE, test_set="toy", lowercase=True)
    assert cased.bleu < 50
    assert caseless.bleu == pytest.approx(100)
    assert "case:mixed" in cased.metrics["bleu"].signature
    assert "case:lc" in caseless.metrics["bleu"].signature


@pytest.mark.parametrize(
    ("language", "tokenizer"), [("en", "13a"), ("", "13a"), ("zh", "zh"), ("zh-CN", "zh"), ("zho_Hans", "zh")]
)
def test_tokenizer_follows_the_target_language(language, tokenizer):
    scores = corpus_scores(["猫在垫子上。"], ["猫在垫子上。"], test_set="toy", target_language=language)
    assert f"tok:{tokenizer}|" in scores.metrics["bleu"].signature
    assert "version:" in scores.metrics["bleu"].signature
    assert "nc:6" in scores.metrics["chrf"].signature


@pytest.mark.parametrize(("language", "extra"), [("ja", "sacrebleu[ja]"), ("kor", "sacrebleu[ko]")])
def test_missing_tokenizer_names_the_extra(language, extra):
    try:
        signature = str(build_metrics([["a"]], ("bleu",), language)["bleu"].tokenizer_signature)
    except UserError as error:
        assert extra in str(error)
    else:
        assert "mecab" in signature


def test_a_tokenizer_that_cannot_be_downloaded_is_one_sentence(monkeypatch):
    def offline(*_):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.download_file", offline)
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.SACREBLEU_DIR", "/nowhere")
    with pytest.raises(
        UserError, match=r"flores200 is not available here: .*\(no route to host\); connect to the netwo"
    ):
        check_metrics(["bleu"], "de", "Flores200")


def test_unknown_tokenizer_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 13a"):
        corpus_scores(REFERENCE, REFERENCE, test_set="toy", tokenize="13")


def test_several_references_take_the_best_match():
    worse = ["Nothing alike here at all."] * 3
    scores = corpus_scores(REFERENCE, [worse, REFERENCE], test_set="toy")
    assert scores.bleu == pytest.approx(100)
    assert "nrefs:2" in scores.metrics["bleu"].signature


def test_line_counts_that_differ_are_named():
    with pytest.raises(UserError, match=r"out\.txt has 2 lines but ref\.en has 3"):
        corpus_scores(REFERENCE[:2], REFERENCE, test_set="toy", system="out.txt", reference_name="ref.en")


def test_nothing_to_score_is_an_error():
    with pytest.raises(UserError, match="no lines"):
        corpus_scores([], [], test_set="toy")
    with pytest.raises(UserError, match="first has 2 lines but second has 1"):
        check_lines("first", ["a", "b"], "second", [["a", "b"], ["a"]])


def test_blank_hypotheses_score_zero():
    scores = corpus_scores(["", "", ""], REFERENCE, test_set="toy")
    assert scores.bleu == 0
    assert scores.length_ratio == 0


def test_tokenised_text_is_warned_about_once(caplog):
    with caplog.at_level(logging.WARNING):
        corpus_scores(["Tokenised text ."] * 120, ["Tokenised text."] * 120, test_set="toy", system="out.txt")
    (record,) = caplog.records
    assert record.name == "nmt_rl"
    assert "120 of 120 lines of out.txt" in record.getMessage()


def test_sentence_bleu_ranks_sentences():
    exact, near, far = sentence_bleu(["It rains.", "It rained.", "No."], ["It rains."] * 3)
    assert exact == pytest.approx(100)
    assert exact > near > far


def test_every_metric_says_what_it_is():
    hypotheses = ["The cat sat on a mat.", *REFERENCE[1:]]
    scores = corpus_scores(hypotheses, REFERENCE, test_set="toy", metrics=("ter", "chrf++", "bleu"))
    assert list(scores.metrics) == ["bleu", "ter", "chrf++"]
    # One of 16 words (6 + 7 + 2, and sacreBLEU's TER counts marks with their words) is another one.
    assert scores.metrics["ter"].value == pytest.approx(100 / 15)
    assert "nw:2" in scores.metrics["chrf++"].signature
    with pytest.raises(UserError, match="no metric 'chr'; did you mean chrf"):
        corpus_scores(REFERENCE, REFERENCE, test_set="toy", metrics=("chr",))


def test_intervals_come_from_seeded_resamples():
    hypotheses = ["The cat sat on a mat.", *REFERENCE[1:]]
    plain, one, same, other = (
        corpus_scores(hypotheses, REFERENCE, test_set="toy", resamples=n, seed=seed).metrics["bleu"]
        for n, seed in ((0, 1), (100, 1), (100, 1), (100, 2))
    )
    assert plain.ci is None and one == same != other
    assert one.value == plain.value and abs(one.mean - one.value) < one.ci
    assert "bs:100|seed:1" in one.signature and "bs:" not in plain.signature


def test_ter_is_without_case_as_in_sacrebleus_command(tmp_path):
    hypotheses, references = ["the Cat sat on the Mat", "no"], ["The cat sat on the mat", "Yes"]
    (tmp_path / "h").write_text("\n".join(hypotheses))
    (tmp_path / "r").write_text("\n".join(references))
    command = [sys.executable, "-m", "sacrebleu", "r", "-i", "h", "-m", "ter", "-w", "4"]
    theirs = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    ours = corpus_scores(hypotheses, references, test_set="toy", metrics=("ter",)).metrics["ter"]
    assert ours.value == pytest.approx(theirs["score"], abs=1e-4) == pytest.approx(100 / 7, abs=1e-4)
    assert ours.signature == theirs["signature"] and "case:lc" in ours.signature


@pytest.mark.parametrize("name", sorted(LABELS))
@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [
        (["a b c d e", "q"], ["a b c d e", "z"]),
        (["a b c d e", ""], ["a b c d e", ""]),
        (["", ""], ["a", "b"]),
        (["a"], [""]),
    ],
)
def test_intervals_of_sets_where_a_resample_may_score_exactly_0_or_100(name, hypotheses, references):
    options = {"test_set": "toy", "metrics": [name], "target_language": "de"}
    score = corpus_scores(hypotheses, references, resamples=100, **options).metrics[name]
    plain = corpus_scores(hypotheses, references, **options).metrics[name]
    assert score.value == plain.value and plain.ci is None
    assert 0 <= score.mean < 100.001 and 0 <= score.ci < 50.001
    json.dumps(dataclasses.asdict(score))


def test_the_interval_of_two_lines_is_that_of_their_three_mixtures():
    """BLEU of both lines, of the first twice (100) and of the second twice (0): 2, 1 and 1 of 4 resamples."""
    score = corpus_scores(["a b c d e", "q"], ["a b c d e", "z"], test_set="toy", resamples=4000).metrics["bleu"]
    assert score.ci == pytest.approx(50)
    assert score.mean == pytest.approx((2 * score.value + 100 + 0) / 4, abs=2)


def test_more_resamples_than_memory_holds_are_refused_in_a_sentence():
    check_resamples(1000, 3003)
    with pytest.raises(UserError, match=r"1,000,000,000 resamples of 3,003 lines need .* GiB of memory, but this mach"):
        check_resamples(10**9, 3003)


def test_compounds_are_split_as_papers_on_wmt14_do():
    assert split_compounds("rich-text format - a-b-c") == "rich ##AT##-##AT## text format - a ##AT##-##AT## b-c"
    hypotheses, references = ["Er mag Rich-Text sehr gern."], ["Er mag Plain-Text sehr gern."]
    scores = corpus_scores(hypotheses, references, test_set="toy", metrics=["compound-bleu"], target_language="de")
    # "Er mag X ##AT##-##AT## Text sehr gern .": precisions 7/8, 5/7, 3/6, 2/5; without splitting 5/6, 3/5, 1/4, 0/3.
    assert scores.metrics["compound-bleu"].value == pytest.approx(100 * (7 / 8 * 5 / 7 * 3 / 6 * 2 / 5) ** 0.25)
    signature = scores.metrics["compound-bleu"].signature
    assert "-de-atat|" in signature and "smooth:none" in signature and "case:mixed" in signature
    assert scores.bleu < 50 and "tok:13a" in scores.metrics["bleu"].signature


def test_compound_split_bleu_needs_a_language_and_moses(monkeypatch):
    with pytest.raises(UserError, match="compound-bleu needs the target language; give the pair, such as -l en-de"):
        build_metrics([[]], ["compound-bleu"])
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(UserError, match="compound-bleu needs Moses' tokenizer; pip install sacremoses"):
        build_metrics([[]], ["compound-bleu"], "de")


def test_sentence_scores_say_what_they_are():
    found = sentence_scores(["It rains.", "No."], [["It rains.", "Yes."], ["Rain.", "No."]], ["bleu", "ter"])
    assert found["bleu"][0] == pytest.approx([100, 100]) and found["ter"][0] == [0, 0]
    assert found["bleu"][1].startswith("nrefs:2|case:mixed|eff:yes|tok:13a|") and "case:lc" in found["ter"][1]


@pytest.mark.parametrize(
    ("language", "reference", "near", "far"),
    [
        ("zh_Hans", "我喜欢吃苹果", "我喜欢吃梨子", "他昨天去学校"),
        ("tha", "ฉันกินข้าว", "ฉันกินน้ำ", "แมวดำนอนหลับ"),
        ("lo", "ສະບາຍດີ", "ສະບາຍດ", "ຂອບໃຈ"),
    ],
)
def test_languages_without_blanks_are_scored_by_their_characters(language, reference, near, far):
    same, one, other = (
        corpus_scores([text], [reference], test_set="t", target_language=language) for text in (reference, near, far)
    )
    assert same.bleu == pytest.approx(100) and one.bleu > other.bleu
    assert one.reference_length == len(reference)


def test_ter_by_characters_where_sacrebleu_has_an_option():
    for hypothesis, expected in [("我喜欢吃苹果", 0), ("我喜欢吃梨子", 100 * 2 / 6)]:
        ter = corpus_scores([hypothesis], ["我喜欢吃苹果"], test_set="t", metrics=("ter",), target_language="zh")
        assert ter.metrics["ter"].value == pytest.approx(expected)
        assert "norm:yes|punct:yes|asian:yes" in ter.metrics["ter"].signature
    with pytest.raises(UserError, match=r"TER counts what stands between blanks, which th does not .*; take chrf"):
        check_metrics(["ter"], "tha_Thai")


DECOMPOSED = ["Le cafe\u0301 de la fore\u0302t est ferme\u0301 aujourd'hui.", "A plain line here."]
COMPOSED = ["Le café de la forêt est fermé aujourd'hui.", "A plain line here."]


@pytest.mark.parametrize(("hypotheses", "references"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_perfect_translation_is_perfect_however_it_is_composed(hypotheses, references):
    """Tokenizers compose (NFC) what they read; the signature says that references were composed too."""
    options = {"test_set": "t", "metrics": ("bleu", "chrf", "chrf++", "ter"), "target_language": "fr"}
    for resamples in (0, 10):
        found = corpus_scores(hypotheses, references, resamples=resamples, **options).metrics
        assert [found[name].value for name in ("bleu", "chrf", "chrf++", "ter")] == pytest.approx([100, 100, 100, 0])
        assert all("nfc:yes" in score.signature for score in found.values())
    assert sentence_bleu(hypotheses, references, "fr") == pytest.approx([100, 100])


def test_composed_text_is_scored_and_signed_as_by_sacrebleu():
    plain = corpus_scores(COMPOSED[::-1], COMPOSED, test_set="t", target_language="fr").metrics
    assert plain["bleu"].value == BLEU(force=True).corpus_score(COMPOSED[::-1], [COMPOSED]).score
    assert not any("nfc" in score.signature for score in plain.values())


@pytest.mark.parametrize(
    ("line", "language", "tokenize", "told"),
    [
        ("猫在垫子上。", "", None, True),
        ("猫在", "zh", None, False),
        ("猫在", "", "char", False),
        ("A cat", "", None, False),
        ("猫在", "chinese", None, True),
        ("猫在", "chinese", "char", False),
    ],
)
def test_text_without_blanks_needs_its_language(line, language, tokenize, told, caplog):
    warn_if_unspaced("ref", [line, line, "Plain text."], language, tokenize)
    assert ("ref has no blanks between words" in caplog.text) == told
