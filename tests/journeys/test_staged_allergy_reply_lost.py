"""Golden workflow 6: an allergy for Epic's holding tank whose answer was lost; only a person can settle it."""

from typing import Any

import pytest

from ehr_adapters.canonical.codes import RXNORM, SNOMED
from intents.lifecycle import State
from intents.models import WriteLedgerEntry
from tests.journeys.medicines import propose

SAID = "Ada came out in hives after ibuprofen last week"


def allergy(**more: Any) -> dict[str, Any]:
    return {
        "substance": {"system": RXNORM, "code": "5640", "display": "ibuprofen"},
        "category": "medication",
        "clinical_status": "active",
        "verification": "unconfirmed",
        "reactions": [
            {
                "manifestation": {"system": SNOMED, "code": "247472004", "display": "Wheal"},
                "severity": "moderate",
            }
        ],
    } | more


def test_x(day):
    day.clinic.allow("system/AllergyIntolerance.c", vendor="epic")
    proposal = propose(day, "allergy", allergy(), patient="P3", words=SAID, vendor="epic")
    print(day.states(proposal), day.intent(proposal).reason)
    screen = day.desk("reyes").review(proposal)
    print(screen.text)
    raise AssertionError
