"""Infinitive constructions: zu, um ... zu, ohne ... zu, statt ... zu."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from quickstart_grammar.adverbs import Adverb
from quickstart_grammar.clauses import Clauses
from quickstart_grammar.dice import Dice
from quickstart_grammar.phrases import NP, pronoun, refer
from quickstart_grammar.render import Clause, english, german
from quickstart_grammar.verbs import Verb, parse_verb, verb

Pair = tuple[str, str]
# Control verbs with "to" or, marked +, with the -ing form.
CONTROL: tuple[Verb, ...] = tuple(
    verb(en, de)
    for en, de in (
        ("try", "versuchen"),
        ("decide", "beschließen beschloss beschlossen"),
        ("begin/began/begun", "beginnen begann begonnen"),
        ("forget/forgot/forgotten", "vergessen vergisst vergaß vergessen"),
        ("hope", "hoffen"),
        ("promise", "versprechen verspricht versprach versprochen"),
        ("stop/stopped/stopped +", "auf|hören"),
        ("plan/planned/planned", "planen"),
        ("refuse", "sich weigern"),
        ("intend", "beabsichtigen"),
        ("agree", "sich bereit|erklären"),
        ("threaten", "drohen"),
        ("suggest +", "vor|schlagen schlägt schlug geschlagen"),
        ("dare", "wagen"),
    )
)
OBJECT_CONTROL: tuple[Verb, ...] = tuple(
    parse_verb(f"{line} !")
    for line in (
        "ask {a} ; bitten bat gebeten ; a:who",
        "advise {d} ; raten rät riet geraten ; d:who",
        "allow {d} ; erlauben ; d:who",
        "forbid/forbade/forbidden {d} ; verbieten verbot verboten ; d:who",
        "persuade {a} ; überreden ; a:who",
        "order {d} ; befehlen befiehlt befahl befohlen ; d:who",
        "help {d} ; helfen hilft half geholfen ; d:who",
        "force {a} ; zwingen zwang gezwungen ; a:who",
    )
)
JUDGEMENTS = (
    ("important", "wichtig"),
    ("difficult", "schwierig"),
    ("dangerous", "gefährlich"),
    ("impossible", "unmöglich"),
    ("easy", "leicht"),
    ("forbidden", "verboten"),
    ("sensible", "vernünftig"),
    ("boring", "langweilig"),
    ("expensive", "teuer"),
    ("polite", "höflich"),
)
NOUN_PHRASES = (
    ("have time", "Zeit"),
    ("have no time", "keine Zeit"),
    ("have the opportunity", "die Gelegenheit"),
    ("have no desire", "keine Lust"),
    ("have no reason", "keinen Grund"),
    ("have the courage", "den Mut"),
)


class Infinitives:
    """Draws sentences with an infinitive."""

    def __init__(self, dice: Dice, clauses: Clauses) -> None:
        self.dice = dice
        self.clauses = clauses

    def draw(self, main: Callable[[Clause], Pair]) -> Pair:
        """Return both texts; `main` writes a main clause."""
        kind = self.dice.weighted(
            (
                (6, self._control),
                (4, self._object_control),
                (3, self._judgement),
                (3, self._noun),
                (4, self._purpose),
                (3, self._without),
                (2, self._gladly),
            )
        )
        return kind(main)

    def _inner(self, subject: NP) -> Clause:
        """Return a clause for the infinitive, its subject understood."""
        agent = refer(subject)
        verbs = [v for v in self.clauses.people_verbs if not v.state and v.en != "hurry"]
        frame = self.clauses.frame(self.clauses.choose(verbs), agent)
        return (
            self.clauses.scenes.put(agent)
            if self.dice.chance(0.1)
            else self.clauses.scenes.go(agent)
            if self.dice.chance(0.1)
            else frame
        )

    def _tense(self) -> str:
        return self.dice.pick(("past", "past", "present", "perfect"))

    def _control(self, main: Callable[[Clause], Pair]) -> Pair:
        chosen = self.dice.zipf(CONTROL)
        subject = self.clauses.phrases.subject(("who",))
        inner = self._inner(subject)
        form = "ing" if chosen.pattern.endswith("+") else "to"
        frame = Clause(subject, replace(chosen, pattern=chosen.pattern.replace("+", "")))
        c = self.clauses.clause(core=frame, subject=subject, tense=self._tense(), plain=True)
        time = self.clauses.adverbs.time("past") if c.tense == "past" and self.dice.chance(0.35) else None
        c = replace(c, adverbs=(time,)) if time else c
        tail = english(inner, form), f", {german(inner, 'zu', subject=False)}"
        if time:
            c = c.without(time)
            return f"{time.en} {english(replace(c, tail=tail))}", german(replace(c, tail=tail), front=time.de)
        return main(replace(c, tail=tail))

    def _object_control(self, main: Callable[[Clause], Pair]) -> Pair:
        chosen = self.dice.zipf(OBJECT_CONTROL)
        subject = self.clauses.phrases.subject(("who",))
        frame = self.clauses.frame(chosen, subject)
        inner = self._inner(frame.objects[0][1])
        c = self.clauses.clause(core=frame, subject=subject, tense=self._tense(), plain=True)
        return main(replace(c, tail=(english(inner, "to"), f", {german(inner, 'zu', subject=False)}")))

    def _judgement(self, main: Callable[[Clause], Pair]) -> Pair:
        en, de = self.dice.zipf(JUDGEMENTS)
        it = pronoun("it")
        very_en, very_de = self.dice.pick((("", ""), ("very ", "sehr "), ("not ", "nicht ")))
        if de in ("unmöglich", "verboten"):
            very_en = very_de = ""
        inner = self._inner(pronoun("they"))
        present = self.dice.chance(0.6)
        tail = english(inner, "to"), f", {german(inner, 'zu', subject=False)}"
        return (
            f"{it.en} {'is' if present else 'was'} {very_en}{en} {tail[0]}",
            f"es {'ist' if present else 'war'} {very_de}{de} {tail[1]}",
        )

    def _noun(self, main: Callable[[Clause], Pair]) -> Pair:
        en, de = self.dice.pick(NOUN_PHRASES)
        subject = self.clauses.phrases.subject(("who",))
        have = verb("have/had/had", "haben hatte gehabt")
        inner = self._inner(subject)
        object_en = en.removeprefix("have ")
        frame = Clause(subject, have, complement=Adverb(object_en, de, "goal"))
        c = self.clauses.clause(core=frame, subject=subject, tense=self.dice.pick(("past", "present")), plain=True)
        return main(replace(c, tail=(english(inner, "to"), f", {german(inner, 'zu', subject=False)}")))

    def _outer(self) -> Clause:
        subject = self.clauses.phrases.subject(("who",))
        c = self.clauses.clause(
            subject=subject,
            tense=self.dice.pick(("past", "past", "present", "perfect", "future")),
            core=self._inner_for(subject),
        )
        c = c.without(c.adverb("sentence"))
        return (
            replace(c, tense="present", progressive=False, adverbs=())
            if c.tense == "since"
            else replace(c, negated=False)
        )

    def _inner_for(self, subject: NP) -> Clause:
        verbs = [v for v in self.clauses.people_verbs if not v.state]
        return (
            self.clauses.scenes.go(subject)
            if self.dice.chance(0.35)
            else self.clauses.frame(self.clauses.choose(verbs), subject)
        )

    def _purpose(self, main: Callable[[Clause], Pair]) -> Pair:
        c = self._outer()
        inner = self._inner(c.subject)
        tail = (
            f"{self.dice.pick(('', '', 'in order '))}{english(inner, 'to')}",
            f", um {german(inner, 'zu', subject=False)}",
        )
        c = c.without(c.adverb("yet"))
        if self.dice.chance(0.15):
            return f"{tail[0]} , {english(c)}", german(c, front=f"{tail[1][2:]} ,")
        return main(replace(c, tail=tail))

    def _without(self, main: Callable[[Clause], Pair]) -> Pair:
        c = self._outer()
        inner = self._inner(c.subject)
        en, de = self.dice.pick(
            (("without", "ohne"), ("instead of", "statt"), ("without", "ohne"), ("instead of", "anstatt"))
        )
        tail = f"{en} {english(inner, 'ing')}", f", {de} {german(inner, 'zu', subject=False)}"
        return main(replace(c.without(c.adverb("yet")), tail=tail))

    def _gladly(self, main: Callable[[Clause], Pair]) -> Pair:
        subject = self.clauses.phrases.subject(("who",))
        inner = self._inner(subject)
        singular = subject.en_pronoun in ("he", "she", "it")
        word, adverb = self.dice.pick((("like", "gern"), ("prefer", "lieber"), ("like", "gerne")))
        shown = replace(inner, adverbs=(Adverb("", adverb, "frequency"),))
        return f"{subject.en} {word}{'s' if singular else ''} {english(inner, 'to')}", german(
            replace(shown, subject=subject)
        )
