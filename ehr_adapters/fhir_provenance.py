"""Filing a FHIR Provenance beside the entry that it is about.

It is a request of its own and never a step of the plan that writes the entry: a plan of which one step failed
is a half-written change that a person has to settle, and nothing about a chart is half-written when only its
Provenance is missing.
"""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.exact_json import dumps
from ehr_adapters.contract import Slot, WireRequest
from ehr_adapters.errors import Unreachable
from ehr_adapters.fhir_finding import FhirFinding
from ehr_adapters.fhir_reading import FHIR_JSON

# Stands for the id that the write is answered with; a FHIR id itself, so that the frozen bytes are valid R4.
WRITTEN = Slot(marker="id.of.the.written.entry", source="earlier_id", from_step=0)


def takes_provenance(offer: Mapping[str, Any] | None) -> bool:
    """Does this part of a CapabilityStatement offer to create a Provenance?"""
    interactions = (offer or {}).get("interaction") or ()
    return any(isinstance(one, dict) and one.get("code") == "create" for one in interactions)


class FilesProvenance(FhirFinding):
    """For FHIR adapters whose EHR may take a Provenance."""

    def provenance_request(self, provenance: Mapping[str, Any], *, written: str) -> WireRequest:
        type_name, _, key = written.partition("/")
        [target] = provenance["target"]
        reference = f"{type_name}/{key or WRITTEN.marker}"
        filed = {**provenance, "target": [{**target, "reference": reference}]}
        return WireRequest(
            method="POST",
            path="Provenance",
            headers=(("Content-Type", FHIR_JSON), ("Accept", FHIR_JSON)),
            body=dumps(filed),
            label="create Provenance",
            scope="system/Provenance.c",
            slots=() if key else (WRITTEN,),
        )

    def find_provenance(self, *, written: str, key: str) -> str | None:
        # `target` is a search parameter of R4's Provenance; what a server does not search by, it must say so.
        with self._reading("system/Provenance.rs") as reader:
            found = reader.search(
                "Provenance", [("target", written)], headers={"Prefer": "handling=strict"}
            )
        for entry in found.entries:
            tags = (entry.get("meta") or {}).get("tag") or ()
            if any(isinstance(tag, dict) and tag.get("code") == key for tag in tags):
                return f"Provenance/{entry['id']}"
        if not found.complete:
            raise Unreachable(
                "What the EHR holds about the entry could not be read to the end.",
                connection_kind=self.kind,
                interaction="find Provenance",
            )
        return None
