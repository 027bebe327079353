"""English word forms: plurals, articles, verb endings."""

from __future__ import annotations

import re

DOUBLING = {
    "run",
    "swim",
    "get",
    "put",
    "win",
    "sit",
    "cut",
    "forget",
    "begin",
    "hit",
    "let",
    "set",
    "stop",
    "plan",
    "hug",
    "travel",
    "cancel",
    "admit",
}
BE = {"present": {"I": "am", "he": "is", "they": "are"}, "past": {"I": "was", "he": "was", "they": "were"}}


def plural_of(noun: str) -> str:
    """Return the regular plural."""
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    if re.search(r"(s|x|z|ch|sh|tato|mato)$", noun):
        return noun + "es"
    return noun + "s"


def article(following: str) -> str:
    """Return a or an, whichever the following words need."""
    if re.match(r"(?i)(hour|honest|heir|8|11\b|18\b)", following):
        return "an"
    return "a" if re.match(r"(?i)([^aeiou]|uni|use|usu|euro|one\b)", following) else "an"


def third_person(verb: str) -> str:
    """Return the -s form."""
    return {"have": "has", "be": "is", "do": "does", "go": "goes"}.get(verb) or plural_of(verb)


def regular_past(verb: str) -> str:
    """Return the -ed form."""
    if verb.endswith("e"):
        return verb + "d"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in DOUBLING else "") + "ed"


def gerund(verb: str) -> str:
    """Return the -ing form."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith("ee") and verb != "be":
        return verb[:-1] + "ing"
    return verb + (verb[-1] if verb in DOUBLING else "") + "ing"


def be_form(tense: str, person: str) -> str:
    """Return am, is, are, was or were for a subject pronoun."""
    key = person if person == "I" else ("he" if person in ("he", "she", "it") else "they")
    return BE[tense][key]


def possessive(name: str) -> str:
    """Return the 's form."""
    return name + ("'" if name.endswith("s") else "'s")
