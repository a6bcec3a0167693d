"""The review page: see, decide, edit, reject. Each view makes one call into the pipeline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST

from audit.tags import AuditTag
from intents.governance.encryption import CannotUnseal
from intents.governance.roles import actor_of, may_review, why_not_review
from intents.lifecycle import IN_FLIGHT, OPEN, WRITTEN, State
from intents.models import Intent, OutboxEntry, Proposal, ReviewProgress
from intents.pipeline import presentation, review, screening, worklist
from intents.pipeline.presentation.page import ADD, TAKE_OUT
from intents.pipeline.screening import Freshness
from intents.queries import writing
from intents.web import decision_bar
from intents.web.access import PortalRequest, page
from intents.web.by_hand import typed_by_hand
from intents.web.context import offer_undo
from intents.web.rewriting import rewritten

_CHECK = "check-"
# A session that ended keeps its checks this long.
_KEPT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not done, for the top of the page."""

    title: str
    sentence: str
    retry: bool = False


# --- see -----------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@page("review")
def review_page(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """One draft with all its changes. GET reads the chart again and takes the claim; POST approves."""
    at = timezone.now()
    proposal = get_object_or_404(
        Proposal.objects.select_related("connection", "agent", "agent_release"), pk=proposal_id
    )
    if request.method == "POST":
        return _approve(request, proposal, at=at)
    return _show(request, proposal, at=at)


def _show(
    request: PortalRequest, proposal: Proposal, *, at: datetime, problem: Problem | None = None
) -> HttpResponse:
    states = _states(proposal)
    if State.PENDING_APPROVAL in states:
        try:
            reads = screening.refresh(proposal_id=proposal.pk, at=at)
        except CannotUnseal:
            reads = []  # the page below says so
        states = _states(proposal)
        if State.PENDING_APPROVAL not in states and State.HELD in states:
            return redirect("conflict", proposal.pk)
    else:
        reads = []
    elsewhere = _elsewhere(proposal, states)
    if elsewhere is not None:
        return elsewhere
    try:
        seen = presentation.build(proposal=proposal, at=at)
    except presentation.NotPresentable as reason:
        return render(
            request,
            "review/waiting.html",
            {
                "proposal": proposal,
                "sentence": str(reason),
                "intents": proposal.intents.all(),
                "checking": State.DRAFTED in states,
            },
            status=503 if problem else 200,
        )
    silent = any(r.freshness is Freshness.SILENT for r in reads)
    notices = [*seen.notices]
    if any(r.freshness is Freshness.WHOLE_DIFFERS for r in reads):
        notices.append(
            "The chart changed in fields that this draft does not touch. The request was made again from "
            "the chart as it is now; checks on the touched changes start over."
        )
    if _has_newer(proposal):
        notices.append(
            "A newer draft of this exists. It did not replace this one, because somebody was reading or had "
            "edited it. Approve one of the two and reject the other."
        )
    limit = review.sign_in_limit(seen)
    if limit and State.PENDING_APPROVAL in states and may_review(request.membership):
        signed_in_at = _authentication(request, at=at)[1]
        if at - signed_in_at > limit:
            notices.append(
                "Your last sign-in is some time ago: approving this asks you to sign in again first. "
                "Your checks are kept."
            )
    notices += writing.stage_notices(proposal=proposal)
    if State.HELD in states:
        notices.append("A change of this draft is on hold and is not part of this approval.")
    answers = _note_viewing(request, proposal, seen=seen, at=at)
    return render(
        request,
        "review/review.html",
        _context(
            request,
            proposal,
            seen=seen,
            states=states,
            answers=answers,
            notices=notices,
            silent=silent,
            at=at,
            problem=problem,
        ),
        status=409 if problem else 200,
    )


def _has_newer(proposal: Proposal) -> bool:
    """Is there an open draft that names this one as replaced, or changes the same entry later?"""
    if Proposal.objects.filter(supersedes=proposal, intents__state__in=OPEN).exists():
        return True
    targets = [key for key in proposal.intents.values_list("target_key", flat=True) if key]
    return bool(targets) and (
        Intent.objects.filter(
            connection_id=proposal.connection_id,
            proposal__patient_ref=proposal.patient_ref,
            proposal__received_at__gt=proposal.received_at,
            target_key__in=targets,
            state__in=OPEN,
        )
        .exclude(proposal=proposal)
        .exists()
    )


def _states(proposal: Proposal) -> list[State]:
    return [State(s) for s in proposal.intents.values_list("state", flat=True)]


def _elsewhere(proposal: Proposal, states: list[State]) -> HttpResponse | None:
    """Where a draft that is not for review now is shown; None: here."""
    if State.PENDING_APPROVAL in states or State.VALIDATED in states:
        return None
    if State.HELD in states:
        return redirect("conflict", proposal.pk)
    if State.DRAFTED in states:
        return None
    if any(s in (*IN_FLIGHT, *WRITTEN) for s in states) or State.FAILED in states:
        return redirect("delivery", proposal.pk)
    return None


def _note_viewing(
    request: PortalRequest, proposal: Proposal, *, seen: presentation.ReviewPage, at: datetime
) -> dict[str, str]:
    """Record that clinical content was seen, take the claim, and return the checks made before."""
    actor = actor_of(request.membership)
    decides = may_review(request.membership)
    with transaction.atomic():
        proposal.note(
            tag=AuditTag.INTENT_PHI_VIEWED,
            actor=actor,
            at=at,
            page="review",
            view_hash=seen.view_hash,
        )
        if not decides:
            return {}
        progress, _ = ReviewProgress.objects.get_or_create(
            tenant_id=proposal.tenant_id,
            proposal=proposal,
            reviewer=request.membership,
            defaults={"view_hash": seen.view_hash, "opened_at": at, "updated_at": at},
        )
        stale = progress.view_hash != seen.view_hash or progress.updated_at < at - _KEPT
        if stale:
            progress.view_hash, progress.checks = seen.view_hash, {}
        progress.opened_at = at
        progress.updated_at = at
        progress.save()
    if _may_act(proposal, request):
        try:
            worklist.claim(proposal_id=proposal.pk, reviewer=request.membership, at=at)
        except worklist.ClaimedByAnother as other:
            messages.warning(request, str(other))
    return dict(progress.checks)


def _may_act(proposal: Proposal, request: PortalRequest) -> bool:
    """Is there anything that this person could decide now? Who only looks keeps nobody else waiting."""
    me = request.membership
    return any(
        intent.state == State.VALIDATED
        or (intent.state == State.PENDING_APPROVAL and not worklist.why_not_now(intent, me))
        for intent in proposal.intents.select_related(
            "connection", "current_version", "current_screening"
        )
    )


def _context(
    request: PortalRequest,
    proposal: Proposal,
    *,
    seen: presentation.ReviewPage,
    states: list[State],
    answers: Mapping[str, str],
    notices: list[str],
    silent: bool,
    at: datetime,
    problem: Problem | None,
) -> dict[str, Any]:
    pending = State.PENDING_APPROVAL in states
    deciding = [
        i
        for i in proposal.intents.select_related(
            "connection", "current_version", "current_screening"
        )
        if i.state == State.PENDING_APPROVAL
    ]
    refusals = [w for w in (worklist.why_not_now(i, request.membership) for i in deciding) if w]
    not_author = any(worklist.may_take_over(i, request.membership) for i in deciding)
    blocked = ""
    if silent:
        blocked = "The EHR does not answer, so the chart could not be compared."
        problem = problem or Problem(
            "The EHR is not answering.", "What is shown may be out of date.", retry=True
        )
    elif refusals:
        blocked = refusals[0]
    elif proposal.is_claimed_by_other(reviewer=request.membership, at=at):
        blocked = worklist.ClaimedByAnother.sentence
    left = blocked or decision_bar.left(seen, states)
    decides = may_review(request.membership)
    return {
        "proposal": proposal,
        "page": seen,
        "title": decision_bar.title(seen),
        "why": " ".join(seen.reasons),
        "notices": notices,
        "problem": problem,
        "answers": answers,
        "bar": decision_bar.sentence(seen),
        "left": left if decides else why_not_review(request.membership),
        "chart_line": decision_bar.chart_line(seen, at=at),
        "opened_at": at.astimezone(UTC).isoformat(),
        "approve_for": decision_bar.approve_for(seen),
        "approvable": pending,
        "blocked": blocked,
        "may_decide": decides and (pending or State.VALIDATED in states),
        "may_edit": pending,
        "may_promote": State.VALIDATED in states and not pending,
        "may_take_over": bool(refusals) and not_author,
        "hands": typed_by_hand(proposal, membership=request.membership, at=at),
    }


# --- decide --------------------------------------------------------------------------------------


def _answers(request: PortalRequest) -> dict[str, str]:
    return {
        name.removeprefix(_CHECK): str(value)
        for name, value in request.POST.items()
        if name.startswith(_CHECK)
    }


def _decision(request: PortalRequest, proposal: Proposal, *, at: datetime) -> review.DecisionForm:
    """The form as the page sent it. When the page was opened is what the server noted, not the form."""
    progress = ReviewProgress.objects.filter(proposal=proposal, reviewer=request.membership).first()
    method, authenticated_at = _authentication(request, at=at)
    return review.DecisionForm(
        view_hash=request.POST.get("view_hash", ""),
        payload_hashes={
            name.removeprefix("payload-"): str(value)
            for name, value in request.POST.items()
            if name.startswith("payload-")
        },
        checks=_answers(request),
        opened_at=progress.opened_at if progress else at,
        authenticated_at=authenticated_at,
        authentication_method=method,
    )


def _authentication(request: PortalRequest, *, at: datetime) -> tuple[str, datetime]:
    """How and when this session was authenticated last (allauth notes each in the session)."""
    methods = request.session.get("account_authentication_methods") or []
    if not methods:
        return "session", request.user.last_login or at
    last = methods[-1]
    names = sorted({str(m.get("method", "")) for m in methods if m.get("method")})
    return "+".join(names) or "session", datetime.fromtimestamp(
        float(last.get("at", at.timestamp())), UTC
    )


def _keep_checks(request: PortalRequest, proposal: Proposal, *, at: datetime) -> None:
    """What was ticked is not lost when a decision does not go through."""
    progress = ReviewProgress.objects.filter(proposal=proposal, reviewer=request.membership).first()
    if progress and progress.view_hash == request.POST.get("view_hash", ""):
        progress.checks, progress.updated_at = _answers(request), at
        progress.save()


def _refused(
    request: PortalRequest, proposal: Proposal, refusal: review.ReviewRefused, *, at: datetime
) -> HttpResponse:
    _keep_checks(request, proposal, at=at)
    if isinstance(refusal, review.ConflictFound):
        return redirect("conflict", proposal.pk)
    if isinstance(refusal, review.SignInAgain):
        messages.warning(request, refusal.sentence)
        query = urlencode({"next": reverse("review", args=[proposal.pk])})
        return redirect(f"{reverse('sign_in_again')}?{query}")
    title = "Nothing was written."
    return _show(
        request,
        proposal,
        at=at,
        problem=Problem(title, refusal.sentence, retry=isinstance(refusal, review.ChartUnreadable)),
    )


def _approve(request: PortalRequest, proposal: Proposal, *, at: datetime) -> HttpResponse:
    answers = _answers(request)
    if any(answer in (TAKE_OUT, ADD) for answer in answers.values()):
        return _rewrite(request, proposal, answers=answers, at=at)
    try:
        approved = review.approve(
            proposal_id=proposal.pk,
            reviewer=request.membership,
            form=_decision(request, proposal, at=at),
            at=at,
        )
    except review.ReviewRefused as refusal:
        return _refused(request, proposal, refusal, at=at)
    sending = [i.pk for i in approved if i.state == State.APPROVED]
    until = (
        OutboxEntry.objects.filter(intent__in=sending, closed_at__isnull=True)
        .order_by("-not_before")
        .values_list("not_before", flat=True)
        .first()
    )
    if until and until > at:
        offer_undo(request, proposal_id=proposal.pk, until=until)
    if any(i.state == State.PENDING_APPROVAL for i in approved):
        messages.success(
            request, "Your approval is recorded. A second person has to approve before it is sent."
        )
    return redirect("delivery", proposal.pk) if sending else redirect("queue")


def _rewrite(
    request: PortalRequest, proposal: Proposal, *, answers: Mapping[str, str], at: datetime
) -> HttpResponse:
    """Some answers change the words: make the new version, check it, and show it before it can be approved."""
    seen = presentation.build(proposal=proposal, at=at)
    if seen.view_hash != request.POST.get("view_hash", ""):
        return _show(
            request,
            proposal,
            at=at,
            problem=Problem(
                "Nothing was written.", "The draft changed while the page was open. Look again."
            ),
        )
    for card in seen.cards:
        out = [s for s in card.statements if s.check and answers.get(s.check.key) == TAKE_OUT]
        added = [s for s in card.left_out if s.check and answers.get(s.check.key) == ADD]
        if not out and not added:
            continue
        intent = Intent.objects.select_related("current_version").get(pk=card.intent_id)
        assert intent.current_version is not None
        content = rewritten(
            intent.current_version.phi_json("content"), card=card, out=out, added=added
        )
        try:
            review.edit(
                intent_id=intent.pk,
                reviewer=request.membership,
                content=content,
                payload_hash=card.payload_hash,
                at=at,
            )
        except review.ReviewRefused as refusal:
            return _refused(request, proposal, refusal, at=at)
    messages.success(request, "The words were changed and checked again. Nothing is written yet.")
    return redirect("review", proposal.pk)


@require_POST
@page("review")
def take_over(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Become the author of the notes and orders, so that they carry one's own name."""
    at = timezone.now()
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    return _each_pending(
        request,
        proposal,
        lambda intent: review.take_over_as_author(
            intent_id=intent.pk, reviewer=request.membership, at=at
        ),
        kinds=("note", "order"),
        done="You are the author now. It was checked again.",
        at=at,
    )


def _each_pending(
    request: PortalRequest,
    proposal: Proposal,
    act: Callable[[Intent], object],
    *,
    kinds: tuple[str, ...],
    done: str,
    at: datetime,
) -> HttpResponse:
    for intent in proposal.intents.filter(state=State.PENDING_APPROVAL, change_kind__in=kinds):
        try:
            act(intent)
        except review.ReviewRefused as refusal:
            return _refused(request, proposal, refusal, at=at)
    messages.success(request, done)
    return redirect("review", proposal.pk)


@require_POST
@page("review")
def promote(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Put a resting draft up for approval; it is checked again first."""
    at = timezone.now()
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    try:
        review.promote(proposal_id=proposal.pk, reviewer=request.membership, at=at)
    except review.ReviewRefused as refusal:
        return _refused(request, proposal, refusal, at=at)
    return redirect("review", proposal.pk)


@require_POST
@page("review")
def drop(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Leave out one change of the set; statements that report it come up for decision."""
    at = timezone.now()
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    intent = get_object_or_404(proposal.intents, ref=request.POST.get("drop", ""))
    try:
        review.reject(
            proposal_id=proposal.pk,
            reviewer=request.membership,
            reason_code="not-wanted",
            intent_ids=[intent.pk],
            view_hash=request.POST.get("view_hash", ""),
            at=at,
        )
    except review.ReviewRefused as refusal:
        return _refused(request, proposal, refusal, at=at)
    messages.success(request, "The change was left out.")
    return redirect("review", proposal.pk)
