"""Looking for a lost write on a FHIR server: by its tag, its target, its key, or what it says."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ehr_adapters.canonical.fhir_r4 import translation
from ehr_adapters.capabilities import FindMethod
from ehr_adapters.contract import FindHit, FindResult, Tag, WirePlan
from ehr_adapters.errors import AdapterError, AdapterMisconfigured
from ehr_adapters.fhir_baseline import FhirBaseline


class FhirFinding(FhirBaseline):
    """The looking half of a FHIR adapter."""

    def find(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        method = plan.find
        try:
            if method is FindMethod.TARGET:
                return self._find_target(plan, since=since, at=at)
            if method is FindMethod.EXACT:
                return self._find_exact(tags, plan, since=since, at=at)
            if method is FindMethod.SCAN:
                return self._find_scan(tags, plan, since=since, at=at)
            if method is FindMethod.KEY:
                return self._find_key(tags, plan, since=since, at=at)
            if method is FindMethod.MATCH:
                return self._find_match(plan, since=since, at=at)
        except AdapterError as failed:
            return FindResult(
                method=method, since=since, until=at, complete=False, reason=failed.name
            )
        return FindResult(
            method=FindMethod.NONE,
            since=since,
            until=at,
            complete=False,
            reason="This EHR does not show such entries.",
        )

    def _find_key(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        """The entry of the same kind of fact at the same time, of which the EHR keeps only one."""
        kept = translation(plan.kind)
        wanted = kept.key(self.parse(plan).model_dump_canonical()) if kept.key else None
        if wanted is None or kept.key is None:
            raise AdapterMisconfigured("The plan's entry has no key to look for.")
        resource_type = plan.steps[0].path.partition("/")[0]
        day = (min(since, wanted[0]) - timedelta(days=1)).date().isoformat()
        query = [
            (kept.by_patient, self._patient_parameter(plan.patient.removeprefix("Patient/"))),
            *kept.searches.get(resource_type, {}).items(),
            ("date", f"ge{day}"),
        ]
        hits: dict[str, FindHit] = {}
        with self._reading(f"system/{resource_type}.rs") as reader:
            found = reader.search(resource_type, query)
            for entry in found.entries:
                snapshot = self._snapshot(entry, role="found", kind=plan.kind, at=at, reader=reader)
                if snapshot.patient == plan.patient and kept.key(snapshot.canonical) == wanted:
                    ours = next((tag for tag in tags if snapshot.carries(tag)), None)
                    hits[snapshot.reference] = FindHit(snapshot, ours)
        return FindResult(
            method=FindMethod.KEY,
            since=since,
            until=at,
            pages=found.pages,
            complete=found.complete,
            hits=tuple(hits[r] for r in sorted(hits)),
            reason=found.reason,
        )

    def _find_target(self, plan: WirePlan, *, since: datetime, at: datetime) -> FindResult:
        snapshot = self.read_entry(kind=plan.kind, reference=plan.target, at=at)
        hits = () if snapshot is None else (FindHit(snapshot),)
        return FindResult(
            method=FindMethod.TARGET, since=since, until=at, pages=1, complete=True, hits=hits
        )

    def _find_exact(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        resource_type = _type_of(plan)
        hits: dict[str, FindHit] = {}
        pages, complete, reason = 0, True, ""
        with self._reading(f"system/Binary.r system/{resource_type}.rs") as reader:
            for tag in tags:
                found = reader.search(
                    resource_type,
                    [("identifier", tag.token)],
                    headers={"Prefer": "handling=strict"},
                )
                pages += found.pages
                complete, reason = complete and found.complete, reason or found.reason
                for entry in found.entries:
                    snapshot = self._snapshot(
                        entry, role="found", kind=plan.kind, at=at, reader=reader
                    )
                    if snapshot.carries(tag):
                        hits[snapshot.reference] = FindHit(snapshot, tag)
                    else:
                        # The server passed over the search parameter: what it left out proves nothing.
                        complete, reason = False, "The EHR did not search by the identifier."
        return FindResult(
            method=FindMethod.EXACT,
            since=since,
            until=at,
            pages=pages,
            complete=complete,
            hits=tuple(hits[r] for r in sorted(hits)),
            reason=reason,
        )

    def _find_scan(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        resource_type = _type_of(plan)
        patient = plan.patient.removeprefix("Patient/")
        day = (since - timedelta(days=1)).date().isoformat()
        query = [("patient", self._patient_parameter(patient)), *self._scan_window(plan, day=day)]
        hits: dict[str, FindHit] = {}
        with self._reading(f"system/Binary.r system/{resource_type}.rs") as reader:
            found = reader.search(resource_type, query)
            for entry in found.entries:
                snapshot = self._snapshot(entry, role="found", kind=plan.kind, at=at, reader=reader)
                for tag in tags:
                    if snapshot.carries(tag):
                        hits[snapshot.reference] = FindHit(snapshot, tag)
            complete = found.complete and not reader.texts_unread
            reason = found.reason or ("A text could not be read." if reader.texts_unread else "")
        return FindResult(
            method=FindMethod.SCAN,
            since=since,
            until=at,
            pages=found.pages,
            complete=complete,
            hits=tuple(hits[r] for r in sorted(hits)),
            reason=reason,
        )

    def _find_match(self, plan: WirePlan, *, since: datetime, at: datetime) -> FindResult:
        """The patient's entries of the kind, for a comparison of their content: a hit is a candidate."""
        resource_type = _type_of(plan)
        patient = plan.patient.removeprefix("Patient/")
        narrowed = translation(plan.kind).searches.get(resource_type, {})
        about = translation(plan.kind).by_patient or "patient"
        with self._reading(f"system/Binary.r system/{resource_type}.rs") as reader:
            found = reader.search(
                resource_type,
                [(about, self._patient_parameter(patient)), *narrowed.items()],
            )
            entries = [
                self._snapshot(entry, role="found", kind=plan.kind, at=at, reader=reader)
                for entry in found.entries
            ]
            complete = found.complete and not reader.texts_unread
            reason = found.reason or ("A text could not be read." if reader.texts_unread else "")
        return FindResult(
            method=FindMethod.MATCH,
            since=since,
            until=at,
            pages=found.pages,
            complete=complete,
            hits=tuple(FindHit(one) for one in entries if one.patient == plan.patient),
            reason=reason,
        )

    def _scan_window(self, plan: WirePlan, *, day: str) -> Iterable[tuple[str, str]]:
        del plan
        return [("date", f"ge{day}")]


def _type_of(plan: WirePlan) -> str:
    """The FHIR type under which a written entry is read, whatever interface it was written by."""
    kept = translation(plan.kind).types
    named = (plan.steps[0].path.partition("/")[0], plan.comparable.get("resourceType"))
    return next((str(one) for one in named if one in kept), kept[0])
