"""Unity's own numbers: its patients and visits are not called what the FHIR side calls them."""

import hashlib
from typing import Any

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.models import SandboxIdentifier, SandboxResource

_SYSTEM = "http://veradigm.example/unity"
_NUMBERED = {"Patient": f"{_SYSTEM}/patient", "Encounter": f"{_SYSTEM}/encounter"}


def unity_number(fhir_id: str) -> str:
    """The number of an entry on the Unity side: seven digits that say nothing about the FHIR id."""
    digest = int.from_bytes(hashlib.sha256(fhir_id.encode()).digest()[:8])
    return str(digest % 9_000_000 + 1_000_000)


def with_unity_number(content: dict[str, Any], *, fhir_id: str) -> dict[str, Any]:
    """A patient or visit with its Unity number among the identifiers; other entries as they are."""
    system = _NUMBERED.get(content["resourceType"])
    if system is None:
        return content
    own = {"system": system, "value": unity_number(fhir_id)}
    return content | {"identifier": [*content.get("identifier", []), own]}


def by_unity_number(*, vendor: str, type: str, number: str) -> SandboxResource | None:
    """The patient or visit of this Unity number, removed or not; None when there is none."""
    known = (
        SandboxIdentifier.objects.filter(
            resource__vendor=vendor, resource__type=type, system=_NUMBERED[type], value=number
        )
        .select_related("resource")
        .first()
    )
    return known.resource if known else None


def survivor_of(patient: SandboxResource) -> str:
    """The id of the record that this one became part of; "" when it did not."""
    for link in charts.content_of(patient).get("link") or []:
        if link["type"] == "replaced-by":
            return charts.split_reference(link["other"]["reference"])[1]
    return ""
