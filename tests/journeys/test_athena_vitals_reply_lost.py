"""Golden workflow 15, athenahealth's half: vital signs carry no mark, so a lost answer is for a person."""

import re

import pytest

from intents.lifecycle import State
from intents.models import Discrepancy, WriteLedgerEntry
from tests.journeys.medicines import quoted, recorded
from tests.journeys.test_one_of_three_refused_by_athena import ATHENA, SAID, vitals


@pytest.fixture
def approved(day):
    """P1's blood pressure, on its way."""
    day.clinic.connection(ATHENA)
    day.clinic.allow("system/Observation.c", vendor=ATHENA)
    made = day.propose(vitals(day), vendor=ATHENA, sources=recorded(SAID))
    assert day.state(made) == State.PENDING_APPROVAL, day.intent(made).reason
    reyes = day.desk("reyes")
    assert "Medium risk" in reyes.open("/queue/").text, "an adult's"
    assert "Medium risk" in reyes.review(made).part("c-A")
    reyes.approve(made)
    return made


def lost(day, proposal, fault):
    day.practice.fault(fault, vendor=ATHENA, method="POST", path="vitals")
    day.after_undo()
    day.after_quarantine(proposal)
    assert day.state(proposal) == State.UNCERTAIN, "equal content proves nothing to a machine"
    assert len(day.writes(ATHENA)) == 1, "never sent again by a machine"


@pytest.mark.req("000-81", "001-25", "001-26", "002-46")
def test_a_person_who_finds_the_equal_entry_settles_it(day, approved):
    lost(day, approved, "drop-after-commit")
    singh = day.desk("singh")
    assert "Outcome unknown" in singh.open("/worklist/").text
    page = singh.delivery(approved)
    assert "Outcome unknown" in page.part("c-c1")
    for words in ("What to look for", "OKONKWO, Ngozi, born 14-Mar-1957", "152/90"):
        assert words in page.part("c-c1"), words
    seen = page.part("c-c1").partition("Seen from here")[2]
    assert "Blood pressure 152/90 mmHg" in seen
    assert "may be somebody else’s entry" in seen
    assert "Seen from here" not in day.desk("reyes").delivery(approved).text
    assert not page.offers("again")

    [reference] = re.findall(r"\((Observation/\S+)\)", seen)
    page = singh.press(
        page,
        "It is there",
        evidence="Vitals of the visit, 14:20: 152/90 at 13:43",
        resource_ref=reference,
    )
    assert day.state(approved) in (State.ACCEPTED, State.RECONCILED)
    day.forward(minutes=20)
    day.background()
    assert day.state(approved) == State.RECONCILED
    assert "Written and read back" in day.desk("reyes").delivery(approved).part("c-c1")
    fact = WriteLedgerEntry.objects.get(phase="ATTESTED")
    assert fact.phi("evidence").startswith("Vitals of the visit")
    told = day.told(approved)
    assert told.index("intent:write:uncertain") < told.index("intent:write:found")
    assert len(day.writes(ATHENA)) == 1
    day.check_log()


def test_what_a_person_does_not_find_is_not_sent_again_unless_they_say_so(day, approved):
    lost(day, approved, "drop-before-commit")
    singh = day.desk("singh")
    page = singh.delivery(approved)
    assert "No entry like it. That does not prove" in page.part("c-c1")
    singh.press(page, "It is not there", evidence="Vitals of the visit, 14:20: no 152/90")
    day.forward(minutes=10)
    day.background()
    assert day.state(approved) == State.FAILED
    assert len(day.writes(ATHENA)) == 1
    singh.press(singh.delivery(approved), "Send A again")
    day.background()
    assert day.state(approved) in (State.ACCEPTED, State.RECONCILED)
    assert len(day.writes(ATHENA)) == 2


@pytest.mark.req("001-26")
def test_readings_of_one_moment_sent_as_two_changes_are_each_found_again(day):
    day.clinic.connection(ATHENA)
    day.clinic.allow("system/Observation.c", vendor=ATHENA)
    pressure, pulse = vitals(day), vitals(day)
    said = SAID + "Clinician: Your pulse is 78.\n"
    pulse["ref"] = "c2"
    pulse["content"]["readings"] = [{"code": "8867-4", "value": {"value": "78", "unit": "/min"}}]
    pressure["evidence"] = [quoted("/readings", "Blood pressure now is 152 over 90", said)]
    pulse["evidence"] = [quoted("/readings", "Your pulse is 78", said)]
    made = day.propose(pressure, pulse, vendor=ATHENA, sources=recorded(said))
    day.desk("reyes").approve(made)
    day.after_undo()
    day.forward(minutes=20)
    day.background()
    assert len(day.writes(ATHENA)) == 2
    assert set(day.states(made).values()) == {State.RECONCILED}
    assert not Discrepancy.objects.exists()
