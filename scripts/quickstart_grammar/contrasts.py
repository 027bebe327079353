"""Unreal conditions ("if I had more time, I would ...") and corrections ("not the dog but the cat")."""

from __future__ import annotations

from dataclasses import replace

from quickstart_grammar.adverbs import Adverb
from quickstart_grammar.clauses import Clauses
from quickstart_grammar.dice import Dice
from quickstart_grammar.frames import CONDITIONS, POSSESSIONS
from quickstart_grammar.phrases import NP, refer
from quickstart_grammar.render import Clause, english, german
from quickstart_grammar.verbs import VERBS, verb

Pair = tuple[str, str]


class Contrasts:
    """Draws both kinds; the texts still lack the final mark."""

    def __init__(self, dice: Dice, clauses: Clauses) -> None:
        self.dice = dice
        self.clauses = clauses

    def unreal(self) -> Pair:
        """Return "if I had more time, I would ..."."""
        subject = self.clauses.phrases.subject(("who",), gendered=True)
        have, be = verb("have/had/had {a}", "haben hatte gehabt"), verb("be", "sein war gewesen s")
        if self.dice.chance(0.6):
            thing = self.dice.pick(POSSESSIONS)
            condition = Clause(subject, have, complement=Adverb(thing[0], thing[1], "goal"), tense="conditional")
            condition = replace(condition, verb=replace(have, pattern=""))
        else:
            thing = self.dice.pick(CONDITIONS)
            condition = Clause(subject, be, complement=Adverb(thing[0], thing[1], "goal"), tense="conditional")
        en_condition = english(replace(condition, tense="past")).replace(" was ", " were ")
        core = self.clauses.frame(self.clauses.choose(self.clauses.active_verbs), refer(subject))
        result = self.clauses.clause(core=core, subject=core.subject, tense="conditional", plain=True)
        result = replace(result, going=False)
        text = german(condition, "last")
        if self.dice.chance(0.6):
            return f"if {en_condition} , {english(result)}", german(result, front=f"wenn {text} ,")
        named = replace(result, subject=subject)
        pronouned = replace(condition, subject=refer(subject))
        return (
            f"{english(named)} if {english(replace(pronouned, tense='past')).replace(' was ', ' were ')}",
            f"{german(named)} , wenn {german(pronouned, 'last')}",
        )

    def not_but(self) -> Pair:
        """Return "not the dog but the cat" (sondern), or "not only ... but also"."""
        verbs = [
            v
            for v in VERBS
            if v.subject == ("who",)
            and len(v.slots) == 1
            and v.slots[0].key == "a"
            and "[" not in v.pattern
            and "{r}" not in v.pattern
        ]
        chosen = self.dice.pick([v for v in verbs if v.pattern.endswith("{a}")])
        subject = self.clauses.phrases.subject(("who",))
        first, second = (self.clauses.definite(chosen.slots[0].kinds) for _ in range(2))
        only = self.dice.chance(0.5)
        en = f"{'not only' if only else 'not'} {first.en} but {'also ' if only else ''}{second.en}"
        de = f"{'nicht nur' if only else 'nicht'} {first.de[1]} , sondern {'auch ' if only else ''}{second.de[1]}"
        both = NP(en, en, (de, de, de, de), "p", 5, "they", first.kind)
        c = self.clauses.clause(
            core=Clause(subject, chosen, (("a", both),)),
            subject=subject,
            tense=self.dice.pick(("past", "present", "perfect", "future")),
            plain=True,
        )
        return english(c), german(c)
