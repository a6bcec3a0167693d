"""Into the outbox in the approver's transaction, and out of it again before anything is sent."""

from datetime import datetime
from uuid import UUID

from audit.actors import Actor
from audit.encoding import canonical_bytes, sha256_hex
from intents.lifecycle import IN_FLIGHT
from intents.models import Intent, OutboxEntry, ReviewDecision, Screening
from intents.pipeline.outbox.waking import wake


class TargetBusy(Exception):
    """Another change to the same entry of the chart is being written; decide again when it is through."""

    sentence = "Another change to this entry is being written. Decide when it is through."

    def __init__(self) -> None:
        super().__init__(self.sentence)


def shard_key(*, connection_id: UUID, patient_ref: str) -> str:
    """Connection and patient, hashed: writes of one shard go one after the other."""
    return sha256_hex(canonical_bytes([str(connection_id), patient_ref]))


def check_target_is_free(intent: Intent) -> None:
    """Raise `TargetBusy` when another write to this entry is in flight on the connection."""
    if not intent.target_key:
        return
    busy = (
        Intent.objects.filter(
            connection_id=intent.connection_id,
            target_key=intent.target_key,
            state__in=[state.value for state in IN_FLIGHT],
        )
        .exclude(pk=intent.pk)
        .exists()
    )
    if busy:
        raise TargetBusy


def enqueue(
    *,
    intent: Intent,
    screening: Screening,
    decision: ReviewDecision,
    approval_event_id: UUID,
    actor: Actor,
    at: datetime,
    not_before: datetime,
) -> OutboxEntry:
    """The approved change as a live entry, in the transaction of its approval.

    `decision` is the sealed decision that dispatch will verify; `approval_event_id` its audit event,
    which has to be in a signed checkpoint before anything is sent. The caller holds the intent's lock.
    """
    version = screening.version
    entry = OutboxEntry.put(
        tenant_id=intent.tenant_id,
        intent=intent,
        screening=screening,
        decision=decision,
        approval_event_id=approval_event_id,
        connection_id=intent.connection_id,
        shard_key=shard_key(
            connection_id=intent.connection_id, patient_ref=intent.proposal.patient_ref
        ),
        tag=version.tag,
        payload_hash=screening.payload_hash,
        not_before=not_before,
        actor=actor,
        at=at,
    )
    wake("sequencer")
    return entry


def enqueue_again(*, closed: OutboxEntry, actor: Actor, at: datetime) -> OutboxEntry:
    """A failed change once more, under the same approval and with the same tag."""
    entry = OutboxEntry.put(
        tenant_id=closed.tenant_id,
        intent_id=closed.intent_id,
        screening_id=closed.screening_id,
        decision_id=closed.decision_id,
        approval_event_id=closed.approval_event_id,
        connection_id=closed.connection_id,
        shard_key=closed.shard_key,
        tag=closed.tag,
        payload_hash=closed.payload_hash,
        not_before=at,
        actor=actor,
        at=at,
    )
    wake("dispatch")
    return entry


def live_entry(intent: Intent) -> OutboxEntry | None:
    """The entry of this change that may still be sent, or None."""
    return OutboxEntry.objects.filter(intent=intent, closed_at__isnull=True).first()


def close(*, intent: Intent, actor: Actor, at: datetime, reason: str) -> None:
    """Take the change out of the outbox. The caller holds the intent's lock and moves its state."""
    entry = live_entry(intent)
    if entry is not None:
        OutboxEntry.lock(entry.pk).close(actor=actor, at=at, reason=reason)
