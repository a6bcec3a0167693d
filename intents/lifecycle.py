"""The life of an intent: states, lanes, tiers and the one table of transitions.

Pure Python. Everything that asks "may this happen next, and who may do it" asks this table;
`docs/lifecycle.md` is printed from it. Each edge names the kinds of actor that may take it and the
audit tag that records it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from audit.actors import ActorKind
from audit.tags import AuditTag


class State(StrEnum):
    """Where one change stands. The sentences for people are in `docs/lifecycle.md`."""

    DRAFTED = "DRAFTED"
    VALIDATED = "VALIDATED"
    PENDING_APPROVAL = "PENDING_APPROVAL"
    HELD = "HELD"
    APPROVED = "APPROVED"
    SUBMITTED = "SUBMITTED"
    UNCERTAIN = "UNCERTAIN"
    ACCEPTED = "ACCEPTED"
    RECONCILED = "RECONCILED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"


class Lane(StrEnum):
    """How far an agent may go. Ordered: DRAFT < SUGGEST < COMMIT."""

    DRAFT = "draft"
    SUGGEST = "suggest"
    COMMIT = "commit"


class Tier(StrEnum):
    """What a change needs before it may be written. Ordered from loosest to strictest."""

    AUTONOMOUS = "AUTONOMOUS"
    APPROVAL = "APPROVAL"
    DUAL_APPROVAL = "DUAL_APPROVAL"
    BLOCKED = "BLOCKED"


class RejectedBy(StrEnum):
    """Whose refusal a REJECTED is."""

    VALIDATION = "VALIDATION"
    POLICY = "POLICY"
    REVIEWER = "REVIEWER"
    COMPLIANCE = "COMPLIANCE"
    EHR = "EHR"


OPEN = (State.DRAFTED, State.VALIDATED, State.PENDING_APPROVAL, State.HELD)
IN_FLIGHT = (State.APPROVED, State.SUBMITTED, State.UNCERTAIN)
WRITTEN = (State.ACCEPTED, State.RECONCILED)
CLOSED = (State.REJECTED, State.EXPIRED, State.CANCELLED, State.SUPERSEDED)
# A proposal is still moving while any change is in one of these.
MOVING = (*OPEN, *IN_FLIGHT, State.FAILED)

MEANING: dict[State, str] = {
    State.DRAFTED: "Proposal recorded; nothing checked yet.",
    State.VALIDATED: "Structure, terminology and chart sanity hold. The draft lane rests here.",
    State.PENDING_APPROVAL: "One or two people must decide.",
    State.HELD: "Stopped before sending until someone clears it.",
    State.APPROVED: "Authorized and in the outbox.",
    State.SUBMITTED: "Sent, or about to be; recorded before the network.",
    State.UNCERTAIN: "The EHR may or may not have applied it.",
    State.ACCEPTED: "The EHR gave the acknowledgement that the capability declares sufficient.",
    State.RECONCILED: "Read back and equal to what was approved.",
    State.FAILED: "Attempted and known not to have been applied.",
    State.REJECTED: "Refused by validation, policy, a reviewer, compliance or the EHR.",
    State.EXPIRED: "Its decision or its approval ran out of time.",
    State.CANCELLED: "Withdrawn before sending.",
    State.SUPERSEDED: "Replaced by another intent.",
}

WHOSE_TURN: dict[State, str] = {
    State.DRAFTED: "system",
    State.VALIDATED: "system; draft lane: reviewer",
    State.PENDING_APPROVAL: "reviewer",
    State.HELD: "reviewer or compliance",
    State.APPROVED: "dispatcher",
    State.SUBMITTED: "dispatcher",
    State.UNCERTAIN: "reconciler, then operator",
    State.ACCEPTED: "reconciler",
    State.RECONCILED: "nobody",
    State.FAILED: "operator",
    State.REJECTED: "nobody",
    State.EXPIRED: "nobody",
    State.CANCELLED: "nobody",
    State.SUPERSEDED: "nobody",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed transition: who may take it, how the log names it, and when it happens."""

    actors: frozenset[ActorKind]
    tag: AuditTag
    when: str


def _edge(when: str, tag: AuditTag, *actors: ActorKind) -> Edge:
    return Edge(actors=frozenset(actors), tag=tag, when=when)


_K = ActorKind
_T = AuditTag

_WITHDRAWN = _edge("withdrawn by its author", _T.INTENT_WITHDRAWN, _K.AGENT, _K.REVIEWER)
_REPLACED = _edge(
    "a newer proposal of the same agent replaces it, and no person holds or has edited it",
    _T.INTENT_SUPERSEDED,
    _K.INTAKE,
)
_EXPIRED = _edge("past expires_at", _T.INTENT_EXPIRED, _K.SCHEDULER)
_LAPSED = _edge("past approval_expires_at", _T.INTENT_APPROVAL_EXPIRED, _K.SCHEDULER)
_CORRECTED = _edge("a correcting intent reached ACCEPTED", _T.INTENT_SUPERSEDED, _K.RECONCILER)
_OPEN_ENDS = {
    State.CANCELLED: _WITHDRAWN,
    State.SUPERSEDED: _REPLACED,
    State.EXPIRED: _EXPIRED,
}

# The one table. `None` is "not yet recorded".
TRANSITIONS: Mapping[State | None, Mapping[State, Edge]] = {
    None: {
        State.DRAFTED: _edge(
            "scope or role held, key new", _T.INTENT_RECEIVED, _K.AGENT, _K.REVIEWER
        ),
    },
    State.DRAFTED: {
        State.VALIDATED: _edge(
            "no finding of severity error", _T.INTENT_VALIDATION_PASSED, _K.VALIDATOR
        ),
        State.REJECTED: _edge(
            "an error finding; an unknown patient or target and what the adapter cannot render are such",
            _T.INTENT_VALIDATION_FAILED,
            _K.VALIDATOR,
        ),
        **_OPEN_ENDS,
    },
    State.VALIDATED: {
        State.PENDING_APPROVAL: _edge(
            "the tier asks for approval, or a person promotes a draft",
            _T.INTENT_POLICY_DECIDED,
            _K.POLICY,
            _K.REVIEWER,
        ),
        State.APPROVED: _edge(
            "tier autonomous, lane commit granted and the tenant opted in",
            _T.INTENT_POLICY_APPROVED,
            _K.POLICY,
        ),
        State.HELD: _edge(
            "consent unknown, match doubtful, encounter closed, or another write in flight on the target",
            _T.INTENT_POLICY_HELD,
            _K.POLICY,
        ),
        State.REJECTED: _edge(
            "tier blocked, or the connection does not admit it today",
            _T.INTENT_POLICY_REJECTED,
            _K.POLICY,
        ),
        **_OPEN_ENDS,
    },
    State.PENDING_APPROVAL: {
        State.APPROVED: _edge(
            "last required approval, of this exact hash", _T.INTENT_REVIEW_APPROVED, _K.REVIEWER
        ),
        State.DRAFTED: _edge(
            "edited: new version, all approvals void, screened again",
            _T.INTENT_REVIEW_EDITED,
            _K.REVIEWER,
        ),
        State.REJECTED: _edge("with reason code and note", _T.INTENT_REVIEW_REJECTED, _K.REVIEWER),
        State.HELD: _edge(
            "the chart moved in touched fields; consent withdrawn or rules tightened; compliance hold",
            _T.INTENT_REVIEW_HELD,
            _K.VALIDATOR,
            _K.POLICY,
            _K.COMPLIANCE,
        ),
        **_OPEN_ENDS,
    },
    State.HELD: {
        State.DRAFTED: _edge(
            "released, or edited from the current chart: screened from the start, approvals void",
            _T.INTENT_REVIEW_RELEASED,
            _K.REVIEWER,
            _K.COMPLIANCE,
        ),
        State.REJECTED: _edge(
            "with reason code and note", _T.INTENT_REVIEW_REJECTED, _K.REVIEWER, _K.COMPLIANCE
        ),
        **_OPEN_ENDS,
    },
    State.APPROVED: {
        State.SUBMITTED: _edge(
            "shard claimed, hash equal, switches on, approval in a signed checkpoint",
            _T.INTENT_WRITE_SUBMITTED,
            _K.DISPATCHER,
        ),
        State.HELD: _edge(
            "at claim: consent withdrawn, rules tightened, approver or agent suspended, "
            "evidence of the approval broken, a reported change failed, or a compliance hold",
            _T.INTENT_WRITE_HELD,
            _K.POLICY,
            _K.COMPLIANCE,
            _K.DISPATCHER,
        ),
        State.FAILED: _edge(
            "cannot be expressed to this EHR; nothing was sent",
            _T.INTENT_WRITE_FAILED,
            _K.DISPATCHER,
        ),
        State.CANCELLED: _edge(
            "recalled in time", _T.INTENT_REVIEW_RECALLED, _K.REVIEWER, _K.COMPLIANCE
        ),
        State.PENDING_APPROVAL: _edge(
            "undone before not_before: approval void, ticks cleared",
            _T.INTENT_REVIEW_UNDONE,
            _K.REVIEWER,
        ),
        State.EXPIRED: _LAPSED,
    },
    State.SUBMITTED: {
        State.ACCEPTED: _edge(
            "sufficient acknowledgement, or our own equal entry found",
            _T.INTENT_WRITE_ACCEPTED,
            _K.DISPATCHER,
        ),
        State.REJECTED: _edge(
            "the EHR refused the content for certain, or a colleague's equal entry is there",
            _T.INTENT_WRITE_REFUSED,
            _K.DISPATCHER,
        ),
        State.HELD: _edge(
            "before sending: patient, encounter or target moved; consent withdrawn, rules tightened, "
            "approver or agent suspended since the claim; version conflict; or already there with "
            "different content",
            _T.INTENT_WRITE_CONFLICT,
            _K.DISPATCHER,
        ),
        State.APPROVED: _edge(
            "certainly not sent: back in the outbox, later, same tag",
            _T.INTENT_WRITE_NOT_SENT,
            _K.DISPATCHER,
        ),
        State.FAILED: _edge(
            "permission or configuration refused, or attempts exhausted, none of them applied",
            _T.INTENT_WRITE_FAILED,
            _K.DISPATCHER,
        ),
        State.UNCERTAIN: _edge(
            "timeout after sending, 5xx, unreadable reply, half-sent plan or lapsed lease",
            _T.INTENT_WRITE_UNCERTAIN,
            _K.DISPATCHER,
            _K.SCHEDULER,
        ),
    },
    State.UNCERTAIN: {
        State.ACCEPTED: _edge(
            "exactly one hit that proves it, content equal; or an operator names the entry with evidence",
            _T.INTENT_WRITE_FOUND,
            _K.RECONCILER,
            _K.OPERATOR,
        ),
        State.APPROVED: _edge(
            "absent after the quarantine by a method that proves absence, approval valid: "
            "sent again with the same tag",
            _T.INTENT_WRITE_ABSENT,
            _K.RECONCILER,
            _K.OPERATOR,
        ),
        State.FAILED: _edge(
            "absent after the quarantine and approval lapsed; or an operator attests absence with evidence",
            _T.INTENT_WRITE_FAILED,
            _K.RECONCILER,
            _K.OPERATOR,
        ),
    },
    State.ACCEPTED: {
        State.RECONCILED: _edge(
            "read back and equal, discrepancy resolved with a reason, or a person confirms with evidence",
            _T.INTENT_WRITE_RECONCILED,
            _K.RECONCILER,
            _K.OPERATOR,
        ),
        State.SUPERSEDED: _CORRECTED,
    },
    State.RECONCILED: {State.SUPERSEDED: _CORRECTED},
    State.FAILED: {
        State.APPROVED: _edge(
            "cause fixed or absence attested, approval valid: same tag",
            _T.INTENT_WRITE_RETRIED,
            _K.OPERATOR,
        ),
        State.CANCELLED: _edge("given up", _T.INTENT_GIVEN_UP, _K.OPERATOR),
        State.EXPIRED: _LAPSED,
    },
    State.REJECTED: {},
    State.EXPIRED: {},
    State.CANCELLED: {},
    State.SUPERSEDED: {},
}


class InvalidTransition(Exception):
    """The wished-for state does not follow from this one, or not by this actor."""


def check_transition(*, current: State | None, to: State, actor: ActorKind) -> Edge:
    """The edge from `current` to `to` for this kind of actor, or raise `InvalidTransition`."""
    edge = TRANSITIONS[current].get(to)
    if edge is None:
        raise InvalidTransition(f"{current or 'new'} is never followed by {to}.")
    if actor not in edge.actors:
        raise InvalidTransition(f"{actor} may not move an intent from {current or 'new'} to {to}.")
    return edge


_LANE_ORDER = (Lane.DRAFT, Lane.SUGGEST, Lane.COMMIT)


def lane_ceiling(tier: Tier) -> Lane | None:
    """The furthest lane a tier allows; None where the tier blocks."""
    return {
        Tier.AUTONOMOUS: Lane.COMMIT,
        Tier.APPROVAL: Lane.SUGGEST,
        Tier.DUAL_APPROVAL: Lane.SUGGEST,
        Tier.BLOCKED: None,
    }[tier]


def effective_lane(*, requested: Lane, granted: Lane, tier: Tier) -> Lane | None:
    """min(requested, granted, what the tier allows); None where the tier blocks."""
    ceiling = lane_ceiling(tier)
    if ceiling is None:
        return None
    return min((requested, granted, ceiling), key=_LANE_ORDER.index)


def strictest(tiers: list[Tier]) -> Tier:
    """The strictest of several tiers; an empty list is BLOCKED, because nobody said yes."""
    order = list(Tier)
    return max(tiers, key=order.index) if tiers else Tier.BLOCKED
