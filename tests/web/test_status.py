"""The words in which states are told: a closed list, each with a sign, and never more than is known."""

from datetime import UTC, datetime, timedelta

import pytest

from ehr_adapters.capabilities import Finality
from intents.lifecycle import RejectedBy, State
from intents.models import Discrepancy
from intents.queries.status import finality_sentence, status_of

pytestmark = pytest.mark.once

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
WORDS = {
    "Being checked", "Draft", "Waiting", "Sending in 10 s", "Being sent", "Written",
    "Written and read back", "Filed, not signed", "Waiting in the EHR for someone to accept it",
    "Sent to Epic Northgate", "Not taken up", "Refused by the EHR", "Outcome unknown",
    "Chart differs", "Paused", "Not sent", "Replaced", "Rejected", "Blocked", "Withdrawn", "Expired",
}  # fmt: skip


def told(state, **known):
    return status_of(
        state=state,
        rejected_by=known.pop("rejected_by", ""),
        finality=known.pop("finality", ""),
        connection_title="Epic Northgate",
        at=AT,
        **known,
    )


@pytest.mark.req("004-19")
def test_every_state_has_words_of_the_list_and_every_word_is_reached():
    reached = set()
    for state in State:
        if state == State.REJECTED:
            for who in RejectedBy:
                reached.add(told(state, rejected_by=who).words)
        elif state in (State.ACCEPTED, State.RECONCILED):
            for finality in Finality:
                reached.add(told(state, finality=finality).words)
                reached.add(told(state, finality=finality, open_discrepancies=("missing",)).words)
        else:
            reached.add(told(state).words)
    reached.add(told(State.APPROVED, not_before=AT + timedelta(seconds=10)).words)
    assert reached == WORDS


def test_colour_never_stands_alone():
    for state in State:
        for who in RejectedBy:
            status = told(state, rejected_by=who, finality=Finality.FILED)
            assert status.sign or not status.tone


@pytest.mark.parametrize("finality", [f for f in Finality if f is not Finality.FILED])
def test_only_a_filed_write_is_called_written(finality):
    assert "Written" not in told(State.ACCEPTED, finality=finality).words


def test_an_unknown_outcome_is_never_called_failed():
    status = told(State.UNCERTAIN)
    assert status.words == "Outcome unknown"
    assert status.tone == "warn"


@pytest.mark.parametrize("kind", [k for k in Discrepancy.Kind if k not in ("missing", "late")])
def test_a_difference_outweighs_everything_good(kind):
    status = told(State.RECONCILED, finality=Finality.FILED, open_discrepancies=(kind,))
    assert status.words == "Chart differs"


def test_a_staged_write_that_is_not_found_was_not_taken_up():
    status = told(State.ACCEPTED, finality=Finality.STAGED, open_discrepancies=("missing",))
    assert status.words == "Not taken up"
    filed = told(State.ACCEPTED, finality=Finality.FILED, open_discrepancies=("missing",))
    assert filed.words == "Chart differs"


def test_approved_after_its_time_is_being_sent():
    assert told(State.APPROVED, not_before=AT).words == "Being sent"
    assert told(State.APPROVED).words == "Being sent"


def test_what_is_still_owed_is_said_as_the_clinical_model_says_it():
    assert [finality_sentence(f, connection_title="Epic") for f in Finality] == [
        "Filed in Epic.",
        "Filed, not signed: your signature is needed in Epic.",
        "Waiting in Epic for someone to accept it.",
        "Sent to Epic.",
    ]
