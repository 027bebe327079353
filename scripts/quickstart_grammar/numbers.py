"""Numbers, dates and clock times in both languages (facts as in CLDR's locales en-GB and de)."""

from __future__ import annotations

EN_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
EN_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DE_SMALL = [
    "null",
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
]
DE_TENS = ["_", "_", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
MONTHS = tuple(
    zip(
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
        strict=True,
    )
)
WEEKDAYS = tuple(
    zip(
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
        strict=True,
    )
)


def english_words(number: int) -> str:
    """Spell a number from 0 to 999,999 in English."""
    if number < 20:
        return EN_SMALL[number]
    if number < 100:
        return EN_TENS[number // 10] + (f"-{EN_SMALL[number % 10]}" if number % 10 else "")
    if number < 1000:
        rest = f" and {english_words(number % 100)}" if number % 100 else ""
        return f"{EN_SMALL[number // 100]} hundred{rest}"
    below = number % 1000
    joint = "" if not below else (" and " if below < 100 else " ") + english_words(below)
    return f"{english_words(number // 1000)} thousand{joint}"


def german_words(number: int, final: bool = True) -> str:
    """Spell a number from 0 to 999,999 in German; not `final`: another part follows in the word (einundzwanzig)."""
    if number < 20:
        return "ein" if number == 1 and not final else DE_SMALL[number]
    if number < 100:
        tens = DE_TENS[number // 10]
        return f"{german_words(number % 10, False)}und{tens}" if number % 10 else tens
    if number < 1000:
        return f"{german_words(number // 100, False)}hundert" + (german_words(number % 100) if number % 100 else "")
    return f"{german_words(number // 1000, False)}tausend" + (german_words(number % 1000) if number % 1000 else "")


def english_digits(value: float, decimals: int = 0) -> str:
    """Return 1,250.5."""
    return f"{value:,.{decimals}f}"


def german_digits(value: float, decimals: int = 0) -> str:
    """Return 1.250,5."""
    return english_digits(value, decimals).translate(str.maketrans(",.", ".,"))


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 11th."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def clock(hour: int, minute: int, style: str) -> tuple[str, str]:
    """Return a time of day (hour 0 to 23) in both languages; style is words, twelve (a.m., p.m.) or digits (24)."""
    if style == "digits":
        return f"{hour:02d}:{minute:02d}", f"{hour}.{minute:02d} Uhr" if minute else f"{hour} Uhr"
    if style == "twelve":
        half = "a.m." if hour < 12 else "p.m."
        english = f"{(hour - 1) % 12 + 1}.{minute:02d} {half}" if minute else f"{(hour - 1) % 12 + 1} {half}"
        return english, f"{hour}.{minute:02d} Uhr" if minute else f"{hour} Uhr"
    this, following = (hour - 1) % 12 + 1, hour % 12 + 1
    if minute == 0:
        return f"{EN_SMALL[this]} o'clock", f"{german_words(this, False)} Uhr"
    if minute == 30:
        return f"half past {EN_SMALL[this]}", f"halb {DE_SMALL[following]}"
    amount = minute if minute < 30 else 60 - minute
    english_amount = "a quarter" if amount == 15 else EN_SMALL[amount] if amount < 20 else EN_TENS[2]
    german_amount = "Viertel" if amount == 15 else DE_SMALL[amount] if amount < 20 else DE_TENS[2]
    if minute < 30:
        return f"{english_amount} past {EN_SMALL[this]}", f"{german_amount} nach {DE_SMALL[this]}"
    return f"{english_amount} to {EN_SMALL[following]}", f"{german_amount} vor {DE_SMALL[following]}"
