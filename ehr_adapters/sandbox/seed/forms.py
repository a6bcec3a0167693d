"""How each kind of entry of the made-up practice looks in FHIR, with each vendor's habits."""

from datetime import datetime

from ehr_adapters.sandbox import behaviour
from ehr_adapters.sandbox.seed import entries
from ehr_adapters.sandbox.seed.chart import MRN_SYSTEMS, Chart
from ehr_adapters.sandbox.seed.entries import Allergy, Medication, Problem, Reading
from ehr_adapters.sandbox.seed.notes import NOTES, Note
from ehr_adapters.sandbox.seed.people import Person, Visit
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
from ehr_adapters.sandbox.seed.results import TESTS, Result


def patient(*, chart: Chart, person: Person, mrn: str) -> Json:
    """The Patient."""
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


def _visit_start(chart: Chart, visit: Visit, plus: int = 0) -> str:
    if isinstance(visit.start, int):
        return chart.moment.minutes(visit.start + plus)
    days_ago, time = visit.start
    start = datetime.fromisoformat(chart.moment.clock(days_ago, time))
    return Moment(start).minutes(plus)


def encounter(*, chart: Chart, person: Person, visit: Visit) -> Json:
    """A visit."""
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


def _on(chart: Chart, spelled: str) -> str:
    """A date as written, or the day so many days ago."""
    return chart.moment.day(int(spelled[1:])).isoformat() if spelled.startswith("-") else spelled


def condition(*, chart: Chart, person: Person, problem: Problem) -> Json:
    """An entry of the problem list."""
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


def allergy_intolerance(*, chart: Chart, person: Person, allergy: Allergy) -> Json:
    """An allergy."""
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


def medication_entry(*, chart: Chart, person: Person, medication: Medication) -> Json:
    """A prescription, or a list entry where this vendor keeps those."""
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
    if listed and chart.vendor in {behaviour.GENERIC, behaviour.VERADIGM}:
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


def vital_sign(*, chart: Chart, person: Person, reading: Reading) -> Json:
    """A measured value."""
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


def laboratory_result(*, chart: Chart, person: Person, result: Result) -> Json:
    """A result of the laboratory."""
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


def document(*, chart: Chart, person: Person, note: Note) -> Json:
    """A note."""
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
