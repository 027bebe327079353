import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_rl.config import CleaningConfig
from nmt_rl.corpus.cleaning import CleaningReport, DuplicateFinder, clean_pairs
from nmt_rl.errors import UserError

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
        (("ein Hund", "a d\ufffdg"), "not UTF-8 (U+FFFD)"),
        (("ein Hund\x07", "a d\ufffdg"), "not UTF-8 (U+FFFD)"),
        (("一二三四五六七八九十", "a b c d e"), None),  # ten characters are five words
        (("一二三四五六七八九十一", "a b c d e"), "too long"),
        (("你好", "a b"), "too short"),
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


PARALLEL = [
    ("我昨天在学校的图书馆里看了三个小时的书。", "I read books in the school library for three hours yesterday."),
    ("你好！", "Hello!"),
    ("请问，去火车站怎么走？", "Excuse me, how do I get to the railway station?"),
    ("私は昨日、図書館で三時間本を読みました。", "I read books in the library for three hours yesterday."),
    ("ありがとうございます。", "Thank you."),
    ("เมื่อวานนี้ฉันอ่านหนังสือในห้องสมุดเป็นเวลาสามชั่วโมง", "I read books in the library for three hours yesterday."),
    ("ขอบคุณ", "Thanks."),
    ("ខ្ញុំបានអានសៀវភៅនៅក្នុងបណ្ណាល័យកាលពីម្សិលមិញ", "I read books in the library yesterday."),
    ("မနေ့က ကျွန်တော် စာကြည့်တိုက်မှာ စာအုပ်ဖတ်ခဲ့တယ်။", "I read books in the library yesterday."),
    ("나는 어제 도서관에서 세 시간 동안 책을 읽었다.", "I read books in the library for three hours yesterday."),
]


def test_translations_pass_by_default_whatever_the_script():
    report = CleaningReport()
    both = PARALLEL + [(target, source) for source, target in PARALLEL]
    assert list(clean_pairs(both, CleaningConfig(), report)) == both


def test_long_and_lopsided_lines_are_dropped_in_every_script():
    report = CleaningReport()
    pairs = [("长" * 351, "word " * 175), ("ย" * 526, "word " * 175), ("好" * 20, "good"), ("good", "คน" * 12)]
    assert not list(clean_pairs(pairs, CleaningConfig(), report))
    assert report.dropped == {"too long": 2, "length ratio": 2}


def test_options_that_are_off_drop_nothing():
    config = CleaningConfig(drop_identical=False, drop_control=False)
    pairs = [("same", "same"), ("bell\x07", "bell")]
    assert list(clean_pairs(pairs, config, CleaningReport())) == pairs


def test_white_space_is_normalised():
    kept = list(clean_pairs([("  ein\u00a0\u2028 Hund ", "a\t\tdog")], CONFIG, CleaningReport()))
    assert kept == [("ein Hund", "a dog")]


def test_an_error_is_told_with_the_drops_if_there_were_any():
    for report, expected in [
        (CleaningReport(read=4), "no"),
        (CleaningReport(4, Counter({"too long": 1})), "no; cleaning kept 3 of 4 training pairs (dropped: too long 1;"),
        (CleaningReport(4, Counter({"too long": 3})), "cleaning kept 1 of 4 training pairs (dropped: too long 3;"),
    ]:
        with pytest.raises(UserError) as caught, report.told():
            raise UserError("no")
        assert str(caught.value).startswith(expected)


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
