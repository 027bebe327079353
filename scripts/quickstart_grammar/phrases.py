"""Noun phrases in both languages: determiner, adjectives, noun, genitive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from quickstart_grammar import german
from quickstart_grammar.adjectives import ADJECTIVES, INDECLINABLE, ORIGIN_KINDS, ORIGINS, Adjective
from quickstart_grammar.compounds import compound, compound_groups
from quickstart_grammar.dice import Dice
from quickstart_grammar.english import article, possessive
from quickstart_grammar.nouns import BY_NAME, COUNTABLE_KIN, NEUTER_PERSONS, NOUNS, RELATIONAL_NOUNS, Noun
from quickstart_grammar.numbers import english_words, german_words
from quickstart_grammar.places import MEN, SURNAMES, WOMEN

EN_PRONOUNS = {
    "I": ("I", "me", "my"),
    "you": ("you", "you", "your"),
    "he": ("he", "him", "his"),
    "she": ("she", "her", "her"),
    "it": ("it", "it", "its"),
    "we": ("we", "us", "our"),
    "they": ("they", "them", "their"),
}
PRONOUN_KEYS = {"I": ("ich", 0), "we": ("wir", 3), "he": ("m", 2), "she": ("f", 2), "it": ("n", 2), "they": ("p", 5)}
YOU_KEYS = {"du": 1, "ihr": 4, "Sie": 5}
POSSESSIVES = {
    "ich": "mein",
    "du": "dein",
    "m": "sein",
    "f": "ihr",
    "n": "sein",
    "wir": "unser",
    "ihr": "euer",
    "p": "ihr",
    "Sie": "Ihr",
}


@dataclass(frozen=True)
class Determiner:
    """A determiner; series as in `german.article`."""

    en: str
    de: str
    series: str
    definite: bool = True


THE = Determiner("the", "", "der")
A = Determiner("a", "ein", "ein", False)
BARE = Determiner("", "", "bare", False)
NO = Determiner("a", "kein", "ein", False)
NO_PLURAL = Determiner("any", "kein", "ein", False)
SINGULAR = ((44, THE), (30, A), (6, Determiner("this", "dies", "dies")), (3, Determiner("every", "jed", "dies")))
PLURAL = (
    (30, THE),
    (22, BARE),
    (6, Determiner("these", "dies", "dies")),
    (7, Determiner("many", "viel", "plural", False)),
    (6, Determiner("some", "einig", "plural", False)),
    (5, Determiner("several", "mehrer", "plural", False)),
    (4, Determiner("all the", "all", "dies")),
    (3, Determiner("few", "wenig", "plural", False)),
    (3, Determiner("both", "beid", "both")),
)
MASS = ((50, THE), (40, BARE), (10, Determiner("this", "dies", "dies")))


@dataclass(frozen=True)
class NP:
    """A noun phrase; `de` holds the four cases, `agreement` the German pronoun key, `person` is 0 ich ... 5 sie.

    `en_pronoun` is the English pronoun that refers to it; `negated` is the same phrase with kein, if it is indefinite.
    """

    en: str
    en_object: str
    de: tuple[str, str, str, str]
    agreement: str
    person: int
    en_pronoun: str
    kind: str
    definite: bool = True
    is_pronoun: bool = False
    contracts: bool = False
    negated: NP | None = None
    noun: Noun | None = None

    @property
    def plural(self) -> bool:
        """True if the German phrase is plural."""
        return self.person > 2

    @property
    def column(self) -> str:
        """Return the gender column m, f, n or p of a third person."""
        return self.agreement if self.agreement in german.COLUMNS else "p"

    def with_clause(self, en: str, de: str) -> NP:
        """Return the phrase followed by a clause or attribute in both languages."""
        forms = tuple(form + de for form in self.de)
        return replace(
            self,
            en=self.en + en,
            en_object=self.en_object + en,
            de=(forms[0], forms[1], forms[2], forms[3]),
            contracts=False,
            negated=None,
        )

    def after(self, preposition: str, case: int) -> str:
        """Return preposition and phrase in German."""
        phrase = self.de[case]
        return german.contract(preposition, phrase) if self.contracts else f"{preposition} {phrase}"


def pronoun(english: str, key: str = "") -> NP:
    """Return a pronoun; `key` is du, ihr or Sie for you, and m, f or n where the German gender differs."""
    agreement, person = PRONOUN_KEYS[english] if english != "you" else (key, YOU_KEYS[key])
    agreement = key or agreement
    subject, obj, _ = EN_PRONOUNS[english]
    return NP(subject, obj, german.PRONOUNS[agreement], agreement, person, english, "person", is_pronoun=True)


def refer(np: NP) -> NP:
    """Return the pronoun that refers to a noun phrase."""
    if np.is_pronoun:
        return np
    subject, obj, _ = EN_PRONOUNS[np.en_pronoun]
    return NP(
        subject, obj, german.PRONOUNS[np.agreement], np.agreement, np.person, np.en_pronoun, np.kind, is_pronoun=True
    )


def owned_by(owner: NP) -> Determiner:
    """Return my, sein, ... for the owner."""
    return Determiner(EN_PRONOUNS[owner.en_pronoun][2], POSSESSIVES[owner.agreement], "ein")


def decline(determiner: Determiner, adjectives: Sequence[Adjective], noun: Noun, case: int, plural: bool) -> str:
    """Return the German phrase in one case."""
    column = "p" if plural else noun.gender
    series = determiner.series
    pattern = "weak" if series == "both" else german.declension(series)
    if series in ("both", "plural"):
        word = german.article("dies", determiner.de, case, "p")
        word = f"{german.article('der', '', case, 'p')} beiden" if series == "both" else word
    else:
        word = german.article(series, determiner.de, case, column)
    inflected = [a.de if a.de in INDECLINABLE else german.adjective(a.stem, pattern, case, column) for a in adjectives]
    shown = noun.declined(case, plural)
    if case == 3 and series == "bare" and not adjectives:
        return f"von {noun.declined(2, plural)}"
    return " ".join(part for part in (word, *inflected, shown) if part)


def english_np(determiner: Determiner, adjectives: Sequence[Adjective], noun: Noun, plural: bool) -> str:
    """Return the English phrase."""
    words = [a.en for a in adjectives] + [noun.en_plural if plural else noun.en]
    text = " ".join(words)
    return " ".join(part for part in (article(text) if determiner.en == "a" else determiner.en, text) if part)


def noun_phrase(determiner: Determiner, adjectives: Sequence[Adjective], noun: Noun, plural: bool) -> NP:
    """Return the phrase in both languages, with its negated twin if it is indefinite."""
    if determiner is A and (plural or noun.mass):
        determiner = BARE
    english = english_np(determiner, adjectives, noun, plural)
    cases = tuple(decline(determiner, adjectives, noun, case, plural) for case in range(4))
    negated = None
    if determiner in (A, BARE):
        negated = noun_phrase(NO if determiner is A else NO_PLURAL, adjectives, noun, plural)
    singular = NEUTER_PERSONS.get(noun.en) or (
        "it" if noun.kind not in ("person", "kin") else {"m": "he", "f": "she"}.get(noun.gender, "it")
    )
    return NP(
        en=english,
        en_object=english,
        de=(cases[0], cases[1], cases[2], cases[3]),
        agreement="p" if plural else noun.gender,
        person=5 if plural else 2,
        en_pronoun="they" if plural else singular,
        kind=noun.kind,
        definite=determiner.definite,
        contracts=determiner.series == "der",
        negated=negated,
        noun=noun,
    )


def name(en: str, de: str, cases: tuple[str, str, str], male: bool) -> NP:
    """Return a name: English, German nominative and its other cases."""
    return NP(en, en, (de, *cases), "m" if male else "f", 2, "he" if male else "she", "person")


def german_genitive(first_name: str) -> str:
    """Return Annas, Thomas'."""
    return first_name + ("'" if first_name[-1] in "sxzß" else "s")


class Phrases:
    """Draws noun phrases."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.address = "du"
        self.compounds = {kind: compound_groups(kind) for kind in NOUNS}

    def first_name(self) -> tuple[str, bool]:
        """Return a first name and whether it is a man's."""
        male = self.dice.chance(0.5)
        return self.dice.zipf(MEN if male else WOMEN), male

    def person_name(self) -> NP:
        """Return Anna, or Mr Weber."""
        if self.dice.chance(0.6):
            first, male = self.first_name()
            genitive = german_genitive(first)
            return name(first, first, (first, first, genitive), male)
        surname, male = self.dice.zipf(SURNAMES), self.dice.chance(0.5)
        title, oblique = ("Herr", "Herrn") if male else ("Frau", "Frau")
        others = (f"{oblique} {surname}", f"{oblique} {surname}", f"{oblique} {german_genitive(surname)}")
        return name(f"{'Mr' if male else 'Mrs'} {surname}", f"{title} {surname}", others, male)

    def you(self) -> NP:
        """Return you in the sentence's form of address: du, Sie or ihr."""
        return pronoun("you", self.address)

    def personal_pronoun(self) -> NP:
        """Return a personal pronoun other than it."""
        english = self.dice.weighted(((5, "I"), (5, "he"), (5, "she"), (4, "we"), (4, "they"), (2, "you")))
        return self.you() if english == "you" else pronoun(english)

    def noun(self, kinds: Sequence[str]) -> Noun:
        """Return a noun of one of the kinds; `=a,b` names single nouns."""
        options: list[Noun] = []
        plain = []
        for kind in kinds:
            if kind.startswith("="):
                options += [BY_NAME[n.replace("_", " ")] for n in kind[1:].split(",") if n.replace("_", " ") in BY_NAME]
            elif kind in NOUNS:
                plain.append(kind)
        if options and (not plain or self.dice.chance(0.5)):
            return self.dice.zipf(options)
        kind = self.dice.weighted([(len(NOUNS[k]), k) for k in plain])
        if self.compounds[kind] and self.dice.chance(0.24):
            found = self._compound(kind)
            if found:
                return found
        return self.dice.zipf(NOUNS[kind])

    def _compound(self, kind: str) -> Noun | None:
        modifiers, heads = self.dice.pick(self.compounds[kind])
        return compound(self.dice.zipf(modifiers), self.dice.zipf(heads))

    def adjectives(self, kind: str, chance: float = 0.4) -> list[Adjective]:
        """Return no, one or two adjectives that suit the kind."""
        chosen: list[Adjective] = []
        if kind in ADJECTIVES and self.dice.chance(chance):
            chosen.append(self.dice.zipf(ADJECTIVES[kind]))
        if kind in ORIGIN_KINDS and self.dice.chance(0.08):
            chosen.append(self.dice.zipf(ORIGINS))
        return chosen

    def np(
        self,
        kinds: Sequence[str],
        owner: NP | None = None,
        determiner: Determiner | None = None,
        chance: float = 0.4,
        gendered: bool = False,
    ) -> NP:
        """Return a noun phrase of one of the kinds; `owner` may become its possessive.

        `gendered`: a later pronoun will show the sex, so the noun may be a woman's (the doctor ... she: die Ärztin).
        """
        only = not any(k in NOUNS or k.startswith("=") for k in kinds)
        while only or (determiner is None and not gendered and self.dice.chance(0.12)):
            relational = self._genitive(kinds)
            if relational:
                return relational
        noun = self.noun(kinds)
        if noun.kind == "topic":
            return noun_phrase(BARE, (), noun, False)
        adjectives = [a for a in self.adjectives(noun.kind, chance) if not noun.en.startswith(a.en)]
        plural = not noun.mass and self.dice.chance(0.08 if noun.kind == "kin" or gendered else 0.27)
        plural = plural and (noun.kind != "kin" or noun.en in COUNTABLE_KIN)
        if gendered and not plural and noun.feminine and self.dice.chance(0.45):
            noun = noun.as_feminine()
        if determiner is None and plural and self.dice.chance(0.15):
            return noun_phrase(self._count(), adjectives, noun, True)
        return noun_phrase(determiner or self.determiner(noun, plural, owner), adjectives, noun, plural)

    def _count(self) -> Determiner:
        number = self.dice.number(2, 12) if self.dice.chance(0.7) else self.dice.number(13, 99)
        spelled = number < 13 or self.dice.chance(0.5)
        en, de = (english_words(number), german_words(number)) if spelled else (str(number), str(number))
        return Determiner(en, de, "fixed", False)

    def determiner(self, noun: Noun, plural: bool, owner: NP | None) -> Determiner:
        """Return a determiner that suits the noun."""
        if noun.en in ("man", "woman"):
            owner = None
        if owner is not None and (noun.kind == "kin" or self.dice.chance(0.12)) and owner.en_pronoun != "it":
            return owned_by(owner)
        if noun.kind == "kin" or (noun.en not in ("man", "woman") and self.dice.chance(0.1)):
            if self.dice.chance(0.35):
                first, _ = self.first_name()
                return Determiner(possessive(first), german_genitive(first), "fixed")
            return owned_by(self.personal_pronoun())
        return self.dice.weighted(MASS if noun.mass else PLURAL if plural else SINGULAR)

    def _genitive(self, kinds: Sequence[str]) -> NP | None:
        heads = [n for n in RELATIONAL_NOUNS if n.kind in kinds]
        if heads and (self.dice.chance(0.5) or not set(kinds) & set(NOUNS)):
            head = self.dice.pick(heads)
            owner = self.np([self.dice.pick(head.owners)], determiner=THE)
            if owner.plural and self.dice.chance(0.8):
                return None
            base = noun_phrase(THE, (), head, False)
            joined = base.with_clause(f" of {owner.en}", f" {owner.de[3]}")
            return replace(joined, contracts=True)
        things = [
            k for k in kinds if k in ("vehicle", "clothing", "text", "small", "furniture", "animal", "hang", "device")
        ]
        if not things:
            return None
        owner = self.np(
            ("person", "kin"), determiner=self.dice.pick((THE, owned_by(self.personal_pronoun()))), chance=0.15
        )
        if owner.plural:
            return None
        noun, adjectives = self.noun(things), self.adjectives(things[0], 0.2)
        adjectives = [] if noun.kind != things[0] else adjectives
        base = noun_phrase(THE, adjectives, noun, False)
        owned = Determiner(possessive(owner.en), "", "bare")
        english = english_np(owned, adjectives, noun, False)
        joined = base.with_clause("", f" {owner.de[3]}")
        return replace(joined, en=english, en_object=english, contracts=True)

    def people(self, owner: NP | None = None, gendered: bool = False) -> NP:
        """Return a person: noun phrase, name, or two of them joined by and."""
        if self.dice.chance(0.25):
            return self.person_name()
        if self.dice.chance(0.07):
            return join(self.person_name(), self.np(("kin",), owner, chance=0.1))
        return self.np(("person", "person", "kin"), owner, gendered=gendered)

    def subject(self, kinds: Sequence[str], gendered: bool = False) -> NP:
        """Return a subject; `who` stands for people, pronouns included."""
        if tuple(kinds) != ("who",):
            people = "person" in kinds and self.dice.chance(0.6)
            return self.subject(("who",), gendered) if people else self.np(kinds)
        if self.dice.chance(0.4):
            return self.personal_pronoun()
        return self.people(gendered=gendered)


def join(first: NP, second: NP, en: str = "and", de: str = "und") -> NP:
    """Return two phrases joined by and."""
    forms = tuple(f"{a} {de} {b}" for a, b in zip(first.de, second.de, strict=True))
    english = f"{first.en} {en} {second.en}"
    return NP(english, english, (forms[0], forms[1], forms[2], forms[3]), "p", 5, "they", first.kind)
