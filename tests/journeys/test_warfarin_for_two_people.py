"""Golden workflow 7: warfarin from 35 to 40 mg a week takes two people, the second without the first's answer."""

from datetime import datetime

import pytest

from intents.lifecycle import State, Tier
from tests.journeys.medicines import a_prescription, may_prescribe, propose


@pytest.fixture
def proposal(day):
    """P5's warfarin, 5 mg a day, to be taken eight times a week; INR 1.7 two days ago."""
    may_prescribe(day)
    content = a_prescription(
        "11289", "warfarin", "5", times=8, unit="wk",
        replaces=day.clinic.patient("P5")["entries"]["warfarin"],
    )  # fmt: skip
    made = propose(
        day, "order", content, patient="P5", words="Warfarin goes up to eight times 5 mg a week"
    )
    intent = day.intent(made)
    assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.DUAL_APPROVAL), (
        intent.reason
    )
    return made


@pytest.mark.req("000-39", "002-47", "002-63")
def test_two_prescribers_agree_and_a_draft_order_waits_for_a_signature(day, proposal):
    reyes, lam = day.desk("reyes"), day.desk("lam")
    screen = reyes.review(proposal)
    assert "A high-alert medicine: two people approve" in screen.text
    card = screen.part("c-A")
    assert "Dose 1.14 times as much: 35 mg per week to 40 mg per week." in card
    measured = day.entry(day.clinic.patient("P5")["entries"]["inr_2d"])["content"]
    when = datetime.fromisoformat(measured["effectiveDateTime"])
    assert f"1.7 INR, low, {when:%d-%b-%Y}" in card
    screen = reyes.approve(proposal)
    assert "Your approval is recorded. A second person has to approve" in screen.text
    day.after_undo()
    assert day.writes() == []

    # The same person again is refused.
    assert reyes.review(proposal).button("Approve for").blocked == (
        "You have decided about this already. A second person has to."
    )
    # The second does not see the first's answer, and need not be the one whose name it carries.
    screen = lam.review(proposal)
    assert "approval is recorded" not in screen.text
    lam.approve(proposal)
    assert day.state(proposal) == State.APPROVED
    day.after_undo()
    assert day.state(proposal) == State.ACCEPTED, day.reason(proposal)
    [written] = day.held("MedicationRequest", patient="P5")
    order = written["content"]
    assert (order["status"], order["intent"]) == ("draft", "proposal")
    warfarin = day.clinic.patient("P5")["entries"]["warfarin"]
    assert order["priorPrescription"]["reference"] == warfarin
    assert day.entry(warfarin)["content"]["status"] == "active", "it stays until somebody signs"
    day.check_log()


def test_a_prescriber_and_a_pharmacist_are_two_and_a_nurse_is_not_one_of_them(day, proposal):
    brandt, vasik = day.desk("brandt"), day.desk("vasik")
    assert brandt.review(proposal).button("Approve for").blocked == (
        "A high-alert medicine is approved by prescribers and pharmacists."
    )
    vasik.approve(proposal)
    assert day.state(proposal) == State.PENDING_APPROVAL
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED


def test_the_clinician_whose_name_it_carries_is_one_of_the_two(day, proposal):
    day.desk("vasik").approve(proposal)
    lam = day.desk("lam")
    screen = lam.review(proposal)
    assert "The clinician whose name this carries has to be one of the two." in screen.text
    # Who takes it over is the author of other bytes, about which two people decide anew.
    lam.press(screen, "Take over as author")
    assert day.intent(proposal).current_version.number == 2
    lam.approve(proposal)
    assert day.state(proposal) == State.PENDING_APPROVAL, "the first answer was about other bytes"
    day.desk("vasik").approve(proposal)
    assert day.state(proposal) == State.APPROVED


def test_when_the_two_differ_a_clinical_lead_settles_it(day, proposal):
    day.desk("reyes").approve(proposal)
    vasik = day.desk("vasik")
    screen = vasik.open(f"/intents/{proposal.pk}/reject/")
    vasik.press(screen, "Reject the draft", reason="clinically-wrong")
    assert day.state(proposal) == State.PENDING_APPROVAL
    assert "intent:review:differed" in day.told(proposal)
    day.desk("lam").approve(proposal)
    assert day.state(proposal) == State.APPROVED
