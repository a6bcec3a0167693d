"""What became of an approved draft, and what a person may still do about it: undo, resend, settle."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audit.tags import AuditTag
from ehr_adapters.canonical.base import visible_text
from ehr_adapters.capabilities import Finality
from ehr_adapters.contract import WirePlan
from intents.governance.encryption import CannotUnseal
from intents.governance.roles import actor_of, may_operate, may_review
from intents.lifecycle import MOVING, State
from intents.models import Discrepancy, Intent, Proposal, WriteLedgerEntry
from intents.pipeline import presentation, reconciliation, review
from intents.pipeline.delivery.words import REASONS
from intents.pipeline.presentation import Banner, CopyView, NotPresentable
from intents.queries import delivery, provenance, worklist, writing
from intents.queries.delivery import ChangeDelivery, Delivery
from intents.web import drafts
from intents.web.access import PortalRequest, background, may_open, page, sees_phi
from intents.web.by_hand import ByHand, typed_by_hand
from intents.web.errors import overtaken
from intents.web.taking_back import taking_back

_CODE = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person must know about one change, with what happens next."""

    title: str
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class WireStep:
    """One exact request: its line, its headers and its body as text."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what to look for."""

    label: str
    text: str


@require_safe
@page("delivery")
def delivery_page(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """The five steps of each change. `?request=<ref>` also shows one exact request, which is recorded."""
    at = timezone.now()
    found = delivery.get_delivery(proposal_id=proposal_id, at=at)
    if found is None:
        raise Http404
    proposal = found.proposal
    membership = request.membership
    asked = request.GET.get("request", "")
    with transaction.atomic():
        proposal.note(
            tag=AuditTag.INTENT_PHI_VIEWED, actor=actor_of(membership), at=at, page="delivery"
        )
        for change in found.changes:
            if change.intent.ref == asked and change.payload_hash:
                change.intent.note(
                    tag=AuditTag.INTENT_WIRE_VIEWED,
                    actor=actor_of(membership),
                    at=at,
                    payload_hash=change.payload_hash,
                )
    banner = banner_of(proposal, at=at, verb="To")
    hands = typed_by_hand(proposal, membership=membership, at=at) if sees_phi(membership) else {}
    copies = _copies(proposal, at=at) if hands else {}
    return render(
        request,
        "intents/delivery.html",
        {
            "delivery": found,
            "banner": banner,
            "changes": [
                _shown(
                    change,
                    banner=banner,
                    asked=asked,
                    settles=may_operate(membership) and sees_phi(membership),
                    reviews=may_review(membership),
                    at=at,
                )
                | _by_hand(change, hands=hands, copies=copies)
                for change in found.changes
            ],
            "lead": _lead(found),
            "undo_seconds": _seconds_until(found.undo_until, at=at),
            "may_undo": may_review(membership),
            "may_settle": may_operate(membership),
            "sees_phi": sees_phi(membership),
            "shows_queue": may_open("queue", membership=membership),
            "resolutions": reconciliation.RESOLUTIONS.items(),
            "zone": membership.tenant.time_zone,
        },
    )


@background
@require_safe
@page("delivery")
def delivery_state(request: PortalRequest, proposal_id: UUID) -> JsonResponse:
    """Whether anything on the page has changed; asked by the open page."""
    found = delivery.get_delivery(proposal_id=proposal_id, at=timezone.now())
    if found is None:
        raise Http404
    return JsonResponse({"state": found.fingerprint})


# --- what a person may do -------------------------------------------------------------------------


@require_POST
@page("delivery")
def undo(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Take the approval back before sending starts; the draft returns to the queue."""
    get_object_or_404(Proposal.objects, pk=proposal_id)
    if not may_review(request.membership):
        raise PermissionDenied
    try:
        review.undo(proposal_id=proposal_id, reviewer=request.membership, at=timezone.now())
    except review.ReviewRefused as refusal:
        back = reverse("delivery", args=[proposal_id])
        return overtaken(request, sentence=refusal.sentence, back=back)
    request.session.pop("undo", None)
    messages.success(request, "Undone. Nothing was sent; the draft is back in the queue.")
    return redirect("review", proposal_id)


def _operated(request: PortalRequest, intent_id: UUID) -> Intent:
    """The change, if it is this organisation's and the person's role settles writes."""
    if not may_operate(request.membership):
        raise PermissionDenied
    return get_object_or_404(Intent.objects, pk=intent_id)


@require_POST
@page("settle")
def settle(request: PortalRequest, intent_id: UUID) -> HttpResponse:
    """A person looked into the EHR: it is there, or it is not. Needs what was seen, where and when."""
    intent = _operated(request, intent_id)
    evidence = request.POST.get("evidence", "").strip()
    answer = request.POST.get("found")
    if not evidence or answer not in ("yes", "no"):
        messages.error(request, "Not settled: say what you saw or where you looked, and when.")
        return redirect("delivery", intent.proposal_id)
    try:
        reconciliation.operator_settle(
            intent_id=intent.pk,
            operator=request.membership,
            found=answer == "yes",
            evidence=evidence,
            resource_ref=request.POST.get("resource_ref", "").strip(),
            at=timezone.now(),
        )
    except reconciliation.CannotSettle as refusal:
        back = reverse("delivery", args=[intent.proposal_id])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(request, "Settled. Your answer is recorded under your name.")
    return redirect("delivery", intent.proposal_id)


@require_POST
@page("settle")
def resend(request: PortalRequest, intent_id: UUID) -> HttpResponse:
    """Put a change that is known not to be in the chart back in line, under the same approval."""
    intent = _operated(request, intent_id)
    try:
        reconciliation.operator_resend(
            intent_id=intent.pk, operator=request.membership, at=timezone.now()
        )
    except reconciliation.CannotSettle as refusal:
        back = reverse("delivery", args=[intent.proposal_id])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(request, "It is sent again, under the same approval.")
    return redirect("delivery", intent.proposal_id)


@require_POST
@page("settle")
def give_up(request: PortalRequest, intent_id: UUID) -> HttpResponse:
    """End a change that could not be written; nothing more is sent for it."""
    intent = _operated(request, intent_id)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Not given up: say why.")
        return redirect("delivery", intent.proposal_id)
    try:
        reconciliation.operator_give_up(
            intent_id=intent.pk, operator=request.membership, reason=reason, at=timezone.now()
        )
    except reconciliation.CannotSettle as refusal:
        back = reverse("delivery", args=[intent.proposal_id])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(request, "Given up. Nothing more is sent for this change.")
    return redirect("delivery", intent.proposal_id)


@require_POST
@page("settle")
def resolve(request: PortalRequest, discrepancy_id: UUID) -> HttpResponse:
    """Settle a difference between the chart and what was approved."""
    found = get_object_or_404(
        Discrepancy.objects.select_related("intent"), pk=discrepancy_id, resolved_at__isnull=True
    )
    if not may_operate(request.membership):
        raise PermissionDenied
    evidence = request.POST.get("evidence", "").strip()
    resolution = request.POST.get("resolution", "")
    if not evidence or resolution not in reconciliation.RESOLUTIONS:
        messages.error(request, "Not settled: say what you found, where and when.")
        return redirect("delivery", found.intent.proposal_id)
    try:
        reconciliation.operator_resolve(
            discrepancy_id=found.pk,
            operator=request.membership,
            resolution=resolution,
            evidence=evidence,
            at=timezone.now(),
        )
    except reconciliation.CannotSettle as refusal:
        back = reverse("delivery", args=[found.intent.proposal_id])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(request, "Settled. Your answer is recorded under your name.")
    return redirect("delivery", found.intent.proposal_id)


# --- what is shown -----------------------------------------------------------------------------------


def banner_of(proposal: Proposal, *, at: datetime, verb: str) -> Banner:
    """Whose chart: from the portal's own read; before one, as the agent gave it, and it says so."""
    destination = f"{verb} {proposal.connection}"
    try:
        banner = presentation.build(proposal=proposal, at=at).banner
    except NotPresentable:
        person = drafts.whose(proposal, on=timezone.localdate(at))
        family, _, given = person.name.partition(", ")
        return Banner(
            name=person.name,
            family=family,
            given=given,
            born=person.born,
            age=person.age,
            sex=person.sex,
            mrn=person.mrn,
            allergy_label="Allergies",
            allergy_text="unavailable",
            allergy_unknown=True,
            destination=destination,
            visit="Identity as the agent gave it" if person.asserted else "",
            alike="",
        )
    return replace(banner, destination=destination)


def _seconds_until(moment: datetime | None, *, at: datetime) -> int:
    return max(0, round((moment - at).total_seconds())) if moment else 0


def _lead(found: Delivery) -> str:
    """One line over the cards: how many changes, and whether anything is left to do."""
    states = [State(change.intent.state) for change in found.changes]
    written = sum(state in (State.ACCEPTED, State.RECONCILED) for state in states)
    refused = sum(
        change.intent.state == State.REJECTED and change.intent.rejected_by == "EHR"
        for change in found.changes
    )
    number = len(states)
    if refused:
        reports = any(
            change.intent.state == State.HELD
            and change.intent.change_kind == "note"
            and change.intent.reason.startswith("reported-change-failed")
            for change in found.changes
        )
        return f"{refused} of {number} refused by the EHR; {written} taken. " + (
            "The note says something that was not written; it was not sent."
            if reports
            else "Read what the others say about the refused one."
        )
    if written == number:
        return f"{'All ' if number > 1 else ''}{number} taken by the EHR."
    if State.UNCERTAIN in states:
        return "It is not known whether everything is in the chart. Nothing is sent twice."
    so_far = " so far" if any(state in MOVING for state in states) else ""
    return f"{written} of {number} taken by the EHR{so_far}."


def _shown(
    change: ChangeDelivery,
    *,
    banner: Banner,
    asked: str,
    settles: bool,
    reviews: bool,
    at: datetime,
) -> dict[str, Any]:
    """One change with its title, its notice and, if asked for, its exact request."""
    return {
        "delivery": change,
        "title": drafts.line_of(change.intent).delta.plain,
        "notice": _notice(change, at=at),
        "refusal": _refusal(change),
        "look_for": (
            (*_look_for(change, banner=banner), *(_seen_now(change, at=at) if settles else ()))
            if change.settleable
            else ()
        ),
        "request": _request(change) if change.intent.ref == asked else (),
        "provenance": provenance.of_intent(change.intent),
        "kept_back": drafts.is_kept_back(change.intent),
        "taking_back": taking_back(change.intent) if reviews else None,
    }


def _copies(proposal: Proposal, *, at: datetime) -> dict[str, CopyView | None]:
    """The cards to type from, by the change's id: they stay in reach when the rest is on its way."""
    try:
        seen = presentation.build(proposal=proposal, at=at)
    except NotPresentable:
        return {}
    return {card.intent_id: card.copy for card in seen.cards}


def _by_hand(
    change: ChangeDelivery,
    *,
    hands: Mapping[str, ByHand],
    copies: Mapping[str, CopyView | None],
) -> dict[str, Any]:
    key = str(change.intent.pk)
    return {"hand": hands.get(key), "copy": copies.get(key) if key in hands else None}


def _refusal(change: ChangeDelivery) -> str:
    """Why the last attempt was refused, as the EHR answered; "" when it was not, or nothing was said."""
    last = change.attempts[-1].answer if change.attempts else None
    if last is None or last.phase != WriteLedgerEntry.Phase.REFUSED or not last.evidence:
        return ""
    try:
        return visible_text(last.phi("evidence"))
    except CannotUnseal:
        return ""


def cause_of(intent: Intent) -> str:
    """Why a change is where it is, as a sentence without clinical content.

    Stored is a code, a sentence, or both ("code: sentence").
    """
    code, _, sentence = intent.reason.partition(": ")
    return REASONS.get(code) or (sentence if _CODE.fullmatch(code) else intent.reason)


def _notice(change: ChangeDelivery, *, at: datetime) -> Notice | None:
    intent = change.intent
    if change.not_before is not None and change.not_before <= at:
        waiting = (
            writing.why_waiting(intent=intent, at=at) if intent.state == State.APPROVED else ""
        )
        if waiting:
            return Notice("Not sent yet.", waiting)
    state = State(intent.state)
    connection = str(intent.connection)
    if state == State.UNCERTAIN:
        return Notice(
            "It may be in the EHR, or not.",
            f"{cause_of(intent)} It is not sent again unless its absence is proven.",
            "bad",
        )
    if change.discrepancies:
        found = " ".join(worklist.FOUND[d.kind] for d in change.discrepancies)
        return Notice("The chart differs from what was approved.", found, "bad")
    if state == State.FAILED:
        return Notice("Not sent.", cause_of(intent), "bad")
    if state == State.REJECTED and intent.rejected_by == "EHR":
        return Notice("Nothing was written.", cause_of(intent), "bad")
    if state == State.REJECTED:
        return Notice("Not part of what was sent.", cause_of(intent))
    if drafts.is_kept_back(intent):
        return Notice(
            "Not sent at this stage.",
            f"{cause_of(intent)} Below is what would have been sent; type it into {connection} by hand.",
            "info",
        )
    if state == State.HELD:
        return Notice("Stopped before sending.", cause_of(intent))
    if state in (State.EXPIRED, State.CANCELLED):
        return Notice("Nothing was written.", cause_of(intent))
    if state in (State.ACCEPTED, State.RECONCILED):
        return _owed(intent.finality, state=state, connection=connection)
    return None


def _owed(finality: str, *, state: State, connection: str) -> Notice | None:
    if finality == Finality.FILED_UNSIGNED:
        return Notice(
            "Still owed: your signature.",
            f"Open the note in {connection} and sign it there. Approving here is not signing.",
        )
    if finality == Finality.STAGED and state == State.ACCEPTED:
        return Notice(
            "Not in the chart yet.",
            f"A clinician accepts or declines it in {connection}. It is looked for daily and never "
            "sent a second time.",
            "info",
        )
    return None


def _look_for(change: ChangeDelivery, *, banner: Banner) -> tuple[Fact, ...]:
    """What a person looks for in the EHR, and what it must not be confused with."""
    sent = change.attempts[-1].sent_at if change.attempts else None
    facts = [
        Fact(
            "Where",
            f"{change.intent.connection}: {banner.name}, born {banner.born}, "
            f"MRN {banner.mrn or 'not known'}",
        ),
        Fact("Entry", drafts.line_of(change.intent).delta.plain),
        Fact("Its mark", change.reference),
    ]
    if sent:
        facts.append(Fact("When", f"from {timezone.localtime(sent):%d-%b-%Y %H:%M}"))
    if banner.alike:
        facts.append(Fact("Not to be confused with", banner.alike))
    return tuple(facts)


def _seen_now(change: ChangeDelivery, *, at: datetime) -> Iterable[Fact]:
    """What a look from here shows to who settles it: never more than a candidate."""
    seen = reconciliation.candidates(intent_id=change.intent.pk, at=at)
    if seen is None:
        return
    if not seen.looked:
        yield Fact("Seen from here", "Such entries cannot be looked for from here.")
    elif not seen.entries:
        yield Fact("Seen from here", "No entry like it. That does not prove that it is not there.")
    for entry in seen.entries:
        said = presentation.entry_words(entry, zone=ZoneInfo(change.intent.tenant.time_zone))
        yield Fact(
            "Seen from here",
            f"{said} ({entry.reference}). It is equal, and may be somebody else’s entry.",
        )


def _request(change: ChangeDelivery) -> tuple[WireStep, ...]:
    screening = change.intent.current_screening
    if screening is None or not screening.wire_plan:
        return ()
    stored = drafts.opened(screening, "wire_plan")
    if stored is None:
        return ()
    plan = WirePlan.from_json(stored)
    return tuple(
        WireStep(
            line=f"{step.method} {step.path}",
            headers=step.headers,
            body=visible_text(step.body.decode("utf-8", "replace")),
        )
        for step in plan.steps
    )
