import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_rl.config import CleaningConfig
from nmt_rl.corpus.cleaning import CleaningReport, DuplicateFinder, clean_pairs

CONFIG = CleaningConfig(min_words=2, max_words=5, max_characters=30, max_ratio=2.0)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("ein Hund", "a dog"), None),
        (("", "a dog"), "empty side"),
        (("ein Hund", " \u2003 "), "empty side"),
        (("Hund", "a dog"), "too short"),
        (("a b c d e f", "a b c d e"), "too long"),
        (("a " + "b" * 28, "a b"), None),
        (("a " + "b" * 29, "a b"), "too long"),
        (("a b c d e", "a b"), None),  # (5 + 1) / (2 + 1) = 2
        (("taxi 1", "taxi 1"), "identical sides"),
        (("ein\tHund", "a dog"), None),
        (("ein\x07 Hund", "a dog"), "control characters"),
        (("ein Hund", "a d\ufffdg"), "control characters"),
        (("ein Hund\u0085", "a dog"), "control characters"),
    ],
)
def test_each_reason(pair, reason):
    report = CleaningReport()
    kept = list(clean_pairs([pair], CONFIG, report))
    assert bool(kept) == (reason is None)
    assert dict(report.dropped) == ({} if reason is None else {reason: 1})
    assert (report.read, report.kept) == (1, len(kept))


def test_length_ratio():
    report = CleaningReport()
    config = CONFIG.model_copy(update={"min_words": 1})
    assert not list(clean_pairs([("a b c d e", "a")], config, report))
    assert report.dropped == {"length ratio": 1}


def test_options_that_are_off_drop_nothing():
    config = CleaningConfig(drop_identical=False, drop_control=False)
    pairs = [("same", "same"), ("bell\x07", "bell")]
    assert list(clean_pairs(pairs, config, CleaningReport())) == pairs


def test_white_space_is_normalised():
    kept = list(clean_pairs([("  ein\u00a0\u2028 Hund ", "a\t\tdog")], CONFIG, CleaningReport()))
    assert kept == [("ein Hund", "a dog")]


def test_report_round_trip_and_text():
    report = CleaningReport(read=10)
    report.dropped.update({"too long": 2, "duplicate": 5})
    assert CleaningReport.from_json(json.loads(json.dumps(report.to_json())), "cleaning.json") == report
    assert str(report).splitlines() == ["10 pairs read, 3 kept", "  5 dropped: duplicate", "  2 dropped: too long"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab c"), st.sampled_from(["x", "y", "x\n"])), max_size=60))
def test_duplicates_against_a_set(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("hashes")
    with DuplicateFinder(folder) as finder:
        for pair in pairs:
            finder.add(*pair)
        first = finder.first_occurrences().tolist()
    seen: set[tuple[str, str]] = set()
    expected = [pair not in seen and not seen.add(pair) for pair in pairs]
    assert first == expected
    assert not list(folder.glob("hashes.*"))


def test_the_border_between_the_sides_counts(tmp_path):
    with DuplicateFinder(tmp_path) as finder:
        finder.add("ab", "c")
        finder.add("a", "bc")
        assert finder.first_occurrences().tolist() == [True, True]
