"""Clauses whose German verb or preposition depends on the objects: going, putting, living, measuring."""

from __future__ import annotations

from quickstart_grammar import german
from quickstart_grammar.adjectives import ADJECTIVES, STATE_ADJECTIVES
from quickstart_grammar.adverbs import Adverb, Adverbs
from quickstart_grammar.dice import Dice
from quickstart_grammar.nouns import BY_NAME, NOUNS
from quickstart_grammar.numbers import english_digits, german_digits
from quickstart_grammar.phrases import NP, THE, A, Phrases, noun_phrase
from quickstart_grammar.render import Clause
from quickstart_grammar.verbs import parse_verb, verb

BE = verb("be", "sein war gewesen s")
BECOME = verb("become/became/become", "werden wurde geworden s")
GO = verb("go/went/gone", "gehen ging gegangen s", False)
TRAVEL = {
    "drive": verb("drive/drove/driven", "fahren fährt fuhr gefahren s", False),
    "fly": verb("fly/flew/flown", "fliegen flog geflogen s", False),
    "travel": verb("travel/travelled/travelled", "reisen s", False),
    "go": verb("go/went/gone", "fahren fährt fuhr gefahren s", False),
    "move": verb("move", "ziehen zog gezogen s", False),
    "return": verb("return", "zurück|kehren s", False),
    "hurry": verb("hurry", "eilen s", False),
    "walk": verb("walk", "laufen läuft lief gelaufen s", False),
}
VEHICLES = (
    ("by train", "mit dem Zug"),
    ("by car", "mit dem Auto"),
    ("by bus", "mit dem Bus"),
    ("by bicycle", "mit dem Fahrrad"),
    ("by tram", "mit der Straßenbahn"),
    ("by ship", "mit dem Schiff"),
    ("by taxi", "mit dem Taxi"),
    ("by underground", "mit der U-Bahn"),
    ("by motorbike", "mit dem Motorrad"),
)
LIVE_AT = verb("live", "wohnen")
LIVE_IN = verb("live", "leben")
KNOW = parse_verb("know/knew/known {a} ; kennen kannte gekannt ; a:who building text !")
HAVE = parse_verb("have/had/had {a} ; haben hatte gehabt ; a:vehicle !")
# Posture by the kind of object: German be-verb and put-verb.
POSTURE = {
    "small": (verb("be", "liegen lag gelegen"), parse_verb("put/put/put {a} ; legen ; a:small")),
    "text": (verb("be", "liegen lag gelegen"), parse_verb("put/put/put {a} ; legen ; a:text")),
    "clothing": (verb("be", "hängen hing gehangen"), parse_verb("hang/hung/hung {a} ; hängen ; a:clothing")),
    "stand": (verb("be", "stehen stand gestanden"), parse_verb("put/put/put {a} ; stellen ; a:stand")),
    "hang": (verb("be", "hängen hing gehangen"), parse_verb("hang/hung/hung {a} ; hängen ; a:hang")),
}
SURFACES = {
    "small": (
        ("on", "auf", "table desk shelf chair sofa bed carpet stool"),
        ("under", "unter", "table bed sofa cupboard"),
        ("in", "in", "drawer cupboard kitchen box basket"),
        ("next to", "neben", "bed plate suitcase"),
    ),
    "stand": (
        ("on", "auf", "table desk shelf chest_of_drawers"),
        ("behind", "hinter", "door sofa cupboard"),
        ("in", "in", "kitchen cupboard cellar garage"),
        ("next to", "neben", "bed piano chair"),
        ("in front of", "vor", "door window house mirror"),
    ),
    "hang": (
        ("over", "über", "sofa bed desk fireplace piano"),
        ("in", "in", "living_room bedroom office classroom museum"),
        ("next to", "neben", "window door mirror"),
    ),
    "clothing": (("in", "in", "wardrobe cupboard"),),
}
SURFACES["text"] = SURFACES["small"]
PROFESSIONS = tuple(
    n
    for n in NOUNS["person"]
    if n.feminine
    and n.en
    not in (
        "friend",
        "neighbour",
        "pupil",
        "visitor",
        "owner",
        "witness",
        "customer",
        "passenger",
        "reader",
        "tenant",
        "player",
    )
)
UNITS = {
    "long": ("metres long", "Meter lang"),
    "high": ("metres high", "Meter hoch"),
    "deep": ("metres deep", "Meter tief"),
    "wide": ("metres wide", "Meter breit"),
    "km": ("kilometres long", "Kilometer lang"),
}
# Things that are measured: unit and range.
MEASURES = tuple(
    line.split()
    for line in [
        "bridge long 30 2500",
        "bridge wide 4 35",
        "tower high 20 300",
        "cathedral high 40 160",
        "castle wide 30 120",
        "lake deep 3 400",
        "lake km 2 60",
        "river km 20 2800",
        "river wide 5 800",
        "mountain high 600 4800",
        "valley km 3 90",
        "waterfall high 8 300",
        "tree high 3 60",
        "island km 1 120",
        "gorge deep 20 400",
        "lighthouse high 15 70",
        "ship long 20 350",
        "train long 80 400",
        "tunnel km 1 57",
    ]
)
COST = verb("cost/cost/cost", "kosten")
WEIGH = verb("weigh", "wiegen wog gewogen")
TAKE = verb("take/took/taken", "dauern")
RISE = (verb("rise/rose/risen", "steigen stieg gestiegen s"), verb("fall/fell/fallen", "sinken sank gesunken s"))
CURRENCIES = (("euros", "Euro"), ("Swiss francs", "Schweizer Franken"), ("dollars", "Dollar"), ("pounds", "Pfund"))


class Scenes:
    """Draws scenes for a personal subject, or with things as subjects."""

    def __init__(self, dice: Dice, phrases: Phrases, adverbs: Adverbs) -> None:
        self.dice = dice
        self.phrases = phrases
        self.adverbs = adverbs

    def draw(self, subject: NP) -> Clause:
        """Return a scene about a person."""
        kind = self.dice.weighted(
            (
                (8, self.go),
                (5, self.live),
                (6, self.put),
                (4, self.state),
                (3, self.profession),
                (4, self.know),
                (5, self.where),
                (4, self.have),
            )
        )
        return kind(subject)

    def thing(self) -> Clause:
        """Return a scene about a thing: where it is, how big, how dear, or how it changes."""
        return self.dice.weighted(((4, self.posture), (3, self.measure), (3, self.cost), (2, self.change)))()

    def go(self, subject: NP) -> Clause:
        """Go, drive, fly, move to a place: nach, zu, in, an, auf by the goal."""
        place = self.adverbs.place()
        goal = Adverb(place.en_goal, place.de_goal, "goal")
        if place.kind == "spot":
            motion = GO if place.en == "abroad" else self.dice.pick((GO, GO, TRAVEL["hurry"], TRAVEL["walk"]))
            return Clause(subject, motion, complement=goal)
        name = self.dice.pick(("drive", "fly", "travel", "go", "go", "move", "return"))
        if name == "move" and place.kind == "region":
            name = "travel"
        if name == "go" and self.dice.chance(0.7):
            en, de = self.dice.zipf(VEHICLES)
            goal = Adverb(f"{place.en_goal} {en}", f"{de} {place.de_goal}", "goal")
        return Clause(subject, TRAVEL[name], complement=goal)

    def live(self, subject: NP) -> Clause:
        """Live: wohnen in towns and buildings, leben in countries and regions."""
        place = self.adverbs.place()
        while place.kind == "spot":
            place = self.adverbs.place()
        where = Adverb(place.en, place.de, "goal")
        if place.kind == "city" and self.dice.chance(0.4):
            building = self.phrases.np(("=flat,house,villa",), determiner=A)
            where = Adverb(f"in {building.en} {place.en}", f"{building.after('in', 2)} {place.de}", "goal")
        return Clause(subject, LIVE_AT if place.kind == "city" else LIVE_IN, complement=where)

    def spot(self, kind: str, case: int) -> Adverb:
        """Return where a thing of this kind is (case 2) or is put (case 1)."""
        en, de, names = self.dice.pick(SURFACES[kind])
        allowed = [n for n in names.split() if n.replace("_", " ") in BY_NAME]
        where = self.phrases.np((f"={','.join(allowed)}",), determiner=THE, chance=0.25)
        while where.plural:
            where = self.phrases.np((f"={','.join(allowed)}",), determiner=THE, chance=0.25)
        english = {"in": "into" if case == 1 and self.dice.chance(0.5) else "in"}.get(en, en)
        if kind == "hang" and self.dice.chance(0.4):
            return Adverb("on the wall", "an der Wand" if case == 2 else "an die Wand", "goal")
        return Adverb(f"{english} {where.en}", where.after(de, case), "goal")

    def put(self, subject: NP) -> Clause:
        """Put: legen, stellen or hängen by the object."""
        kind = self.dice.weighted(((5, "small"), (3, "text"), (5, "stand"), (3, "hang"), (2, "clothing")))
        thing = self.phrases.np((kind,), subject)
        return Clause(subject, POSTURE[kind][1], (("a", thing),), complement=self.spot(kind, 1))

    def posture(self) -> Clause:
        """Be somewhere: liegen, stehen or hängen by the subject."""
        kind = self.dice.weighted(((5, "small"), (3, "text"), (5, "stand"), (4, "hang"), (2, "clothing")))
        thing = self.phrases.np((kind,), determiner=self.dice.pick((THE, None)))
        return Clause(thing, POSTURE[kind][0], complement=self.spot(kind, 2))

    def know(self, subject: NP) -> Clause:
        """Know a person or thing: kennen."""
        return Clause(subject, KNOW, (("a", self.phrases.np(("person", "kin", "building", "text"), subject)),))

    def have(self, subject: NP) -> Clause:
        """Have something."""
        kinds = ("animal", "vehicle", "device", "abstract", "clothing", "furniture")
        return Clause(subject, HAVE, (("a", self.phrases.np(kinds, determiner=A, chance=0.6)),))

    def where(self, subject: NP) -> Clause:
        """Be at a place."""
        place = self.adverbs.place()
        return Clause(subject, BE, complement=Adverb(place.en, place.de, "goal"))

    def state(self, subject: NP) -> Clause:
        """Be tired; be very tired."""
        adjective = self.dice.zipf(STATE_ADJECTIVES)
        en, de = self.dice.pick((("", ""), ("very ", "sehr "), ("too ", "zu "), ("quite ", "ziemlich ")))
        if adjective.de in ("pleite", "allein", "bereit", "spät dran"):
            en, de = "", ""
        return Clause(subject, BE, complement=Adverb(en + adjective.en, de + adjective.de, "goal"))

    def profession(self, subject: NP) -> Clause:
        """Be or become a doctor: no article in German, and the noun has the subject's sex."""
        profession = self.dice.zipf(PROFESSIONS)
        if subject.person in (0, 1, 5) and subject.en_pronoun in ("you", "I"):
            return self.state(subject)
        female = subject.en_pronoun == "she"
        noun = profession.as_feminine() if female else profession
        plural = subject.plural
        phrase = noun_phrase(A, (), noun, plural)
        english = noun.en_plural if plural else phrase.en
        return Clause(
            subject,
            self.dice.pick((BE, BECOME)),
            complement=Adverb(english, noun.de_plural if plural else noun.de, "goal"),
        )

    def quality(self, subject: NP) -> Clause:
        """Be big; be bigger than another; be as big as another."""
        kind = subject.kind if subject.kind in ADJECTIVES else "abstract"
        adjective = self.dice.zipf(
            [a for a in ADJECTIVES[kind] if a.de not in ("letzt", "nächst", "jährlich", "lieb", "hölzern")]
        )
        if adjective.comparative and self.dice.chance(0.6):
            other = self.phrases.np((kind,), determiner=self.dice.pick((THE, None)), chance=0.2)
            if self.dice.chance(0.4):
                text = Adverb(f"as {adjective.en} as {other.en}", f"so {adjective.de} wie {other.de[0]}", "goal")
            else:
                text = Adverb(
                    f"{adjective.en_comparative} than {other.en}", f"{adjective.comparative} als {other.de[0]}", "goal"
                )
            return Clause(subject, BE, complement=text)
        en, de = self.dice.pick((("", ""), ("very ", "sehr "), ("too ", "zu "), ("rather ", "ziemlich ")))
        en, de = (en, de) if adjective.comparative else ("", "")
        return Clause(subject, BE, complement=Adverb(en + adjective.en, de + adjective.de, "goal"))

    def quantity(self, low: int, high: int) -> tuple[str, str]:
        """Return a number in digits, with decimals now and then."""
        value, decimals = self.dice.number(low, high), 1 if self.dice.chance(0.4) else 0
        exact = value + self.dice.number(1, 9) / 10 * decimals
        return english_digits(exact, decimals), german_digits(exact, decimals)

    def measure(self) -> Clause:
        """Be 1,250.5 metres long; weigh 12.5 kilograms."""
        if self.dice.chance(0.25):
            thing = self.phrases.np(("animal", "furniture", "device", "=suitcase,parcel,box"), determiner=THE)
            en, de = self.quantity(2, 1400)
            return Clause(thing, WEIGH, complement=Adverb(f"{en} kilograms", f"{de} Kilogramm", "present"))
        name, unit, low, high = self.dice.pick([m for m in MEASURES if m[0] in BY_NAME])
        subject = self.phrases.np((f"={name}",), determiner=THE)
        en, de = self.quantity(int(low), int(high))
        return Clause(subject, BE, complement=Adverb(f"{en} {UNITS[unit][0]}", f"{de} {UNITS[unit][1]}", "present"))

    def cost(self) -> Clause:
        """Cost 1,250.50 euros."""
        thing = self.phrases.np(
            ("vehicle", "device", "clothing", "furniture", "food", "text", "small"),
            determiner=self.dice.pick((THE, None)),
        )
        dear = thing.kind in ("vehicle", "device", "furniture")
        value = self.dice.number(1000, 90000) if dear and self.dice.chance(0.8) else self.dice.number(2, 400)
        decimals = 2 if self.dice.chance(0.4) else 0
        exact = value + self.dice.number(1, 19) / 20 * (decimals > 0)
        en_number, de_number = english_digits(exact, decimals), german_digits(exact, decimals)
        currency = self.dice.zipf(CURRENCIES)
        price = Adverb(f"€{en_number}", f"{de_number} €", "present")
        if self.dice.chance(0.7):
            price = Adverb(f"{en_number} {currency[0]}", f"{de_number} {currency[1]}", "present")
        return Clause(thing, COST, complement=price)

    def change(self) -> Clause:
        """Rise or fall by 3.5 per cent, to 12.5 degrees."""
        en_thing, de_thing, gender = self.dice.pick(
            (
                ("temperature", "Temperatur", "f"),
                ("price", "Preis", "m"),
                ("number of visitors", "Zahl der Besucher", "f"),
                ("unemployment rate", "Arbeitslosenquote", "f"),
                ("rent", "Miete", "f"),
                ("water level", "Wasserstand", "m"),
            )
        )
        en, de = self.quantity(2, 40)
        amount = {
            "temperature": ("degrees", "Grad"),
            "water level": ("metres", "Meter"),
            "price": ("euros", "Euro"),
        }.get(en_thing, ("per cent", "Prozent"))
        en_way, de_way = self.dice.pick((("by", "um"), ("to", "auf")) if amount[0] != "per cent" else (("by", "um"),))
        cases = [f"{german.article('der', '', case, gender)} {de_thing}" for case in range(4)]
        subject = NP(
            f"the {en_thing}", f"the {en_thing}", (cases[0], cases[1], cases[2], cases[3]), gender, 2, "it", "quantity"
        )
        return Clause(
            subject,
            self.dice.pick(RISE),
            complement=Adverb(f"{en_way} {en} {amount[0]}", f"{de_way} {de} {amount[1]}", "goal"),
        )
