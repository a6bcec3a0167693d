"""A draft that was stopped: what happened, three versions side by side, and three ways on.

There is no "write anyway": it would replace somebody's change that nobody has seen beside this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audit.tags import AuditTag
from ehr_adapters.canonical.base import Control, FieldSpec, fields, same_value, visible_text, words
from ehr_adapters.contract import Baseline
from intents.governance.roles import actor_of, may_hold, may_review
from intents.lifecycle import State
from intents.models import Intent, Proposal
from intents.pipeline import gateway, review
from intents.queries import queue
from intents.web import drafts
from intents.web.access import PortalRequest, page
from intents.web.delivery import banner_of, cause_of
from intents.web.errors import overtaken
from intents.web.identities import IdentityPart, both

_BOTH = ("Both changed it.", "Someone has to choose.")
_SAME = ("Both changed it to the same value.", "")
_CHART = ("Only the chart changed.", "The draft would have undone this.")
_DRAFT = ("Only the draft changes it.", "")
# Findings about who the draft is of: the page then shows both identities.
_WHOSE = frozenset({"patient-mismatch", "name-alike-unproven"})


@dataclass(frozen=True, slots=True)
class Compared:
    """One field in three versions. `clash`: both sides changed it, differently."""

    label: str
    then: str
    now: str
    draft: str
    now_changed: bool
    draft_changed: bool
    clash: bool
    what: str
    more: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """One stopped change, ready to print."""

    intent: Intent
    title: str
    why: str
    findings: tuple[str, ...]
    rows: tuple[Compared, ...]
    same: str
    read_at: datetime | None
    now_at: datetime | None
    unreadable: str
    version_then: str
    version_now: str
    newcomers: tuple[str, ...]


@require_safe
@page("conflict")
def conflict_page(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """What stopped the draft. Reads the chart as it is now; without an answer it says so."""
    at = timezone.now()
    loaded = queue.load([proposal_id])
    if not loaded:
        raise Http404
    proposal = loaded[0]
    held = [intent for intent in proposal.intents.all() if intent.state == State.HELD]
    if not held:
        return redirect("review", proposal_id)
    with transaction.atomic():
        proposal.note(
            tag=AuditTag.INTENT_PHI_VIEWED,
            actor=actor_of(request.membership),
            at=at,
            page="conflict",
        )
    stopped = [stopped_of(intent, at=at) for intent in held]
    return render(
        request,
        "intents/conflict.html",
        {
            "proposal": proposal,
            "banner": banner_of(proposal, at=at, verb="Writes to"),
            "stopped": stopped,
            "identities": _identities(proposal, held),
            "moved": any(one.rows or one.newcomers for one in stopped),
            "kept_back": all(drafts.is_kept_back(intent) for intent in held),
            "may_decide": may_review(request.membership) or may_hold(request.membership),
            "reasons": review.REASON_CODES.items(),
            "zone": request.membership.tenant.time_zone,
        },
    )


def _identities(proposal: Proposal, held: list[Intent]) -> tuple[IdentityPart, ...]:
    """Who the draft says it is of beside whose chart it is, where that is the doubt."""
    for intent in held:
        screening = intent.current_screening
        codes = {finding.code for finding in screening.findings.all()} if screening else set()
        stored = drafts.baseline_of(intent)
        identity = Baseline.from_json(stored).identity if stored else None
        if identity is not None and codes & _WHOSE:
            asserted = drafts.opened(proposal, "asserted_identity") or {}
            return both(asserted=asserted, identity=identity)
    return ()


def stopped_of(intent: Intent, *, at: datetime) -> Stopped:
    """One stopped change: why, and the three versions of its entry where there is one."""
    stored = drafts.baseline_of(intent)
    then = Baseline.from_json(stored) if stored else None
    now, unreadable = _read_now(intent, at=at)
    content: dict[str, Any] = (
        (drafts.opened(intent.current_version, "content") or {}) if intent.current_version else {}
    )
    old = dict(then.target.canonical) if then and then.target else {}
    current = dict(now.target.canonical) if now and now.target else {}
    rows: tuple[Compared, ...] = ()
    same = ""
    if old and current:
        rows, same = compare(kind=intent.change_kind, then=old, now=current, change=content)
    screening = intent.current_screening
    why = cause_of(intent)
    return Stopped(
        intent=intent,
        title=drafts.line_of(intent).delta.plain,
        why=why,
        findings=tuple(
            finding.diagnostics
            for finding in (screening.findings.all() if screening else ())
            if finding.holds and finding.diagnostics != why
        ),
        rows=rows,
        same=same,
        read_at=then.read_at if then else None,
        now_at=now.read_at if now else None,
        unreadable=unreadable,
        version_then=then.target.version_id if then and then.target else "",
        version_now=now.target.version_id if now and now.target else "",
        newcomers=_newcomers(intent, then=then, now=now),
    )


def _read_now(intent: Intent, *, at: datetime) -> tuple[Baseline | None, str]:
    """The chart as it is now, or the sentence why it could not be read."""
    result = gateway.read_for_review(intent=intent, at=at)
    return result.baseline, result.sentence


def _newcomers(intent: Intent, *, then: Baseline | None, now: Baseline | None) -> tuple[str, ...]:
    """Entries of the same kind that the chart holds now and did not hold when this was drafted."""
    if then is None or now is None:
        return ()
    before = {snapshot.reference for snapshot in then.neighbours(intent.change_kind)}
    return tuple(
        visible_text("; ".join(f"{label}: {text}" for label, text in snapshot.display))
        for snapshot in now.neighbours(intent.change_kind)
        if snapshot.reference not in before
    )


def compare(
    *, kind: str, then: Mapping[str, Any], now: Mapping[str, Any], change: Mapping[str, Any]
) -> tuple[tuple[Compared, ...], str]:
    """Every field in three versions, those that clash first; and in words what is the same in all."""
    draft = {name: value for name, value in {**then, **change}.items() if value is not None}
    clashing: list[Compared] = []
    others: list[Compared] = []
    same: list[str] = []
    for spec in fields(kind):
        if spec.portal_only:
            continue
        values = [side.get(spec.name) for side in (then, now, draft)]
        if all(value is None for value in values):
            continue
        by_chart = not same_value(kind, spec.name, values[0], values[1])
        by_draft = not same_value(kind, spec.name, values[0], values[2])
        if not by_chart and not by_draft:
            same.append(_said(spec, values[0]))
            continue
        agree = same_value(kind, spec.name, values[1], values[2])
        clash = by_chart and by_draft and not agree
        what = (
            _BOTH if clash else _SAME if by_chart and by_draft else _CHART if by_chart else _DRAFT
        )
        row = Compared(
            label=spec.label,
            then=_said(spec, values[0]),
            now=_said(spec, values[1]),
            draft=_said(spec, values[2]),
            now_changed=by_chart,
            draft_changed=by_draft,
            clash=clash,
            what=what[0],
            more=what[1],
        )
        (clashing if clash else others).append(row)
    return (*clashing, *others), "; ".join(text for text in same if text)


def _said(spec: FieldSpec, value: Any) -> str:
    if value is None:
        return ""
    if spec.control is Control.REFERENCE:
        # The EHR's own id says nothing to a reader; that there is one does.
        return f"{str(value).partition('/')[0] or 'Entry'} …{str(value)[-6:]}"
    return visible_text(words(spec.kind, spec.name, value))


# --- three ways on ------------------------------------------------------------------------------------


def _held(request: PortalRequest, proposal_id: UUID) -> Proposal:
    if not (may_review(request.membership) or may_hold(request.membership)):
        raise PermissionDenied
    return get_object_or_404(Proposal.objects, pk=proposal_id)


@require_POST
@page("conflict")
def release(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Check the draft again from the chart as it is now; earlier approvals are void."""
    proposal = _held(request, proposal_id)
    try:
        review.release(proposal_id=proposal.pk, reviewer=request.membership, at=timezone.now())
    except review.ReviewRefused as refusal:
        back = reverse("review", args=[proposal.pk])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(request, "The draft is checked again from the chart as it is now.")
    return redirect(
        reverse("review_edit", args=[proposal.pk])
        if request.POST.get("then") == "edit"
        else reverse("review", args=[proposal.pk])
    )


@require_POST
@page("conflict")
def turn_down(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """Reject the stopped changes with a reason; the chart keeps what it holds."""
    proposal = _held(request, proposal_id)
    reason = request.POST.get("reason", "")
    if reason not in review.REASON_CODES:
        messages.error(request, "Not rejected: choose a reason.")
        return redirect("conflict", proposal_id)
    try:
        review.reject(
            proposal_id=proposal.pk,
            reviewer=request.membership,
            reason_code=reason,
            note=request.POST.get("note", "").strip(),
            at=timezone.now(),
        )
    except review.ReviewRefused as refusal:
        back = reverse("review", args=[proposal.pk])
        return overtaken(request, sentence=refusal.sentence, back=back)
    messages.success(request, "Rejected. The chart keeps what it holds.")
    return redirect(f"{reverse('next_draft')}?after={proposal.pk}")
