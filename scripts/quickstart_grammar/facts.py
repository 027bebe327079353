"""Sentences of facts: dates, weather, populations, superlatives, news with numbers."""

from __future__ import annotations

from quickstart_grammar.adjectives import ADJECTIVES, ORIGINS, Adjective
from quickstart_grammar.adverbs import Adverb
from quickstart_grammar.clauses import Clauses
from quickstart_grammar.dice import Dice
from quickstart_grammar.numbers import english_digits, german_digits
from quickstart_grammar.phrases import NP, THE, A, noun_phrase
from quickstart_grammar.places import CITY_PLACES, COUNTRY_PLACES
from quickstart_grammar.render import Clause, english, german
from quickstart_grammar.verbs import verb

Pair = tuple[str, str]
WEATHER = (
    (verb("rain", "regnen", False), "it", "es"),
    (verb("snow", "schneien", False), "it", "es"),
    (verb("be cold", "kalt~ sein war gewesen s"), "it", "es"),
)
PLURAL_SUBJECTS = (
    ("students", "der Studenten"),
    ("inhabitants", "der Einwohner"),
    ("employees", "der Beschäftigten"),
    ("voters", "der Wähler"),
    ("visitors", "der Besucher"),
    ("citizens", "der Bürger"),
    ("pupils", "der Schüler"),
    ("patients", "der Patienten"),
)
OPINIONS = (
    ("are in favour of {}", "sind für {}", 1),
    ("were against {}", "waren gegen {}", 1),
    ("are satisfied with {}", "sind mit {} zufrieden", 2),
    ("have not yet heard of {}", "haben noch nichts von {} gehört", 2),
    ("took part in {}", "haben an {} teilgenommen", 2),
)


class Facts:
    """Draws factual sentences."""

    def __init__(self, dice: Dice, clauses: Clauses) -> None:
        self.dice = dice
        self.clauses = clauses

    def draw(self) -> Pair:
        """Return both texts without the final mark."""
        kinds = (
            (3, self._born),
            (2, self._weather),
            (3, self._population),
            (4, self._superlative),
            (3, self._share),
            (3, self._opening_hours),
            (3, self._exists),
            (2, self._distance),
            (3, self._duration),
            (2, self._apposition),
        )
        return self.dice.weighted(kinds)()

    def _city(self) -> tuple[str, str]:
        place = self.dice.zipf(CITY_PLACES)
        return place.name, place.de_name

    def _born(self) -> Pair:
        person = self.clauses.phrases.subject(("who",))
        city, date = self._city(), self.clauses.adverbs.date()
        be, become = (
            ("was", "wurde")
            if not person.plural and person.en_pronoun != "you"
            else ("were", ("wurde", "wurdest", "wurde", "wurden", "wurdet", "wurden")[person.person])
        )
        if person.en_pronoun == "we":
            be = "were"
        if self.dice.chance(0.5):
            return (
                f"{person.en} {be} born {date.en} in {city[0]}",
                f"{person.de[0]} {become} {date.de} in {city[1]} geboren",
            )
        return (
            f"{person.en} {be} born in {city[0]} {date.en}",
            f"{person.de[0]} {become} {date.de} in {city[1]} geboren",
        )

    def _weather(self) -> Pair:
        word, _, _ = self.dice.pick(WEATHER)
        city = self._city()
        it = NP("it", "it", ("es", "es", "ihm", ""), "n", 2, "it", "weather", is_pronoun=True)
        tense = self.dice.pick(("past", "future"))
        adverb = self.clauses.adverbs.time(tense)
        place = Adverb(f"in {city[0]}", f"in {city[1]}", "place")
        c = Clause(it, word, tense=tense, adverbs=(place,))
        if self.dice.chance(0.5):
            value, decimals = self.dice.number(2, 38), 1 if self.dice.chance(0.5) else 0
            number = value + self.dice.number(1, 9) / 10 * decimals
            en, de = english_digits(number, decimals), german_digits(number, decimals)
            minus_en, minus_de = ("minus ", "minus ") if self.dice.chance(0.25) else ("", "")
            if tense == "past":
                return (
                    f"{adverb.en} the temperature in {city[0]} was {minus_en}{en} degrees",
                    f"{adverb.de} lag die Temperatur in {city[1]} bei {minus_de}{de} Grad",
                )
            return (
                f"{adverb.en} the temperature in {city[0]} will reach {minus_en}{en} degrees",
                f"{adverb.de} wird die Temperatur in {city[1]} {minus_de}{de} Grad erreichen",
            )
        return f"{adverb.en} {english(c)}", german(c, front=adverb.de)

    def _population(self) -> Pair:
        city = self._city()
        if self.dice.chance(0.4):
            number = self.dice.number(11, 95) / 10
            return (
                f"{city[0]} has about {english_digits(number, 1)} million inhabitants",
                f"{city[1]} hat etwa {german_digits(number, 1)} Millionen Einwohner",
            )
        number = self.dice.number(1000, 950000)
        number = number - number % 100 if self.dice.chance(0.5) else number
        year = self.dice.number(1850, 2020)
        return (
            f"in {year} , {city[0]} had {english_digits(number)} inhabitants",
            f"im Jahr {year} hatte {city[1]} {german_digits(number)} Einwohner",
        )

    def _superlative(self) -> Pair:
        kind = self.dice.pick(
            ("building", "nature", "vehicle", "text", "clothing", "food", "device", "animal", "event")
        )
        noun = self.clauses.phrases.noun((kind,))
        adjective = self.dice.zipf([a for a in ADJECTIVES[kind] if a.superlative])
        shown = Adjective(adjective.en_superlative, adjective.superlative, adjective.superlative, "", "")
        phrase = noun_phrase(THE, (shown,), noun, False)
        subject = self.clauses.phrases.np((kind,), determiner=THE, chance=0.1)
        while subject.plural or subject.noun == noun:
            subject = self.clauses.phrases.np((kind,), determiner=THE, chance=0.1)
        where = self.dice.pick(
            (
                ("in the world", "der Welt"),
                ("in the whole country", "im ganzen Land"),
                ("in the town", "in der Stadt"),
                ("of all time", "aller Zeiten"),
                ("in Europe", "in Europa"),
            )
        )
        this = self.dice.chance(0.6)
        start_en, start_de = ("this", "das") if this else (subject.en, subject.de[0])
        one = self.dice.chance(0.25)
        if one:
            plural = noun_phrase(THE, (shown,), noun, True) if not noun.mass else None
            if plural is not None:
                article = {"m": "einer", "f": "eine", "n": "eines"}[noun.gender]
                return (
                    f"{start_en} is one of {plural.en} {where[0]}",
                    f"{start_de} ist {article} {plural.de[3]} {where[1]}",
                )
        return f"{start_en} is {phrase.en} {where[0]}", f"{start_de} ist {phrase.de[0]} {where[1]}"

    def _share(self) -> Pair:
        decimals = 1 if self.dice.chance(0.5) else 0
        number = self.dice.number(3, 96) + self.dice.number(1, 9) / 10 * decimals
        en_people, de_people = self.dice.pick(PLURAL_SUBJECTS)
        en, de, case = self.dice.pick(OPINIONS)
        thing = self.clauses.phrases.np(("event",) if "took" in en else ("abstract",), determiner=THE)
        preposition = {"took part in {}": "an", "have not yet heard of {}": "von", "are satisfied with {}": "mit"}.get(
            en, ""
        )
        phrase = thing.after(preposition, case) if preposition else thing.de[case]
        german_text = de.replace(f"{preposition} {{}}" if preposition else "{}", phrase)
        return (
            f"{english_digits(number, decimals)} per cent of the {en_people} {en.format(thing.en)}",
            f"{german_digits(number, decimals)} Prozent {de_people} {german_text}",
        )

    def _opening_hours(self) -> Pair:
        building = self.clauses.phrases.np(("building",), determiner=THE, chance=0.15)
        while building.plural:
            building = self.clauses.phrases.np(("building",), determiner=THE, chance=0.15)
        day = self.dice.number(0, 3)
        first, last = self.clauses.adverbs.weekday(day), self.clauses.adverbs.weekday(self.dice.number(day + 2, 6))
        start, end = self.dice.number(7, 11), self.dice.number(15, 22)
        half = self.dice.chance(0.4)
        en_start = f"{start}{'.30' if half else ''} a.m."
        de_start = f"{start}{'.30' if half else ''} Uhr" if half else str(start)
        return (
            f"{building.en} is open from {first[0]} to {last[0]} between {en_start} and {end - 12} p.m.",
            f"{building.de[0]} ist von {first[1]} bis {last[1]} zwischen {de_start} und {end} Uhr geöffnet",
        )

    def _exists(self) -> Pair:
        thing = self.clauses.indefinite(("building", "nature", "event", "animal", "plant"))
        place = self.clauses.adverbs.place()
        while place.kind == "spot":
            place = self.clauses.adverbs.place()
        past = self.dice.chance(0.3)
        if self.dice.chance(0.5):
            return (
                f"there {'was' if past else 'is'} {thing.en} {place.en}",
                f"{place.de} {'gab' if past else 'gibt'} es {thing.de[1]}",
            )
        return (
            f"{place.en} there {'was' if past else 'is'} {thing.en}",
            f"{place.de} {'gab' if past else 'gibt'} es {thing.de[1]}",
        )

    def _distance(self) -> Pair:
        one, other = self._city(), self._city()
        while one == other:
            other = self._city()
        decimals = 1 if self.dice.chance(0.4) else 0
        number = self.dice.number(12, 2500) + self.dice.number(1, 9) / 10 * decimals
        en, de = english_digits(number, decimals), german_digits(number, decimals)
        if self.dice.chance(0.5):
            return (
                f"it is {en} kilometres from {one[0]} to {other[0]}",
                f"von {one[1]} nach {other[1]} sind es {de} Kilometer",
            )
        return (
            f"{one[0]} is {en} kilometres away from {other[0]}",
            f"{one[1]} ist {de} Kilometer von {other[1]} entfernt",
        )

    def _duration(self) -> Pair:
        event = self.clauses.phrases.np(("event",), determiner=THE)
        while event.plural:
            event = self.clauses.phrases.np(("event",), determiner=THE)
        number = self.dice.number(2, 12)
        unit = self.dice.pick((("hours", "Stunden"), ("minutes", "Minuten"), ("days", "Tage"), ("weeks", "Wochen")))
        from_ = self.dice.number(1, 20)
        to = from_ + self.dice.number(2, 8)
        month = self.clauses.dice.pick(
            (("March", "März"), ("May", "Mai"), ("July", "Juli"), ("October", "Oktober"), ("December", "Dezember"))
        )
        if self.dice.chance(0.5):
            return f"{event.en} lasted {number} {unit[0]}", f"{event.de[0]} dauerte {number} {unit[1]}"
        return (
            f"{event.en} takes place from {from_} to {to} {month[0]}",
            f"{event.de[0]} findet vom {from_}. bis zum {to}. {month[1]} statt",
        )

    def _apposition(self) -> Pair:
        person = self.clauses.phrases.person_name()
        origin = self.dice.zipf(ORIGINS)
        noun = self.clauses.phrases.noun(("person",))
        while not noun.feminine:
            noun = self.clauses.phrases.noun(("person",))
        noun = noun.as_feminine() if person.en_pronoun == "she" else noun
        phrase = noun_phrase(A, (origin,), noun, False)
        country = self.dice.zipf(COUNTRY_PLACES)
        c = self.clauses.clause(subject=person, tense="past", plain=True)
        if self.dice.chance(0.5):
            pronoun = "die" if person.en_pronoun == "she" else "der"
            return (
                f"{person.en} is {phrase.en} who lives {country.en}",
                f"{person.de[0]} ist {phrase.de[0]} , {pronoun} {country.de} lebt",
            )
        rest_en, rest_de = english(c, "bare"), german(c, subject=False)
        return f"{person.en} , {phrase.en} , {rest_en}", f"{person.de[0]} , {phrase.de[0]} , {rest_de}"
