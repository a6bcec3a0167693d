"""Withdraw a proposal: its author takes back what nobody has approved yet."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from intents.governance.models import AgentCredential
from intents.governance.tenancy import tenant_context
from intents.lifecycle import CLOSED, OPEN, State
from intents.models import Intent, Proposal
from intents.pipeline.intake.receiving import WrongLane, authenticate


class NoSuchProposal(LookupError):
    """This agent has no proposal of that id."""


class TooLateToWithdraw(ValueError):
    """A change was approved or sent; only people can recall it now."""


def withdraw(*, credential: AgentCredential, proposal_id: UUID, at: datetime) -> Proposal:
    """Cancel every open change of the agent's own proposal; repeating it changes nothing.

    All or nothing: where one change was approved, sent or has failed, none is cancelled. Raises
    AgentRefused, NoSuchProposal, WrongLane (the proposal came by another lane) and TooLateToWithdraw.
    """
    with tenant_context(credential.tenant_id), transaction.atomic():
        good = authenticate(credential_id=credential.pk, lane=None, at=at)
        own = Proposal.objects.filter(pk=proposal_id, agent=good.agent_id)
        if not own.exists():
            raise NoSuchProposal
        proposal = Proposal.lock(proposal_id)
        if proposal.lane != good.lane:
            raise WrongLane(f"The proposal came by the lane {proposal.lane}.")
        ids = proposal.intents.order_by("position").values_list("pk", flat=True)
        intents = [Intent.lock(intent_id) for intent_id in ids]
        if any(intent.state not in (*OPEN, *CLOSED) for intent in intents):
            raise TooLateToWithdraw("A change was approved or sent already.")
        for intent in intents:
            if intent.state in OPEN:
                intent.advance(State.CANCELLED, actor=good.agent.actor, at=at, reason="withdrawn")
    return proposal
