"""Whole documents: what is translated of them, and that all else stays as it is."""

import random
from collections import Counter

import numpy as np
import pytest

from nmt_rl.decoding.alignment import Alignment
from nmt_rl.decoding.translator import Hypothesis, Translation
from nmt_rl.documents.formats import read_document
from nmt_rl.documents.segment import Segment
from nmt_rl.documents.tokens import TAG
from nmt_rl.documents.translation import translate_document


class Backwards:
    """Translates word by word into capitals, the last word first; loses and invents what it is told to."""

    def __init__(self, lost="", invented=""):
        self.lost, self.invented, self.seen = lost, invented, []

    def words(self, line):
        return [word for word in line.split() if word != self.lost]

    def translate(self, lines):
        self.seen += lines
        texts = [
            " ".join([*(w.upper() if w.isalpha() else w for w in self.words(x)[::-1]), self.invented]) for x in lines
        ]
        return [Translation(text.strip(), 0.0, (Hypothesis(text.strip(), 0.0),)) for text in texts]

    def alignments(self, lines, found):
        for line, each in zip(lines, found, strict=True):
            source, target = line.split(), each.text.split()
            places = [i for i, word in enumerate(source) if word != self.lost][::-1]
            weights = np.zeros((len(target), len(source)))
            weights[np.arange(len(places)), places] = 1.0
            yield Alignment(tuple(source), tuple(target), weights)


def translated(text, markup, **options):
    return translate_document(Backwards(**options), text, markup)


HTML = """<!DOCTYPE html>
<html><head><title>my page</title><style>b { color: red }</style></head>
<body class="x">
  <h1>the <em class="a">big</em> dog</h1>
  <p>fish &amp; chips
     are <a href="x?a=1&amp;b=2">very good</a><br>really</p><!-- a comment -->
  <ul><li>one</li><li><code>ls -l</code> shows files</li><li>42</li></ul>
  <p translate="no">as it is</p><pre>left   alone</pre>
  <p>the <span class="notranslate">Brand New</span> car</p>
  <script>if (a < b) { say("no") }</script>
</body></html>
"""
TRANSLATED = """<!DOCTYPE html>
<html><head><title>PAGE MY</title><style>b { color: red }</style></head>
<body class="x">
  <h1>DOG <em class="a">BIG</em> THE</h1>
  <p>REALLY <a href="x?a=1&amp;b=2">GOOD VERY</a><br> ARE CHIPS &amp; FISH</p><!-- a comment -->
  <ul><li>ONE</li><li>FILES SHOWS -l LS</li><li>42</li></ul>
  <p translate="no">as it is</p><pre>left   alone</pre>
  <p>CAR NEW BRAND THE</p>
  <script>if (a < b) { say("no") }</script>
</body></html>
"""


def test_a_page():
    """Code and brands that the translation changes come back as they were, beside what it made of them."""
    found = translated(HTML, "html")
    for mine, expected in zip(found.splitlines(), TRANSLATED.splitlines(), strict=True):
        if "code" not in mine and "notranslate" not in mine:
            assert mine == expected
    assert "<code>ls -l</code>" in found and '<span class="notranslate">Brand New</span>' in found


XLIFF = """<?xml version="1.0"?>
<xliff version="1.2"><file source-language="en" target-language="de"><body>
<trans-unit id="1"><source>open the <g id="1">big file</g> &lt;now&gt;</source></trans-unit>
<trans-unit id="2"><source>done</source><target state="final">fertig</target></trans-unit>
<trans-unit id="3"><source>save<x id="2"/> it</source>
  <target state="new"/></trans-unit>
<trans-unit id="4" translate="no"><source>left alone</source></trans-unit>
<trans-unit id="5"><source>a <ph id="1">{0,number}</ph> b c</source><target></target></trans-unit>
</body></file></xliff>
"""


def test_xliff_gets_the_targets_that_it_lacks():
    found = translated(XLIFF, "xliff").splitlines()
    given = XLIFF.splitlines()
    assert found[2] == (
        '<trans-unit id="1"><source>open the <g id="1">big file</g> &lt;now&gt;</source>'
        '<target>&lt;now&gt; <g id="1">FILE BIG</g> THE OPEN</target></trans-unit>'
    )
    assert found[3] == given[3] and found[6] == given[6]
    assert found[4:6] == [given[4], '  <target state="new">IT SAVE<x id="2"/></target></trans-unit>']
    assert '<target>C B <ph id="1">{0,number}</ph> A</target>' in found[7] or '<ph id="1">{0,number}</ph>' in found[7]


def test_lines_with_placeholders():
    text = "copy %s to {folder}\n\nsee https://x.org/a.\nno <b>end\n  42 %\n"
    found = translated(text, "placeholders").splitlines()
    assert found[0] == "{folder} TO %s COPY" and found[1] == "" and found[4] == "  42 %"
    assert "https://x.org/a" in found[2] and found[3] == "<b>END NO"
    lost = translated("copy %s now\n", "placeholders", lost="%s", invented="%d")
    assert lost == "NOW COPY %s\n" or lost == "NOW %s COPY\n", "put back, and what was invented is gone"


def test_reading_loses_nothing():
    for text, markup in ((HTML, "html"), ("a\r\nb <b>c</b> %s\n\n  d", "placeholders")):
        parts = read_document(text, markup).parts
        assert sum(isinstance(part, Segment) for part in parts) > 1
        again = translate_document(Same(), text, markup)
        assert " ".join(again.split()) == " ".join(text.replace("<br>really", "<br> really").split())


class Same(Backwards):
    """Translates into the same."""

    def words(self, line):
        return line.split()[::-1]

    def translate(self, lines):
        return [Translation(line, 0.0, (Hypothesis(line, 0.0),)) for line in lines]

    def alignments(self, lines, found):
        for line in lines:
            words = tuple(line.split())
            yield Alignment(words, words, np.eye(len(words)))


def paragraph(draw, depth=0):
    parts = []
    for _ in range(draw.randint(1, 6)):
        kind = draw.random()
        if kind < 0.3 and depth < 3:
            name = draw.choice(["a", "b", "em", "span", "code"])
            parts.append(f"<{name} id='{draw.randint(0, 99)}'>{paragraph(draw, depth + 1)}</{name}>")
        elif kind < 0.4:
            parts.append(draw.choice(["<br>", "<img src='a>b'>", "<!-- c -->", "&nbsp;", "&lt;b&gt;"]))
        else:
            parts.append(draw.choice(["alpha", "beta,", "(gamma)", "5 < 6", "{name}", "delta."]))
    return draw.choice([" ", ""]).join(parts)


def test_of_1000_documents_no_tag_is_lost_doubled_or_wrongly_nested():
    draw = random.Random(3)
    for _ in range(1000):
        blocks = [f"<p class='{i}'>{paragraph(draw)}</p>" for i in range(draw.randint(1, 4))]
        text = f"<html><body>\n{' '.join(blocks)}\n</body></html>"
        found = translated(text, "html")
        assert Counter(TAG.findall(found)) == Counter(TAG.findall(text)), (text, found)
        assert nested(found), found
        assert found.count("{name}") >= text.count("{name}"), (text, found)


def nested(text):
    stack = []
    for tag in TAG.findall(text):
        name = tag.strip("</>").split()[0]
        if tag.startswith("</"):
            if not stack or stack.pop() != name:
                return False
        elif name not in ("br", "img") and not tag.startswith("<!"):
            stack.append(name)
    return not stack


@pytest.mark.parametrize("markup", ["html", "placeholders", "xliff"])
def test_what_is_no_text_is_not_translated(markup):
    translator = Backwards()
    assert translate_document(translator, "<p>  42 &nbsp; %s </p>\n", markup) == "<p>  42 &nbsp; %s </p>\n"
    assert translator.seen == []
