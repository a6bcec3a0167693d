"""What is reckoned from a medicine's dose and shown beside it; nothing of it is sent."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import dosing, units
from intents.pipeline.clinical import doses, medicines, observed
from intents.pipeline.presentation.banner import day
from intents.pipeline.presentation.opened import OpenedChange

_DOSED = frozenset({"create", "update"})


def dose_sentences(one: OpenedChange, after: Mapping[str, Any], *, ehr: str) -> tuple[str, ...]:
    """How the dose stands to the one before, for a child to the weight, and that the EHR's alerts are silent."""
    kind, interaction = one.intent.change_kind, one.intent.interaction
    if not medicines.is_about_medicine(kind, after) or interaction not in _DOSED:
        return ()
    try:
        told = [*_dose(one, after), *_by_weight(one, after)]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        # A chart's own dose in a shape that nobody foresaw.
        told = ["The dose cannot be compared with the one in the chart."]
    alerts = (
        f"{ehr} has not checked interactions: its alerts do not see what is written from outside."
    )
    return (*told, alerts)


def _dose(one: OpenedChange, after: Mapping[str, Any]) -> Iterator[str]:
    kind, baseline = one.intent.change_kind, one.baseline
    medicine = medicines.medicine_of(kind, after, entry=baseline.target, baseline=baseline)
    known, before = doses.entry_before(
        kind, one.intent.interaction, medicine, content=after, baseline=baseline
    )
    if not known:
        yield "The dose before this one is not known."
    total = dosing.daily_dose(after)
    if total is None:
        yield "What this comes to in a day is not known."
        return
    change = dosing.change_words(before.content, after) if before else ""
    yield _sentence(change or total.words)


def _by_weight(one: OpenedChange, after: Mapping[str, Any]) -> Iterator[str]:
    """For a patient under 18, the dose for each kilogram, and when the weight was taken."""
    identity = one.baseline.identity
    age = observed.age_in_years(identity.birth_date, at=one.baseline.read_at) if identity else None
    if age is None or age >= 18:
        return
    weight = observed.last_weight(one.baseline)
    each = doses.per_kilogram(after, weight.kilograms) if weight else None
    if weight is None or each is None:
        yield "There is no weight to reckon the dose from."
        return
    amount = units.amount_words(dosing.decimal_words(each, places=2), dosing.dose_unit(after))
    total = dosing.daily_dose(after)
    a_day = (
        f", {_for_each(total.high / weight.kilograms, total.unit)} a day"
        if total and total.period == "d"
        else ""
    )
    yield (
        f"{amount} per kg each time{a_day}; weight {dosing.decimal_words(weight.kilograms)} kg "
        f"of {day(weight.at.date().isoformat())}."
    )


def _for_each(amount: Fraction, unit: str) -> str:
    return f"{units.amount_words(dosing.decimal_words(amount, places=2), unit)} per kg"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
