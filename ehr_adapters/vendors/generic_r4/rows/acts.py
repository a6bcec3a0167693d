"""What a create and an update of a plain FHIR R4 server declare, whatever the kind."""

from typing import Any

from ehr_adapters.capabilities import (
    Acknowledgement,
    Capability,
    Finality,
    FindMethod,
    RetryClass,
    VersionCheck,
)

SOURCE = "FHIR R4 (4.0.1) RESTful API, section http"
SOURCE_DATE = "2026-11-20"


def create(
    kind: str, interaction: str = "create", *, settings: Any, finality: Finality, **more: Any
) -> Capability:
    """A new entry: conditional by the tag in its identifier, found again by the same."""
    return Capability(
        kind=kind,
        interaction=interaction,
        finality=finality,
        **{
            "transport": "FHIR R4 create",
            "find": FindMethod.EXACT,
            "retry": RetryClass.S2 if settings.conditional_create_probed else RetryClass.S3,
            "acknowledgement": Acknowledgement.ID_IN_LOCATION_OR_BODY,
            "conditional_create": True,
            "labels_carried": ("AIAST", "sensitivity"),
            "tag_places": ("identifier",),
            **_bounds(settings),
            **more,
        },
    )


def change(
    kind: str, interaction: str, *, settings: Any, finality: Finality, **more: Any
) -> Capability:
    """An entry that exists, sent back whole and fenced by If-Match; found again by its own id."""
    return Capability(
        kind=kind,
        interaction=interaction,
        finality=finality,
        **{
            "transport": "FHIR R4 update",
            "find": FindMethod.TARGET,
            "retry": RetryClass.S1 if settings.stale_if_match_probed else RetryClass.S3,
            "acknowledgement": Acknowledgement.OK_WITH_ID,
            "version_check": VersionCheck.IF_MATCH,
            "whole_resource": True,
            "labels_carried": ("AIAST", "sensitivity"),
            **_bounds(settings),
            **more,
        },
    )


def _bounds(settings: Any) -> dict[str, Any]:
    return {
        "processing_bound_seconds": settings.processing_bound_seconds,
        "index_lag_seconds": settings.index_lag_seconds,
        "repertoire": settings.repertoire,
        "source": SOURCE,
        "source_date": SOURCE_DATE,
    }
