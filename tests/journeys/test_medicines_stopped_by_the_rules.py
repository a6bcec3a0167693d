"""Golden workflows 8 and 13: what the rules stop or send to two people, with the reason in words."""

import pytest

from ehr_adapters.canonical.codes import LOINC, RXNORM
from intents.lifecycle import State, Tier
from tests.journeys.medicines import ORAL, a_prescription, may_prescribe, propose


@pytest.fixture(autouse=True)
def _prescribing(day):
    may_prescribe(day)


def stopped(day, proposal, *, rule: str, sentence: str) -> None:
    """Rejected by policy: the rule is in the story, its sentence on the screen, nothing in the EHR."""
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "POLICY"), intent.reason
    [event] = [e for e in day.story(proposal) if e.tag == "intent:policy:rejected"]
    assert rule in event.authority
    screen = day.desk("reyes").review(proposal)
    assert sentence in screen.text
    card = screen.part("c-A")
    assert "Blocked" in card
    assert "Not written" in card
    assert "Nothing is sent for this change." in card
    assert "for someone to accept it" not in card
    assert not screen.offers("Approve")
    day.after_undo()
    assert day.writes() == []
    day.check_log()


@pytest.mark.req("000-58", "003-44", "003-115")
def test_hydromorphone_from_2_to_4_mg_is_the_prescribers_own_act_in_the_ehr(day):
    content = a_prescription(
        "3423", "hydromorphone", "4", times=3, unit="d",
        replaces=day.clinic.patient("P7")["entries"]["hydromorphone"],
    )  # fmt: skip
    proposal = propose(
        day, "order", content, patient="P7", words="Hydromorphone goes up to 4 mg three times a day"
    )
    stopped(
        day,
        proposal,
        rule="CONTROLLED-01",
        sentence="An opioid or other controlled drug: an order or a dose of it is the prescriber's own act",
    )


def test_amoxicillin_for_ada_who_is_allergic_to_it(day):
    content = a_prescription("723", "amoxicillin", "640", times=2, unit="d")
    proposal = propose(
        day, "order", content, patient="P3", words="Amoxicillin 640 mg twice a day for the ear"
    )
    stopped(
        day,
        proposal,
        rule="INTERACTION-01",
        sentence="An active allergy in the chart is to this medicine or its class",
    )


def test_methotrexate_every_day_instead_of_every_week(day):
    content = {
        "drug": {"system": RXNORM, "code": "6851", "display": "methotrexate"},
        "dose": {"value": "15", "unit": "mg"},
        "route": ORAL,
        "frequency": {"times": 1, "per": 1, "unit": "d"},
        "status": "active",
    }
    proposal = propose(
        day, "medication", content, patient="P10", words="She takes methotrexate 15 mg daily"
    )
    stopped(day, proposal, rule="METHOTREXATE-01", sentence="Methotrexate is taken once a week")


def test_metformin_at_an_egfr_of_24_takes_two_people(day):
    content = a_prescription(
        "6809", "metformin", "500", times=2, unit="d",
        replaces=day.clinic.patient("P11")["entries"]["metformin"],
    )  # fmt: skip
    proposal = propose(
        day, "order", content, patient="P11", words="Keep metformin 500 mg twice a day"
    )
    intent = day.intent(proposal)
    assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.DUAL_APPROVAL), (
        intent.reason
    )
    reyes = day.desk("reyes")
    assert "the last eGFR is under 30: two people approve" in reyes.review(proposal).text
    reyes.approve(proposal)
    assert day.state(proposal) == State.PENDING_APPROVAL
    # Beside a prescriber a nurse may be the second.
    day.desk("brandt").approve(proposal)
    assert day.state(proposal) == State.APPROVED


def test_a_left_knee_order_for_a_right_knee_problem_is_one_question(day):
    content = {
        "category": "imaging",
        "code": {"system": LOINC, "code": "36554-4", "display": "XR Knee Views"},
        "side": "7771000",
        "indication": day.clinic.patient("P9")["entries"]["knee_osteoarthritis"],
        "priority": "routine",
        "status": "draft",
    }
    proposal = propose(
        day, "order", content, patient="P9", words="Let us have an x-ray of the knee"
    )
    reyes = day.desk("reyes")
    # The visit is closed and locked: a person lets the order go on.
    assert (day.state(proposal), day.reason(proposal)) == (
        State.HELD,
        "The visit is closed. Check it again if this belongs into a closed visit.",
    )
    reyes.press(reyes.review(proposal), "Check again")
    intent = day.intent(proposal)
    assert (intent.state, intent.tier) == (State.PENDING_APPROVAL, Tier.APPROVAL), intent.reason
    asked = intent.current_screening.findings.filter(needs_decision=True)
    assert {f.code for f in asked} == {"encounter-not-open", "side-differs"}
    screen = reyes.review(proposal)
    assert "The side of the order is not the side of the problem that it is for." in screen.text
    reyes.approve(proposal)
    assert day.state(proposal) == State.APPROVED
