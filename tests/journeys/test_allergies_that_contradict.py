"""An allergy and the statement that none is known: one cannot be added beside the other unseen."""

from typing import Any

import pytest

from ehr_adapters.canonical.codes import RXNORM, SNOMED
from intents.lifecycle import State
from tests.journeys.medicines import propose

BOTH = "The chart says that no allergy is known. That entry stays beside this one until it is ended too."


@pytest.fixture(autouse=True)
def _may_record_allergies(day: Any) -> None:
    day.clinic.allow("system/AllergyIntolerance.c")


def an_allergy(code: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "substance": code,
        "category": "medication",
        "clinical_status": "active",
        "verification": "confirmed",
    } | more


def test_an_allergy_beside_none_known_is_added_by_somebody_who_saw_that_both_will_stand(day):
    content = an_allergy({"system": RXNORM, "code": "5640", "display": "ibuprofen"})
    proposal = propose(
        day, "allergy", content, patient="P5", words="He came out in hives after ibuprofen"
    )
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    reyes = day.desk("reyes")
    card = reyes.review(proposal).part("c-A")
    assert card.count(BOTH) == 1
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    chart = day.practice.resources(
        type="AllergyIntolerance", patient=day.clinic.patient("P5")["patient"]
    )
    active = [
        each["content"]["code"]["text"]
        for each in chart
        if each["content"]["clinicalStatus"]["coding"][0]["code"] == "active"
    ]
    assert len(active) == 2, active
    day.check_log()


def test_none_known_is_refused_for_a_patient_with_an_allergy(day):
    content = an_allergy(
        {"system": SNOMED, "code": "716186003", "display": "No known allergy"},
        category="environment",
    )
    proposal = propose(day, "allergy", content, patient="P2", words="No allergies that I know of")
    assert (day.state(proposal), day.intent(proposal).rejected_by) == (State.REJECTED, "VALIDATION")
    page = day.desk("reyes").review(proposal)
    assert "The chart holds an active allergy: “none known” cannot stand beside it." in page.text
    assert "Not written" in page.part("c-A")
    assert not page.offers("Approve for")
    day.after_undo()
    assert day.writes() == []
