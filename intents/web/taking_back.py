"""Taking a written change back: what it would do, what stays, and the draft that a person asks for."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from intents.governance.roles import may_review
from intents.lifecycle import IN_FLIGHT, OPEN, WRITTEN, State
from intents.models import Intent
from intents.pipeline import intake, reconciliation
from intents.web.access import PortalRequest, page
from intents.web.errors import overtaken


@dataclass(frozen=True, slots=True)
class TakingBack:
    """How a written change can be taken back, or why not, and the draft that does it."""

    offered: str = ""
    stays: tuple[str, ...] = ()
    refused: str = ""
    drafted: UUID | None = None


def taking_back(intent: Intent) -> TakingBack | None:
    """None for a change that is not in the EHR."""
    if intent.state not in WRITTEN:
        return None
    drafted = (
        intent.corrected_by.filter(state__in=(*OPEN, *IN_FLIGHT, State.FAILED))
        .values_list("proposal_id", flat=True)
        .first()
    )
    if drafted is not None:
        return TakingBack(drafted=drafted)
    try:
        wanted = reconciliation.compensation(intent_id=intent.pk)
    except reconciliation.CannotTakeBack as refusal:
        return TakingBack(refused=refusal.sentence)
    return TakingBack(offered=wanted.words, stays=wanted.stays)


@require_POST
@page("delivery")
def take_back(request: PortalRequest, intent_id: UUID) -> HttpResponse:
    """Have a draft made that takes a written change back; it is checked and approved like any other."""
    intent = get_object_or_404(Intent.objects, pk=intent_id)
    if not may_review(request.membership):
        raise PermissionDenied
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Nothing was drafted: say why it is taken back.")
        return redirect("delivery", intent.proposal_id)
    try:
        wanted = reconciliation.compensation(intent_id=intent.pk)
        made = intake.draft_correction(
            corrects_id=intent.pk,
            interaction=wanted.interaction,
            target_ref=wanted.target_ref,
            content=wanted.content,
            member=request.membership,
            reason=reason,
            at=timezone.now(),
        )
    except (reconciliation.CannotTakeBack, intake.NotCorrectable) as refusal:
        back = reverse("delivery", args=[intent.proposal_id])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(
        request,
        "Drafted. It is checked against the chart, and nothing is written until it is approved.",
    )
    return redirect("review", made.pk)
