"""Golden workflow 5: a problem for Epic waits in its holding tank until somebody there accepts it."""

import pytest

from intents.lifecycle import State
from intents.models import Discrepancy

WAITING = "Waiting in Epic Northgate (practice) for someone to accept it."


@pytest.fixture
def staged(day):
    """Approved, sent and acknowledged by Epic."""
    proposal = day.propose(day.clinic.problem(vendor="epic"), vendor="epic")
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    screen = day.desk("reyes").review(proposal)
    assert WAITING in screen.part("c-A")
    assert "Puts 1 waiting problem into the EHR’s waiting list" in screen.text
    day.desk("reyes").approve(proposal)
    day.after_undo()
    return proposal


@pytest.mark.req("001-53", "002-84", "004-20")
def test_a_staged_problem_waits_through_every_daily_look_until_the_lever_accepts_it(day, staged):
    patient = day.clinic.patient("P1", "epic")["patient"]
    assert len(day.practice.staged(vendor="epic", type="Condition", patient=patient)) == 1
    looked = day.told(staged).count("intent:write:waiting")
    for number in range(1, 4):
        day.forward(hours=25)
        day.background()
        assert day.told(staged).count("intent:write:waiting") == looked + number, "looked daily"
        intent = day.intent(staged)
        assert (intent.state, intent.finality) == (State.ACCEPTED, "staged")
        assert intent.last_looked_at is not None
        assert day.now - intent.last_looked_at < day.now - intent.state_changed_at
    assert len(day.writes("epic")) == 1, "absence is normal: nothing is sent a second time"
    assert day.held("Condition", vendor="epic") == []
    assert not Discrepancy.objects.exists()
    page = day.desk("reyes").delivery(staged).text
    assert "Waiting in the EHR for someone to accept it" in page
    assert WAITING in page
    assert "Not in the chart yet." in page
    assert "Written and read back" not in page
    assert "cannot be read while it waits there" in page

    day.practice.lever("accept_staged", vendor="epic", patient="P1", type="Condition")
    day.forward(hours=25)
    day.background()
    assert day.state(staged) == State.RECONCILED
    [entry] = [
        each
        for each in day.practice.resources(vendor="epic", type="Condition", patient=patient)
        if "Ref " in str(each["content"].get("note"))
    ]
    assert day.intent(staged).resource_ref == f"Condition/{entry['content']['id']}"
    assert len(day.writes("epic")) == 1
    assert "Written and read back" in day.desk("reyes").delivery(staged).text
    day.check_usual(staged, "intent:write:waiting", "intent:write:reconciled")
    day.check_log()


def test_a_problem_that_nobody_takes_up_goes_to_the_work_list_and_is_not_sent_again(day, staged):
    day.forward(days=15)
    day.background()
    assert day.state(staged) == State.ACCEPTED
    [difference] = Discrepancy.objects.all()
    assert difference.kind == "missing"
    assert "Not taken up" in day.desk("singh").open("/worklist/").text
    assert "Not taken up" in day.desk("reyes").delivery(staged).text
    assert len(day.writes("epic")) == 1


def test_an_accepted_problem_that_is_found_after_the_patience_closes_the_difference(day, staged):
    day.forward(days=15)
    day.background()
    day.practice.lever("accept_staged", vendor="epic", patient="P1", type="Condition")
    day.forward(hours=25)
    day.background()
    assert day.state(staged) == State.RECONCILED
    assert not Discrepancy.objects.filter(resolved_at__isnull=True).exists()


@pytest.mark.req("000-41", "004-50")
def test_a_change_that_epic_cannot_take_says_so_and_is_not_lost(day):
    target = day.clinic.patient("P1", "epic")["entries"]["ckd"]
    proposal = day.propose(
        day.clinic.problem(
            vendor="epic",
            interaction="update",
            target=target,
            content={"verification": "confirmed"},
        ),
        vendor="epic",
    )
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "VALIDATION")
    screen = day.desk("reyes").review(proposal)
    assert "Epic offers no way to change a problem from outside." in screen.text
    assert day.writes("epic") == []


@pytest.mark.req("000-42", "001-53")
def test_of_one_draft_the_new_problem_waits_and_the_finer_stage_is_typed_by_hand(day):
    finer = {
        "system": "http://hl7.org/fhir/sid/icd-10-cm",
        "code": "N18.31",
        "display": "Chronic kidney disease, stage 3a",
    }
    stage = day.clinic.problem(
        ref="c2",
        interaction="update",
        target=day.clinic.patient("P1", "epic")["entries"]["ckd"],
        content={"code": [finer]},
        evidence=[],
    )
    proposal = day.propose(day.clinic.problem(vendor="epic"), stage, vendor="epic")
    assert day.states(proposal) == {"c1": State.PENDING_APPROVAL, "c2": State.REJECTED}
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    cards = [screen.part("c-A"), screen.part("c-B")]
    [waits] = [card for card in cards if WAITING in card]
    [typed] = [card for card in cards if "Cannot be written to Epic Northgate (practice)" in card]
    assert "Chronic kidney disease, stage 3a" in typed
    assert "nothing is sent from here" in typed
    assert "Dizziness" in waits
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.ACCEPTED
    assert [entry["method"] for entry in day.writes("epic")] == ["POST"]

    # The card stays in reach when the rest is sent, and so does what became of it.
    part = reyes.delivery(proposal).part("c-c2")
    assert "Cannot be written to Epic Northgate (practice)." in part
    assert "N18.31" in part
    screen = reyes.press(reyes.delivery(proposal), "I typed it into Epic")
    assert screen.url == f"/intents/{proposal.pk}/delivery/"
    assert "Not seen in the chart yet" in screen.part("c-c2")
    assert not screen.offers("I typed it into")
    assert "I typed it into" not in day.desk("quill").delivery(proposal).text
