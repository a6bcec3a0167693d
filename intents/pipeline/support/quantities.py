"""Numbers with their units, in figures and in spoken words, and sides of the body. Pure."""

import re
from collections.abc import Sequence

from intents.pipeline.support.sentences import plain

UNITS = {
    "mg": r"mgs?|milligrams?",
    "ug": r"mcg|ug|µg|μg|micrograms?",
    "g": r"g|grams?",
    "kg": r"kgs?|kilos?|kilograms?",
    "lb": r"lbs?|pounds?",
    "mL": r"mls?|cc|millilit(?:er|re)s?",
    "[iU]": r"units?|iu",
    "%": r"%|percent|per cent",
    "mm[Hg]": r"mm ?hg",
    "tablet": r"tablets?|pills?|tabs?",
    "h": r"hours?|hrs?|h",
    "d": r"days?",
    "wk": r"weeks?",
    "mo": r"months?",
    "a": r"years?|yrs?",
}
_UNIT = "|".join(f"(?P<u{i}>{p})" for i, p in enumerate(UNITS.values()))
_NUMBER = re.compile(
    rf"(?<![\w.,/-])(?P<n>\d+(?:,\d{{3}})*(?:\.\d+)?)(?:[ -]?(?:{_UNIT})(?![a-z]))?(?![\w])"
)
_NOT_A_VALUE = re.compile(
    r"\b\d{1,4}[-/]\d{1,2}[-/]\d{1,4}\b|\b\d{1,2}:\d{2}\b|\b[a-z]\d{2}(?:\.\d+)?\b|^[ \t]*\d+[.)]\s",
    re.MULTILINE,
)
_SMALL = {
    w: i
    for i, w in enumerate(
        [
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
    )
} | {"once": 1, "twice": 2, "thrice": 3, "couple": 2, "oh": 0}
_TENS = {
    w: 10 * i
    for i, w in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
_RUN = re.compile(
    rf"\b(?:{'|'.join([*_SMALL, *_TENS])}|half)(?:(?:[ -]| and )(?:{'|'.join([*_SMALL, *_TENS, 'hundred', 'thousand', 'point', 'half'])}))*\b"
)
_WORD_UNIT = re.compile(rf"[ -]?(?:{_UNIT})(?![a-z])")


def _unit_of(match: re.Match[str]) -> str:
    return next((u for i, u in enumerate(UNITS) if match.group(f"u{i}") is not None), "")


def _value(text: str) -> str:
    """A number as text without thousands' commas and without zeros that say nothing."""
    plain = text.replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain.lstrip("0") or "0"


def numbers(text: str) -> list[tuple[str, str]]:
    """(value, unit) of each number in figures; dates, times, codes and list marks are none."""
    low = _NOT_A_VALUE.sub(lambda m: " " * len(m.group()), plain(text))
    low = re.sub(r"(?<=\d)/(?=\d)", " ", low)
    return [(_value(m.group("n")), _unit_of(m)) for m in _NUMBER.finditer(low)]


def spoken_numbers(text: str) -> frozenset[tuple[str, str]]:
    """Every (value, unit) that can be heard in `text`, in figures or words; without a unit as well.

    Words are read generously ("one fifty four" is 154, and also 1, 54 and 50): a number counts as missing
    only where no reading gives it.
    """
    low = plain(text)
    found: set[tuple[str, str]] = set(numbers(low))
    for run in _RUN.finditer(low):
        follows = _WORD_UNIT.match(low, run.end())
        unit = _unit_of(follows) if follows else ""
        found |= {(value, unit) for value in _readings(run.group())}
    for single in re.finditer(r"\b(?:an?|another|every|per|each|once an?) (?=\w)", low):
        follows = _WORD_UNIT.match(low, single.end() - 1)
        if follows:
            found.add(("1", _unit_of(follows)))
    return frozenset(found | {(value, "") for value, _ in found})


_LONGEST = 9


def _readings(run: str) -> set[str]:
    words = [w for w in re.split(r"[ -]+", run) if w != "and"]
    if len(words) > _LONGEST:
        # Nobody speaks one number in so many words: a list, read piece by piece.
        return {v for i in range(0, len(words), 2) for v in _readings(" ".join(words[i : i + 4]))}
    out = {_value(str(_sum(words)))} | {str(_SMALL.get(w, _TENS.get(w, ""))) for w in words} - {""}
    if "half" in words:
        whole = _sum([w for w in words if w != "half"])
        out |= {f"{whole}.5", "0.5"}
    if "point" in words:
        place = words.index("point")
        digits = "".join(str(_SMALL[w]) for w in words[place + 1 :] if w in _SMALL)
        out |= (
            {_value(f"{_sum(words[:place])}.{digits}"), _value(f"0.{digits}")} if digits else set()
        )
    for cut in range(1, len(words)):
        left, right = _sum(words[:cut]), _sum(words[cut:])
        # "one fifty four" and "twenty twenty" are spoken figure by figure.
        out |= {f"{left}{right:02d}" if right < 100 else f"{left}{right}", str(left), str(right)}
    return out


def _sum(words: Sequence[str]) -> int:
    total = part = 0
    for word in words:
        if word == "hundred":
            part = (part or 1) * 100
        elif word == "thousand":
            total, part = total + (part or 1) * 1000, 0
        else:
            part += _SMALL.get(word, _TENS.get(word, 0))
    return total + part


_PARTS = (
    "knee|hip|shoulder|elbow|wrist|ankle|foot|feet|hand|arm|leg|thigh|calf|eye|ear|breast|lung|kidney|heel|toes?|"
    "fingers?|thumb|flank|groin|side"
)
_SIDED = re.compile(rf"\b(left|right)(?:[- ]sided)?(?: (?!left|right)\w+){{0,2}}? ({_PARTS})\b")


def sides_named(text: str) -> dict[str, set[str]]:
    """Which sides a text names of each paired part of the body: {"knee": {"left"}}."""
    out: dict[str, set[str]] = {}
    for side, part in _SIDED.findall(plain(text)):
        if part != "side":
            out.setdefault(part.rstrip("s"), set()).add(side)
    return out
