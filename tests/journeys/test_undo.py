"""An approval taken back in time goes back to the queue; a moment later it is too late."""

import pytest

from intents.lifecycle import State


@pytest.fixture
def approved(day):
    proposal = day.propose(day.clinic.problem())
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    return proposal


@pytest.mark.req("002-83")
def test_undone_in_time_it_is_back_in_the_queue_with_its_checks_cleared(day, approved):
    reyes = day.desk("reyes")
    day.forward(seconds=5)
    screen = reyes.press(reyes.delivery(approved), "Undo, send nothing")
    assert "Undone. Nothing was sent; the draft is back in the queue." in screen.text
    assert screen.url == f"/intents/{approved.pk}/"
    assert day.state(approved) == State.PENDING_APPROVAL
    assert not any(tick.on for tick in screen.ticks()), "every check is to be made again"
    assert "1 draft for 1 patient" in reyes.open("/queue/").text
    day.after_undo()
    day.after_undo()
    assert day.state(approved) == State.PENDING_APPROVAL, "not cancelled, and not sent"
    assert day.writes() == []

    # Approved once more, it is sent once, under the second approval alone.
    reyes.approve(approved)
    day.after_undo()
    assert day.state(approved) == State.RECONCILED
    assert len(day.writes()) == 1
    story = day.told(approved)
    assert story.count("intent:review:approved") == 2
    assert story.index("intent:review:undone") < story.index("intent:write:submitted")
    day.check_log()


def test_too_late_is_refused_and_says_so(day, approved):
    reyes = day.desk("reyes")
    screen = reyes.delivery(approved)
    day.forward(seconds=11)
    refused = reyes.press(screen, "Undo, send nothing")
    assert refused.status == 409
    assert "It is too late to undo" in refused.text
    assert day.state(approved) == State.APPROVED
    day.background()
    assert day.state(approved) == State.RECONCILED
    assert not reyes.delivery(approved).offers("Undo")


def test_somebody_who_does_not_decide_cannot_undo(day, approved):
    singh = day.desk("singh")
    assert not singh.delivery(approved).offers("Undo")
    assert day.state(approved) == State.APPROVED
