"""What a page says of a system's gains."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "explain_gains.py"
explain = runpy.run_path(str(SCRIPT))


def only_change(before: str, after: str):
    [change] = explain["changes"]([before.split()], [after.split()])
    return change


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("a man sits .", "a man is sitting .", "longer wording"),
        ("a man is sitting .", "a man sits .", "shorter wording"),
        ("a man sits .", "the man sits .", "articles"),
        ("a man sits .", "a dog sits .", "one word for another"),
        ("a Man sits .", "a man sits .", "capitals"),
        ("a man sits", "a man sits .", "punctuation"),
        ("a man sits .", "a man sits down .", "words added at the end"),
        ("a man sits down .", "a man sits .", "words left out at the end"),
        ("a man sits .", "a young man sits .", "words added"),
        ("two tall men sit .", "three small men sit .", "other wording"),
    ],
)
def test_changes_have_kinds(before: str, after: str, kind: str) -> None:
    assert only_change(before, after).kind == kind


def test_credits_add_up_to_what_is_gained() -> None:
    baseline, output = [["a", "b", "c", "d"], ["e"]], [["x", "b", "c", "y"], ["e"]]
    found = explain["credited"](list(explain["changes"](baseline, output)), [3.0, 0.0])
    assert [credit for _, credit in found] == [1.5, 1.5]
    table = explain["by_kind"](found, [3.0, 0.0], lines=2)
    assert table == {"one word for another": {"changes": 2, "better": 1, "worse": 0, "credit": 1.5}}


def test_a_page_is_the_mean_over_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "source": "ein mann sitzt .\nein hund .\n",
        "reference": "a man is sitting on it .\na dog .\n",
        "baseline": "a man sits on it .\na dog .\n",
        "first": "a man is sitting on it .\na dog .\n",
        "second": "a man sits on it .\na dog .\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    page = tmp_path / "page.md"
    monkeypatch.setattr(
        sys, "argv", ["explain", *(str(tmp_path / name) for name in texts), "--language", "en", "-o", str(page)]
    )
    explain["main"]()
    told = json.loads(page.with_suffix(".json").read_text())
    assert told["kinds"]["longer wording"]["changes"] == 0.5
    assert told["kinds"]["longer wording"]["credit"] == pytest.approx(told["sentence_bleu"])
    assert "| sits | is sitting | 1 | 1 | 0 |" in page.read_text()
