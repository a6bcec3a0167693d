"""eClinicalWorks: a problem waits among the App Data until a user there reconciles it; a note with another
number than 1 in its 200 is refused, and a lost answer is for a person."""

import pytest

from ehr_adapters.capabilities import Finality
from intents.lifecycle import State

VENDOR = "eclinicalworks"


def approved(day, change):
    proposal = day.propose(change, vendor=VENDOR)
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    return proposal


@pytest.mark.req("001-53", "004-20")
@pytest.mark.fault("eclinicalworks.app-data")
def test_a_problem_waits_until_the_lever_reconciles_it(day):
    proposal = approved(day, day.clinic.problem())
    day.after_undo()
    assert (day.state(proposal), day.intent(proposal).finality) == (
        State.ACCEPTED,
        Finality.STAGED,
    )
    day.forward(hours=25)
    day.background()
    assert day.state(proposal) == State.ACCEPTED
    assert day.held("Condition", vendor=VENDOR) == []
    page = day.desk("reyes").delivery(proposal).text
    assert "for someone to accept it" in page
    assert "Not in the chart yet." in page

    day.practice.lever("accept_staged", vendor=VENDOR, patient="P1", type="Condition")
    day.forward(hours=25)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.writes(VENDOR)) == 1
    day.check_log()


@pytest.mark.req("003-55")
@pytest.mark.fault("eclinicalworks.number-in-200")
def test_a_number_that_is_not_1_is_a_refusal_whatever_http_says(day):
    proposal = approved(day, day.clinic.note())
    day.practice.fault(
        "outcome", vendor=VENDOR, method="POST", path="^DocumentReference", number="139"
    )
    day.after_undo()
    assert day.state(proposal) == State.REJECTED
    page = day.desk("reyes").delivery(proposal).text
    assert "The visit is locked in eClinicalWorks. Nothing was written." in page
    assert len(day.writes(VENDOR)) == 1
    day.check_log()


@pytest.mark.req("002-46")
def test_an_answer_that_was_lost_is_never_sent_again_and_goes_to_a_person(day):
    proposal = approved(day, day.clinic.note())
    day.practice.fault("drop-after-commit", vendor=VENDOR, method="POST", path="^DocumentReference")
    day.after_undo()
    for _ in range(3):
        day.forward(minutes=30)
        day.background()
    assert day.state(proposal) == State.UNCERTAIN
    assert len(day.writes(VENDOR)) == 1
    day.check_log()
