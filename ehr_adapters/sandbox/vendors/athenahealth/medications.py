"""The medication list: drugs by athenaOne's own number, directions as one text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.seed import entries
from ehr_adapters.sandbox.seed.resources import RXNORM, coding, concept
from ehr_adapters.sandbox.vendors.athenahealth import people, references
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import day, require, spelt_date
from ehr_adapters.sandbox.vendors.athenahealth.numbers import entry, fhir_id_of, number_of

if TYPE_CHECKING:
    from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront

_PERIOD = "validityPeriod"


def create(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """POST /chart/{patientid}/medications."""
    require(given, "departmentid", "medicationid")
    people.check_department(given)
    row = people.patient_row(patient, writing=True)
    numbers = {str(v): n for n, v in references.medications().items()}
    name = numbers.get(given["medicationid"])
    if name is None:
        raise refused(400, "The data provided is invalid.", detail="medicationid is unknown.")
    drug = next(m.drug for each in entries.MEDICATIONS.values() for m in each if m.text == name)
    content: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "plan",
        "reportedBoolean": True,
        "medicationCodeableConcept": concept(coding(RXNORM, *drug), text=name),
        "subject": {"reference": f"Patient/{row.fhir_id}"},
    }
    _apply(content, given)
    filed = front.filed(call, content)
    answer = told({"success": True, "medicationentryid": number_of(filed.fhir_id)})
    answer.committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
    return answer


def update(
    front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str, number: str
) -> Answer:
    """PUT /chart/{patientid}/medications/{medicationentryid}: the fields sent."""
    del front
    people.check_department(given)
    people.patient_row(patient, writing=True)
    row = entry("MedicationRequest", number, words="medication")
    if row.patient_id != fhir_id_of("Patient", patient):
        raise refused(404, "The medication does not exist.")
    content = charts.content_of(row)
    _apply(content, given)
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=row, resource=content, author=call.author, at=call.at)
    answer = told({"success": True, "medicationentryid": int(number)})
    answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
    return answer


def listed(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """GET /chart/{patientid}/medications: entries of one drug lie together in a list of their own."""
    people.check_department(given)
    owner = people.patient_row(patient)
    rows = front.searchable(call, "MedicationRequest", owner.fhir_id)
    return told({"medications": [[_shown(row)] for row in rows], "totalcount": len(rows)})


def _apply(content: dict[str, Any], given: Mapping[str, str]) -> None:
    if given.get("unstructuredsig"):
        # Free words: whatever structure stood there before is gone.
        content["dosageInstruction"] = [{"text": given["unstructuredsig"]}]
    if given.get("providernote"):
        content["note"] = [{"text": given["providernote"]}]
    period = dict(content.get("dispenseRequest", {}).get(_PERIOD, {}))
    if given.get("startdate"):
        period["start"] = day(given["startdate"], "startdate").isoformat()
        content["authoredOn"] = period["start"]
    if given.get("stopdate"):
        period["end"] = day(given["stopdate"], "stopdate").isoformat()
        content["status"] = "stopped"
    if given.get("stopreason"):
        content["statusReason"] = {"text": given["stopreason"]}
    if period:
        content["dispenseRequest"] = {_PERIOD: period}


def _shown(row: SandboxResource) -> dict[str, Any]:
    content = charts.content_of(row)
    name = content["medicationCodeableConcept"].get("text", "")
    period = content.get("dispenseRequest", {}).get(_PERIOD, {})
    started = period.get("start") or content.get("authoredOn", "")
    events = [{"type": "START", "eventdate": spelt_date(started)}] if started else []
    if period.get("end"):
        events.append({"type": "END", "eventdate": spelt_date(period["end"])})
    shown: dict[str, Any] = {
        "medicationentryid": number_of(row.fhir_id),
        "medicationid": references.medications().get(name, 0),
        "medication": name,
        "unstructuredsig": (content.get("dosageInstruction") or [{}])[0].get("text", ""),
        "events": events,
        "createdby": row.author,
    }
    if content.get("note"):
        shown["providernote"] = "\n".join(each["text"] for each in content["note"])
    if content.get("statusReason"):
        shown["stopreason"] = content["statusReason"].get("text", "")
    return shown
