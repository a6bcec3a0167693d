"""The only writer of the audit log: an event is stored in the transaction of what it tells of."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import models, transaction
from django.utils import timezone

from audit import merkle, vault
from audit.actors import Actor
from audit.leaves import leaf_text
from audit.models import DEPLOYMENT_LOG, AuditEvent, PendingEvent
from audit.stored_rows import fingerprints, row_hash
from audit.tags import AuditTag

__all__ = ["OutsideTransaction", "record", "row_hash", "shred"]

_LOG_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class OutsideTransaction(RuntimeError):
    """An event was to be recorded outside a transaction: open one around the change and the event."""


def record(
    *,
    tag: AuditTag,
    actor: Actor,
    at: datetime,
    tenant_id: str | None,
    proposal_id: str = "",
    intent_id: str = "",
    correlation_id: str = "",
    patient_token: str = "",
    encounter_token: str = "",
    rows: Sequence[models.Model] = (),
    body: Mapping[str, object] | None = None,
) -> AuditEvent:
    """Store one event, in the caller's transaction, and return it.

    `tenant_id` chooses the log; None is the deployment's. `rows` are stored records that the event
    is about: each goes into the leaf with the hash of its row as it is now. Of an insert-only table
    the row must keep that hash for ever; of any other it must have the hash that was recorded last,
    columns named in the model's `audit_ignores` aside. `body` holds ids, codes, hashes and times,
    never clinical content or a patient's name; it is kept in the vault. The event of an approval and
    of a submission carries `payload_hash` there.

    Takes no shared lock; the sequencer gives the event its place. Raises OutsideTransaction,
    RowMissing for a record that is not stored, and NotCanonical for a body without an exact form.
    """
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction(
            f"{tag} was to be recorded outside a transaction, so it could outlive or miss its change."
        )
    log = tenant_id or DEPLOYMENT_LOG
    if not _LOG_NAME.fullmatch(log):
        raise ValueError(
            "A tenant's id must be plain text of at most 64 letters, digits, . _ or -."
        )
    opening = vault.opening_for(body) if body else None
    event = AuditEvent(
        id=uuid4(),
        log=log,
        tag=tag.value,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        actor_name=actor.name,
        on_behalf_of=actor.on_behalf_of,
        authority=actor.authority,
        at=at,
        # This process's own clock on purpose, beside the caller's: the log must be able to show that
        # the two differ.
        recorded_at=timezone.now(),
        tenant_id=tenant_id or "",
        proposal_id=proposal_id,
        intent_id=intent_id,
        correlation_id=correlation_id,
        patient_token=patient_token,
        encounter_token=encounter_token,
        rows=fingerprints(rows),
        body_commitment=opening.commitment() if opening else "",
    )
    event.leaf = leaf_text(event)
    event.save()
    PendingEvent(
        log=log,
        event_id=event.id,
        leaf_hash=merkle.leaf_hash(event.leaf.encode()).hex(),
        recorded_at=event.recorded_at,
    ).save(force_insert=True)
    if opening:
        vault.store(opening, event_id=event.id)
    return event


def shred(
    *,
    event_ids: Sequence[UUID],
    actor: Actor,
    at: datetime,
    tenant_id: str | None,
    reason: str,
) -> int:
    """Destroy the bodies of these events of one log, record that, and return how many there were.

    `reason` is a code such as a retention rule's. The events, their leaves and every proof stay.
    Raises OutsideTransaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction("Bodies were to be destroyed outside a transaction.")
    own = AuditEvent.objects.filter(log=tenant_id or DEPLOYMENT_LOG, pk__in=list(event_ids))
    destroyed = vault.destroy(own.values_list("pk", flat=True), at=at)
    if destroyed:
        record(
            tag=AuditTag.AUDIT_BODY_SHREDDED,
            actor=actor,
            at=at,
            tenant_id=tenant_id,
            body={"events": sorted(str(event_id) for event_id in destroyed), "reason": reason},
        )
    return len(destroyed)
