"""Clinical documents: a text of its own class in the chart, open for review unless closed on arrival."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.vendors.athenahealth import people
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import ZONE, local, moment, require
from ehr_adapters.sandbox.vendors.athenahealth.numbers import (
    entry,
    fhir_id_of,
    number_of,
)

if TYPE_CHECKING:
    from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront

SUBCLASSES = {
    "CLINICALDOCUMENT": "Clinical document",
    "ADMISSIONDISCHARGE": "Admission or discharge summary",
    "CONSULTNOTE": "Consult note",
    "MENTALHEALTH": "Mental health",
    "OPERATIVENOTE": "Operative note",
    "URGENTCARE": "Urgent care",
}
_LOINC = {"11488-4": "CONSULTNOTE", "18842-5": "ADMISSIONDISCHARGE", "11504-8": "OPERATIVENOTE"}
_SYSTEM = "urn:athenahealth:documentsubclass"
LONGEST_INTERNAL_NOTE = 4000


def create(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """POST /patients/{patientid}/documents/clinicaldocument."""
    require(given, "departmentid", "documentsubclass")
    department = people.check_department(given)
    row = people.patient_row(patient, writing=True)
    subclass = given["documentsubclass"]
    if subclass not in SUBCLASSES:
        raise refused(400, "The data provided is invalid.", detail="documentsubclass is unknown.")
    if len(given.get("internalnote", "")) > LONGEST_INTERNAL_NOTE:
        raise refused(400, "The data provided is invalid.", detail="internalnote is too long.")
    content: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final" if given.get("autoclose", "").lower() == "true" else "preliminary",
        "type": {
            "coding": [{"system": _SYSTEM, "code": subclass, "display": SUBCLASSES[subclass]}],
            "text": SUBCLASSES[subclass],
        },
        "subject": {"reference": f"Patient/{row.fhir_id}"},
        "date": _observed(given, call.at),
        "content": [{"attachment": _attachment(given)}],
        "_v1": {
            "internalnote": given.get("internalnote", ""),
            "departmentid": department,
            "created": charts.instant(call.at),
        },
    }
    if given.get("providerid"):
        provider = entry("Practitioner", given["providerid"], words="provider")
        content["author"] = [{"reference": f"Practitioner/{provider.fhir_id}"}]
    filed = front.filed(call, content)
    answer = told({"success": True, "clinicaldocumentid": number_of(filed.fhir_id)})
    answer.committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
    return answer


def _observed(given: Mapping[str, str], at: datetime) -> str:
    if not given.get("observationdate"):
        return charts.instant(at)
    found = moment(
        given["observationdate"],
        given.get("observationtime") or "00:00",
        "observationdate, observationtime",
    )
    return found.isoformat()


def _attachment(given: Mapping[str, str]) -> dict[str, Any]:
    if given.get("attachmentcontents"):
        try:
            base64.b64decode(given["attachmentcontents"], validate=True)
        except binascii.Error:
            raise refused(
                400, "The data provided is invalid.", detail="attachmentcontents is not base64."
            ) from None
        return {"contentType": "application/pdf", "data": given["attachmentcontents"]}
    text = given.get("documentdata", "")
    return {"contentType": "text/plain", "data": base64.b64encode(text.encode()).decode()}


def listed(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """GET /patients/{patientid}/documents/clinicaldocument: without the texts, page by page."""
    people.check_department(given)
    row = people.patient_row(patient)
    shown = [
        _shown(document)
        for document in front.searchable(call, "DocumentReference", row.fhir_id)
        if not given.get("documentsubclass")
        or subclass_of(charts.content_of(document)) == given["documentsubclass"]
    ]
    return front.page(given, "clinicaldocuments", shown)


def one(given: Mapping[str, str], patient: str, number: str) -> Answer:
    """GET /patients/{patientid}/documents/clinicaldocument/{clinicaldocumentid}: a list of one, with its text."""
    people.check_department(given)
    document = entry("DocumentReference", number, words="document")
    if document.patient_id != fhir_id_of("Patient", patient):
        raise refused(404, "The document does not exist.")
    return told([_shown(document) | {"documentdata": _text_of(charts.content_of(document))}])


def _text_of(content: Mapping[str, Any]) -> str:
    attachment = content["content"][0]["attachment"]
    if not attachment.get("contentType", "").startswith("text/plain"):
        return ""
    return base64.b64decode(attachment.get("data", "")).decode("utf-8", "replace")


def subclass_of(content: Mapping[str, Any]) -> str:
    """The class of a document, by its own code or by LOINC."""
    codes = {each.get("code") for each in content.get("type", {}).get("coding", [])}
    own = next((code for code in codes if code in SUBCLASSES), "")
    return own or next((_LOINC[code] for code in codes if code in _LOINC), "CLINICALDOCUMENT")


def _shown(row: SandboxResource) -> dict[str, Any]:
    content = charts.content_of(row)
    own = content.get("_v1", {})
    observed = local(content.get("date", ""))
    created = local(own.get("created", "")) or observed or row.updated_at.astimezone(ZONE)
    shown: dict[str, Any] = {
        "clinicaldocumentid": number_of(row.fhir_id),
        "patientid": number_of(row.patient_id),
        "documentclass": "CLINICALDOCUMENT",
        "documentsubclass": subclass_of(content),
        "documentdescription": content.get("type", {}).get("text", ""),
        "departmentid": own.get("departmentid", people.HOME),
        "status": "CLOSED" if content.get("docStatus") in {"final", "amended"} else "REVIEW",
        "internalnote": own.get("internalnote", ""),
        "createddate": created.strftime("%m/%d/%Y"),
        "createddatetime": created.isoformat(timespec="seconds"),
        "createduser": row.author,
        "lastmodifieddatetime": row.updated_at.astimezone(ZONE).isoformat(timespec="seconds"),
        "priority": "2",
    }
    if content.get("status") == "entered-in-error":
        shown["status"] = "DELETED"
    if observed:
        shown["observationdate"] = observed.strftime("%m/%d/%Y")
        shown["observationtime"] = observed.strftime("%H:%M")
    authors = content.get("author") or [{}]
    if authors[0].get("reference", "").startswith("Practitioner/"):
        shown["providerid"] = number_of(authors[0]["reference"])
    return shown
