"""What each licensed Unity action files. Times are the practice's own clock, dates month/day/year."""

import base64
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxName, SandboxResource
from ehr_adapters.sandbox.seed.resources import HL7, ICD10, RXNORM, coding, concept, status
from ehr_adapters.sandbox.vendors.veradigm.ids import (
    by_unity_number,
    survivor_of,
    unity_number,
)
from ehr_adapters.sandbox.vendors.veradigm.refusals import MALFORMED, UnityRefused

PRACTICE_ZONE = ZoneInfo("America/Chicago")
# The document types of this practice.
DOCUMENT_TYPES = {
    "Progress Note": ("11506-3", "Progress note"),
    "History and Physical": ("34117-2", "History and physical note"),
    "Consultation": ("11488-4", "Consult note"),
    "Discharge Summary": ("18842-5", "Discharge summary"),
}
# Allergens by the names that this practice's EHR has for them.
ALLERGENS = {
    "Penicillins": (RXNORM, "7980", "penicillin G"),
    "Amoxicillin": (RXNORM, "723", "amoxicillin"),
    "Sulfamethoxazole": (RXNORM, "10180", "sulfamethoxazole"),
}
TASK_TYPES = {"Misc", "Call Back", "Follow-up"}
_STATUSES = {"Active": "active", "Inactive": "inactive", "Resolved": "resolved"}
_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"


@dataclass(slots=True)
class Filed:
    """The row of a reply, and what stands in the chart now."""

    row: dict[str, Any]
    committed: list[str] = field(default_factory=list)


def server_info(call: Call) -> dict[str, Any]:
    """GetServerInfo: what the practice's clock says."""
    return {
        "ServerTime": call.at.astimezone(PRACTICE_ZONE).strftime("%Y-%m-%dT%H:%M:%S"),
        "ServerTimeZone": "Central Standard Time",
        "System": "Veradigm EHR (practice)",
        "ProductVersion": "26.0",
    }


def save_note(front: Front, call: Call, request: Mapping[str, Any]) -> Filed:
    """SaveNote: text, document type, Unsigned or Final, RTF flag. Files in the chart, in no visit."""
    patient = _patient(call, request)
    text, kind, state, rtf = _parameters(request, 4)
    if not text:
        raise UnityRefused(MALFORMED)
    if kind not in DOCUMENT_TYPES:
        raise UnityRefused("The document type is not valid.")
    if state not in {"Unsigned", "Final"} or rtf not in {"Y", "N"}:
        raise UnityRefused("The document status is not valid.")
    code, display = DOCUMENT_TYPES[kind]
    author = _practitioner(call, request["AppUserID"])
    content: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final" if state == "Final" else "preliminary",
        "type": concept(coding("http://loinc.org", code, display), text=kind),
        "category": [concept(coding(_CATEGORY, "clinical-note"))],
        "subject": _subject(patient),
        "date": charts.instant(call.at),
        "author": [author],
        "content": [
            {
                "attachment": {
                    "contentType": "text/rtf" if rtf == "Y" else "text/plain",
                    "data": base64.b64encode(text.encode()).decode(),
                }
            }
        ],
    }
    if state == "Final":
        content["authenticator"] = author
    return _filed(front, call, content, key="DocumentID")


def save_problems_data(front: Front, call: Call, request: Mapping[str, Any]) -> Filed:
    """SaveProblemsData: rows of a form; a new problem has the set id 0."""
    patient = _patient(call, request)
    form = _form(request, "saveproblemsdatarequest", "saveproblemsdata")
    if {row.get("setid") for row in form} != {"0"}:
        raise UnityRefused("The problem was not found.")
    given = {
        "/".join(part for part in (row.get("fieldid"), row.get("attributeid")) if part): str(
            row.get("value1", "")
        )
        for row in form
    }
    title, code = given.get("problem/title", ""), given.get("problem/code", "")
    if not title or not code:
        raise UnityRefused("A required field is missing: problem.")
    if given.get("problem/source") != "ICD10":
        raise UnityRefused("The code source is not valid.")
    if not re.fullmatch(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?", code):
        raise UnityRefused("The problem code is not valid.")
    if given.get("status") not in _STATUSES:
        raise UnityRefused("The problem status is not valid.")
    content: dict[str, Any] = {
        "resourceType": "Condition",
        "clinicalStatus": status("condition-clinical", _STATUSES[given["status"]]),
        "verificationStatus": status("condition-ver-status", "confirmed"),
        "category": [
            concept(coding(f"{HL7}/condition-category", "problem-list-item", "Problem List Item"))
        ],
        "code": concept(coding(ICD10, code, title), text=title),
        "subject": _subject(patient),
        "recordedDate": call.at.astimezone(PRACTICE_ZONE).date().isoformat(),
        "recorder": _practitioner(call, request["AppUserID"]),
    }
    if given.get("onset"):
        content["onsetDateTime"] = _date(given["onset"])
    if given.get("comment"):
        content["note"] = [{"text": given["comment"]}]
    return _filed(front, call, content, key="ProblemID")


def save_allergy(front: Front, call: Call, request: Mapping[str, Any]) -> Filed:
    """SaveAllergy: the allergen by its name in the EHR (Parameter2), a comment (Parameter6)."""
    patient = _patient(call, request)
    given = {
        str(row.get("name")): str(row.get("value", ""))
        for row in _form(request, "saveallergy", "field", number=2)
    }
    known = ALLERGENS.get(given.get("AllergyName", ""))
    if known is None:
        raise UnityRefused("The allergy name is not valid.")
    verified = "confirmed" if given.get("Verified") == "Y" else "unconfirmed"
    content: dict[str, Any] = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": status("allergyintolerance-clinical", "active"),
        "verificationStatus": status("allergyintolerance-verification", verified),
        "code": concept(coding(*known), text=given["AllergyName"]),
        "patient": _subject(patient),
        "recordedDate": call.at.astimezone(PRACTICE_ZONE).date().isoformat(),
        "recorder": _practitioner(call, request["AppUserID"]),
    }
    if given.get("isMedicationAllergy") == "Y":
        content["category"] = ["medication"]
    if comment := str(request.get("Parameter6") or ""):
        content["note"] = [{"text": comment}]
    return _filed(front, call, content, key="AllergyID")


def save_task(front: Front, call: Call, request: Mapping[str, Any]) -> Filed:
    """SaveTask: type, for whom, work object, comment, subject. The FHIR side has no tasks."""
    patient = _patient(call, request)
    kind, target, _, comment, subject = _parameters(request, 5)
    if kind not in TASK_TYPES:
        raise UnityRefused("The task type is not valid.")
    if not (re.fullmatch(r"Team[0-9]+", target) or "reference" in _practitioner(call, target)):
        raise UnityRefused("The task's target user was not found.")
    content: dict[str, Any] = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"text": subject},
        "description": comment,
        "for": _subject(patient),
        "authoredOn": charts.instant(call.at),
        "owner": {"display": target},
    }
    return _filed(front, call, content, key="TaskID")


def save_document_image(front: Front, call: Call, request: Mapping[str, Any]) -> Filed:
    """SaveDocumentImage, twice: the bytes (Parameter6) with bDoneUpload false, then bDoneUpload true.

    The first call leaves a stub and answers its documentVar; command e marks a document as an error.
    """
    patient = _patient(call, request)
    given = {
        str(item.get("name")): str(item.get("value", "")) for item in _form(request, "doc", "item")
    }
    command = given.get("documentCommand", "")
    if command == "e":
        row = _document(call, patient, key=given.get("documentID", ""), named=unity_number)
        content = charts.content_of(row) | {"status": "entered-in-error"}
        return _revised(call, row, content, {"documentID": unity_number(row.fhir_id)})
    if command not in {"i", "u"} or given.get("documentType") not in DOCUMENT_TYPES:
        raise UnityRefused("The document command or type is not valid.")
    if given.get("bDoneUpload") == "true":
        row = _document(call, patient, key=given.get("documentVar", ""), named=_upload_of)
        content = charts.content_of(row) | {"docStatus": "final"}
        content.pop("description", None)
        return _revised(call, row, content, {"documentID": unity_number(row.fhir_id)})
    data = str(request.get("Parameter6") or "")
    try:
        whole = bool(base64.b64decode(data, validate=True))
    except ValueError:
        whole = False
    if not whole:
        raise UnityRefused(MALFORMED)
    code, display = DOCUMENT_TYPES[given["documentType"]]
    attachment = {"contentType": "application/pdf", "data": data}
    if given.get("vendorFileName"):
        attachment["title"] = given["vendorFileName"]
    stub: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "preliminary",
        "description": "Upload not completed",
        "type": concept(coding("http://loinc.org", code, display), text=given["documentType"]),
        "subject": _subject(patient),
        "date": charts.instant(call.at),
        "author": [_practitioner(call, request["AppUserID"])],
        "content": [{"attachment": attachment}],
    }
    row = front.filed(call, stub)
    told = {"documentVar": _upload_of(row.fhir_id), "Status": "Success"}
    return Filed(told, [f"{row.type}/{row.fhir_id}/_history/{row.version}"])


def _upload_of(fhir_id: str) -> str:
    """The documentVar of an upload: a GUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, fhir_id))


def _document(
    call: Call, patient: SandboxResource, *, key: str, named: Callable[[str], str]
) -> SandboxResource:
    rows = SandboxResource.objects.filter(
        vendor=call.vendor, type="DocumentReference", patient_id=patient.fhir_id, removed=False
    )
    for row in rows:
        if key and named(row.fhir_id) == key:
            return row
    raise UnityRefused("The document was not found.")


def _revised(
    call: Call, row: SandboxResource, content: dict[str, Any], told: dict[str, Any]
) -> Filed:
    charts.revise(row=row, resource=content, author=call.author, at=call.at)
    return Filed(told | {"Status": "Success"}, [f"{row.type}/{row.fhir_id}/_history/{row.version}"])


ACTIONS: dict[str, Callable[[Front, Call, Mapping[str, Any]], Filed]] = {
    "SaveNote": save_note,
    "SaveProblemsData": save_problems_data,
    "SaveAllergy": save_allergy,
    "SaveTask": save_task,
    "SaveDocumentImage": save_document_image,
}


# --- parts ------------------------------------------------------------------------------------------------


def _filed(front: Front, call: Call, content: dict[str, Any], *, key: str) -> Filed:
    row = front.filed(call, content)
    named = {key: unity_number(row.fhir_id), "Status": "Success"}
    return Filed(named, [f"{row.type}/{row.fhir_id}/_history/{row.version}"])


def _patient(call: Call, request: Mapping[str, Any]) -> SandboxResource:
    """The patient that PatientID names. Raises UnityRefused."""
    row = by_unity_number(vendor=call.vendor, type="Patient", number=request["PatientID"])
    if row is None or row.removed:
        raise UnityRefused("The patient was not found.")
    if survivor_of(row):
        raise UnityRefused("The patient has been merged into another record.")
    return row


def _subject(patient: SandboxResource) -> dict[str, Any]:
    return {"reference": f"Patient/{patient.fhir_id}"}


def _practitioner(call: Call, user: str) -> dict[str, Any]:
    for person in SandboxName.objects.filter(vendor=call.vendor, group="staff"):
        if person.details.get("user") == user:
            return {
                "reference": f"Practitioner/{person.fhir_id}",
                "display": str(person.details["name"]),
            }
    return {"display": user}


def _parameters(request: Mapping[str, Any], count: int) -> list[str]:
    return [str(request.get(f"Parameter{number}") or "") for number in range(1, count + 1)]


def _form(request: Mapping[str, Any], root: str, row: str, *, number: int = 1) -> list[ET.Element]:
    """The rows of an XML parameter. Raises UnityRefused."""
    text = str(request.get(f"Parameter{number}") or "")
    if "<!" in text:
        raise UnityRefused(MALFORMED)
    try:
        form = ET.fromstring(text)  # noqa: S314 - no declarations get this far, and this is loopback
    except ET.ParseError:
        raise UnityRefused(MALFORMED) from None
    rows = form.findall(row)
    if form.tag != root or not rows:
        raise UnityRefused(MALFORMED)
    return rows


def _date(text: str) -> str:
    try:
        return datetime.strptime(text, "%m/%d/%Y").date().isoformat()  # noqa: DTZ007 - a date, no time
    except ValueError:
        raise UnityRefused("The date is not valid.") from None
