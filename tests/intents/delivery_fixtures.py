"""What the tests of sending share: short deadlines, the truth in the practice EHR, ways to break things."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from audit import insert_only, sequencing
from audit.models import AuditEvent
from intents.models import Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline import dispatch, reconciliation
from intents.pipeline.delivery import faults
from tests.factories import Clinic

UNDO = timedelta(seconds=61)


class Killed(BaseException):
    """The process dies here: nothing may catch it."""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.disarm()


@pytest.fixture
def impatient(settings: Any) -> None:
    """An EHR that keeps silent is given up after a second."""
    settings.EHR_TIMEOUT_SECONDS = 1.0


def die() -> None:
    raise Killed


def kill_at(place: str) -> None:
    """Let the next process that passes this place die there."""

    def hook() -> None:
        faults.disarm()
        die()

    faults.arm(place, hook)


def posts(clinic: Clinic, *, vendor: str = "generic") -> list[dict[str, Any]]:
    """The writes that reached the EHR, whatever it answered."""
    return [
        entry
        for entry in clinic.practice.log(vendor=vendor)
        if entry["method"] in ("POST", "PUT") and "token" not in entry["path"]
    ]


def tags_held(clinic: Clinic, *, vendor: str = "generic", kind: str = "DocumentReference") -> int:
    """How many entries the portal caused: the truth, from the EHR's own store."""
    return len(clinic.written(vendor=vendor, kind=kind))


def phases(intent: Intent) -> list[str]:
    return list(
        WriteLedgerEntry.objects.filter(intent=intent)
        .order_by("at", "tick", "pk")
        .values_list("phase", flat=True)
    )


def checkpoint(*, at: datetime) -> None:
    sequencing.sequence(at=at)


def send(clinic: Clinic, *, at: datetime | None = None) -> datetime:
    """Past the undo time: checkpoint and drain; returns the moment."""
    moment = (at or clinic.at) + UNDO
    checkpoint(at=moment)
    dispatch.drain(at=moment)
    return moment


def past_quarantine(*, at: datetime) -> datetime:
    """Every quarantine is over; returns a moment when the next look is due."""
    Tick.advance(at=at, by=1000)
    return at + timedelta(minutes=5)


def look(*, at: datetime) -> int:
    return reconciliation.settle_due(at=at)


def lapse(*, at: datetime) -> datetime:
    """The lease of whoever died has lapsed and the sweeper has seen it; returns the moment."""
    moment = at + timedelta(minutes=3)
    reconciliation.settle_due(at=moment)
    return moment


def tags_of(intent: Intent) -> list[str]:
    """The audit tags about one change, oldest first."""
    return list(
        AuditEvent.objects.filter(intent_id=str(intent.pk))
        .order_by("recorded_at")
        .values_list("tag", flat=True)
    )


def entry_of(intent: Intent) -> OutboxEntry:
    return OutboxEntry.objects.filter(intent=intent).latest("created_at")


@contextmanager
def without_triggers() -> Iterator[None]:
    """As the database's owner could: change what nobody else can, and leave no trace."""
    insert_only.uninstall()
    try:
        yield
    finally:
        insert_only.install()


def overwrite(table: str, column: str, *, pk: object, change: Callable[[Any], Any]) -> None:
    """Change one stored value behind every manager and trigger."""
    key = pk.hex if connection.vendor == "sqlite" and hasattr(pk, "hex") else str(pk)
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} WHERE id = %s", [key])
        [value] = cursor.fetchone()
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [change(value), key])
