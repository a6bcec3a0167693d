"""Golden workflow 4: Epic takes no order from outside, and the note may not say that one was made there.

The order becomes a card to type from, the statement that reports it needs a decision, and the chart is watched
until it shows the order.
"""

from typing import Any

import pytest

from intents.lifecycle import State
from intents.pipeline import by_hand
from tests.journeys.day import text_of
from tests.journeys.medicines import a_prescription, quoted, recorded

SAID = (
    "Clinician: We will increase lisinopril to 20 mg once daily.\n"
    "Clinician: Any cough?\nPatient: No, no cough.\n"
)
REPORT = "Increase lisinopril to 20 mg once daily."
REST = "Denies cough."
EPIC = "Epic Northgate (practice)"


def a_note(text: str, *, reports: str, evidence: list[Any]) -> dict[str, Any]:
    """A note whose words `reports` say what change c1 does."""
    start = text.index(reports)
    section = {
        "title": "Assessment and plan",
        "text": text,
        "acts": [{"span": [start, start + len(reports)], "change": "c1"}],
    }
    return {
        "ref": "c2",
        "kind": "note",
        "interaction": "create",
        "content": {"type": "11506-3", "status": "unsigned", "sections": [section]},
        "evidence": evidence,
    }


@pytest.fixture
def proposal(day):
    """The order that Epic does not take, and a note that reports it."""
    day.clinic.allow("system/MedicationRequest.c", vendor="epic")
    order = {
        "ref": "c1",
        "kind": "order",
        "interaction": "create",
        "content": a_prescription(
            "29046", "lisinopril", "20", times=1, unit="d",
            replaces=day.clinic.patient("P1", "epic")["entries"]["lisinopril"],
        ),
        "evidence": [quoted("/code", "increase lisinopril to 20 mg once daily", SAID)],
    }  # fmt: skip
    text = f"{REPORT} {REST}"
    place = "/sections/0/text"
    note = a_note(
        text,
        reports=REPORT,
        evidence=[
            quoted(place, "increase lisinopril to 20 mg once daily", SAID, span=(0, len(REPORT))),
            quoted(place, "No, no cough", SAID, span=(len(REPORT) + 1, len(text))),
        ],
    )
    made = day.propose(order, note, vendor="epic", sources=recorded(SAID))
    assert day.states(made) == {"c1": State.REJECTED, "c2": State.PENDING_APPROVAL}, [
        i.reason for i in day.clinic.intents(made)
    ]
    return made


@pytest.mark.req("000-42", "004-50")
def test_the_order_is_typed_from_a_card_and_seen_later_and_the_note_reports_it_by_a_decision(
    day, proposal
):
    assert day.intent(proposal).rejected_by == "VALIDATION"
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    card = screen.part("c-A")
    assert f"Cannot be written to {EPIC}" in card
    assert "Will be written" not in card
    assert "will be written: prescription" not in screen.text.lower()
    assert "Dose doubled: 10 mg per day to 20 mg per day." in card
    assert f"{EPIC} has not checked interactions" in card
    assert "5.1 mmol/L" in card
    assert "51 mL/min" in card
    typed = card.partition("Where Orders")[2]
    assert "Instead of lisinopril (29046), 10 mg, once a day" in typed
    assert "MedicationRequest/" not in card, "a person cannot type an id"

    # The statement is a question; what is said to be done there is never "ordered" here.
    [answers] = screen.choices().values()
    assert [a.words for a in answers] == ["Take it out", "Keep, I did it in the EHR"]
    day.forward(seconds=40)
    refused = reyes.press(screen, "Approve for")
    assert "Nothing was written." in refused.text
    assert day.writes("epic") == []

    screen = reyes.press(reyes.review(proposal), f"I typed it into {EPIC}")
    assert "Not seen in the chart yet" in screen.text
    reyes.approve(proposal, answers={REPORT: "Keep, I did it"})
    day.after_undo()
    assert day.intent(proposal, "c2").finality == "filed_unsigned"
    assert day.state(proposal, "c2") in (State.ACCEPTED, State.RECONCILED)
    [filed] = day.held(vendor="epic")
    assert REPORT in text_of(filed["content"])
    assert "your signature is needed" in reyes.delivery(proposal).text
    by_hand.watch_due(at=day.now)
    assert "intent:hand:seen" not in day.told(proposal), "the chart does not show it yet"

    chart = day.clinic.patient("P1", "epic")["patient"]
    old = day.entry(
        day.clinic.patient("P1", "epic")["entries"]["lisinopril"], vendor="epic"
    )["content"]  # fmt: skip
    doubled = {**old, "status": "active", "intent": "order", "dosageInstruction": [
        {**old["dosageInstruction"][0], "text": "Take 20 mg by mouth once daily.",
         "doseAndRate": [{"doseQuantity": {"value": 20, "unit": "mg",
                                           "system": "http://unitsofmeasure.org", "code": "mg"}}]}
    ]}  # fmt: skip
    doubled.pop("id")
    day.practice.lever("add_resource", vendor="epic", patient="P1", resource=doubled)
    day.forward(hours=1)
    by_hand.watch_due(at=day.now)
    told = day.told(proposal)
    assert told.index("intent:hand:declared") < told.index("intent:hand:seen")
    writes = day.writes("epic")
    assert [each["path"].split("?")[0] for each in writes] == ["DocumentReference"], chart
    day.check_log()


@pytest.mark.req("002-29")
def test_taken_out_the_note_says_nothing_of_a_dose_that_nobody_changed(day, proposal):
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    reyes.check(screen, answers={REPORT: "Take it out"})
    reyes.press(screen, "Approve for")
    reyes.approve(proposal)
    day.after_undo()
    [filed] = day.held(vendor="epic")
    assert "lisinopril" not in text_of(filed["content"])
    assert REST in text_of(filed["content"])
    assert "intent:hand:declared" not in day.told(proposal)
