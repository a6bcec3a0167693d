"""Patient cases: what the staff is asked to do about a patient."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.vendors.athenahealth import people
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import ZONE, require
from ehr_adapters.sandbox.vendors.athenahealth.numbers import entry, number_of

if TYPE_CHECKING:
    from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront

LONGEST_INTERNAL_NOTE = 4000
SOURCES = {"PATIENT", "PHARMACY", "LAB", "OTHERPROVIDER", "CALLBACK"}
SUBCLASSES = {"ADMINISTRATIVE", "CLINICALQUESTION", "OTHER", "REFILL", "FOLLOWUP"}
_KEPT = ("documentsource", "documentsubclass", "subject", "internalnote", "providerid")


def create(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """POST /patients/{patientid}/documents/patientcase: only the number in the answer, no "success"."""
    require(given, "departmentid", "documentsource", "documentsubclass")
    department = people.check_department(given)
    row = people.patient_row(patient, writing=True)
    if given["documentsource"] not in SOURCES or given["documentsubclass"] not in SUBCLASSES:
        raise refused(
            400, "The data provided is invalid.", detail="documentsource or documentsubclass."
        )
    if len(given.get("internalnote", "")) > LONGEST_INTERNAL_NOTE:
        raise refused(400, "The data provided is invalid.", detail="internalnote is too long.")
    priority = given.get("priority", "2")
    if priority not in {"1", "2"}:
        raise refused(400, "The data provided is invalid.", detail="priority is 1 or 2.")
    owner = given.get("providerid", "")
    if owner:
        entry("Practitioner", owner, words="provider")
    content: dict[str, Any] = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "for": {"reference": f"Patient/{row.fhir_id}"},
        "description": given.get("subject") or "Patient case",
        "_v1": {
            **{name: given[name] for name in _KEPT if given.get(name)},
            "priority": priority,
            "departmentid": department,
            "created": charts.instant(call.at),
        },
    }
    filed = front.filed(call, content)
    answer = told({"patientcaseid": number_of(filed.fhir_id)})
    answer.committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
    return answer


def listed(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """GET /patients/{patientid}/documents/patientcase: the open ones."""
    people.check_department(given)
    row = people.patient_row(patient)
    shown = []
    for case in front.searchable(call, "Task", row.fhir_id):
        content = charts.content_of(case)
        own = dict(content.get("_v1", {}))
        own.pop("created", None)
        shown.append(
            {
                "patientcaseid": number_of(case.fhir_id),
                "status": "OPEN",
                "createddate": case.updated_at.astimezone(ZONE).strftime("%m/%d/%Y"),
                "createduser": case.author,
                **own,
            }
        )
    return front.page(given, "patientcases", shown)
