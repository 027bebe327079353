"""The page of what a model looks at: its numbers are those given, and no text becomes markup."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nmt_rl.evaluation.heatmaps import heat_cell, heat_table, time_pictures
from nmt_rl.evaluation.insight_page import render_insights
from nmt_rl.evaluation.insights import Alternative, HeatMap, Insights, Neighbour, Sentence, Step

NASTY = "<b>&\"'</b>"
VOID = {"meta"}


class Page(HTMLParser):
    """Tags, attributes and text; every element that was opened must be closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def insights(**changes):
    """One sentence with everything in it."""
    best = (Alternative("▁dog", 0.75, 0.5, 0.125), Alternative(NASTY, 0.125, 0.625, 0.25))
    near = (Neighbour(12, "▁dog", 1.5, 0.25), Neighbour(40, NASTY, 3.0, 0.125))
    steps = (Step(best[0], best, 0.375, near), Step(Alternative("</s>", 0.5, 0.1, -0.0625), best, 0.25))
    rows, columns = ("▁dog", "</s>"), (NASTY, "▁hund", "</s>")
    attention = HeatMap("attention", np.array([[[0.25, 0.75, 0], [0, 0, 1]]]), rows, columns)
    heads = (HeatMap(NASTY, np.array([[[0.5, 0.5], [1, 0]], [[1, 0], [0, 1]]]), rows, rows),)
    memory = (HeatMap("read", np.eye(5)[None, :, :4], columns + rows, ("0", "1", "2", "3"), 3),)
    pairs = ((12, NASTY, "the dog"), (40, "das", NASTY))
    sentence = Sentence(3, NASTY, f"dog {NASTY}", steps, attention, heads, memory, pairs)
    sentence = dataclasses.replace(sentence, **changes)
    return Insights(NASTY, (NASTY, "en"), NASTY, "Q of heads.", (sentence,))


def test_no_text_becomes_markup_and_the_page_loads_nothing():
    html = render_insights(insights())
    page = Page(html)
    assert not {"b", "script", "link", "img", "iframe"} & set(page.tags) and "<b>" not in html
    assert page.text.count(NASTY) > 10
    assert not {name for name, _ in page.attributes} & {"src", "href", "onload", "onclick"}
    assert {value for name, value in page.attributes if name == "xmlns"} == {"http://www.w3.org/2000/svg"}
    assert "url(" not in html and "@import" not in html


def test_cells_hold_what_was_given():
    html = render_insights(insights())
    page = Page(html)
    for expected in (
        "log-probability -0.98",
        "of 0.612",
        "Q 0.5000",
        "A +0.1250",
        "A +0.2500 ▲",
        "A -0.0625",
        "0.3750",
    ):
        assert expected in page.text, expected
    colours = [value for name, value in page.attributes if name == "style"]
    assert colours[:3] == ["--w:25%", "--w:75%", "--w:100%"]  # Attention; what is 0 has none.
    assert '--w:38%">38</td>' in html  # Both neighbours together: a quarter and an eighth of what is said.


def test_without_q_and_memory_they_are_not_spoken_of():
    steps = (Step(Alternative("</s>", 1.0), (Alternative("</s>", 1.0),)),)
    text = Page(render_insights(insights(steps=steps, attention=None, heads=(), memory=(), pairs=()))).text
    body = text.partition("Line 3")[2]
    assert not [word for word in ("Attention", "Memory", "memory", "remembered", "▲\n", "A +") if word in body]


def test_a_page_without_sentences_says_so():
    assert "There is no line with text." in Page(render_insights(Insights("m", ("de", "en"), "", "", ()))).text


def test_weights_that_round_to_nothing_are_left_blank():
    assert heat_cell(0.0049) == "<td></td>" and ">1<" in heat_cell(0.0051)
    assert "--w:100%" in heat_cell(1.0000001)
    assert heat_table(np.eye(2), ["a", "b"], ["c", "d"]).count('class="w"') == 2


@pytest.mark.parametrize("slots", [4, 40])
def test_a_memory_over_time(slots):
    """Time to the right: cell n of a diagonal is in row n and column n; many slots are not all numbered."""
    found = HeatMap("read", np.eye(5, slots)[None], tuple("abcde"), tuple(map(str, range(slots))), 3)
    html = time_pictures(found)
    places = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"', html)
    assert places == [(f"{14 * n}", f"{14 * n}") for n in range(min(5, slots))]
    assert '<line class="end" x1="42"' in html and "a · " not in html and "0 · a: 1.00" in html
    assert 4 <= html.count('text-anchor="end"') - html.count('text-anchor="end"></text>') <= 16
