"""The operators' work list: approved changes that need a person, with cause, next step and owner."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audit.recording import record
from audit.tags import AuditTag
from intents.governance.models import EhrConnection
from intents.governance.roles import actor_of, may_operate
from intents.lifecycle import State
from intents.models import Discrepancy, Intent
from intents.pipeline import reconciliation
from intents.queries import worklist
from intents.queries.status import Status, status_of
from intents.queries.worklist import FOUND, Trouble, next_step
from intents.web import drafts, wording
from intents.web.access import PortalRequest, may_open, page, sees_phi
from intents.web.delivery import cause_of
from intents.web.errors import overtaken
from intents.web.queue import stopped_notices

# An uncertain write is looked at within a quarter of an hour, everything else within a working day.
_TARGET = {Trouble.UNKNOWN: timedelta(minutes=15)}
_OTHER_TARGET = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Line:
    """One change of the list, ready to print."""

    name: str
    change: str
    connection: str
    url: str
    status: Status
    cause: str
    next_step: str
    owner: str
    takeable: bool
    take_url: str
    age: str
    late: bool


@require_safe
@page("worklist")
def worklist_page(request: PortalRequest) -> HttpResponse:
    """Everything that needs a person; without names and values for those who may not see them."""
    at = timezone.now()
    phi = sees_phi(request.membership)
    trouble, owner, connection_id = _asked(request)
    rows = worklist.rows(
        at=at,
        trouble=trouble,
        connection_id=connection_id,
        owner={"mine": request.membership.user.name, "nobody": ""}.get(owner),
    )
    lines = [(row.trouble, _line(request, row, phi=phi, at=at)) for row in rows]
    if phi and rows:
        with transaction.atomic():
            record(
                tag=AuditTag.INTENT_PHI_VIEWED,
                actor=actor_of(request.membership),
                at=at,
                tenant_id=str(request.membership.tenant_id),
                body={"page": "worklist", "intents": [str(row.intent.pk) for row in rows]},
            )
    sections = [
        {"trouble": each, "rows": [line for kind, line in lines if kind == each]}
        for each in Trouble
    ]
    return render(
        request,
        "intents/worklist.html",
        {
            "rows": lines,
            "sections": [section for section in sections if section["rows"]],
            "summary": _summary([line for _, line in lines], rows, at=at),
            "troubles": list(Trouble),
            "trouble": trouble,
            "owner": owner,
            "connection_id": str(connection_id or ""),
            "connections": EhrConnection.objects.order_by("title", "name"),
            "notices": stopped_notices(request),
            "sees_phi": phi,
        },
    )


def _asked(request: PortalRequest) -> tuple[Trouble | None, str, UUID | None]:
    try:
        trouble = Trouble(request.GET["trouble"]) if request.GET.get("trouble") else None
        connection = UUID(request.GET["connection"]) if request.GET.get("connection") else None
    except ValueError:
        raise Http404 from None
    return trouble, request.GET.get("owner", ""), connection


def _line(request: PortalRequest, row: worklist.Row, *, phi: bool, at: datetime) -> Line:
    intent = row.intent
    reference = (
        f"Ref {intent.current_version.tag_short}" if intent.current_version else "no reference"
    )
    kind = intent.change_kind.replace("_", " ")
    may_see = may_open("delivery", membership=request.membership)
    code = row.last_fact.status_code if row.last_fact else None
    settled_before = row.discrepancy is not None and intent.state == State.RECONCILED
    cause = "" if settled_before else cause_of(intent)
    if not cause and row.discrepancy is not None:
        cause = FOUND[row.discrepancy.kind]
    return Line(
        name=drafts.whose(intent.proposal, on=timezone.localdate(at)).name if phi else reference,
        change=drafts.line_of(intent).delta.plain if phi else f"{kind}, {intent.interaction}",
        connection=str(intent.connection),
        url=f"{reverse('delivery', args=[intent.proposal_id])}#c-{intent.ref}" if may_see else "",
        status=status_of(
            state=intent.state,
            rejected_by=intent.rejected_by,
            finality=intent.finality,
            connection_title=str(intent.connection),
            at=at,
            open_discrepancies=tuple(d.kind for d in intent.open_discrepancies),  # type: ignore[attr-defined]  # prefetched to this name
        ),
        cause=f"{cause} The EHR answered {code}." if code and not settled_before else cause,
        next_step=next_step(row),
        owner=row.owner,
        takeable=bool(
            row.owner != request.membership.user.name and may_operate(request.membership)
        ),
        take_url=(
            reverse("take", args=[row.discrepancy.pk])
            if row.discrepancy
            else reverse("take_change", args=[intent.pk])
        ),
        age=wording.duration(at - row.since),
        late=at - row.since > _TARGET.get(row.trouble, _OTHER_TARGET),
    )


def _summary(lines: list[Line], rows: list[worklist.Row], *, at: datetime) -> str:
    if not rows:
        return "None is sent again by itself."
    oldest = wording.duration(at - min(row.since for row in rows))
    late = sum(line.late for line in lines)
    ownerless = sum(not line.owner for line in lines)
    return (
        f"{wording.counted(len(lines), 'approved change')} "
        f"{'needs' if len(lines) == 1 else 'need'} a person. Oldest {oldest}; {late} past target; "
        f"{ownerless} without an owner. None is sent again by itself."
    )


@require_POST
@page("settle")
def take(request: PortalRequest, discrepancy_id: UUID) -> HttpResponse:
    """Become the owner of a difference, so that nobody else works on it too."""
    if not may_operate(request.membership):
        raise PermissionDenied
    found = get_object_or_404(Discrepancy.objects, pk=discrepancy_id, resolved_at__isnull=True)
    if found.owner != request.POST.get("owner", ""):
        messages.warning(request, f"{found.owner or 'Nobody'} has it by now. Look again.")
        return redirect("worklist")
    try:
        reconciliation.assign(
            discrepancy_id=found.pk,
            member=request.membership,
            owner=request.membership.user.name,
            at=timezone.now(),
        )
    except reconciliation.CannotSettle as refusal:
        return overtaken(request, sentence=refusal.sentence, back=reverse("worklist"))
    messages.success(request, "It is yours. Settle it on its delivery page.")
    return redirect("worklist")


@require_POST
@page("settle")
def take_change(request: PortalRequest, intent_id: UUID) -> HttpResponse:
    """Become the owner of a change whose outcome is unknown, or that was not sent or refused."""
    if not may_operate(request.membership):
        raise PermissionDenied
    found = get_object_or_404(Intent.objects, pk=intent_id)
    try:
        reconciliation.take_over(
            intent_id=found.pk,
            member=request.membership,
            expected=request.POST.get("owner", ""),
            at=timezone.now(),
        )
    except reconciliation.CannotSettle as refusal:
        return overtaken(request, sentence=refusal.sentence, back=reverse("worklist"))
    messages.success(request, "It is yours. Settle it on its delivery page.")
    return redirect("worklist")
