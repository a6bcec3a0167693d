"""The problem list and the diagnoses of an encounter: SNOMED CT in, no certainty, no end date."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.seed.resources import HL7, ICD10, SNOMED, coding, concept, status
from ehr_adapters.sandbox.vendors.athenahealth import people
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused, told
from ehr_adapters.sandbox.vendors.athenahealth.fields import (
    ZONE,
    day,
    require,
    spelt_date,
    structure,
)
from ehr_adapters.sandbox.vendors.athenahealth.numbers import entry, fhir_id_of, number_of

if TYPE_CHECKING:
    from ehr_adapters.sandbox.vendors.athenahealth.front import AthenaFront

_SIDES = {
    "LEFT": ("7771000", "Left"),
    "RIGHT": ("24028007", "Right"),
    "BILATERAL": ("51440002", "Right and left"),
}
_COURSES = {"CHRONIC", "ACUTE"}
_ENDED = {"inactive", "remission", "resolved"}
LISTED, OF_VISIT = "problem-list-item", "encounter-diagnosis"


def create(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """POST /chart/{patientid}/problems: the same problem again is another one."""
    require(given, "departmentid", "snomedcode")
    people.check_department(given)
    row = people.patient_row(patient, writing=True)
    content = _condition(row.fhir_id, given["snomedcode"], LISTED)
    _apply(content, given)
    filed = front.filed(call, content)
    answer = told([{"success": True, "problemid": number_of(filed.fhir_id)}])
    answer.committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
    return answer


def update(
    front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str, number: str
) -> Answer:
    """PUT /chart/{patientid}/problems/{problemid}: only the fields sent, whoever changed it meanwhile."""
    people.check_department(given)
    people.patient_row(patient, writing=True)
    row = _problem(patient, number)
    content = charts.content_of(row)
    _apply(content, given)
    content = call.spoiler.alter(content) if call.spoiler else content
    charts.revise(row=row, resource=content, author=call.author, at=call.at)
    answer = told([{"success": True, "problemid": int(number)}])
    answer.committed.append(f"{row.type}/{row.fhir_id}/_history/{row.version}")
    return answer


def listed(front: "AthenaFront", call: Call, given: Mapping[str, str], patient: str) -> Answer:
    """GET /chart/{patientid}/problems; ended ones only with showinactive."""
    people.check_department(given)
    owner = people.patient_row(patient)
    inactive = given.get("showinactive", "").lower() == "true"
    shown = [
        _shown(row)
        for row in front.searchable(call, "Condition", owner.fhir_id)
        if _is_of(row, LISTED) and (inactive or not _has_ended(charts.content_of(row)))
    ]
    return told({"problems": shown, "totalcount": len(shown)})


def diagnose(front: "AthenaFront", call: Call, given: Mapping[str, str], encounter: str) -> Answer:
    """POST /chart/encounter/{encounterid}/diagnoses."""
    require(given, "snomedcode")
    visit = people.encounter_row(encounter, writing=True)
    content = _condition(visit.patient_id, given["snomedcode"], OF_VISIT)
    content["encounter"] = {"reference": f"Encounter/{visit.fhir_id}"}
    for code in structure(given, "icd10codes") if given.get("icd10codes") else []:
        content["code"]["coding"].append(coding(ICD10, str(code)))
    _apply(content, given)
    filed = front.filed(call, content)
    answer = told({"success": True, "diagnosisid": number_of(filed.fhir_id)})
    answer.committed.append(f"{filed.type}/{filed.fhir_id}/_history/{filed.version}")
    return answer


def diagnoses(front: "AthenaFront", call: Call, encounter: str) -> Answer:
    """GET /chart/encounter/{encounterid}/diagnoses."""
    visit = people.encounter_row(encounter)
    reference = f"Encounter/{visit.fhir_id}"
    shown = []
    for row in front.searchable(call, "Condition", visit.patient_id):
        content = charts.content_of(row)
        if _is_of(row, OF_VISIT) and content.get("encounter", {}).get("reference") == reference:
            codings = content["code"]["coding"]
            one = {
                "diagnosisid": number_of(row.fhir_id),
                "snomedcode": next((c["code"] for c in codings if c["system"] == SNOMED), ""),
                "icdcodes": [
                    {"code": c["code"], "codeset": "ICD10"} for c in codings if c["system"] == ICD10
                ],
                "description": content["code"].get("text", ""),
                "note": _comment(content),
            }
            side = _side_of(content)
            shown.append(one | ({"laterality": side} if side else {}))
    return told(shown)


def _problem(patient: str, number: str) -> SandboxResource:
    row = entry("Condition", number, words="problem")
    if row.patient_id != fhir_id_of("Patient", patient) or not _is_of(row, LISTED):
        raise refused(404, "The problem does not exist.")
    return row


def _condition(patient: str, code: str, category: str) -> dict[str, Any]:
    if not code.isdigit():
        raise refused(400, "Invalid SNOMED code.")
    return {
        "resourceType": "Condition",
        "clinicalStatus": status("condition-clinical", "active"),
        "verificationStatus": status("condition-ver-status", "confirmed"),
        "category": [concept(coding(f"{HL7}/condition-category", category))],
        "code": concept(coding(SNOMED, code), text=f"SNOMED {code}"),
        "subject": {"reference": f"Patient/{patient}"},
    }


def _apply(content: dict[str, Any], given: Mapping[str, str]) -> None:
    if given.get("laterality"):
        if given["laterality"] not in _SIDES:
            raise refused(400, "The data provided is invalid.", detail="laterality is unknown.")
        content["bodySite"] = [concept(coding(SNOMED, *_SIDES[given["laterality"]]))]
    if given.get("startdate"):
        content["onsetDateTime"] = day(given["startdate"], "startdate").isoformat()
    if "note" in given:
        content["note"] = [{"text": given["note"]}]
    if given.get("status"):
        if given["status"] not in _COURSES:
            raise refused(400, "The data provided is invalid.", detail="status is unknown.")
        content["_v1"] = content.get("_v1", {}) | {"status": given["status"]}


def _is_of(row: SandboxResource, category: str) -> bool:
    found = charts.content_of(row).get("category") or []
    return any(each.get("code") == category for one in found for each in one["coding"])


def _has_ended(content: Mapping[str, Any]) -> bool:
    codes = {each.get("code") for each in content.get("clinicalStatus", {}).get("coding", [])}
    return bool(codes & _ENDED)


def _comment(content: Mapping[str, Any]) -> str:
    return "\n".join(each["text"] for each in content.get("note") or [])


def _side_of(content: Mapping[str, Any]) -> str:
    codes = {c["code"] for site in content.get("bodySite") or [] for c in site["coding"]}
    return next((word for word, (code, _) in _SIDES.items() if code in codes), "")


def _shown(row: SandboxResource) -> dict[str, Any]:
    content = charts.content_of(row)
    codings = content["code"].get("coding") or []
    first = next((c for c in codings if c["system"] == SNOMED), codings[0] if codings else {})
    start: dict[str, Any] = {"eventtype": "START"}
    if content.get("onsetDateTime"):
        start["startdate"] = spelt_date(content["onsetDateTime"])
    if side := _side_of(content):
        start["laterality"] = side
    if content.get("note"):
        start["note"] = _comment(content)
    if course := content.get("_v1", {}).get("status"):
        start["status"] = course
    events = [start]
    if _has_ended(content):
        ended = {"eventtype": "END"}
        if content.get("abatementDateTime"):
            ended["enddate"] = spelt_date(content["abatementDateTime"])
        events.append(ended)
    return {
        "problemid": number_of(row.fhir_id),
        "name": content["code"].get("text", ""),
        "code": first.get("code", ""),
        "codeset": "SNOMED" if first.get("system") == SNOMED else "ICD10",
        "events": events,
        "lastmodifiedby": row.author,
        "lastmodifieddatetime": row.updated_at.astimezone(ZONE).isoformat(timespec="seconds"),
    }
