"""Take what is due from the outbox until nothing is."""

from datetime import datetime, timedelta
from time import monotonic

from ehr_adapters.errors import AdapterMisconfigured, Unsupported
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import Intent, OutboxEntry
from intents.pipeline import gateway, outbox
from intents.pipeline.dispatch.sending import send


def drain(*, at: datetime, limit: int = 100) -> int:
    """Send what may be sent now, one entry after the other; returns how many were taken.

    Any number of workers may drain at once: a claim gives each entry to one. `limit` lets a worker
    return to its queue. Must not be called inside a transaction.
    """
    started = monotonic()
    held_for = outbox.notice_failover(at=at)
    if held_for is not None:
        _hold_what_no_search_finds(held_for=held_for, at=at)
    taken = 0
    while taken < limit:
        # The moment that was passed in, and the time that this call has taken since.
        moment = at + timedelta(seconds=monotonic() - started)
        claimed = outbox.claim(at=moment)
        if claimed is None:
            break
        send(claimed=claimed, at=moment)
        taken += 1
    return taken


# An approval that ends sooner than this after a hold might lapse before the search before sending has
# shown what the database forgot.
_SEARCH_TIME = timedelta(hours=1)


def _hold_what_no_search_finds(*, held_for: timedelta, at: datetime) -> None:
    """After a failover: a change that may have been sent, and that nobody could find again, is a person's."""
    waiting = OutboxEntry.unscoped.filter(
        closed_at__isnull=True, intent__state=State.APPROVED, not_before__lte=at
    )
    for tenant_id, intent_id in list(waiting.order_by("pk").values_list("tenant_id", "intent_id")):
        with tenant_context(tenant_id):
            intent = Intent.objects.select_related("connection").get(pk=intent_id)
            expires = intent.approval_expires_at
            if not _is_findable(intent) or (expires and expires < at + held_for + _SEARCH_TIME):
                outbox.hold(intent_id, code="database-restored", at=at)


def _is_findable(intent: Intent) -> bool:
    try:
        capability = gateway.capability(
            connection=intent.connection,
            kind=intent.change_kind,
            interaction=intent.interaction,
        )
    except (Unsupported, AdapterMisconfigured):
        return False
    return capability.find.miss_proves and capability.retry.may_resend
