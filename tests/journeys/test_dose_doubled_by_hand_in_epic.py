"""Golden workflow 4: Epic takes no medicine from outside, and the note may not say that it was changed there.

The order becomes a card to type from, the statement that reports it needs a decision, and the chart is watched
until it shows the order.
"""

from typing import Any

import pytest

from intents.lifecycle import State
from intents.pipeline import by_hand
from tests.factories import SOURCE
from tests.journeys.day import text_of
from tests.journeys.medicines import a_prescription

REPORT = "Increase lisinopril to 20 mg once daily."
REST = "Denies cough."
SAID = "Home readings have been around 152 over 90, most mornings."
NOT_WRITTEN = "The change that does what this says is not going to be written."


def order(target: str) -> dict[str, Any]:
    start = SOURCE.index(SAID)
    return {
        "ref": "c1",
        "kind": "order",
        "interaction": "create",
        "content": a_prescription(
            "29046", "lisinopril", "20", times=1, unit="d", replaces=target
        ),
        "evidence": [
            {
                "path": "/code",
                "source": "s1",
                "start": start,
                "end": start + len(SAID),
                "quote": SAID,
                "method": "derived",
                "confidence": 0.9,
            }
        ],
    }  # fmt: skip


@pytest.fixture
def proposal(day):
    """The order that Epic does not take, and a note that reports it."""
    day.clinic.allow("system/MedicationRequest.c", vendor="epic")
    text = f"{REPORT} {REST}"
    note = day.clinic.note(
        text,
        ref="c2",
        quotes={REPORT: SAID, REST: "No, no cough"},
        content={
            "sections": [
                {
                    "title": "Assessment and plan",
                    "text": text,
                    "acts": [{"span": [0, len(REPORT)], "change": "c1"}],
                }
            ]
        },
    )
    tablets = day.clinic.patient("P1", "epic")["entries"]["lisinopril"]
    made = day.propose(order(tablets), note, vendor="epic")
    assert day.states(made) == {"c1": State.REJECTED, "c2": State.PENDING_APPROVAL}, [
        i.reason for i in day.clinic.intents(made)
    ]
    return made


@pytest.mark.req("000-42", "002-29")
def test_the_order_is_typed_from_a_card_and_the_note_says_so_by_a_decision(day, proposal):
    reyes = day.desk("reyes")
    assert day.intent(proposal).rejected_by == "VALIDATION"
    screen = reyes.review(proposal)
    card = screen.part("c-A") if "c-A" in screen.parts else screen.text
    print(card)
    print(screen.text)
    print(screen.choices())
    raise AssertionError
