"""Giving one entry to one worker: what may be sent now, in which order, and what has to wait.

A claim is a short transaction that leases the entry; nothing is sent and nothing is recorded as sent
by it. Whatever forbids sending is looked at here, so that nobody leases in vain, and looked at again
by dispatch, which trusts nothing of this.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from audit.actors import Actor, ActorKind
from audit.models import LogLeaf
from intents.governance import switches
from intents.governance.models import EhrConnection
from intents.governance.tenancy import tenant_context
from intents.lifecycle import WRITTEN, State
from intents.models import Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline.delivery import words
from intents.pipeline.delivery.looking import BREAKER_AFTER, Answer, breaker_opens_until
from intents.pipeline.delivery.words import Phase
from intents.pipeline.outbox.waking import wake
from intents.queries import stages

# Longer than every deadline of one attempt together; a worker that needs longer has lost its row.
LEASE = timedelta(seconds=120)
# So many attempts at once on one connection: an EHR that hangs must not hold every worker.
AT_ONCE = 3
_CHUNK = 50
_MOST = 1000
_DISPATCHER = Actor.system(ActorKind.DISPATCHER)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One entry, leased to one attempt until the lease lapses."""

    tenant_id: UUID
    intent_id: UUID
    entry_id: UUID
    attempt_id: UUID


def ticks(seconds: float) -> int:
    """So many seconds in ticks of the portal's clock, rounded up, and one for the tick in progress."""
    return math.ceil(seconds / settings.TICK_SECONDS) + 1


def is_lapsed(entry: OutboxEntry, *, at: datetime) -> bool:
    """Nobody holds a valid lease on the entry. A lease that ends later than one can was given by a
    clock that has been set back since, and is void."""
    return entry.lease_until is None or not at < entry.lease_until <= at + LEASE


def lapsed(*, at: datetime) -> Q:
    """`is_lapsed` as a condition of a query on entries."""
    return Q(lease_until__isnull=True) | Q(lease_until__lte=at) | Q(lease_until__gt=at + LEASE)


# --- claiming -------------------------------------------------------------------------------------


def claim(*, at: datetime) -> Claimed | None:
    """Lease the entry whose turn it is, of any tenant, or None when nothing may be sent now.

    Compare-and-set under row locks: two workers never hold one entry, nor two entries of one shard.
    Changes that can no longer be sent, because one that they report failed, are held on the way.
    """
    if Tick.is_sending_held():
        return None
    closed_doors: dict[UUID, bool] = {}
    for entry in _candidates(at=at):
        if entry.connection_id not in closed_doors:
            closed_doors[entry.connection_id] = _is_left_alone(entry.connection, at=at)
        if closed_doors[entry.connection_id]:
            continue
        with tenant_context(entry.tenant_id):
            claimed = _try(entry, at=at)
        if claimed is not None:
            return claimed
    return None


def _candidates(*, at: datetime) -> Iterator[OutboxEntry]:
    """Entries that are due, oldest first, without those that their own shard makes wait."""
    live = OutboxEntry.unscoped.filter(closed_at__isnull=True)
    neighbours = live.filter(shard_key=OuterRef("shard_key")).exclude(pk=OuterRef("pk"))
    being_sent = neighbours.filter(Q(intent__state=State.SUBMITTED) | ~lapsed(at=at))
    # What may or may not be in the chart blocks the same entry, and the same kind for the patient.
    unknown = neighbours.filter(intent__state=State.UNCERTAIN).filter(
        Q(intent__change_kind=OuterRef("intent__change_kind"))
        | (Q(intent__target_key=OuterRef("intent__target_key")) & ~Q(intent__target_key=""))
    )
    due = (
        live.filter(
            lapsed(at=at),
            not_before__lte=at,
            intent__state=State.APPROVED,
            intent__approval_expires_at__gt=at,
            tenant__is_active=True,
            tenant__write_back_enabled=True,
            connection__write_back_enabled=True,
        )
        .filter(~Exists(being_sent), ~Exists(unknown))
        .select_related("intent__proposal__agent", "connection")
        .order_by("not_before", "id")
    )
    for start in range(0, _MOST, _CHUNK):
        chunk = list(due[start : start + _CHUNK])
        yield from chunk
        if len(chunk) < _CHUNK:
            return


def _is_left_alone(connection: EhrConnection, *, at: datetime) -> bool:
    """The connection is silent, asked to slow down, or busy enough."""
    live = OutboxEntry.unscoped.filter(connection=connection, closed_at__isnull=True)
    leased = live.exclude(lapsed(at=at)).count()
    if leased >= getattr(settings, "DISPATCH_AT_ONCE_PER_CONNECTION", AT_ONCE):
        return True
    rows = list(
        WriteLedgerEntry.unscoped.filter(
            entry__connection=connection,
            phase__in=[Phase.ACKNOWLEDGED, Phase.REFUSED, Phase.NOT_SENT, Phase.UNKNOWN],
        )
        .order_by("-at", "-id")
        .values_list("phase", "outcome", "at", "entry__not_before")[: 4 * BREAKER_AFTER]
    )
    if not rows:
        return False
    if rows[0][1] == "RateLimited" and rows[0][3] > at:
        return True
    until = breaker_opens_until([Answer(Phase(row[0]), row[1], row[2]) for row in rows])
    if until is None:
        return False
    # Half-open after that: one attempt at a time, which begins with a reading.
    return at < until or leased > 0


class _Turn(StrEnum):
    GO = "go"
    WAIT = "wait"
    HOLD = "hold"


def _try(entry: OutboxEntry, *, at: datetime) -> Claimed | None:
    intent = entry.intent
    if switches.stopping(
        tenant_id=entry.tenant_id,
        connection_id=entry.connection_id,
        agent_id=intent.proposal.agent_id,
        change_kind=intent.change_kind,
    ):
        return None
    kept_back = stages.why_not_sent(entry.connection, intent)
    if kept_back:
        hold(intent.pk, code=kept_back, at=at)
        return None
    if stages.is_full_today(entry.connection, but=intent, at=at):
        return None
    turn = _turn(intent, entry)
    if turn is _Turn.HOLD:
        hold(intent.pk, code="reported-change-failed", at=at)
        return None
    if turn is _Turn.WAIT:
        return None
    if not LogLeaf.objects.filter(event_id=entry.approval_event_id).exists():
        # The approval is not in the signed log yet; sequencing wakes dispatch when it is.
        wake("sequencer")
        return None
    return _lease(entry, at=at)


def _lease(entry: OutboxEntry, *, at: datetime) -> Claimed | None:
    with transaction.atomic():
        if not _lock_shard(entry.shard_key):
            return None
        intent = (
            Intent.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(pk=entry.intent_id, state=State.APPROVED, approval_expires_at__gt=at)
            .first()
        )
        locked = (
            OutboxEntry.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(lapsed(at=at), pk=entry.pk, closed_at__isnull=True, not_before__lte=at)
            .first()
        )
        if intent is None or locked is None:
            return None
        others = OutboxEntry.objects.filter(
            shard_key=locked.shard_key, closed_at__isnull=True
        ).exclude(pk=locked.pk)
        if others.filter(Q(intent__state=State.SUBMITTED) | ~lapsed(at=at)).exists():
            return None
        attempt_id = uuid4()
        locked.lease(attempt_id=attempt_id, until=at + LEASE, tick=Tick.now())
    return Claimed(
        tenant_id=entry.tenant_id,
        intent_id=entry.intent_id,
        entry_id=entry.pk,
        attempt_id=attempt_id,
    )


def _lock_shard(shard_key: str) -> bool:
    """True when no other transaction is claiming from this shard at this moment."""
    if database.vendor != "postgresql":
        return True  # SQLite: the transaction holds the only write lock there is
    number = int.from_bytes(bytes.fromhex(shard_key)[:8], signed=True)
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])


# --- what a change waits for ----------------------------------------------------------------------


# What may still come to be written: whatever reports it waits.
_STILL_OPEN = (
    State.DRAFTED,
    State.VALIDATED,
    State.PENDING_APPROVAL,
    State.APPROVED,
    State.SUBMITTED,
    State.UNCERTAIN,
)


def _turn(intent: Intent, entry: OutboxEntry) -> _Turn:
    """Notes go after the changes that they report, and anything after what it depends on."""
    siblings = {
        sibling.ref: sibling
        for sibling in Intent.objects.filter(proposal_id=intent.proposal_id).exclude(pk=intent.pk)
    }
    if not siblings:
        return _Turn.GO
    awaited = [siblings[ref] for ref in _reported(intent, entry) if ref in siblings]
    turn = _Turn.GO
    for other in awaited:
        state = State(other.state)
        if state in WRITTEN or state == State.SUPERSEDED:
            continue
        if state in _STILL_OPEN:
            turn = _Turn.WAIT
        elif other.state_changed_at > entry.created_at:
            return _Turn.HOLD
        # Otherwise it had ended before the approval: the reviewer saw that, and decided about it.
    return turn


def _reported(intent: Intent, entry: OutboxEntry) -> set[str]:
    """The refs of the changes that this one depends on or reports."""
    refs = set(intent.depends_on)
    if intent.change_kind == "note":
        content = entry.screening.version.phi_json("content") or {}
        for section in content.get("sections") or ():
            refs.update(str(act["change"]) for act in section.get("acts") or ())
    return refs


# --- a database that took over --------------------------------------------------------------------


def notice_failover(*, at: datetime) -> timedelta | None:
    """Has another database server taken over? Then hold all sending for one quarantine.

    A stand-by may have lost the last commits, so a change that reads APPROVED may have been sent.
    After the hold, the search before sending finds it; every running quarantine starts again. Returns
    how long the hold is, once, for the caller to hold for people what no search would find.
    """
    timeline = _timeline()
    if timeline is None:
        return None
    longest = max((each.quarantine_seconds for each in EhrConnection.unscoped.all()), default=0)
    with transaction.atomic():
        hold_until = Tick.notice(timeline=timeline, hold_for=ticks(longest))
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
    return timedelta(seconds=longest)


def hold(intent_id: UUID, *, code: str, at: datetime) -> None:
    """Stop an approved change for a person, unless an attempt owns it. `code` is one of delivery's reasons."""
    with transaction.atomic():
        intent = Intent.lock(intent_id)
        entry = OutboxEntry.objects.filter(intent=intent, closed_at__isnull=True).first()
        if intent.state != State.APPROVED or entry is None or not is_lapsed(entry, at=at):
            return
        reason = words.reason(code)
        intent.advance(State.HELD, actor=_DISPATCHER, at=at, reason=reason)
        OutboxEntry.lock(entry.pk).close(actor=_DISPATCHER, at=at, reason=reason)


def _timeline() -> int | None:
    """The number of times that a stand-by has become this database; None where there is no such thing."""
    if database.vendor != "postgresql":
        return None
    with database.cursor() as cursor:
        cursor.execute("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
        return int(cursor.fetchone()[0], 16)
