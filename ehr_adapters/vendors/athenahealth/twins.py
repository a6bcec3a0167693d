"""What athenaOne holds around a change, by both interfaces, with the ids of each."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ehr_adapters.canonical.base import (
    normal_text,
)
from ehr_adapters.canonical.exact_json import dumps, plain
from ehr_adapters.canonical.fhir_r4 import translation
from ehr_adapters.contract import (
    Baseline,
    ReadRequest,
    Snapshot,
    Unreadable,
)
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
)
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_reading import FhirReader
from ehr_adapters.http import HttpClient
from ehr_adapters.vendors.athenahealth import lists, names
from ehr_adapters.vendors.athenahealth.allergies import ALLERGIES
from ehr_adapters.vendors.athenahealth.budget import BudgetedClient, budgets
from ehr_adapters.vendors.athenahealth.cases import CASES
from ehr_adapters.vendors.athenahealth.contact import CONTACT
from ehr_adapters.vendors.athenahealth.medications import MEDICATIONS
from ehr_adapters.vendors.athenahealth.notes import NOTES
from ehr_adapters.vendors.athenahealth.problems import PROBLEMS
from ehr_adapters.vendors.athenahealth.reading import Listed, V1Reader, practice_of, root_of
from ehr_adapters.vendors.athenahealth.settings import AthenaSettings
from ehr_adapters.vendors.athenahealth.speech import (
    Chart,
    Dialect,
    Entry,
    Practice,
    Shape,
)
from ehr_adapters.vendors.athenahealth.spelling import Numbers
from ehr_adapters.vendors.athenahealth.vitals import VITALS

DIALECTS: Mapping[str, Dialect] = {
    "note": NOTES,
    "problem": PROBLEMS,
    "vitals": VITALS,
    "task": CASES,
    "allergy": ALLERGIES,
    "medication": MEDICATIONS,
    "demographics": CONTACT,
}
# Kinds whose entries are read by FHIR, in whose codes other EHRs and clinical rules speak of them.
BY_FHIR = frozenset({"note", "allergy", "medication", "demographics"})
# Under this name the shape of an entry in the proprietary interface travels with what FHIR says of it.
TWIN = "twin"

# Everything that is read beside a change. Tokens are few a minute, so that one serves every read.
_READ_SCOPE = " ".join(
    f"system/{name}.rs"
    for name in (
        "AllergyIntolerance", "CarePlan", "Condition", "DocumentReference", "Encounter", "Goal",
        "MedicationRequest", "Observation", "Patient", "Practitioner", "QuestionnaireResponse",
    )
)  # fmt: skip
_LOOKS: Mapping[str, Callable[[V1Reader, Mapping[str, Any]], dict[str, str]]] = {
    "allergy": names.of_allergy,
    "medication": names.of_medication,
}
_OPEN = frozenset({"OPEN", "REVIEW"})


class AthenaReading(FhirHttpAdapter):
    """The reading half: two interfaces, one chart."""

    settings: AthenaSettings
    contexts = {
        what: tuple(pair for pair in pairs if pair[0] != "MedicationStatement")
        for what, pairs in FhirHttpAdapter.contexts.items()
    }

    @property
    def practice(self) -> Practice:
        try:
            zone = ZoneInfo(self.connection.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise AdapterMisconfigured("The connection names an unknown time zone.") from None
        numbers = Numbers(
            practice_of(self.settings),
            self.settings.patient_id_letter,
            self.settings.entry_id_letter,
        )
        return Practice(numbers, zone, self.settings)

    # --- the way there ---------------------------------------------------------------------------

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        connection = self.connection
        with super()._client() as client:
            yield BudgetedClient(
                client,
                budget=budgets.of(connection.token_url, connection.client_id),
                token_url=connection.token_url,
                mints=self.settings.token_mints_per_minute,
                calls=self.settings.calls_per_second,
                header=self.settings.quota_header,
            )

    @contextmanager
    def _reading(self, scope: str, *, seconds: float | None = None) -> Iterator[FhirReader]:
        del scope
        with super()._reading(_READ_SCOPE, seconds=seconds) as reader:
            yield reader

    @contextmanager
    def _v1(self, *, seconds: float | None = None) -> Iterator[V1Reader]:
        with self._client() as client:
            yield V1Reader(
                self.connection,
                settings=self.settings,
                client=client,
                seconds=seconds or self.connection.deadline,
            )

    # --- what is there now -----------------------------------------------------------------------

    def read(self, request: ReadRequest) -> Baseline:
        if request.kind not in DIALECTS:
            return super().read(request)
        root_of(self.connection)
        numbers = self.practice.numbers
        by_fhir = request.kind in BY_FHIR
        ends_at = time.monotonic() + (request.deadline or self.connection.deadline)
        beside = request if by_fhir else replace(request, target="", neighbourhood=False)
        baseline = super().read(beside)
        if baseline.patient is None or not numbers.number_of(baseline.patient.id):
            gone = () if by_fhir or not request.target else ("target",)
            return replace(baseline, missing=(*baseline.missing, *gone))
        with self._v1(seconds=max(0.05, ends_at - time.monotonic())) as reader:
            baseline = self._at_its_place(baseline, reader=reader)
            baseline = self._with_names(baseline, request=request, reader=reader)
            if by_fhir:
                return self._with_shape(baseline, request=request, reader=reader)
            return self._with_twins(baseline, request=request, reader=reader)

    def _searched(self, what: str, resource_type: str, *more: Any, **named: Any) -> Any:
        # The FHIR side keeps the whole list as MedicationRequest, and serves no MedicationStatement.
        if resource_type == "MedicationStatement":
            return []
        return super()._searched(what, resource_type, *more, **named)

    def _at_its_place(self, baseline: Baseline, *, reader: V1Reader) -> Baseline:
        """The baseline with the numbers, the department and the state of the visit from the other interface."""
        patient, visit, encounter = baseline.patient, baseline.visit, baseline.encounter
        numbers = self.practice.numbers
        number = numbers.number_of(patient.id) if patient else ""
        department, state = "", ""
        if encounter is not None:
            there = numbers.number_of(encounter.id)
            found = reader.one(f"chart/encounter/{there}") if there else None
            if found is not None and str(found.get("patientid", number)) == number:
                department, state = str(found.get("departmentid", "")), str(found.get("status", ""))
                own = {**encounter.ids, "write": there, "department": department, "state": state}
                encounter = replace(encounter, ids=own)
            else:
                encounter = replace(encounter, ids={**encounter.ids, "write": ""})
            visit = replace(visit, open=state in _OPEN) if visit else None
        department = department or self.settings.department_id
        if not department and number:
            found = reader.one(f"patients/{number}") or {}
            department = str(found.get("departmentid") or found.get("primarydepartmentid") or "")
        if patient is not None:
            own = {**patient.ids, "write": number, "department": department}
            patient = replace(patient, ids=own)
        return replace(baseline, patient=patient, encounter=encounter, visit=visit)

    def _with_names(
        self, baseline: Baseline, *, request: ReadRequest, reader: V1Reader
    ) -> Baseline:
        """The baseline with athenaOne's own numbers for what the change names."""
        look = _LOOKS.get(request.kind)
        if look is None or baseline.patient is None or not request.content:
            return baseline
        held = baseline.target.canonical if baseline.target else {}
        found = look(reader, {**held, **request.content})
        patient = replace(baseline.patient, ids={**baseline.patient.ids, **found})
        return replace(baseline, patient=patient)

    def _with_shape(
        self, baseline: Baseline, *, request: ReadRequest, reader: V1Reader
    ) -> Baseline:
        """The baseline with what the other interface says of the entry that is to be changed."""
        target = baseline.target
        if request.kind not in {"medication", "demographics"} or target is None:
            return baseline
        dialect, chart = DIALECTS[request.kind], self._chart(baseline)
        number = chart.practice.numbers.number_of(target.id)
        listed = lists.LISTS[request.kind](reader, chart)
        for entry in self._entries(dialect, listed.entries):
            if entry.number == number:
                text = json.dumps(compared(entry.shape), sort_keys=True)
                own = {**target.ids, "write": number, TWIN: text}
                return replace(baseline, target=replace(target, ids=own))
        return baseline

    def _chart(self, baseline: Baseline) -> Chart:
        patient = baseline.patient.ids if baseline.patient else {}
        visit = baseline.encounter.ids if baseline.encounter else {}
        return Chart(
            practice=self.practice,
            patient=patient.get("write", ""),
            department=patient.get("department", ""),
            encounter=visit.get("write", "") if "state" in visit else "",
            state=visit.get("state", ""),
        )

    def _with_twins(
        self, baseline: Baseline, *, request: ReadRequest, reader: V1Reader
    ) -> Baseline:
        dialect = DIALECTS[request.kind]
        chart = self._chart(baseline)
        missing, unreadable = list(baseline.missing), list(baseline.unreadable)
        target_number = chart.practice.numbers.number_of(request.target)
        target: Snapshot | None = None
        neighbours: list[Snapshot] = []
        words = translation(request.kind).words
        try:
            listed = lists.LISTS[request.kind](reader, chart)
        except AdapterError as failed:
            if request.target:
                raise
            said = f"The {words} could not be read: {failed.sentence}"
            unreadable.append(Unreadable(words, failed.name, said))
            listed = Listed()
        if not listed.complete:
            said = f"Not all {words} could be read ({listed.reason})."
            unreadable.append(Unreadable(words, listed.reason, said))
        for entry in self._entries(dialect, listed.entries):
            if entry.number == target_number and request.target:
                target = self._twin(entry, dialect, request.kind, "target", baseline, request.at)
                target = replace(target, id=request.target.rpartition("/")[2])
            elif request.neighbourhood:
                one = self._twin(entry, dialect, request.kind, "neighbour", baseline, request.at)
                if dialect.is_active(one.canonical):
                    neighbours.append(one)
        if request.target and target is None:
            missing.append("target")
        return replace(
            baseline,
            target=target,
            neighbourhood=(*neighbours, *baseline.neighbourhood),
            missing=tuple(missing),
            unreadable=tuple(unreadable),
        )

    @staticmethod
    def _entries(dialect: Dialect, raw: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
        for one in raw:
            number = dialect.number_of(one)
            if number:
                yield Entry(number, one, dialect.shape(one))

    def _twin(
        self,
        entry: Entry,
        dialect: Dialect,
        kind: str,
        role: str,
        baseline: Baseline | str,
        at: datetime,
    ) -> Snapshot:
        patient = baseline if isinstance(baseline, str) else ""
        if isinstance(baseline, Baseline) and baseline.identity is not None:
            patient = baseline.identity.reference
        fhir_id = self.practice.numbers.fhir_id(dialect.type_name, entry.number)
        return Snapshot(
            role=role,
            resource_type=dialect.type_name,
            id=fhir_id,
            raw=dumps(plain(entry.raw)),
            read_at=at,
            kind=kind,
            patient=patient,
            canonical=dialect.read(entry.shape, self.practice),
            comparable=compared(entry.shape),
            last_updated=str(entry.raw.get("lastmodifieddatetime", "")),
            ids={"read": fhir_id, "write": entry.number},
            uncarried=("status",) if kind == "problem" and "status" in entry.shape else (),
            tags=dialect.tags(entry.shape),
        )

    def read_entry(self, *, kind: str, reference: str, at: datetime) -> Snapshot | None:
        """By the FHIR side first: it knows whose entry it is, which the other interface has to be told."""
        seen = super().read_entry(kind=kind, reference=reference, at=at)
        if seen is None or kind not in DIALECTS or kind in BY_FHIR - {"note"} or not seen.patient:
            return seen
        return self._read_twin(kind, seen.patient, reference, at=at)

    def _read_twin(
        self, kind: str, patient: str, reference: str, *, at: datetime, encounter: str = ""
    ) -> Snapshot | None:
        dialect = DIALECTS[kind]
        numbers = self.practice.numbers
        wanted = numbers.number_of(reference)
        with self._v1() as reader:
            chart = self._chart_of(patient, encounter, reader=reader)
            if kind == "note":
                raw = lists.with_text(reader, chart, wanted) if wanted else None
                listed = [raw] if raw else []
            else:
                listed = lists.LISTS[kind](reader, chart).entries
        for entry in self._entries(dialect, listed):
            if entry.number == wanted:
                found = self._twin(entry, dialect, kind, "target", patient, at)
                return replace(found, id=reference.rpartition("/")[2])
        return None

    def _chart_of(self, patient: str, encounter: str, *, reader: V1Reader) -> Chart:
        practice = self.practice
        number = practice.numbers.number_of(patient)
        department = self.settings.department_id
        if not department:
            found = reader.one(f"patients/{number}") or {}
            department = str(found.get("departmentid") or found.get("primarydepartmentid") or "")
        return Chart(practice, number, department, practice.numbers.number_of(encounter))


def compared(shape: Mapping[str, Any]) -> Shape:
    """A shape as it is compared: without the words that athenaOne puts to a code itself, line ends aside."""
    return {
        name: normal_text(value) if isinstance(value, str) else value
        for name, value in shape.items()
        if name != "name"
    }
