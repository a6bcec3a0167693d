"""One change of a set is left out and the rest approved; the note may not go on reporting it unseen."""

import pytest

from intents.lifecycle import State
from tests.journeys.day import text_of

REPORT = "Orthostatic dizziness added to the problem list."
REST = "Denies cough."


@pytest.fixture
def proposal(day):
    """A problem, and a note that reports it."""
    text = f"{REPORT} {REST}"
    note = day.clinic.note(
        text,
        ref="c2",
        quotes={REPORT: "this is orthostatic dizziness", REST: "No, no cough"},
        content={
            "sections": [
                {
                    "title": "Assessment and plan",
                    "text": text,
                    "acts": [{"span": [0, len(REPORT)], "change": "c1"}],
                }
            ]
        },
    )
    made = day.propose(day.clinic.problem(), note)
    assert set(day.states(made).values()) == {State.PENDING_APPROVAL}, day.states(made)
    return made


@pytest.mark.req("003-104", "004-44")
def test_the_whole_set_is_written_in_order_when_nothing_is_left_out(day, proposal):
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    assert "Writes 1 problem ; files 1 unsigned note" in screen.text.replace(
        "problem;", "problem ;"
    )
    reyes.approve(proposal)
    day.after_undo()
    day.after_undo()
    assert day.states(proposal) == {"c1": State.RECONCILED, "c2": State.RECONCILED}
    first, second = day.writes()
    assert "Condition" in first["path"], "the note goes after what it reports"
    assert "DocumentReference" in second["path"]
    assert "2 taken by the EHR." in reyes.delivery(proposal).text


@pytest.mark.req("002-29")
def test_leaving_the_problem_out_reopens_the_statement_that_reports_it(day, proposal):
    reyes = day.desk("reyes")
    screen = reyes.press(reyes.review(proposal), "Leave out change A")
    assert "The change was left out." in screen.text
    assert day.states(proposal) == {"c1": State.REJECTED, "c2": State.PENDING_APPROVAL}
    assert any(REPORT[:30] in about for about in screen.choices())

    # Approving past it is refused; taking it out makes a version that is shown and approved.
    day.forward(seconds=40)
    refused = reyes.press(screen, "Approve for")
    assert "Nothing was written." in refused.text
    assert day.state(proposal, "c2") == State.PENDING_APPROVAL
    screen = reyes.review(proposal)
    reyes.check(screen, answers={REPORT[:30]: "Take it out"})
    reyes.press(screen, "Approve for")
    reyes.approve(proposal)
    day.after_undo()
    assert day.states(proposal) == {"c1": State.REJECTED, "c2": State.RECONCILED}
    [written] = day.writes()
    assert "DocumentReference" in written["path"]
    [document] = day.held()
    assert "Orthostatic" not in text_of(document["content"])
    assert REST in text_of(document["content"])
    assert day.held("Condition") == []
    day.check_log()


def test_a_set_that_belongs_together_is_decided_as_a_whole(day):
    made = day.propose(day.clinic.problem(), day.clinic.note(ref="c2"), all_or_nothing=True)
    reyes = day.desk("reyes")
    screen = reyes.review(made)
    assert not screen.offers("Leave out")
    reyes.approve(made)
    day.after_undo()
    day.after_undo()
    assert set(day.states(made).values()) == {State.RECONCILED}


@pytest.mark.req("003-67")
def test_when_the_ehr_refuses_the_problem_the_note_that_reports_it_is_held_unsent(day, proposal):
    reyes = day.desk("reyes")
    reyes.approve(proposal)
    day.practice.fault(
        "outcome", vendor="generic", method="POST", path="^Condition", status=422, code="invalid"
    )
    day.after_undo()
    day.after_undo()
    assert day.states(proposal) == {"c1": State.REJECTED, "c2": State.HELD}
    assert day.intent(proposal, "c1").rejected_by == "EHR"
    assert day.reason(proposal, "c2") == "reported-change-failed"
    [written] = day.writes()
    assert "Condition" in written["path"]
    assert day.held() == []
    page = reyes.delivery(proposal).text
    assert "1 of 2 refused by the EHR" in page
    assert "A change that this one reports or needs was not written." in page
    assert "Refused by the EHR" in day.desk("singh").open("/worklist/").text
