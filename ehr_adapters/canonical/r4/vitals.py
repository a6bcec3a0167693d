"""Vital signs as an Observation, and back: one measurement each (US Core, vital signs). Pure."""

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.comparing import same_value
from ehr_adapters.canonical.declaration import ChartChange, Interaction, field_spec
from ehr_adapters.canonical.r4.building import (
    Writer,
    built,
    put_reference,
    put_value,
    refused,
    take_choice,
    take_instant,
    take_reference,
)
from ehr_adapters.canonical.r4.observations import (
    CATEGORY,
    category,
    keep_earlier,
    put_quantity,
    put_remark,
    read_quantity,
    read_remarks,
)
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    concept_of,
    concept_or_text,
    form_of,
    objects,
    take_sensitivity,
)
from ehr_adapters.canonical.vitals import (
    BLOOD_PRESSURE,
    DIASTOLIC,
    MEASURES,
    SYSTOLIC,
    measurement_words,
    measurements,
)

# The panel of US Core, and the one that older charts hold.
PANELS = frozenset({BLOOD_PRESSURE, "55284-4"})
_PRESSURES = (SYSTOLIC, DIASTOLIC)
_DEVICE = {"display": "A device"}
_ONE_AT_A_TIME = (
    "This EHR takes one measurement per change: propose the others as changes of their own."
)


def vitals_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    writers: dict[str, Writer] = {
        "status": put_value("status"),
        "readings": _put_readings,
        "encounter": put_reference("encounter"),
        "effective_at": _put_time,
        "origin": partial(_put_origin, patient=to.patient),
        "note": put_remark,
    }
    new = {
        "resourceType": "Observation",
        "category": category("vital-signs"),
        "subject": {"reference": to.patient},
    }
    form = built(change, to, new=new, writers=writers)
    if change.interaction is Interaction.UPDATE:
        before = _earlier(change, to)
        if before:
            keep_earlier(form.resource, before)
    return form


def _earlier(change: ChartChange, to: Destination) -> str:
    """What the entry says now and will no longer say, in words; "" where the correction leaves it."""
    now = read_vitals(Taken(copy.deepcopy(to.entry()))).content
    said = change.model_dump_canonical()
    words = []
    if "readings" in said and not same_value(
        "vitals", "readings", now.get("readings"), said["readings"]
    ):
        words += [measurement_words(one) for one in measurements(now.get("readings") or ())]
    measured = now.get("effective_at")
    if (
        measured
        and "effective_at" in said
        and not same_value("vitals", "effective_at", measured, said["effective_at"])
    ):
        words.append(f"measured at {measured}")
    return f"{'; '.join(words)}." if words else ""


def _put_readings(resource: dict[str, Any], value: list[dict[str, Any]]) -> list[Uncarried]:
    groups = measurements(value)
    if len(groups) > 1:
        raise refused("/readings", "one-measurement", _ONE_AT_A_TIME)
    [group] = groups
    said: list[Uncarried] = []
    if group[0]["code"]["code"] in _PRESSURES:
        resource.setdefault("code", concept_of([{"system": codes.LOINC, "code": BLOOD_PRESSURE}]))
        said += _put_pressure(resource, group)
    else:
        resource.setdefault("code", concept_of([group[0]["code"]]))
        put_quantity(resource, group[0]["value"])
    if resource.pop("interpretation", None) is not None:
        said.append(
            Uncarried("/readings", "What was said of the old value goes away with it.", True)
        )
    for name, element in (("site", "bodySite"), ("method", "method")):
        stated = group[0].get(name)
        if stated is not None:
            resource[element] = concept_or_text(stated)
        elif resource.pop(element, None) is not None:
            said.append(
                Uncarried(
                    "/readings",
                    f"Where or how it was measured ({element}) goes away with the old value.",
                    removed=True,
                )
            )
    return said


def _put_pressure(
    resource: dict[str, Any], readings: Iterable[Mapping[str, Any]]
) -> list[Uncarried]:
    said: list[Uncarried] = []
    components = objects(resource.get("component"))
    for reading in readings:
        code = reading["code"]["code"]
        held = next((one for one in components if _component_code(one) == code), None)
        if held is None:
            held = {"code": concept_of([reading["code"]])}
            components.append(held)
        put_quantity(held, reading["value"])
        if held.pop("interpretation", None) is not None:
            said.append(
                Uncarried("/readings", "What was said of the old value goes away with it.", True)
            )
    resource["component"] = components
    return said


def _component_code(component: Mapping[str, Any]) -> str:
    inner = Taken({"code": copy.deepcopy(component.get("code"))})
    found = inner.code_of("code", (codes.LOINC,), among=_PRESSURES)
    return str(found[0]["code"]) if found else ""


def _put_time(resource: dict[str, Any], value: str) -> list[Uncarried]:
    gone = [
        key
        for key in resource
        if key.lstrip("_").startswith("effective") and key != "effectiveDateTime"
    ]
    for key in gone:
        del resource[key]
    resource["effectiveDateTime"] = value
    if any(not key.startswith("_") for key in gone):
        return [Uncarried("/effective_at", "The period that stood there goes away.", True)]
    return []


def _put_origin(resource: dict[str, Any], value: str, *, patient: str) -> list[Uncarried]:
    now = _origin_of(resource)
    if (now or "measured") == value:
        return []
    gone = bool(now)
    resource.pop("device", None)
    if now == "patient-reported" or value == "patient-reported":
        resource.pop("performer", None)
    if value == "device":
        resource["device"] = dict(_DEVICE)
    elif value == "patient-reported":
        resource["performer"] = [{"reference": patient}]
    if not gone:
        return []
    return [Uncarried("/origin", "Who or what measured it is no longer named.", removed=True)]


def read_vitals(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    readings = _read_readings(taken)
    if readings:
        for name, element in (("site", "bodySite"), ("method", "method")):
            value = taken.concept(element)
            if value:
                readings = [{**one, name: value} for one in readings]
        content["readings"] = readings
    taken.status_of("category", CATEGORY, ("vital-signs",), listed=True)
    choices = tuple(value for value, _ in field_spec("vitals", "status").choices)
    taken_over = {
        "effective_at": take_instant(taken, "effectiveDateTime")
        or take_instant(taken, "effectiveInstant"),
        "encounter": take_reference(taken, "encounter", "Encounter"),
        "status": take_choice(taken, "status", choices),
    }
    content |= {name: value for name, value in taken_over.items() if value}
    origin = _origin_of(taken.value)
    if origin:
        content["origin"] = origin
        subject = taken.value.get("subject")
        taken.pop_if("device", lambda device: device == _DEVICE)
        taken.pop_if("performer", lambda performer: performer == [subject])
    read_remarks(taken, content)
    taken.pop("subject")
    take_sensitivity(taken, content)
    return form_of("vitals", content, taken)


def _read_readings(taken: Taken) -> list[dict[str, Any]]:
    value = read_quantity(taken.value.get("valueQuantity"))
    if value is not None and "comparator" not in value:
        found = taken.code_of("code", (codes.LOINC,), among=MEASURES)
        if found:
            taken.pop("valueQuantity")
            return [{"code": found[0], "value": value}]
    readings: list[dict[str, Any]] = []
    left = []
    for component in objects(taken.value.get("component")):
        reading = _pressure_in(component)
        if reading and reading["code"]["code"] not in {one["code"]["code"] for one in readings}:
            readings.append(reading)
            left += [rest for rest in [_without_pressure(component)] if rest]
        else:
            left.append(component)
    if readings:
        taken.code_of("code", (codes.LOINC,), among=PANELS)
        taken.leave("component", left)
    return readings


def _pressure_in(component: Mapping[str, Any]) -> dict[str, Any] | None:
    value = read_quantity(component.get("valueQuantity"))
    if value is None or "comparator" in value:
        return None
    found = Taken(copy.deepcopy(dict(component))).code_of("code", (codes.LOINC,), among=_PRESSURES)
    return {"code": found[0], "value": value} if found else None


def _without_pressure(component: Mapping[str, Any]) -> dict[str, Any]:
    """What a component says beyond its number."""
    inner = Taken({k: v for k, v in component.items() if k != "valueQuantity"})
    inner.code_of("code", (codes.LOINC,), among=_PRESSURES)
    inner.pop_if("code", lambda code: not code)
    return inner.value


def _origin_of(resource: Mapping[str, Any]) -> str:
    """Who or what measured, as far as the entry names them."""
    if isinstance(resource.get("device"), dict):
        return "device"
    types = {
        reference.rpartition("/")[0].rpartition("/")[2]
        for one in objects(resource.get("performer"))
        if isinstance(reference := one.get("reference"), str)
    }
    if types & {"Patient", "RelatedPerson"}:
        return "patient-reported"
    return "measured" if types else ""


def _is_active(content: Mapping[str, Any]) -> bool:
    return bool(content.get("readings")) and content.get("status") not in {
        "entered-in-error",
        "cancelled",
    }


def _key(content: Mapping[str, Any]) -> tuple[datetime, Any] | None:
    """An EHR's flowsheet keeps one value of a kind for one time."""
    if not content.get("readings") or not content.get("effective_at"):
        return None
    measured = datetime.fromisoformat(content["effective_at"]).astimezone(UTC)
    return measured, frozenset(one["code"]["code"] for one in content["readings"])


VITALS = Translation(
    write=vitals_to_fhir,
    read=read_vitals,
    types=("Observation",),
    words="vital signs",
    searches={"Observation": {"category": "vital-signs", "_sort": "-date"}},
    is_active=_is_active,
    key=_key,
)
