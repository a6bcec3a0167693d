"""The audit timeline for people: who did what, on what authority, and is the record unbroken.

Looking is recorded: a search with its reason, the view of a timeline, the details of an event. The
reason is asked for every search about a patient; only that it was given stays in the session.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from audit import timeline, vault
from audit.actors import PEOPLE
from audit.tags import AuditTag
from audit.timeline import Axis, TimelineEvent
from intents.governance.roles import Permission, permits
from intents.models import Proposal
from intents.queries import people, queue
from intents.queries.status import status_of
from intents.web import drafts, wording
from intents.web.access import PortalRequest, may_open, page, sees_phi
from intents.web.integrity import badge_for, record_looking

# Between two events: a longer silence is drawn, because it is where people wait and charts move.
_GAP = timedelta(minutes=5)
_PAGE = 200
# More records than this are folded: a received draft comes with dozens.
_MOST_HASHES = 4
# The reasons of the last searches of this session: token -> when it was given.
_REASONS_KEY = "audit_reasons"
_REASONS_KEPT = 20
# A web request recomputes logs up to this size; longer ones are checked by the command.
_MOST_CHECKED = 20_000

_AXES: tuple[tuple[Axis, str], ...] = (
    (Axis.PATIENT, "Patient"),
    (Axis.ACTOR, "Person or agent"),
    (Axis.ENCOUNTER, "Encounter"),
    (Axis.CORRELATION, "Correlation ID"),
)
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# About one patient: the reason is required.
_NEEDS_REASON = frozenset({Axis.PATIENT, Axis.ENCOUNTER})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story, or a silence before it."""

    event: TimelineEvent
    pin: str
    css: str
    gap: str
    hashes: tuple[str, ...]
    more_hashes: tuple[str, ...]
    details: tuple[tuple[str, str], ...] | None
    details_words: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One draft that the events found are about."""

    url: str
    title: str
    at: datetime
    agent: str
    status: Any
    current: bool


# --- the search ---------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@page("audit")
def audit_page(request: PortalRequest) -> HttpResponseBase:
    """The timeline by patient, person or agent, encounter or correlation id."""
    axis = _axis(request.GET.get("by", Axis.PATIENT))
    if request.method == "POST":
        return _search(request, axis=axis)
    key = request.GET.get("key", "")
    if not key:
        return render(request, "audit/timeline.html", _frame(request, axis=axis))
    if axis in _NEEDS_REASON and key not in request.session.get(_REASONS_KEY, {}):
        messages.warning(
            request, "Say why you are looking. The reason is recorded with your search."
        )
        return render(request, "audit/timeline.html", _frame(request, axis=axis, key=key))
    return _show(request, axis=axis, key=key)


def _axis(text: str) -> Axis:
    axis = next((each for each, _ in _AXES if each == text), None)
    if axis is None:
        raise Http404
    return axis


def _search(request: PortalRequest, *, axis: Axis) -> HttpResponse:
    """Resolve what was typed to a token or id, record the search, and lead to its address."""
    why = request.POST.get("why", "").strip()
    typed = request.POST.get("value", "").strip()
    key = request.POST.get("key", "").strip()
    if axis in _NEEDS_REASON and not why:
        messages.error(request, "Nothing was searched: say why you are looking.")
        return render(request, "audit/timeline.html", _frame(request, axis=axis, key=key))
    choices = [(key, key)] if key else _resolve(axis, typed)
    record_looking(
        request,
        AuditTag.AUDIT_SEARCH_RAN,
        by=axis.value,
        reason=why,
        found=len(choices),
        keys=[each for each, _ in choices][:_REASONS_KEPT],
    )
    if axis in _NEEDS_REASON:
        kept = dict(request.session.get(_REASONS_KEY, {}))
        kept |= {each: timezone.now().isoformat() for each, _ in choices}
        request.session[_REASONS_KEY] = dict(list(kept.items())[-_REASONS_KEPT:])
    period = {n: request.POST.get(n, "") for n in ("since", "until") if request.POST.get(n)}
    if len(choices) == 1:
        query = urlencode({"by": axis.value, "key": choices[0][0], **period})
        return redirect(f"{reverse('audit')}?{query}")
    return render(
        request,
        "audit/timeline.html",
        _frame(request, axis=axis, typed=typed)
        | {
            "nothing": not choices,
            "choices": [
                {"url": f"?{urlencode({'by': axis.value, 'key': k, **period})}", "words": words}
                for k, words in choices
            ],
        },
    )


def _resolve(axis: Axis, typed: str) -> list[tuple[str, str]]:
    """(key, words) of everything that was meant. Patients are found by name, number or birth date."""
    if not typed:
        return []
    if axis is Axis.PATIENT:
        wanted = typed.casefold().split()
        today = timezone.localdate()
        found = []
        for chart in people.charts():
            person = drafts.whose(chart.latest, on=today)
            text = f"{person.name} {person.mrn} {''.join(person.mrn.split())} {person.born}"
            if all(word in text.casefold() for word in wanted):
                words = f"{person.name}, born {person.born}, MRN {person.mrn or 'not known'}"
                found.append((chart.latest.patient_token, f"{words}, {chart.latest.connection}"))
        return found
    if axis is Axis.ENCOUNTER:
        reference = typed.removeprefix("Encounter/")
        return [
            (token, f"Encounter {typed}")
            for token in people.encounter_tokens(reference)
            if Proposal.objects.filter(encounter_ref=reference).exists()
        ][:1]
    if axis is Axis.ACTOR:
        return [(a.id, a.name) for a in people.actors() if typed in (a.id, a.name)]
    # A correlation id is made by machines; anything else stays out of the address.
    return [(typed, typed)] if _CORRELATION.fullmatch(typed) else []


def _frame(
    request: PortalRequest, *, axis: Axis, key: str = "", typed: str = ""
) -> dict[str, object]:
    return {
        "axis": axis.value,
        "tabs": [
            {"value": each.value, "words": words, "current": each is axis} for each, words in _AXES
        ],
        "axis_words": dict(_AXES)[axis],
        "needs_reason": axis in _NEEDS_REASON,
        "key": key,
        "typed": typed,
        "actors": people.actors() if axis is Axis.ACTOR else [],
        "since": request.GET.get("since", ""),
        "until": request.GET.get("until", ""),
        "zone": request.membership.tenant.time_zone,
        "may_export": permits(request.membership, Permission.EXPORT_AUDIT),
        "shows_search": True,
    }


# --- the story ------------------------------------------------------------------------------------------


def _show(request: PortalRequest, *, axis: Axis, key: str) -> HttpResponse:
    since, until = _period(request)
    tenant_id = str(request.membership.tenant_id)
    after = _uuid(request.GET.get("after", ""))
    try:
        found = timeline.events(
            by=axis,
            value=key,
            tenant_id=tenant_id,
            since=since,
            until=until,
            after=after,
            limit=_PAGE + 1,
        )
    except LookupError:
        raise Http404 from None
    more = len(found) > _PAGE
    found = found[:_PAGE]
    hits = _hits(request, found, axis=axis, key=key)
    chosen = request.GET.get("draft", "")
    if chosen:
        found = [event for event in found if event.proposal_id == chosen]
    record_looking(
        request, AuditTag.AUDIT_LOG_VIEWED, by=axis.value, key=key, draft=chosen, events=len(found)
    )
    return render(
        request,
        "audit/timeline.html",
        _frame(request, axis=axis, key=key)
        | _story(request, found, oldest_first=bool(chosen), base=_query(request))
        | {
            "hits": hits,
            "chosen": chosen,
            "all_url": f"?{urlencode({'by': axis.value, 'key': key})}",
            "more_url": (
                f"?{urlencode({'by': axis.value, 'key': key, 'after': str(found[-1].id)})}"
                if more and found
                else ""
            ),
        },
    )


@require_safe
@page("draft_history")
def draft_history(request: PortalRequest, proposal_id: UUID) -> HttpResponse:
    """The story of one draft, for those who may open the draft and for auditors."""
    proposal = get_object_or_404(Proposal.objects, pk=proposal_id)
    found = timeline.events(
        by=Axis.PROPOSAL,
        value=str(proposal.pk),
        tenant_id=str(request.membership.tenant_id),
        newest_first=False,
        limit=None,
    )
    record_looking(
        request,
        AuditTag.AUDIT_LOG_VIEWED,
        proposal=proposal,
        by=Axis.PROPOSAL.value,
        events=len(found),
    )
    title = _title(proposal.pk, request=request) or "One draft"
    return render(
        request,
        "audit/timeline.html",
        _story(request, found, oldest_first=True, base="")
        | {
            "title": title,
            "correlation_id": proposal.correlation_id,
            "connection": str(proposal.connection),
            "zone": request.membership.tenant.time_zone,
            "draft_url": reverse("delivery", args=[proposal.pk])
            if may_open("delivery", membership=request.membership)
            else "",
            "may_audit": may_open("audit", membership=request.membership),
        },
    )


def _story(
    request: PortalRequest, found: Sequence[TimelineEvent], *, oldest_first: bool, base: str
) -> dict[str, object]:
    ordered = sorted(found, key=lambda e: (e.at, e.recorded_at)) if oldest_first else list(found)
    asked = request.GET.get("details", "")
    return {
        "lines": lines_of(ordered, details=_details(request, ordered, asked=asked)),
        "asked": asked,
        "badge": badge_for(found, tenant_id=str(request.membership.tenant_id)),
        "span": _span(found),
        "base": base,
        "searched": True,
    }


def lines_of(
    events: Iterable[TimelineEvent],
    *,
    details: dict[UUID, tuple[tuple[tuple[str, str], ...], str]] | None = None,
) -> list[Line]:
    """The events as lines: pins, hashes, and every silence of more than five minutes."""
    lines: list[Line] = []
    number = 0
    before: datetime | None = None
    for event in events:
        person = event.actor_kind in PEOPLE
        if not person:
            number += 1
        silence = abs(event.at - before) if before else timedelta()
        shown = (details or {}).get(event.id)
        hashes = tuple(f"{_record_name(table)} {sha[:12]}" for table, _, sha in event.rows)
        lines.append(
            Line(
                event=event,
                pin=(event.actor_name.split() or ["?"])[-1][:1].upper() if person else str(number),
                css=_css(event, person=person),
                gap=wording.duration(silence) if silence > _GAP else "",
                hashes=hashes[:_MOST_HASHES],
                more_hashes=hashes[_MOST_HASHES:],
                details=shown[0] if shown else None,
                details_words=shown[1] if shown else "",
            )
        )
        before = event.at
    return lines


def _record_name(table: str) -> str:
    """ "intents_historicalproposal" is "historicalproposal" to a reader."""
    return table.split("_", 1)[-1]


_GOOD = frozenset(
    {AuditTag.INTENT_WRITE_ACCEPTED, AuditTag.INTENT_WRITE_FOUND, AuditTag.INTENT_WRITE_RECONCILED}
)
_WARNING = frozenset(
    {
        AuditTag.INTENT_BASELINE_MOVED,
        AuditTag.INTENT_POLICY_HELD,
        AuditTag.INTENT_REVIEW_HELD,
        AuditTag.INTENT_WRITE_HELD,
        AuditTag.INTENT_WRITE_UNCERTAIN,
        AuditTag.INTENT_DISCREPANCY_OPENED,
    }
)


def _css(event: TimelineEvent, *, person: bool) -> str:
    if person:
        return "person"
    if event.tag in _GOOD:
        return "okp"
    return "warnp" if event.tag in _WARNING else ""


def _details(
    request: PortalRequest, events: Sequence[TimelineEvent], *, asked: str
) -> dict[UUID, tuple[tuple[tuple[str, str], ...], str]]:
    """The body of the one event that was asked for; looking at it is recorded."""
    event = next((each for each in events if str(each.id) == asked), None)
    if event is None:
        return {}
    try:
        body = timeline.details(event.id, tenant_id=str(request.membership.tenant_id))
    except vault.BodyUnreadable:
        return {event.id: ((), "The details were altered and cannot be read.")}
    record_looking(request, AuditTag.AUDIT_BODY_VIEWED, event=str(event.id))
    if body is None:
        gone = timeline.is_destroyed(event.id)
        words = "The details were destroyed on purpose." if gone else "There are no more details."
        return {event.id: ((), words)}
    return {event.id: (tuple((key, str(value)) for key, value in body.items()), "")}


def _hits(
    request: PortalRequest, found: Sequence[TimelineEvent], *, axis: Axis, key: str
) -> list[Hit]:
    """The drafts among the events, latest first, in words only for those who may see them."""
    ids = list(dict.fromkeys(UUID(event.proposal_id) for event in found if event.proposal_id))
    chosen = request.GET.get("draft", "")
    at = timezone.now()
    hits = []
    for proposal in queue.load(ids):
        shown = next(iter(proposal.intents.all()), None)
        if shown is None:
            continue
        live = shown.live_entries  # type: ignore[attr-defined]  # prefetched to this name
        hits.append(
            Hit(
                url=f"?{urlencode({'by': axis.value, 'key': key, 'draft': str(proposal.pk)})}",
                title=_words_of(proposal, phi=sees_phi(request.membership)),
                at=proposal.received_at,
                agent=proposal.agent.name,
                status=status_of(
                    state=shown.state,
                    rejected_by=shown.rejected_by,
                    finality=shown.finality,
                    connection_title=str(proposal.connection),
                    at=at,
                    not_before=live[0].not_before if live else None,
                    open_discrepancies=tuple(d.kind for d in shown.open_discrepancies),  # type: ignore[attr-defined]  # prefetched to this name
                ),
                current=str(proposal.pk) == chosen,
            )
        )
    return hits


def _words_of(proposal: Proposal, *, phi: bool) -> str:
    """What a draft was about; without clinical content for those who do not see it."""
    changes = list(proposal.intents.all())
    if phi:
        return "; ".join(drafts.line_of(intent).delta.plain for intent in changes)
    kinds = ", ".join(intent.change_kind.replace("_", " ") for intent in changes)
    return f"{wording.counted(len(changes), 'change')}: {kinds}"


def _title(proposal_id: UUID, *, request: PortalRequest) -> str:
    loaded = queue.load([proposal_id])
    return _words_of(loaded[0], phi=sees_phi(request.membership)) if loaded else ""


def _span(found: Sequence[TimelineEvent]) -> str:
    places = [event.index for event in found if event.index is not None]
    if not places:
        return "not in the record yet"
    first, last = min(places) + 1, max(places) + 1
    return f"event {first:,}" if first == last else f"events {first:,} to {last:,}"


def _period(request: PortalRequest) -> tuple[datetime | None, datetime | None]:
    """From the first moment of one day to the last of another, in the organisation's zone."""
    zone = ZoneInfo(request.membership.tenant.time_zone)
    bounds: list[datetime | None] = []
    for name, extra in (("since", 0), ("until", 1)):
        text = request.GET.get(name, "")
        if not text:
            bounds.append(None)
            continue
        try:
            day = datetime.strptime(text, "%Y-%m-%d").date() + timedelta(days=extra)  # noqa: DTZ007
        except ValueError:
            raise Http404 from None
        bounds.append(datetime.combine(day, time(), tzinfo=zone))
    return bounds[0], bounds[1]


def _query(request: PortalRequest) -> str:
    kept = {n: v for n in ("by", "key", "draft", "since", "until") if (v := request.GET.get(n))}
    return urlencode(kept)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Http404 from None
