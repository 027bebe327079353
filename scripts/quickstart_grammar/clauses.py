"""Draws single clauses: a verb with fitting subject and objects, tense, negation and adverbials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quickstart_grammar.adverbs import ALREADY, FREQUENCY, JUST_NOW, MANNER, NO_LONGER, SENTENCE, YET, Adverb, Adverbs
from quickstart_grammar.dice import Dice
from quickstart_grammar.phrases import BARE, NP, THE, A, Phrases, noun_phrase, pronoun
from quickstart_grammar.render import Clause
from quickstart_grammar.scenes import Scenes
from quickstart_grammar.verbs import VERBS, Slot, Verb

TENSES = ((32, "past"), (26, "present"), (11, "perfect"), (15, "future"), (10, "modal"), (6, "modal past"))
MODAL_WEIGHTS = (
    (5, "can"),
    (4, "must"),
    (3, "have to"),
    (4, "want to"),
    (2, "be allowed to"),
    (3, "should"),
    (3, "would like to"),
)
PAST_MODALS = ((4, "can"), (4, "have to"), (4, "want to"), (2, "be allowed to"))


class Clauses:
    """Draws clauses; `tense` is past, present, perfect, future, conditional or pluperfect."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.phrases = Phrases(dice)
        self.adverbs = Adverbs(dice)
        self.scenes = Scenes(dice, self.phrases, self.adverbs)
        self.preterite = True
        self.people_verbs = tuple(v for v in VERBS if v.subject == ("who",))
        self.active_verbs = tuple(v for v in self.people_verbs if not v.state)

    def choose(self, verbs: Sequence[Verb]) -> Verb:
        """Return a verb, the first ones more often."""
        return self.dice.zipf(verbs) if self.dice.chance(0.7) else self.dice.pick(verbs)

    def fill(self, slot: Slot, subject: NP) -> NP:
        """Return an object for a slot."""
        people = "person" in slot.kinds
        if people and self.dice.chance(0.3):
            options = [
                p
                for p in ("I", "he", "she", "we", "they")
                if p != subject.en_pronoun and {p, subject.en_pronoun} != {"I", "we"}
            ]
            return pronoun(self.dice.pick(options))
        if people and self.dice.chance(0.2):
            return self.phrases.person_name()
        return self.phrases.np(slot.kinds, subject)

    def frame(self, verb: Verb, subject: NP | None = None, gendered: bool = False) -> Clause:
        """Return the verb with its objects, in the present."""
        subject = subject or self.phrases.subject(verb.subject, gendered)
        return Clause(subject, verb, tuple((slot.key, self.fill(slot, subject)) for slot in verb.slots))

    def core(self, subject: NP | None = None, gendered: bool = False) -> Clause:
        """Return a clause in the present without adverbials: a verb frame or a scene."""
        if subject is not None and subject.kind not in ("person", "kin"):
            fitting = [v for v in VERBS if subject.kind in v.subject]
            return self.frame(self.dice.pick(fitting), subject) if fitting else self.scenes.quality(subject)
        if subject is None and self.dice.chance(0.13):
            return self.scenes.thing()
        if self.dice.chance(0.25):
            return self.scenes.draw(subject or self.phrases.subject(("who",), gendered))
        verbs = self.people_verbs if subject is not None else VERBS
        return self.frame(self.choose(verbs), subject, gendered)

    def clause(
        self,
        subject: NP | None = None,
        tense: str = "",
        plain: bool = False,
        gendered: bool = False,
        core: Clause | None = None,
    ) -> Clause:
        """Return a finished clause. `plain`: no adverbials, no negation, no passive."""
        c = core or self.core(subject, gendered)
        tense = tense or self.dice.weighted(TENSES)
        c = self._tensed(c, tense)
        if plain:
            return c
        if subject is None and self.dice.chance(0.2):
            c = self._passive(c)
        c = self._timed(c)
        if self.dice.chance(0.11) and not any(a.slot == "frequency" for a in c.adverbs):
            c = self._negated(c)
        return self._adorned(c)

    def _tensed(self, c: Clause, tense: str) -> Clause:
        if c.complement and c.complement.slot == "present" and tense in ("perfect", "future", "modal", "modal past"):
            tense = "past" if tense == "modal past" else "present"
        if tense.startswith("modal"):
            if c.subject.kind not in ("person", "kin") or c.verb.state:
                return replace(c, tense="past" if tense.endswith("past") else "present", preterite=True)
            past = tense.endswith("past")
            modal = self.dice.weighted(PAST_MODALS if past else MODAL_WEIGHTS)
            return replace(c, tense="past" if past else "present", modal=modal)
        going = tense == "future" and self.dice.chance(0.35)
        return replace(c, tense=tense, going=going, preterite=c.verb.state or self.preterite)

    def _passive(self, c: Clause) -> Clause:
        slot, target = c.verb.slot("a"), c.object("a")
        if (
            slot is None
            or target is None
            or len(c.objects) != 1
            or c.complement
            or c.verb.subject != ("who",)
            or c.verb.state
            or c.verb.de.reflexive
            or c.modal in ("want to", "would like to")
        ):
            return c
        if "{r}" in c.verb.pattern or target.is_pronoun or c.going:
            return c
        agent = None
        if not c.subject.is_pronoun and self.dice.chance(0.35):
            agent = Adverb(f"by {c.subject.en_object}", c.subject.after("von", 2), "agent")
        return replace(c, subject=target, objects=(), passive=True, complement=agent)

    def _timed(self, c: Clause) -> Clause:
        if c.tense == "present" and not c.modal:
            return self._present(c)
        if c.tense == "perfect":
            if self.dice.chance(0.25):
                return replace(c, adverbs=(*c.adverbs, ALREADY))
            return c
        if c.tense == "pluperfect" or (c.complement and c.complement.slot == "fixed"):
            return c
        if self.dice.chance(0.12 if c.verb.state and c.tense == "future" else 0.55):
            kind = {"past": "past", "future": "future", "conditional": "future"}.get(c.tense, "future")
            c = replace(c, adverbs=(*c.adverbs, self.adverbs.time(kind)))
        if c.tense == "past" and not c.modal and not c.passive and not c.verb.state and self.dice.chance(0.06):
            c = replace(c, progressive=True, preterite=True, adverbs=())
        return c

    def _present(self, c: Clause) -> Clause:
        if c.verb.state:
            return c
        if self.dice.chance(0.35):
            adverbs = [self.dice.zipf(FREQUENCY)] if self.dice.chance(0.5) else [self.adverbs.time("habit")]
            return replace(c, adverbs=(*c.adverbs, *adverbs))
        if self.dice.chance(0.15) and not c.passive:
            return replace(c, tense="since", progressive=True, adverbs=(*c.adverbs, self.adverbs.since()))
        if c.passive or c.subject.kind not in ("person", "kin", "animal"):
            return c
        if self.dice.chance(0.6):
            adverb = self.adverbs.time("present") if self.dice.chance(0.5) else None
            shown = (adverb,) if adverb else ((JUST_NOW,) if self.dice.chance(0.5) else ())
            return replace(c, progressive=True, adverbs=(*c.adverbs, *shown))
        return c

    def _negated(self, c: Clause) -> Clause:
        target = c.object("a")
        if c.tense == "since" or (c.progressive and c.tense != "present") or c.adverb("manner"):
            return c
        c = replace(c, adverbs=tuple(a for a in c.adverbs if a is not JUST_NOW and a is not ALREADY))
        indefinite = target is not None and not target.definite and not target.is_pronoun
        if indefinite and target is not None and target.negated is None:
            return c
        if (
            c.tense == "present"
            and not c.verb.state
            and not c.progressive
            and not indefinite
            and not c.modal
            and not c.passive
            and self.dice.chance(0.3)
        ):
            return replace(c, adverbs=(*(a for a in c.adverbs if a.slot == "time"), NO_LONGER))
        if c.tense == "present" and not c.progressive:  # "not every day" would need another order
            c = replace(c, adverbs=tuple(a for a in c.adverbs if a.slot != "time"))
        yet = (YET,) if c.tense == "perfect" and self.dice.chance(0.6) else ()
        return replace(c, negated=True, adverbs=(*c.adverbs, *yet))

    def _adorned(self, c: Clause) -> Clause:
        extra: list[Adverb] = []
        active = not c.verb.state and not c.negated and c.adverb("neg") is None and c.complement is None
        if active and not c.verb.slot("p") and self.dice.chance(0.13):
            place = self.adverbs.place()
            extra.append(Adverb(place.en, place.de, "place"))
        elif (
            active and c.subject.kind in ("person", "kin") and not c.passive and c.verb.slots and self.dice.chance(0.13)
        ):
            extra.append(self.dice.zipf(MANNER))
        if c.tense in ("past", "future") and self.dice.chance(0.09):
            extra.append(self.dice.zipf(SENTENCE))
        return replace(c, adverbs=(*c.adverbs, *extra))

    def indefinite(self, kinds: tuple[str, ...]) -> NP:
        """Return a phrase with an indefinite determiner, singular (or a mass noun)."""
        noun = self.phrases.noun(kinds)
        while noun.mass and noun.kind not in ("food", "drink"):
            noun = self.phrases.noun(kinds)
        determiner = BARE if noun.mass else A
        return noun_phrase(determiner, self.phrases.adjectives(noun.kind), noun, False)

    def definite(self, kinds: tuple[str, ...]) -> NP:
        """Return a phrase with the definite article."""
        return self.phrases.np(kinds, determiner=THE)
