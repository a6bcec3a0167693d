"""Golden workflow 14: one of three changes is refused by athenahealth, and the note that reports it stays unsent."""

import pytest

from ehr_adapters.canonical.codes import RXNORM, SNOMED
from intents.lifecycle import State
from tests.factories import SOURCE


def test_x(day):
    day.clinic.connection("athenahealth")
    day.clinic.allow("system/Observation.c", "system/AllergyIntolerance.c", vendor="athenahealth")
    from django.conf import settings

    print(day.clinic.patient("P1", "athenahealth"))
    said = "Home readings have been around 152 over 90"
    place = SOURCE.index(said)
    vit = {
        "ref": "c1",
        "kind": "vitals",
        "interaction": "create",
        "content": {
            "readings": [
                {"code": "8480-6", "value": {"value": "152", "unit": "mm[Hg]"}},
                {"code": "8462-4", "value": {"value": "90", "unit": "mm[Hg]"}},
            ],
            "effective_at": (day.now).isoformat(timespec="minutes"),
            "encounter": "Encounter/"
            + day.clinic.patient("P1", "athenahealth")["encounter"].split("/")[-1],
            "origin": "measured",
            "status": "final",
        },
        "evidence": [
            {
                "path": "/readings",
                "source": "s1",
                "start": place,
                "end": place + len(said),
                "quote": said,
                "method": "derived",
                "confidence": 0.9,
            }
        ],
    }
    proposal = day.propose(vit, vendor="athenahealth")
    print(day.states(proposal), day.intent(proposal).reason, day.intent(proposal).tier)
    print([(f.code, f.diagnostics) for f in day.intent(proposal).current_screening.findings.all()])
    screen = day.desk("reyes").review(proposal)
    print(screen.text)
    raise AssertionError
