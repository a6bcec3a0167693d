"""One entry, two ids: FHIR's "a-195900.c-1234567", and 1234567 everywhere else."""

import secrets

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.seed.chart import PRACTICE_ID
from ehr_adapters.sandbox.vendors.athenahealth.answers import refused

VENDOR = "athenahealth"


def number_of(fhir_id: str) -> int:
    """The number inside a FHIR id."""
    return int(fhir_id.rpartition("-")[2])


def fhir_id_of(type: str, number: str) -> str:
    """The FHIR id of a number."""
    letter = "E" if type == "Patient" else "c"
    return f"a-{PRACTICE_ID}.{letter}-{number}"


def new_id() -> str:
    """An id that no seeded entry has: those have seven digits."""
    return f"a-{PRACTICE_ID}.c-{10_000_000 + secrets.randbelow(90_000_000)}"


def entry(type: str, number: str, *, words: str) -> SandboxResource:
    """The entry of a number that is in the chart. Raises a refusal (404)."""
    row = charts.find(vendor=VENDOR, type=type, fhir_id=fhir_id_of(type, number))
    if row is None or row.removed:
        raise refused(404, f"The {words} does not exist.")
    return row
