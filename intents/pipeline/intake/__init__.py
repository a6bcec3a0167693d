"""Receive a proposal: authenticate the agent, match its scopes, be idempotent, record the drafts.

`strict_json` reads the bytes, `body` the envelope, `checking` what can be known without the chart;
`receiving` stores it all in one transaction, or nothing; `withdrawing` lets its author take it back.
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
from intents.pipeline.intake.strict_json import read as read_json
from intents.pipeline.intake.withdrawing import NoSuchProposal, TooLateToWithdraw, withdraw

__all__ = [
    "AgentRefused",
    "BodyInvalid",
    "Issue",
    "NoSuchProposal",
    "NotStrictJson",
    "ProposalInvalid",
    "ProposalKeyMalformed",
    "ProposalKeyReused",
    "ProposalTooLarge",
    "ScopeNotGranted",
    "TooLateToWithdraw",
    "WrongLane",
    "authenticate",
    "note_refusal",
    "read_json",
    "receive",
    "withdraw",
]
