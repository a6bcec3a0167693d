"""Amounts, frequencies and strengths that directions and product names state in words. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import units

_SPOKEN_UNITS = {
    "mg": "mg",
    "milligram": "mg",
    "milligrams": "mg",
    "mcg": "ug",
    "µg": "ug",
    "μg": "ug",
    "ug": "ug",
    "microgram": "ug",
    "micrograms": "ug",
    "g": "g",
    "gram": "g",
    "grams": "g",
    "ml": "mL",
    "milliliter": "mL",
    "milliliters": "mL",
    "millilitre": "mL",
    "millilitres": "mL",
    "unit": "[iU]",
    "units": "[iU]",
    "meq": "meq",
    "mmol": "mmol",
    "tablet": "{tablet}",
    "tablets": "{tablet}",
    "tab": "{tablet}",
    "tabs": "{tablet}",
    "capsule": "{capsule}",
    "capsules": "{capsule}",
    "puff": "{puff}",
    "puffs": "{puff}",
    "drop": "{drop}",
    "drops": "{drop}",
    "patch": "{patch}",
    "patches": "{patch}",
}
_UNIT_WORDS = "|".join(sorted(_SPOKEN_UNITS, key=len, reverse=True))
_VULGAR = {"½": Fraction(1, 2), "¼": Fraction(1, 4), "¾": Fraction(3, 4), "⅓": Fraction(1, 3)}
_NUMBER = r"(?:(?P<whole>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)(?:/(?P<below>[1-9][0-9]*))? ?(?P<part>[½¼¾⅓])?|(?P<only>[½¼¾⅓]))"
# "400 mg per 5 mL" and "100 units/mL" are strengths, "1000 mg/day" a limit: none of them is what is taken at once.
_AMOUNT = re.compile(
    rf"(?<![0-9.,/]){_NUMBER}[ \t]*-?(?P<unit>{_UNIT_WORDS})"
    r"(?![A-Za-zµμ])(?!\s*(?:/|per\b))",
    re.IGNORECASE,
)
_OFTEN = re.compile(
    r"\b(?:(?P<often>once|twice|three times|four times|five times|six times|[0-9]{1,2} times)[ -]"
    r"(?:(?:a|per|each|every|in a|in one) )?(?P<period>day|daily|week|weekly|month|monthly)"
    r"|every (?P<number>[0-9]{1,3}) ?(?P<every>hour|day|week|month)s?"
    r"|every (?P<other>other) (?P<second>day|week)"
    r"|(?P<alone>daily|weekly|monthly))\b",
    re.IGNORECASE,
)
_SPOKEN_TIMES = {
    "once": 1,
    "twice": 2,
    "three times": 3,
    "four times": 4,
    "five times": 5,
    "six times": 6,
}
_SPOKEN_PERIODS = {
    "hour": "h",
    "day": "d",
    "daily": "d",
    "week": "wk",
    "weekly": "wk",
    "month": "mo",
    "monthly": "mo",
}


def spoken_amounts(text: str) -> tuple[tuple[Fraction, str], ...]:
    """(number, UCUM code) of every amount that a text states in digits; strengths ("400 mg per 5 mL") are none."""
    found = []
    for match in _AMOUNT.finditer(text):
        if match["only"]:
            number = _VULGAR[match["only"]]
        else:
            number = Fraction(match["whole"].replace(",", "")) / int(match["below"] or 1)
            number += _VULGAR.get(match["part"] or "", 0)
        found.append((number, _SPOKEN_UNITS[match["unit"].lower()]))
    return tuple(found)


def spoken_frequencies(text: str) -> tuple[dict[str, Any], ...]:
    """Every frequency that a text states plainly: "twice a day", "every 12 hours", "weekly"."""
    found = []
    for match in _OFTEN.finditer(text):
        if match["often"]:
            spoken = match["often"].lower()
            times = _SPOKEN_TIMES.get(spoken) or int(spoken.split()[0])
            period = _SPOKEN_PERIODS[match["period"].lower()]
            found.append({"times": times, "per": 1, "unit": period})
        elif match["number"]:
            unit = _SPOKEN_PERIODS[match["every"].lower()]
            found.append({"times": 1, "per": int(match["number"]), "unit": unit})
        elif match["other"]:
            found.append({"times": 1, "per": 2, "unit": _SPOKEN_PERIODS[match["second"].lower()]})
        else:
            found.append({"times": 1, "per": 1, "unit": _SPOKEN_PERIODS[match["alone"].lower()]})
    return tuple(one for one in found if one["times"] and one["per"])


@dataclass(frozen=True, slots=True)
class Strength:
    """So much of the drug in so much of the product: 10 mg in 1 {tablet}, 400 mg in 5 mL; exact."""

    amount: Fraction
    unit: str
    per: Fraction
    per_unit: str


_STRENGTH = re.compile(
    rf"(?<![0-9.,]){_NUMBER}[ \t]*(?P<unit>{_UNIT_WORDS})(?![A-Za-z])"
    r"(?:[ \t]*(?:/|per\b|in\b)[ \t]*(?P<per>[0-9]+(?:\.[0-9]+)?)?[ \t]*"
    r"(?P<product>ml|tablet|capsule|puff|actuation|drop|patch)\b)?",
    re.IGNORECASE,
)
_FORMS = re.compile(r"\b(tablet|capsule|puff|patch)(?:s|es)?\b", re.IGNORECASE)


def strength_in(words: str) -> Strength | None:
    """The strength that a product's name states: "lisinopril 10 mg tablet", "amoxicillin 400 mg per 5 mL".

    None where it states none, or several (a combination): then nothing can be reckoned.
    """
    found = [m for m in _STRENGTH.finditer(words) if not m["only"]]
    if len(found) != 1:
        return None
    match = found[0]
    amount, unit = Fraction(match["whole"].replace(",", "")), _SPOKEN_UNITS[match["unit"].lower()]
    product = (match["product"] or "").lower()
    if not product:
        forms = {form.lower() for form in _FORMS.findall(words)}
        if len(forms) != 1:
            return None
        product = forms.pop()
    per_unit = {"ml": "mL", "actuation": "{puff}"}.get(product, f"{{{product}}}")
    if units.same_dimension(unit, per_unit):
        return None
    return Strength(amount, unit, Fraction(match["per"] or 1), per_unit)


def dose_by_units(
    units_taken: Mapping[str, Any], strength: Strength
) -> tuple[Fraction, str] | None:
    """(amount, UCUM code) that so many units of a product come to; None for units that it is not counted in."""
    taken = units.converted(units_taken["value"], units_taken["unit"], strength.per_unit)
    return None if taken is None else (taken * strength.amount / strength.per, strength.unit)


def units_disagree(content: Mapping[str, Any], strength: Strength | None) -> bool | None:
    """Does “taken as” come to another amount than the dose, by the product's strength? None: not known."""
    dose, taken = content.get("dose"), content.get("units_taken")
    if not dose or not taken or strength is None or "low" in dose:
        return None
    reckoned = dose_by_units(taken, strength)
    if reckoned is None or not units.same_dimension(reckoned[1], dose["unit"]):
        return None
    return units.base_amount(*reckoned) != units.base_value(dose["value"], dose["unit"])[1]
