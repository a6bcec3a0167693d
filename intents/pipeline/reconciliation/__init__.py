"""Finding out what really happened: settle what is unknown, confirm what was acknowledged.

`sweeping` finds what is due and lapsed; `looking` searches and reads back; `settling` is what people do
about the rest. Nothing here ever sends.
"""

from intents.pipeline.reconciliation.looking import confirm, settle
from intents.pipeline.reconciliation.settling import (
    RESOLUTIONS,
    ApprovalRanOut,
    DiscrepancyOpen,
    EvidenceNeeded,
    NotSettleable,
    OperatorOnly,
    SettlingRefused,
    StillInQuarantine,
    assign,
    give_up,
    operator_settle,
    resolve,
    retry_failed,
)
from intents.pipeline.reconciliation.sweeping import settle_due

__all__ = [
    "RESOLUTIONS",
    "ApprovalRanOut",
    "DiscrepancyOpen",
    "EvidenceNeeded",
    "NotSettleable",
    "OperatorOnly",
    "SettlingRefused",
    "StillInQuarantine",
    "assign",
    "confirm",
    "give_up",
    "operator_settle",
    "resolve",
    "retry_failed",
    "settle",
    "settle_due",
]
