"""Golden workflow 9: draft and colleague both change the dose of P6's metformin; nobody's change is lost."""

from typing import Any

import pytest

from ehr_adapters.canonical.codes import RXNORM
from intents.lifecycle import State


def test_x(day):
    day.clinic.allow("system/MedicationStatement.u")
    target = day.clinic.patient("P6")["entries"]["metformin"]
    print(day.entry(target))
    said = "Metformin goes up to 1000 mg twice a day"
    text = f"Clinician: {said}.\n"
    start = text.index(said)
    change = {
        "ref": "c1",
        "kind": "medication",
        "interaction": "update",
        "target": target,
        "content": {
            "dose": {"value": "1000", "unit": "mg"},
            "sig_text": "Take 2 tablets (1000 mg) by mouth twice daily with meals.",
        },
        "evidence": [
            {
                "path": "/dose",
                "source": "s1",
                "start": start,
                "end": start + len(said),
                "quote": said,
                "method": "derived",
                "confidence": 0.9,
            }
        ],
    }
    proposal = day.propose(
        change,
        patient="P6",
        sources=[{"ref": "s1", "kind": "transcript", "title": "Visit recording", "text": text}],
    )
    print(day.states(proposal), day.intent(proposal).reason, day.intent(proposal).tier)
    print([(f.code, f.diagnostics) for f in day.intent(proposal).current_screening.findings.all()])
    screen = day.desk("reyes").review(proposal)
    print(screen.text)
    raise AssertionError
