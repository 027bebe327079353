"""Questions and commands."""

from __future__ import annotations

from dataclasses import replace

from quickstart_grammar.clauses import Clauses
from quickstart_grammar.dice import Dice
from quickstart_grammar.nouns import NOUNS
from quickstart_grammar.phrases import NP, Determiner, noun_phrase, pronoun
from quickstart_grammar.render import Clause, english, german, imperative
from quickstart_grammar.verbs import VERBS

Pair = tuple[str, str]
WHICH = Determiner("which", "welch", "dies")
WO = {
    "auf": "worauf",
    "für": "wofür",
    "über": "worüber",
    "an": "woran",
    "von": "wovon",
    "vor": "wovor",
    "um": "worum",
    "gegen": "wogegen",
    "mit": "womit",
}
ADVERBS = (("why", "warum"), ("when", "wann"), ("where", "wo"), ("how often", "wie oft"), ("since when", "seit wann"))


class Questions:
    """Draws questions and commands."""

    def __init__(self, dice: Dice, clauses: Clauses) -> None:
        self.dice = dice
        self.clauses = clauses

    def draw(self) -> Pair:
        """Return a question without its mark."""
        kind = self.dice.weighted(
            ((5, self._yes_no), (3, self._adverb), (3, self._who), (4, self._object), (2, self._which))
        )
        called = self.dice.chance(0.12)
        if called:
            self.clauses.phrases.address = "du"
        en, de = kind()
        if called:
            first, _ = self.clauses.phrases.first_name()
            return f"{first} , {en}", f"{first} , {de}"
        return en, de

    def _clause(self, **options: object) -> Clause:
        subject = self.clauses.phrases.you() if self.dice.chance(0.35) else None
        c = self.clauses.clause(
            subject=subject, tense=self.dice.pick(("past", "present", "perfect", "future", "modal"))
        )
        return c.without(c.adverb("sentence"))

    def _yes_no(self) -> Pair:
        c = self._clause()
        return english(c, "question"), german(c, "v1")

    def _adverb(self) -> Pair:
        c = self._clause()
        en, de = self.dice.zipf(ADVERBS)
        if de != "warum":
            c = replace(c, adverbs=(), negated=False)
            if c.tense == "since":
                c = replace(c, tense="present", progressive=False)
        if (de == "wo" and c.complement) or (de == "seit wann" and c.tense != "present"):
            en, de = "when", "wann"
        if de == "seit wann":
            c = replace(c, tense="since", modal="", progressive=not c.verb.state and not c.passive)
        return f"{en} {english(c, 'question')}", german(c, front=de)

    def _who(self) -> Pair:
        who = NP("who", "whom", ("wer", "wen", "wem", "wessen"), "m", 2, "he", "person")
        c = self.clauses.clause(subject=who, tense=self.dice.pick(("past", "present", "perfect", "future", "modal")))
        c = c.without(c.adverb("sentence"))
        return english(c), german(c)

    def _object(self) -> Pair:
        verb = self.dice.pick([v for v in VERBS if len(v.slots) in (1, 2) and v.subject == ("who",)])
        slot = verb.slots[-1] if verb.slots[-1].key == "p" else verb.slots[0]
        person = "person" in slot.kinds and (len(slot.kinds) == 2 or self.dice.chance(0.5))
        subject = self.clauses.phrases.you() if self.dice.chance(0.4) else self.clauses.phrases.subject(("who",))
        core = Clause(subject, verb, tuple((s.key, self.clauses.fill(s, subject)) for s in verb.slots))
        c = self.clauses.clause(
            core=core, subject=subject, tense=self.dice.pick(("past", "present", "future", "perfect")), plain=True
        )
        case = {"a": 1, "d": 2}.get(slot.key, slot.case)
        if person or slot.kinds == ("person",):
            word = ("wer", "wen", "wem")[case]
            start = f"{slot.preposition} {word}" if slot.key == "p" else word
            return f"who {english(c, 'question', gap=slot.key)}", german(c, front=start, gap=slot.key)
        if slot.key == "p" and slot.preposition not in WO:
            return self._yes_no()
        start = WO[slot.preposition] if slot.key == "p" else "was"
        return f"what {english(c, 'question', gap=slot.key)}", german(c, front=start, gap=slot.key)

    def _which(self) -> Pair:
        verb = self.dice.pick(
            [v for v in VERBS if len(v.slots) == 1 and v.subject == ("who",) and set(v.slots[0].kinds) & set(NOUNS)]
        )
        slot = verb.slots[0]
        noun = self.clauses.phrases.noun(slot.kinds)
        phrase = noun_phrase(
            WHICH, self.clauses.phrases.adjectives(noun.kind, 0.25), noun, not noun.mass and self.dice.chance(0.25)
        )
        subject = self.clauses.phrases.you() if self.dice.chance(0.4) else self.clauses.phrases.subject(("who",))
        core = Clause(subject, verb, ((slot.key, phrase),))
        c = self.clauses.clause(
            core=core, subject=subject, tense=self.dice.pick(("past", "present", "future", "perfect")), plain=True
        )
        case = {"a": 1, "d": 2}.get(slot.key, slot.case)
        start = f"{slot.preposition} {phrase.de[case]}" if slot.key == "p" else phrase.de[case]
        return f"{phrase.en} {english(c, 'question', gap=slot.key)}", german(c, front=start, gap=slot.key)

    def command(self) -> Pair:
        """Return a command without its mark: the address shows whether it is du, ihr or Sie."""
        person, call = self.dice.weighted(
            ((4, (1, "name")), (4, (5, "title")), (2, (4, "children")), (2, (3, "")), (2, (5, "")))
        )
        subject = {1: pronoun("you", "du"), 4: pronoun("you", "ihr"), 5: pronoun("you", "Sie"), 3: pronoun("we")}[
            person
        ]
        self.clauses.phrases.address = {1: "du", 4: "ihr"}.get(person, "Sie")
        verbs = [v for v in VERBS if v.subject == ("who",) and not v.state and not v.fixed]
        c = self.clauses.frame(self.dice.pick(verbs), subject)
        negated = person != 3 and self.dice.chance(0.15)
        target = c.object("a")
        if negated and target is not None and not target.definite and target.negated is None:
            negated = False
        c = replace(c, negated=negated)
        if self.dice.chance(0.25):
            c = replace(c, adverbs=(self.clauses.adverbs.time("future"),))
        please = self.dice.chance(0.4) and person != 3
        en = (
            f"{'let us ' if person == 3 else 'please ' if please else ''}{'do ' if negated else ''}{english(c, 'base')}"
        )
        de = imperative(c, person, ("bitte",) if please else ())
        en = en.replace("do not", "do not", 1)
        return self._addressed(en, de, call)

    def _addressed(self, en: str, de: str, call: str) -> Pair:
        if call == "name":
            first, _ = self.clauses.phrases.first_name()
            en_call, de_call = first, first
        elif call == "title":
            who = self.clauses.phrases.person_name()
            while " " not in who.en:
                who = self.clauses.phrases.person_name()
            en_call, de_call = who.en, who.de[0]
        elif call == "children":
            en_call, de_call = self.dice.pick(
                (("children", "Kinder"), ("boys", "Jungs"), ("my friends", "meine Freunde"))
            )
        else:
            return en, de
        if self.dice.chance(0.4):
            return f"{en} , {en_call}", f"{de} , {de_call}"
        return f"{en_call} , {en}", f"{de_call} , {de}"
