"""A log of its own for every test: fresh keys, a fresh witness, and a way to record events."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from audit import insert_only, sequencing
from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from audit.recording import record
from audit.tags import AuditTag

LOG = "clinic-1"
SCRIBE = Actor(ActorKind.AGENT, id="agent-7", name="Visit scribe", authority="system/Task.c")
DOCTOR = Actor(ActorKind.REVIEWER, id="person-3", name="Dr A. Reyes")


@pytest.fixture(autouse=True)
def _own_keys_and_witness(settings: Any, tmp_path: Path) -> None:
    settings.KEY_DIR = tmp_path / "keys"
    settings.KEY_DIR.mkdir(mode=0o700)
    settings.AUDIT_WITNESS_FILE = tmp_path / "elsewhere" / "checkpoints.jsonl"


@pytest.fixture
def note(db: None, now: datetime) -> Callable[..., AuditEvent]:
    """Record one event in a transaction of its own."""

    def note_event(tag: AuditTag = AuditTag.INTENT_RECEIVED, **values: Any) -> AuditEvent:
        wanted = {"actor": SCRIBE, "at": now, "tenant_id": LOG, "intent_id": "intent-1"} | values
        with transaction.atomic():
            return record(tag=tag, **wanted)

    return note_event


@pytest.fixture
def written(note: Callable[..., AuditEvent], now: datetime) -> list[AuditEvent]:
    """A change from receipt to read-back in eight leaves under four checkpoints, all of it in order."""
    payload = {"payload_hash": "ab" * 32}
    events = [
        note(AuditTag.INTENT_RECEIVED, body={"kind": "problem"}),
        note(AuditTag.INTENT_WIRE_FROZEN, body=payload),
    ]
    sequencing.sequence(at=now)
    events += [
        note(AuditTag.INTENT_VALIDATION_PASSED),
        note(AuditTag.INTENT_POLICY_DECIDED, body={"tier": "APPROVAL"}),
        note(AuditTag.INTENT_REVIEW_APPROVED, actor=DOCTOR, body=payload, rows=events[:1]),
    ]
    sequencing.sequence(at=now)
    events += [
        note(AuditTag.INTENT_WRITE_SUBMITTED, body=payload),
        note(AuditTag.INTENT_WRITE_ACCEPTED, body={"status": 201}),
    ]
    sequencing.sequence(at=now)
    events.append(note(AuditTag.INTENT_WRITE_RECONCILED))
    sequencing.sequence(at=now)
    return events


@contextmanager
def as_owner() -> Iterator[Callable[..., None]]:
    """What the owner of the database can do: drop the triggers, run any statement, put them back."""
    insert_only.uninstall()
    with connection.cursor() as cursor:
        yield lambda sql, *params: cursor.execute(sql, params)
    insert_only.install()
