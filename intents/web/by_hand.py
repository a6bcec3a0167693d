"""What a person types into an EHR from a copy card: how far it is, and saying that it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from intents.governance.models import Membership
from intents.governance.roles import may_review
from intents.lifecycle import State
from intents.models import HandEntry, Intent, Proposal
from intents.pipeline import by_hand, review, worklist
from intents.web import wording
from intents.web.access import PortalRequest, page
from intents.web.errors import overtaken


@dataclass(frozen=True, slots=True)
class ByHand:
    """How far a change is that a person types: `sentence` so far, and whether this person may say "done".

    `doers` are those to whom it can be sent as a task; `may_note`: can the note of the draft take a line of it?
    """

    sentence: str = ""
    may_declare: bool = False
    doers: Sequence[Any] = ()
    may_note: bool = False


def typed_by_hand(proposal: Proposal, *, membership: Membership, at: datetime) -> dict[str, ByHand]:
    """By the change's id, for every change that its EHR does not take or the rules block."""
    out = {}
    for intent in proposal.intents.select_related(
        "connection", "current_screening", "current_version", "proposal"
    ):
        passing = _ways(intent) if may_review(membership) and review.may_pass_on(intent) else {}
        if not by_hand.is_for_hands(intent):
            if passing:
                out[str(intent.pk)] = ByHand(**passing)
            continue
        entry = HandEntry.objects.select_related("by__user").filter(intent=intent).first()
        out[str(intent.pk)] = ByHand(
            sentence=_hand_words(entry, at=at) if entry else "",
            may_declare=entry is None
            and may_review(membership)
            and worklist.may_decide(intent, membership),
            **passing,
        )
    return out


def _ways(intent: Intent) -> dict[str, Any]:
    """How a change that cannot be written can be passed on."""
    open_to_tasks = not (intent.proposal.all_or_nothing or review.was_passed_on(intent))
    return {
        "doers": review.doers(connection=intent.connection) if open_to_tasks else (),
        "may_note": review.note_beside(intent) is not None,
    }


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


@require_POST
@page("review")
def as_task(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """A change that cannot be written becomes a task for a prescriber, which is decided about like any other."""
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    intent = get_object_or_404(proposal.intents, ref=request.POST.get("task", ""))
    try:
        task = review.send_as_task(
            intent_id=intent.pk,
            to=request.POST.get(f"to-{intent.ref}", ""),
            reviewer=request.membership,
            at=timezone.now(),
        )
    except review.ReviewRefused as refusal:
        return overtaken(
            request, sentence=refusal.sentence, back=reverse("review", args=[proposal.pk])
        )
    if task.state == State.REJECTED:
        messages.warning(request, "The task cannot be written either. Its card says why.")
    else:
        messages.success(request, "The task is drafted. It is sent once it is approved.")
    return redirect("review", proposal.pk)


@require_POST
@page("review")
def into_note(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """The note of the draft says what somebody has to enter by hand; it is shown again before it is approved."""
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    intent = get_object_or_404(proposal.intents, ref=request.POST.get("line", ""))
    try:
        review.put_into_note(intent_id=intent.pk, reviewer=request.membership, at=timezone.now())
    except review.ReviewRefused as refusal:
        return overtaken(
            request, sentence=refusal.sentence, back=reverse("review", args=[proposal.pk])
        )
    messages.success(request, "The note says it now. Look at it again, then decide.")
    return redirect("review", proposal.pk)
