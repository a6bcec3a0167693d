"""Filing the Provenance of a change beside its entry, once the entry is there and equal to what was approved.

Best effort, and apart from the change: no answer to it moves the change's state, opens a discrepancy or is
repeated into a second one. The exact request was stored with the approval, whose audit event holds its hash;
its one gap is the id that the EHR gave the entry. An attempt is committed before it is made. One that may
have arrived is followed by another only when a search shows that nothing did.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit.actors import Actor
from audit.models import AuditEvent
from audit.stored_rows import row_hash
from audit.tags import AuditTag
from ehr_adapters.contract import WireRequest, WriteReceipt
from ehr_adapters.errors import (
    AdapterError,
    AdapterMisconfigured,
    AlreadyThere,
    NotSent,
    Refused,
    Unsupported,
)
from intents.governance.encryption import CannotUnseal
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import OutboxEntry, ProvenanceFiling, ProvenanceRecord
from intents.pipeline import gateway
from intents.pipeline.dispatch.beginning import DISPATCHER, is_switched_off

logger = logging.getLogger(__name__)

_Phase = ProvenanceFiling.Phase
_ENDS = (_Phase.ACKNOWLEDGED, _Phase.FOUND, _Phase.REFUSED)
# How long after each attempt the next may come; after the last, the Provenance stays here alone.
_WAITS = tuple(timedelta(minutes=each) for each in (1, 10, 60, 360, 1440))
# Nothing that is older is begun any more.
_PATIENCE = timedelta(days=7)
_LOOKED_AT = 1000
# These say that nothing arrived.
_HARMLESS = frozenset({_Phase.NOT_SENT, _Phase.REFUSED})


@dataclass(frozen=True, slots=True)
class _Answer:
    """How an attempt ended, in what the ledger of filings keeps of it."""

    phase: ProvenanceFiling.Phase
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Begun:
    record: ProvenanceRecord
    step: WireRequest
    number: int
    # an earlier attempt may have arrived
    look_first: bool


def file_due(*, at: datetime, limit: int = 50) -> int:
    """File what is due, each once; how many were tried. Must not be called inside a transaction."""
    due = (
        ProvenanceRecord.unscoped.filter(
            intent__state=State.RECONCILED, intent__state_changed_at__gt=at - _PATIENCE
        )
        .exclude(request="")
        .exclude(intent__resource_ref="")
        .exclude(filings__phase__in=_ENDS)
        .exclude(filings__number__gt=len(_WAITS))
        # What a stopped connection holds back must not hold back the rest: the newest come first.
        .order_by("-created_at", "pk")
        .values_list("tenant_id", "pk")
    )
    tried = 0
    for tenant_id, record_id in list(due[:_LOOKED_AT]):
        with tenant_context(tenant_id):
            begun = _begin(record_id, at=at)
            if begun is not None:
                _finish(begun, _attempt(begun), at=at)
                tried += 1
        if tried >= limit:
            break
    return tried


def _begin(record_id: UUID, *, at: datetime) -> _Begun | None:
    """Commit that an attempt is made; None where it is not its time, or another worker has it."""
    record = ProvenanceRecord.objects.select_related(
        "intent__tenant", "intent__connection", "intent__proposal__agent", "decision"
    ).get(pk=record_id)
    past = list(record.filings.order_by("number", "at"))
    number = max((each.number for each in past), default=0) + 1
    if not _is_due(past, quarantine=record.intent.connection.quarantine_seconds, at=at):
        return None
    if is_switched_off(record.intent) or not _is_as_approved(record):
        return None
    try:
        step = WireRequest.from_json(record.phi_json("request"))
    except CannotUnseal:
        return None
    try:
        with transaction.atomic(durable=True):
            row = ProvenanceFiling.write(provenance=record, number=number, phase=_Phase.SENT, at=at)
            record.intent.note(
                tag=AuditTag.INTENT_PROVENANCE_SUBMITTED,
                actor=_acting_on(record),
                at=at,
                rows=(row,),
                provenance=str(record.pk),
                request=record.request_hash,
                number=number,
            )
    except IntegrityError:
        return None
    return _Begun(record, step, number, look_first=_may_have_arrived(past))


def _is_due(past: Sequence[ProvenanceFiling], *, quarantine: float, at: datetime) -> bool:
    if not past:
        return True
    last = max(past, key=lambda each: (each.number, each.at))
    if last.phase in _ENDS or last.number > len(_WAITS):
        return False
    wait = _WAITS[last.number - 1]
    if _may_have_arrived(past):
        # Absence proves something only when it could not be still on its way.
        wait = max(wait, timedelta(seconds=quarantine))
    return at >= last.at + wait


def _may_have_arrived(past: Sequence[ProvenanceFiling]) -> bool:
    harmless = {each.number for each in past if each.phase in _HARMLESS}
    return any(each.phase == _Phase.SENT and each.number not in harmless for each in past)


def _is_as_approved(record: ProvenanceRecord) -> bool:
    """Is this the Provenance of the approval that was carried out, and is its row what the log holds?"""
    entry = (
        OutboxEntry.objects.filter(intent_id=record.intent_id)
        .order_by("-created_at", "-id")
        .first()
    )
    if entry is None or entry.decision_id != record.decision_id:
        return False
    event = AuditEvent.objects.filter(pk=entry.approval_event_id).first()
    recorded = {(row["table"], row["id"]): row["sha256"] for row in event.rows} if event else {}
    if recorded.get((record._meta.db_table, str(record.pk))) != row_hash(record):
        logger.critical(
            "a stored provenance is not what was recorded with its approval; it is not filed",
            extra={"intent_id": str(record.intent_id)},
        )
        return False
    return True


def _attempt(begun: _Begun) -> _Answer:
    """Look for it where it may have arrived; else send it once. No transaction is open."""
    intent = begun.record.intent
    gateway.let_go_of_database()
    try:
        if begun.look_first:
            found = _find(begun.record)
            if found:
                return _Answer(_Phase.FOUND, {"resource_ref": found})
    except (AdapterError, AdapterMisconfigured) as error:
        # Nothing was sent by this attempt; an earlier one may still have arrived.
        return _Answer(_Phase.UNKNOWN, {"outcome": type(error).__name__})
    try:
        token = gateway.authenticate(connection=intent.connection, step=begun.step)
        receipt = gateway.submit(
            connection=intent.connection,
            step=begun.step,
            token=token,
            earlier=_written(begun) if begun.step.slots else (),
        )
    except AlreadyThere as error:
        return _Answer(_Phase.UNKNOWN, _facts(error))
    except (NotSent, Unsupported) as error:
        return _Answer(_Phase.NOT_SENT, _facts(error))
    except Refused as error:
        return _Answer(_Phase.REFUSED, _facts(error))
    except AdapterError as error:
        return _Answer(_Phase.UNKNOWN, _facts(error))
    except AdapterMisconfigured as error:
        return _Answer(_Phase.NOT_SENT, {"outcome": type(error).__name__})
    return _Answer(
        _Phase.ACKNOWLEDGED,
        {
            "status_code": receipt.status,
            "resource_ref": receipt.reference,
            "reply_hash": receipt.reply_sha256,
        },
    )


def _find(record: ProvenanceRecord) -> str | None:
    return gateway.find_provenance(
        connection=record.intent.connection,
        written=record.intent.resource_ref,
        key=str(record.pk),
    )


def _written(begun: _Begun) -> tuple[WriteReceipt, ...]:
    """What the write of the entry was answered with."""
    return (WriteReceipt(True, 201, reference=begun.record.intent.resource_ref),)


def _facts(error: AdapterError) -> dict[str, Any]:
    return {
        "outcome": error.name,
        "status_code": error.status or None,
    }


def _finish(begun: _Begun, answer: _Answer, *, at: datetime) -> None:
    record = begun.record
    filed = answer.phase in (_Phase.ACKNOWLEDGED, _Phase.FOUND)
    given_up = answer.phase == _Phase.REFUSED or begun.number > len(_WAITS)
    with transaction.atomic(durable=True):
        row = ProvenanceFiling.write(
            provenance=record, number=begun.number, phase=answer.phase, at=at, **answer.facts
        )
        tag = AuditTag.INTENT_PROVENANCE_FILED if filed else AuditTag.INTENT_PROVENANCE_NOT_FILED
        record.intent.note(
            tag=tag,
            actor=_acting_on(record),
            at=at,
            rows=(row,),
            provenance=str(record.pk),
            number=begun.number,
            outcome=row.outcome,
            given_up=given_up and not filed,
        )


def _acting_on(record: ProvenanceRecord) -> Actor:
    return DISPATCHER.with_authority(f"approval {record.decision_id}")
