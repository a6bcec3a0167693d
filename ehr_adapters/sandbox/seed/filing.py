"""Seeding: the made-up practice is written into each vendor's chart, under that vendor's ids and habits."""

import base64
import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from ehr_adapters.sandbox import behaviour, charts
from ehr_adapters.sandbox.models import SandboxName, SandboxResource
from ehr_adapters.sandbox.seed import entries
from ehr_adapters.sandbox.seed.entries import Allergy, Medication, Problem, Reading
from ehr_adapters.sandbox.seed.notes import NOTES, Note
from ehr_adapters.sandbox.seed.people import PEOPLE, STAFF, Person, Visit
from ehr_adapters.sandbox.seed.resources import (
    HL7,
    ICD10,
    LOINC,
    RXNORM,
    SNOMED,
    Json,
    Moment,
    coding,
    concept,
    pdf_attachment,
    quantity,
    reference,
    status,
    text_attachment,
)
from ehr_adapters.sandbox.seed.results import RESULTS, TESTS, Result

# Where each vendor's medical record number lives, and how an id looks there.
MRN_SYSTEMS = {
    behaviour.GENERIC: "http://northgate.example/mrn",
    behaviour.EPIC: "urn:oid:1.2.840.114350.1.13.861.1.7.5.737384.14",
}
USER_SYSTEMS = {
    behaviour.GENERIC: "http://northgate.example/user",
    behaviour.EPIC: "urn:oid:1.2.840.114350.1.13.861.1.7.2.697780",
}
_NAMESPACE = uuid.UUID("6c9fd3a6-7f0d-4c55-9d1f-1f5d6a3b7f10")
_DISPLAYS = {each.key: each.name for each in STAFF}


@dataclass(slots=True)
class _Chart:
    """One vendor's chart while it is written."""

    vendor: str
    moment: Moment
    rows: list[tuple[SandboxResource, Json]] = field(default_factory=list)
    names: list[SandboxName] = field(default_factory=list)

    def fhir_id(self, group: str, name: str) -> str:
        """The id of a seeded entry: always the same for the same vendor, group and name."""
        plain = uuid.uuid5(_NAMESPACE, f"{self.vendor}/{group}/{name}")
        if self.vendor == behaviour.GENERIC:
            return str(plain)
        digest = hashlib.sha256(plain.bytes).digest()[:16]
        return f"e{base64.urlsafe_b64encode(digest).decode().rstrip('=').replace('_', '-')}3"

    def file(
        self,
        group: str,
        name: str,
        content: Json,
        *,
        author: str,
        locked: bool = False,
        details: Json | None = None,
    ) -> None:
        """Adds an entry under its name."""
        fhir_id = self.fhir_id(group, name)
        row = SandboxResource(
            vendor=self.vendor,
            type=content["resourceType"],
            fhir_id=fhir_id,
            version=1,
            author=author,
            locked=locked,
            updated_at=self.moment.at,
        )
        self.rows.append((row, {"resourceType": content["resourceType"], "id": fhir_id} | content))
        self.names.append(
            SandboxName(
                vendor=self.vendor,
                group=group,
                name=name,
                type=row.type,
                fhir_id=fhir_id,
                details=details or {},
            )
        )

    def staff(self, key: str) -> Json:
        """A reference to a colleague, or the name of somebody outside."""
        if key not in _DISPLAYS:
            return {"display": key}
        return reference("Practitioner", self.fhir_id("staff", key), _DISPLAYS[key])

    def patient(self, person: Person) -> Json:
        """A reference to a patient."""
        return reference(
            "Patient", self.fhir_id(person.key, "patient"), f"{person.family}, {person.given}"
        )

    def visit(self, person: Person, name: str) -> Json:
        """A reference to a visit."""
        return reference("Encounter", self.fhir_id(person.key, name))


@transaction.atomic
def seed(*, at: datetime) -> dict[str, Any]:
    """Writes the practice into every chart that does not hold it yet; a second time changes nothing."""
    seeded = []
    for vendor in behaviour.VENDORS:
        if SandboxName.objects.filter(vendor=vendor).exists():
            continue
        chart = _Chart(vendor, Moment(at))
        _write_staff(chart)
        for person in PEOPLE:
            _write_person(chart, person)
        charts.bulk_file(chart.rows)
        SandboxName.objects.bulk_create(chart.names)
        if vendor == behaviour.EPIC:
            _stage_for_p2(chart)
        seeded.append(vendor)
    return {"seeded": seeded, "resources": SandboxResource.objects.count()}


def directory() -> dict[str, Any]:
    """Names of the practice to each vendor's ids: patients P1..P16 and the staff."""
    result: dict[str, Any] = {vendor: {} for vendor in behaviour.VENDORS}
    for row in SandboxName.objects.order_by("pk"):
        group = result[row.vendor].setdefault(row.group, {})
        if row.group == "staff":
            group[row.name] = {"practitioner": row.fhir_id, **row.details}
            continue
        if row.name == "patient":
            group |= {
                "patient": row.fhir_id,
                **row.details,
                "encounter": "",
                "encounters": {},
                "entries": {},
            }
        elif row.type == "Encounter":
            group["encounters"][row.name] = row.fhir_id
            if row.name == "visit":
                group["encounter"] = row.fhir_id
        else:
            group["entries"][row.name] = f"{row.type}/{row.fhir_id}"
    return result


# --- people -----------------------------------------------------------------------------------------------


def _write_staff(chart: _Chart) -> None:
    for each in STAFF:
        content: Json = {
            "resourceType": "Practitioner",
            "identifier": [
                {"use": "usual", "system": USER_SYSTEMS[chart.vendor], "value": each.user}
            ],
            "active": True,
            "name": [
                {"use": "official", "text": each.name, "family": each.family, "given": [each.given]}
            ],
        }
        if each.qualification:
            content["qualification"] = [{"code": {"text": each.qualification}}]
        chart.file(
            "staff",
            each.key,
            content,
            author="Administration",
            details={"name": each.name, "user": each.user, "role": each.role},
        )


def _write_person(chart: _Chart, person: Person) -> None:
    mrn = person.mrn if chart.vendor == behaviour.GENERIC else person.epic_mrn
    details = {
        "mrn": mrn,
        "mrn_system": MRN_SYSTEMS[chart.vendor],
        "family": person.family,
        "given": person.given,
        "gender": person.gender,
        "birth_date": chart.moment.birthday(person.born),
    }
    identity = _patient(chart, person, mrn)
    chart.file(person.key, "patient", identity, author="Registration", details=details)
    for visit in person.visits:
        chart.file(
            person.key,
            visit.name,
            _visit(chart, person, visit),
            author="Registration",
            locked=visit.locked,
        )
    for problem in entries.PROBLEMS.get(person.key, ()):
        chart.file(person.key, problem.name, _problem(chart, person, problem), author="Dr A. Reyes")
    for allergy in entries.ALLERGIES.get(person.key, ()):
        chart.file(
            person.key,
            f"allergy_{allergy.name}",
            _allergy(chart, person, allergy),
            author="L. Brandt",
        )
    for medication in entries.MEDICATIONS.get(person.key, ()):
        chart.file(
            person.key,
            medication.name,
            _medication(chart, person, medication),
            author="Dr A. Reyes",
        )
    for reading in entries.READINGS.get(person.key, ()):
        chart.file(person.key, reading.name, _reading(chart, person, reading), author="L. Brandt")
    for result in RESULTS.get(person.key, ()):
        chart.file(
            person.key, result.name, _result(chart, person, result), author="Northgate Laboratory"
        )
    for note in NOTES.get(person.key, ()):
        author = _DISPLAYS.get(note.author, note.author)
        chart.file(person.key, note.name, _note(chart, person, note), author=author)


def _patient(chart: _Chart, person: Person, mrn: str) -> Json:
    names: list[Json] = [{"use": "official", "family": person.family, "given": [person.given]}]
    if person.prefix:
        names[0]["prefix"] = [person.prefix]
    if person.previous_family:
        names.append({"use": "old", "family": person.previous_family, "given": [person.given]})
    content: Json = {
        "resourceType": "Patient",
        "identifier": [
            {"use": "usual", "type": concept(coding(f"{HL7}/v2-0203", "MR")), "system": MRN_SYSTEMS[chart.vendor], "value": mrn}
        ],
        "active": True,
        "name": names,
        "telecom": [{"system": "phone", "value": person.phone, "use": "home"}],
        "gender": person.gender,
        "birthDate": chart.moment.birthday(person.born),
        "address": [{"use": "home", "line": [person.street], "city": "Northgate", "postalCode": "00417"}],
    }  # fmt: skip
    if person.died_days_ago is not None:
        content["deceasedDateTime"] = chart.moment.clock(person.died_days_ago, "06:30")
    if person.contacts:
        content["contact"] = [
            {
                "relationship": [concept(coding(f"{HL7}/v3-RoleCode", code, display))],
                "name": {"text": name},
            }
            for code, display, name in person.contacts
        ]
    return content


def _visit_start(chart: _Chart, visit: Visit, plus: int = 0) -> str:
    if isinstance(visit.start, int):
        return chart.moment.minutes(visit.start + plus)
    days_ago, time = visit.start
    start = datetime.fromisoformat(chart.moment.clock(days_ago, time))
    return Moment(start).minutes(plus)


def _visit(chart: _Chart, person: Person, visit: Visit) -> Json:
    kinds = {
        "office": ("AMB", "ambulatory", "Office visit"),
        "telephone": ("VR", "virtual", "Telephone"),
    }
    code, display, words = kinds[visit.kind]
    period = {"start": _visit_start(chart, visit)}
    if visit.minutes is not None:
        period["end"] = _visit_start(chart, visit, visit.minutes)
    content: Json = {
        "resourceType": "Encounter",
        "status": visit.status,
        "class": coding(f"{HL7}/v3-ActCode", code, display),
        "type": [{"text": words}],
        "subject": chart.patient(person),
        "participant": [
            {
                "type": [concept(coding(f"{HL7}/v3-ParticipationType", "ATND", "attender"))],
                "individual": chart.staff(visit.clinician),
            }
        ],
        "period": period,
        "reasonCode": [{"text": visit.reason}],
    }
    if visit.restricted:
        content["meta"] = {"security": [coding(f"{HL7}/v3-Confidentiality", "R", "restricted")]}
    return content


# --- entries ----------------------------------------------------------------------------------------------


def _on(chart: _Chart, spelled: str) -> str:
    """A date as written, or the day so many days ago."""
    return chart.moment.day(int(spelled[1:])).isoformat() if spelled.startswith("-") else spelled


def _problem(chart: _Chart, person: Person, problem: Problem) -> Json:
    codings = [
        coding(system, *code)
        for system, code in ((ICD10, problem.icd10), (SNOMED, problem.snomed))
        if code
    ]
    content: Json = {
        "resourceType": "Condition",
        "clinicalStatus": status("condition-clinical", problem.status),
        "verificationStatus": status("condition-ver-status", "confirmed"),
        "category": [
            concept(coding(f"{HL7}/condition-category", "problem-list-item", "Problem List Item"))
        ],
        "code": concept(*codings, text=problem.text),
        "subject": chart.patient(person),
        "onsetDateTime": _on(chart, problem.since),
        "recordedDate": _on(chart, problem.since),
        "recorder": chart.staff("prescriber_one"),
    }
    if problem.side:
        content["bodySite"] = [concept(coding(SNOMED, *problem.side))]
    if problem.until:
        content["abatementDateTime"] = _on(chart, problem.until)
    if problem.note:
        content["note"] = [{"text": problem.note}]
    return content


def _allergy(chart: _Chart, person: Person, allergy: Allergy) -> Json:
    system = {"rxnorm": RXNORM, "snomed": SNOMED}[allergy.system]
    content: Json = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": status("allergyintolerance-clinical", "active"),
        "verificationStatus": status("allergyintolerance-verification", "confirmed"),
        "category": [allergy.category],
        "code": concept(coding(system, *allergy.substance), text=allergy.substance[1]),
        "patient": chart.patient(person),
        "recorder": chart.staff("nurse"),
    }
    if allergy.since:
        content["recordedDate"] = _on(chart, allergy.since)
    if allergy.criticality:
        content["criticality"] = allergy.criticality
    if allergy.reaction:
        shown = {
            "manifestation": [concept(coding(SNOMED, *allergy.reaction))],
            "severity": allergy.severity,
        }
        content["reaction"] = [shown]
    if allergy.note:
        content["note"] = [{"text": allergy.note}]
    return content


def _medication(chart: _Chart, person: Person, medication: Medication) -> Json:
    repeat: Json = {"frequency": medication.times, "period": 1, "periodUnit": medication.per}
    if medication.when:
        repeat["when"] = [medication.when]
    if medication.per == "wk":
        repeat["dayOfWeek"] = ["sun"]
    dosage: Json = {
        "text": medication.sig,
        "timing": {"repeat": repeat},
        "route": concept(coding(SNOMED, *medication.route)),
        "doseAndRate": [{"doseQuantity": quantity(*medication.dose)}],
    }
    if medication.as_needed:
        dosage["asNeededCodeableConcept"] = {"text": medication.as_needed}
    drug = concept(coding(RXNORM, *medication.drug), text=medication.text)
    listed = medication.entry == "list"
    note = [{"text": f"From: {medication.outside}"}] if medication.outside else []
    if listed and chart.vendor == behaviour.GENERIC:
        period = {"start": _on(chart, medication.since)}
        content: Json = {
            "resourceType": "MedicationStatement",
            "status": medication.status,
            "medicationCodeableConcept": drug,
            "subject": chart.patient(person),
            "effectivePeriod": period
            | ({"end": _on(chart, medication.until)} if medication.until else {}),
            "dateAsserted": _on(chart, medication.since),
            "dosage": [dosage],
        }
    else:
        content = {
            "resourceType": "MedicationRequest",
            "status": medication.status,
            "intent": "plan" if listed else "order",
            "category": [
                concept(coding(f"{HL7}/medicationrequest-category", "community", "Community"))
            ],
            "medicationCodeableConcept": drug,
            "subject": chart.patient(person),
            "authoredOn": _on(chart, medication.since),
            "dosageInstruction": [dosage],
        }
        if listed:
            content["reportedBoolean"] = True
        else:
            content["requester"] = chart.staff(
                "prescriber_one" if person.key != "P7" else "prescriber_two"
            )
        if medication.reason:
            content["statusReason"] = {"text": medication.reason}
        if medication.until:
            content["dispenseRequest"] = {
                "validityPeriod": {
                    "start": _on(chart, medication.since),
                    "end": _on(chart, medication.until),
                }
            }
    return content | ({"note": note} if note else {})


def _reading(chart: _Chart, person: Person, reading: Reading) -> Json:
    visit = person.visits[0]
    during = reading.days_ago == 0 and not reading.time
    taken = (
        _visit_start(chart, visit, 5)
        if during
        else chart.moment.clock(reading.days_ago, reading.time)
    )
    content: Json = {
        "resourceType": "Observation",
        "status": "final",
        "category": [concept(coding(f"{HL7}/observation-category", "vital-signs", "Vital Signs"))],
        "code": concept(coding(LOINC, *reading.code), text=reading.code[1]),
        "subject": chart.patient(person),
        "effectiveDateTime": taken,
        "issued": taken,
        "performer": [chart.staff("nurse")],
    }
    if during:
        content["encounter"] = chart.visit(person, visit.name)
    if reading.code == entries.BP:
        high, low = reading.value[0].split("/")
        content["component"] = [
            {
                "code": concept(coding(LOINC, *code)),
                "valueQuantity": quantity(value, "mmHg", "mm[Hg]"),
            }
            for code, value in ((entries.SYSTOLIC, high), (entries.DIASTOLIC, low))
        ]
    elif len(reading.value) == 2:
        content["valueCodeableConcept"] = concept(coding(SNOMED, *reading.value))
    else:
        content["valueQuantity"] = quantity(*reading.value)
    return content


def _result(chart: _Chart, person: Person, result: Result) -> Json:
    code, display, unit, ucum, low, high = TESTS[result.test]
    taken = (
        chart.moment.minutes(-180)
        if result.days_ago == 0
        else chart.moment.clock(result.days_ago, "07:40")
    )
    content: Json = {
        "resourceType": "Observation",
        "status": result.status,
        "category": [concept(coding(f"{HL7}/observation-category", "laboratory", "Laboratory"))],
        "code": concept(
            coding(LOINC, code, display), text=result.test if result.test != "egfr" else "eGFR"
        ),
        "subject": chart.patient(person),
        "effectiveDateTime": taken,
        "issued": taken if result.days_ago == 0 else chart.moment.clock(result.days_ago, "13:15"),
        "performer": [{"display": "Northgate Laboratory"}],
    }
    if result.value:
        content["valueQuantity"] = quantity(result.value, unit, ucum, result.comparator)
        if flag := _flag(result, low, high):
            content["interpretation"] = [
                concept(coding(f"{HL7}/v3-ObservationInterpretation", flag))
            ]
        bounds = [("low", low), ("high", high)]
        content["referenceRange"] = [
            {name: quantity(value, unit, ucum) for name, value in bounds if value}
        ]
    if result.note:
        content["note"] = [{"text": result.note}]
    return content


def _flag(result: Result, low: str, high: str) -> str:
    value = float(result.value)
    if low and (value < float(low) or result.comparator == "<"):
        return "L"
    return "H" if high and value > float(high) else "N"


def _note(chart: _Chart, person: Person, note: Note) -> Json:
    written = (
        chart.moment.clock(note.days_ago, note.time) if note.days_ago else chart.moment.minutes(-12)
    )
    title = f"{note.type[1]}, {chart.moment.day(note.days_ago).isoformat()}"
    signed = note.state in {"signed", "superseded", "pdf"}
    content: Json = {
        "resourceType": "DocumentReference",
        "status": "superseded" if note.state == "superseded" else "current",
        "docStatus": "final" if signed else "preliminary",
        "type": concept(coding(LOINC, *note.type), text=note.type[1]),
        "category": [
            concept(
                coding(
                    "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                    "clinical-note",
                )
            )
        ],
        "subject": chart.patient(person),
        "date": written,
        "author": [chart.staff(note.author)],
    }
    if signed:
        content["authenticator"] = chart.staff(note.author)
    for older in NOTES[person.key]:
        if older.by == note.name:
            target = reference("DocumentReference", chart.fhir_id(person.key, older.name))
            content["relatesTo"] = [{"code": "replaces", "target": target}]
    if note.state == "pdf":
        attachment = pdf_attachment(note.text.split("\n"), title)
    else:
        attachment = text_attachment(note.text, title)
    content["content"] = [{"attachment": attachment}]
    if note.visit:
        content["context"] = {"encounter": [chart.visit(person, note.visit)]}
    visit = next((each for each in person.visits if each.name == note.visit), None)
    if visit is not None and visit.restricted:
        content["securityLabel"] = [concept(coding(f"{HL7}/v3-Confidentiality", "R", "restricted"))]
    return content


def _stage_for_p2(chart: _Chart) -> None:
    """What an intake tablet left in the holding tank last week."""
    person = next(each for each in PEOPLE if each.key == "P2")
    content = _allergy(chart, person, entries.STAGED_ALLERGY)
    content["verificationStatus"] = status("allergyintolerance-verification", "unconfirmed")
    charts.stage(
        vendor=chart.vendor,
        resource=content,
        fhir_id=chart.fhir_id("P2", "staged_allergy"),
        author="client:intake-tablet",
        at=chart.moment.at,
    )
