"""Rejecting a draft, and editing it in one's own words."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from ehr_adapters.canonical.base import Code
from intents.lifecycle import State
from intents.models import Intent, Proposal
from intents.pipeline import presentation, review, screening
from intents.web.access import PortalRequest, page
from intents.web.editing import ChangeForm

# --- reject --------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@page("review")
def reject(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """One reason from a short list, and words if wanted. Nothing is written."""
    at = timezone.now()
    proposal = get_object_or_404(
        Proposal.objects.select_related("connection", "agent"), pk=proposal_id
    )
    problem = ""
    if request.method == "POST":
        try:
            review.reject(
                proposal_id=proposal.pk,
                reviewer=request.membership,
                reason_code=request.POST.get("reason", ""),
                note=request.POST.get("note", "").strip(),
                at=at,
            )
        except review.ReviewRefused as refusal:
            problem = refusal.sentence
        else:
            messages.success(request, "Rejected. Nothing was written.")
            return redirect(f"{reverse('next_draft')}?after={proposal.pk}")
    try:
        seen = presentation.build(proposal=proposal, at=at)
    except presentation.NotPresentable:
        seen = None
    return render(
        request,
        "review/reject.html",
        {
            "proposal": proposal,
            "page": seen,
            "reasons": review.REASON_CODES.items(),
            "chosen": request.POST.get("reason", ""),
            "note": request.POST.get("note", ""),
            "problem": problem,
        },
        status=422 if problem else 200,
    )


# --- edit ----------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@page("review")
def edit(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Own words beside the draft and its sources. Saving makes a version that is checked again."""
    at = timezone.now()
    proposal = get_object_or_404(
        Proposal.objects.select_related("connection", "agent", "agent_release"), pk=proposal_id
    )
    if State.PENDING_APPROVAL not in {
        State(s) for s in proposal.intents.values_list("state", flat=True)
    }:
        return redirect("review", proposal.pk)
    try:
        seen = presentation.build(proposal=proposal, at=at)
    except presentation.NotPresentable:
        return redirect("review", proposal.pk)
    forms = _forms(request, proposal)
    problem = ""
    if request.method == "POST" and _all_valid(forms):
        problem = _save_edits(request, seen, forms, at=at)
        if not problem:
            return redirect("review", proposal.pk)
    cards = {card.intent_id: card for card in seen.cards}
    return render(
        request,
        "review/edit.html",
        {
            "proposal": proposal,
            "page": seen,
            "pairs": [(cards[str(i.pk)], form) for i, form in forms],
            "problem": problem,
            "errors": any(form.errors for _, form in forms),
        },
        status=422 if problem or any(form.errors for _, form in forms) else 200,
    )


def _all_valid(forms: list[tuple[Intent, ChangeForm]]) -> bool:
    """Every form is asked, so that every error is shown."""
    return all([form.is_valid() for _, form in forms])  # noqa: C419  a generator would stop at the first


def _forms(request: PortalRequest, proposal: Proposal) -> list[tuple[Intent, ChangeForm]]:
    out = []
    rows = proposal.intents.select_related("current_version", "current_screening")
    for intent in sorted(rows, key=lambda each: each.reading_key):
        if intent.state != State.PENDING_APPROVAL or intent.current_version is None:
            continue
        out.append(
            (
                intent,
                ChangeForm(
                    request.POST if request.method == "POST" else None,
                    prefix=intent.ref,
                    kind=intent.change_kind,
                    interaction=intent.interaction,
                    content=intent.current_version.phi_json("content"),
                    known_codes=_codes_of_chart(intent),
                ),
            )
        )
    return out


def _codes_of_chart(intent: Intent) -> dict[str, str]:
    """Codes that the patient's chart holds already: the likeliest ones to be meant."""
    if intent.current_screening is None:
        return {}
    baseline = screening.baseline_of(intent.current_screening)
    if baseline is None:
        return {}
    out = {}
    for snapshot in baseline.neighbours("problem"):
        for code in snapshot.canonical.get("code", ()):
            out[f"{code['system']}|{code['code']}"] = f"{Code(**code).words}, in the chart now"
    return out


def _save_edits(
    request: PortalRequest,
    seen: presentation.ReviewPage,
    forms: list[tuple[Intent, ChangeForm]],
    *,
    at: datetime,
) -> str:
    """Save what was changed; the sentence why not, else empty."""
    hashes = seen.payload_hashes()
    saved = 0
    for intent, form in forms:
        content = form.edited()
        if content == form.content:
            continue
        try:
            review.edit(
                intent_id=intent.pk,
                reviewer=request.membership,
                content=content,
                payload_hash=request.POST.get(
                    f"payload-{intent.pk}", hashes.get(str(intent.pk), "")
                ),
                at=at,
            )
        except review.ContentInvalid as invalid:
            return (
                " ".join(dict.fromkeys(issue.sentence for issue in invalid.issues))
                or invalid.sentence
            )
        except review.ReviewRefused as refusal:
            return refusal.sentence
        saved += 1
    if saved:
        messages.success(request, "Saved and checked again. Nothing is written yet.")
    else:
        messages.info(request, "Nothing was changed.")
    return ""
