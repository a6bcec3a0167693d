"""Somebody else's entry marked as never true: two people, the second without knowing the first's answer."""

import pytest

from intents.lifecycle import State


@pytest.fixture
def proposal(day):
    """P1's kidney disease, which a clinician entered, marked as entered in error."""
    change = day.clinic.problem(
        interaction="entered-in-error",
        target=day.clinic.patient("P1")["entries"]["ckd"],
        content={},
        evidence=[],
    )
    made = day.propose(change)
    intent = day.intent(made)
    assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, "DUAL_APPROVAL"), intent.reason
    return made


@pytest.mark.req("000-39", "002-63")
def test_two_different_people_approve_and_the_second_does_not_see_the_first(day, proposal):
    reyes, lam = day.desk("reyes"), day.desk("lam")
    screen = reyes.review(proposal)
    assert "Two people" in screen.text
    assert "Somebody else's entry would be marked as never true: two people approve" in screen.text
    screen = reyes.approve(proposal)
    assert "Your approval is recorded. A second person has to approve" in screen.text
    assert day.state(proposal) == State.PENDING_APPROVAL, "one of two is not enough"
    day.after_undo()
    assert day.writes() == []

    # The second finds it under "Second check", and nothing on the page tells of the first answer.
    assert "Second check 1" in lam.open("/queue/").text
    screen = lam.review(proposal)
    assert "Reyes" not in screen.part("c-A")
    assert "approval is recorded" not in screen.text
    lam.approve(proposal)
    assert day.state(proposal) == State.APPROVED
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.writes()) == 1
    entry = day.entry(day.intent(proposal).target_ref)["content"]
    assert entry["verificationStatus"]["coding"][0]["code"] == "entered-in-error"

    first, second = [e for e in day.story(proposal) if e.tag.startswith("intent:review:approved")]
    assert [first.actor_name, second.actor_name] == ["Dr A. Reyes", "Dr J. Lam"]
    assert "intent:review:seconded" in day.told(proposal)
    assert "Dr A. Reyes" in lam.delivery(proposal).text
    day.check_log()


@pytest.mark.req("003-26")
def test_the_same_person_twice_is_refused_and_keeps_nobody_else_from_deciding(day, proposal):
    reyes = day.desk("reyes")
    reyes.approve(proposal)
    screen = reyes.review(proposal)
    assert screen.button("Approve for").blocked == (
        "You have decided about this already. A second person has to."
    )
    reyes.check(screen)
    day.forward(seconds=40)
    refused = reyes.press(screen, "Approve for")
    assert refused.status == 409
    assert "You have decided about this already." in refused.text
    assert day.intent(proposal).current_screening.decisions.count() == 1
    day.after_undo()
    assert day.writes() == []
    # That the first person looked again does not stand in the second one's way.
    day.desk("lam").approve(proposal)
    assert day.state(proposal) == State.APPROVED


def test_when_the_two_differ_a_clinical_lead_settles_it(day, proposal):
    day.desk("reyes").approve(proposal)
    brandt = day.desk("brandt")
    screen = brandt.open(f"/intents/{proposal.pk}/reject/")
    brandt.press(screen, "Reject the draft", reason="clinically-wrong")
    assert day.state(proposal) == State.PENDING_APPROVAL
    assert "intent:review:differed" in day.told(proposal)
    vasik = day.desk("vasik").approve(proposal)
    assert "clinical lead" in vasik.text
    assert day.state(proposal) == State.PENDING_APPROVAL
    day.after_undo()
    assert day.writes() == []
    day.desk("lam").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED


def test_two_people_without_a_prescriber_among_them_are_not_enough(day, proposal):
    day.desk("brandt").approve(proposal)
    refused = day.desk("vasik").approve(proposal)
    assert "These two roles together may not approve this change." in refused.text
    assert day.state(proposal) == State.PENDING_APPROVAL
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED


@pytest.mark.req("002-30")
def test_an_edit_between_the_two_voids_the_first_answer(day, proposal):
    day.desk("reyes").approve(proposal)
    lam = day.desk("lam")
    form = lam.open(f"/intents/{proposal.pk}/edit/")
    assert "An approval already given is void." in form.text
    [field] = [c for c in form.button("Save and check again").form.controls if c.kind == "textarea"]
    lam.press(form, "Save and check again", **{field.name: "Entered for the wrong patient."})
    intent = day.intent(proposal)
    assert intent.current_version.number == 2
    assert intent.state == State.PENDING_APPROVAL
    lam.approve(proposal)
    assert day.state(proposal) == State.PENDING_APPROVAL, "the first answer was about other words"
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    entry = day.entry(intent.target_ref)["content"]
    assert "Entered for the wrong patient." in str(entry["note"])


def test_whoever_made_the_version_gives_no_second_approval(day, proposal):
    """Author and second approver are never one person, in whichever order they come."""
    lam = day.desk("lam")
    form = lam.open(f"/intents/{proposal.pk}/edit/")
    [field] = [c for c in form.button("Save and check again").form.controls if c.kind == "textarea"]
    lam.press(form, "Save and check again", **{field.name: "Entered for the wrong patient."})
    # Dr Lam goes away, and after a quarter of an hour the draft is free for others.
    day.forward(minutes=16)
    day.desk("reyes").approve(proposal)
    refused = lam.approve(proposal)
    assert "You made this change. Another person has to give the second approval." in refused.text
    assert day.state(proposal) == State.PENDING_APPROVAL
