"""Adverbials in both languages, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from quickstart_grammar.dice import Dice
from quickstart_grammar.numbers import DE_SMALL, EN_SMALL, MONTHS, WEEKDAYS, clock
from quickstart_grammar.places import CITY_PLACES, COUNTRY_PLACES, REGION_PLACES, SPOT_PLACES, Place


@dataclass(frozen=True)
class Adverb:
    """An adverbial; slot is time, frequency, already, manner, place, goal, sentence, yet or neg (nicht mehr)."""

    en: str
    de: str
    slot: str


TIMES = {
    "past": """
yesterday|gestern; last week|letzte Woche; this morning|heute Morgen; last year|letztes Jahr;
the day before yesterday|vorgestern; yesterday evening|gestern Abend; last summer|letzten Sommer;
last night|letzte Nacht; last month|letzten Monat; back then|damals; last weekend|letztes Wochenende;
at Christmas|an Weihnachten; after the war|nach dem Krieg; on her birthday|an ihrem Geburtstag;
during the night|in der Nacht; shortly afterwards|kurz danach; at the age of twelve|im Alter von zwölf Jahren;
last winter|letzten Winter
""",
    "present": """
today|heute; now|jetzt; at the moment|im Moment; these days|heutzutage; at present|zurzeit; this week|diese Woche
""",
    "future": """
tomorrow|morgen; next week|nächste Woche; soon|bald; this evening|heute Abend; next year|nächstes Jahr;
tomorrow morning|morgen früh; the day after tomorrow|übermorgen; next month|nächsten Monat; later|später;
next summer|nächsten Sommer; this afternoon|heute Nachmittag; at the weekend|am Wochenende;
tomorrow evening|morgen Abend; in the near future|in naher Zukunft; at Easter|an Ostern
""",
    "habit": """
every day|jeden Tag; on Sundays|sonntags; every morning|jeden Morgen; in the evening|am Abend; every year|jedes Jahr;
in winter|im Winter; twice a week|zweimal pro Woche; in the morning|am Morgen; every evening|jeden Abend;
on Fridays|freitags; once a month|einmal im Monat; at night|nachts; during the holidays|in den Ferien;
every other week|jede zweite Woche; after work|nach der Arbeit
""",
}
FREQUENCIES = """
often|oft; always|immer; never|nie; usually|meistens; sometimes|manchmal; rarely|selten; regularly|regelmäßig;
almost never|fast nie; occasionally|gelegentlich
"""
MANNERS = """
carefully|vorsichtig; quickly|schnell; in silence|schweigend; secretly|heimlich; patiently|geduldig;
with great pleasure|mit großem Vergnügen; reluctantly|widerwillig; for hours|stundenlang; for free|kostenlos;
in a hurry|in Eile; without hesitation|ohne zu zögern; with great care|mit großer Sorgfalt; by mistake|aus Versehen;
on purpose|absichtlich; in vain|vergeblich; out of boredom|aus Langeweile; voluntarily|freiwillig;
at the last minute|in letzter Minute
"""
SENTENCES = """
unfortunately|leider; perhaps|vielleicht; fortunately|zum Glück; of course|natürlich; apparently|anscheinend;
probably|wahrscheinlich; surprisingly|überraschenderweise; as a rule|in der Regel;
according to the newspaper|laut der Zeitung; to everyone's surprise|zur Überraschung aller;
for this reason|aus diesem Grund; despite the rain|trotz des Regens;
because of the bad weather|wegen des schlechten Wetters; in my opinion|meiner Meinung nach;
without doubt|ohne Zweifel; instead of that|stattdessen
"""
PARTS = (("morning", "morgen"), ("afternoon", "nachmittag"), ("evening", "abend"))


def _parse(text: str, slot: str) -> tuple[Adverb, ...]:
    pairs = (item.strip().split("|") for item in text.strip().replace("\n", " ").split(";"))
    return tuple(Adverb(en, de, slot) for en, de in pairs)


FIXED_TIMES = {tense: _parse(text, "time") for tense, text in TIMES.items()}
FREQUENCY = _parse(FREQUENCIES, "frequency")
MANNER = _parse(MANNERS, "manner")
SENTENCE = _parse(SENTENCES, "sentence")
YET = Adverb("yet", "noch", "yet")
ALREADY = Adverb("already", "schon", "already")
NO_LONGER = Adverb("no longer", "nicht mehr", "neg")
JUST_NOW = Adverb("", "gerade", "frequency")


class Adverbs:
    """Draws adverbials."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def time(self, tense: str) -> Adverb:
        """Return a time for past, present, future or habit."""
        if tense in ("past", "future") and self.dice.chance(0.5):
            if tense == "past":
                return self.dice.pick((self.date, self.ago, self.day, self.year))()
            return self.dice.pick((self.hence, self.day, self.clock_time))()
        if tense == "habit" and self.dice.chance(0.2):
            return self.clock_time()
        return self.dice.zipf(FIXED_TIMES[tense])

    def weekday(self, index: int | None = None) -> tuple[str, str]:
        """Return a weekday, any or number 0 (Monday) to 6; Saturday is Samstag or, as in the north, Sonnabend."""
        en, de = self.dice.pick(WEEKDAYS) if index is None else WEEKDAYS[index]
        return en, "Sonnabend" if de == "Samstag" and self.dice.chance(0.3) else de

    def date(self) -> Adverb:
        """Return a day with its month, often with year or weekday."""
        (en_month, de_month), day = self.dice.pick(MONTHS), self.dice.number(1, 28)
        number = self.dice.number(1950, 2024)
        if self.dice.chance(0.2):
            en_day, de_day = self.weekday(date(number, MONTHS.index((en_month, de_month)) + 1, day).weekday())
            year = f" {number}"
            return Adverb(f"on {en_day}, {day} {en_month}{year}", f"am {de_day}, dem {day}. {de_month}{year}", "time")
        year = f" {number}" if self.dice.chance(0.6) else ""
        english = (
            f"on {day} {en_month}{year}"
            if self.dice.chance(0.8)
            else f"on {en_month} {day}" + (f",{year}" if year else "")
        )
        return Adverb(english, f"am {day}. {de_month}{year}", "time")

    def year(self) -> Adverb:
        """Return a month, a year, or both."""
        (en_month, de_month), year = self.dice.pick(MONTHS), self.dice.number(1890, 2023)
        if self.dice.chance(0.35):
            return Adverb(f"in {year}", f"im Jahr {year}" if self.dice.chance(0.5) else f"{year}", "time")
        return Adverb(f"in {en_month} {year}", f"im {de_month} {year}", "time")

    def _span(self) -> tuple[str, str]:
        number = self.dice.number(1, 10)
        en, one, many = self.dice.pick(
            (
                ("day", "einem Tag", "Tagen"),
                ("week", "einer Woche", "Wochen"),
                ("month", "einem Monat", "Monaten"),
                ("year", "einem Jahr", "Jahren"),
                ("hour", "einer Stunde", "Stunden"),
            )
        )
        if number == 1:
            return f"{'an' if en == 'hour' else 'a'} {en}", one
        return f"{EN_SMALL[number]} {en}s", f"{DE_SMALL[number]} {many}"

    def ago(self) -> Adverb:
        """Return "three weeks ago"."""
        en, de = self._span()
        return Adverb(f"{en} ago", f"vor {de}", "time")

    def hence(self) -> Adverb:
        """Return "in three weeks"."""
        en, de = self._span()
        return Adverb(f"in {en}", f"in {de}", "time")

    def since(self) -> Adverb:
        """Return "for three weeks" or "since 1998", which German says with seit."""
        if self.dice.chance(0.3):
            year = self.dice.number(1970, 2022)
            return Adverb(f"since {year}", f"seit {year}", "time")
        en, de = self._span()
        return Adverb(f"for {en}", f"seit {de}", "time")

    def day(self) -> Adverb:
        """Return a weekday, perhaps with a part of the day or a clock time."""
        en, de = self.weekday()
        if self.dice.chance(0.4):
            en_part, de_part = self.dice.pick(PARTS)
            return Adverb(f"on {en} {en_part}", f"am {de}{de_part}", "time")
        if self.dice.chance(0.4):
            time = self.clock_time()
            return Adverb(f"on {en} {time.en}", f"am {de} {time.de}", "time")
        return Adverb(f"on {en}", f"am {de}", "time")

    def clock_time(self) -> Adverb:
        """Return a time of day."""
        style = self.dice.weighted(((5, "words"), (3, "twelve"), (1, "digits")))
        en, de = clock(self.dice.number(6, 23), self.dice.pick((0, 0, 30, 30, 15, 45, 10, 20, 50, 5, 40)), style)
        return Adverb(f"at {en}", f"um {de}", "time")

    def place(self) -> Place:
        """Return a place of any kind."""
        places = self.dice.weighted(((30, CITY_PLACES), (15, COUNTRY_PLACES), (12, REGION_PLACES), (43, SPOT_PLACES)))
        return self.dice.zipf(places)
