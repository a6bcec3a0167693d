"""Two changes of one entry: one is on its way at a time, and the other is compared with what it left."""

import pytest

from intents.lifecycle import State


def draft(day, verification):
    target = day.clinic.patient("P1")["entries"]["ckd"]
    return day.propose(
        day.clinic.problem(
            interaction="update", target=target, content={"verification": verification}
        )
    )


@pytest.mark.req("003-23", "004-28")
@pytest.mark.fault("same-target")
def test_a_second_change_waits_for_the_first_and_meets_what_it_left(day):
    reyes = day.desk("reyes")
    first = draft(day, "provisional")
    reyes.review(first)  # somebody reads it, so the second does not replace it
    second = draft(day, "differential")
    assert (day.state(first), day.state(second)) == (State.PENDING_APPROVAL,) * 2
    reyes.approve(first)
    assert day.state(first) == State.APPROVED
    refused = reyes.approve(second)
    assert "Another change to this entry is being written." in refused.text
    assert day.state(second) == State.PENDING_APPROVAL

    day.after_undo()
    day.after_undo()
    assert day.state(first) == State.RECONCILED
    screen = reyes.review(second)
    assert screen.url == f"/intents/{second.pk}/conflict/"
    assert "The entry was changed in the EHR since this was drafted." in screen.text
    day.after_undo()
    assert len(day.writes()) == 1
    assert "intent:review:approved" not in day.told(second)
    day.check_log()
