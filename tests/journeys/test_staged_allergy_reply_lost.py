"""Golden workflow 6: an allergy for Epic's holding tank whose answer was lost; only a person can settle it."""

from typing import Any

import pytest

from ehr_adapters.canonical.codes import RXNORM, SNOMED
from intents.lifecycle import State
from intents.models import WriteLedgerEntry
from tests.journeys.medicines import propose

SAID = "Ada came out in hives after ibuprofen last week"
EVIDENCE = "Reconcile Outside Information of Ada, 14:10: ibuprofen waits there with hives"


@pytest.fixture
def proposal(day):
    """Approved and sent; Epic took it, and its answer never came."""
    day.clinic.allow("system/AllergyIntolerance.c", vendor="epic")
    content = {
        "substance": {"system": RXNORM, "code": "5640", "display": "ibuprofen"},
        "category": "medication",
        "clinical_status": "active",
        "verification": "unconfirmed",
        "reactions": [
            {
                "manifestation": {"system": SNOMED, "code": "247472004", "display": "Wheal"},
                "severity": "moderate",
            }
        ],
    }
    made = propose(day, "allergy", content, patient="P3", words=SAID, vendor="epic")
    assert day.state(made) == State.PENDING_APPROVAL, day.intent(made).reason
    day.desk("reyes").approve(made)
    day.practice.fault(
        "drop-after-commit", vendor="epic", method="POST", path="^AllergyIntolerance"
    )
    day.forward(seconds=61)
    day.send()
    assert day.state(made) == State.UNCERTAIN
    return made


def waiting(day: Any) -> list[dict[str, Any]]:
    """What waits for Ada in Epic."""
    patient = day.clinic.patient("P3", "epic")["patient"]
    return day.practice.staged(vendor="epic", type="AllergyIntolerance", patient=patient)


@pytest.mark.req("000-81", "001-26", "002-46")
def test_a_person_looks_in_epic_says_what_they_saw_and_nothing_is_sent_again(day, proposal):
    for _ in range(3):
        day.forward(hours=3)
        day.background()
    assert day.state(proposal) == State.UNCERTAIN, "nobody can look, and time proves nothing"
    assert len(day.writes("epic")) == 1
    assert len(waiting(day)) == 1

    singh = day.desk("singh")
    listed = singh.open("/worklist/").text
    assert "Outcome unknown" in listed
    assert "Dr A. Reyes" in listed, "it has an owner"
    page = singh.delivery(proposal)
    assert "Outcome unknown" in page.part("c-c1")
    assert "It may be in the EHR, or not." in page.text
    for words in (
        "What to look for",
        "MARROWBY, Ada, born",
        "ibuprofen",
        "Its mark Ref ",
        "Not to be confused with",
        "MARROWBY, Ida",
        "Such entries cannot be looked for from here.",
    ):
        assert words in page.text, words
    assert not page.offers("again")

    page = singh.press(page, "It is there", evidence=EVIDENCE)
    assert day.state(proposal) == State.ACCEPTED
    assert "Waiting in the EHR for someone to accept it" in page.text
    fact = WriteLedgerEntry.objects.get(phase="ATTESTED")
    assert fact.phi("evidence") == EVIDENCE
    told = day.told(proposal)
    assert told.index("intent:write:uncertain") < told.index("intent:write:found")
    [settled] = [e for e in day.story(proposal) if e.tag == "intent:write:found"]
    assert (settled.actor_name, settled.authority) == ("R. Singh", "role OPERATOR")

    assert len(day.writes("epic")) == 1
    day.check_log()


def test_while_it_is_not_known_a_second_draft_of_it_is_refused(day, proposal):
    again = propose(
        day,
        "allergy",
        day.intent(proposal).current_version.phi_json("content"),
        patient="P3",
        words=SAID,
        vendor="epic",
    )
    assert (day.state(again), day.intent(again).rejected_by) == (State.REJECTED, "VALIDATION")
    page = day.desk("reyes").review(again)
    assert "The same is being written from here just now." in page.text
    assert "Not written" in page.part("c-A")
    assert len(waiting(day)) == 1
