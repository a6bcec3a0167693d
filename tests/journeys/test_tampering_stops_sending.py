"""Somebody with the database changes one byte behind every guard: nothing is sent, and the check names it."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEvent
from intents.lifecycle import State
from intents.models import OutboxEntry, WriteLedgerEntry
from tests.intents.delivery_fixtures import overwrite


def flipped(value: str) -> str:
    """One character changed."""
    place = len(value) // 2
    return value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]


@pytest.fixture
def approved(day):
    """Approved, and tried once: the EHR asked to come back later, so there is a ledger too."""
    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)
    day.practice.fault(
        "rate-limited", vendor="generic", method="POST", path="DocumentReference", retry_after=30
    )
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.APPROVED
    day.practice.clear_faults()
    day.check_log()
    return proposal


def row(day: Any, proposal: Any, what: str) -> tuple[str, Any]:
    """The table and key of one stored record of the approval."""
    entry = OutboxEntry.objects.get(intent=day.intent(proposal))
    approval = AuditEvent.objects.get(pk=entry.approval_event_id)
    return {
        "wire plan": ("intents_screening", entry.screening_id),
        "version": ("intents_intentversion", entry.screening.version_id),
        "decision": ("intents_reviewdecision", entry.decision_id),
        "ledger": (
            "intents_writeledgerentry",
            WriteLedgerEntry.objects.get(phase="NOT_SENT").pk,
        ),
        "audit event": ("audit_auditevent", approval.pk),
    }[what]


CHANGES = [
    ("wire plan", "wire_plan"),
    ("wire plan", "payload_hash"),
    ("version", "content"),
    ("decision", "statement"),
    ("decision", "signature"),
    ("ledger", "outcome"),
    ("audit event", "leaf"),
    ("audit event", "actor_name"),
]


@pytest.mark.req("000-75", "002-31", "003-11", "003-51", "003-93")
@pytest.mark.parametrize(
    ("what", "column"),
    CHANGES,
    ids=[f"{what}-{column}".replace(" ", "-") for what, column in CHANGES],
)
def test_one_changed_byte_stops_the_sending_and_is_named_by_the_check(day, approved, what, column):
    before = len(day.writes())
    table, key = row(day, approved, what)
    overwrite(table, column, pk=key, change=flipped)

    day.forward(seconds=120)
    day.send()
    assert (day.state(approved), day.reason(approved)) == (State.HELD, "evidence-broken")
    assert len(day.writes()) == before, "not one byte left for the EHR"
    assert "intent:evidence:broken" in day.told(approved)
    page = day.desk("reyes").review(approved).text
    assert "What is stored is not what was approved." in page

    said = io.StringIO()
    with pytest.raises(CommandError, match="does not hold"):
        call_command("verify_audit", stdout=said)
    broken = said.getvalue()
    assert "BROKEN" in broken
    assert table in broken
    assert str(key) in broken


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("intents_screening", "wire_plan"),
        ("intents_screening", "baseline"),
        ("intents_intentversion", "content"),
        ("intents_proposal", "asserted_identity"),
    ],
)
def test_a_waiting_draft_that_was_changed_cannot_be_approved_and_the_others_go_on(
    day, table, column
):
    broken, whole = day.propose(day.clinic.problem()), day.propose(day.clinic.note())
    intent = day.intent(broken)
    reyes = day.desk("reyes")
    opened = reyes.review(broken)
    reyes.check(opened)
    key = {
        "intents_screening": intent.current_screening_id,
        "intents_intentversion": intent.current_version_id,
        "intents_proposal": broken.pk,
    }[table]
    overwrite(table, column, pk=key, change=flipped)

    # A page that was open before does not get it through, and every list still opens.
    day.forward(seconds=40)
    sent = reyes.press(opened, "Approve for")
    if table != "intents_proposal":
        assert sent.status in (409, 503)
        assert "cannot be opened" in sent.text
        assert "This draft cannot be shown" in reyes.review(broken).text
        assert day.state(broken) == State.PENDING_APPROVAL
    for path in ("/queue/", "/patients/", "/worklist/"):
        assert reyes.open(path).status == 200, path
    assert day.desk("ansah").open("/audit/").status == 200
    reyes.approve(whole)
    day.after_undo()
    assert day.state(whole) == State.RECONCILED
    if table != "intents_proposal":
        assert len(day.writes()) == 1


def test_a_row_and_the_event_that_vouches_for_it_changed_together_are_caught(day):
    """Who changes both the request and its hash in the log still has not changed the signed leaf."""
    from audit.recording import row_hash

    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)
    entry = OutboxEntry.objects.get()
    overwrite("intents_screening", "adapter_version", pk=entry.screening_id, change=flipped)
    forged = row_hash(type(entry.screening).objects.get(pk=entry.screening_id))

    def vouch(stored: str) -> str:
        rows = json.loads(stored) if isinstance(stored, str) else stored
        for each in rows:
            if each["id"] == str(entry.screening_id):
                each["sha256"] = forged
        return json.dumps(rows)

    overwrite("audit_auditevent", "rows", pk=entry.approval_event_id, change=vouch)
    day.after_undo()
    assert (day.state(proposal), day.reason(proposal)) == (State.HELD, "evidence-broken")
    assert day.writes() == []
