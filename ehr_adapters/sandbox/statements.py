"""What a front says of itself: the CapabilityStatement of FHIR R4, as far as vendors differ in it."""

from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.sandbox.searching import COMMON, PARAMS

NO_VERSIONS: Mapping[str, Any] = {
    "versioning": "no-version",
    "readHistory": False,
    "updateCreate": False,
    "conditionalCreate": False,
    "conditionalUpdate": False,
}


def statement(
    *,
    base: str,
    software: str,
    version: str,
    resources: Iterable[Mapping[str, Any]],
    date: str = "2026-11-01",
    security: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document at /metadata."""
    rest: dict[str, Any] = {"mode": "server"}
    if security is not None:
        rest["security"] = security
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "publisher": "Northgate Health (made up)",
        "kind": "instance",
        "software": {"name": software, "version": version},
        "implementation": {
            "description": "A practice EHR; every patient is made up",
            "url": base,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [rest | {"resource": list(resources)}],
    }


def offered(
    type_name: str, *interactions: str, parameters: bool = False, **facts: Any
) -> dict[str, Any]:
    """One resource type of the statement; with `parameters`, what can be searched by."""
    told: dict[str, Any] = {
        "type": type_name,
        "interaction": [{"code": code} for code in interactions],
        **facts,
    }
    if parameters:
        told["searchParam"] = [
            {"name": name, "type": param.kind}
            for name, param in sorted((COMMON | PARAMS[type_name]).items())
        ]
    return told
