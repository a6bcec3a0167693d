"""Receive a proposal: authenticate the agent, match its scopes, be idempotent, record the drafts.

`strict_json` reads the bytes, `body` the envelope, `checking` what can be known without the chart;
`receiving` stores it all in one transaction, or nothing.
"""

from intents.pipeline.intake.body import BodyInvalid, Issue
from intents.pipeline.intake.checking import ProposalInvalid
from intents.pipeline.intake.receiving import (
    AgentRefused,
    ProposalKeyMalformed,
    ProposalKeyReused,
    ProposalTooLarge,
    ScopeNotGranted,
    WrongLane,
    authenticate,
    note_refusal,
    receive,
)
from intents.pipeline.intake.strict_json import NotStrictJson

__all__ = [
    "AgentRefused",
    "BodyInvalid",
    "Issue",
    "NotStrictJson",
    "ProposalInvalid",
    "ProposalKeyMalformed",
    "ProposalKeyReused",
    "ProposalTooLarge",
    "ScopeNotGranted",
    "WrongLane",
    "authenticate",
    "note_refusal",
    "receive",
]
