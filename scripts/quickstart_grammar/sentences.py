"""Sentences: main clauses, subordinate clauses, infinitives, questions, commands, and facts with numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from quickstart_grammar.adverbs import Adverb
from quickstart_grammar.clauses import Clauses
from quickstart_grammar.contrasts import Contrasts
from quickstart_grammar.dice import Dice
from quickstart_grammar.facts import Facts
from quickstart_grammar.frames import COMMENTS, QUESTION_WORDS, REPORT, SPOKEN, SUBORDINATES, THAT_OPTIONAL, WONDER
from quickstart_grammar.infinitives import Infinitives
from quickstart_grammar.phrases import NP, refer
from quickstart_grammar.questions import Questions
from quickstart_grammar.relatives import attach
from quickstart_grammar.render import Clause, english, german
from quickstart_grammar.verbs import VERBS

Pair = tuple[str, str]


def finish(en: str, de: str, mark: str = ".") -> Pair:
    """Return both texts as sentences: spacing, commas, capital, final mark."""
    return _tidy(en, mark), _tidy(de, mark)


def _tidy(text: str, mark: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"(?:\s*,)+", ",", text)
    text = re.sub(r",$", "", text.strip())
    text = text[0].upper() + text[1:]
    return text if text.endswith(mark) else text + mark


class Sentences:
    """Draws sentence pairs."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.clauses = Clauses(dice)
        self.questions = Questions(dice, self.clauses)
        self.infinitives = Infinitives(dice, self.clauses)
        self.facts = Facts(dice, self.clauses)
        self.contrasts = Contrasts(dice, self.clauses)
        self.kinds: tuple[tuple[int, Callable[[], Pair]], ...] = (
            (16, self.statement),
            (20, self.complex),
            (11, self.relative),
            (11, self.report),
            (5, self.wonder),
            (9, self.coordinated),
            (3, lambda: finish(*self.contrasts.unreal())),
            (3, lambda: finish(*self.contrasts.not_but())),
            (10, lambda: finish(*self.infinitives.draw(self.main))),
            (9, lambda: finish(*self.questions.draw(), mark="?")),
            (5, lambda: finish(*self.questions.command(), mark="!")),
            (13, lambda: finish(*self.facts.draw())),
        )

    def draw(self) -> Pair:
        """Return one English sentence and its German translation."""
        self.clauses.preterite = self.dice.chance(0.75)
        self.clauses.phrases.address = "du" if self.dice.chance(0.6) else "Sie"
        return self.dice.weighted(self.kinds)()

    def main(self, c: Clause) -> Pair:
        """Return a main clause, an adverbial in front now and then; German may front one that English does not."""
        movable = [a for a in c.adverbs if a.slot in ("time", "sentence") or a.slot == "place"]
        late = self.dice.chance(0.2)
        if movable and self.dice.chance(0.45) and c.tense != "since":
            front = self.dice.pick(movable)
            comma = " ," if front.slot == "sentence" or (len(front.en.split()) > 2 and self.dice.chance(0.6)) else ""
            rest = c.without(front)
            sentence = rest.adverb("sentence")
            if sentence is not None:
                rest = rest.without(sentence)
            return f"{front.en}{comma} {english(rest)}", german(rest, front=front.de, late_time=late)
        sentence = c.adverb("sentence")
        if sentence is not None:
            rest = c.without(sentence)
            return english(c), german(rest, front=sentence.de, late_time=late) if self.dice.chance(0.7) else german(c)
        time = c.adverb("time")
        if time is not None and self.dice.chance(0.2):
            return english(c), german(c.without(time), front=time.de)
        return english(c), german(c, late_time=late)

    def statement(self) -> Pair:
        """Return one main clause."""
        return finish(*self.main(self.clauses.clause()))

    def _partner(self, first: Clause, tense: str, linked: bool) -> Clause:
        """Return a second clause; `linked`: its subject is a pronoun for the first one's, if that is a person."""
        subject = None
        if first.subject.kind in ("person", "kin") and linked:
            subject = refer(first.subject)
        if tense.startswith("can"):
            subject = subject or self.clauses.phrases.personal_pronoun()
            frame = self.clauses.frame(self.clauses.choose(self.clauses.active_verbs), subject)
            return replace(frame, tense="past" if tense.endswith("past") else "present", modal="can")
        if (
            subject is None
            and first.subject.kind != "quantity"
            and not first.subject.is_pronoun
            and self.dice.chance(0.3)
        ):
            return self.clauses.clause(core=self.clauses.core(refer(first.subject)), tense=tense, subject=first.subject)
        return self.clauses.clause(subject=subject, tense=tense)

    def complex(self) -> Pair:
        """Return a main clause with a subordinate clause, which may come first."""
        (en, de), tenses = self.dice.weighted([(w, (words, t)) for w, words, t in SUBORDINATES])
        main_tense, sub_tense = self.dice.pick(tenses)
        linked = self.dice.chance(0.6)
        first = self.clauses.clause(tense=main_tense, gendered=linked)
        first = first.without(first.adverb("sentence"))
        if first.tense == "since":
            first = replace(first, tense="present")
            first = first.without(first.adverb("time"))
        second = self._partner(first, sub_tense, linked)
        second = second.without(second.adverb("sentence"))
        second = self._subordinate(second, de)
        sub_en, sub_de = f"{en} {english(second)}", f"{de} {german(second, 'last')}"
        if de != "es sei denn , dass" and self.dice.chance(0.35):
            return finish(*self._fronted(first, second, en, de))
        main_en, main_de = self.main(first) if self.dice.chance(0.4) else (english(first), german(first))
        comma = " ," if en in ("although", "since", "unless") and self.dice.chance(0.5) else ""
        return finish(f"{main_en}{comma} {sub_en}", f"{main_de} , {sub_de}")

    def _subordinate(self, c: Clause, conjunction: str) -> Clause:
        """Return the clause with the tense forms and adverbials that suit the conjunction."""
        if conjunction in ("als", "da"):
            c = replace(c, preterite=True)
        if conjunction not in ("weil", "da", "obwohl"):
            c = replace(c, adverbs=tuple(a for a in c.adverbs if a.slot not in ("time", "frequency", "already", "yet")))
            if c.tense == "since" or conjunction != "während":
                c = replace(c, progressive=False, tense="present" if c.tense == "since" else c.tense)
        time = c.adverb("time")
        return c.without(time) if time is not None and c.tense == "past" and self.dice.chance(0.6) else c

    def _fronted(self, main: Clause, sub: Clause, en: str, de: str) -> Pair:
        """Return the subordinate clause first; a noun in it and a pronoun after it."""
        if sub.subject.is_pronoun and sub.subject == refer(main.subject) and sub.verb.de.reflexive == 0:
            main, sub = replace(main, subject=refer(main.subject)), replace(sub, subject=main.subject)
        return f"{en} {english(sub)} , {english(main)}", german(main, front=f"{de} {german(sub, 'last')} ,")

    def relative(self) -> Pair:
        """Return a main clause whose subject or last object has a relative clause."""
        for _ in range(50):
            c = self.clauses.clause(plain=self.dice.chance(0.5))
            c = c.without(c.adverb("sentence"))
            last = c.verb.pattern[-3:]
            key = last[1] if last in ("{a}", "{d}", "{p}") else ""
            key = "" if key == "d" and c.object("a") else key  # German ends with the accusative
            target = c.object(key)
            if target is not None and not c.complement and not c.negated and self.dice.chance(0.65):
                made = attach(self.clauses, target)
                if made:
                    return finish(*self._extraposed(c, target, made))
            made = None if c.subject.is_pronoun else attach(self.clauses, c.subject)
            if made:
                return finish(*self.main(replace(c, subject=made)))
        return self.statement()

    def _extraposed(self, c: Clause, target: NP, made: NP) -> Pair:
        """Return the clause with the object's relative clause at its end."""
        en, de = made.en[len(target.en) :], made.de[0][len(target.de[0]) :]
        time = c.adverb("time")
        rest = Clause(
            c.subject, c.verb, c.objects, c.tense, c.preterite, c.progressive, c.going, c.modal, tail=(en, de)
        )
        if time is not None and c.tense != "since":
            return f"{time.en} {english(rest)}", german(replace(rest), front=time.de)
        if c.tense == "since":
            rest = replace(rest, tense="perfect", progressive=False)
        return english(rest), german(rest)

    def report(self) -> Pair:
        """Return "the doctor said that ..."."""
        word = self.dice.zipf(REPORT)
        linked = self.dice.chance(0.6)
        speaker = self.clauses.phrases.subject(("who",), gendered=linked)
        tense = self.dice.pick(("past", "past", "past", "present", "perfect" if word.en in SPOKEN else "past"))
        frame = self.clauses.clause(core=Clause(speaker, word), tense=tense, plain=True)
        inner_tense = self.dice.pick(
            ("past", "modal past", "pluperfect", "conditional")
            if tense == "past"
            else ("present", "future", "perfect", "past", "modal")
        )
        inner = self._partner(frame, inner_tense, linked)
        inner = inner.without(inner.adverb("sentence"))
        that = "" if word.en in THAT_OPTIONAL and self.dice.chance(0.4) else " that"
        en, de = self.main(frame)
        if self.dice.chance(0.12):
            adjective = self.dice.pick(COMMENTS)
            en, de, that = f"it is {adjective[0]}", f"es ist {adjective[1]}", " that"
            inner = self.clauses.clause(tense=self.dice.pick(("present", "past", "perfect", "future")))
            inner = inner.without(inner.adverb("sentence"))
        return finish(f"{en}{that} {english(inner)}", f"{de} , dass {german(inner, 'last')}")

    def wonder(self) -> Pair:
        """Return an indirect question."""
        word, linked = self.dice.pick(WONDER), self.dice.chance(0.6)
        speaker = self.clauses.phrases.subject(("who",), gendered=linked)
        tense = self.dice.pick(("past", "present"))
        frame = self.clauses.clause(core=Clause(speaker, word), tense=tense, plain=True)
        if word.de.infinitive == "wissen" or self.dice.chance(0.2):
            frame = replace(frame, negated=word.de.infinitive == "wissen")
        en, de = self.dice.zipf(QUESTION_WORDS)
        inner = self._partner(
            frame, "past" if tense == "past" else self.dice.pick(("present", "past", "future", "perfect")), linked
        )
        inner = inner.without(inner.adverb("sentence"))
        thing = inner.subject.kind not in ("person", "kin")
        if en in ("how", "with whom", "where") and (inner.verb.state or thing):
            en, de = "whether", "ob"
        if en in ("when", "where", "with whom"):
            inner = replace(inner, adverbs=tuple(a for a in inner.adverbs if a.slot == "frequency"))
            inner = replace(inner, tense="past" if inner.tense == "since" else inner.tense, progressive=False)
            if inner.complement and inner.complement.slot == "goal" and en == "where":
                en, de = "why", "warum"
        return finish(f"{english(frame)} {en} {english(inner)}", f"{german(frame)} , {de} {german(inner, 'last')}")

    def coordinated(self) -> Pair:
        """Return two clauses joined by and, but or so; or one subject with two verbs."""
        tense = self.dice.pick(("past", "past", "present", "future", "perfect"))
        linked = self.dice.chance(0.6)
        first = self.clauses.clause(tense=tense, gendered=linked)
        first = first.without(first.adverb("sentence"))
        if not linked and first.subject.kind in ("person", "kin") and not first.passive and first.tense != "since":
            return finish(*self._shared(first))
        second = self._partner(first, tense, linked)
        second = second.without(second.adverb("sentence"))
        en, de = self.dice.weighted(((5, (" , but", " , aber")), (5, (" , and", " und")), (2, (" , so", ""))))
        main_en, main_de = self.main(first)
        if not de:
            return finish(f"{main_en}{en} {english(second)}", f"{main_de} , {german(second, front='deshalb')}")
        return finish(f"{main_en}{en} {english(second)}", f"{main_de}{de} {german(second)}")

    def _shared(self, first: Clause) -> Pair:
        target = first.object("a")
        second = self.clauses.frame(self.clauses.choose(self.clauses.people_verbs), first.subject)
        if target is not None and not target.is_pronoun and not first.negated and self.dice.chance(0.4):
            same = [
                v
                for v in VERBS
                if v.subject == ("who",)
                and v.slots
                and v.slots[0].key == "a"
                and target.kind in v.slots[0].kinds
                and v is not first.verb
            ]
            if same:
                chosen = self.dice.pick(same)
                objects = tuple(
                    (s.key, refer(target) if s.key == "a" else self.clauses.fill(s, first.subject))
                    for s in chosen.slots
                )
                second = Clause(first.subject, chosen, objects)
        second = replace(second, tense=first.tense, preterite=first.preterite, going=False, modal="")
        if first.modal or first.progressive or first.going:
            first = replace(first, modal="", progressive=False, going=False)
        main_en, main_de = self.main(first)
        then = self.dice.chance(0.3)
        if then:
            second = replace(second, adverbs=(Adverb("", "dann", "sentence"),))
        en, de = english(second, "bare"), german(second, subject=False)
        if second.tense in ("future", "perfect") and not first.negated:
            en = en.split(" ", 1)[1]
        finite = de.split()[0]
        de = (
            de.split(" ", 1)[1]
            if finite in ("hat", "habe", "hast", "haben", "ist", "sind", "wird", "werden", "bin", "werde")
            and f" {finite} " in f" {main_de} "
            and not first.negated
            else de
        )
        return f"{main_en} and {'then ' if then else ''}{en}", f"{main_de} und {de}"
