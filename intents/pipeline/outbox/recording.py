"""From stored rows to a `Delivery`, and from a decision back into rows. Used under the intent's lock."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model

from audit.actors import Actor, ActorKind
from audit.encoding import sha256_hex
from audit.tags import AuditTag
from ehr_adapters.capabilities import Capability, Finality
from intents.lifecycle import WRITTEN, RejectedBy, State
from intents.models import Discrepancy, Intent, OutboxEntry, WriteLedgerEntry
from intents.pipeline.delivery import words
from intents.pipeline.delivery.facts import Fact, last_outcome, was_maybe_sent
from intents.pipeline.delivery.records import (
    CloseEntry,
    Decision,
    Delivery,
    Ledger,
    LookNow,
    OpenDiscrepancy,
    Quarantine,
    Requeue,
)
from intents.pipeline.delivery.words import Phase
from intents.pipeline.outbox.claiming import ticks
from intents.pipeline.outbox.waking import wake

_RECONCILER = Actor.system(ActorKind.RECONCILER)
_FACTS_OF_AN_ANSWER = (
    "request_hash",
    "vendor_code",
    "resource_ref",
    "resource_version",
    "reply_hash",
    "endpoint",
    "token_scope",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known beside the decision: codes, ids and hashes of one answer, never its content."""

    step: int | None = None
    request_hash: str = ""
    status_code: int | None = None
    vendor_code: str = ""
    resource_ref: str = ""
    resource_version: str = ""
    reply_hash: str = ""
    endpoint: str = ""
    token_scope: str = ""
    # where the EHR's entry differs: JSON pointers
    paths: tuple[str, ...] = ()
    # a person's words, sealed in the ledger
    evidence: str = ""
    # ledger rows that the caller wrote itself, for the same audit event
    also_recorded: tuple[WriteLedgerEntry, ...] = ()
    # further codes for the audit event
    detail: dict[str, object] = field(default_factory=dict)


def delivery_of(*, intent: Intent, entry: OutboxEntry, capability: Capability) -> Delivery:
    """The delivery as the rows have it. `capability` is what the connection admits today."""
    facts = [
        Fact(*row)
        for row in WriteLedgerEntry.objects.filter(intent=intent)
        .order_by("at", "step")
        .values_list("attempt_id", "phase", "outcome", "entry_id")
    ]
    connection = intent.connection
    if intent.approval_expires_at is None:
        raise ValueError("An approved change has an end to its approval.")
    return Delivery(
        state=State(intent.state),
        retry=capability.retry,
        find=capability.find,
        finality=Finality(intent.finality or capability.finality),
        approval_expires_at=intent.approval_expires_at,
        quarantine_ticks=ticks(connection.quarantine_seconds),
        lag_ticks=ticks(connection.index_lag_seconds),
        attempts=entry.attempts,
        attempt_id=str(entry.attempt_id or ""),
        maybe_sent=was_maybe_sent(facts, present=entry.attempt_id),
        partial=Discrepancy.objects.filter(
            intent=intent, kind=Discrepancy.Kind.PARTIAL, resolved_at__isnull=True
        ).exists(),
        last_outcome=last_outcome(facts, entry_id=entry.pk),
        quarantine_until=entry.quarantine_until_tick,
    )


def carry_out(
    decision: Decision,
    *,
    intent: Intent,
    entry: OutboxEntry,
    attempt_id: UUID,
    actor: Actor,
    at: datetime,
    tick: int,
    facts: Facts | None = None,
    **changes: Any,
) -> None:
    """Write a decision: ledger, entry, discrepancies, the intent's state and their audit events.

    The caller holds the locks of intent and entry in one transaction. `changes` are further columns
    of the intent.
    """
    facts = facts or Facts()
    changes = {name: _fitted(Intent, name, value) for name, value in changes.items()}
    rows = [
        *_write_ledger(
            decision, entry=entry, attempt_id=attempt_id, actor=actor, at=at, tick=tick, facts=facts
        ),
        *facts.also_recorded,
    ]
    before, after = State(intent.state), decision.delivery.state
    reason = words.reason(decision.reason) if decision.reason else ""
    _change_entry(decision, entry=entry, actor=actor, at=at, reason=reason)
    for effect in decision.effects:
        if isinstance(effect, OpenDiscrepancy):
            Discrepancy.open(
                intent=intent,
                kind=effect.kind.value,
                actor=actor,
                at=at,
                owner=_owner_of(entry),
                paths=list(facts.paths),
                resource_ref=facts.resource_ref,
            )
        elif isinstance(effect, LookNow):
            changes["last_looked_at"] = None
            wake("reconciliation")
    detail: dict[str, object] = {
        "payload_hash": entry.payload_hash,
        "attempt": str(attempt_id),
        "entry": str(entry.pk),
        "tick": tick,
        **_open_facts(facts),
        **facts.detail,
    }
    if after != before:
        intent.advance(
            after,
            actor=actor,
            at=at,
            reason=reason,
            rejected_by=RejectedBy.EHR if after == State.REJECTED else None,
            rows=rows,
            detail=detail,
            **changes,
        )
        _after(intent, at=at)
        return
    if changes:
        intent.change(actor=actor, at=at, **changes)
    if rows:
        stray = any(row.phase == Phase.STRAY for row in rows)
        intent.note(
            tag=AuditTag.INTENT_WRITE_STRAY if stray else AuditTag.INTENT_WRITE_ATTESTED,
            actor=actor,
            at=at,
            rows=tuple(rows),
            **detail,
        )


def _write_ledger(
    decision: Decision,
    *,
    entry: OutboxEntry,
    attempt_id: UUID,
    actor: Actor,
    at: datetime,
    tick: int,
    facts: Facts,
) -> list[WriteLedgerEntry]:
    return [
        WriteLedgerEntry.write(
            entry=entry,
            attempt_id=attempt_id,
            phase=WriteLedgerEntry.Phase(effect.phase.value),
            actor=actor,
            at=at,
            tick=tick,
            step=facts.step,
            outcome=effect.outcome,
            status_code=facts.status_code,
            # Epic's grant names every API of the client; the whole of it is in the event's body.
            **{
                name: _fitted(WriteLedgerEntry, name, getattr(facts, name))
                for name in _FACTS_OF_AN_ANSWER
            },
            evidence=facts.evidence,
            patient_ref=entry.intent.proposal.patient_ref if facts.evidence else "",
        )
        for effect in decision.effects
        if isinstance(effect, Ledger)
    ]


def _fitted(model: type[Model], column: str, value: Any) -> Any:
    """What an EHR said may be longer than its column; then its beginning and its hash are kept.

    Recording an outcome must not fail for what the other side chose to answer.
    """
    longest = getattr(model._meta.get_field(column), "max_length", None)
    if not isinstance(value, str) or longest is None or len(value) <= longest:
        return value
    digest = sha256_hex(value.encode())[:16]
    return f"{value[: longest - 18]}… {digest}"


def _change_entry(
    decision: Decision, *, entry: OutboxEntry, actor: Actor, at: datetime, reason: str
) -> None:
    columns: dict[str, object] = {}
    if decision.delivery.attempts != entry.attempts:
        columns["attempts"] = decision.delivery.attempts
    for effect in decision.effects:
        match effect:
            case Requeue(not_before=moment):
                columns |= {
                    "not_before": moment,
                    "lease_until": None,
                    "attempt_id": None,
                    "quarantine_until_tick": None,
                }
                if moment <= at:
                    wake("dispatch")
            case Quarantine(until_tick=tick):
                columns |= {"quarantine_until_tick": tick, "lease_until": None}
            case CloseEntry():
                columns |= {"closed_at": at, "lease_until": None}
    if columns:
        entry.change(actor=actor, at=at, reason=reason, **columns)


def _open_facts(facts: Facts) -> dict[str, object]:
    named = {
        "status_code": facts.status_code,
        "vendor_code": facts.vendor_code,
        "resource_version": facts.resource_version,
        "reply_hash": facts.reply_hash,
        "endpoint": facts.endpoint,
        "token_scope": facts.token_scope,
    }
    return {name: value for name, value in named.items() if value not in (None, "")}


def _owner_of(entry: OutboxEntry) -> str:
    """Who settles a difference until somebody else takes it: the person who approved."""
    reviewer = entry.decision.reviewer
    return reviewer.user.name if reviewer is not None else ""


def _after(intent: Intent, *, at: datetime) -> None:
    """What else follows from the new state."""
    if intent.state in (State.ACCEPTED, State.UNCERTAIN):
        wake("reconciliation")
    if intent.state in (*WRITTEN, State.REJECTED, State.FAILED, State.HELD):
        # A note may have waited for it.
        wake("dispatch")
    if intent.state == State.ACCEPTED and intent.corrects_id:
        corrected = Intent.lock(intent.corrects_id)
        if corrected.state in WRITTEN:
            corrected.advance(
                State.SUPERSEDED,
                actor=_RECONCILER,
                at=at,
                reason="corrected: A correcting change is in the chart.",
                detail={"by": str(intent.pk)},
            )
