"""An appointment as an Appointment, and back. Pure.

Moving it is one update of one resource: there is no moment in which the patient has none.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ehr_adapters.canonical.appointment import AWAITED, MODES
from ehr_adapters.canonical.codes import APPOINTMENT_REASON, SNOMED
from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.r4.building import (
    built,
    put_concept,
    put_value,
    refused,
    take_choice,
    take_words,
)
from ehr_adapters.canonical.r4.modes import is_mode, mode_concept, take_mode
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

_STATUSES = (*sorted(AWAITED), "arrived", "checked-in", "fulfilled", "cancelled", "noshow")
_PROVIDERS = ("Practitioner", "PractitionerRole")


def appointment_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    content = change.model_dump_canonical()
    before: Mapping[str, Any] = {}
    if not change.rule.makes_entry:
        before = read_appointment(Taken(to.entry(), tag_system=to.tag_system)).content
    form = built(
        change,
        to,
        new={"resourceType": "Appointment", "participant": [_participant(to.patient)]},
        writers={
            "status": put_value("status"),
            "slot": _put_slot,
            "type": put_concept("appointmentType"),
            "provider": _put_participant("provider", _PROVIDERS),
            "location": _put_participant("location", ("Location",)),
            "mode": _put_mode,
            "reason": _put_reason,
            "cancel_reason": put_concept("cancelationReason"),
            "patient_told": _leave_told,
        },
    )
    if {"slot", "start", "minutes"} & content.keys():
        left = _put_time(form.resource, content, before=before)
        return FhirForm(form.resource, (*form.uncarried, *left))
    return form


def _put_time(
    resource: dict[str, Any], content: Mapping[str, Any], *, before: Mapping[str, Any]
) -> tuple[Uncarried, ...]:
    if "slot" in content and "start" not in content:
        raise refused(
            "/start",
            "missing",
            "This EHR takes a slot only with its time: the beginning and the minutes are needed as well.",
        )
    start = content.get("start") or before.get("start")
    minutes = content.get("minutes") or before.get("minutes")
    if start is None or minutes is None:
        raise refused("/minutes", "missing", "The beginning and the minutes are needed together.")
    end = datetime.fromisoformat(start) + timedelta(minutes=minutes)
    for name in ("start", "end", "minutesDuration"):
        resource.pop(f"_{name}", None)
    resource |= {"start": start, "end": _instant(end), "minutesDuration": minutes}
    if "slot" in content or resource.pop("slot", None) is None:
        return ()
    return (Uncarried("/slot", "The slot of the old time goes away with it.", removed=True),)


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _participant(actor: str) -> dict[str, Any]:
    return {"actor": {"reference": actor}, "required": "required", "status": "accepted"}


def _put_participant(name: str, types: tuple[str, ...]) -> Any:
    words = {"provider": "clinician", "location": "place"}[name]

    def put(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
        """The first of them changes; further ones stay."""
        listed = [dict(one) for one in resource.get("participant") or ()]
        index = next((i for i, one in enumerate(listed) if _is_of(one, types)), None)
        removed = []
        if index is not None:
            gone = listed.pop(index)
            if set(gone) - {"actor", "required", "status"}:
                removed.append(
                    Uncarried(
                        f"/{name}", f"What was said of the old {words} goes away.", removed=True
                    )
                )
        if value is not None:
            listed.insert(len(listed) if index is None else index, _participant(value))
        resource["participant"] = listed
        return removed

    return put


def _is_of(participant: Mapping[str, Any], types: tuple[str, ...]) -> bool:
    actor = participant.get("actor")
    reference = str(actor.get("reference") or "") if isinstance(actor, Mapping) else ""
    named = reference.partition("/_history/")[0].split("/")
    return len(named) > 1 and named[-2] in types


def _put_slot(resource: dict[str, Any], value: str) -> list[Uncarried]:
    resource["slot"] = [{"reference": value}]
    return []


def _put_mode(resource: dict[str, Any], value: str) -> list[Uncarried]:
    others = [one for one in resource.get("serviceType") or () if not is_mode(one)]
    resource["serviceType"] = [mode_concept(value, dict(MODES)[value]), *others]
    return []


def _put_reason(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
    before = objects(resource.get("reasonCode"))
    gone = []
    if before and before[0].get("coding"):
        gone.append(
            Uncarried("/reason", "The code of the old reason goes away with it.", removed=True)
        )
    reasons = ([{"text": value}] if value is not None else []) + before[1:]
    if reasons:
        resource["reasonCode"] = reasons
    else:
        resource.pop("reasonCode", None)
    return gone


def _leave_told(resource: dict[str, Any], value: bool) -> list[Uncarried]:
    del resource, value
    return [
        Uncarried(
            "/patient_told", "Whether the patient was told is not sent: the EHR has no place."
        )
    ]


def read_appointment(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    _read_time(taken, content)
    slots = taken.value.get("slot")
    if isinstance(slots, list) and len(slots) == 1:
        slot = taken.first_reference("slot", "Slot")
        if slot:
            content["slot"] = slot
    type_ = _type(taken)
    if type_:
        content["type"] = type_
    provider = _actor(taken, _PROVIDERS)
    if provider:
        content["provider"] = provider
    location = _actor(taken, ("Location",))
    if location:
        content["location"] = location
    _actor(taken, ("Patient",))
    mode = take_mode(taken, "serviceType", dict(MODES))
    if mode:
        content["mode"] = mode
    reason = _reason(taken)
    if reason:
        content["reason"] = reason
    cancelled = take_words(taken, "cancelationReason")
    if cancelled:
        content["cancel_reason"] = cancelled
    status = take_choice(taken, "status", _STATUSES)
    if status:
        content["status"] = status
    take_sensitivity(taken, content)
    return form_of("appointment", content, taken)


def _read_time(taken: Taken, content: dict[str, Any]) -> None:
    start, end = taken.value.get("start"), taken.value.get("end")
    minutes = taken.value.get("minutesDuration")
    if not isinstance(start, str) or "T" not in start:
        return
    lasts = _minutes_between(start, end)
    if lasts is None and end is None and isinstance(minutes, int):
        lasts = minutes
    content["start"] = start
    taken.pop("start")
    if lasts:
        content["minutes"] = lasts
        taken.pop("end")
        taken.pop_if("minutesDuration", lambda value: value == lasts)


def _minutes_between(start: str, end: Any) -> int | None:
    try:
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (TypeError, ValueError):
        return None
    return int(seconds // 60) if seconds > 0 and seconds % 60 == 0 else None


def _type(taken: Taken) -> Any:
    found = taken.code_of("appointmentType", (APPOINTMENT_REASON, SNOMED))
    if found:
        for further in found[1:]:
            taken.value["appointmentType"].setdefault("coding", []).append(further)
        return found[0]
    concept = taken.value.get("appointmentType")
    if isinstance(concept, dict) and not concept.get("coding"):
        return take_words(taken, "appointmentType")
    return None


def _actor(taken: Taken, types: tuple[str, ...]) -> str:
    """The first participant of these types; how it stands is left to be listed where that says more."""
    listed = taken.value.get("participant") or []
    for one in objects(listed):
        reference = next((r for t in types if (r := taken.reference(one.get("actor"), t))), "")
        if not reference:
            continue
        left = {k: v for k, v in one.items() if k != "actor"}
        if left.get("status") == "accepted":
            del left["status"]
        if left.get("required") == "required":
            del left["required"]
        listed[listed.index(one)] = left
        if not left:
            listed.remove(left)
        return reference
    return ""


def _reason(taken: Taken) -> str:
    listed = taken.value.get("reasonCode") or []
    first = next(iter(objects(listed)), {})
    text = first.get("text")
    if not isinstance(text, str) or not text.strip():
        return ""
    first.pop("text")
    return text


def _is_active(content: Mapping[str, Any]) -> bool:
    return content.get("status") in AWAITED


APPOINTMENT = Translation(
    write=appointment_to_fhir,
    read=read_appointment,
    types=("Appointment",),
    words="appointments",
    is_active=_is_active,
)
