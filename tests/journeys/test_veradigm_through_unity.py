"""Golden workflow 15, Veradigm's half: Unity says its refusals with HTTP 200, and they are refusals all the same."""

import pytest

from ehr_adapters.capabilities import Finality
from intents.lifecycle import State
from intents.pipeline import gateway
from tests.journeys.day import text_of


def sent(day):
    """A note that was approved and is on its way."""
    proposal = day.propose(day.clinic.note(), vendor="veradigm")
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    return proposal


def unity_writes(day):
    return [
        each
        for each in day.practice.log(vendor="veradigm", path="MagicJson")
        if each["body"] is not None
    ]


@pytest.mark.req("003-55")
@pytest.mark.fault("veradigm.error-in-200")
def test_200_with_an_error_is_a_refusal_and_nothing_is_said_to_be_written(day):
    proposal = sent(day)
    day.practice.fault(
        "outcome",
        vendor="veradigm",
        path="MagicJson/SaveNote",
        text="The document type is not valid.",
    )
    day.after_undo()
    assert day.state(proposal) == State.REJECTED
    assert len(unity_writes(day)) == 1, "never sent again"
    assert day.held(vendor="veradigm") == []
    page = day.desk("reyes").delivery(proposal)
    assert "Veradigm did not accept something in the draft. Nothing was written." in page.text
    story = day.told(proposal)
    assert story.index("intent:write:submitted") < story.index("intent:write:refused")
    day.after_quarantine(proposal)
    assert len(unity_writes(day)) == 1
    day.check_log()


@pytest.mark.req("002-46")
def test_an_error_that_nobody_knows_leaves_the_outcome_unknown(day):
    proposal = sent(day)
    day.practice.fault(
        "outcome", vendor="veradigm", path="MagicJson/SaveNote", text="Hm.", commit=True
    )
    day.after_undo()
    day.forward(seconds=60)
    day.background()
    day.forward(seconds=60)
    day.background()
    assert day.state(proposal) == State.RECONCILED, "found by its last line"
    assert len(unity_writes(day)) == 1
    assert "intent:write:uncertain" in day.told(proposal)


def test_a_note_is_filed_unsigned_and_read_back_from_the_other_interface(day):
    proposal = sent(day)
    day.after_undo()
    day.forward(seconds=60)
    day.background()
    assert day.state(proposal) == State.RECONCILED
    assert day.intent(proposal).finality == Finality.FILED_UNSIGNED
    [filed] = (each["content"] for each in day.held(vendor="veradigm"))
    assert filed["docStatus"] == "preliminary"
    assert "AI-assisted draft" in text_of(filed).splitlines()[-1]
    page = day.desk("reyes").delivery(proposal)
    assert "your signature is needed" in page.text
    day.check_log()


@pytest.mark.req("003-65")
@pytest.mark.fault("veradigm.no-versions")
def test_without_versions_a_colleagues_edit_is_seen_by_the_whole_entrys_hash(day):
    target = day.clinic.patient("P1", "veradigm")["entries"]["ckd"]
    change = day.clinic.problem(
        interaction="update", target=target, content={"clinical_status": "inactive"}, evidence=[]
    )
    proposal = day.propose(change, vendor="veradigm")
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    day.practice.lever(
        "edit_as_colleague", vendor="veradigm", reference=target, comment="Seen by a colleague."
    )
    day.after_undo()
    assert (day.state(proposal), day.reason(proposal)) == (State.HELD, "target-changed")
    assert not [one for one in day.practice.log(vendor="veradigm") if one["method"] == "PUT"]
    kept = day.entry(target, vendor="veradigm")["content"]
    assert kept["note"][-1]["text"] == "Seen by a colleague."


def test_what_unity_says_of_itself_takes_nothing_away(day):
    connection = day.clinic.connection("veradigm")
    gateway.probe_due(at=day.now)
    connection.refresh_from_db()
    found = gateway.capabilities_for(connection=connection)
    assert found.may("note", "create")
    assert found.may("task", "create")
    assert any("Unity server" in line for line in found.evidence)
