"""Golden workflow 3: a dose of a prescription is doubled by a draft order, which a prescriber signs in the EHR."""

from typing import Any

import pytest

from intents.lifecycle import State
from intents.models import Discrepancy, ReviewDecision
from intents.pipeline.intake.receiving import ScopeNotGranted
from tests.factories import SOURCE
from tests.journeys.day import text_of
from tests.journeys.test_dose_doubled_by_hand_in_epic import a_note

SAID = "Home readings have been around 152 over 90, most mornings."
LISINOPRIL = {
    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "code": "29046",
    "display": "lisinopril",
}


def quoted(path: str) -> dict[str, Any]:
    start = SOURCE.index(SAID)
    return {
        "path": path,
        "source": "s1",
        "start": start,
        "end": start + len(SAID),
        "quote": SAID,
        "method": "derived",
        "confidence": 0.9,
    }


def order(replaces: str, **more: Any) -> dict[str, Any]:
    content = {
        "category": "prescription",
        "code": LISINOPRIL,
        "dose": {"value": "20", "unit": "mg"},
        "route": "26643006",
        "frequency": {"times": 1, "per": 1, "unit": "d"},
        "sig_text": "Take 1 tablet (20 mg) by mouth once daily.",
        "replaces": replaces,
        "priority": "routine",
        "status": "draft",
    }
    return {
        "ref": "c1",
        "kind": "order",
        "interaction": "create",
        "content": content | more,
        "evidence": [quoted("/dose")],
    }


@pytest.fixture
def tablets(day) -> str:
    """P1's prescription of 10 mg."""
    day.clinic.allow("system/MedicationRequest.c", "system/MedicationRequest.u")
    return day.clinic.patient("P1")["entries"]["lisinopril"]


@pytest.mark.req("004-20")
def test_the_order_waits_for_a_signature_and_the_entry_stays_until_then(day, tablets):
    proposal = day.propose(order(tablets))
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    reyes = day.desk("reyes")
    card = reyes.review(proposal).part("c-A")
    assert "Dose doubled: 10 mg per day to 20 mg per day." in card
    assert "has not checked interactions" in card
    assert "for someone to accept it" in card
    assert "5.1" in card, "potassium"
    assert "51" in card, "eGFR"
    assert "once a day" in card
    assert "Ordered by" in card
    reyes.approve(proposal)
    day.after_undo()

    intent = day.intent(proposal)
    assert (intent.state, intent.finality) == (State.ACCEPTED, "staged")
    assert "for someone to accept it" in reyes.delivery(proposal).text
    assert "Written and read back" not in reyes.delivery(proposal).text
    [draft] = day.held("MedicationRequest")
    content = draft["content"]
    assert (content["status"], content["intent"]) == ("draft", "proposal")
    assert content["priorPrescription"] == {"reference": tablets}
    assert content["requester"]["reference"].startswith("Practitioner/")
    now = day.entry(tablets)["content"]
    assert now["status"] == "active"
    assert now["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] == 10
    assert not Discrepancy.objects.exists()

    day.practice.lever(
        "sign", vendor="generic", patient="P1", reference=f"MedicationRequest/{content['id']}"
    )
    day.forward(hours=25)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert day.entry(tablets)["content"]["status"] == "stopped"
    assert not Discrepancy.objects.exists()
    assert len(day.writes()) == 1
    day.check_usual(proposal, "intent:write:waiting", "intent:write:reconciled")
    day.check_log()


@pytest.mark.req("002-29")
def test_a_note_that_reports_the_order_is_kept_as_ordered_and_not_yet_signed(day, tablets):
    report, rest = "Increase lisinopril to 20 mg once daily.", "Denies cough."
    text = f"{report} {rest}"
    note = a_note(
        text,
        reports=report,
        evidence=[
            quoted("/sections/0/text") | {"span": [0, len(report)]},
            quoted("/sections/0/text") | {"span": [len(report) + 1, len(text)]},
        ],
    )
    proposal = day.propose(order(tablets), note)
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    [answers] = [a for about, a in screen.choices().items() if report[:20] in about]
    assert [each.words for each in answers] == [
        "Take it out",
        "Keep: ordered, not yet signed",
        "Keep, I did it in the EHR",
    ]
    others = {about: "Keep" for about in screen.choices() if report[:20] not in about}
    reyes.approve(proposal, answers=others | {report[:20]: "ordered, not yet signed"})
    for _ in range(2):
        day.after_undo()
    assert day.state(proposal, "c1") == State.ACCEPTED
    assert day.state(proposal, "c2") == State.RECONCILED
    first, second = day.writes()
    assert "MedicationRequest" in first["path"], "the note goes after what it reports"
    assert "DocumentReference" in second["path"]
    [filed] = day.held()
    assert report in text_of(filed["content"])
    [decision] = ReviewDecision.objects.filter(screening__version__intent__ref="c2")
    assert "keep-waiting" in str(decision.checks), "what was answered is kept"
    day.check_log()


def test_a_draft_order_that_is_thrown_away_is_a_difference(day, tablets):
    proposal = day.propose(order(tablets))
    day.desk("reyes").approve(proposal)
    day.after_undo()
    [draft] = day.held("MedicationRequest")
    day.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=f"MedicationRequest/{draft['content']['id']}",
        changes={"status": "cancelled"},
    )
    day.forward(hours=25)
    day.background()
    assert day.state(proposal) == State.ACCEPTED
    [difference] = Discrepancy.objects.all()
    assert difference.kind == "human-edited"


def test_the_prescription_itself_is_not_changed_in_place(day, tablets):
    change = {
        "ref": "c1",
        "kind": "medication",
        "interaction": "update",
        "target": tablets,
        "content": {
            "dose": {"value": "20", "unit": "mg"},
            "sig_text": "Take 1 tablet (20 mg) by mouth once daily.",
        },
        "evidence": [quoted("/dose")],
    }
    proposal = day.propose(change)
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "VALIDATION")
    assert "draft an order that replaces it" in day.desk("reyes").review(proposal).text
    assert day.writes() == []


@pytest.mark.req("003-35")
def test_a_grant_for_lists_and_services_orders_no_medicine(day):
    target = day.clinic.patient("P1")["entries"]["lisinopril"]
    day.clinic.allow(
        "system/MedicationStatement.c", "system/MedicationStatement.u", "system/ServiceRequest.c"
    )
    with pytest.raises(ScopeNotGranted):
        day.propose(order(target))
    ended = {
        "ref": "c1",
        "kind": "medication",
        "interaction": "discontinue",
        "target": target,
        "content": {"end": "2026-11-20", "status_reason": "dizzy on standing"},
        "evidence": [quoted("/status_reason")],
    }
    with pytest.raises(ScopeNotGranted):
        day.propose(ended)
