"""Where each kind of entry is read in the proprietary interface."""

from collections.abc import Callable, Mapping

from ehr_adapters.vendors.athenahealth.reading import Listed, V1Reader
from ehr_adapters.vendors.athenahealth.speech import Chart
from ehr_adapters.vendors.athenahealth.vitals import measured_at_once

Lister = Callable[[V1Reader, Chart], Listed]


def _documents(reader: V1Reader, chart: Chart) -> Listed:
    place = f"patients/{chart.patient}/documents/clinicaldocument"
    return reader.every(place, "clinicaldocuments", [("departmentid", chart.department)])


def _problems(reader: V1Reader, chart: Chart) -> Listed:
    """The problem list, ended ones too, and the diagnoses of the visit."""
    query = [("departmentid", chart.department), ("showinactive", "true")]
    listed = reader.every(f"chart/{chart.patient}/problems", "problems", query)
    if chart.encounter:
        place = f"chart/encounter/{chart.encounter}/diagnoses"
        found = reader.every(place, "diagnoses")
        listed.entries += [{**one, "encounterid": chart.encounter} for one in found.entries]
        listed.complete = listed.complete and found.complete
        listed.reason = listed.reason or found.reason
    return listed


def _vitals(reader: V1Reader, chart: Chart) -> Listed:
    """The vital signs of the visit; without one there are none to be read here."""
    if not chart.encounter:
        return Listed()
    listed = reader.every(f"chart/encounter/{chart.encounter}/vitals", "vitals")
    listed.entries = measured_at_once(listed.entries, encounter=chart.encounter)
    return listed


def _cases(reader: V1Reader, chart: Chart) -> Listed:
    """The patient's open cases."""
    place = f"patients/{chart.patient}/documents/patientcase"
    return reader.every(place, "patientcases", [("departmentid", chart.department)])


def _allergies(reader: V1Reader, chart: Chart) -> Listed:
    """The patient's allergies; that no drug allergy is known counts as one."""
    place = f"chart/{chart.patient}/allergies"
    found = reader.one(place, [("departmentid", chart.department)]) or {}
    listed = [one for one in found.get("allergies") or () if isinstance(one, dict)]
    denied = str(found.get("nkda", "")).lower() == "true"
    return Listed(entries=[*listed, *([{"nkda": True}] if denied else [])], pages=1)


def _medications(reader: V1Reader, chart: Chart) -> Listed:
    """The medication list; entries of one drug may lie together in a list of their own."""
    place = f"chart/{chart.patient}/medications"
    found = reader.one(place, [("departmentid", chart.department)]) or {}
    listed = [
        one
        for each in found.get("medications") or ()
        for one in (each if isinstance(each, list) else [each])
        if isinstance(one, dict)
    ]
    return Listed(entries=listed, pages=1)


def _patient(reader: V1Reader, chart: Chart) -> Listed:
    """The patient, as a list of one."""
    found = reader.one(f"patients/{chart.patient}")
    return Listed(entries=[found] if found else [], pages=1)


LISTS: Mapping[str, Lister] = {
    "demographics": _patient,
    "medication": _medications,
    "allergy": _allergies,
    "task": _cases,
    "note": _documents,
    "problem": _problems,
    "vitals": _vitals,
}


def with_text(reader: V1Reader, chart: Chart, number: str) -> dict[str, object] | None:
    """One clinical document with its text, which lists leave out."""
    place = f"patients/{chart.patient}/documents/clinicaldocument/{number}"
    return reader.one(place, [("departmentid", chart.department)])
