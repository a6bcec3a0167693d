"""The chart moves before the page is opened, while it is open, or after the approval: nothing is written.

Twice over: an entry that the draft changes was changed by a colleague, and a new entry was added by one.
"""

from typing import Any

import pytest

from intents.lifecycle import State

R42 = {
    "coding": [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R42", "display": "Dizziness and giddiness"}
    ]
}  # fmt: skip
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CERTAINTY = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


class Changed:
    """The draft says that P1's kidney disease is provisional; a colleague says that it is inactive."""

    words = "The entry was changed in the EHR since this was drafted."
    later = "target-changed"

    @staticmethod
    def propose(day: Any) -> Any:
        return day.propose(
            day.clinic.problem(
                interaction="update",
                target=day.clinic.patient("P1")["entries"]["ckd"],
                content={"verification": "provisional"},
            )
        )

    @staticmethod
    def move(day: Any) -> None:
        day.practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            entry="ckd",
            changes={"clinicalStatus": {"coding": [{"system": CLINICAL, "code": "inactive"}]}},
        )

    shown = "Status active changed to inactive"


class Added:
    """The draft adds dizziness to the problem list; a colleague adds it first."""

    words = "The chart already holds this as an active problem."
    later = "neighbourhood-changed"

    @staticmethod
    def propose(day: Any) -> Any:
        return day.propose(day.clinic.problem())

    @staticmethod
    def move(day: Any) -> None:
        day.practice.lever(
            "add_resource",
            vendor="generic",
            patient="P1",
            resource={
                "resourceType": "Condition",
                "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
                "verificationStatus": {"coding": [{"system": CERTAINTY, "code": "confirmed"}]},
                "category": [
                    {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/condition-category",
                                "code": "problem-list-item",
                            }
                        ]
                    }
                ],
                "code": R42,
                "subject": {"reference": f"Patient/{day.clinic.patient('P1')['patient']}"},
            },
        )

    shown = "New in the chart since the draft"


@pytest.fixture(params=[Changed, Added], ids=["entry-changed", "entry-added"])
def how(request):
    return request.param


@pytest.fixture
def proposal(day, how):
    made = how.propose(day)
    assert day.state(made) == State.PENDING_APPROVAL, day.intent(made).reason
    return made


def check_nothing_written(day, proposal):
    day.after_undo()
    assert day.state(proposal) == State.HELD
    assert day.writes() == []
    told = day.told(proposal)
    assert "intent:write:accepted" not in told
    day.check_log()


@pytest.mark.req("003-24", "003-65", "004-27", "004-28", "004-45")
def test_before_the_page_is_opened_the_conflict_page_comes_instead(day, how, proposal):
    how.move(day)
    screen = day.desk("reyes").review(proposal)
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    assert "The chart changed since this was drafted" in screen.text
    assert how.words in screen.text
    assert how.shown in screen.text
    assert not screen.offers("Approve")
    check_nothing_written(day, proposal)
    assert "intent:review:approved" not in day.told(proposal)


@pytest.mark.req("003-24", "004-27")
def test_while_the_page_is_open_pressing_approve_leads_to_the_conflict_page(day, how, proposal):
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    reyes.check(screen)
    day.forward(seconds=40)
    how.move(day)
    screen = reyes.press(screen, "Approve for")
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    assert how.words in screen.text
    assert how.shown in screen.text
    check_nothing_written(day, proposal)
    assert "intent:review:approved" not in day.told(proposal)


@pytest.mark.req("003-24", "004-29")
def test_between_approval_and_sending_it_is_held_at_the_last_look(day, how, proposal):
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    how.move(day)
    check_nothing_written(day, proposal)
    assert day.reason(proposal) == how.later
    screen = day.desk("reyes").review(proposal)
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    assert how.shown in screen.text
    told = day.told(proposal)
    assert told.index("intent:write:submitted") < told.index("intent:write:conflict")
