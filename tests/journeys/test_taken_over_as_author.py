"""A note carries its author's name: another clinician takes it over first, and signs for it as theirs."""

import pytest

from intents.lifecycle import State


@pytest.mark.req("001-83", "003-06", "003-48")
def test_a_clinician_takes_a_note_over_and_files_it_under_their_own_name(day):
    proposal = day.propose(day.clinic.note())
    lam = day.desk("lam")
    screen = lam.review(proposal)
    assert "Author: Dr A. Reyes" in screen.part("c-A")
    assert not screen.offers("Approve for")

    screen = lam.press(screen, "Take over as author")
    assert "You are the author now." in screen.text
    assert "Author: Dr J. Lam" in screen.part("c-A")
    assert "version 2, by Dr J. Lam" in screen.part("c-A")
    assert "A reviewer’s own words" not in screen.text, "the words are still the agent's"

    # The one who was the author may not approve it now, and the new one may.
    assert not day.desk("reyes").review(proposal).offers("Approve for")
    lam.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    [document] = day.held()
    second = day.practice.directory()["staff"]["prescriber_two"]["practitioner"]
    assert document["content"]["author"][0]["reference"] == f"Practitioner/{second}"
    story = day.story(proposal)
    [adopted] = [event for event in story if event.tag == "intent:review:adopted"]
    assert adopted.actor_name == "Dr J. Lam"
    day.check_usual(proposal, "intent:write:reconciled")
    day.check_log()


def test_a_form_sent_past_the_page_does_not_get_past_the_author(day):
    proposal = day.propose(day.clinic.note())
    # What the author's own page would send, sent by somebody else.
    form = day.desk("reyes").review(proposal).decision
    data = {control.name: control.value for control in form.controls}
    day.forward(minutes=11)
    lam = day.desk("lam")
    own = lam.review(proposal)
    data["csrfmiddlewaretoken"] = own.decision.named("csrfmiddlewaretoken")[0].value
    day.forward(seconds=40)
    response = lam.client.post(f"/intents/{proposal.pk}/", data)
    assert response.status_code == 409
    assert "carries another clinician" in response.content.decode()
    assert day.state(proposal) == State.PENDING_APPROVAL


def test_a_colleague_who_only_looks_does_not_keep_the_author_waiting(day):
    proposal = day.propose(day.clinic.note())
    assert not day.desk("brandt").review(proposal).offers("Approve for")
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
