"""Adjectives: `english German [stem=...] [comparative superlative]`, and the kinds of noun they may describe.

`*` marks an adjective that is not compared. Regular comparison is derived; entries are ordered by frequency.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PEOPLE = "person kin"
THINGS = "small stand hang furniture clothing device vehicle building"
ENTRIES: tuple[tuple[str, str], ...] = (
    (
        "person",
        "young jung jünger jüngst, old alt älter ältest, friendly freundlich, famous berühmt, rich reich, clever "
        "klug klüger klügst, tall groß größer größt, polite höflich, strict streng, nice nett, lazy faul, brave "
        "mutig, honest ehrlich, patient geduldig, curious neugierig, poor arm ärmer ärmst, shy schüchtern, "
        "experienced erfahren, hard-working fleißig, ambitious ehrgeizig, unemployed arbeitslos *, helpful "
        "hilfsbereit, generous großzügig, reliable zuverlässig, stubborn stur, modest bescheiden, suspicious "
        "misstrauisch, blind blind *, eloquent redegewandt",
    ),
    (
        "kin",
        "young jung jünger jüngst, old alt älter ältest, dear lieb, sick krank *, clever klug klüger klügst, patient "
        "geduldig, shy schüchtern",
    ),
    (
        "animal",
        "small klein, big groß größer größt, young jung jünger jüngst, old alt älter ältest, wild wild, hungry "
        "hungrig, black schwarz *, white weiß *, brown braun *, dangerous gefährlich, loyal treu, timid scheu, fat "
        "dick, greedy gierig, tame zahm",
    ),
    (
        "text",
        "long lang länger längst, short kurz kürzer kürzest, interesting interessant, new neu, boring langweilig, "
        "old alt älter ältest, important wichtig, exciting spannend, difficult schwierig, secret geheim *, funny "
        "lustig, detailed ausführlich, unusual ungewöhnlich, anonymous anonym *, illegible unleserlich *",
    ),
    (
        "small stand hang furniture",
        "new neu, old alt älter ältest, small klein, big groß größer größt, beautiful schön, expensive teuer "
        "stem=teur teurer teuerst, heavy schwer, broken kaputt *, red rot *, valuable wertvoll, cheap billig, green "
        "grün *, round rund *, blue blau *, colourful bunt, ugly hässlich, white weiß *, useful nützlich, antique "
        "antik *, dirty schmutzig, pink rosa *",
    ),
    (
        "clothing",
        "new neu, warm warm wärmer wärmst, red rot *, black schwarz *, elegant elegant, blue blau *, old alt älter "
        "ältest, thin dünn, expensive teuer stem=teur teurer teuerst, thick dick, grey grau *, long lang länger "
        "längst, dark dunkel stem=dunkl dunkler dunkelst, yellow gelb *, fashionable modisch, torn zerrissen *, "
        "waterproof wasserdicht *, purple lila *",
    ),
    (
        "food",
        "fresh frisch, warm warm wärmer wärmst, sweet süß, good gut besser best, delicious lecker, hot heiß, sour "
        "sauer stem=saur saurer sauerst, salty salzig, ripe reif, cold kalt kälter kältest, spicy scharf schärfer "
        "schärfst, stale alt älter ältest, mouldy schimmlig *, bitter bitter",
    ),
    (
        "drink",
        "hot heiß, cold kalt kälter kältest, strong stark stärker stärkst, fresh frisch, sweet süß, cheap billig, "
        "lukewarm lauwarm *, bitter bitter",
    ),
    (
        "device vehicle",
        "new neu, old alt älter ältest, modern modern, fast schnell, expensive teuer stem=teur teurer teuerst, "
        "broken kaputt *, big groß größer größt, quiet leise stem=leis leiser leisest, reliable zuverlässig, red rot "
        "*, electric elektrisch *, loud laut, economical sparsam, used gebraucht *, rusty rostig, silver-grey "
        "silbergrau *",
    ),
    (
        "building room",
        "old alt älter ältest, big groß größer größt, new neu, small klein, modern modern, beautiful schön, famous "
        "berühmt, bright hell, dark dunkel stem=dunkl dunkler dunkelst, empty leer, expensive teuer stem=teur teurer "
        "teuerst, quiet ruhig, comfortable gemütlich, medieval mittelalterlich *, historic historisch *, dilapidated "
        "baufällig, spacious geräumig",
    ),
    (
        "nature",
        "small klein, big groß größer größt, high hoch stem=hoh höher höchst, deep tief, quiet ruhig, wide breit, "
        "beautiful schön, remote abgelegen, dark dunkel stem=dunkl dunkler dunkelst, green grün *, narrow schmal, "
        "steep steil, picturesque malerisch, uninhabited unbewohnt *",
    ),
    (
        "plant",
        "big groß größer größt, old alt älter ältest, tall hoch stem=hoh höher höchst, red rot *, yellow gelb *, "
        "beautiful schön, young jung jünger jüngst, withered verwelkt *",
    ),
    (
        "event",
        "long lang länger längst, important wichtig, big groß größer größt, interesting interessant, international "
        "international *, free kostenlos *, difficult schwierig, last letzt *, annual jährlich *, next nächst *, "
        "boring langweilig, successful erfolgreich, unforgettable unvergesslich, controversial umstritten",
    ),
    (
        "abstract",
        "new neu, big groß größer größt, important wichtig, difficult schwierig, good gut besser best, serious ernst, "
        "simple einfach, bad schlecht, strange seltsam, wrong falsch *, unexpected unerwartet *, "
        "clever klug klüger klügst, dangerous gefährlich, complicated kompliziert, absurd absurd",
    ),
    (
        "opening",
        "big groß größer größt, heavy schwer, small klein, old alt älter ältest, blue blau *, narrow schmal, green "
        "grün *, wooden hölzern *",
    ),
)
# Adjectives of origin (always lower case in German); they stand next to the noun.
ORIGIN = (
    "French französisch, Italian italienisch, German deutsch, English englisch, American amerikanisch, Spanish "
    "spanisch, Austrian österreichisch, Japanese japanisch, Dutch niederländisch, Polish polnisch, Turkish türkisch, "
    "Swedish schwedisch, Greek griechisch, Czech tschechisch, Norwegian norwegisch, Hungarian ungarisch, Portuguese "
    "portugiesisch, Irish irisch"
)
ORIGIN_KINDS = ("person", "text", "clothing", "food", "vehicle", "device", "furniture")
# States of people: predicative only.
STATES = (
    "tired müde, ill krank, happy glücklich, hungry hungrig, busy beschäftigt, angry wütend, sad traurig, nervous "
    "nervös, satisfied zufrieden, disappointed enttäuscht, surprised überrascht, late spät_dran, thirsty durstig, "
    "worried besorgt, alone allein, in_love verliebt, ready bereit, excited aufgeregt, jealous eifersüchtig, "
    "exhausted erschöpft, grateful dankbar, bored gelangweilt, injured verletzt, confused verwirrt, ashamed "
    "beschämt, speechless sprachlos, broke pleite"
)


@dataclass(frozen=True)
class Adjective:
    """One adjective; comparative and superlative are German stems, empty if it is not compared."""

    en: str
    de: str
    stem: str
    comparative: str
    superlative: str

    @property
    def en_comparative(self) -> str:
        """Return "bigger" or "more expensive"."""
        return _compare(self.en, "er", "more")

    @property
    def en_superlative(self) -> str:
        """Return "biggest" or "most expensive"."""
        return _compare(self.en, "est", "most")


IRREGULAR = {("good", "er"): "better", ("good", "est"): "best", ("bad", "er"): "worse", ("bad", "est"): "worst"}


def _compare(word: str, ending: str, adverb: str) -> str:
    if (word, ending) in IRREGULAR:
        return IRREGULAR[(word, ending)]
    if len(re.findall(r"[aeiouy]+", word.removesuffix("e"))) > 1 and not re.search(
        r"[^aeiou]y$|^(clever|quiet|simple|narrow)$", word
    ):
        return f"{adverb} {word}"
    if word.endswith("e"):
        return word + ending[1:]
    if word.endswith("y"):
        return word[:-1] + "i" + ending
    return word + (word[-1] if re.search(r"^[^aeiou]*[aeiou][bdgnt]$", word) else "") + ending


def parse_adjective(entry: str) -> Adjective:
    """Return the adjective of one lexicon entry (syntax: the module's docstring)."""
    en, de, *rest = entry.split()
    stem = next((f[5:] for f in rest if f.startswith("stem=")), de)
    forms = [f for f in rest if not f.startswith("stem=")]
    if forms == ["*"]:
        forms = ["", ""]
    elif not forms:
        forms = [
            stem + "er",
            de.rstrip("e")
            + ("est" if re.search(r"(t|d|s|ß|z|sch|x|u)e?$", de) and not re.search("end$|[^fr]isch$", de) else "st"),
        ]
    return Adjective(en.replace("_", " "), de.replace("_", " "), stem, forms[0], forms[1])


ADJECTIVES: dict[str, tuple[Adjective, ...]] = {
    kind: tuple(parse_adjective(entry) for entry in text.split(","))
    for kinds, text in ENTRIES
    for kind in kinds.split()
}
ORIGINS = tuple(parse_adjective(entry + " *") for entry in ORIGIN.split(","))
STATE_ADJECTIVES = tuple(parse_adjective(entry + " *") for entry in STATES.split(","))
INDECLINABLE = ("rosa", "lila")
