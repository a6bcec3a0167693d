"""What Epic takes as vitals (963), and how a flowsheet keeps them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from ehr_adapters.sandbox import charts, searching
from ehr_adapters.sandbox.conformance import codes_of
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.vendors.epic.contents import LOINC, check_comment
from ehr_adapters.sandbox.vendors.epic.refusals import require

LONGEST_NOTE = 254
OPEN_VISIT = {"in-progress", "arrived", "triaged", "onleave"}
UCUM = "http://unitsofmeasure.org"
# Unit sent -> unit kept, factor, offset before it, decimals kept.
_CONVERSIONS: dict[str, tuple[str, Decimal, Decimal, Decimal]] = {
    "[in_i]": ("cm", Decimal("2.54"), Decimal(0), Decimal("0.1")),
    "[lb_av]": ("kg", Decimal("0.45359237"), Decimal(0), Decimal("0.01")),
    "[degF]": ("Cel", Decimal(5) / Decimal(9), Decimal(32), Decimal("0.1")),
    "g": ("kg", Decimal("0.001"), Decimal(0), Decimal("0.001")),
}
_CONVERTED = {"8302-2", "29463-7", "8310-5"}
_PRESSURES = {"85354-9", "8480-6", "8462-4"}


def check(resource: Mapping[str, Any], *, mapped: list[str], at: datetime) -> None:
    """Raises RequestRefused for a value that has no place in this customer's flowsheet (`mapped`: LOINC)."""
    require(
        resource["status"] == "final", "59111", "Only final values are taken.", "Observation.status"
    )
    vital = any("vital-signs" in codes_of(each) for each in resource.get("category") or [])
    require(vital, "59111", "Only vital signs are taken.", "Observation.category")
    codes = _loinc(resource["code"])
    require(len(codes) == 1, "59111", "Exactly one LOINC coding is taken.", "Observation.code")
    require(mapped, "59187", "No patient flowsheet is built for this.", "Observation.code")
    parts = resource.get("component") or []
    wanted = {*codes, *(code for each in parts for code in _loinc(each["code"]))}
    require(
        wanted <= set(mapped),
        "59188",
        "No flowsheet row is mapped for this code.",
        "Observation.code",
    )
    taken = resource.get("effectiveDateTime", "")
    place = "Observation.effectiveDateTime"
    require("T" in taken, "59108", "The time with its offset is required.", place)
    require(searching.interval(taken)[0] <= at, "59111", "The time lies in the future.", place)
    check_comment(resource, longest=LONGEST_NOTE)
    valued = any(key.startswith("value") for each in (resource, *parts) for key in each)
    require(valued, "59108", "A value is required.", "Observation.value[x]")


def check_visit(visit: Mapping[str, Any]) -> None:
    """Raises RequestRefused unless the visit is going on."""
    going_on = visit.get("status") in OPEN_VISIT
    require(going_on, "59159", "The encounter is not open.", "Observation.encounter")


def is_charted(resource: Mapping[str, Any], *, vendor: str) -> bool:
    """Does the flowsheet hold a value of this code at this instant?"""
    code, moment = _loinc(resource["code"])[0], searching.interval(resource["effectiveDateTime"])[0]
    rows = SandboxResource.objects.filter(
        vendor=vendor, type="Observation", patient_id=charts.patient_of(resource), removed=False
    )
    for row in rows:
        content = charts.content_of(row)
        own = content.get("effectiveDateTime", "")
        if code in _loinc(content["code"]) and "T" in own and searching.interval(own)[0] == moment:
            return True
    return False


def converted(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Height, weight and temperature in the flowsheet's units; a pressure's unit is not looked at."""
    result = dict(resource)
    if parts := result.get("component"):
        result["component"] = [_in_row_unit(each, _loinc(each["code"])) for each in parts]
    return _in_row_unit(result, _loinc(resource["code"]))


def _in_row_unit(holder: dict[str, Any], codes: list[str]) -> dict[str, Any]:
    value = holder.get("valueQuantity")
    if not value or "value" not in value or not codes:
        return holder
    unit = str(value.get("code") or value.get("unit"))
    if codes[0] in _PRESSURES:
        number, kept_unit = value["value"], "mm[Hg]"
    elif codes[0] in _CONVERTED and unit in _CONVERSIONS:
        kept_unit, factor, offset, step = _CONVERSIONS[unit]
        number = ((Decimal(value["value"]) - offset) * factor).quantize(
            step, rounding=ROUND_HALF_EVEN
        )
    else:
        return holder
    return holder | {
        "valueQuantity": {"value": number, "unit": kept_unit, "system": UCUM, "code": kept_unit}
    }


def _loinc(concept: Mapping[str, Any]) -> list[str]:
    return [
        str(each.get("code")) for each in concept.get("coding", []) if each.get("system") == LOINC
    ]
