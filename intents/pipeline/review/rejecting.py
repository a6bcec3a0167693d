"""Turning changes down: the whole draft, or one change of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance import roles
from intents.governance.models import Membership
from intents.lifecycle import RejectedBy, State
from intents.models import Intent, Proposal, ReviewDecision
from intents.pipeline import presentation, worklist
from intents.pipeline.presentation import NotPresentable
from intents.pipeline.review.locking import check_reviewer, chosen, lock_draft
from intents.pipeline.review.refusals import (
    REASON_CODES,
    AllOrNothing,
    NotAllowed,
    NotPending,
    PageOutOfDate,
    ReasonNeeded,
)


def reject(
    *,
    proposal_id: UUID | str,
    reviewer: Membership,
    reason_code: str,
    at: datetime,
    note: str = "",
    intent_ids: Sequence[UUID | str] | None = None,
    view_hash: str = "",
) -> list[Intent]:
    """Turn down the named changes, or every change that waits for a decision or is on hold.

    Nothing is written to the chart. Statements of notes that report a change turned down come up for
    decision again. With `view_hash` the page must still be what is stored. A rejection that differs
    from a first approval waits for a clinical lead: the change then stays where it is.
    """
    if reason_code not in REASON_CODES:
        raise ReasonNeeded
    with transaction.atomic(durable=True):
        proposal, intents = lock_draft(proposal_id)
        _check_person(reviewer, proposal=proposal, at=at)
        if view_hash and _view_hash(proposal, at=at) != view_hash:
            raise PageOutOfDate
        meant = chosen(intents, ids=intent_ids, states=(State.PENDING_APPROVAL, State.HELD))
        if not meant:
            raise NotPending
        waiting = chosen(intents, ids=None, states=(State.PENDING_APPROVAL, State.HELD))
        if proposal.all_or_nothing and len(meant) != len(waiting):
            raise AllOrNothing
        actor = roles.actor_of(reviewer)
        for intent in meant:
            _reject_one(intent, reviewer=reviewer, actor=actor, code=reason_code, note=note, at=at)
        left = chosen(intents, ids=None, states=(State.PENDING_APPROVAL,))
        if not left and proposal.claimed_by_id == reviewer.pk:
            worklist.release_claim(proposal_id=proposal.pk, reviewer=reviewer, at=at)
    return meant


def _check_person(reviewer: Membership, *, proposal: Proposal, at: datetime) -> None:
    """A reviewer, or compliance: both may say no."""
    if roles.may_hold(reviewer) and reviewer.tenant_id == proposal.tenant_id:
        return
    check_reviewer(reviewer, proposal=proposal, at=at)


def _view_hash(proposal: Proposal, *, at: datetime) -> str:
    try:
        return presentation.build(proposal=proposal, at=at).view_hash
    except NotPresentable:
        return ""


def _reject_one(
    intent: Intent,
    *,
    reviewer: Membership,
    actor: Actor,
    code: str,
    note: str,
    at: datetime,
) -> None:
    by_compliance = roles.may_hold(reviewer)
    if by_compliance and intent.state != State.HELD:
        raise NotAllowed("Compliance puts a change on hold first, and then turns it down.")
    decision = _decision(intent, reviewer=reviewer, code=code, note=note, at=at)
    rows = (decision,) if decision else ()
    if decision and _differs(intent, reviewer=reviewer, decision=decision):
        intent.note(tag=AuditTag.INTENT_REVIEW_DIFFERED, actor=actor, at=at, rows=rows, code=code)
        return
    intent.advance(
        State.REJECTED,
        actor=actor,
        at=at,
        reason=f"{code}: {REASON_CODES[code]}.",
        rejected_by=RejectedBy.COMPLIANCE if by_compliance else RejectedBy.REVIEWER,
        rows=rows,
        detail={"code": code},
    )


def _decision(
    intent: Intent, *, reviewer: Membership, code: str, note: str, at: datetime
) -> ReviewDecision | None:
    current = intent.current_screening
    if current is None:
        return None
    number = worklist.round_of(current)
    if current.decisions.filter(reviewer=reviewer, round=number, kind="reject").exists():
        raise NotAllowed("You have turned this down already. A clinical lead settles it.")
    decision = ReviewDecision(
        id=uuid4(),
        tenant_id=intent.tenant_id,
        screening=current,
        reviewer=reviewer,
        round=number,
        kind="reject",
        payload_hash=current.payload_hash,
        reason_code=code,
        decided_at=at,
    )
    if note.strip():
        decision.set_phi("note", note.strip(), patient_ref=intent.proposal.patient_ref)
    decision.save(force_insert=True)
    return decision


def _differs(intent: Intent, *, reviewer: Membership, decision: ReviewDecision) -> bool:
    """Another person has approved this, and this one is not the one who settles such a difference."""
    if intent.state != State.PENDING_APPROVAL or reviewer.clinical_lead:
        return False
    assert intent.current_screening is not None
    return any(
        each.kind in ("approve", "second")
        and each.reviewer is not None
        and each.reviewer.user_id != reviewer.user_id
        for each in worklist.decisions_of_round(intent.current_screening)
        if each.pk != decision.pk
    )
