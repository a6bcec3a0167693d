"""Finding out what really happened: settle what is unknown, confirm what was acknowledged.

`sweeping` finds what is due and lapsed; `looking` searches and reads back; `settling` is what people do
about the rest; `watching` looks at written
entries day after day; `compensating` composes what takes a written change back. Nothing here ever sends.
"""

from intents.pipeline.reconciliation.compensating import (
    CannotTakeBack,
    Compensation,
    compensation,
)
from intents.pipeline.reconciliation.looking import candidates, confirm, settle
from intents.pipeline.reconciliation.settling import (
    RESOLUTIONS,
    ApprovalRanOut,
    CannotSettle,
    DiscrepancyOpen,
    EvidenceNeeded,
    NotSettleable,
    OperatorOnly,
    StillInQuarantine,
    assign,
    operator_give_up,
    operator_resend,
    operator_resolve,
    operator_settle,
    take_over,
)
from intents.pipeline.reconciliation.sweeping import settle_due
from intents.pipeline.reconciliation.watching import watch_due

__all__ = [
    "RESOLUTIONS",
    "ApprovalRanOut",
    "CannotSettle",
    "CannotTakeBack",
    "Compensation",
    "DiscrepancyOpen",
    "EvidenceNeeded",
    "NotSettleable",
    "OperatorOnly",
    "StillInQuarantine",
    "assign",
    "candidates",
    "compensation",
    "confirm",
    "operator_give_up",
    "operator_resend",
    "operator_resolve",
    "operator_settle",
    "settle",
    "settle_due",
    "take_over",
    "watch_due",
]
