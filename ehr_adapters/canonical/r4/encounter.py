"""A contact as an Encounter, and back. Pure.

Telephone and web are both virtual in the class of R4 (v3-ActCode VR); the type tells them apart.
"""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.encounter import GOING_ON, WAYS
from ehr_adapters.canonical.r4.building import built, put_value, take_choice
from ehr_adapters.canonical.r4.modes import mode_concept, take_mode
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    form_of,
    objects,
    take_sensitivity,
)

_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_VIRTUAL = {"system": _ACT_CODE, "code": "VR", "display": "virtual"}
_ATTENDER = {
    "coding": [{"system": _PARTICIPATION, "code": "ATND", "display": "attender"}],
}
_STATUSES = (*sorted(GOING_ON), "finished", "cancelled")
_PROVIDERS = ("Practitioner", "PractitionerRole")


def encounter_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    return built(
        change,
        to,
        new={"resourceType": "Encounter", "subject": {"reference": to.patient}},
        writers={
            "status": put_value("status"),
            "class": _put_class,
            "start": _put_moment("start"),
            "end": _put_moment("end"),
            "provider": _put_provider,
            "location": _put_location,
            "reason": _put_reason,
        },
    )


def _put_class(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["class"] = dict(_VIRTUAL)
    resource["type"] = [mode_concept(value, dict(WAYS)[value])]
    return []


def _put_moment(name: str) -> Any:
    def put(resource: dict[str, Any], value: str) -> list[Uncarried]:
        resource.setdefault("period", {})[name] = value
        return []

    return put


def _put_provider(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["participant"] = [{"type": [_ATTENDER], "individual": {"reference": value}}]
    return []


def _put_location(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["location"] = [{"location": {"reference": value}}]
    return []


def _put_reason(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["reasonCode"] = [{"text": value}]
    return []


def read_encounter(taken: Taken) -> CanonicalForm:
    found = {
        "class": _class(taken),
        "status": take_choice(taken, "status", _STATUSES),
        "start": _moment(taken, "start"),
        "end": _moment(taken, "end"),
        "provider": _provider(taken),
        "location": _location(taken),
        "reason": _reason(taken),
    }
    content = {name: value for name, value in found.items() if value}
    taken.pop("subject")
    take_sensitivity(taken, content)
    return form_of("encounter", content, taken)


def _class(taken: Taken) -> str:
    """Telephone or web by the type; a virtual contact that only says "Telephone" is one as well."""
    held = taken.value.get("class")
    virtual = isinstance(held, Mapping) and (held.get("system"), held.get("code")) == (
        _ACT_CODE,
        "VR",
    )
    way = take_mode(taken, "type", dict(WAYS))
    if not way and virtual:
        types = taken.value.get("type") or []
        for one in objects(types):
            if not one.get("coding") and str(one.get("text", "")).strip().lower() == "telephone":
                types.remove(one)
                way = "telephone"
                break
    if way and virtual:
        taken.pop("class")
    return way


def _moment(taken: Taken, name: str) -> str:
    period = taken.value.get("period")
    moment = period.get(name) if isinstance(period, dict) else None
    if not isinstance(moment, str) or "T" not in moment:
        return ""
    taken.value["period"].pop(name)
    return moment


def _provider(taken: Taken) -> str:
    listed = taken.value.get("participant") or []
    for one in objects(listed):
        reference = next(
            (r for t in _PROVIDERS if (r := taken.reference(one.get("individual"), t))), ""
        )
        if not reference:
            continue
        left = {k: v for k, v in one.items() if k != "individual"}
        if left.get("type") == [_ATTENDER]:
            del left["type"]
        listed[listed.index(one)] = left
        return reference
    return ""


def _location(taken: Taken) -> str:
    for one in objects(taken.value.get("location")):
        reference = taken.reference(one.get("location"), "Location")
        if reference:
            one.pop("location")
            return reference
    return ""


def _reason(taken: Taken) -> str:
    first = next(iter(objects(taken.value.get("reasonCode"))), {})
    text = first.get("text")
    if not isinstance(text, str) or not text.strip():
        return ""
    first.pop("text")
    return text


def _is_active(content: Mapping[str, Any]) -> bool:
    return content.get("status") in GOING_ON


ENCOUNTER = Translation(
    write=encounter_to_fhir,
    read=read_encounter,
    types=("Encounter",),
    words="encounters",
    is_active=_is_active,
)
