"""How much dearer than parsing is it to check one resource of about 4 KB?"""

import base64
import json
import time
from collections.abc import Callable

import orjson
from fhir.resources.R4B.documentreference import DocumentReference

from ehr_adapters.canonical import strict_r4
from tests.bench.rounds import Result, measure

_REPEATS = 400


def resource() -> bytes:
    """A made-up note of about 4 KB, as the portal renders one."""
    sections = ("Presenting complaint", "History", "Examination", "Assessment and plan")
    text = "\n\n".join(
        f"{title}\n{'=' * len(title)}\n"
        + "Reports a made-up cough for three weeks, mostly at night. " * 9
        for title in sections
    )
    return json.dumps(
        {
            "resourceType": "DocumentReference",
            "meta": {
                "security": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                        "code": "AIAST",
                    }
                ]
            },
            "identifier": [
                {"system": "urn:reviewportal:tag", "value": "00000000-0000-4000-8000-000000000000"}
            ],
            "status": "current",
            "docStatus": "preliminary",
            "type": {
                "coding": [
                    {"system": "http://loinc.org", "code": "11506-3", "display": "Progress note"}
                ],
                "text": "Progress note",
            },
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                            "code": "clinical-note",
                        }
                    ]
                }
            ],
            "subject": {"reference": "Patient/p1"},
            "date": "2026-11-20T08:40:00Z",
            "author": [{"reference": "Practitioner/p1", "display": "Made-up clinician"}],
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain; charset=utf-8",
                        "data": base64.b64encode(text.encode()).decode(),
                    }
                }
            ],
            "context": {"encounter": [{"reference": "Encounter/e1"}]},
        }
    ).encode()


def _microseconds(call: Callable[[], object]) -> float:
    call()
    started = time.perf_counter()
    for _ in range(_REPEATS):
        call()
    return (time.perf_counter() - started) / _REPEATS * 1e6


def run(*, rounds: int) -> list[Result]:
    body = resource()

    def limit() -> float:
        return _microseconds(lambda: orjson.loads(body))

    stock = measure(
        limit=limit,
        ours=lambda: _microseconds(lambda: DocumentReference.model_validate_json(body)),
        rounds=rounds,
    )
    strict = measure(
        limit=limit, ours=lambda: _microseconds(lambda: strict_r4.check(body)), rounds=rounds
    )
    return [
        Result(
            name="FHIR check, fhir.resources alone / orjson parse of the same bytes",
            unit="us",
            goal=70,
            at_most=True,
            rounds=stock,
            remark=f"{len(body)} bytes",
        ),
        Result(
            name="FHIR check, strict with own rules / orjson parse (printed beside, no goal of its own)",
            unit="us",
            goal=None,
            at_most=True,
            rounds=strict,
        ),
    ]
