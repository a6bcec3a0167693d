"""Golden workflow 14: athenahealth refuses one of three changes, and the note that reports it stays unsent."""

from typing import Any

import pytest

from ehr_adapters.canonical.codes import RXNORM
from intents.lifecycle import State
from tests.journeys.day import text_of
from tests.journeys.medicines import quoted, recorded
from tests.journeys.test_dose_doubled_by_hand_in_epic import a_note

SAID = (
    "Clinician: Blood pressure now is 152 over 90.\n"
    "Clinician: And you came out in hives after aspirin.\n"
    "Clinician: Any cough?\nPatient: No, no cough.\n"
)
REPORT = "Blood pressure 152/90 recorded."
REST = "Denies cough."
ATHENA = "athenahealth"


def vitals(day: Any) -> dict[str, Any]:
    return {
        "ref": "c1",
        "kind": "vitals",
        "interaction": "create",
        "content": {
            "readings": [
                {"code": "8480-6", "value": {"value": "152", "unit": "mm[Hg]"}},
                {"code": "8462-4", "value": {"value": "90", "unit": "mm[Hg]"}},
            ],
            "effective_at": day.now.isoformat(timespec="seconds"),
            "origin": "measured",
            "status": "final",
        },
        "evidence": [quoted("/readings", "Blood pressure now is 152 over 90", SAID)],
    }


def allergy() -> dict[str, Any]:
    return {
        "ref": "c3",
        "kind": "allergy",
        "interaction": "create",
        "content": {
            "substance": {"system": RXNORM, "code": "1191", "display": "aspirin"},
            "category": "medication",
            "clinical_status": "active",
            "verification": "confirmed",
        },
        "evidence": [quoted("/substance", "you came out in hives after aspirin", SAID)],
    }


@pytest.fixture
def proposal(day):
    """Vital signs, a note that reports them, and an allergy; all approved."""
    day.clinic.connection(ATHENA)
    day.clinic.allow("system/Observation.c", "system/AllergyIntolerance.c", vendor=ATHENA)
    text = f"{REPORT} {REST}"
    place = "/sections/0/text"
    note = a_note(
        text,
        reports=REPORT,
        evidence=[
            quoted(place, "Blood pressure now is 152 over 90", SAID, span=(0, len(REPORT))),
            quoted(place, "No, no cough", SAID, span=(len(REPORT) + 1, len(text))),
        ],
    )
    made = day.propose(vitals(day), note, allergy(), vendor=ATHENA, sources=recorded(SAID))
    assert set(day.states(made).values()) == {State.PENDING_APPROVAL}, [
        i.reason for i in day.clinic.intents(made)
    ]
    day.desk("reyes").approve(made)
    assert set(day.states(made).values()) == {State.APPROVED}
    return made


@pytest.mark.req("003-67", "004-44")
@pytest.mark.fault("athenahealth.closed-visit")
def test_a_closed_visit_refuses_the_vital_signs_and_the_note_that_reports_them_is_held_unsent(
    day, proposal
):
    # The visit is closed there between the last look and the sending.
    day.practice.fault("chart-locked", vendor=ATHENA, method="POST", path="vitals")
    for _ in range(3):
        day.after_undo()
    assert day.states(proposal)["c1"] == State.REJECTED, day.reason(proposal)
    assert day.intent(proposal, "c1").rejected_by == "EHR"
    assert (day.state(proposal, "c2"), day.reason(proposal, "c2")) == (
        State.HELD,
        "reported-change-failed",
    )
    assert day.state(proposal, "c3") in (State.ACCEPTED, State.RECONCILED)

    # What athenahealth holds: the allergy, and neither measurement nor note.
    paths = [each["path"].split("?")[0] for each in day.writes(ATHENA)]
    assert sorted(p.rsplit("/", 1)[-1] for p in paths) == ["allergies", "vitals"]
    assert day.held(vendor=ATHENA) == []
    assert "aspirin" in str(
        [
            each["content"]
            for each in day.practice.resources(
                vendor=ATHENA,
                type="AllergyIntolerance",
                patient=day.clinic.patient("P1", ATHENA)["patient"],
            )
        ]
    )

    reyes = day.desk("reyes")
    page = reyes.delivery(proposal)
    assert "1 of 3 refused by the EHR; 1 taken." in page.text
    assert "The note says something that was not written; it was not sent." in page.text
    assert "Refused by the EHR" in page.part("c-c1")
    assert "The visit is closed in athenaOne. Nothing was written." in page.part("c-c1")
    assert "A change that this one reports or needs was not written." in page.part("c-c2")

    # It has an owner, and the log tells each part.
    listed = day.desk("singh").open("/worklist/").text
    assert "Refused by the EHR" in listed
    assert "Dr A. Reyes" in listed
    assert "intent:write:refused" in day.told(proposal, "c1")
    told = day.told(proposal, "c2")
    assert "intent:write:held" in told
    assert "intent:write:submitted" not in told
    assert "intent:write:accepted" in day.told(proposal, "c3")
    day.check_log()

    # Checked again, the statement is a question; without it the note is filed.
    screen = reyes.press(reyes.review(proposal), "Check again")
    assert "Not written" in screen.part("c-A") + screen.part("c-B") + screen.part("c-C")
    reyes.check(screen, answers={REPORT[:30]: "Take it out"})
    reyes.press(screen, "Approve for")
    reyes.approve(proposal)
    day.after_undo()
    [filed] = day.held(vendor=ATHENA)
    assert "152" not in text_of(filed["content"])
    assert REST in text_of(filed["content"])


def test_a_visit_that_is_seen_to_be_closed_stops_everything_of_it_before_it_is_sent(day, proposal):
    day.practice.lever("close_visit", vendor=ATHENA, patient="P1", locked=True)
    for _ in range(3):
        day.after_undo()
    assert set(day.states(proposal).values()) == {State.HELD}
    assert {ref: day.reason(proposal, ref) for ref in ("c1", "c2", "c3")} == {
        "c1": "encounter-changed",
        "c2": "reported-change-failed",
        "c3": "encounter-changed",
    }
    assert day.writes(ATHENA) == []
