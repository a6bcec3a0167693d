"""An appointment in AdvancedMD's scheduler, by its REST interface, and back. Pure.

A time is taken in a column of the scheduler, which belongs to a clinician; the connection's settings name
them, and the practice's numbers of its types of appointment.

Source: integrators' notes on the AdvancedMD Connect API, scheduler/Appointments.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ehr_adapters.canonical.base import ChartChange, Interaction, parse_change
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import to_fhir
from ehr_adapters.contract import Remark, Snapshot, WireRequest
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.advancedmd import messages
from ehr_adapters.vendors.advancedmd.saying import Said, as_shown, by_rest, destination
from ehr_adapters.vendors.advancedmd.settings import AdvancedMdSettings, AppointmentType

BOOKED = "api/scheduler/Appointments"
PATH = re.compile(r"api/scheduler/Appointments(?:/(?P<id>[0-9]{1,15})/cancel)?")
_UNSENT: Mapping[str, str] = {
    "slot": "AdvancedMD takes a time, not a slot.",
    "location": "The place is not sent to AdvancedMD: it follows from the clinician's column.",
    "mode": "How they meet is not sent to AdvancedMD; choose a type that says it.",
    "reason": "The reason is not sent to AdvancedMD.",
    "cancel_reason": "Why it is cancelled is not sent to AdvancedMD.",
    "patient_told": "Whether the patient was told is not sent: AdvancedMD has no place.",
    "sensitivity": "AdvancedMD does not take the sensitivity label from outside.",
}


def issues(change: ChartChange, *, settings: AdvancedMdSettings, zone: ZoneInfo) -> Iterator[Issue]:
    """What keeps an appointment out of the scheduler."""
    content = change.model_dump_canonical()
    if change.interaction is not Interaction.CREATE:
        return
    if settings.column_of(content["provider"]) is None:
        yield Issue(
            "no-column",
            "/provider",
            "The connection names no column of AdvancedMD's scheduler for this clinician.",
        )
    if settings.appointment_type(content["type"]) is None:
        yield Issue(
            "no-type", "/type", "The connection names no AdvancedMD number for such appointments."
        )
    if "start" not in content:
        yield Issue(
            "missing", "/start", "AdvancedMD needs the beginning and the minutes, not a slot."
        )
    else:
        start = datetime.fromisoformat(content["start"]).astimezone(zone)
        if messages.is_ambiguous(start):
            sentence = "AdvancedMD takes local times, and the clocks show this one twice."
            yield Issue("ambiguous-time", "/start", sentence)
        if start.second or start.microsecond:
            sentence = "An appointment in AdvancedMD begins at a whole minute."
            yield Issue("unsupported", "/start", sentence)


def write(
    change: ChartChange,
    *,
    settings: AdvancedMdSettings,
    zone: ZoneInfo,
    reference: str,
    patient: str,
    target: Snapshot | None,
    number: str,
) -> Said:
    """The request, for a change that has no `issues`; `number` is that of the appointment to cancel."""
    content = change.model_dump_canonical()
    unsent = tuple(
        Remark("not-carried", f"/{name}", sentence)
        for name, sentence in _UNSENT.items()
        if content.get(name) not in {None, "normal"}
    )
    carried = parse_change(
        change.kind,
        change.interaction,
        {name: value for name, value in content.items() if name not in _UNSENT},
    )
    if target is not None:
        step = by_rest(
            "PUT", f"{BOOKED}/{number}/cancel", dumps({"id": int(number)}), label="scheduler cancel"
        )
        current = loads(target.raw)
        return Said(
            step, unsent, to_fhir(carried, destination(reference, current=current)).resource
        )
    column = settings.column_of(content["provider"])
    kind = settings.appointment_type(content["type"])
    assert column is not None
    assert kind is not None
    start = datetime.fromisoformat(content["start"]).astimezone(zone)
    body = {
        "patientid": int(digits(patient)),
        "columnid": column.column,
        "profileid": column.profile,
        "startdatetime": start.strftime("%Y-%m-%dT%H:%M:%S"),
        "duration": content["minutes"],
        "type": kind.number,
    }
    step = by_rest("POST", BOOKED, dumps(body), label="scheduler book")
    return Said(step, unsent, as_shown(to_fhir(carried, destination(reference)).resource))


def said(step: WireRequest, *, settings: AdvancedMdSettings, zone: ZoneInfo) -> dict[str, Any]:
    """What a frozen request says; raises LookupError for a column or type that the settings do not name."""
    if step.method == "PUT":
        return {"status": "cancelled"}
    body = loads(step.body)
    column = next(one for one in settings.scheduler_columns if one.column == body["columnid"])
    kind = next(one for one in settings.appointment_types if one.number == body["type"])
    start = datetime.strptime(body["startdatetime"], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
    return {
        "start": start.isoformat(),
        "minutes": body["duration"],
        "type": _type_of(kind),
        "provider": f"Practitioner/{column.provider}",
        "status": "booked",
    }


def _type_of(kind: AppointmentType) -> Any:
    if not kind.code:
        return kind.text
    return {"system": kind.system, "code": kind.code} | (
        {"display": kind.text} if kind.text else {}
    )


def digits(number: str) -> str:
    """A number without the letters that say of what; "" where it is none."""
    found = re.fullmatch(r"[A-Za-z]*-?([0-9]{1,15})", number)
    return found[1] if found else ""
