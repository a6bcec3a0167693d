"""The draft lane prepares and no more: a draft rests until a person takes it up and approves it."""

import pytest

from intents.lifecycle import State


@pytest.fixture
def resting(day):
    proposal = day.propose(day.clinic.note(), lane="draft")
    assert day.state(proposal) == State.VALIDATED
    return proposal


@pytest.mark.req("000-24", "000-27", "003-37", "003-64")
def test_a_prepared_draft_is_promoted_checked_again_approved_and_written(day, resting):
    for _ in range(2):
        day.after_undo()
    assert day.state(resting) == State.VALIDATED
    assert day.writes() == []

    reyes = day.desk("reyes")
    assert "Prepared drafts 1" in reyes.open("/queue/").text
    screen = reyes.review(resting)
    assert not screen.offers("Approve for")
    screen = reyes.press(screen, "Put up for approval")
    assert screen.offers("Approve for")
    intent = day.intent(resting)
    assert intent.state == State.PENDING_APPROVAL
    assert intent.current_screening.number == 2, "the old reading proves nothing"
    reyes.approve(resting)
    day.after_undo()
    assert day.state(resting) == State.RECONCILED
    assert len(day.writes()) == 1
    story = day.told(resting)
    assert story.index("intent:review:promoted") < story.index("intent:review:approved")
    day.check_log()


def test_a_prepared_draft_whose_chart_moved_is_not_put_up(day, resting):
    day.practice.lever("die", patient="P1")
    reyes = day.desk("reyes")
    screen = reyes.press(reyes.review(resting), "Put up for approval")
    assert "Nothing was written." in screen.text
    assert "The patient is recorded as deceased." in screen.part("c-A")
    assert day.state(resting) == State.VALIDATED


def test_a_prepared_draft_is_not_put_up_while_the_ehr_is_silent(day, resting):
    reyes = day.desk("reyes")
    screen = reyes.review(resting)
    day.practice.fault("drop-before-commit", vendor="generic", times=None)
    screen = reyes.press(screen, "Put up for approval")
    assert "The EHR is not answering" in screen.text
    assert day.state(resting) == State.VALIDATED
    day.practice.clear_faults()
    reyes.press(reyes.review(resting), "Put up for approval")
    assert day.state(resting) == State.PENDING_APPROVAL
