"""Take a drafted change through the chart, the adapter, the checks and the rules; then place it.

All the work (`examine`) is done without a transaction and without a lease: several workers may screen
one change. What they found is filed (`keep`) under the row's lock, in one transaction, and discarded if
the change moved on meanwhile. `screen` does both for a change that was just drafted; `rescreen` and
`refresh` do it again for one that waits for a decision while the chart goes on.
"""

from intents.pipeline.screening.examining import IN_REQUEST, Examined, examine
from intents.pipeline.screening.facts import Decided, no_longer_allowed, policy_now
from intents.pipeline.screening.filing import (
    OutOfDate,
    Rescreened,
    keep,
    keep_verdict,
    policy_actor,
    rescreen,
    screen,
    screen_due,
)
from intents.pipeline.screening.freshness import (
    BESIDE,
    DESTINATION,
    Freshness,
    FreshRead,
    fresh_check,
    fresh_check_intent,
    refresh,
)
from intents.pipeline.screening.stored import baseline_of, plan_of

__all__ = [
    "BESIDE",
    "DESTINATION",
    "IN_REQUEST",
    "Decided",
    "Examined",
    "FreshRead",
    "Freshness",
    "OutOfDate",
    "Rescreened",
    "baseline_of",
    "examine",
    "fresh_check",
    "fresh_check_intent",
    "keep",
    "keep_verdict",
    "no_longer_allowed",
    "plan_of",
    "policy_actor",
    "policy_now",
    "refresh",
    "rescreen",
    "screen",
    "screen_due",
]
