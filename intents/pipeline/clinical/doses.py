"""How a dose stands to the one before, how often it is taken, and what a child's weight says of it. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Any

from ehr_adapters.canonical import dosing, units
from ehr_adapters.contract import Baseline
from intents.pipeline.clinical.medicines import Medicine, entry_of, medicine_of, taken
from intents.pipeline.clinical.values import mapping, text

# More doses a week than any schedule has: what is not known counts as too many.
UNKNOWN_DOSES_PER_WEEK = 9999
# A child's weight is good for this long; under two, who doubles it in months, for the shorter time.
WEIGHT_GOOD_FOR, WEIGHT_GOOD_FOR_UNDER_TWO = timedelta(days=90), timedelta(days=30)


class DoseChange(StrEnum):
    """How a dose stands to the one before; values are those of the policy's facts."""

    NOT_APPLICABLE = "n/a"
    NEW = "new"
    WITHIN = "within"
    MORE_THAN_DOUBLE = "more-than-double"
    LESS_THAN_HALF = "less-than-half"
    OTHER_UNIT = "other-unit"
    UNKNOWN = "unknown"


def dose_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> DoseChange:
    """The daily doses of two contents compared. Exactly double and exactly half are within."""
    try:
        if all(before.get(name) == after.get(name) for name in ("dose", "frequency", "as_needed")):
            known = before.get("dose") is not None
            return DoseChange.WITHIN if known else DoseChange.UNKNOWN
        one, other = dosing.dose_unit(before), dosing.dose_unit(after)
        if not one or not other:
            return DoseChange.UNKNOWN
        if not units.same_dimension(one, other):
            return DoseChange.OTHER_UNIT
        ratio = dosing.dose_ratio(before, after)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        # A chart's own dose in a shape that nobody foresaw.
        return DoseChange.UNKNOWN
    if ratio is None:
        return DoseChange.UNKNOWN
    if ratio > 2:
        return DoseChange.MORE_THAN_DOUBLE
    return DoseChange.LESS_THAN_HALF if ratio < Fraction(1, 2) else DoseChange.WITHIN


def is_same_dose(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Do two contents come to the same amount in the same time, as far as both are known?"""
    try:
        return dosing.dose_ratio(one, other) == 1
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return False


def doses_per_week(content: Mapping[str, Any]) -> int:
    """How many times a week it is taken, rounded up; `UNKNOWN_DOSES_PER_WEEK` where that is not known."""
    try:
        found = dosing.doses_per_week(content)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        found = None
    return UNKNOWN_DOSES_PER_WEEK if found is None else min(ceil(found), UNKNOWN_DOSES_PER_WEEK)


def entry_before(
    kind: str,
    interaction: str,
    medicine: Medicine,
    *,
    content: Mapping[str, Any],
    baseline: Baseline | None,
) -> tuple[bool, Medicine | None]:
    """(known, the entry whose dose this one takes the place of): None for a medicine that is new.

    For an update the entry itself; for an order the one that it replaces; else the one entry of the chart
    with the same ingredient. Not known where that could not be read, or is more than one.
    """
    if baseline is None:
        return False, None
    if interaction != "create":
        target = baseline.target
        if target is None:
            return False, None
        return True, medicine_of(kind, mapping(target.canonical), entry=target, baseline=baseline)
    replaced = text(content.get("replaces"))
    if replaced:
        entry = entry_of(baseline, replaced)
        if entry is None:
            return False, None
        return True, medicine_of("medication", mapping(entry.canonical), entry=entry)
    same = [one for one in taken(baseline) if one.is_same(medicine)]
    if len(same) == 1:
        return True, same[0]
    return not same and baseline.was_read("medications"), None


def change_of(
    kind: str,
    interaction: str,
    medicine: Medicine,
    *,
    content: Mapping[str, Any],
    baseline: Baseline | None,
) -> DoseChange:
    """How the dose of a draft stands to the chart's."""
    known, before = entry_before(kind, interaction, medicine, content=content, baseline=baseline)
    if not known:
        return DoseChange.UNKNOWN
    return DoseChange.NEW if before is None else dose_change(before.content, medicine.content)


def is_weight_old(weighed_at: datetime, *, now: datetime, age: int | None) -> bool:
    """Too old to reckon a child's dose from; `age` in years."""
    good_for = WEIGHT_GOOD_FOR_UNDER_TWO if age is None or age < 2 else WEIGHT_GOOD_FOR
    return now - weighed_at > good_for


def per_kilogram(content: Mapping[str, Any], kilograms: Fraction) -> Fraction | None:
    """The most of a dose for each kilogram of body weight, in the unit of the dose; None where it is not known."""
    try:
        dose = mapping(content.get("dose"))
        held = mapping(dose.get("high")) or dose
        return Fraction(held["value"]) / kilograms if kilograms > 0 else None
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
