"""Departments, patients and encounters as the proprietary interface shows them."""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.sandbox import behaviour, charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import local, require, spelt_date
from ehr_adapters.sandbox.vendors.athenahealth.numbers import VENDOR, entry, number_of

DEPARTMENTS = {"1": "Northgate Family Medicine", "21": "Northgate Telephone Clinic"}
HOME = "1"
_OPEN = {"arrived", "triaged", "in-progress", "onleave"}
_SEXES = {"female": "F", "male": "M"}


def departments() -> Answer:
    """GET /departments."""
    listed = [
        {"departmentid": number, "name": name, "timezonename": "America/New_York"}
        for number, name in DEPARTMENTS.items()
    ]
    return told({"departments": listed, "totalcount": len(listed)})


def check_department(given: Mapping[str, str]) -> str:
    """The department of a chart call. Raises a refusal when it is not named, or not one of the practice's."""
    require(given, "departmentid")
    if given["departmentid"] not in DEPARTMENTS:
        raise refused(400, "The department is not valid.", detail="departmentid is unknown.")
    return given["departmentid"]


def patient_row(number: str, *, writing: bool = False) -> SandboxResource:
    """A patient of the practice. Raises a refusal (404)."""
    row = entry("Patient", number, words="patient")
    links = charts.content_of(row).get("link") or []
    gone = any(link["type"] == "replaced-by" for link in links)
    if gone and writing and behaviour.of(VENDOR, "merged_patient_refused"):
        raise refused(404, "The patient does not exist in that context.")
    return row


def patient(number: str) -> Answer:
    """GET /patients/{patientid}: a list of one."""
    content = charts.content_of(patient_row(number))
    name = content["name"][0]
    shown = {
        "patientid": number,
        "firstname": " ".join(name.get("given", [])),
        "lastname": name["family"],
        "dob": spelt_date(content["birthDate"]),
        "sex": _SEXES.get(content.get("gender", ""), ""),
        "departmentid": HOME,
        "primarydepartmentid": HOME,
        "status": "active" if content.get("active", True) else "inactive",
    }
    return told([shown | _contact(content)])


_PHONES = {"home": "homephone", "mobile": "mobilephone", "work": "workphone"}


def _contact(content: Mapping[str, Any]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for one in content.get("telecom") or []:
        name = "email" if one["system"] == "email" else _PHONES.get(one.get("use", "home"), "")
        if name:
            shown.setdefault(name, one["value"])
    address = (content.get("address") or [{}])[0]
    shown |= dict(zip(("address1", "address2"), address.get("line") or [], strict=False))
    for name, key in (("city", "city"), ("state", "state"), ("zip", "postalCode")):
        if address.get(key):
            shown[name] = address[key]
    return shown


def update_patient(call: Call, given: Mapping[str, str], number: str) -> Answer:
    """PUT /patients/{patientid}: the contact fields sent; the answer is a list of one."""
    check_department(given)
    row = patient_row(number, writing=True)
    content = charts.content_of(row)
    contact = _contact(content)
    names = [*_PHONES.values(), "email", "address1", "address2", "city", "state", "zip"]
    if any(len(given.get(name, "")) > 100 for name in names):
        raise refused(400, "The data provided is invalid.", detail="A field is too long.")
    contact |= {name: given[name] for name in names if given.get(name)}
    phones = [
        {"system": "phone", "value": contact[name], "use": use}
        for use, name in _PHONES.items()
        if name in contact
    ]
    mail = [{"system": "email", "value": contact["email"]}] if "email" in contact else []
    content["telecom"] = [*phones, *mail]
    old = (content.get("address") or [{"use": "home"}])[0]
    lines = [contact[name] for name in ("address1", "address2") if name in contact]
    address = old | ({"line": lines} if lines else {})
    for name, key in (("city", "city"), ("state", "state"), ("zip", "postalCode")):
        if name in contact:
            address[key] = contact[name]
    content["address"] = [address]
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=row, resource=content, author=call.author, at=call.at)
    answer = told([{"patientid": number}])
    answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
    return answer


def state_of(row: SandboxResource) -> str:
    """OPEN, REVIEW or CLOSED; "" for a visit without check-in, which has no encounter here yet."""
    status = charts.content_of(row).get("status")
    if status in _OPEN:
        return "OPEN"
    if status == "finished":
        return "CLOSED" if row.locked else "REVIEW"
    return ""


def encounter_row(number: str, *, writing: bool = False) -> SandboxResource:
    """An encounter. Raises a refusal: 404 before check-in, 400 for a write to a closed one."""
    row = entry("Encounter", number, words="encounter")
    state = state_of(row)
    if not state:
        raise refused(404, "The encounter does not exist.")
    if writing and state == "CLOSED":
        raise refused(400, str(behaviour.of(VENDOR, "closed_visit_error")))
    return row


def encounter(number: str) -> Answer:
    """GET /chart/encounter/{encounterid}: a list of one."""
    row = encounter_row(number)
    content = charts.content_of(row)
    kind = content["class"]["code"]
    start = local(content["period"]["start"])
    doctor = (content.get("participant") or [{}])[0].get("individual", {}).get("reference", "")
    shown: dict[str, Any] = {
        "encounterid": int(number),
        "patientid": number_of(row.patient_id),
        "departmentid": "21" if kind == "VR" else HOME,
        "status": state_of(row),
        "encountertype": "PHONE" if kind == "VR" else "VISIT",
        "encounterdate": start.strftime("%m/%d/%Y") if start else "",
    }
    if doctor:
        shown["providerid"] = number_of(doctor)
    return told([shown])
