"""Seeding: the made-up practice is written into each vendor's chart, under that vendor's ids and habits."""

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from ehr_adapters.sandbox import behaviour, charts
from ehr_adapters.sandbox.models import (
    SandboxIdentifier,
    SandboxName,
    SandboxResource,
    SandboxStaged,
    SandboxVersion,
)
from ehr_adapters.sandbox.seed import entries, forms
from ehr_adapters.sandbox.seed.chart import DISPLAYS, MRN_SYSTEMS, USER_SYSTEMS, Chart
from ehr_adapters.sandbox.seed.notes import NOTES
from ehr_adapters.sandbox.seed.people import PEOPLE, STAFF, Person
from ehr_adapters.sandbox.seed.resources import (
    Json,
    Moment,
    status,
)
from ehr_adapters.sandbox.seed.results import RESULTS

# What a seeding writes, parents before children.
_TABLES = (SandboxResource, SandboxVersion, SandboxIdentifier, SandboxStaged, SandboxName)


_seeded_at: datetime | None = None  # by this process; what the copies beside the tables hold


@transaction.atomic
def seed(*, at: datetime) -> dict[str, Any]:
    """Writes the practice into every chart that does not hold it yet; a second time changes nothing."""
    missing = [
        vendor
        for vendor in behaviour.VENDORS
        if not SandboxName.objects.filter(vendor=vendor).exists()
    ]
    untouched = not any(model.objects.exists() for model in _TABLES)
    for vendor in missing:
        _write_practice(vendor, at)
    if untouched:
        _keep_copies(at)
    return {"seeded": missing, "resources": SandboxResource.objects.count()}


def _keep_copies(at: datetime) -> None:
    """A copy beside each table, from which the same seeding is restored: tests ask for it many times."""
    global _seeded_at  # noqa: PLW0603
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"DROP TABLE IF EXISTS seeded_{table}")
            cursor.execute(f"CREATE TABLE seeded_{table} AS SELECT * FROM {table}")  # noqa: S608 - our own table names
    _seeded_at = at


def restore(*, at: datetime) -> bool:
    """Brings the charts back to the seeding of this moment, touching only what differs; False: none is kept."""
    if _seeded_at != at:
        return False
    with connection.cursor() as cursor:
        for table in reversed(_tables()):
            cursor.execute(
                f"DELETE FROM {table} WHERE id IN "  # noqa: S608 - our own table names
                f"(SELECT id FROM (SELECT * FROM {table} EXCEPT SELECT * FROM seeded_{table}))"
            )
        for table in _tables():
            cursor.execute(
                f"INSERT INTO {table} SELECT * FROM seeded_{table} EXCEPT SELECT * FROM {table}"  # noqa: S608 - as above
            )
    return True


def _tables() -> list[str]:
    return [model._meta.db_table for model in _TABLES]


def _write_practice(vendor: str, at: datetime) -> None:
    chart = Chart(vendor, Moment(at))
    _write_staff(chart)
    for person in PEOPLE:
        _write_person(chart, person)
    charts.bulk_file(chart.rows)
    SandboxName.objects.bulk_create(chart.names)
    if vendor == behaviour.EPIC:
        _stage_for_p2(chart)
    if vendor == behaviour.ECW:
        _stage_for_p11(chart)


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


def _write_staff(chart: Chart) -> None:
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


def _record_number(vendor: str, person: Person) -> str:
    """Each chart numbers its people in its own way; who differs by one swap does so in all of them."""
    match vendor:
        case behaviour.GENERIC:
            return person.mrn
        case behaviour.VERADIGM:
            return person.mrn[2:]
    return person.epic_mrn


def _write_person(chart: Chart, person: Person) -> None:
    mrn = _record_number(chart.vendor, person)
    details = {
        "mrn": mrn,
        "mrn_system": MRN_SYSTEMS[chart.vendor],
        "family": person.family,
        "given": person.given,
        "gender": person.gender,
        "birth_date": chart.moment.birthday(person.born),
    }
    identity = forms.patient(chart=chart, person=person, mrn=mrn)
    chart.file(person.key, "patient", identity, author="Registration", details=details)
    for visit in person.visits:
        chart.file(
            person.key,
            visit.name,
            forms.encounter(chart=chart, person=person, visit=visit),
            author="Registration",
            locked=visit.locked,
        )
    for problem in entries.PROBLEMS.get(person.key, ()):
        chart.file(
            person.key,
            problem.name,
            forms.condition(chart=chart, person=person, problem=problem),
            author="Dr A. Reyes",
        )
    for allergy in entries.ALLERGIES.get(person.key, ()):
        chart.file(
            person.key,
            f"allergy_{allergy.name}",
            forms.allergy_intolerance(chart=chart, person=person, allergy=allergy),
            author="L. Brandt",
        )
    for medication in entries.MEDICATIONS.get(person.key, ()):
        chart.file(
            person.key,
            medication.name,
            forms.medication_entry(chart=chart, person=person, medication=medication),
            author="Dr A. Reyes",
        )
    for reading in entries.READINGS.get(person.key, ()):
        chart.file(
            person.key,
            reading.name,
            forms.vital_sign(chart=chart, person=person, reading=reading),
            author="L. Brandt",
        )
    for result in RESULTS.get(person.key, ()):
        chart.file(
            person.key,
            result.name,
            forms.laboratory_result(chart=chart, person=person, result=result),
            author="Northgate Laboratory",
        )
    for note in NOTES.get(person.key, ()):
        author = DISPLAYS.get(note.author, note.author)
        chart.file(
            person.key,
            note.name,
            forms.document(chart=chart, person=person, note=note),
            author=author,
        )


def _stage_for_p2(chart: Chart) -> None:
    """What an intake tablet left in the holding tank last week."""
    person = next(each for each in PEOPLE if each.key == "P2")
    content = forms.allergy_intolerance(chart=chart, person=person, allergy=entries.STAGED_ALLERGY)
    content["verificationStatus"] = status("allergyintolerance-verification", "unconfirmed")
    charts.stage(
        vendor=chart.vendor,
        resource=content,
        fhir_id=chart.fhir_id("P2", "staged_allergy"),
        author="client:intake-tablet",
        at=chart.moment.at,
    )


def _stage_for_p11(chart: Chart) -> None:
    """What a pharmacy's feed left among the App Data last week; it is an entry of the list once reconciled."""
    person = next(each for each in PEOPLE if each.key == "P11")
    charts.stage(
        vendor=chart.vendor,
        resource=forms.medication_entry(
            chart=chart, person=person, medication=entries.STAGED_MEDICATION
        ),
        fhir_id=chart.fhir_id("P11", "staged_medication"),
        author="client:pharmacy-feed",
        at=chart.moment.at,
    )
