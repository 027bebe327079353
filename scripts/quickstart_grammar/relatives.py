"""Relative clauses: nominative, accusative, dative, prepositional and genitive (whose, dessen)."""

from __future__ import annotations

from dataclasses import replace

from quickstart_grammar import german
from quickstart_grammar.adjectives import ADJECTIVES
from quickstart_grammar.clauses import Clauses
from quickstart_grammar.phrases import NP, Determiner, noun_phrase
from quickstart_grammar.render import Clause, english
from quickstart_grammar.render import german as german_clause
from quickstart_grammar.verbs import VERBS, Slot

OWNABLE = {
    "person": ("kin", "vehicle", "text", "animal"),
    "kin": ("animal", "vehicle"),
    "building": ("=roof",),
    "animal": ("=owner",),
}


def attach(clauses: Clauses, np: NP) -> NP | None:
    """Return the phrase with a relative clause, or None where none fits."""
    if np.noun is None or np.is_pronoun or (np.kind == "kin" and not np.plural and clauses.dice.chance(0.5)):
        return None
    kind = clauses.dice.weighted(((5, _subject), (6, _object), (2, _whose)))
    made = kind(clauses, np)
    return np.with_clause(f" {made[0]}", f" , {made[1]} ,") if made else None


def _who(np: NP, clauses: Clauses) -> str:
    return "who" if np.kind in ("person", "kin") else clauses.dice.pick(("which", "that"))


def _subject(clauses: Clauses, np: NP) -> tuple[str, str] | None:
    kind = np.kind
    bare = replace(np, is_pronoun=False)
    if kind in ("person", "kin") or [v for v in VERBS if kind in v.subject]:
        c = clauses.clause(subject=bare)
    elif kind in ADJECTIVES:
        c = clauses.clause(core=clauses.scenes.quality(bare), tense=clauses.dice.pick(("present", "past")), plain=True)
    else:
        return None
    c = c.without(c.adverb("sentence"))
    pronoun = german.relative_pronoun(0, np.column)
    return f"{_who(np, clauses)} {english(c, 'bare')}", f"{pronoun} {german_clause(c, 'last', subject=False)}"


def _fits(slot: Slot, np: NP) -> bool:
    named = [n for k in slot.kinds if k.startswith("=") for n in k[1:].split(",")]
    return np.kind in slot.kinds or (np.noun is not None and np.noun.en.replace(" ", "_") in named)


def _object(clauses: Clauses, np: NP) -> tuple[str, str] | None:
    options = [(v, s) for v in VERBS for s in v.slots if _fits(s, np)]
    if not options:
        return None
    verb, slot = clauses.dice.pick(options)
    subject = clauses.phrases.subject(verb.subject)
    others = [(s.key, clauses.fill(s, subject)) for s in verb.slots if s is not slot]
    core = Clause(subject, verb, ((slot.key, np), *others))
    c = clauses.clause(
        core=core, subject=subject, tense=clauses.dice.pick(("past", "past", "perfect", "present", "future"))
    )
    c = replace(c.without(c.adverb("sentence")), negated=False)
    c = c.without(c.adverb("yet"))
    case = {"a": 1, "d": 2}.get(slot.key, slot.case)
    pronoun = german.relative_pronoun(case, np.column)
    german_start = f"{slot.preposition} {pronoun}" if slot.key == "p" else pronoun
    return _gapped(clauses, np, c, slot, german_start)


def _gapped(clauses: Clauses, np: NP, c: Clause, slot: Slot, start: str) -> tuple[str, str]:
    text = english(c, gap=slot.key)
    stranded = {"p": c.verb.pattern.split("{p}")[0].strip().split(" ")[-1]}.get(slot.key, "")
    which = "whom" if np.kind in ("person", "kin") else "which"
    word = clauses.dice.pick(("that", "" if c.subject.is_pronoun else "that", which))
    if (
        slot.key == "p"
        and f" {stranded} " in f" {text} "
        and clauses.dice.chance(0.3)
        and not c.verb.pattern.startswith(("take", "part"))
    ):
        before, _, after = f" {text} ".rpartition(f" {stranded} ")
        word = f"{stranded} {which}"
        text = f"{before} {after}"
    return " ".join(f"{word} {text}".split()), f"{start} {german_clause(c, 'last', gap=slot.key)}"


def _whose(clauses: Clauses, np: NP) -> tuple[str, str] | None:
    if np.kind not in ("person", "kin"):
        return None
    word = german.relative_pronoun(3, np.column)
    kind = clauses.dice.pick(OWNABLE[np.kind])
    noun = clauses.phrases.noun((kind,))
    plural = not noun.mass and clauses.dice.chance(0.2)
    owned = noun_phrase(Determiner("whose", word, "fixed"), clauses.phrases.adjectives(noun.kind, 0.2), noun, plural)
    if kind in ("vehicle", "text"):
        verb = clauses.dice.pick(
            [
                v
                for v in VERBS
                if v.slots and kind in v.slots[0].kinds and len(v.slots) == 1 and v.slots[0].key == "a" and not v.state
            ]
        )
        if "{r}" in verb.pattern:
            return None
        tense = clauses.dice.pick(("past", "perfect"))
        c = Clause(owned, verb, tense=tense, passive=True)
    else:
        c = clauses.clause(subject=owned, plain=True)
    return english(c), german_clause(c, "last")
