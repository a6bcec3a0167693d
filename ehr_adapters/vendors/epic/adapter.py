"""Epic: notes filed as unsigned drafts, problems into the holding tank, everything else by hand.

The facts are those that Epic publishes or that its sandbox showed: an empty 201 with a relative
Location, no ETag, If-None-Exist passed over, the scope of a token request passed over, a number of
its own in `issue.details.coding`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.fhir_r4 import CanonicalForm, FhirForm, Uncarried
from ehr_adapters.canonical.note import read_comment_text
from ehr_adapters.capabilities import (
    Capability,
    CapabilitySet,
)
from ehr_adapters.contract import (
    Baseline,
    FindResult,
    PatientIdentity,
    Tag,
    WirePlan,
    WireRequest,
)
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ServerError,
)
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_reading import FHIR_JSON, FhirSettings
from ehr_adapters.http import Reply
from ehr_adapters.vendors.epic import contents
from ehr_adapters.vendors.epic.numbers import EPIC_CODES, INFORMATIONAL
from ehr_adapters.vendors.epic.rows import clinical, medicines, notes, practice

_GROUPS = (notes, clinical, medicines, practice)


class EpicSettings(FhirSettings):
    """Settings of one Epic customer. Epic passes over the scope that is asked for, so wider tokens are normal."""

    accept_wider_grant: bool = Field(default=True, title="Accept tokens wider than asked for")
    scope_syntax: str = Field(default="v1", pattern="^v[12]$", title="Spelling of scopes")
    drafts_listed_probed: str = Field(
        default="",
        pattern=r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$",
        title="An unsigned note with the portal's last line was found again by search, on",
    )
    notes_cap: int = Field(default=60_000, ge=1000, title="Characters in one note")
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(default=900, ge=0, title="Longest delay of a search")
    record_number_search: bool = Field(
        default=False, title="Search for patients whose record number is one digit away"
    )


class EpicAdapter(FhirHttpAdapter):
    """Epic's FHIR R4 write interfaces."""

    kind: ClassVar[str] = "epic"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "Epic"
    Settings = EpicSettings
    settings: EpicSettings
    note_content_type: ClassVar[str] = "text/plain"
    # Epic keeps its medication list in MedicationRequest; MedicationStatement is not served in R4.
    contexts = {
        **FhirHttpAdapter.contexts,
        "medications": (("MedicationRequest", {"status": "active"}),),
    }
    places: ClassVar[dict[str, str]] = {
        place: words for group in _GROUPS for place, words in group.PLACES.items()
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(
            (row for group in _GROUPS for row in group.rows(settings)),
            vendor=cls.vendor,
            version=cls.version,
        )

    # --- how would you say this ------------------------------------------------------------------

    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan:
        issues = list(contents.issues_of(change))
        if issues:
            raise self._cannot(change, issues)
        return super()._render(change, capability=capability, tag=tag, baseline=baseline)

    def _to_fhir(
        self,
        change: ChartChange,
        *,
        patient: PatientIdentity,
        tag: Tag,
        current: Mapping[str, Any] | None,
    ) -> FhirForm:
        form = super()._to_fhir(change, patient=patient, tag=tag, current=current)
        resource = dict(form.resource)
        # Epic keeps no label on these.
        resource.pop("meta", None)
        if change.kind not in contents.TAG_IN_IDENTIFIER:
            resource.pop("identifier", None)
        content = change.model_dump_canonical()
        uncarried = [*form.uncarried, *contents.left_out(change.kind, resource)]
        if content.get("sensitivity", "normal") != "normal":
            uncarried.append(
                Uncarried("/sensitivity", "Epic does not take the sensitivity label from outside.")
            )
        if change.kind == "note":
            resource.pop("category", None)
        if change.kind in contents.TAG_IN_COMMENT:
            contents.with_tag(resource, comment=content.get("note") or "", short=tag.short)
        return FhirForm(resource, tuple(uncarried))

    def _frozen_headers(
        self, *, capability: Capability, tag: Tag, version: str, is_new: bool
    ) -> Iterator[tuple[str, str]]:
        del capability, tag, version, is_new
        yield "Content-Type", FHIR_JSON
        yield "Accept", FHIR_JSON

    def _canonical(self, resource: Mapping[str, Any], *, kind: str) -> CanonicalForm:
        form = super()._canonical(resource, kind=kind)
        if form.kind not in contents.TAG_IN_COMMENT or "note" not in form.content:
            return form
        text, short = read_comment_text(form.content["note"])
        content = {k: v for k, v in form.content.items() if k != "note"}
        if text:
            content["note"] = text
        return CanonicalForm(
            form.kind, content, form.uncarried, (*form.tags, short) if short else form.tags
        )

    # --- what the answers mean -------------------------------------------------------------------

    def _is_acknowledged(self, step: WireRequest, reply: Reply, reference: str) -> bool:
        """Epic's create answers 201 with a Location; anything less is no acknowledgement."""
        del step
        return reply.status == 201 and bool(reply.header("location")) and bool(reference)

    def _refusal(self, step: WireRequest, reply: Reply, facts: dict[str, Any]) -> AdapterError:
        known = self._by_number(facts)
        return known or super()._refusal(step, reply, facts)

    def _moved(self, facts: Mapping[str, Any]) -> AdapterError | None:
        if facts["vendor_code"] == "4107":
            return self._by_number(dict(facts))
        return None

    @staticmethod
    def _by_number(facts: dict[str, Any]) -> AdapterError | None:
        """The branch by Epic's own number; the status decides where there is none."""
        number = facts["vendor_code"]
        if number in INFORMATIONAL or number not in EPIC_CODES:
            return None
        if facts["status"] in {401, 429}:
            return None
        meaning = EPIC_CODES[number]
        branch = meaning.branch
        if number == "59189" and any(
            re.sub(r"\s", "", issue.pointer) == "code/instant" for issue in facts["issues"]
        ):
            branch = AlreadyThere
            meaning = EPIC_CODES["59141"]
        if facts["status"] >= 500 and branch is not AlreadyThere:
            # A refusal inside a fault of the server proves nothing about the chart.
            branch = ServerError
            return branch(**facts)
        more = {"retry_after": 86400.0} if number == "4135" else {}
        return branch(meaning.sentence, **{**facts, **more, "next_step": meaning.next_step})

    # --- searching -------------------------------------------------------------------------------

    def _patient_parameter(self, patient_id: str) -> str:
        return patient_id

    def _searches_record_numbers(self) -> bool:
        return self.settings.record_number_search

    def _find_scan(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        found = super()._find_scan(tags, plan, since=since, at=at)
        if found.hits or self.settings.drafts_listed_probed:
            return found
        return replace(
            found,
            complete=False,
            reason=found.reason or "This Epic is not known to list unsigned notes.",
        )

    def _scan_window(self, plan: WirePlan, *, day: str) -> Iterable[tuple[str, str]]:
        del plan
        return [("category", "clinical-note"), ("date", f"ge{day}")]
