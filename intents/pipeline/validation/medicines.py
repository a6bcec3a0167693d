"""Is a medicine right for this patient: allergies, what is taken already, kidneys, a child's weight? Pure.

What the rules stop or send to two people has its reason there; these are the questions that a person answers.
"""

from collections.abc import Iterable
from datetime import datetime

from ehr_adapters.canonical import dosing
from ehr_adapters.contract import Baseline
from intents.pipeline.clinical import allergies, doses, medicines, observed
from intents.pipeline.clinical.medicines import Medicine
from intents.pipeline.clinical.values import mapping, number, text
from intents.pipeline.validation.draft import Draft, resulting
from intents.pipeline.validation.findings import Finding, question, warning

_BY_VOLUME = frozenset({"mL", "L"})


def check_medicine(draft: Draft, *, baseline: Baseline, at: datetime) -> Iterable[Finding]:
    """Findings about a medicine that is begun or changed."""
    content = resulting(draft, baseline=baseline)
    if draft.interaction not in {"create", "update"}:
        return
    is_vaccine = draft.kind == "order" and content.get("category") == "vaccine"
    if not is_vaccine and not medicines.is_about_medicine(draft.kind, content):
        return
    medicine = medicines.medicine_of(draft.kind, content, entry=baseline.target, baseline=baseline)
    place = "/drug" if draft.kind == "medication" else "/code"
    yield from _allergies(medicine, place=place, baseline=baseline)
    if is_vaccine:
        return
    yield from _taken_already(draft, medicine, place=place, baseline=baseline)
    yield from _kidneys(medicine, place=place, baseline=baseline, at=at)
    yield from _child(draft, baseline=baseline, at=at)
    yield from _amounts(medicine)


def _allergies(medicine: Medicine, *, place: str, baseline: Baseline) -> Iterable[Finding]:
    found = allergies.against(medicine, baseline=baseline)
    if found.conflict is allergies.Conflict.CONFLICT:
        yield warning(
            "allergy-conflict",
            "An active allergy in the chart is to this medicine or its class.",
            place,
        )
    if found.related:
        yield question(
            "allergy-related",
            "The chart holds an allergy to a related class: most people take this without harm, some do not.",
            place,
        )
    if found.uncompared:
        yield question(
            "allergy-uncompared",
            "The chart holds an allergy that the portal cannot compare with this medicine.",
            place,
        )


def _taken_already(
    draft: Draft, medicine: Medicine, *, place: str, baseline: Baseline
) -> Iterable[Finding]:
    same = [one for one in medicines.taken(baseline) if one.is_same(medicine)]
    if len(same) > 1:
        yield warning("held-twice", "The chart holds this medicine more than once.", place)
    elif same and draft.interaction == "create" and not draft.content.get("replaces"):
        yield question(
            "same-medicine",
            "The patient takes this medicine already, and the draft does not say that it takes that entry's place.",
            place,
        )


def _kidneys(
    medicine: Medicine, *, place: str, baseline: Baseline, at: datetime
) -> Iterable[Finding]:
    if not (medicine.ingredients or frozenset()) & medicines.RENALLY_CLEARED:
        return
    egfr = observed.last_egfr(baseline)
    if egfr.state is observed.EgfrState.NOT_RECORDED:
        yield question(
            "kidney-function-unknown",
            "This medicine leaves by the kidneys, and the chart holds no eGFR.",
            place,
        )
    elif egfr.is_old(now=at):
        yield question(
            "kidney-function-old",
            "This medicine leaves by the kidneys, and the last eGFR is more than a year old.",
            place,
        )


def _child(draft: Draft, *, baseline: Baseline, at: datetime) -> Iterable[Finding]:
    """Doses for children are reckoned from the weight: there has to be one, and it has to be new."""
    identity = baseline.identity
    age = observed.age_in_years(identity.birth_date, at=at) if identity else None
    if age is None or age >= 18 or not {"drug", "code", "dose", "frequency"} & draft.content.keys():
        return
    weight = observed.last_weight(baseline)
    if weight is None:
        yield question(
            "weight-unknown", "The patient is under 18, and the chart holds no weight.", "/dose"
        )
    elif doses.is_weight_old(weight.at, now=at, age=age):
        days = (doses.WEIGHT_GOOD_FOR if age >= 2 else doses.WEIGHT_GOOD_FOR_UNDER_TWO).days
        yield question(
            "weight-old",
            f"The patient is under 18, and the last weight is more than {days} days old.",
            "/dose",
        )


def _amounts(medicine: Medicine) -> Iterable[Finding]:
    """A dose of so many milligrams where so many millilitres were meant, and the reverse."""
    content = medicine.content
    try:
        strength = dosing.strength_in(medicine.words)
        disagree = dosing.units_disagree(content, strength)
        spoken = dosing.spoken_amounts(text(content.get("sig_text")))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return
    if disagree:
        yield question(
            "strength-differs",
            "By the strength of the product, what is taken does not come to this dose.",
            "/units_taken",
        )
        return
    dose = mapping(content.get("dose"))
    value, unit = number(dose.get("value")), text(dose.get("unit"))
    taken = mapping(content.get("units_taken"))
    beside = [*spoken]
    taken_value = number(taken.get("value"))
    if taken_value is not None:
        beside.append((taken_value, text(taken.get("unit"))))
    if value is not None and any(
        amount == value
        and (other in _BY_VOLUME) != (unit in _BY_VOLUME)
        and _by_weight(other, unit)
        for amount, other in beside
    ):
        yield question(
            "mg-or-ml",
            "The same number stands here as an amount of the medicine and as a volume: is it mg or mL?",
            "/dose",
        )


def _by_weight(*units: str) -> bool:
    return any(unit in {"mg", "ug", "g"} for unit in units)
