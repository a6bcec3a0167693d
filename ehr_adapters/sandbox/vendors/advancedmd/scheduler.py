"""The scheduler's REST interface: a time in a clinician's column is taken once."""

import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ehr_adapters.sandbox import behaviour, charts, exact_json
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxName, SandboxResource
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.vendors.advancedmd import messages

VENDOR = behaviour.ADVANCEDMD
# Columns of the scheduler by number, and whose they are.
COLUMNS = {1: "prescriber_one", 2: "prescriber_two"}
# Types of appointment of this practice.
TYPES = {
    11: ("http://terminology.hl7.org/CodeSystem/v2-0276", "FOLLOWUP", "Follow-up"),
    12: ("http://terminology.hl7.org/CodeSystem/v2-0276", "ROUTINE", "Routine"),
}
_ZONE = ZoneInfo("America/Denver")
_PATH = re.compile(
    r"api/api-\d+/[\w-]+/scheduler/Appointments(?:/(?P<id>\d+)/(?P<act>cancel))?", re.IGNORECASE
)


def is_here(path: str) -> bool:
    return path.startswith("api/")


def carry_out(call: Call) -> Answer:
    """Books or cancels. Raises RequestRefused."""
    found = _PATH.fullmatch(call.path)
    if found is None:
        raise _refused(404, "There is nothing at this address.")
    if found["act"]:
        if call.method != "PUT":
            raise _refused(405, "Use PUT.")
        return _cancel(call, found["id"])
    if call.method != "POST":
        raise _refused(405, "Use POST.")
    return _book(call)


def _book(call: Call) -> Answer:
    body = _body(call)
    clinician = COLUMNS.get(_whole(body, "columnid"))
    kind = TYPES.get(_whole(body, "type"))
    if clinician is None or kind is None:
        raise _refused(400, "The column or the type is not known.")
    provider = SandboxName.objects.get(vendor=VENDOR, group="staff", name=clinician).fhir_id
    if str(_whole(body, "profileid")) != provider.removeprefix("prof"):
        raise _refused(400, "The profile is not that of the column.")
    patient = charts.find(vendor=VENDOR, type="Patient", fhir_id=f"pat{_whole(body, 'patientid')}")
    if patient is None or patient.removed:
        raise _refused(400, "The patient is not known.")
    start = _moment(str(body.get("startdatetime", "")))
    minutes = _whole(body, "duration")
    end = start + timedelta(minutes=minutes)
    if minutes < 1:
        raise _refused(400, "The duration is in minutes.")
    if _is_taken(provider, start, end):
        raise _refused(409, "The time is taken.")
    system, code, words = kind
    content: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "booked",
        "appointmentType": {"coding": [{"system": system, "code": code, "display": words}]},
        "start": charts.instant(start.astimezone(call.at.tzinfo)),
        "end": charts.instant(end.astimezone(call.at.tzinfo)),
        "minutesDuration": minutes,
        "created": charts.instant(call.at),
        "participant": [
            {"actor": {"reference": f"Patient/{patient.fhir_id}"}, "status": "accepted"},
            {"actor": {"reference": f"Practitioner/{provider}"}, "status": "accepted"},
        ],
    }
    content = call.spoiler.alter(content) if call.spoiler else content
    lag = call.spoiler.lag(at=call.at, last_request=call.last_request) if call.spoiler else None
    number = secrets.randbelow(9_000_000) + 1_000_000
    row = charts.file(
        vendor=VENDOR, resource=content, fhir_id=f"appt{number}", author=call.author, at=call.at, lag=lag
    )  # fmt: skip
    return _told(201, {"id": number}, row)


def _is_taken(provider: str, start: datetime, end: datetime) -> bool:
    for row in SandboxResource.objects.filter(vendor=VENDOR, type="Appointment", removed=False):
        held = charts.content_of(row)
        named = {one["actor"].get("reference") for one in held.get("participant", [])}
        if held.get("status") != "booked" or f"Practitioner/{provider}" not in named:
            continue
        begins, ends = (datetime.fromisoformat(held[name]) for name in ("start", "end"))
        if begins < end and start < ends:
            return True
    return False


def _cancel(call: Call, number: str) -> Answer:
    row = charts.find(vendor=VENDOR, type="Appointment", fhir_id=f"appt{number}")
    if row is None or row.removed:
        raise _refused(404, "The appointment is not known.")
    content = charts.content_of(row) | {"status": "cancelled"}
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=row, resource=content, author=call.author, at=call.at)
    return _told(200, {"id": int(number)}, row)


def _told(status: int, value: Mapping[str, Any], row: SandboxResource) -> Answer:
    answer = Answer(
        status, {"Content-Type": "application/json"}, exact_json.dumps(dict(value)).encode()
    )
    answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
    return answer


def _body(call: Call) -> dict[str, Any]:
    try:
        body = exact_json.loads(call.body)
    except exact_json.NotJson:
        body = None
    if not isinstance(body, dict):
        raise _refused(400, "Send a JSON object.")
    return body


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refused(400, f"{name} is a number without letters.")
    return value


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=_ZONE)
    except ValueError:
        raise _refused(400, "startdatetime is the practice's own time.") from None


def _refused(status: int, text: str) -> RequestRefused:
    return RequestRefused(status, "invalid", text, answer=messages.refused(text, status=status))
