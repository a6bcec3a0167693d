"""Finding what is due: leases that lapsed, outcomes to look for, entries to read back, alarms to raise."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from audit.tags import AuditTag
from ehr_adapters.capabilities import Finality
from intents.governance.models import EhrConnection
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import Discrepancy, Intent, OutboxEntry, Tick
from intents.pipeline import outbox
from intents.pipeline.delivery.deciding import decide
from intents.pipeline.delivery.looking import ALARMS, DISCREPANCY_ALARM, next_look
from intents.pipeline.delivery.records import LeaseLapsed, OutOfPlace
from intents.pipeline.reconciliation.looking import confirm, settle, subject_of

logger = logging.getLogger(__name__)

_SCHEDULER = Actor.system(ActorKind.SCHEDULER)
_DAY = 86_400


def settle_due(*, at: datetime, limit: int = 100) -> int:
    """Sweep lapsed leases, then look at what is due, oldest look first; returns how many were touched.

    Safe to run at any time by any number of workers. Must not be called inside a transaction.
    """
    started = monotonic()
    touched = _sweep_leases(at=at, limit=limit)
    for tenant_id, intent_id, state in _due(at=at, limit=limit):
        moment = at + timedelta(seconds=monotonic() - started)
        with tenant_context(tenant_id):
            if _look(intent_id, state, at=moment):
                touched += 1
    _raise_alarms(at=at)
    return touched


def _sweep_leases(*, at: datetime, limit: int) -> int:
    """A lapsed lease means that nobody knows: UNCERTAIN, never back to the queue."""
    lapsed = (
        OutboxEntry.unscoped.filter(
            outbox.lapsed(at=at), closed_at__isnull=True, intent__state=State.SUBMITTED
        )
        .order_by("lease_until", "id")
        .values_list("tenant_id", "intent_id", "pk")[:limit]
    )
    swept = 0
    for tenant_id, intent_id, entry_id in list(lapsed):
        with tenant_context(tenant_id):
            swept += _sweep(intent_id, entry_id, at=at)
    return swept


def _sweep(intent_id: UUID, entry_id: UUID, *, at: datetime) -> int:
    subject = subject_of(intent_id)
    if subject is None:
        return 0
    with transaction.atomic(durable=True):
        intent = Intent.lock(intent_id)
        entry = OutboxEntry.lock(entry_id)
        if (
            intent.state != State.SUBMITTED
            or entry.closed_at is not None
            or entry.attempt_id is None
            or not outbox.is_lapsed(entry, at=at)
        ):
            return 0
        tick = Tick.now()
        delivery = outbox.delivery_of(intent=intent, entry=entry, capability=subject.capability)
        try:
            decision = decide(delivery, LeaseLapsed(attempt_id=str(entry.attempt_id), tick=tick))
        except OutOfPlace:
            return 0
        outbox.carry_out(
            decision,
            intent=intent,
            entry=entry,
            attempt_id=entry.attempt_id,
            actor=_SCHEDULER,
            at=at,
            tick=tick,
        )
    return 1


def _due(*, at: datetime, limit: int) -> Iterator[tuple[UUID, UUID, State]]:
    """What may be worth a look, the longest unlooked first. The table says whether it is."""
    soon = Q(last_looked_at__isnull=True) | Q(last_looked_at__lte=at - timedelta(seconds=5))
    soon |= Q(last_looked_at__gt=at)
    waiting = Q(state=State.ACCEPTED, finality=Finality.STAGED)
    rows: list[tuple[UUID, UUID, str]] = []
    quick = Intent.unscoped.filter(
        Q(state=State.UNCERTAIN) | (Q(state=State.ACCEPTED) & ~waiting), soon
    )
    rows += _oldest(quick, limit=limit)
    for connection in EhrConnection.unscoped.filter(tenant__is_active=True):
        every = _staged_every(connection)
        staged = Intent.unscoped.filter(waiting, connection=connection).filter(
            Q(last_looked_at__isnull=True)
            | Q(last_looked_at__lte=at - every)
            | Q(last_looked_at__gt=at)
        )
        rows += _oldest(staged, limit=limit)
    for tenant_id, intent_id, state in rows[:limit]:
        yield tenant_id, intent_id, State(state)


def _oldest(intents: QuerySet[Intent], *, limit: int) -> list[tuple[UUID, UUID, str]]:
    return list(
        intents.order_by(F("last_looked_at").asc(nulls_first=True), "pk").values_list(
            "tenant_id", "pk", "state"
        )[:limit]
    )


def _staged_every(connection: EhrConnection) -> timedelta:
    """How often to look for what waits in this EHR; daily unless its settings say otherwise."""
    return timedelta(seconds=int(connection.settings.get("staged_look_seconds", _DAY)))


def _look(intent_id: UUID, state: State, *, at: datetime) -> bool:
    subject = subject_of(intent_id)
    if subject is None or subject.intent.state != state:
        return False
    intent = subject.intent
    delivery = outbox.delivery_of(intent=intent, entry=subject.entry, capability=subject.capability)
    due = next_look(
        delivery,
        since=intent.state_changed_at,
        last_looked_at=intent.last_looked_at,
        at=at,
        staged_every=_staged_every(intent.connection),
    )
    if due is None or due > at:
        return False
    try:
        if state == State.UNCERTAIN:
            settle(intent_id=intent_id, at=at)
        else:
            confirm(intent_id=intent_id, at=at)
    except Exception as error:  # noqa: BLE001 - one change must not stop the sweep of all others
        logger.error(
            "a change could not be looked for",
            extra={"intent_id": str(intent_id), "error": type(error).__name__},
        )
        return False
    return True


# --- alarms ---------------------------------------------------------------------------------------


def _raise_alarms(*, at: datetime) -> None:
    """Tell once, in the log of events and in the log file, what has waited too long for a person."""
    code, patience = DISCREPANCY_ALARM
    waiting = [
        *(
            one
            for state, (why, after) in ALARMS.items()
            for one in _waiting(state, code=why, before=at - after)
        ),
        *(
            (tenant_id, intent_id, opened_at, code)
            for tenant_id, intent_id, opened_at in Discrepancy.unscoped.filter(
                resolved_at__isnull=True, opened_at__lte=at - patience
            ).values_list("tenant_id", "intent_id", "opened_at")
        ),
    ]
    for tenant_id, intent_id, since, why in waiting:
        with tenant_context(tenant_id):
            _alarm(intent_id, code=why, since=since, at=at)


def _waiting(
    state: State, *, code: str, before: datetime
) -> Iterator[tuple[UUID, UUID, datetime, str]]:
    found = Intent.unscoped.filter(state=state, state_changed_at__lte=before)
    for tenant_id, intent_id, since in found.values_list("tenant_id", "pk", "state_changed_at"):
        yield tenant_id, intent_id, since, code


def _alarm(intent_id: UUID, *, code: str, since: datetime, at: datetime) -> None:
    told = AuditEvent.objects.filter(
        intent_id=str(intent_id), tag=AuditTag.INTENT_ESCALATED.value, at__gte=since
    )
    if told.exists():
        return
    with transaction.atomic():
        intent = Intent.lock(intent_id)
        if told.exists():
            return
        intent.note(tag=AuditTag.INTENT_ESCALATED, actor=_SCHEDULER, at=at, code=code)
    logger.warning(
        "a change waits for a person",
        extra={"intent_id": str(intent_id), "code": code, "since": since.isoformat()},
    )
