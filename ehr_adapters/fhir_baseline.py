"""What a FHIR server holds around a change: the baseline, read-back, name-alikes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from ehr_adapters.base import EhrAdapter, Settings
from ehr_adapters.canonical.base import all_kinds
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import (
    CanonicalForm,
    about_whom,
    comparable,
    described,
    from_fhir,
    identity_of,
    translation,
    visit_of,
)
from ehr_adapters.contract import (
    TAG_SYSTEM,
    Baseline,
    NameAlikes,
    PatientIdentity,
    ReadRequest,
    Snapshot,
    Unreadable,
    name_key,
)
from ehr_adapters.errors import AdapterError, AdapterMisconfigured
from ehr_adapters.fhir_reading import FhirReader, FhirSettings
from ehr_adapters.http import EgressList, EgressRefused, HttpClient

_CONTEXT_WORDS = {
    "allergies": "allergies",
    "medications": "medications",
    "problems": "problems",
    "results": "laboratory results",
    "weights": "weights",
    "pregnancy": "entries about pregnancy",
}
# The kind whose fields say what such an entry holds.
_CONTEXT_KIND = {
    "allergies": "allergy",
    "medications": "medication",
    "problems": "problem",
    "results": "result",
    "weights": "vitals",
    "pregnancy": "result",
}
_LOINC = "http://loinc.org"
# LOINC: creatinine, eGFR by five formulas, potassium, INR.
_RESULTS = (
    "2160-0", "62238-1", "33914-3", "48642-3", "98979-8", "69405-9", "2823-3", "6301-6",
)  # fmt: skip
_BODY_WEIGHT, _PREGNANCY_STATUS = "29463-7", "82810-3"


def _newest(*codes: str) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Observations with one of these LOINC codes, the newest first."""
    asked = ",".join(f"{_LOINC}|{code}" for code in codes)
    return (("Observation", {"code": asked, "_sort": "-date"}),)


class FhirBaseline(EhrAdapter):
    """The reading half of a FHIR adapter."""

    Settings: ClassVar[type[Settings]] = FhirSettings
    settings: FhirSettings
    # Entries that are only shown beside a change: what they are called, types and searches.
    contexts: ClassVar[Mapping[str, tuple[tuple[str, Mapping[str, str]], ...]]] = {
        "allergies": (("AllergyIntolerance", {}),),
        "medications": (
            ("MedicationRequest", {"status": "active"}),
            ("MedicationStatement", {"status": "active"}),
        ),
        "problems": (("Condition", {"clinical-status": "active,recurrence,relapse"}),),
        "results": _newest(*_RESULTS),
        "weights": _newest(_BODY_WEIGHT),
        "pregnancy": _newest(_PREGNANCY_STATUS),
    }

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        connection = self.connection
        try:
            egress = EgressList.for_urls(
                connection.base_url,
                connection.token_url,
                *self.further_addresses(self.settings),
                environment=connection.environment,
            )
        except EgressRefused as refused:
            raise AdapterMisconfigured(str(refused)) from None
        with HttpClient(
            egress=egress,
            connect_timeout=connection.connect_timeout,
            read_timeout=connection.read_timeout,
            ca_file=self.settings.ca_file,
        ) as client:
            yield client

    @contextmanager
    def _reading(self, scope: str, *, seconds: float | None = None) -> Iterator[FhirReader]:
        with self._client() as client:
            yield FhirReader(
                self.connection,
                settings=self.settings,
                client=client,
                scope=scope,
                seconds=seconds or self.connection.deadline,
                moved=self._moved,
            )

    def _moved(self, facts: Mapping[str, Any]) -> AdapterError | None:
        """The error for a read that was answered with a redirect, where this EHR means something by it."""
        del facts
        return None

    # --- reading ---------------------------------------------------------------------------------

    def read(self, request: ReadRequest) -> Baseline:
        kept_in = translation(request.kind).types
        only_read = {"Patient", "Encounter", "Practitioner", "Binary"} - {*kept_in}
        types = {"Patient", "Encounter", "Practitioner", "Binary", *kept_in}
        types |= {t for what in request.context for t, _ in self.contexts[what]}
        scope = " ".join(f"system/{t}.{'r' if t in only_read else 'rs'}" for t in sorted(types))
        missing: list[str] = []
        unreadable: list[Unreadable] = []
        with self._reading(scope, seconds=request.deadline) as reader:

            def one(role: str, reference: str, *types: str, kind: str = "") -> Snapshot | None:
                if not reference:
                    return None
                resource = reader.resource(_local(reference, *types))
                if resource is None:
                    missing.append(role)
                    return None
                return self._snapshot(resource, role=role, kind=kind, at=request.at, reader=reader)

            patient = one("patient", request.patient, "Patient")
            encounter = one("encounter", request.encounter, "Encounter")
            target = one("target", request.target, *kept_in, kind=request.kind)
            practitioner = None
            try:
                practitioner = one("practitioner", request.practitioner, "Practitioner")
            except AdapterError as failed:
                unreadable.append(_unreadable("practitioner", "the clinician's entry", failed))
            neighbours: list[Snapshot] = []
            if patient is not None and request.neighbourhood:
                neighbours += self._neighbourhood(
                    request, patient=patient, reader=reader, unreadable=unreadable
                )
            if patient is not None:
                for what in request.context:
                    neighbours += self._context(
                        what, request=request, patient=patient, reader=reader, unreadable=unreadable
                    )
        return Baseline(
            read_at=request.at,
            patient=patient,
            encounter=encounter,
            target=target,
            practitioner=practitioner,
            neighbourhood=tuple(neighbours),
            identity=identity_of(loads(patient.raw)) if patient else None,
            visit=visit_of(loads(encounter.raw), base_url=self.connection.base_url)
            if encounter
            else None,
            missing=tuple(missing),
            unreadable=tuple(unreadable),
            contexts=request.context if patient else (),
        )

    def _neighbourhood(
        self,
        request: ReadRequest,
        *,
        patient: Snapshot,
        reader: FhirReader,
        unreadable: list[Unreadable],
    ) -> list[Snapshot]:
        kept = translation(request.kind)
        if not kept.by_patient:
            return []
        about = [(kept.by_patient, self._patient_parameter(patient.id))]
        if request.kind == "note":
            if not request.encounter:
                return []
            about.append(("encounter", _local(request.encounter, "Encounter")))
        snapshots = []
        for resource_type in kept.types:
            found = self._searched(
                kept.words,
                resource_type,
                [*about, *kept.searches.get(resource_type, {}).items()],
                reader=reader,
                unreadable=unreadable,
            )
            snapshots += [
                self._snapshot(
                    entry, role="neighbour", kind=request.kind, at=request.at, reader=reader
                )
                for entry in found
            ]
        return [s for s in snapshots if self._is_neighbour(s, request=request, patient=patient)]

    def _is_neighbour(self, snapshot: Snapshot, *, request: ReadRequest, patient: Snapshot) -> bool:
        """The active entries of the kind about this patient; for a note, those of the visit. A server that
        passes over a search parameter answers with more than was asked for."""
        if snapshot.patient != patient.reference or snapshot.reference == _local(
            request.target, snapshot.resource_type
        ):
            return False
        value = snapshot.canonical
        if request.kind == "note" and value.get("encounter") != _local(
            request.encounter, "Encounter"
        ):
            return False
        return translation(request.kind).is_active(value)

    def _context(
        self,
        what: str,
        *,
        request: ReadRequest,
        patient: Snapshot,
        reader: FhirReader,
        unreadable: list[Unreadable],
    ) -> list[Snapshot]:
        snapshots = []
        for resource_type, parameters in self.contexts[what]:
            query = [("patient", self._patient_parameter(patient.id)), *parameters.items()]
            found = self._searched(
                what, resource_type, query, reader=reader, unreadable=unreadable, pages=2
            )
            snapshots += [
                self._snapshot(
                    entry, role=what, kind=self._context_kind(what), at=request.at, reader=None
                )
                for entry in found
            ]
        return [s for s in snapshots if s.patient == patient.reference]

    @staticmethod
    def _context_kind(what: str) -> str:
        kind = _CONTEXT_KIND.get(what, "")
        return kind if kind in all_kinds() else ""

    def _searched(
        self,
        what: str,
        resource_type: str,
        query: Sequence[tuple[str, str]],
        *,
        reader: FhirReader,
        unreadable: list[Unreadable],
        pages: int | None = None,
    ) -> list[dict[str, Any]]:
        words = _CONTEXT_WORDS.get(what, what)
        try:
            found = reader.search(resource_type, query, max_pages=pages)
        except AdapterError as failed:
            unreadable.append(_unreadable(what, words, failed))
            return []
        if not found.complete:
            unreadable.append(
                Unreadable(what, found.reason, f"Not all {words} could be read ({found.reason}).")
            )
        return found.entries

    def _patient_parameter(self, patient_id: str) -> str:
        return f"Patient/{patient_id}"

    def read_entry(self, *, kind: str, reference: str, at: datetime) -> Snapshot | None:
        local = _local(reference, *translation(kind).types)
        with self._reading(f"system/Binary.r system/{local.partition('/')[0]}.r") as reader:
            resource = reader.resource(local)
            if resource is None:
                return None
            return self._snapshot(resource, role="target", kind=kind, at=at, reader=reader)

    def _snapshot(
        self,
        resource: dict[str, Any],
        *,
        role: str,
        kind: str,
        at: datetime,
        reader: FhirReader | None,
    ) -> Snapshot:
        base_url = self.connection.base_url
        meta = resource.get("meta") if isinstance(resource.get("meta"), dict) else {}
        full = reader.with_texts(resource) if reader and kind == "note" else resource
        form = self._canonical(full, kind=kind) if kind else CanonicalForm(kind="", content={})
        resource_type = str(resource.get("resourceType", ""))
        return Snapshot(
            role=role,
            resource_type=resource_type,
            id=str(resource.get("id", "")),
            raw=dumps(resource),
            read_at=at,
            kind=kind,
            patient=about_whom(resource, base_url=base_url),
            canonical=form.content,
            comparable=self._comparable(full, kind=kind),
            version_id=str((meta or {}).get("versionId", "")),
            last_updated=str((meta or {}).get("lastUpdated", "")),
            ids={"read": str(resource.get("id", "")), "write": str(resource.get("id", ""))},
            uncarried=tuple(one.place for one in form.uncarried),
            tags=form.tags,
            display=described(resource),
        )

    def _canonical(self, resource: Mapping[str, Any], *, kind: str) -> CanonicalForm:
        return from_fhir(
            resource, kind=kind, tag_system=TAG_SYSTEM, base_url=self.connection.base_url
        )

    def _comparable(self, resource: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
        declared = [c for c in self.capabilities if c.kind == kind]
        return comparable(
            resource,
            server_owned={path for c in declared for path in c.server_owned},
            rules={(t.path, t.rule) for c in declared for t in c.transformations},
            base_url=self.connection.base_url,
        )

    # --- name-alikes -----------------------------------------------------------------------------

    def find_name_alikes(self, identity: PatientIdentity, *, at: datetime) -> NameAlikes:
        del at
        families = {
            name
            for name in (identity.family, *(n.family for n in identity.previous_names))
            if name_key(name)
        }
        candidates: dict[str, PatientIdentity] = {}
        complete = bool(families)
        with self._reading("system/Patient.rs") as reader:
            for query in self._alike_queries(identity, families=sorted(families)):
                try:
                    found = reader.search("Patient", query)
                except AdapterError:
                    complete = False
                    continue
                complete = complete and found.complete
                for entry in found.entries:
                    one = identity_of(entry)
                    if one.id and identity.is_name_alike(one):
                        candidates[one.id] = one
        return NameAlikes(
            candidates=tuple(candidates[i] for i in sorted(candidates)),
            complete=complete,
            checked=("family", *(("mrn",) if self._searches_record_numbers() else ())),
        )

    def _searches_record_numbers(self) -> bool:
        return True

    def _alike_queries(
        self, identity: PatientIdentity, *, families: Sequence[str]
    ) -> Iterator[list[tuple[str, str]]]:
        for family in families:
            yield [("family", family)]
        if self._searches_record_numbers():
            for system, value in identity.mrns[:2]:
                tokens = [f"{system}|{n}" if system else n for n in neighbouring_numbers(value)]
                for start in range(0, len(tokens), 50):
                    yield [("identifier", ",".join(tokens[start : start + 50]))]


def _local(reference: str, *types: str) -> str:
    """ "Type/id" of a reference that may be a bare id, of the first type; "" stays empty. Another type
    gives an id that no server has."""
    if not reference or reference.partition("/")[0] in types:
        return reference
    return f"{types[0]}/{reference}"


def _unreadable(what: str, words: str, failed: AdapterError) -> Unreadable:
    return Unreadable(what, failed.name, f"The {words} could not be read: {failed.sentence}")


def neighbouring_numbers(value: str) -> list[str]:
    """Every record number one digit or one swap of neighbours away; none for a number that is no number."""
    if not re.fullmatch(r"[0-9]{4,12}", value):
        return []
    out = dict.fromkeys(
        value[:i] + digit + value[i + 1 :]
        for i in range(len(value))
        for digit in "0123456789"
        if digit != value[i]
    )
    out |= dict.fromkeys(
        value[:i] + value[i + 1] + value[i] + value[i + 2 :]
        for i in range(len(value) - 1)
        if value[i] != value[i + 1]
    )
    return list(out)
