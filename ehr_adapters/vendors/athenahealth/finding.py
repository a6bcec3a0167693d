"""Looking for what was written, in the interface by which it was written."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ehr_adapters.capabilities import FindMethod
from ehr_adapters.contract import (
    FindHit,
    FindResult,
    Tag,
    WirePlan,
)
from ehr_adapters.errors import (
    AdapterError,
)
from ehr_adapters.vendors.athenahealth import lists
from ehr_adapters.vendors.athenahealth.speech import (
    Entry,
)
from ehr_adapters.vendors.athenahealth.spelling import read_date
from ehr_adapters.vendors.athenahealth.twins import BY_FHIR, DIALECTS, AthenaReading


class AthenaFinding(AthenaReading):
    """Lost writes: by tag, by number, by content."""

    def find(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        if plan.kind not in DIALECTS:
            return super().find(tags, plan, since=since, at=at)
        looks: dict[FindMethod, Callable[..., FindResult]] = {
            FindMethod.SCAN: self._scanned,
            FindMethod.MATCH: self._matched,
            FindMethod.TARGET: self._targeted,
            FindMethod.KEY: self._keyed,
        }
        look = looks.get(plan.find)
        result = FindResult(method=plan.find, since=since, until=at)
        if look is None:
            return replace(result, reason="athenaOne does not show such entries.")
        try:
            return look(result, tags=tags, plan=plan)
        except AdapterError as failed:
            return replace(result, complete=False, reason=failed.name)

    def _targeted(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        del tags
        found = self._read_twin(
            plan.kind, plan.patient, plan.target, at=result.until, encounter=plan.encounter
        )
        if found is not None and plan.kind in BY_FHIR and found.comparable != plan.comparable:
            # The chart was read by FHIR before the change: in that form it shows whether it is untouched.
            found = self.read_entry(kind=plan.kind, reference=plan.target, at=result.until)
        hits = () if found is None else (FindHit(found),)
        return replace(result, pages=1, complete=True, hits=hits)

    def _matched(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        """Every entry of the kind in the chart: equal content is a candidate, no proof."""
        del tags
        dialect = DIALECTS[plan.kind]
        with self._v1() as reader:
            chart = self._chart_of(plan.patient, plan.encounter, reader=reader)
            listed = lists.LISTS[plan.kind](reader, chart)
        parts = (
            replace(entry, shape=dialect.part_of(entry.shape, plan.comparable))
            for entry in self._entries(dialect, listed.entries)
        )
        hits = tuple(
            FindHit(self._twin(entry, dialect, plan.kind, "found", plan.patient, result.until))
            for entry in parts
        )
        return replace(
            result,
            pages=listed.pages,
            complete=listed.complete,
            reason=listed.reason,
            hits=hits,
        )

    def _keyed(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        """The one entry that athenaOne keeps under the same number."""
        found = self._matched(result, tags=tags, plan=plan)
        same = [
            hit
            for hit in found.hits
            if all(
                hit.snapshot.comparable.get(key) == plan.comparable.get(key)
                for key in ("allergenid", "nkda")
            )
        ]
        return replace(found, hits=tuple(same))

    def _scanned(self, result: FindResult, *, tags: Sequence[Tag], plan: WirePlan) -> FindResult:
        """The patient's documents since the day before, each with its text, looked through for the tags."""
        dialect = DIALECTS[plan.kind]
        first = (result.since - timedelta(days=1)).astimezone(self.practice.zone).date()
        hits: list[FindHit] = []
        with self._v1() as reader:
            chart = self._chart_of(plan.patient, "", reader=reader)
            listed = lists.LISTS[plan.kind](reader, chart)
            for entry in self._entries(dialect, listed.entries):
                created = read_date(str(entry.raw.get("createddate", "")))
                if created and created < first.isoformat():
                    continue
                raw = (
                    lists.with_text(reader, chart, entry.number)
                    if plan.kind == "note"
                    else entry.raw
                )
                if raw is None:
                    continue
                whole = Entry(entry.number, raw, dialect.shape(raw))
                seen = self._twin(whole, dialect, plan.kind, "found", plan.patient, result.until)
                hits += [FindHit(seen, tag) for tag in tags if seen.carries(tag)][:1]
        found = replace(
            result,
            pages=listed.pages,
            complete=listed.complete,
            reason=listed.reason,
            hits=tuple(hits),
        )
        proven = {
            "note": self.settings.documents_listed_probed,
            "task": self.settings.cases_listed_probed,
        }
        if hits or proven[plan.kind]:
            return found
        unproven = "This athenaOne is not known to list such entries with their internal note."
        return replace(found, complete=False, reason=found.reason or unproven)
