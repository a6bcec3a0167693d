"""Departments, patients and encounters as the proprietary interface shows them."""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.sandbox import behaviour, charts
from ehr_adapters.sandbox.exchange import Answer
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
    return told([shown])


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
