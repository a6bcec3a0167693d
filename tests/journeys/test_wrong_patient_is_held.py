"""Golden workflow 11: the draft speaks of one person, and the chart is that of another called alike."""

import json
from datetime import date

import pytest

from audit import timeline
from intents.lifecycle import State


@pytest.fixture
def mixed_up(day):
    """What the agent says of `meant`, under the id and visit of `asked`."""

    def make(asked: str, meant: str):
        other = day.clinic.patient(asked)
        return day.propose(
            day.clinic.note(),
            patient=meant,
            who={"id": other["patient"]},
            encounter=other["encounter"],
        )

    return make


@pytest.mark.req("003-09", "003-20", "003-21", "003-28")
def test_a_draft_for_one_okonkwo_in_the_chart_of_the_other_is_held_with_both_shown(day, mixed_up):
    proposal = mixed_up("P2", "P1")
    assert day.state(proposal) == State.HELD
    screen = day.desk("reyes").review(proposal)
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    assert "This draft was stopped" in screen.text
    assert "Nothing has been written." in screen.text
    # Both identities, with the parts that differ.
    for row in (
        "Family name Okonkwo Okonkwo The same.",
        "Given name Ngozi Ngozi The same.",
        "Born 14-Mar-1957 13-Apr-1957 Not the same.",
        "Record number 4471908213 4471908231 Not the same.",
    ):
        assert row.casefold() in screen.text.casefold(), row
    assert "The birth date in the draft is not the one in the EHR." in screen.text
    assert "The record number in the draft is not the one in the EHR." in screen.text
    assert not screen.offers("Approve")
    day.after_undo()
    assert day.writes() == []


def test_adas_draft_in_idas_chart_is_held_though_name_and_birth_date_are_the_same(day, mixed_up):
    proposal = mixed_up("P4", "P3")
    born = date.fromisoformat(day.clinic.patient("P3")["birth_date"]).strftime("%d-%b-%Y")
    assert day.state(proposal) == State.HELD
    screen = day.desk("reyes").review(proposal)
    assert "Given name Ada Ida Not the same." in screen.text
    assert "Born 20-Nov-2020 20-Nov-2020 The same." in screen.text.replace(born, "20-Nov-2020")
    assert day.writes() == []


@pytest.mark.req("003-50")
def test_the_log_names_the_finding_and_none_of_the_identities(day, mixed_up):
    proposal = mixed_up("P2", "P1")
    [held] = [e for e in day.story(proposal) if e.tag == "intent:policy:held"]
    assert held.actor_kind == "POLICY"
    bodies = [
        timeline.details(event.id, tenant_id=str(day.clinic.tenant.pk)) or {}
        for event in day.story(proposal)
    ]
    said = json.dumps([bodies, [repr(event) for event in day.story(proposal)]])
    assert "patient-mismatch" in said
    for secret in ("Okonkwo", "OKONKWO", "Ngozi", "1957-03-14", "1957-04-13", "44719082"):
        assert secret not in said, secret


def test_releasing_the_hold_does_not_get_it_past_the_check(day, mixed_up):
    proposal = mixed_up("P2", "P1")
    reyes = day.desk("reyes")
    screen = reyes.press(reyes.review(proposal), "Check again")
    assert day.state(proposal) == State.HELD
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    screen = reyes.press(screen, "Reject the draft", reason="wrong-patient")
    assert "Rejected. The chart keeps what it holds." in screen.text
    intent = day.intent(proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "REVIEWER")
    assert day.writes() == []
