"""Taking back, stopping and starting again: undo, recall, hold, release, promote."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance import roles
from intents.governance.models import Membership
from intents.lifecycle import Lane, State, Tier
from intents.models import Intent, OutboxEntry, Proposal, ReviewDecision, Tick
from intents.pipeline import outbox, screening, worklist
from intents.pipeline.review.locking import check_may_decide, check_reviewer, chosen, lock_draft
from intents.pipeline.review.refusals import (
    ChartUnreadable,
    NotAllowed,
    NotApprovable,
    NotPending,
    TooLateToUndo,
)


def undo(
    *,
    proposal_id: UUID | str,
    reviewer: Membership,
    at: datetime,
    intent_ids: Sequence[UUID | str] | None = None,
) -> list[Intent]:
    """Take an approval back before anything is sent: back to the queue, approval void, ticks cleared.

    Possible until the entry's `not_before`. The changes are checked again from the chart as it is now.
    """
    with transaction.atomic(durable=True):
        proposal, intents = lock_draft(proposal_id)
        check_reviewer(reviewer, proposal=proposal, at=at)
        approved = chosen(intents, ids=intent_ids, states=(State.APPROVED,))
        undoable = [intent for intent in approved if _undoable_entry(intent, at=at)]
        if not undoable:
            raise TooLateToUndo
        check_may_decide(reviewer, intents=undoable)
        actor = roles.actor_of(reviewer)
        for intent in undoable:
            _undo_one(intent, reviewer=reviewer, actor=actor, at=at)
    return [_screen_again(intent, at=at) for intent in undoable]


def _undoable_entry(intent: Intent, *, at: datetime) -> OutboxEntry | None:
    entry = outbox.live_entry(intent)
    if entry is None or at >= entry.not_before or entry.attempts:
        return None
    return entry


def _undo_one(intent: Intent, *, reviewer: Membership, actor: Actor, at: datetime) -> None:
    current = intent.current_screening
    if current is None:
        raise TooLateToUndo
    decision = ReviewDecision(
        id=uuid4(),
        tenant_id=intent.tenant_id,
        screening=current,
        reviewer=reviewer,
        round=worklist.round_of(current),
        kind="undo",
        payload_hash=current.payload_hash,
        decided_at=at,
    )
    decision.save(force_insert=True)
    outbox.close(intent=intent, actor=actor, at=at, reason="undone")
    intent.advance(
        State.PENDING_APPROVAL,
        actor=actor,
        at=at,
        reason="undone: The approval was taken back before anything was sent.",
        rows=(decision,),
        approval_expires_at=None,
    )


def _screen_again(intent: Intent, *, at: datetime) -> Intent:
    """The chart may have moved on: the page shows it as it is now. A silent EHR is asked at review."""
    return screening.rescreen(intent_id=intent.pk, at=at, deadline=screening.IN_REQUEST).intent


def recall(*, intent_id: UUID | str, member: Membership, reason_code: str, at: datetime) -> Intent:
    """End an approved change for good, as long as no attempt to send it has begun.

    Not while sending is held after a failover of the database: an attempt that had begun may have been forgotten.
    """
    with transaction.atomic(durable=True):
        intent = _lock_one(intent_id)
        _check_decider_or_compliance(member, proposal=intent.proposal, at=at)
        if intent.state != State.APPROVED or Tick.is_sending_held():
            raise TooLateToUndo
        actor = roles.actor_of(member)
        outbox.close(intent=intent, actor=actor, at=at, reason=reason_code)
        intent.advance(
            State.CANCELLED,
            actor=actor,
            at=at,
            reason=f"recalled: {reason_code}",
            detail={"code": reason_code},
        )
    return intent


def hold(*, intent_id: UUID | str, member: Membership, reason_code: str, at: datetime) -> Intent:
    """Stop a change that waits for a decision or for sending. Compliance only; an approval is void."""
    if not roles.may_hold(member):
        raise NotAllowed("Your role does not put changes on hold.")
    with transaction.atomic(durable=True):
        intent = _lock_one(intent_id)
        if intent.state not in (State.PENDING_APPROVAL, State.APPROVED):
            raise NotPending
        actor = roles.actor_of(member)
        if intent.state == State.APPROVED:
            outbox.close(intent=intent, actor=actor, at=at, reason=reason_code)
        intent.advance(
            State.HELD,
            actor=actor,
            at=at,
            reason=f"compliance-hold: {reason_code}",
            detail={"code": reason_code},
            approval_expires_at=None,
        )
    return intent


def release(*, proposal_id: UUID | str, reviewer: Membership, at: datetime) -> list[Intent]:
    """Check every change of the draft that is on hold again from the start; earlier approvals are void."""
    with transaction.atomic(durable=True):
        proposal, intents = lock_draft(proposal_id)
        _check_decider_or_compliance(reviewer, proposal=proposal, at=at)
        held = chosen(intents, ids=None, states=(State.HELD,))
        if not held:
            raise NotPending
        actor = roles.actor_of(reviewer)
        for intent in held:
            intent.advance(
                State.DRAFTED,
                actor=actor,
                at=at,
                reason="released: It is checked again from the chart as it is now.",
                screen_not_before=None,
                screen_attempts=0,
                approval_expires_at=None,
            )
    return [
        screening.screen(intent_id=intent.pk, at=at, deadline=screening.IN_REQUEST)
        for intent in held
    ]


def promote(*, proposal_id: UUID | str, reviewer: Membership, at: datetime) -> list[Intent]:
    """Put resting drafts up for approval, after checking them again; the old reading proves nothing.

    A change in which the check now finds an error, or that the rules block or hold, stays where it is
    and shows why. Raises `ChartUnreadable` when the EHR does not answer.
    """
    proposal = Proposal.objects.get(pk=proposal_id)
    check_reviewer(reviewer, proposal=proposal, at=at)
    resting = list(
        proposal.intents.filter(state=State.VALIDATED)
        .order_by("position")
        .values_list("pk", flat=True)
    )
    if not resting:
        raise NotPending
    examined = {}
    for intent_id in resting:
        intent = Intent.objects.select_related(
            "tenant", "connection", "proposal__agent", "current_version", "current_screening"
        ).get(pk=intent_id)
        found = screening.examine(intent=intent, at=at, deadline=screening.IN_REQUEST)
        if found.unanswered:
            raise ChartUnreadable
        examined[intent_id] = found
    with transaction.atomic(durable=True):
        proposal, intents = lock_draft(proposal_id)
        check_reviewer(reviewer, proposal=proposal, at=at)
        actor = roles.actor_of(reviewer)
        promoted = []
        for intent in chosen(intents, ids=resting, states=(State.VALIDATED,)):
            found = examined[intent.pk]
            try:
                screening.keep(found, intent=intent, at=at)
            except screening.OutOfDate:
                continue
            decided = found.decided
            stopped = found.errors or found.holds or decided is None
            if stopped or decided is None or decided.verdict.tier is Tier.BLOCKED:
                continue
            intent.note(tag=AuditTag.INTENT_REVIEW_PROMOTED, actor=actor, at=at)
            intent.advance(
                State.PENDING_APPROVAL,
                actor=actor,
                at=at,
                reason="promoted: A reviewer put it up for approval.",
                lane=Lane.SUGGEST.value,
            )
            promoted.append(intent)
    if not promoted:
        raise NotApprovable("The draft was checked again and cannot be put up as it is.")
    return promoted


# --- the parts ------------------------------------------------------------------------------------


def _lock_one(intent_id: UUID | str) -> Intent:
    proposal_id = Intent.objects.values_list("proposal_id", flat=True).get(pk=intent_id)
    _, intents = lock_draft(proposal_id)
    return next(each for each in intents if str(each.pk) == str(intent_id))


def _check_decider_or_compliance(member: Membership, *, proposal: Proposal, at: datetime) -> None:
    if roles.may_hold(member) and member.tenant_id == proposal.tenant_id:
        return
    check_reviewer(member, proposal=proposal, at=at)
