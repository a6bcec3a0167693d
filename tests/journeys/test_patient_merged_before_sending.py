"""Golden workflow 12: the record is merged into another between approval and sending."""

import pytest

from intents.lifecycle import State


def entries(day):
    """What both records hold, by reference and version."""
    return {
        patient: sorted(
            (each["content"]["resourceType"], each["content"]["id"], each["version"])
            for each in day.practice.resources(vendor="generic", patient=patient)
        )
        for patient in ("P13", "P14")
    }


@pytest.mark.req("002-77", "003-21", "003-65")
def test_a_record_merged_after_the_approval_is_written_to_neither(day):
    proposal = day.propose(day.clinic.note(), patient="P14")
    day.desk("lam").approve(proposal)
    day.practice.lever("merge", vendor="generic", loser="P14", survivor="P13")
    merged = entries(day)
    day.after_undo()

    assert (day.state(proposal), day.reason(proposal)) == (State.HELD, "patient-moved")
    assert day.writes() == []
    assert entries(day) == merged
    screen = day.desk("lam").review(proposal)
    assert "The patient's record is now part of another record." in screen.text
    assert "Nothing has been written." in screen.text
    # The portal had read the record again just before it would have sent.
    story = day.told(proposal)
    assert story.index("intent:write:submitted") < story.index("intent:write:conflict")
    assert "intent:write:accepted" not in story
    day.check_log()


def test_checking_again_does_not_move_the_draft_to_the_surviving_record(day):
    proposal = day.propose(day.clinic.note(), patient="P14")
    day.desk("lam").approve(proposal)
    day.practice.lever("merge", vendor="generic", loser="P14", survivor="P13")
    day.after_undo()
    lam = day.desk("lam")
    screen = lam.press(lam.review(proposal), "Check again")
    assert day.state(proposal) == State.HELD
    assert "This patient's record is now part of another record." in screen.text
    assert day.writes() == []
