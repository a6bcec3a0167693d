"""A draft is turned down with a reason: nothing is written, and the agent learns why."""

import pytest

from intents.lifecycle import State
from intents.models import Proposal


@pytest.mark.req("000-25", "001-09", "004-24")
def test_a_rejected_draft_is_never_written_and_its_reason_reaches_the_agent(day):
    scribe = day.program()
    answer = scribe.propose(day.clinic.body([day.clinic.note()]))
    proposal = Proposal.objects.get(pk=answer.json()["id"])
    day.background()

    reyes = day.desk("reyes")
    screen = reyes.open(f"/intents/{proposal.pk}/reject/")
    screen = reyes.press(
        screen, "Reject the draft", reason="not-in-source", note="She never said that to me."
    )
    assert "Rejected. Nothing was written." in screen.text
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "REVIEWER")
    for _ in range(3):
        day.after_undo()
    assert day.writes() == []
    assert "Nothing is waiting for you" in reyes.open("/queue/").text

    # The agent reads the code of the reason, and not the words that the reviewer kept for the record.
    status = scribe.get(f"/api/v1/proposals/{proposal.pk}")
    learned = scribe.get("/api/v1/feedback")
    assert "not-in-source" in learned.content.decode()
    assert status.json()["changes"][0]["state"] == "REJECTED"
    for reply in (status, learned):
        assert "never said that" not in reply.content.decode()

    story = day.story(proposal)
    [rejected] = [event for event in story if event.tag == "intent:review:rejected"]
    assert (rejected.actor_name, rejected.authority) == ("Dr A. Reyes", "role REVIEWER")
    [decision] = intent.current_screening.decisions.all()
    assert decision.reason_code == "not-in-source"
    assert decision.phi("note") == "She never said that to me."
    day.check_log()


def test_a_rejection_needs_a_reason(day):
    proposal = day.propose(day.clinic.note())
    reyes = day.desk("reyes")
    screen = reyes.open(f"/intents/{proposal.pk}/reject/")
    form = screen.button("Reject the draft").form
    sent = {c.name: c.value for c in form.controls if c.kind == "hidden"}
    response = reyes.client.post(form.action, sent)
    assert response.status_code == 422
    assert day.state(proposal) == State.PENDING_APPROVAL
