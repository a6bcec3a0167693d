"""What is approved and not yet sent: the database is the queue.

`entries` puts changes in and takes them out, in the transaction of the decision; `claiming` gives one
entry to one worker; `holding` holds all sending after a restore; `recording` writes what the delivery table decided; `waking` only wakes.
"""

from intents.pipeline.outbox.claiming import (
    LEASE,
    Claimed,
    Turn,
    claim,
    claim_some,
    hold,
    is_lapsed,
    lapsed,
    ticks,
    turn_at_beginning,
)
from intents.pipeline.outbox.entries import (
    TargetBusy,
    check_target_is_free,
    close,
    enqueue,
    enqueue_again,
    live_entry,
    shard_key,
)
from intents.pipeline.outbox.evidence import stored_fields
from intents.pipeline.outbox.holding import declare_restored, notice_failover, witness_attempt
from intents.pipeline.outbox.recording import Facts, carry_out, delivery_of
from intents.pipeline.outbox.waking import TASKS, heard_by, wake

__all__ = [
    "LEASE",
    "TASKS",
    "Claimed",
    "Facts",
    "TargetBusy",
    "Turn",
    "carry_out",
    "check_target_is_free",
    "claim",
    "claim_some",
    "close",
    "declare_restored",
    "delivery_of",
    "enqueue",
    "enqueue_again",
    "heard_by",
    "hold",
    "is_lapsed",
    "lapsed",
    "live_entry",
    "notice_failover",
    "shard_key",
    "stored_fields",
    "ticks",
    "turn_at_beginning",
    "wake",
    "witness_attempt",
]
