"""German inflection of articles, adjectives and verbs.

Cases are numbers: 0 nominative, 1 accusative, 2 dative, 3 genitive. Columns are m, f, n and p (plural).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COLUMNS = "mfnp"
DEFINITE = ("der die das die", "den die das die", "dem der dem den", "des der des der")
STRONG_ARTICLE = ("er e es e", "en e es e", "em er em en", "es er es er")
EIN_ARTICLE = ("- e - e", "en e - e", "em er em en", "es er es er")
ADJECTIVE = {
    "weak": ("e e e en", "en e e en", "en en en en", "en en en en"),
    "mixed": ("er e es en", "en e es en", "en en en en", "en en en en"),
    "strong": ("er e es e", "en e es e", "em er em en", "en er en er"),
}
RELATIVE = ("der die das die", "den die das die", "dem der dem denen", "dessen deren dessen deren")
CONTRACTIONS = {
    "in dem": "im",
    "an dem": "am",
    "von dem": "vom",
    "zu dem": "zum",
    "zu der": "zur",
    "bei dem": "beim",
    "in das": "ins",
    "an das": "ans",
}
SUBJECTS = ("ich", "du", "er", "wir", "ihr", "sie")
REFLEXIVE = {1: ("mich", "dich", "sich", "uns", "euch", "sich"), 2: ("mir", "dir", "sich", "uns", "euch", "sich")}
PRONOUNS = {
    "m": ("er", "ihn", "ihm", "seiner"),
    "f": ("sie", "sie", "ihr", "ihrer"),
    "n": ("es", "es", "ihm", "seiner"),
    "p": ("sie", "sie", "ihnen", "ihrer"),
    "ich": ("ich", "mich", "mir", "meiner"),
    "du": ("du", "dich", "dir", "deiner"),
    "wir": ("wir", "uns", "uns", "unser"),
    "ihr": ("ihr", "euch", "euch", "euer"),
    "Sie": ("Sie", "Sie", "Ihnen", "Ihrer"),
}


def _cell(table: tuple[str, ...], case: int, column: str) -> str:
    ending = table[case].split()[COLUMNS.index(column)]
    return "" if ending == "-" else ending


def article(series: str, stem: str, case: int, column: str) -> str:
    """Return the determiner; series is der, dies (strong endings), ein, fixed (never changes) or bare (none)."""
    if series == "der":
        return _cell(DEFINITE, case, column)
    if series in ("bare", "fixed"):
        return stem
    ending = _cell(STRONG_ARTICLE if series == "dies" else EIN_ARTICLE, case, column)
    return ("eur" if stem == "euer" and ending else stem) + ending


def declension(series: str) -> str:
    """Return which adjective endings follow a determiner of this series."""
    return {"der": "weak", "dies": "weak", "ein": "mixed"}.get(series, "strong")


def adjective(stem: str, pattern: str, case: int, column: str) -> str:
    """Return the adjective with its weak, mixed or strong ending."""
    return (stem.removesuffix("e") if stem.endswith("e") else stem) + _cell(ADJECTIVE[pattern], case, column)


def relative_pronoun(case: int, column: str) -> str:
    """Return der, dem, dessen, ... for the gender and number of the noun it stands for."""
    return _cell(RELATIVE, case, column)


def contract(preposition: str, phrase: str) -> str:
    """Return preposition and noun phrase, with im, zur, ins, ... where the article allows it."""
    article_word, _, rest = phrase.partition(" ")
    short = CONTRACTIONS.get(f"{preposition} {article_word}")
    return f"{short} {rest}" if short and rest else f"{preposition} {phrase}"


@dataclass(frozen=True)
class GermanVerb:
    """Principal parts; `particle` is the separable prefix, `participle` is without it.

    `reflexive` is the case of its reflexive pronoun (1 accusative, 2 dative) or 0.
    """

    infinitive: str
    present: str
    preterite: str
    participle: str
    auxiliary: str = "haben"
    particle: str = ""
    reflexive: int = 0

    @property
    def stem(self) -> str:
        """Return the infinitive's stem."""
        return re.sub(r"(?<=[lr])n$|en$|n$", "", self.infinitive)

    def finite(self, tense: str, person: int) -> str:
        """Return the present, preterite or subjunctive form without the particle; persons are 0 ich ... 5 sie."""
        if self.infinitive in IRREGULAR:
            return IRREGULAR[self.infinitive][tense].split()[person]
        return self._preterite(person) if tense == "preterite" else self._present(person)

    def _present(self, person: int) -> str:
        stem = self.stem
        e = "e" if re.search(r"(t|d|[^aeiouhlrmn][mn])$", stem) else ""
        if person == 0:
            return stem[:-2] + "le" if self.infinitive.endswith("eln") else stem + "e"
        if person == 1:
            return self._second_singular(stem, e)
        if person == 2:
            return self.present or stem + e + "t"
        return stem + e + "t" if person == 4 else self.infinitive

    def _second_singular(self, stem: str, e: str) -> str:
        if self.present and self.present != stem + e + "t":
            base = (
                self.present
                if re.search(r"(äl|ä|it)t$", self.present) and not self.present.endswith("ädt")
                else self.present[:-1]
            )
            base = {"lädt": "läd", "hält": "hält", "rät": "rät", "verrät": "verrät"}.get(self.present, base)
        else:
            base = stem + e
        return base + ("t" if re.search(r"(s|ß|z|x)$", base) else "st")

    def _preterite(self, person: int) -> str:
        if self.preterite.endswith("te"):
            return self.preterite + ("", "st", "", "n", "t", "n")[person]
        e = "e" if self.preterite[-1] in "tdsßz" else ""
        return (
            self.preterite + ("", e + "st", "", "en", ("e" if self.preterite[-1] in "td" else "") + "t", "en")[person]
        )

    def imperative(self, person: int) -> str:
        """Return the command for du (1), ihr (4) or Sie (5)."""
        if person == 5:
            return self.infinitive
        if person == 4:
            return self._present(4)
        stem = self.stem
        if re.search(r"i[^aeiou]*e?[^aeiou]*t$", self.present) and re.search(r"e[^aeiou]*$", stem):
            return self.present if stem.endswith("t") else self.present[:-1]
        if self.infinitive.endswith("eln"):
            return stem[:-2] + "le"
        return stem + ("e" if re.search(r"(t|d|er|ig|tütz|utz|[^aeiouhlrmn][mn])$", stem) else "")

    @property
    def full_infinitive(self) -> str:
        """Return the infinitive with its particle."""
        return self.particle + self.infinitive

    @property
    def zu_infinitive(self) -> str:
        """Return "anzurufen" or "zu lesen"."""
        return f"{self.particle}zu{self.infinitive}" if self.particle else f"zu {self.infinitive}"

    @property
    def full_participle(self) -> str:
        """Return the participle with its particle."""
        return self.particle + self.participle


IRREGULAR = {
    "sein": {
        "present": "bin bist ist sind seid sind",
        "preterite": "war warst war waren wart waren",
        "subjunctive": "wäre wärst wäre wären wärt wären",
    },
    "haben": {
        "present": "habe hast hat haben habt haben",
        "preterite": "hatte hattest hatte hatten hattet hatten",
        "subjunctive": "hätte hättest hätte hätten hättet hätten",
    },
    "werden": {
        "present": "werde wirst wird werden werdet werden",
        "preterite": "wurde wurdest wurde wurden wurdet wurden",
        "subjunctive": "würde würdest würde würden würdet würden",
    },
    "wissen": {
        "present": "weiß weißt weiß wissen wisst wissen",
        "preterite": "wusste wusstest wusste wussten wusstet wussten",
    },
    "können": {
        "present": "kann kannst kann können könnt können",
        "preterite": "konnte konntest konnte konnten konntet konnten",
    },
    "müssen": {
        "present": "muss musst muss müssen müsst müssen",
        "preterite": "musste musstest musste mussten musstet mussten",
    },
    "wollen": {
        "present": "will willst will wollen wollt wollen",
        "preterite": "wollte wolltest wollte wollten wolltet wollten",
    },
    "dürfen": {
        "present": "darf darfst darf dürfen dürft dürfen",
        "preterite": "durfte durftest durfte durften durftet durften",
    },
    "sollen": {
        "present": "sollte solltest sollte sollten solltet sollten",
        "preterite": "sollte solltest sollte sollten solltet sollten",
    },
    "mögen": {
        "present": "mag magst mag mögen mögt mögen",
        "preterite": "mochte mochtest mochte mochten mochtet mochten",
    },
    "möchten": {
        "present": "möchte möchtest möchte möchten möchtet möchten",
        "preterite": "wollte wolltest wollte wollten wolltet wollten",
    },
}
INSEPARABLE = r"^(be|ge|emp|ent|er|ver|zer|miss|über|unter|wieder|wider|voll)"


def parse_german(entry: str) -> GermanVerb:
    """Return the verb of "an|rufen rief gerufen" or "fahren fährt fuhr gefahren s"; of a weak verb, the infinitive."""
    words = entry.split()
    reflexive = {"sich": 1, "sich3": 2}.get(words[0], 0)
    words = words[1:] if reflexive else words
    auxiliary = "sein" if words[-1] == "s" else "haben"
    words = words[:-1] if words[-1] == "s" else words
    particle, infinitive = words[0].split("|") if "|" in words[0] else ("", words[0])
    forms = words[1:]
    if not forms:
        stem = re.sub(r"(?<=[lr])n$|en$|n$", "", infinitive)
        t = "et" if re.search(r"(t|d|[^aeiouhlrmn][mn])$", stem) else "t"
        bare = re.match(INSEPARABLE, infinitive) or (infinitive.endswith("ieren") and infinitive != "frieren")
        forms = [stem + t + "e", ("" if bare else "ge") + stem + t]
    present = forms[0] if len(forms) == 3 else ""
    return GermanVerb(infinitive, present, forms[-2], forms[-1], auxiliary, particle, reflexive)


HABEN, SEIN, WERDEN = (GermanVerb(v, "", "", "", "haben") for v in ("haben", "sein", "werden"))
