"""The changes of one draft are approved together: what one of them writes holds none of the others."""

from datetime import timedelta
from typing import Any

import pytest

from intents.lifecycle import State
from tests.journeys.medicines import quoted, recorded

SAID = (
    "Clinician: Gabapentin was stopped yesterday; the reaction to the antibiotic was a bad one.\n"
)


def propose(day: Any) -> Any:
    """An allergy and a medicine of P11, changed by one draft that is approved."""
    day.clinic.allow("system/MedicationRequest.u", "system/AllergyIntolerance.u")
    entries = day.clinic.patient("P11")["entries"]
    allergy = next(ref for ref in entries.values() if ref.startswith("AllergyIntolerance/"))
    yesterday = (day.now - timedelta(days=1)).date()
    proposal = day.propose(
        {
            "ref": "c1",
            "kind": "allergy",
            "interaction": "update",
            "target": allergy,
            "content": {"criticality": "high"},
            "evidence": [quoted("/criticality", "the reaction to the antibiotic", SAID)],
        },
        {
            "ref": "c2",
            "kind": "medication",
            "interaction": "discontinue",
            "target": entries["gabapentin"],
            "content": {"end": yesterday.isoformat(), "status_reason": "Stopped by herself."},
            "evidence": [quoted("/end", "Gabapentin was stopped", SAID)],
        },
        patient="P11",
        sources=recorded(SAID),
    )
    assert set(day.states(proposal).values()) == {State.PENDING_APPROVAL}, [
        each.reason for each in day.clinic.intents(proposal)
    ]
    day.desk("reyes").approve(proposal)
    assert set(day.states(proposal).values()) == {State.APPROVED}
    return proposal


def settle(day: Any) -> None:
    day.after_undo()
    for _ in range(2):
        day.forward(seconds=60)
        day.background()


@pytest.mark.req("002-40", "004-45")
def test_an_allergy_and_a_medicine_of_one_draft_are_both_written(day: Any) -> None:
    proposal = propose(day)
    settle(day)
    assert day.states(proposal) == {"c1": State.RECONCILED, "c2": State.RECONCILED}
    assert [one["method"] for one in day.writes()] == ["PUT", "PUT"]


@pytest.mark.req("002-40", "004-45")
def test_a_colleague_who_changes_the_same_allergy_afterwards_holds_the_medicine(day: Any) -> None:
    proposal = propose(day)
    # The allergy is sent, the medicine is not: the EHR is busy. Which is tried first is the queue's affair.
    day.practice.fault(
        "rate-limited", vendor="generic", method="PUT", path="^MedicationRequest", times=None
    )
    for _ in range(4):
        if day.state(proposal, "c1") == State.APPROVED:
            day.forward(seconds=61)
            day.send()
    assert day.state(proposal, "c1") == State.ACCEPTED
    day.practice.clear_faults()
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=day.intent(proposal, "c1").target_ref,
        comment="Seen again by a colleague.",
    )
    settle(day)
    settle(day)
    assert (day.state(proposal, "c2"), day.reason(proposal, "c2")) == (State.HELD, "beside-changed")
