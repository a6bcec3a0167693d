"""A SMART-on-FHIR R4 server by the book: conditional create, If-Match, identifiers that come back.

What the book leaves open is a probe's answer, kept in the settings with its date: without it the weaker
retry class holds.
"""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from ehr_adapters.base import ProbeResult
from ehr_adapters.capabilities import (
    Acknowledgement,
    Capability,
    CapabilitySet,
    Finality,
    FindMethod,
    RetryClass,
    Transformation,
    VersionCheck,
)
from ehr_adapters.contract import WireRequest
from ehr_adapters.errors import AdapterError, AlreadyThere, VersionConflict
from ehr_adapters.fhir_http import FhirHttpAdapter
from ehr_adapters.fhir_probe import probe_fhir
from ehr_adapters.fhir_reading import FhirSettings

_SOURCE = "FHIR R4 (4.0.1) RESTful API, section http"
_SOURCE_DATE = "2026-11-20"
_DATE = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$"

_TEXT_LINES = Transformation(
    "content.attachment.plain_text", "line_ends", "Line ends and blanks at line ends may differ."
)
_NOT_CARRIED = ("/sections/*/code", "/attachments", "/patient_release")


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
    notes_cap: int = Field(default=200_000, ge=1000, title="Characters in one note")
    processing_bound_seconds: int = Field(default=120, ge=0, title="Longest processing of a write")
    index_lag_seconds: int = Field(default=900, ge=0, title="Longest delay of a search")


class GenericR4Adapter(FhirHttpAdapter):
    """Any FHIR R4 server that keeps to the specification."""

    kind: ClassVar[str] = "generic_r4"
    version: ClassVar[str] = "1"
    vendor: ClassVar[str] = "the EHR"
    Settings = GenericSettings
    settings: GenericSettings
    places: ClassVar[dict[str, str]] = {
        "note": "the patient's notes, in the visit",
        "note amend": "the signed note, as an addendum",
        "problem": "the patient's problem list",
    }

    @classmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        bounds: dict[str, Any] = {
            "processing_bound_seconds": settings.processing_bound_seconds,
            "index_lag_seconds": settings.index_lag_seconds,
            "repertoire": settings.repertoire,
            "source": _SOURCE,
            "source_date": _SOURCE_DATE,
        }
        new: dict[str, Any] = {
            "transport": "FHIR R4 create",
            "find": FindMethod.EXACT,
            "retry": RetryClass.S2 if settings.conditional_create_probed else RetryClass.S3,
            "acknowledgement": Acknowledgement.ID_IN_LOCATION_OR_BODY,
            "conditional_create": True,
            "labels_carried": ("AIAST", "sensitivity"),
        }
        change: dict[str, Any] = {
            "transport": "FHIR R4 update",
            "find": FindMethod.TARGET,
            "retry": RetryClass.S1 if settings.stale_if_match_probed else RetryClass.S3,
            "acknowledgement": Acknowledgement.OK_WITH_ID,
            "version_check": VersionCheck.IF_MATCH,
            "whole_resource": True,
            "labels_carried": ("AIAST", "sensitivity"),
        }
        note: dict[str, Any] = {
            "kind": "note",
            "finality": Finality.FILED_UNSIGNED,
            "not_carried": _NOT_CARRIED,
            "length_caps": (("/sections", settings.notes_cap),),
            "transformations": (_TEXT_LINES,),
        }
        problem: dict[str, Any] = {"kind": "problem", "finality": Finality.FILED}
        in_identifier: dict[str, Any] = {"tag_places": ("identifier",)}
        in_both: dict[str, Any] = {"tag_places": ("identifier", "last line")}
        in_text: dict[str, Any] = {"tag_places": ("last line",)}
        return CapabilitySet(
            (
                Capability(interaction="create", **note, **new, **in_both, **bounds),
                Capability(interaction="amend", **note, **new, **in_both, **bounds),
                Capability(interaction="update", **note, **change, **in_text, **bounds),
                Capability(
                    interaction="entered-in-error",
                    **(note | {"finality": Finality.FILED}),
                    **change,
                    **bounds,
                ),
                Capability(interaction="create", **problem, **new, **in_identifier, **bounds),
                Capability(interaction="update", **problem, **change, **bounds),
                Capability(interaction="resolve", **problem, **change, **bounds),
                Capability(interaction="entered-in-error", **problem, **change, **bounds),
            ),
            vendor=cls.vendor,
            version=cls.version,
        )

    def probe(self, *, patient: str, at: datetime) -> ProbeResult:
        return probe_fhir(self, patient=patient, at=at)

    def _conflict(self, step: WireRequest, facts: dict[str, Any]) -> AdapterError:
        if step.method == "PUT" and self.settings.conflict_means_version:
            return VersionConflict(**facts)
        return AlreadyThere(**facts)
