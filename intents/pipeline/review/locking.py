"""A draft with its row and those of its changes locked, in the order in which everybody locks them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from intents.governance import roles
from intents.governance.models import Membership
from intents.lifecycle import State
from intents.models import Intent, Proposal
from intents.pipeline import worklist
from intents.pipeline.review.refusals import AlreadyClaimed, NotAllowed


def lock_draft(proposal_id: UUID | str) -> tuple[Proposal, list[Intent]]:
    """The proposal, then its changes by position. Must be called inside a transaction."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("A draft is locked inside a transaction.")
    proposal = Proposal.lock(proposal_id)
    ids = Intent.objects.filter(proposal=proposal).order_by("pk").values_list("pk", flat=True)
    intents = [Intent.lock(intent_id) for intent_id in ids]
    for intent in intents:
        intent.proposal = proposal
    return proposal, sorted(intents, key=lambda intent: intent.position)


def check_reviewer(reviewer: Membership, *, proposal: Proposal, at: datetime) -> None:
    """Raise unless this person may decide at all, here, and nobody else is deciding."""
    refusal = roles.why_not_review(reviewer)
    if reviewer.tenant_id != proposal.tenant_id:
        refusal = "You may not decide about this change."
    if refusal:
        raise NotAllowed(refusal)
    if proposal.is_claimed_by_other(reviewer=reviewer, at=at):
        raise AlreadyClaimed


def check_may_decide(reviewer: Membership, *, intents: Iterable[Intent]) -> None:
    """Raise unless this person may decide about each of these changes."""
    for intent in intents:
        refusal = worklist.why_not_decide(intent, reviewer)
        if refusal:
            raise NotAllowed(refusal)


def chosen(
    intents: Sequence[Intent], *, ids: Sequence[UUID | str] | None, states: Sequence[State]
) -> list[Intent]:
    """The changes that are meant: those named, or all, that are in one of the states."""
    wanted = None if ids is None else {str(each) for each in ids}
    return [
        intent
        for intent in intents
        if intent.state in states and (wanted is None or str(intent.pk) in wanted)
    ]
