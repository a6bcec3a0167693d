"""A SMART-on-FHIR R4 server by the book: conditional create, If-Match, identifiers that come back.

What the book leaves open is a probe's answer, kept in the settings with its date: without it the weaker
retry class holds.
"""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from ehr_adapters.base import ProbeResult
from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.medication import IN_PLACE
from ehr_adapters.capabilities import CapabilitySet
from ehr_adapters.contract import Baseline, WireRequest
from ehr_adapters.errors import AdapterError, AlreadyThere, Issue, VersionConflict
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_probe import probe_fhir
from ehr_adapters.fhir_provenance import FilesProvenance
from ehr_adapters.fhir_reading import FhirSettings
from ehr_adapters.vendors.generic_r4.rows import clinical, medicines, notes, practice

_DATE = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$"
_GROUPS = (notes, clinical, medicines, practice)


class GenericSettings(FhirSettings):
    """Probes of a FHIR server; an empty date means "not probed"."""

    conditional_create_probed: str = Field(
        default="", pattern=_DATE, title="Many equal conditional creates at once made one entry, on"
    )
    stale_if_match_probed: str = Field(
        default="", pattern=_DATE, title="A stale If-Match was refused, on"
    )
    conflict_means_version: bool = Field(
        default=False, title="409 on an update was shown to mean: changed by someone else"
    )
    prescription_in_place: bool = Field(
        default=False,
        title="Change prescriptions in place: only where no pharmacy stands behind the server",
    )
    send_provenance: bool = Field(
        default=True,
        title="File a Provenance beside each entry, where the server's own statement offers it",
    )
    notes_cap: int = Field(default=200_000, ge=1000, title="Characters in one note")
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(default=900, ge=0, title="Longest delay of a search")


class GenericR4Adapter(FilesProvenance, FhirHttpAdapter):
    """Any FHIR R4 server that keeps to the specification."""

    kind: ClassVar[str] = "generic_r4"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "the EHR"
    Settings = GenericSettings
    settings: GenericSettings
    places: ClassVar[dict[str, str]] = {
        place: words for group in _GROUPS for place, words in group.PLACES.items()
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        return CapabilitySet(
            (row for group in _GROUPS for row in group.rows(settings)),
            vendor=cls.vendor,
            version=cls.version,
            provenance=settings.send_provenance,
        )

    def _target_issues(self, change: ChartChange, *, baseline: Baseline) -> list[Issue]:
        issues = super()._target_issues(change, baseline=baseline)
        if self.settings.prescription_in_place:
            issues = [issue for issue in issues if issue.code != IN_PLACE]
        return issues

    def probe(self, *, patient: str, at: datetime) -> ProbeResult:
        return probe_fhir(self, patient=patient, at=at)

    def _conflict(self, step: WireRequest, facts: dict[str, Any]) -> AdapterError:
        if step.method == "PUT" and self.settings.conflict_means_version:
            return VersionConflict(**facts)
        return AlreadyThere(**facts)
