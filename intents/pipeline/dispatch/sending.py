"""One attempt against the real EHR, in three parts, as in the fault matrix.

The beginning (one short transaction that verifies everything and commits the fact of sending), the
exchange (no transaction, no database connection held), and the end (one transaction that records the
outcome if the attempt still owns the row). A process that dies anywhere leaves either an untouched
entry or a lease that lapses into UNCERTAIN.
"""

from datetime import datetime, timedelta
from time import monotonic

from intents.governance.tenancy import tenant_context
from intents.pipeline.delivery.faults import fault_point
from intents.pipeline.dispatch.beginning import begin
from intents.pipeline.dispatch.ending import record_outcome
from intents.pipeline.dispatch.exchange import Exchange
from intents.pipeline.outbox import Claimed


def send(*, claimed: Claimed, at: datetime) -> None:
    """Send one leased entry, once, and record how it ended. Never raises for what an EHR does.

    Must not be called inside a transaction: the fact of sending is committed before the network.
    """
    started = monotonic()

    def clock() -> datetime:
        return at + timedelta(seconds=monotonic() - started)

    with tenant_context(claimed.tenant_id):
        begun = begin(claimed, at=at)
        if begun is None:
            return
        fault_point("after_claim")
        exchange = Exchange(begun, clock=clock)
        ending = exchange.play()
        fault_point("before_record")
        record_outcome(begun, ending, exchange, at=clock())
