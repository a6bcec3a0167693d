"""Receive a proposal: authenticate the agent, match its scopes, be idempotent, record the drafts.

`strict_json` reads the bytes, `body` the envelope, `checking` what can be known without the chart;
`receiving` stores it all in one transaction, or nothing; `withdrawing` lets its author take it back;
`correcting` stores a draft that a person asked for.
"""

from intents.pipeline.intake.body import BodyInvalid, Issue
from intents.pipeline.intake.checking import ProposalInvalid
from intents.pipeline.intake.correcting import CORRECTIONS, NotCorrectable, draft_correction
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
    "CORRECTIONS",
    "AgentRefused",
    "BodyInvalid",
    "Issue",
    "NoSuchProposal",
    "NotCorrectable",
    "NotStrictJson",
    "ProposalInvalid",
    "ProposalKeyMalformed",
    "ProposalKeyReused",
    "ProposalTooLarge",
    "ScopeNotGranted",
    "TooLateToWithdraw",
    "WrongLane",
    "authenticate",
    "draft_correction",
    "note_refusal",
    "read_json",
    "receive",
    "withdraw",
]
