"""A plain FHIR R4 server: versions, conditional create, If-Match, history, scopes enforced."""

from typing import Any

from ehr_adapters.sandbox import behaviour
from ehr_adapters.sandbox.exchange import Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.searching import COMMON, PARAMS


class GenericFront(Front):
    """/generic/fhir/R4."""

    vendor = behaviour.GENERIC

    def capability_statement(self, call: Call) -> dict[str, Any]:
        updates = behaviour.of(self.vendor, "update_creates")
        conditional = behaviour.of(self.vendor, "conditional_create") != "ignored"
        kinds = {"token": "token", "reference": "reference", "date": "date", "string": "string"}
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-01",
            "publisher": "Northgate Health (made up)",
            "kind": "instance",
            "software": {"name": "Northgate R4 (practice)", "version": "1"},
            "implementation": {
                "description": "A practice EHR; every patient is made up",
                "url": call.base,
            },
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "rest": [
                {
                    "mode": "server",
                    "security": {
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
                                "extension": [
                                    {"url": "token", "valueUri": self.token_url(call.base)}
                                ],
                            }
                        ],
                    },
                    "resource": [
                        {
                            "type": each,
                            "interaction": [
                                {"code": code}
                                for code in (
                                    "read",
                                    "vread",
                                    "history-instance",
                                    "create",
                                    "update",
                                    "search-type",
                                )
                            ],
                            "versioning": "versioned",
                            "readHistory": True,
                            "updateCreate": updates,
                            "conditionalCreate": conditional,
                            "conditionalUpdate": False,
                            "conditionalRead": "not-match",
                            "searchParam": [
                                {"name": name, "type": kinds[param.kind]}
                                for name, param in sorted((COMMON | PARAMS[each]).items())
                            ],
                        }
                        for each in sorted(self.types)
                    ],
                }
            ],
        }
