"""Units of measure: UCUM codes, their words for readers, and when two quantities are the same. Pure.

Only the units that the kinds of change name are known (UCUM, https://ucum.org/ucum). A quantity is compared
after conversion inside one dimension and never across: milligrams, millilitres and tablets differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: base value = value x factor + offset, exact, in the base unit of its dimension."""

    dimension: str
    factor: Fraction
    words: str
    offset: Fraction = Fraction(0)
    one: str = ""


def _unit(
    dimension: str, factor: str | int, words: str, offset: str | int = 0, *, one: str = ""
) -> Unit:
    return Unit(dimension, Fraction(factor), words, Fraction(offset), one)


# The words are those that the Joint Commission and ISMP ask for: "mcg" for ug, "units" for [iU].
UNITS: Mapping[str, Unit] = {
    "kg": _unit("mass", 1000, "kg"),
    "g": _unit("mass", 1, "g"),
    "mg": _unit("mass", "1/1000", "mg"),
    "ug": _unit("mass", "1/1000000", "mcg"),
    # UCUM: the pound is 0.45359237 kg, the ounce a sixteenth of it, by definition.
    "[lb_av]": _unit("mass", "45359237/100000", "lb"),
    "[oz_av]": _unit("mass", "45359237/1600000", "oz"),
    "L": _unit("volume", 1000, "L"),
    "mL": _unit("volume", 1, "mL"),
    "[iU]": _unit("international units", 1, "units", one="unit"),
    # An enzyme unit: never a unit of insulin. Spelt out, so that nobody reads a zero.
    "U": _unit("enzyme units", 1, "enzyme units (U)", one="enzyme unit (U)"),
    "meq": _unit("equivalents", 1, "mEq"),
    "mmol": _unit("amount", 1, "mmol"),
    "{tablet}": _unit("tablets", 1, "tablets", one="tablet"),
    "{capsule}": _unit("capsules", 1, "capsules", one="capsule"),
    "{puff}": _unit("puffs", 1, "puffs", one="puff"),
    "{drop}": _unit("drops", 1, "drops", one="drop"),
    "{patch}": _unit("patches", 1, "patches", one="patch"),
    "m": _unit("length", 100, "m"),
    "cm": _unit("length", 1, "cm"),
    "[in_i]": _unit("length", "254/100", "in"),
    "Cel": _unit("temperature", 1, "°C"),
    "[degF]": _unit("temperature", "5/9", "°F", "-160/9"),
    "mm[Hg]": _unit("pressure", 1, "mmHg"),
    "/min": _unit("frequency", 1, "per minute"),
    "%": _unit("share", 1, "%"),
    "kg/m2": _unit("body mass index", 1, "kg/m²"),
    "mmol/L": _unit("amount concentration", 1, "mmol/L"),
    "umol/L": _unit("amount concentration", "1/1000", "µmol/L"),
    "mg/dL": _unit("mass concentration", 1, "mg/dL"),
    "g/dL": _unit("mass concentration", 1000, "g/dL"),
    "g/L": _unit("mass concentration", 100, "g/L"),
    "ng/mL": _unit("mass concentration", "1/10000", "ng/mL"),
    "mL/min/{1.73_m2}": _unit("clearance by surface", 1, "mL/min/1.73 m²"),
    "mL/min": _unit("clearance", 1, "mL/min"),
    "mg/g": _unit("mass ratio", 1, "mg/g"),
    "{INR}": _unit("INR", 1, "INR"),
    "{score}": _unit("score", 1, "points", one="point"),
    "min": _unit("time", "1/60", "min"),
    "h": _unit("time", 1, "h"),
    "d": _unit("time", 24, "days", one="day"),
    "wk": _unit("time", 168, "weeks", one="week"),
    # A month and a year are no fixed number of days: each is a dimension of its own.
    "mo": _unit("months", 1, "months", one="month"),
    "a": _unit("months", 12, "years", one="year"),
}

MASS = ("mg", "ug", "g", "kg")
DRUG = ("mg", "ug", "g", "mL", "L", "[iU]", "meq", "mmol")
TAKEN_AS = ("{tablet}", "{capsule}", "mL", "{puff}", "{drop}", "{patch}")


def is_known(unit: str) -> bool:
    return unit in UNITS


def unit_words(unit: str) -> str:
    """The unit as a clinician reads it; an unknown one as it is spelt."""
    known = UNITS.get(unit)
    return known.words if known else unit


def amount_words(value: str, unit: str) -> str:
    """An amount as a clinician reads it: "10 mg", "1 tablet", "2 tablets"."""
    known = UNITS.get(unit)
    return f"{value} {known.one if known and known.one and value == '1' else unit_words(unit)}"


def base_value(value: str, unit: str) -> tuple[str, Fraction]:
    """(dimension, value in its base unit), exact; an unknown unit is a dimension of its own."""
    known = UNITS.get(unit)
    if known is None:
        return f"unit {unit}", Fraction(value)
    return known.dimension, Fraction(value) * known.factor + known.offset


def base_amount(amount: Fraction, unit: str) -> Fraction:
    """An exact amount in the base unit of its dimension."""
    known = UNITS.get(unit)
    return amount if known is None else amount * known.factor + known.offset


def same_dimension(one: str, other: str) -> bool:
    """Can values in the two units be compared at all?"""
    known, also = UNITS.get(one), UNITS.get(other)
    return one == other or bool(known and also and known.dimension == also.dimension)


def converted(value: str, unit: str, to: str) -> Fraction | None:
    """The value in another unit of the same dimension, exact; None across dimensions."""
    if not same_dimension(unit, to):
        return None
    if unit == to:
        return Fraction(value)
    wanted = UNITS[to]
    return (base_value(value, unit)[1] - wanted.offset) / wanted.factor
