"""Drafts for one patient. Not a chart viewer: only what passed through the portal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from audit.recording import record
from audit.tags import AuditTag
from intents.governance.roles import actor_of
from intents.lifecycle import CLOSED, IN_FLIGHT, OPEN, WRITTEN, State
from intents.models import Proposal
from intents.queries import people, queue
from intents.queries.status import status_of
from intents.web import drafts, wording
from intents.web.access import PortalRequest, may_open, page
from intents.web.delivery import banner_of
from intents.web.queue import address_of

_SHOWN = timedelta(days=365)
_MOST_FOUND = 30


@dataclass(frozen=True, slots=True)
class Found:
    """One patient that matches a search."""

    url_id: UUID
    whose: drafts.Whose
    connection: str
    drafted: int


@require_http_methods(["GET", "HEAD", "POST"])
@page("patients")
def patients_page(request: PortalRequest) -> HttpResponse:
    """Find a patient by name, number or birth date. A POST with a reason, which is recorded."""
    at = timezone.now()
    search = request.POST.get("q", "").strip()
    why = request.POST.get("why", "").strip()
    found: list[Found] = []
    searched = False
    if request.method == "POST":
        if not search or not why:
            messages.error(
                request, "Nothing was searched: give a name or number, and say why you are looking."
            )
        else:
            found = find(search)
            searched = True
            with transaction.atomic():
                record(
                    tag=AuditTag.INTENT_PATIENT_SEARCHED,
                    actor=actor_of(request.membership),
                    at=at,
                    tenant_id=str(request.membership.tenant_id),
                    body={"reason": why, "found": len(found)},
                )
    return render(
        request,
        "intents/patients.html",
        {"search": search, "why": why, "found": found, "searched": searched},
    )


def find(search: str) -> list[Found]:
    """Charts whose name, number or birth date holds every word; at most 30."""
    wanted = search.casefold().split()
    today = timezone.localdate()
    found: list[Found] = []
    for chart in people.charts():
        person = drafts.whose(chart.latest, on=today)
        text = f"{person.name} {person.mrn} {''.join(person.mrn.split())} {person.born}".casefold()
        if all(word in text for word in wanted):
            found.append(
                Found(
                    url_id=chart.latest.pk,
                    whose=person,
                    connection=str(chart.latest.connection),
                    drafted=Proposal.objects.filter(
                        connection_id=chart.connection_id, patient_ref=chart.patient_ref
                    ).count(),
                )
            )
            if len(found) == _MOST_FOUND:
                break
    return found


_SECTIONS: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("Waiting", OPEN),
    ("Approved, on the way", (*IN_FLIGHT, State.FAILED)),
    ("Written", WRITTEN),
    ("Rejected, blocked or withdrawn", CLOSED),
)


@require_safe
@page("patients")
def patient_page(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """The drafts of the patient whom this draft is about. Opening the page is recorded."""
    at = timezone.now()
    named = get_object_or_404(Proposal.objects, pk=proposal_id)
    ids = [
        each.pk
        for each in people.drafts_of(
            connection_id=named.connection_id, patient_ref=named.patient_ref
        )
        if each.received_at > at - _SHOWN
    ] or [named.pk]
    proposals = queue.load(ids)
    with transaction.atomic():
        named.note(
            tag=AuditTag.INTENT_PHI_VIEWED,
            actor=actor_of(request.membership),
            at=at,
            page="patient",
            proposals=[str(pk) for pk in ids],
        )
    rows = [_row(proposal, at=at) for proposal in proposals]
    sections = [
        {"name": name, "rows": [row for row in rows if row["section"] == name]}
        for name, _ in _SECTIONS
    ]
    return render(
        request,
        "intents/patient.html",
        {
            "banner": banner_of(proposals[0], at=at, verb="Drafts for"),
            "sections": [section for section in sections if section["rows"]],
            "proposal": named,
            "may_audit": may_open("audit", membership=request.membership),
        },
    )


def _row(proposal: Proposal, *, at: datetime) -> dict[str, object]:
    changes = list(proposal.intents.all())
    lines = [drafts.line_of(intent) for intent in changes]
    states = {State(intent.state) for intent in changes}
    section = next(name for name, family in _SECTIONS if states & set(family))
    family = dict(_SECTIONS)[section]
    shown = next(intent for intent in changes if State(intent.state) in family)
    live = shown.live_entries  # type: ignore[attr-defined]  # prefetched to this name
    return {
        "section": section,
        "status": status_of(
            state=shown.state,
            rejected_by=shown.rejected_by,
            finality=shown.finality,
            connection_title=str(proposal.connection),
            at=at,
            not_before=live[0].not_before if live else None,
            open_discrepancies=tuple(d.kind for d in shown.open_discrepancies),  # type: ignore[attr-defined]  # prefetched to this name
        ),
        "url": address_of(proposal),
        "deltas": [line.delta for line in lines],
        "agent": proposal.agent.name,
        "received_at": proposal.received_at,
        "waited": wording.duration(at - proposal.received_at),
    }
