"""An EHR that does not hold every character: what is replaced is shown before, and is what is written."""

import pytest
from django.db import transaction

from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from tests.journeys.day import text_of

WORDS = "Saturation ≥ 94 %. Levothyroxine 75 µg, ½ hour before food."


@pytest.fixture
def plain(day):
    """The connection says that its EHR holds ASCII only."""
    connection = day.clinic.connection()
    with transaction.atomic():
        connection.change(
            actor=INSTALLATION,
            at=day.now,
            reason="the EHR's own letters",
            settings={**connection.settings, "repertoire": "ascii"},
        )


@pytest.mark.req("003-45")
def test_a_sign_that_the_ehr_cannot_hold_is_shown_as_it_will_be_written(day, plain):
    proposal = day.propose(
        day.clinic.note(WORDS, quotes={"Saturation": "Any cough?"}), patient="P5"
    )
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    will = screen.part("c-A").partition("Will be written")[2]
    assert "Saturation >= 94 %." in will
    assert "75 mcg, 1/2 hour" in will
    assert "≥" not in will.partition("Filed, not signed")[0]
    assert will.count("In this EHR ≥ becomes >=, µ becomes mc, ½ becomes 1/2.") == 1
    for need in list(screen.choices()):
        screen.answer(need, "Keep")
    reyes.check(screen)
    day.forward(seconds=40)
    reyes.press(screen, "Approve for")
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    [document] = day.held(patient="P5")
    assert "Saturation >= 94 %. Levothyroxine 75 mcg, 1/2 hour before food." in text_of(
        document["content"]
    )


def test_a_sign_that_has_no_safe_spelling_is_refused_with_its_place(day, plain):
    proposal = day.propose(day.clinic.note("Weight 70 kg → 68 kg. 体重."), patient="P5")
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "VALIDATION")
    assert intent.reason == "The EHR cannot hold these characters: 体 重."
    assert "体 重" in day.desk("reyes").review(proposal).text
    assert day.writes() == []
