"""What a person types into an EHR from a copy card: how far it is, and saying that it is done."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from intents.governance.models import Membership
from intents.governance.roles import may_review
from intents.models import HandEntry, Proposal
from intents.pipeline import by_hand, worklist
from intents.web import wording
from intents.web.access import PortalRequest, page
from intents.web.errors import overtaken


@dataclass(frozen=True, slots=True)
class ByHand:
    """How far a change is that a person types: `sentence` so far, and whether this person may say "done"."""

    sentence: str
    may_declare: bool


def typed_by_hand(proposal: Proposal, *, membership: Membership, at: datetime) -> dict[str, ByHand]:
    """By the change's id, for every change that its EHR does not take."""
    out = {}
    for intent in proposal.intents.select_related(
        "connection", "current_screening", "current_version"
    ):
        if not by_hand.is_for_hands(intent):
            continue
        entry = HandEntry.objects.select_related("by__user").filter(intent=intent).first()
        out[str(intent.pk)] = ByHand(
            sentence=_hand_words(entry, at=at) if entry else "",
            may_declare=entry is None
            and may_review(membership)
            and worklist.may_decide(intent, membership),
        )
    return out


def _hand_words(entry: HandEntry, *, at: datetime) -> str:
    done = f"{entry.by.user.name} typed it, {wording.moment(entry.done_at)}."
    if entry.seen_at:
        return f"{done} Seen in the chart {wording.moment(entry.seen_at)}."
    if entry.next_look_at is None or at >= entry.watch_until:
        return f"{done} The chart did not show it within three days: look into the EHR."
    return f"{done} Not seen in the chart yet; it is looked for until {wording.moment(entry.watch_until)}."


@require_POST
@page("review")
def typed(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Somebody typed a change into the EHR from the copy card; the chart is watched for it."""
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    intent = get_object_or_404(proposal.intents, ref=request.POST.get("typed", ""))
    try:
        by_hand.declare_done(intent_id=intent.pk, member=request.membership, at=timezone.now())
    except by_hand.NotByHand as refusal:
        return overtaken(
            request, sentence=refusal.sentence, back=reverse("review", args=[proposal.pk])
        )
    messages.success(request, "Recorded. The chart is looked into until it shows the change.")
    return redirect("review", proposal.pk)
