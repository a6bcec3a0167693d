"""A plain FHIR R4 server: versions, conditional create, If-Match, history, scopes enforced."""

from typing import Any

from ehr_adapters.sandbox import behaviour
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.statements import offered, statement


class GenericFront(Front):
    """/generic/fhir/R4."""

    vendor = behaviour.GENERIC

    def written(
        self,
        call: Call,
        status: int,
        row: SandboxResource,
        content: dict[str, Any],
        *,
        committed: bool = True,
    ) -> Answer:
        """As everywhere; where creates are answered barely, with nothing but the new entry's reference."""
        answer = super().written(call, status, row, content, committed=committed)
        if status != 201 or not behaviour.of(self.vendor, "bare_creates"):
            return answer
        bare = Answer(status, {"Location": f"{row.type}/{row.fhir_id}"})
        bare.committed.extend(answer.committed)
        return bare

    def capability_statement(self, call: Call) -> dict[str, Any]:
        updates = behaviour.of(self.vendor, "update_creates")
        conditional = behaviour.of(self.vendor, "conditional_create") != "ignored"
        return statement(
            base=call.base,
            software="Northgate R4 (practice)",
            version="1",
            security={
                "service": [
                    {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                "code": "SMART-on-FHIR",
                            }
                        ]
                    }
                ],
                "extension": [
                    {
                        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                        "extension": [{"url": "token", "valueUri": self.token_url(call.base)}],
                    }
                ],
            },
            resources=[
                offered(
                    each,
                    "read",
                    "vread",
                    "history-instance",
                    "create",
                    "update",
                    "search-type",
                    parameters=True,
                    versioning="versioned",
                    readHistory=True,
                    updateCreate=updates,
                    conditionalCreate=conditional,
                    conditionalUpdate=False,
                    conditionalRead="not-match",
                )
                for each in sorted(self.types)
            ],
        )
