"""A database that another server took over, or that was restored: nothing is sent for one quarantine.

What reads APPROVED then may have been sent. Two things tell: the timeline of PostgreSQL, and the attempts
that this machine has begun, which are written down outside the database before each request leaves.
What neither can tell (a copy on another machine) a person declares.
"""

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.recording import record
from audit.tags import AuditTag
from intents.governance.models import EhrConnection, Tenant
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline.outbox.claiming import ticks

logger = logging.getLogger(__name__)

_DISPATCHER = Actor.system(ActorKind.DISPATCHER)
# So many of the last attempts are asked for; a longer file is cut to them.
_ASKED = 20
_LONGEST = 256_000
# Found when a worker begins to drain, so that no attempt has to ask the database for it.
_latest: dict[str, Path] = {}


# What is done together with the hold or not at all: how long it is, and the moment.
Beside = Callable[[timedelta, datetime], None]


def notice_failover(*, at: datetime, beside: Beside | None = None) -> timedelta | None:
    """Has another database server taken over, or were commits lost? Then hold all sending.

    Returns how long the hold is, once. `beside` holds for people what no search would find, in the same
    transaction: a hold without its exceptions would end with them sent a second time.
    """
    timeline, forgotten = Tick.timeline_now(), _has_forgotten()
    if not forgotten and (timeline is None or Tick.is_noticed(timeline)):
        return None
    return _hold_all(
        timeline=timeline,
        forced=forgotten,
        cause="commits-lost" if forgotten else "timeline-changed",
        actor=_DISPATCHER,
        at=at,
        beside=beside,
    )


def declare_restored(*, actor: Actor, at: datetime, beside: Beside | None = None) -> timedelta:
    """A person says that the database was restored or taken over: hold all sending as if it had been noticed."""
    held_for = _hold_all(
        timeline=Tick.timeline_now(),
        forced=True,
        cause="declared",
        actor=actor,
        at=at,
        beside=beside,
    )
    if held_for is None:
        raise RuntimeError("A hold that is asked for is made.")
    return held_for


def _hold_all(
    *,
    timeline: int | None,
    forced: bool,
    cause: str,
    actor: Actor,
    at: datetime,
    beside: Beside | None,
) -> timedelta | None:
    """Hold sending for the longest quarantine, and let every running one begin again."""
    longest = max((each.quarantine_seconds for each in EhrConnection.unscoped.all()), default=0)
    with transaction.atomic():
        hold_until = Tick.notice(timeline=timeline, hold_for=ticks(longest), forced=forced)
        if hold_until is None:
            return None
        unknown = OutboxEntry.unscoped.filter(
            closed_at__isnull=True,
            intent__state=State.UNCERTAIN,
            quarantine_until_tick__lt=hold_until,
        )
        for entry in unknown.order_by("pk"):
            with tenant_context(entry.tenant_id):
                OutboxEntry.lock(entry.pk).change(
                    actor=_DISPATCHER,
                    at=at,
                    reason="database-restored",
                    quarantine_until_tick=hold_until,
                )
        for tenant_id in Tenant.objects.filter(is_active=True).values_list("pk", flat=True):
            record(
                tag=AuditTag.INTENT_SENDING_HELD,
                actor=actor,
                at=at,
                tenant_id=str(tenant_id),
                body={"cause": cause, "until_tick": hold_until},
            )
        if beside is not None:
            beside(timedelta(seconds=longest), at)
    _start_witness_anew()
    logger.critical(
        "the database was restored or taken over; nothing is sent for one quarantine",
        extra={"cause": cause, "until_tick": hold_until},
    )
    return timedelta(seconds=longest)


# --- the witness outside the database ----------------------------------------------------------------


def witness_attempt(*, entry_id: UUID, attempt_id: UUID) -> None:
    """Write down that an attempt has begun, after that was committed and before its request leaves.

    One line appended at once, so that several workers may. A file that cannot be written delays nobody:
    what is lost is a way to notice, not a safeguard of the write.
    """
    place = _latest.get("file") or _witness_file()
    if place is None:
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="ascii") as lines:
            lines.write(f"{entry_id} {attempt_id}\n")
    except OSError as error:
        logger.error("an attempt has no witness", extra={"error": type(error).__name__})


def _has_forgotten() -> bool:
    """Is one of the last attempts, each committed before it was written down, unknown to the database?"""
    place = _witness_file()
    if place is None:
        return False
    try:
        lines = place.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    begun = {tuple(line.split()) for line in lines[-_ASKED:] if len(line) == 73}
    if sum(map(len, lines)) > _LONGEST:
        _rewrite(place, lines[-_ASKED:])
    if not begun:
        return False
    known = {
        (str(entry), str(attempt))
        for entry, attempt in WriteLedgerEntry.unscoped.filter(
            entry_id__in={entry for entry, _ in begun}, phase=WriteLedgerEntry.Phase.SENT
        ).values_list("entry_id", "attempt_id")
    }
    return not begun <= known


def _start_witness_anew() -> None:
    """What was lost stays lost: it has been acted upon, and is not told again."""
    place = _witness_file()
    if place is not None and place.exists():
        _rewrite(place, [])


def _rewrite(place: Path, lines: list[str]) -> None:
    new = place.with_suffix(f".{os.getpid()}")
    new.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    new.replace(place)


def _witness_file() -> Path | None:
    """The file of this database and its copies; None before its clock has ticked once."""
    identity = Tick.identity_of_database()
    if identity is None:
        return None
    _latest["file"] = place = settings.ATTEMPT_WITNESS_DIR / f"attempts-{identity}"
    return place
