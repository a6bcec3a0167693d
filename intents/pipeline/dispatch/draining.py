"""Take what is due from the outbox until nothing is."""

from datetime import datetime, timedelta
from time import monotonic

from intents.pipeline import outbox
from intents.pipeline.dispatch.sending import send


def drain(*, at: datetime, limit: int = 100) -> int:
    """Send what may be sent now, one entry after the other; returns how many were taken.

    Any number of workers may drain at once: a claim gives each entry to one. `limit` lets a worker
    return to its queue. Must not be called inside a transaction.
    """
    started = monotonic()
    outbox.notice_failover(at=at)
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
