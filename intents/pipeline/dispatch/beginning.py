"""The beginning of an attempt: verify everything, commit the fact of sending, send nothing yet."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.recording import record
from audit.tags import AuditTag
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Tag, WirePlan
from ehr_adapters.errors import AdapterMisconfigured, Unsupported
from intents.governance import switches
from intents.governance.models import EhrConnection, Rollout
from intents.lifecycle import State
from intents.models import Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline import gateway, outbox
from intents.pipeline.delivery import words
from intents.pipeline.delivery.deciding import decide
from intents.pipeline.delivery.faults import fault_point
from intents.pipeline.delivery.records import Began, Delivery
from intents.pipeline.delivery.words import Phase
from intents.pipeline.dispatch import permitting
from intents.pipeline.dispatch.verifying import (
    EvidenceBroken,
    NotYetProven,
    Verified,
    leads_elsewhere,
    verify,
)
from intents.pipeline.outbox import Claimed, Facts
from intents.pipeline.screening.facts import Decided
from intents.queries import stages

logger = logging.getLogger(__name__)

DISPATCHER = Actor.system(ActorKind.DISPATCHER)


def acting_on(entry: OutboxEntry) -> Actor:
    """The dispatcher, by the right of the approval that it carries out."""
    return DISPATCHER.with_authority(f"approval {entry.decision_id}")


@dataclass(frozen=True, slots=True)
class Begun:
    """What the exchange needs, read in the transaction that committed the beginning."""

    intent: Intent
    entry: OutboxEntry
    attempt_id: UUID
    plan: WirePlan
    capability: Capability
    delivery: Delivery
    # what the rules said at the claim
    answer: Decided
    tags: tuple[Tag, ...]
    first_sent_at: datetime


class _NotNow(Exception):
    """Nothing is wrong, but it may not be sent at this moment: the entry waits."""


class _Stop(Exception):
    """It must not be sent: `code` of delivery's reasons, and whose decision that is."""

    def __init__(self, code: str, *, to: State, actor: Actor = DISPATCHER, check: str = "") -> None:
        super().__init__(code)
        self.code, self.to, self.actor, self.check = code, to, actor, check


def begin(claimed: Claimed, *, at: datetime) -> Begun | None:
    fault_point("before_claim")
    with transaction.atomic(durable=True):
        intent, entry = lock_with_all(intent_id=claimed.intent_id, entry_id=claimed.entry_id)
        if (
            entry.attempt_id != claimed.attempt_id
            or entry.closed_at is not None
            or outbox.is_lapsed(entry, at=at)
            or intent.state != State.APPROVED
        ):
            return None
        try:
            verified, answer = _check(intent, entry, at=at)
            capability = _capability(intent)
        except _NotNow:
            _give_back(entry, at=at)
            return None
        except _Stop as stop:
            _stop(intent, entry, stop, at=at)
            return None
        begun = _commit_beginning(
            intent,
            entry,
            verified.plan,
            capability,
            answer=answer,
            attempt_id=claimed.attempt_id,
            at=at,
        )
        fault_point("before_claim_commit")
    outbox.witness_attempt(entry_id=claimed.entry_id, attempt_id=claimed.attempt_id)
    return begun


def lock_with_all(*, intent_id: UUID, entry_id: UUID) -> tuple[Intent, OutboxEntry]:
    """The change and its entry, locked in this order, with every row that an attempt reads beside them."""
    intent = (
        Intent.objects.select_for_update(of=("self",))
        .select_related("tenant", "connection", "proposal__agent", "proposal__agent_release")
        .get(pk=intent_id)
    )
    entry = (
        OutboxEntry.objects.select_for_update(of=("self",))
        .select_related("screening__version", "decision__reviewer__user")
        .get(pk=entry_id)
    )
    entry.intent = intent
    entry.connection = intent.connection
    intent.proposal.connection = intent.connection
    # The same rows by other names need no further look.
    screening = entry.screening
    if screening.version.intent_id == intent.pk:
        screening.version.intent = intent
    if intent.current_screening_id == screening.pk:
        intent.current_screening = screening
    if intent.current_version_id == screening.version_id:
        intent.current_version = screening.version
    return intent, entry


def _commit_beginning(
    intent: Intent,
    entry: OutboxEntry,
    plan: WirePlan,
    capability: Capability,
    *,
    answer: Decided,
    attempt_id: UUID,
    at: datetime,
) -> Begun:
    tick = Tick.now()
    before = outbox.delivery_of(intent=intent, entry=entry, capability=capability)
    first = (
        WriteLedgerEntry.objects.filter(intent=intent, phase=Phase.SENT)
        .order_by("at")
        .values_list("at", flat=True)
        .first()
    )
    later = [
        WriteLedgerEntry.write(
            entry=entry,
            attempt_id=attempt_id,
            phase=WriteLedgerEntry.Phase.SENT,
            actor=DISPATCHER,
            at=at,
            tick=tick,
            step=number,
            request_hash=step.request_hash(),
            endpoint=step.path.split("/")[0],
            token_scope=step.scope,
        )
        for number, step in enumerate(plan.steps)
        if number
    ]
    step = plan.steps[0]
    outbox.carry_out(
        decide(before, Began(attempt_id=str(attempt_id))),
        intent=intent,
        entry=entry,
        attempt_id=attempt_id,
        actor=acting_on(entry),
        at=at,
        tick=tick,
        facts=Facts(
            step=0,
            request_hash=step.request_hash(),
            endpoint=step.path.split("/")[0],
            token_scope=step.scope,
            also_recorded=tuple(later),
        ),
    )
    tags = tuple(Tag(str(tag)) for tag in intent.versions.values_list("tag", flat=True))
    return Begun(
        intent=intent,
        entry=entry,
        attempt_id=attempt_id,
        plan=plan,
        capability=capability,
        delivery=before,
        answer=answer,
        tags=tags,
        first_sent_at=first or at,
    )


def _check(intent: Intent, entry: OutboxEntry, *, at: datetime) -> tuple[Verified, Decided]:
    """Everything that must hold at the moment of sending, none of it on the word of the claim."""
    if is_switched_off(intent):
        raise _NotNow
    if intent.approval_expires_at is None or at >= intent.approval_expires_at:
        raise _NotNow  # the scheduler ends it
    turn = outbox.turn_at_beginning(intent, entry)
    if turn is outbox.Turn.WAIT:
        raise _NotNow
    if turn is outbox.Turn.HOLD:
        raise _Stop("reported-change-failed", to=State.HELD)
    _check_stage(intent, at=at)
    try:
        verified = verify(intent=intent, entry=entry)
    except NotYetProven:
        outbox.wake("sequencer")
        raise _NotNow from None
    except EvidenceBroken as broken:
        raise _Stop("evidence-broken", to=State.HELD, check=broken.check) from None
    if leads_elsewhere(intent, screening=entry.screening):
        raise _Stop("connection-changed", to=State.HELD)
    now = permitting.standing(intent, entry, at=at)
    permitting.keep(now, entry, at=at)
    if now.withdrawn is not None or now.answer is None:
        withdrawn = now.withdrawn or permitting.Withdrawn("rules-tightened")
        raise _Stop(withdrawn.code, to=State.HELD, actor=withdrawn.actor or DISPATCHER)
    return verified, now.answer


def _check_stage(intent: Intent, *, at: datetime) -> None:
    """What the connection's stage keeps back. A canary counts under the connection's lock, so that two
    workers never begin one change too many."""
    kept_back = stages.why_not_sent(intent.connection, intent)
    if kept_back:
        raise _Stop(kept_back, to=State.HELD)
    if intent.connection.rollout == Rollout.CANARY:
        locked = EhrConnection.objects.select_for_update(of=("self",), no_key=True).get(
            pk=intent.connection_id
        )
        if stages.is_full_today(locked, but=intent, at=at):
            raise _NotNow


def is_switched_off(intent: Intent) -> bool:
    """A kill switch at any level, writing switched off for the tenant or the connection, or a stage of
    the connection that does not send this: whoever claims it next says which."""
    return not (
        intent.tenant.write_back_enabled
        and intent.tenant.is_active
        and intent.connection.write_back_enabled
        and not stages.why_not_sent(intent.connection, intent)
    ) or bool(
        switches.stopping(
            tenant_id=intent.tenant_id,
            connection_id=intent.connection_id,
            agent_id=intent.proposal.agent_id,
            change_kind=intent.change_kind,
        )
    )


def _capability(intent: Intent) -> Capability:
    try:
        return gateway.capability(
            connection=intent.connection,
            kind=intent.change_kind,
            interaction=intent.interaction,
        )
    except Unsupported:
        raise _Stop("unsupported", to=State.FAILED) from None
    except AdapterMisconfigured:
        raise _Stop("misconfigured", to=State.FAILED) from None


def _give_back(entry: OutboxEntry, *, at: datetime) -> None:
    entry.change(
        actor=DISPATCHER,
        at=at,
        reason="not now",
        attempt_id=None,
        lease_until=None,
        not_before=at + timedelta(seconds=1),
    )


def _stop(intent: Intent, entry: OutboxEntry, stop: _Stop, *, at: datetime) -> None:
    reason = words.reason(stop.code)
    intent.advance(
        stop.to,
        actor=stop.actor if stop.actor.authority else acting_on(entry),
        at=at,
        reason=reason,
        detail={"code": stop.code, "check": stop.check, "payload_hash": entry.payload_hash},
    )
    entry.close(actor=DISPATCHER, at=at, reason=reason)
    if stop.code == "evidence-broken":
        logger.critical(
            "stored evidence of an approval does not hold; nothing was sent",
            extra={"intent_id": str(intent.pk), "check": stop.check},
        )
        record(
            tag=AuditTag.INTENT_EVIDENCE_BROKEN,
            actor=acting_on(entry),
            at=at,
            tenant_id=str(intent.tenant_id),
            proposal_id=str(intent.proposal_id),
            intent_id=str(intent.pk),
            correlation_id=intent.proposal.correlation_id,
            body={"check": stop.check, "entry": str(entry.pk)},
        )
