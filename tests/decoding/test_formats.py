"""Text and JSON, in and out."""

import io
import json
import math

import numpy as np
import pytest

from nmt_rl.decoding.alignment import Alignment
from nmt_rl.decoding.files import translate_stream
from nmt_rl.decoding.formats import Format, Item, json_items
from nmt_rl.decoding.translator import BLANK, Hypothesis, Translation
from nmt_rl.errors import UserError

BEST = Hypothesis("ein Hund", -0.5, ("▁ein", "▁Hund"), -1.5, 3)
NEXT = Hypothesis("der | Hund ||| ja", -0.75, ("▁der",), -1.5, 2)
FOUND = [Translation("ein Hund", -0.5, (BEST, NEXT)), BLANK]
ITEMS = [Item("a dog", {"id": 7}), Item("", {})]
ALIGNED = [
    Alignment(("a", "dog"), ("ein", "Hund"), np.eye(2, dtype="float32")),
    Alignment(("a", "dog"), ("der",), np.array([[0.25, 0.75]], "float32")),
    Alignment((), (), np.zeros((0, 0), "float32")),
]


def written(alignments=(), first=0, **options):
    return list(Format(**options).lines(ITEMS, FOUND, alignments, first))


def test_text_scores_pieces_and_lists():
    assert written() == ["ein Hund", ""]
    assert written(scores=True) == [f"ein Hund\t-0.5000\t{math.exp(-0.5):.4f}", "\t0.0000\t1.0000"]
    assert written(pieces=True) == ["▁ein ▁Hund", ""]
    lists = written(nbest=2, first=4)
    assert lists == ["4 ||| ein Hund ||| -0.5000", "4 ||| der | Hund ||| ja ||| -0.7500", "5 |||  ||| 0.0000"]
    assert written(ALIGNED, nbest=2, alignment="pharaoh")[1] == "0 ||| der | Hund ||| ja ||| -0.7500 ||| 1-0"


def test_json_holds_what_is_asked_for_and_gives_other_keys_back():
    one, blank = map(json.loads, written(json=True))
    assert one == {"id": 7, "text": "ein Hund", "score": -0.5, "confidence": round(math.exp(-0.5), 6)}
    assert blank == {"text": "", "score": 0.0, "confidence": 1.0}
    one, blank = map(json.loads, written(ALIGNED, json=True, nbest=2, alignment="matrix", pieces=True))
    assert [best["text"] for best in one["nbest"]] == ["ein Hund", "der | Hund ||| ja"]
    assert one["nbest"][1]["alignment"]["weights"] == [[0.25, 0.75]] and one["pieces"] == ["▁ein", "▁Hund"]
    assert blank["nbest"][0]["alignment"] == {"source": [], "target": [], "weights": []}


def test_lines_of_json_are_strings_or_objects():
    lines = ['"a dog"', '{"id": 7, "text": "a\\ndog", "x": [1]}', "", "  "]
    assert list(json_items(lines, "in")) == [
        Item("a dog", {}), Item("a\ndog", {"id": 7, "x": [1]}), Item("", {}), Item("", {})
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a dog", "is not JSON: Expecting value"),
        ('{"text": 3}', "should be a string or hold one"),
        ("[1]", "should be a string"),
        ("null", "should be a string"),
        ('{"id": 1}', "should be a string or hold one"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "too large"),
    ],
)
def test_a_line_that_is_none_is_named(line, why):
    with pytest.raises(UserError, match=f"in line 2 .*{why}"):
        list(json_items(['"fine"', line], "in"))


def test_json_goes_through_a_translator(translator):
    sink = io.BytesIO()
    source = b'{"id": 1, "text": "Hund \\ud83d"}\n\n{"text": "ein\\tHund"}\n'
    assert translate_stream(translator, io.BytesIO(source), sink, Format(json=True, nbest=2), is_json=True) == 3
    one, blank, other = map(json.loads, sink.getvalue().splitlines())
    assert one["id"] == 1 and 0 < one["confidence"] < 1 and blank["text"] == ""
    assert other["text"] == translator.translate(["ein Hund"])[0].text
