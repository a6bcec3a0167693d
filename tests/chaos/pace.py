"""Shorter waits for processes under chaos, so that minutes show what takes a deployment hours.

Only waits: what is decided, written and searched is the product's own. Every value keeps the order of
the product's: a lease is longer than one attempt, a quarantine longer than token life and bounds together.
"""

from datetime import timedelta
from typing import Any

# The connection's bounds, in seconds: the practice EHR is held to them by the schedule of faults.
TOKEN_LIFE = 6
PROCESSING_BOUND = 6
INDEX_LAG = 1
READ_TIMEOUT = 4.0
LEASE = timedelta(seconds=15)
# The dead and the sleeping hold their leases for a while; the others shall go on meanwhile.
WRITES_AT_ONCE = 12
TICK_SECONDS = 1.0
QUARANTINE = TOKEN_LIFE + PROCESSING_BOUND + INDEX_LAG

_SWEEPS = {
    "intents.tick": TICK_SECONDS,
    "intents.screen_due": 3.0,
    "intents.dispatch_due": 1.5,
    "intents.reconcile_due": 2.0,
    "intents.watch_by_hand": 30.0,
    "intents.sequence": 1.0,
    "intents.expire_due": 10.0,
}


def quicken(app: Any, *, lease: timedelta = LEASE) -> None:
    """Put the shorter waits into this process and what it forks."""
    from django.conf import settings

    from intents.pipeline.delivery import deciding, looking
    from intents.pipeline.outbox import claiming

    claiming.LEASE = lease
    deciding._LONGEST_WAIT = timedelta(seconds=6)
    looking._UNCERTAIN_LOOK = timedelta(seconds=3)
    looking._SOONEST_LOOK = timedelta(seconds=2)
    looking._BREAKER_FIRST = timedelta(seconds=2)
    looking._BREAKER_LONGEST = timedelta(seconds=4)
    settings.SWEEPS = dict(_SWEEPS)
    app.conf.beat_schedule = {
        # A sweep that waited this long is overtaken by the next one.
        task: {"task": task, "schedule": seconds, "options": {"expires": max(5.0, seconds)}}
        for task, seconds in _SWEEPS.items()
    }
    app.conf.beat_max_loop_interval = 1.0
