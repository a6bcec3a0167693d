"""Golden workflow 10: after the approval a colleague changes only the comment of the same entry.

The request replaces the whole entry, so sending it would undo the colleague. It is stopped, made again
from the chart as it is now, approved again, and the comment is kept.
"""

import pytest

from audit import timeline
from intents.lifecycle import State

COMMENT = "Seen by nephrology; next visit in spring."


@pytest.fixture
def update(day):
    """A change of the certainty of P6's diabetes, approved."""
    target = day.clinic.patient("P6")["entries"]["diabetes"]
    proposal = day.propose(
        day.clinic.problem(
            interaction="update", target=target, content={"verification": "provisional"}
        ),
        patient="P6",
    )
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    screen = day.desk("reyes").review(proposal)
    assert "Certainty: provisional, instead of confirmed, is right" in screen.text
    assert "Visit" not in screen.part("c-A").partition("Also")[0], (
        "nobody asked to change the visit"
    )
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    return proposal


@pytest.mark.req("002-40", "003-24", "004-27", "004-29", "004-45")
def test_a_comment_added_after_the_approval_is_kept(day, update):
    target = day.intent(update).target_ref
    before = day.entry(target)
    edited = day.practice.lever(
        "edit_as_colleague", vendor="generic", reference=target, comment=COMMENT
    )
    day.after_undo()
    assert (day.state(update), day.reason(update)) == (State.HELD, "target-changed")
    assert day.writes() == []

    # The page names the field, and there is no way to write anyway.
    lam = day.desk("lam")
    screen = lam.review(update)
    assert screen.url == f"/intents/{update.pk}/conflict/"
    assert "The chart changed since this was drafted" in screen.text
    assert "Nothing has been written." in screen.text
    assert f"Comment none changed to {COMMENT} " in screen.text
    assert "The draft would have undone this." in screen.text
    assert not screen.offers("Approve")
    assert "no “write anyway”" in screen.text

    # Made again from the chart as it is now, approved again, sent once.
    screen = lam.press(screen, "Check again")
    assert screen.url == f"/intents/{update.pk}/"
    again = day.intent(update)
    assert again.state == State.PENDING_APPROVAL
    assert again.current_screening.number == 2
    lam.approve(update)
    day.after_undo()
    assert day.state(update) == State.RECONCILED
    [written] = day.writes()
    assert written["method"] == "PUT"
    headers = {name.lower(): value for name, value in written["headers"].items()}
    assert headers["if-match"] == f'W/"{edited["version"]}"'

    now = day.entry(target)["content"]
    assert [note["text"] for note in now["note"]] == [COMMENT]
    assert now["verificationStatus"]["coding"][0]["code"] == "provisional"
    untouched = {"code", "clinicalStatus", "category", "subject", "onsetDateTime", "encounter"}
    assert {k: now.get(k) for k in untouched} == {k: before["content"].get(k) for k in untouched}


@pytest.mark.req("000-14", "001-30")
def test_the_timeline_holds_the_hash_of_the_entry_before_and_after(day, update):
    target = day.intent(update).target_ref
    day.practice.lever("edit_as_colleague", vendor="generic", reference=target, comment=COMMENT)
    day.after_undo()
    lam = day.desk("lam")
    lam.press(lam.review(update), "Check again")
    lam.approve(update)
    day.after_undo()

    story = day.story(update)
    told = [event.tag for event in story]
    assert told.count("intent:baseline:read") == 2
    assert told.count("intent:review:approved") == 2
    conflict = told.index("intent:write:conflict")
    released = told.index("intent:review:released")
    assert told.index("intent:review:approved") < conflict < released
    reads = [
        timeline.details(event.id, tenant_id=str(day.clinic.tenant.pk))
        for event in story
        if event.tag == "intent:baseline:read"
    ]
    assert reads[0]["whole"] != reads[1]["whole"]
    assert reads[0]["touched"] == reads[1]["touched"], (
        "the colleague did not touch what was drafted"
    )
    approvers = [e.actor_name for e in story if e.tag == "intent:review:approved"]
    assert approvers == ["Dr A. Reyes", "Dr J. Lam"]
    day.check_usual(update, "intent:write:reconciled")
    day.check_log()
