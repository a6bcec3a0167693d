"""The records. Each model's whole life is on its own page."""

from intents.models.by_hand import HandEntry
from intents.models.decisions import PolicyVerdict, ReviewDecision, ReviewProgress
from intents.models.evidence import EvidenceItem, Finding
from intents.models.intent import Intent, IntentVersion, Screening
from intents.models.ledger import Discrepancy, Heartbeat, OutboxEntry, Tick, WriteLedgerEntry
from intents.models.proposal import Proposal, Source
from intents.models.provenance import ProvenanceFiling, ProvenanceRecord

__all__ = [
    "Discrepancy",
    "EvidenceItem",
    "Finding",
    "HandEntry",
    "Heartbeat",
    "Intent",
    "IntentVersion",
    "OutboxEntry",
    "PolicyVerdict",
    "Proposal",
    "ProvenanceFiling",
    "ProvenanceRecord",
    "ReviewDecision",
    "ReviewProgress",
    "Screening",
    "Source",
    "Tick",
    "WriteLedgerEntry",
]
