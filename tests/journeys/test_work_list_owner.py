"""Whatever needs a person has an owner, a cause, an age and a next step; whoever takes it over says so."""

import pytest

from intents.lifecycle import State


@pytest.mark.req("003-67", "003-110")
def test_an_unknown_outcome_is_taken_over_by_one_person_and_everybody_sees_it(day):
    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)
    day.practice.fault(
        "drop-after-commit", vendor="generic", method="POST", path="^DocumentReference"
    )
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.UNCERTAIN
    singh = day.desk("singh")
    page = singh.open("/worklist/")
    assert "Dr A. Reyes" in page.text
    assert "Look in the EHR, then settle: it is there, or it is not." in page.text
    seen_before = singh.open("/worklist/")
    page = singh.press(page, "Take it over")
    assert "It is yours. Settle it on its delivery page." in page.text
    assert "R. Singh" in singh.open("/worklist/?owner=mine").text
    assert not singh.open("/worklist/").offers("Take it over")
    [taken] = [each for each in day.story(proposal) if each.tag == "intent:write:taken"]
    assert (taken.actor_name, taken.authority) == ("R. Singh", "role OPERATOR")
    # The page of before says that the approver has it; pressing there takes nothing from anybody.
    again = singh.press(seen_before, "Take it over")
    assert again.status == 409
    assert "R. Singh has it by now." in again.text

    # Settled by the look itself, it leaves the list.
    for _ in range(2):
        day.forward(seconds=30)
        day.background()
    assert day.state(proposal) == State.RECONCILED
    gone = singh.open("/worklist/")
    assert "Nothing needs a person" in gone.text
    assert len(day.writes()) == 1
    day.check_log()


def test_nobody_takes_what_has_settled_and_reviewers_pages_offer_it_to_none_but_operators(day):
    proposal = day.propose(day.clinic.note())
    reyes = day.desk("reyes")
    reyes.approve(proposal)
    day.after_undo()
    path = f"/worklist/changes/{day.intent(proposal).pk}/take/"
    singh = day.desk("singh")
    for desk, status in ((singh, 409), (reyes, 403)):
        token = desk.client.cookies["csrftoken"].value
        answer = desk.client.post(path, {"csrfmiddlewaretoken": token, "owner": ""})
        assert answer.status_code == status
    assert day.intent(proposal).owner == ""
