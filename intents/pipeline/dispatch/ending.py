"""The end of an attempt: the outcome, if the attempt still owns the row; else stray evidence."""

import secrets
from datetime import datetime

from django.db import transaction

from ehr_adapters.errors import AdapterError, Refused
from intents.lifecycle import State
from intents.models import Tick
from intents.pipeline import outbox
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery.deciding import decide
from intents.pipeline.delivery.faults import fault_point
from intents.pipeline.delivery.records import AttemptEnded, OutOfPlace, StrayAnswer
from intents.pipeline.dispatch.beginning import Begun, acting_on, lock_with_all
from intents.pipeline.dispatch.exchange import Exchange
from intents.pipeline.outbox import Facts

# An EHR may answer with a page; what explains a refusal stands at its beginning.
_LONGEST_WORDS = 2000


def record_outcome(
    begun: Begun, ending: protocol.Ending, exchange: Exchange, *, at: datetime
) -> None:
    """Write the outcome if the attempt still owns the row; otherwise keep it as stray evidence."""
    if ending.abandoned:
        return
    with transaction.atomic(durable=True):
        intent, entry = lock_with_all(intent_id=begun.intent.pk, entry_id=begun.entry.pk)
        tick = Tick.now()
        delivery = outbox.delivery_of(intent=intent, entry=entry, capability=begun.capability)
        event: AttemptEnded = ending.at(
            attempt_id=str(begun.attempt_id),
            steps=len(begun.plan.steps),
            at=at,
            tick=tick,
            jitter=secrets.randbelow(1000) / 1000,
        )
        facts = _facts(begun, ending, exchange)
        try:
            decision = decide(delivery, event)
        except OutOfPlace:
            if not ending.on_wire:
                return
            decision = decide(
                delivery,
                StrayAnswer(
                    attempt_id=str(begun.attempt_id),
                    acknowledged=ending.error is None,
                    known_entry=bool(facts.resource_ref)
                    and facts.resource_ref == intent.resource_ref,
                ),
            )
            outbox.carry_out(
                decision,
                intent=intent,
                entry=entry,
                attempt_id=begun.attempt_id,
                actor=acting_on(entry),
                at=at,
                tick=tick,
                facts=facts,
            )
            return
        changes: dict[str, object] = {}
        if decision.delivery.state == State.ACCEPTED:
            changes = {
                "finality": begun.plan.finality.value,
                "resource_ref": facts.resource_ref,
                "resource_version": facts.resource_version,
                "last_looked_at": None,
            }
        outbox.carry_out(
            decision,
            intent=intent,
            entry=entry,
            attempt_id=begun.attempt_id,
            actor=acting_on(entry),
            at=at,
            tick=tick,
            facts=facts,
            **changes,
        )
        fault_point("before_record_commit")
    fault_point("after_record")


def _facts(begun: Begun, ending: protocol.Ending, exchange: Exchange) -> Facts:
    """Codes, ids and hashes of how it ended; what a refusing EHR said in words is sealed."""
    match, error = exchange.match, exchange.error
    seen = match if ending.seen is not None else None
    receipt = exchange.receipts[-1] if exchange.receipts else None
    if ending.error is not None and error is not None:
        reference = seen.entry.reference if seen and seen.entry else error.reference
        return Facts(
            status_code=error.status,
            vendor_code=error.vendor_code,
            reply_hash=error.reply_sha256,
            resource_ref=reference,
            resource_version=seen.entry.version_id if seen and seen.entry else "",
            paths=tuple(seen.paths) if seen else (),
            evidence=_said(error) if isinstance(error, Refused) else "",
            detail={"issues": [issue.code for issue in error.issues][:20]} if error.issues else {},
        )
    if ending.seen is not None:
        entry = match.entry if match else None
        return Facts(
            resource_ref=entry.reference if entry else "",
            resource_version=entry.version_id if entry else "",
            paths=tuple(match.paths) if match else (),
        )
    if receipt is not None and ending.on_wire:
        return Facts(
            status_code=receipt.status,
            vendor_code=receipt.vendor_code,
            resource_ref=receipt.reference,
            resource_version=receipt.version_id,
            reply_hash=receipt.reply_sha256,
            endpoint=receipt.endpoint,
            token_scope=receipt.scope,
        )
    return Facts()


def _said(error: AdapterError) -> str:
    """Why it was refused, in our words and in the EHR's own, which may repeat what was sent."""
    ehr = f"The EHR’s own words: {error.vendor_text}" if error.vendor_text else ""
    return " ".join(part for part in (error.sentence, error.next_step, ehr) if part)[
        :_LONGEST_WORDS
    ]
