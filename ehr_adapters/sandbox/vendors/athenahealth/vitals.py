"""Vitals of an encounter: groups of readings by athenaOne's own element names, in the units it is set up with."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.seed.resources import HL7, LOINC, UCUM, coding, concept
from ehr_adapters.sandbox.vendors.athenahealth import people
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import ZONE, local, require, structure
from ehr_adapters.sandbox.vendors.athenahealth.numbers import number_of

if TYPE_CHECKING:
    from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront

# Element name -> LOINC, unit here (UCUM), and how a value in the chart's other unit becomes one in this.
ELEMENTS: dict[str, tuple[str, str]] = {
    "VITALS.BLOODPRESSURE.SYSTOLIC": ("8480-6", "mm[Hg]"),
    "VITALS.BLOODPRESSURE.DIASTOLIC": ("8462-4", "mm[Hg]"),
    "VITALS.HEARTRATE.RATE": ("8867-4", "/min"),
    "VITALS.RESPIRATIONRATE.RATE": ("9279-1", "/min"),
    "VITALS.TEMPERATURE": ("8310-5", "[degF]"),
    "VITALS.HEIGHT": ("8302-2", "cm"),
    "VITALS.WEIGHT": ("29463-7", "g"),
    "VITALS.BMI": ("39156-5", "kg/m2"),
    "VITALS.O2SATURATION": ("59408-5", "%"),
    "VITALS.HEADCIRCUMFERENCE": ("9843-4", "cm"),
}
_NAMES = {loinc: (name, unit) for name, (loinc, unit) in ELEMENTS.items()}
_PRESSURES = ("8480-6", "8462-4")
_PRESSURE = "85354-9"


def create(front: "AthenaFront", call: Call, given: Mapping[str, str], encounter: str) -> Answer:
    """POST /chart/encounter/{encounterid}/vitals: an array of groups; the answer names no entry."""
    require(given, "vitals")
    visit = people.encounter_row(encounter, writing=True)
    groups = structure(given, "vitals")
    if not isinstance(groups, list) or not all(isinstance(g, list) and g for g in groups):
        raise refused(400, "The data provided is invalid.", detail="vitals is no array of arrays.")
    committed = []
    for group in groups:
        for content in _observations(group, visit, call.at):
            filed = front.filed(call, content)
            committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
    answer = told({"success": True})
    answer.committed += committed
    return answer


def _observations(
    group: list[Any], visit: SandboxResource, at: datetime
) -> Iterator[dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    taken = at
    for one in group:
        name = one.get("clinicalelementid") if isinstance(one, dict) else None
        if name not in ELEMENTS:
            raise refused(
                400, "The data provided is invalid.", detail="clinicalelementid is unknown."
            )
        loinc, unit = ELEMENTS[str(name)]
        try:
            value = Decimal(str(one.get("value", "")))
        except InvalidOperation:
            raise refused(
                400, "The data provided is invalid.", detail="value is no number."
            ) from None
        values[loinc] = {"value": value, "unit": unit, "system": UCUM, "code": unit}
        taken = _taken(one.get("readingtaken"), taken)
    pressure = {loinc: values.pop(loinc) for loinc in _PRESSURES if loinc in values}
    if pressure:
        parts = [
            {"code": concept(coding(LOINC, loinc)), "valueQuantity": amount}
            for loinc, amount in pressure.items()
        ]
        yield _observation(_PRESSURE, visit, taken, at) | {"component": parts}
    for loinc, amount in values.items():
        yield _observation(loinc, visit, taken, at) | {"valueQuantity": amount}


def _taken(text: Any, default: datetime) -> datetime:
    if not text:
        return default
    for form in ("%m/%d/%Y %H:%M", "%m/%d/%Y"):
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=ZONE)
        except ValueError:
            continue
    raise refused(400, "The data provided is invalid.", detail="readingtaken is no date.")


def _observation(
    loinc: str, visit: SandboxResource, taken: datetime, at: datetime
) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [concept(coding(f"{HL7}/observation-category", "vital-signs", "Vital Signs"))],
        "code": concept(coding(LOINC, loinc)),
        "subject": {"reference": f"Patient/{visit.patient_id}"},
        "encounter": {"reference": f"Encounter/{visit.fhir_id}"},
        "effectiveDateTime": taken.isoformat(),
        "_v1": {"created": charts.instant(at)},
    }


def listed(front: "AthenaFront", call: Call, encounter: str) -> Answer:
    """GET /chart/encounter/{encounterid}/vitals: by element, each reading with the number of its group."""
    visit = people.encounter_row(encounter)
    reference = f"Encounter/{visit.fhir_id}"
    groups: dict[str, list[list[dict[str, Any]]]] = {}
    for row in front.searchable(call, "Observation", visit.patient_id):
        content = charts.content_of(row)
        if content.get("encounter", {}).get("reference") != reference:
            continue
        readings = list(_readings(row, content))
        if readings:
            key = readings[0]["clinicalelementid"].split(".")[1]
            groups.setdefault(key, []).append(readings)
    shown = [{"key": key, "readings": readings} for key, readings in groups.items()]
    return told({"vitals": shown, "totalcount": len(shown)})


def _readings(row: SandboxResource, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in content.get("component") or [content]:
        codes = [c["code"] for c in part["code"]["coding"] if c.get("system") == LOINC]
        value = part.get("valueQuantity")
        if not codes or codes[0] not in _NAMES or not value:
            continue
        name, unit = _NAMES[codes[0]]
        taken = local(content["effectiveDateTime"])
        created = local(content.get("_v1", {}).get("created", "")) or taken
        yield {
            "clinicalelementid": name,
            "value": _in_unit(Decimal(str(value["value"])), str(value.get("code", "")), unit),
            "unit": unit,
            "readingid": number_of(row.fhir_id),
            "readingtaken": taken.strftime("%m/%d/%Y %H:%M") if taken else "",
            "createddatetime": created.isoformat(timespec="seconds") if created else "",
            "createdby": row.author,
        }


def _in_unit(value: Decimal, unit: str, wanted: str) -> str:
    if (unit, wanted) == ("kg", "g"):
        value *= 1000
    elif (unit, wanted) == ("Cel", "[degF]"):
        value = value * 9 / 5 + 32
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
