"""What two systems' translations differ in, by hand, and the page that shows it."""

import pytest

from nmt_rl.evaluation.contrast import bucket_of, contrast, format_contrast, word_f1, wording
from nmt_rl.evaluation.contrast_page import render_contrast
from nmt_rl.evaluation.significance import paired_test

REFERENCES = [
    "a dog runs over the green field today",
    "a man sleeps",
    "two men play chess in the park with a dog and with a very small cat",
]
FIRST = ["a dog runs over the green field today", "a man sits", "two men play chess"]
SECOND = ["a cat runs over the red field today", "a man sleeps", "two men play chess"]


@pytest.fixture(scope="module")
def found():
    return contrast([FIRST, SECOND], REFERENCES, target_language="en")


def test_wins_losses_and_ties_are_by_sentence(found):
    (change,) = found.changes
    assert (change.wins, change.ties, change.losses) == (1, 1, 1)
    assert change.changes[0] < 0 < change.changes[1] and change.changes[2] == 0
    assert [e.line for e in change.examples.gained] == [2] and [e.line for e in change.examples.lost] == [1]


def test_buckets_of_length_hold_the_corpus_score_of_their_sentences(found):
    short, long = found.by_length
    assert (short.name, short.size, long.name, long.size) == ("1-10", 2, "11-20", 1)
    assert short.scores[0] > short.scores[1] and long.scores[0] == long.scores[1]


def test_bucket_names():
    assert [bucket_of(n, (1, 2, 4, 9)) for n in (1, 2, 3, 4, 5, 9, 10)] == ["1", "2", "3-4", "3-4", "5-9", "5-9", "10+"]


def test_f1_of_words_by_hand():
    # dog: said once of 2 wanted, in the right sentence; cat: said once, in the wrong one.
    lines = [[line.split() for line in side] for side in (SECOND, REFERENCES)]
    assert word_f1(*lines, {"dog"}) == 0.0
    assert word_f1([line.split() for line in FIRST], lines[1], {"dog"}) == pytest.approx(100 * 2 * 1 / (1 + 2))
    assert word_f1(*lines, {"cat"}) == 0.0
    assert word_f1([["a", "a", "a"]], [["a", "a", "b"]], {"a"}) == pytest.approx(100 * 2 * 2 / (3 + 2))


def test_words_are_grouped_by_their_frequency_in_the_reference(found):
    sizes = {bucket.name: bucket.size for bucket in found.by_frequency}
    # Four times "a"; twice "dog", "the", "with" and "a" no more; all others once.
    assert sizes == {"1": 17, "2": 6, "3-4": 4}


def test_repetitions_by_hand():
    words = wording([["a", "b", "a", "b", "a", "b"], ["a", "b", "a"]], [["x"] * 6])
    # aba bab aba bab: two of the four trigrams stand there again; the other line starts anew.
    assert (words.words, words.length_ratio) == (9, 1.5)
    assert words.repetitions == pytest.approx(1000 * 2 / 9)


def test_text_and_page_name_both_systems_and_escape_them(found):
    names = ["<base>", "tuned & new"]
    assert "tuned & new is better than <base> in 1 sentences, worse in 1" in format_contrast(found, names)
    both = dict(zip(names, (FIRST, SECOND), strict=True))
    result = paired_test(both, REFERENCES, test_set="toy", samples=100, decodings={names[0]: "beam 5"})
    page = render_contrast(result, found, ("de", "en"), "2026-01-01")
    assert "<h1>tuned &amp; new against &lt;base&gt;</h1>" in page and "<base>" not in page
    assert '<p class="soft">&lt;base&gt;: beam 5</p>' in page
    assert page.count("data:image/png") == 3 and "Largest gains" in page and "<dt>source</dt>" not in page


def test_three_systems_are_contrasted_with_the_first():
    systems = {"base": FIRST, "tuned": SECOND, "perfect": REFERENCES}
    found = contrast(list(systems.values()), REFERENCES, target_language="en")
    assert [(change.wins, change.ties, change.losses) for change in found.changes] == [(1, 1, 1), (2, 1, 0)]
    assert found.by_length[0].scores[2] == pytest.approx(100) and len(found.systems) == 3
    text = format_contrast(found, list(systems))
    assert "perfect is better than base in 2 sentences, worse in 0, the same in 1" in text
    assert text.splitlines()[3].split() == ["BLEU", "by", "words", "of", "the", "reference", *systems, "sentences"]
    result = paired_test(systems, REFERENCES, test_set="toy", samples=100)
    page = render_contrast(result, found, ("", "en"), "2026-01-01")
    assert "<h1>tuned, perfect against base</h1>" in page and page.count("data:image/png") == 4
    assert "Example translations: tuned" in page and "Example translations: perfect" in page


def test_words_are_those_of_the_chosen_tokenizer():
    found = contrast([["ab c"], ["ab c"]], ["ab d"], target_language="en", tokenize="char")
    assert (found.reference.words, found.systems[0].words) == (3, 3)


def test_words_without_blanks_are_those_of_bleu():
    systems = [["我喜欢梨。", "你好吗"], ["我喜欢苹果。", "你好"]]
    found = contrast(systems, ["我喜欢苹果。", "你好吗"], target_language="zho_Hans")
    assert (found.reference.words, *(system.words for system in found.systems)) == (9, 8, 8)
    assert [(bucket.name, bucket.size) for bucket in found.by_length] == [("1-10", 2)]
    assert {bucket.name: bucket.size for bucket in found.by_frequency} == {"1": 9}


def test_factors_of_bleu_by_hand():
    (first, _) = contrast([["a b c d"], ["a b c d"]], ["a b c x y"], target_language="en").factors
    # 3 of 4 words, 2 of 3, 1 of 2, none of 1 (smoothed to 1/2); exp(1 - 5/4).
    assert first.precisions == pytest.approx((75, 200 / 3, 50, 50))
    assert first.brevity_penalty == pytest.approx(0.7788, abs=1e-4)


def test_seeds_count_by_their_mean():
    seeds = [FIRST, SECOND]
    found = contrast([FIRST, seeds, [REFERENCES, REFERENCES]], REFERENCES, target_language="en")
    one = contrast([FIRST, SECOND], REFERENCES, target_language="en")
    assert found.changes[0].changes == pytest.approx([change / 2 for change in one.changes[0].changes])
    assert (found.changes[1].wins, found.changes[1].ties, found.changes[1].losses) == (2, 1, 0)
    for bucket, single in zip(found.by_length, one.by_length, strict=True):
        assert bucket.scores[1] == pytest.approx(sum(single.scores) / 2)
    assert found.systems[1].words == round((one.systems[0].words + one.systems[1].words) / 2)
    assert (
        found.changes[0].examples.gained == ()
        and found.changes[1].examples
        == contrast([FIRST, REFERENCES], REFERENCES, target_language="en").changes[0].examples
    )


def test_page_of_several_seeds_says_whose_text_it_shows():
    systems = {"base": FIRST, "tuned": [SECOND, FIRST]}
    result = paired_test(systems, REFERENCES, test_set="toy", samples=100)
    page = render_contrast(result, contrast(list(systems.values()), REFERENCES), ("de", "en"), "2026-01-01")
    assert "tuned, 2 seeds" in page and "of several seeds, the first is shown" in page
    assert "two-sided" in page and "tuned, seed by seed: BLEU" in page and "brevity penalty" in page
