"""Between approval and sending somebody says no, or time runs out: nothing is sent, and the page says why."""

import pytest
from django.db import transaction

from intents.governance.models import ConsentDirective, KillSwitch
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION


@pytest.fixture
def approved(day):
    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    return proposal


@pytest.mark.req("001-117", "002-25", "003-97", "003-98", "004-75", "004-89")
@pytest.mark.fault("switched-off")
def test_a_kill_switch_stops_sending_while_reading_and_review_go_on_and_two_people_release_it(
    day, approved
):
    singh = day.desk("singh")
    screen = singh.open("/connections/")
    screen = singh.press(
        screen, "Stop writes to Northgate R4 (practice)", reason="Wrong patient seen"
    )
    assert "Writing to Northgate R4 (practice) is stopped." in screen.text
    day.after_undo()
    day.after_undo()
    assert day.state(approved) == State.APPROVED
    assert day.writes() == []

    # Reading, drafting and review go on, and people are told what is stopped; so does the other EHR.
    reyes = day.desk("reyes")
    assert "Wrong patient seen" in reyes.open("/queue/").text
    meanwhile = day.propose(day.clinic.problem())
    assert day.state(meanwhile) == State.PENDING_APPROVAL
    reyes.approve(meanwhile)
    assert day.state(meanwhile) == State.APPROVED
    elsewhere = day.propose(day.clinic.problem(vendor="epic"), vendor="epic")
    reyes.approve(elsewhere)
    day.after_undo()
    assert day.state(elsewhere) == State.ACCEPTED
    assert day.writes() == []

    # One person asks for the release and cannot agree to it; a second one does, and everything goes out once.
    screen = singh.press(singh.open("/connections/"), "Ask to release")
    assert "A second person has to agree." in screen.text
    assert not screen.offers("Release ")
    ansah = day.desk("ansah")
    ansah.press(ansah.open("/connections/"), "Release ")
    for _ in range(3):
        day.after_undo()
    assert (day.state(approved), day.state(meanwhile)) == (State.RECONCILED, State.RECONCILED)
    assert len(day.writes()) == 2
    day.check_log()


@pytest.mark.req("000-97")
def test_consent_withdrawn_after_the_approval_holds_the_change(day, approved):
    with transaction.atomic():
        ConsentDirective.enter(
            connection=day.clinic.connection(),
            patient_ref=day.clinic.patient("P1")["patient"],
            decision="DENY",
            source="told the front desk",
            active_from=day.now,
            actor=INSTALLATION,
            at=day.now,
        )
    day.after_undo()
    assert (day.state(approved), day.reason(approved)) == (State.HELD, "consent-withdrawn")
    assert day.writes() == []
    screen = day.desk("reyes").review(approved)
    assert screen.url == f"/intents/{approved.pk}/conflict/"
    assert "The patient no longer agrees to this use of the record." in screen.text
    # Checking again does not get round it.
    screen = day.desk("reyes").press(screen, "Check again")
    intent = day.intent(approved)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "POLICY")
    assert "The patient has refused this use of their record." in screen.text
    assert not screen.offers("Approve for")
    assert "until you approve" not in screen.text
    day.after_undo()
    assert day.writes() == []
    [event] = [e for e in day.story(approved) if e.tag == "intent:write:held"]
    assert event.actor_kind == "POLICY"
    day.check_log()


@pytest.mark.req("001-71", "001-116")
def test_an_approver_deactivated_after_the_approval_sends_nothing_any_more(day, approved):
    user = day.clinic.person("reyes").user
    with transaction.atomic():
        user.deactivate(actor=INSTALLATION, at=day.now)
    day.after_undo()
    assert (day.state(approved), day.reason(approved)) == (State.HELD, "approver-suspended")
    assert day.writes() == []
    screen = day.desk("lam").review(approved)
    assert "The person who approved it may no longer decide. Nothing was sent." in screen.text
    # Another clinician takes it up: checked again, taken over, approved, written.
    lam = day.desk("lam")
    lam.press(screen, "Check again")
    lam.press(lam.review(approved), "Take over as author")
    lam.approve(approved)
    day.after_undo()
    assert day.state(approved) == State.RECONCILED
    assert len(day.writes()) == 1


def test_an_approval_that_ran_out_is_never_sent_and_says_so(day, approved):
    with transaction.atomic():
        KillSwitch.engage(target="DEPLOYMENT", reason="drill", actor=INSTALLATION, at=day.now)
    day.forward(hours=25)
    with transaction.atomic():
        switch = KillSwitch.objects.get()
        switch.ask_release(user=day.clinic.person("singh").user, actor=INSTALLATION, at=day.now)
        switch.release(user=day.clinic.person("dahl").user, actor=INSTALLATION, at=day.now)
    for _ in range(3):
        day.background()
        day.forward(seconds=30)
    assert day.state(approved) == State.EXPIRED
    assert day.writes() == []
    page = day.desk("reyes").delivery(approved).text
    assert "Expired" in page
    assert "Nothing was written. The approval ran out." in page
    assert "so far" not in page
    assert "intent:approval:expired" in day.told(approved)
    day.check_log()
