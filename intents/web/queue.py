"""The reviewers' queue: drafts by due time, a view at a time, one draft opened at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from audit.recording import record
from audit.tags import AuditTag
from intents.governance.models import Agent, EhrConnection
from intents.governance.roles import actor_of
from intents.lifecycle import IN_FLIGHT, WRITTEN, State, Tier
from intents.models import Intent, Proposal
from intents.pipeline import worklist
from intents.queries import queue, writing
from intents.queries.queue import CursorUnreadable, Filter, Order, View
from intents.queries.status import Status, status_of
from intents.web import drafts, wording
from intents.web.access import PortalRequest, background, page

_GROUPS: tuple[tuple[str, tuple[View, ...]], ...] = (
    ("For you", (View.MINE, View.SECOND, View.CHANGED, View.SENT_BACK)),
    ("Clinic", (View.ALL, View.CHECKING, View.PREPARED, View.LATE, View.BLOCKED)),
    ("After approval", (View.SENDING, View.NOT_DELIVERED, View.UNKNOWN, View.WRITTEN)),
)
_WORDS: dict[View, str] = {
    View.MINE: "Waiting for me",
    View.SECOND: "Second check",
    View.CHANGED: "Chart changed",
    View.SENT_BACK: "I sent back",
    View.ALL: "All waiting",
    View.CHECKING: "Being checked",
    View.PREPARED: "Prepared drafts",
    View.LATE: "Past target",
    View.BLOCKED: "Blocked",
    View.SENDING: "Being sent",
    View.NOT_DELIVERED: "Not delivered",
    View.UNKNOWN: "Outcome unknown",
    View.WRITTEN: "Written today",
}
_HEADINGS: dict[View, str] = {View.MINE: "Waiting for you"}
_EMPTY: dict[View, tuple[str, str]] = {
    View.MINE: ("Nothing is waiting for you", "New drafts appear here by themselves."),
    View.SECOND: (
        "No second check is waiting",
        "A draft comes here when a first person has decided.",
    ),
    View.CHANGED: (
        "No chart has changed",
        "A draft comes here when its chart moved after drafting.",
    ),
    View.SENT_BACK: ("You sent nothing back", "Drafts you reject stay here for 30 days."),
    View.ALL: ("Nothing is waiting", "New drafts appear here by themselves."),
    View.CHECKING: ("Nothing is being checked", "New drafts stay here for seconds."),
    View.PREPARED: (
        "No prepared drafts",
        "Drafts that only prepare work rest here until taken up.",
    ),
    View.LATE: ("Nothing is past its target", "Drafts come here when their due time passes."),
    View.BLOCKED: (
        "Nothing was blocked",
        "Drafts that a rule or a check refused stay here for 30 days.",
    ),
    View.SENDING: ("Nothing is being sent", "Approved drafts are here until the EHR answers."),
    View.NOT_DELIVERED: (
        "Everything approved was delivered",
        "Refusals and differences come here.",
    ),
    View.UNKNOWN: ("No outcome is unknown", "A draft comes here when the EHR’s answer was lost."),
    View.WRITTEN: (
        "Nothing was written today",
        "Drafts stay here for a day after the EHR took them.",
    ),
}
# A search opens this many drafts at most: their names are encrypted and have to be unsealed.
_MOST_SEARCHED = 2000
_MOST_FOUND = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One draft of the list, ready to print."""

    url: str
    name: str
    age_sex: str
    born: str
    mrn: str
    asserted: bool
    risk: str
    status: Status
    deltas: tuple[drafts.Delta, ...]
    more: str
    flags: tuple[drafts.Flag, ...]
    waited: str
    due: str
    late: bool
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under one heading."""

    name: str
    rows: list[Row]


@require_http_methods(["GET", "HEAD", "POST"])
@page("queue")
def queue_page(request: PortalRequest) -> HttpResponse:
    """One view of the queue, a page at a time. A search is a POST, so that no name is in an address."""
    at = timezone.now()
    view = _view(request)
    wanted = _filter(request)
    search = request.POST.get("q", "").strip() if request.method == "POST" else ""
    try:
        found = queue.page(
            view,
            reviewer=request.membership,
            at=at,
            wanted=wanted,
            cursor="" if search else request.GET.get("after", ""),
            size=_MOST_SEARCHED if search else queue.PAGE_SIZE,
        )
    except CursorUnreadable:
        raise Http404 from None
    proposals = found.proposals
    if search:
        proposals = [p for p in proposals if _matches(p, search, at=at)][:_MOST_FOUND]
    rows = [row_of(p, view=view, due_at=found.due[p.pk], at=at) for p in proposals]
    _record_viewing(request, view=view, proposals=proposals, at=at)
    waiting = queue.waiting(view, reviewer=request.membership, at=at)
    return render(
        request,
        "intents/queue.html",
        {
            "view": view.value,
            "heading": _HEADINGS.get(view, _WORDS[view]),
            "total": waiting.drafts,
            "groups": _groups(request, current=view, at=at),
            "summary": _summary(view, waiting, search=search, shown=len(rows), at=at),
            "sections": _sections(rows, view=view, wanted=wanted, at=at),
            "empty": _empty(view, search=search),
            "search": search,
            "tier": wanted.tier or "",
            "agent_id": str(wanted.agent_id or ""),
            "connection_id": str(wanted.connection_id or ""),
            "order": wanted.order,
            "newest_first": view in queue.NEWEST_FIRST,
            "agents": Agent.objects.order_by("name"),
            "connections": EhrConnection.objects.order_by("title", "name"),
            "notices": stopped_notices(request),
            "new_url": _new_url(view, at=at),
            "pager": _pager(request, view=view, wanted=wanted, next_cursor=found.next_cursor),
        },
    )


@require_safe
@page("queue")
def next_draft(request: PortalRequest) -> HttpResponse:
    """Opens the draft that this person should look at next; `?after=` (a draft's id) is passed over."""
    try:
        after = _uuid(request.GET.get("after", ""))
    except ValueError:
        raise Http404 from None
    found = worklist.next_for(reviewer=request.membership, at=timezone.now(), after=after)
    return redirect("review", found.pk) if found else redirect("queue")


@background
@require_safe
@page("queue")
def queue_news(request: PortalRequest) -> JsonResponse:
    """How many drafts came into a view since a moment; asked by the open page."""
    try:
        since = datetime.fromisoformat(request.GET.get("since", ""))
    except ValueError:
        raise Http404 from None
    if timezone.is_naive(since):
        raise Http404
    count = queue.newer_than(
        _view(request), reviewer=request.membership, since=since, at=timezone.now()
    )
    return JsonResponse({"count": count})


# --- what was asked for ------------------------------------------------------------------------------


def _view(request: PortalRequest) -> View:
    try:
        return View(request.GET.get("view", View.MINE))
    except ValueError:
        raise Http404 from None


def _filter(request: PortalRequest) -> Filter:
    try:
        return Filter(
            connection_id=_uuid(request.GET.get("connection", "")),
            agent_id=_uuid(request.GET.get("agent", "")),
            tier=Tier(request.GET["tier"]) if request.GET.get("tier") else None,
            order=Order(request.GET.get("order", Order.DUE)),
        )
    except ValueError:
        raise Http404 from None


def _uuid(text: str) -> UUID | None:
    return UUID(text) if text else None


def _address(view: View, wanted: Filter, **more: str) -> str:
    parts = {
        "view": view.value,
        "connection": str(wanted.connection_id or ""),
        "agent": str(wanted.agent_id or ""),
        "tier": wanted.tier or "",
        "order": wanted.order if wanted.order != Order.DUE else "",
        **more,
    }
    return f"{reverse('queue')}?{urlencode({k: v for k, v in parts.items() if v})}"


def _new_url(view: View, *, at: datetime) -> str:
    if view in queue.NEWEST_FIRST:
        return ""
    query = urlencode({"view": view.value, "since": at.isoformat()})
    return f"{reverse('queue_news')}?{query}"


def _pager(
    request: PortalRequest, *, view: View, wanted: Filter, next_cursor: str
) -> dict[str, str]:
    is_later = bool(request.GET.get("after"))
    return {
        "first_url": _address(view, wanted) if is_later else "",
        "next_url": _address(view, wanted, after=next_cursor) if next_cursor else "",
    }


def _matches(proposal: Proposal, search: str, *, at: datetime) -> bool:
    """Does the draft carry the words: in the patient's name, number or birth date, or in the change?"""
    wanted = search.casefold().split()
    person = drafts.whose(proposal, on=timezone.localdate(at))
    text = " ".join(
        [
            person.name,
            person.mrn,
            "".join(person.mrn.split()),
            person.born,
            *(
                str(drafts.opened(i.current_version, "content") or "")
                for i in proposal.intents.all()
                if i.current_version
            ),
        ]
    ).casefold()
    return all(word in text for word in wanted)


# --- what is shown -------------------------------------------------------------------------------------


def row_of(proposal: Proposal, *, view: View, due_at: datetime, at: datetime) -> Row:
    """One draft as a line: whose chart, the change in chart terms, exceptions, waiting and due."""
    person = drafts.whose(proposal, on=timezone.localdate(at))
    changes: list[Intent] = sorted(proposal.intents.all(), key=lambda each: each.reading_key)
    lines = [drafts.line_of(intent) for intent in changes]
    risk = drafts.heaviest([line.risk for line in lines])
    over = view in queue.NEWEST_FIRST
    release = f" {proposal.agent_release.version}" if proposal.agent_release else ""
    late = not over and due_at < at
    return Row(
        url=address_of(proposal),
        name=person.name,
        age_sex=person.age_sex,
        born=person.born,
        mrn=person.mrn,
        asserted=person.asserted,
        risk="" if over else risk,
        status=_status(changes, proposal, at=at),
        deltas=tuple(line.delta for line in lines),
        more=" · ".join(
            part
            for part in (
                *(line.delta.more for line in lines),
                f"{proposal.agent.name}{release}",
                str(proposal.connection),
            )
            if part
        ),
        flags=tuple(drafts.flags_of(changes)),
        waited=wording.duration(at - proposal.received_at),
        due="" if over else wording.due(due_at, at=at),
        late=late,
        due_at=due_at,
    )


def address_of(proposal: Proposal) -> str:
    """Where a draft is opened: to decide while it is open, else what became of it."""
    states = {State(intent.state) for intent in proposal.intents.all()}
    if states & {State.PENDING_APPROVAL, State.VALIDATED, State.DRAFTED}:
        return reverse("review", args=[proposal.pk])
    if State.HELD in states:
        return reverse("conflict", args=[proposal.pk])
    if states & {*IN_FLIGHT, *WRITTEN, State.FAILED}:
        return reverse("delivery", args=[proposal.pk])
    return reverse("review", args=[proposal.pk])


def _status(changes: list[Intent], proposal: Proposal, *, at: datetime) -> Status:
    """The status that needs a person most stands for the draft."""
    order = [State.UNCERTAIN, State.FAILED, State.HELD, State.SUBMITTED, State.APPROVED]
    first = min(
        changes,
        key=lambda i: order.index(State(i.state)) if State(i.state) in order else len(order),
    )
    live = first.live_entries  # type: ignore[attr-defined]  # prefetched to this name
    return status_of(
        state=first.state,
        rejected_by=first.rejected_by,
        finality=first.finality,
        connection_title=str(proposal.connection),
        at=at,
        not_before=live[0].not_before if live else None,
        open_discrepancies=tuple(d.kind for d in first.open_discrepancies),  # type: ignore[attr-defined]  # prefetched to this name
    )


def _sections(rows: list[Row], *, view: View, wanted: Filter, at: datetime) -> list[Section]:
    """Due within the hour, later today, later; or one list where nothing is due."""
    if not rows:
        return []
    if view in queue.NEWEST_FIRST:
        return [Section("Newest first", rows)]
    if wanted.order == Order.PATIENT:
        return [Section("One patient at a time", rows)]
    midnight = timezone.localtime(at).replace(hour=0, minute=0, second=0, microsecond=0)
    end_of_day = midnight + timedelta(days=1)
    hour = at + timedelta(hours=1)
    named = [
        Section("Due within the hour", [r for r in rows if r.due_at < hour]),
        Section("Later today", [r for r in rows if hour <= r.due_at < end_of_day]),
        Section("Later", [r for r in rows if r.due_at >= max(hour, end_of_day)]),
    ]
    return [section for section in named if section.rows]


def _groups(request: PortalRequest, *, current: View, at: datetime) -> list[dict[str, object]]:
    found = queue.counts(reviewer=request.membership, at=at)
    return [
        {
            "name": name,
            "views": [
                {
                    "value": view.value,
                    "words": _WORDS[view],
                    "count": found[view],
                    "current": view == current,
                }
                for view in views
            ],
        }
        for name, views in _GROUPS
    ]


def _summary(view: View, waiting: queue.Waiting, *, search: str, shown: int, at: datetime) -> str:
    if search:
        return f"{wording.counted(shown, 'draft')} of this view with these words."
    text = (
        f"{wording.counted(waiting.drafts, 'draft')} for "
        f"{wording.counted(waiting.patients, 'patient')}."
    )
    if view in queue.NEWEST_FIRST:
        return text
    if waiting.oldest_at:
        text += f" Oldest {wording.duration(at - waiting.oldest_at)}; {waiting.late} past target."
    return f"{text} Nothing here is in a chart yet."


def _empty(view: View, *, search: str) -> dict[str, str]:
    if search:
        return {
            "title": "No draft of this view carries these words",
            "text": "Search looks at names, numbers, birth dates and the words of the change.",
        }
    title, text = _EMPTY[view]
    return {"title": title, "text": text}


def stopped_notices(request: PortalRequest) -> list[dict[str, str]]:
    """One notice for each thing that is stopped; drafts can be reviewed all the same."""
    return [
        {"title": "Sending is held.", "text": sentence} for sentence in writing.restore_notices()
    ] + [
        {
            "title": f"Writing is stopped for {stop.what}.",
            "text": (
                f"Since {wording.moment(timezone.localtime(stop.since))} by {stop.by}: "
                f"“{stop.reason}”. You can review; approved drafts wait."
            ),
        }
        for stop in writing.stops(tenant=request.membership.tenant)
    ]


def _record_viewing(
    request: PortalRequest, *, view: View, proposals: Iterable[Proposal], at: datetime
) -> None:
    """Names and changes were on the screen: one event for the page, with the drafts it showed."""
    shown = [str(proposal.pk) for proposal in proposals]
    if not shown:
        return
    with transaction.atomic():
        record(
            tag=AuditTag.INTENT_PHI_VIEWED,
            actor=actor_of(request.membership),
            at=at,
            tenant_id=str(request.membership.tenant_id),
            body={"page": "queue", "view": view.value, "proposals": shown},
        )
