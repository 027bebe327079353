"""Tags in translations: where a person would put them, and each exactly once whatever the alignment says."""

import random
from collections import Counter

import numpy as np
import pytest

from nmt_rl.documents.placement import place
from nmt_rl.documents.segment import build
from nmt_rl.documents.tokens import TAG, line_tokens, name_of


def placed(source, translation, pairs):
    """`pairs` says at which word of the source each word of the translation looks."""
    segment = build(list(line_tokens(source)))
    weights = np.zeros((len(translation.split()), len(segment.text.split())))
    weights[np.arange(len(pairs)), pairs] = 1.0
    return place(segment, translation, weights)


@pytest.mark.parametrize(
    ("source", "translation", "pairs", "expected"),
    [
        # An element goes where its words went.
        ("the <b>red</b> house", "la maison rouge", [0, 2, 1], "la maison <b>rouge</b>"),
        ("a <b>very old</b> dog", "ein sehr alter Hund", [0, 1, 2, 3], "ein <b>sehr alter</b> Hund"),
        # One in another one, and two beside each other that change places.
        (
            "<i>the <b>red</b> house</i> burns",
            "la maison rouge brûle",
            [0, 2, 1, 3],
            "<i>la maison <b>rouge</b></i> brûle",
        ),
        ("<b>red</b> <i>house</i>", "maison rouge", [1, 0], "<i>maison</i> <b>rouge</b>"),
        # Of words that are torn apart, with one between them; or with too many.
        ("he <b>gives up</b> now", "er gibt jetzt auf", [0, 1, 3, 2], "er <b>gibt jetzt auf</b>"),
        ("he <b>gives up</b> all now", "er gibt jetzt alles auf", [0, 1, 4, 3, 2], "er <b>gibt</b> jetzt alles auf"),
        # Marks of punctuation outside stay outside.
        ("go to <a>the shop</a>.", "geh zum Laden.", [0, 2, 3], "geh <a>zum Laden</a>."),
        # Nothing looks at it: an element around nothing, behind the translation of what stood before it.
        ("yes <b>indeed</b> sir", "ja Herr", [0, 2], "ja<b></b> Herr"),
        # Between words: behind the word that stood before; glued to what it was glued to.
        ("one<br/>two", "eins zwei", [0, 1], "eins<br/> zwei"),
        ("one <br/> two three", "eins zwei drei", [0, 1, 2], "eins <br/> zwei drei"),
        ("<img/> look", "schau", [0], "<img/> schau"),
        # Without a partner.
        ("stay </b> here <i>", "bleib hier", [0, 1], "bleib </b> hier <i>"),
    ],
)
def test_by_hand(source, translation, pairs, expected):
    assert placed(source, translation, pairs) == expected


def test_what_is_kept_is_found_or_put_back():
    """A placeholder stays where the translation has it; one that it lost comes back at its place."""
    assert placed("copy %s now", "jetzt %s kopieren", [2, 1, 0]) == "jetzt %s kopieren"
    assert placed("copy %s now", "kopiere jetzt", [0, 2]) == "kopiere %s jetzt"
    assert placed("{a} and {b}", "{b} und", [2, 1]) == "{a} {b} und"
    assert placed("see https://x.org/a?b=1, please", "bitte siehe https://x.org/a?b=1", [2, 0, 1]).count("https") == 1


def test_no_alignment_is_taken_for_the_diagonal():
    segment = build(list(line_tokens("the <b>red</b> house")))
    assert place(segment, "das rote Haus", np.zeros((0, 0))) == "das <b>rote</b> Haus"
    assert place(segment, "", np.zeros((0, 3))) == "<b></b>"


WORDS = ["alpha", "beta", "gamma,", "delta.", "(epsilon)", "zeta-eta", "theta's", "100%"]
WORDS += ["&amp;", "{name}", "%s", "https://x.org/y"]


def generated(draw, depth=0):
    """Words and tags, properly nested or not."""
    out = []
    for _ in range(draw.randint(1, 5)):
        kind = draw.random()
        if kind < 0.25 and depth < 3:
            name = draw.choice("abi")
            out.append(f'<{name} id="{draw.random()}">{generated(draw, depth + 1)}</{name}>')
        elif kind < 0.35:
            out.append(draw.choice(["<br/>", "<!-- a > b -->", "</b>", "<i>", '<img alt="<x>"/>']))
        else:
            out.append(draw.choice(WORDS))
        out.append(draw.choice(["", " ", " ", " "]))
    return "".join(out)


def test_no_tag_is_lost_doubled_or_wrongly_nested_whatever_the_translation():
    draw, rng = random.Random(1), np.random.default_rng(1)
    changed = 0
    for _ in range(2000):
        source = generated(draw)
        segment = build(list(line_tokens(source)))
        words = [draw.choice(WORDS) for _ in range(draw.randint(0, 8))]
        weights = rng.random((len(words), len(segment.text.split())))
        found = place(segment, " ".join(words), weights)
        assert Counter(TAG.findall(found)) == Counter(TAG.findall(source)), (source, words, found)
        assert _partners(found) >= _partners(source), (source, words, found)
        for raw, count in Counter(token.raw for token in line_tokens(source) if token.kind == "kept").items():
            assert found.count(raw) >= count, (source, words, found)
        changed += TAG.findall(found) != TAG.findall(source)
    assert changed > 200, "tags move, or nothing was tested"


def _partners(text):
    """Pairs of tags that belong together."""
    pairs, stack = Counter(), []
    for raw in TAG.findall(text):
        if raw.endswith("/>") or not name_of(raw):
            continue
        if not raw.startswith("</"):
            stack.append(raw)
        elif name_of(raw) in [name_of(each) for each in stack]:
            while name_of(stack[-1]) != name_of(raw):
                stack.pop()
            pairs[stack.pop(), raw] += 1
    return pairs
