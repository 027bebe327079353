"""Clauses as English and German text: verb groups, word order, negation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from quickstart_grammar.adverbs import Adverb
from quickstart_grammar.english import be_form, gerund, third_person
from quickstart_grammar.german import HABEN, IRREGULAR, REFLEXIVE, SEIN, WERDEN, GermanVerb
from quickstart_grammar.phrases import EN_PRONOUNS, NP
from quickstart_grammar.verbs import Verb

# English modal -> (present, third person, past), German infinitive; the words after the first take no inflection.
MODALS = {
    "can": (("can", "can", "could"), "können"),
    "must": (("must", "must", ""), "müssen"),
    "have to": (("have", "has", "had"), "müssen"),
    "want to": (("want", "wants", "wanted"), "wollen"),
    "be allowed to": (("be", "be", "be"), "dürfen"),
    "should": (("should", "should", ""), "sollen"),
    "would like to": (("would", "would", ""), "möchten"),
}
AUXILIARIES = ("can", "must", "should", "would like to", "be allowed to")


@dataclass(frozen=True)
class Clause:
    """One predication. `objects` are (slot key, phrase); `preterite` is how German renders the English past.

    `complement` follows everything (goal, predicate, measure); `tail` is a subordinate clause in both languages.
    """

    subject: NP
    verb: Verb
    objects: tuple[tuple[str, NP], ...] = ()
    tense: str = "present"
    preterite: bool = True
    progressive: bool = False
    going: bool = False
    modal: str = ""
    passive: bool = False
    negated: bool = False
    adverbs: tuple[Adverb, ...] = ()
    complement: Adverb | None = None
    tail: tuple[str, str] = ("", "")

    def object(self, key: str) -> NP | None:
        """Return the object in a slot."""
        return dict(self.objects).get(key)

    def adverb(self, slot: str) -> Adverb | None:
        """Return the first adverbial of a slot."""
        return next((a for a in self.adverbs if a.slot == slot), None)

    def without(self, adverb: Adverb | None) -> Clause:
        """Return the clause without one adverbial."""
        return replace(self, adverbs=tuple(a for a in self.adverbs if a is not adverb))


def _lexical(c: Clause, form: str) -> list[str]:
    singular = c.subject.en_pronoun in ("he", "she", "it")
    word = "be" if c.passive else c.verb.en
    if word == "be" and form in ("present", "past"):
        first = be_form(form, c.subject.en_pronoun)
    elif word == "be":
        first = {"base": "be", "participle": "been", "ing": "being"}[form]
    elif form == "present":
        first = third_person(word) if singular else word
    else:
        first = {"base": word, "past": c.verb.past, "participle": c.verb.participle, "ing": gerund(word)}[form]
    return [first, c.verb.participle] if c.passive else [first]


def _english_chain(c: Clause) -> tuple[list[str], bool]:
    """Return the verb group and whether its first word is an auxiliary."""
    singular = c.subject.en_pronoun in ("he", "she", "it")
    if c.modal:
        forms = MODALS[c.modal][0]
        first = forms[2] if c.tense == "past" else forms[1] if singular else forms[0]
        if c.modal == "be allowed to":
            first = be_form(c.tense, c.subject.en_pronoun)
        return [first, *c.modal.split()[1:], *_lexical(c, "base")], c.modal in AUXILIARIES
    if c.tense == "future" and c.going:
        return [be_form("present", c.subject.en_pronoun), "going", "to", *_lexical(c, "base")], True
    if c.tense in ("future", "conditional"):
        return ["will" if c.tense == "future" else "would", *_lexical(c, "base")], True
    if c.tense in ("perfect", "pluperfect", "since"):
        have = "had" if c.tense == "pluperfect" else "has" if singular else "have"
        if c.progressive:
            return [have, "been", *_lexical(c, "ing")], True
        return [have, *_lexical(c, "participle")], True
    if c.progressive:
        return [be_form(c.tense, c.subject.en_pronoun), *_lexical(c, "ing")], True
    return _lexical(c, c.tense), c.passive or c.verb.en == "be"


def _support(chain: list[str], auxiliary: bool, c: Clause) -> list[str]:
    """Return the verb group with do-support if it has no auxiliary."""
    if auxiliary:
        return chain
    base = [c.modal.split()[0], *chain[1:]] if c.modal else _lexical(c, "base")
    do = "did" if c.tense == "past" else "does" if c.subject.en_pronoun in ("he", "she", "it") else "do"
    return [do, *base]


def _english_objects(c: Clause, gap: str) -> str:
    pattern = c.verb.pattern.replace("{r}", EN_PRONOUNS[c.subject.en_pronoun][1])
    objects = dict(c.objects)
    if "[" in pattern:
        particle = pattern[pattern.index("[") + 1 : pattern.index("]")]
        after = "a" not in objects or objects["a"].is_pronoun or gap == "a"
        pattern = pattern.replace(f"[{particle}] {{a}}", f"{{a}} {particle}" if after else f"{particle} {{a}}")
    for key in "adp":
        np = objects.get(key)
        text = (
            ""
            if np is None or key == gap
            else (np.negated or np).en_object
            if c.negated and key == "a"
            else np.en_object
        )
        pattern = pattern.replace(f"{{{key}}}", text)
    return pattern


def _english_middle(c: Clause) -> list[str]:
    return [a.en for a in c.adverbs if a.slot in ("frequency", "already", "neg") and a.en]


def english(c: Clause, order: str = "main", gap: str = "", front: Adverb | None = None) -> str:
    """Return the English clause; order is main, question, bare (no subject), base, to or ing."""
    chain, auxiliary = _english_chain(c)
    rest = c.without(front)
    middle = _english_middle(rest)
    yet = ["yet"] if c.adverb("yet") else []
    if order in ("to", "ing", "base"):
        words = (
            (["not"] if c.negated else [])
            + ["to"] * (order == "to")
            + middle
            + _lexical(c, "ing" if order == "ing" else "base")
        )
    else:
        if c.negated or order == "question":
            chain, auxiliary = _support(chain, auxiliary, c), True
        split = 1 if auxiliary else 0
        negation = (["not"] if c.negated else []) + yet
        if order == "question":
            words = [chain[0], c.subject.en, *negation, *middle, *chain[1:]]
        else:
            words = [*([] if order == "bare" else [c.subject.en]), *chain[:split], *negation, *middle, *chain[split:]]
    words.append(_english_objects(c, gap))
    complement = [c.complement.en] if c.complement else []
    ends = [a.en for slot in ("manner", "place", "time") for a in rest.adverbs if a.slot == slot]
    sentence = [f"{a.en} ," for a in rest.adverbs if a.slot == "sentence"] if order == "main" else []
    return " ".join(part for part in (*sentence, *words, *complement, *ends, c.tail[0]) if part)


def _german_middle(c: Clause, subject: bool, gap: str, late_time: bool) -> list[str]:
    """Return the middle field.

    Its order: pronouns, time, dative, definite accusative, negation, manner, place, indefinite accusative, preposition.
    """
    objects = {key: np for key, np in c.objects if key != gap}
    accusative, dative = objects.get("a"), objects.get("d")
    pronouns = [np.de[case] for np, case in ((accusative, 1), (dative, 2)) if np is not None and np.is_pronoun]
    reflexive = [REFLEXIVE[c.verb.de.reflexive][c.subject.person]] if c.verb.de.reflexive and not c.passive else []
    head = [c.subject.de[0]] if subject else []
    start = head + reflexive if c.subject.is_pronoun or not subject or c.subject.negated else reflexive + head
    by_slot = {
        slot: [a.de for a in c.adverbs if a.slot == slot]
        for slot in ("sentence", "time", "frequency", "already", "manner", "place", "yet", "neg")
    }
    dative_part = [dative.de[2]] if dative is not None and not dative.is_pronoun else []
    definite = accusative is not None and not accusative.is_pronoun and accusative.definite
    indefinite = accusative is not None and not accusative.is_pronoun and not accusative.definite
    accusative_text, negation = [], ["nicht"] if c.negated else []
    if accusative is not None and not accusative.is_pronoun:
        accusative_text = [accusative.de[1]]
        if c.negated and accusative.negated:
            accusative_text, negation = [accusative.negated.de[1]], []
    time = by_slot["time"]
    early = by_slot["sentence"] + ([] if late_time and definite else time)
    parts = [*start, *pronouns, *early, *dative_part, *by_slot["frequency"], *(accusative_text if definite else [])]
    parts += time if late_time and definite else []
    parts += [*by_slot["already"], *by_slot["yet"], *negation, *by_slot["neg"], *by_slot["manner"], *by_slot["place"]]
    parts += accusative_text if indefinite else []
    slot = c.verb.slot("p")
    if "p" in objects and slot:
        parts.append(objects["p"].after(slot.preposition, slot.case))
    parts += [c.complement.de] if c.complement else []
    return parts + ([c.verb.fixed] if c.verb.fixed else [])


def _german_verbs(c: Clause) -> tuple[GermanVerb, str, list[str]]:
    """Return the finite verb, its tense, and the non-finite words in clause-final order."""
    verb, infinitives, participles = c.verb.de, [c.verb.de.full_infinitive], [c.verb.de.full_participle]
    auxiliary = SEIN if verb.auxiliary == "sein" else HABEN
    if c.passive:
        infinitives, participles = [verb.full_participle, "werden"], [verb.full_participle, "worden"]
        verb, auxiliary = WERDEN, SEIN
    if c.modal:
        modal = MODALS[c.modal][1]
        modal = "dürfen" if c.modal == "must" and c.negated else modal
        return GermanVerb(modal, "", "", ""), "preterite" if c.tense == "past" else "present", infinitives
    present_future = c.going and any(a.slot == "time" for a in c.adverbs)
    if c.tense == "future" and not present_future:
        return WERDEN, "present", infinitives
    if c.tense == "conditional":
        if c.verb.de.infinitive in ("sein", "haben") and not c.passive:
            return verb, "subjunctive", []
        return WERDEN, "subjunctive", infinitives
    if c.tense in ("perfect", "pluperfect") or (c.tense == "past" and not c.preterite):
        return auxiliary, "preterite" if c.tense == "pluperfect" else "present", participles
    tense = "preterite" if c.tense == "past" else "present"
    return verb, tense, [c.verb.de.full_participle] if c.passive else []


def german(
    c: Clause, order: str = "v2", front: str | None = None, gap: str = "", late_time: bool = False, subject: bool = True
) -> str:
    """Return the German clause.

    Order is v2 (the prefield is `front`, else the subject), v1, last, or zu. `subject` False leaves the subject out
    (second conjunct, relative pronoun, zu-infinitive).
    """
    verb, tense, final = _german_verbs(c)
    if order == "zu":
        middle = _german_middle(c, False, gap, late_time)
        infinitive = f"{c.verb.de.full_participle} zu werden" if c.passive else c.verb.de.zu_infinitive
        return " ".join([*middle, infinitive, *([c.tail[1]] if c.tail[1] else [])])
    finite = verb.finite(tense, c.subject.person)
    particle = verb.particle if not final else ""
    inside = subject and not (order == "v2" and front is None)
    middle = _german_middle(c, inside, gap, late_time)
    if order == "last":
        words = [*middle, *final, particle + finite]
    else:
        prefield = (
            [] if order == "v1" or (not subject and front is None) else [c.subject.de[0] if front is None else front]
        )
        words = [*prefield, finite, *middle, particle, *final]
    return " ".join(word for word in (*words, c.tail[1]) if word)


def imperative(c: Clause, person: int, please: Sequence[str] = ()) -> str:
    """Return the German command for du (1), ihr (4) or Sie (5), or the proposal for wir (3)."""
    verb = c.verb.de
    address = {5: ["Sie"], 3: ["wir"]}.get(person, [])
    word = verb.infinitive if person == 3 else verb.imperative(person)
    middle = _german_middle(c, False, "", False)
    reflexive = middle[:1] if verb.reflexive else []
    rest = middle[len(reflexive) :]
    pronouns = sum(np.is_pronoun for _, np in c.objects if _ != "p")
    return " ".join(
        [
            word,
            *address,
            *reflexive,
            *rest[:pronouns],
            *please,
            *rest[pronouns:],
            *([verb.particle] if verb.particle else []),
        ]
    )


def has_subjunctive(verb: GermanVerb) -> bool:
    """True if the conditional is a form of its own (wäre, hätte)."""
    return "subjunctive" in IRREGULAR.get(verb.infinitive, {})
