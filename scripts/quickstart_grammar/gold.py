"""Links of words that the grammar's lexicon is sure of: nouns, compounds and adjectives of a pair of sentences."""

from __future__ import annotations

import functools
import itertools
import re
from collections import defaultdict

from quickstart_grammar.adjectives import ADJECTIVES, ORIGINS, STATE_ADJECTIVES, Adjective
from quickstart_grammar.compounds import compound, compound_groups
from quickstart_grammar.nouns import NOUNS, RELATIONAL_NOUNS, Noun

Link = tuple[int, int]
ENDINGS = ("", "e", "en", "em", "er", "es")
LONGEST = 4
"""Words of an English entry."""


def _forms(noun: Noun) -> set[str]:
    return {noun.declined(case, plural) for case in range(4) for plural in (False, *([] if noun.mass else [True]))}


def _nouns() -> set[Noun]:
    simple = {noun for nouns in NOUNS.values() for noun in nouns} | set(RELATIONAL_NOUNS)
    made = {
        compound(modifier, head)
        for kind in NOUNS
        for modifiers, heads in compound_groups(kind)
        for modifier in modifiers
        for head in heads
    }
    return simple | {noun for noun in made if noun is not None}


@functools.cache
def lexicon() -> dict[str, set[str]]:
    """German forms, in small letters, of English nouns, compounds and adjectives, in small letters."""
    found: dict[str, set[str]] = defaultdict(set)
    for noun in _nouns():
        genders = [noun, *([noun.as_feminine()] if noun.feminine else [])]
        forms = {form.lower() for one in genders for form in _forms(one)}
        for english in (noun.en, noun.en_plural):
            found[english.lower()] |= forms
    adjectives: set[Adjective] = {*itertools.chain(*ADJECTIVES.values()), *ORIGINS, *STATE_ADJECTIVES}
    for one in adjectives:
        stems = {one.de, one.stem, one.stem.removesuffix("e")}
        found[one.en.lower()] |= {(stem + ending).lower() for stem in stems for ending in ENDINGS}
    return found


def sure_links(english: str, german: str) -> set[Link]:
    """Links of words between blanks, from 0: of every entry of the lexicon that the English sentence has, whose German
    is one word of the German sentence, that no other entry could be."""
    sides = [[re.sub(r"\W+$", "", word).lower() for word in text.split()] for text in (english, german)]
    spans, start = [], 0
    while start < len(sides[0]):
        longest = min(LONGEST, len(sides[0]) - start)
        size = next((n for n in range(longest, 0, -1) if " ".join(sides[0][start : start + n]) in lexicon()), 0)
        if size:
            forms = lexicon()[" ".join(sides[0][start : start + size])]
            spans.append((range(start, start + size), [j for j, word in enumerate(sides[1]) if word in forms]))
        start += max(size, 1)
    claims = [j for _, places in spans for j in places]
    return {(i, places[0]) for span, places in spans if len(places) == 1 and claims.count(places[0]) == 1 for i in span}
