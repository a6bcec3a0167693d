"""A draft ends without a decision: replaced by a newer one, taken back by its agent, or out of time."""

import pytest

from intents.lifecycle import State
from intents.models import Proposal

FIRST = "Reports dizziness on getting up quickly. Denies cough."
SECOND = "Reports dizziness on getting up quickly, once or twice a week. Denies cough."
QUOTES = {
    "Reports dizziness on getting up quickly, once or twice a week.": "I get dizzy if I get up too quick, "
    "maybe once or twice a week",
    "Denies cough.": "Any cough?\nPatient: No, no cough.",
}


def receive(scribe, body):
    answer = scribe.propose(body)
    assert answer.status_code == 201, answer.content
    return Proposal.objects.get(pk=answer.json()["id"])


@pytest.mark.req("002-05")
def test_a_newer_draft_replaces_the_one_it_names_and_only_the_newer_is_written(day):
    scribe = day.program()
    old = receive(scribe, day.clinic.body([day.clinic.note(FIRST)]))
    day.background()
    new = receive(
        scribe, day.clinic.body([day.clinic.note(SECOND, quotes=QUOTES)], supersedes=str(old.pk))
    )
    day.background()
    assert (day.state(old), day.state(new)) == (State.SUPERSEDED, State.PENDING_APPROVAL)
    reyes = day.desk("reyes")
    assert "1 draft for 1 patient" in reyes.open("/queue/").text
    assert not reyes.review(old).offers("Approve for")
    reyes.approve(new)
    day.after_undo()
    assert day.state(new) == State.RECONCILED
    assert len(day.held()) == 1
    assert "intent:lifecycle:superseded" in day.told(old)
    day.check_log()


def test_a_draft_that_somebody_is_reading_is_not_replaced_and_the_page_says_that_a_newer_one_exists(
    day,
):
    scribe = day.program()
    old = receive(scribe, day.clinic.body([day.clinic.note(FIRST)]))
    day.background()
    reyes = day.desk("reyes")
    reyes.review(old)
    new = receive(
        scribe, day.clinic.body([day.clinic.note(SECOND, quotes=QUOTES)], supersedes=str(old.pk))
    )
    day.background()
    assert (day.state(old), day.state(new)) == (State.PENDING_APPROVAL, State.PENDING_APPROVAL)
    assert "A newer draft of this exists." in reyes.review(old).text
    assert "A newer draft of this exists." not in reyes.review(new).text


def test_two_drafts_for_one_entry_are_told_apart_and_the_older_gives_way_unread(day):
    def certainty(value):
        return day.clinic.problem(
            interaction="update",
            target=day.clinic.patient("P1")["entries"]["ckd"],
            content={"verification": value},
        )

    first = day.propose(certainty("provisional"))
    second = day.propose(certainty("differential"))
    assert (day.state(first), day.state(second)) == (State.SUPERSEDED, State.PENDING_APPROVAL)
    reyes = day.desk("reyes")
    reyes.review(second)
    third = day.propose(certainty("unconfirmed"))
    assert (day.state(second), day.state(third)) == (State.PENDING_APPROVAL, State.PENDING_APPROVAL)
    assert "A newer draft of this exists." in reyes.review(second).text
    # Both cannot be on their way at once: the second approval has to wait.
    reyes.approve(second)
    busy = reyes.approve(third)
    assert "Another change to this" in busy.text
    assert day.state(third) != State.APPROVED
    day.after_undo()
    assert day.state(second) == State.RECONCILED
    assert len(day.writes()) == 1


def test_a_draft_that_a_person_has_edited_is_not_replaced(day):
    scribe = day.program()
    old = receive(scribe, day.clinic.body([day.clinic.note(FIRST)]))
    day.background()
    reyes = day.desk("reyes")
    form = reyes.open(f"/intents/{old.pk}/edit/")
    [field] = [c for c in form.button("Save and check again").form.controls if FIRST in c.value]
    reyes.press(form, "Save and check again", **{field.name: SECOND})
    day.forward(minutes=20)
    receive(scribe, day.clinic.body([day.clinic.note(FIRST)], supersedes=str(old.pk)))
    day.background()
    assert day.state(old) == State.PENDING_APPROVAL
    assert day.intent(old).current_version.phi_json("content")["sections"][0]["text"] == SECOND


def test_an_agent_takes_its_draft_back_until_somebody_has_approved_it(day):
    scribe = day.program()
    taken_back = receive(scribe, day.clinic.body([day.clinic.note(FIRST)]))
    approved = receive(scribe, day.clinic.body([day.clinic.problem()]))
    day.background()
    day.desk("reyes").approve(approved)
    answer = scribe.post(f"/api/v1/proposals/{taken_back.pk}/withdraw", {}, key="")
    assert answer.status_code == 200
    assert day.state(taken_back) == State.CANCELLED
    refused = scribe.post(f"/api/v1/proposals/{approved.pk}/withdraw", {}, key="")
    assert refused.status_code == 409
    day.after_undo()
    assert day.state(approved) == State.RECONCILED
    assert day.held() == []
    assert not day.desk("reyes").review(taken_back).offers("Approve for")


def test_a_draft_that_nobody_decides_in_time_expires_and_is_written_nowhere(day):
    proposal = day.propose(day.clinic.note(FIRST))
    reyes = day.desk("reyes")
    reyes.review(proposal)
    day.forward(hours=73)
    day.background()
    assert day.state(proposal) == State.EXPIRED
    assert not reyes.review(proposal).offers("Approve for")
    assert "intent:lifecycle:expired" in day.told(proposal)
    assert day.writes() == []
