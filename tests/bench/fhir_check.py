"""How much dearer than parsing is it to check one resource of about 4 KB?"""

import json
import time
from collections.abc import Callable

import orjson
from fhir.resources.R4B.documentreference import DocumentReference

from ehr_adapters.canonical import strict_r4
from tests.bench.rounds import Result, measure

_REPEATS = 400


def resource() -> bytes:
    """A made-up note of about 4 KB, most of it structure rather than text."""
    people = [
        {"reference": f"Practitioner/p{n}", "display": f"Made-up clinician {n}"} for n in range(8)
    ]
    return json.dumps(
        {
            "resourceType": "DocumentReference",
            "identifier": [{"system": "urn:example:note", "value": f"n-{n}"} for n in range(12)],
            "status": "current",
            "docStatus": "preliminary",
            "type": {
                "coding": [
                    {"system": "http://loinc.org", "code": "11506-3", "display": "Progress note"}
                ]
            },
            "category": [
                {
                    "coding": [{"system": "urn:example:category", "code": f"c{n}"}],
                    "text": f"category {n}",
                }
                for n in range(10)
            ],
            "subject": {"reference": "Patient/p1"},
            "date": "2026-11-20T08:40:00Z",
            "author": people,
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "data": "TWFkZS11cCB0ZXh0IGZvciBhIGJlbmNobWFyay4g" * 20,
                        "title": "note",
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
            goal=float("inf"),
            at_most=True,
            rounds=strict,
        ),
    ]
