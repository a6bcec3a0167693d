"""Pages of the reviewers' queue: which drafts, in which order, a page at a time.

The row is a draft (a proposal), the filter is about its changes: a draft is in a view when one of
its changes is. Pages are keyset pages: the cursor is the last row's place in the order, so a page
costs the same whether it is the first or the four-hundredth, and new drafts do not shift it.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Max, Min, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce

from intents.governance.models import ClinicalRole, Membership
from intents.governance.roles import DECIDERS
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import Discrepancy, Finding, Intent, OutboxEntry, Proposal, ReviewDecision

PAGE_SIZE = 25
# Views of what is over show this much of the past; older drafts are found by patient or in the audit.
_PAST = timedelta(days=30)


class View(StrEnum):
    """One list of the queue. The values are those of the `view` parameter."""

    MINE = "mine"
    SECOND = "second"
    CHANGED = "changed"
    SENT_BACK = "sent-back"
    PREPARED = "prepared"
    ALL = "all"
    CHECKING = "checking"
    LATE = "late"
    BLOCKED = "blocked"
    SENDING = "sending"
    NOT_DELIVERED = "not-delivered"
    UNKNOWN = "unknown"
    WRITTEN = "written"


class Order(StrEnum):
    """How a view of open drafts is ordered."""

    DUE = "due"
    PATIENT = "patient"


# Views in which the newest stands first, because nothing in them is due.
NEWEST_FIRST = frozenset(
    {View.SENT_BACK, View.BLOCKED, View.SENDING, View.NOT_DELIVERED, View.UNKNOWN, View.WRITTEN}
)


class CursorUnreadable(ValueError):
    """The address names a place in the list that this release did not make."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What the person asked for on top of the view."""

    connection_id: UUID | None = None
    agent_id: UUID | None = None
    tier: Tier | None = None
    order: Order = Order.DUE


@dataclass(frozen=True, slots=True)
class Page:
    """One page: proposals in order with their changes loaded, and the cursor of the next page."""

    proposals: list[Proposal]
    due: dict[UUID, datetime]
    next_cursor: str


def _decided_by(reviewer: Membership, *, kinds: tuple[str, ...]) -> Exists:
    return Exists(
        ReviewDecision.objects.filter(
            screening_id=OuterRef("current_screening_id"), reviewer=reviewer, kind__in=kinds
        )
    )


def _decided_by_another(reviewer: Membership) -> Exists:
    return Exists(
        ReviewDecision.objects.filter(
            screening_id=OuterRef("current_screening_id"), kind__in=("approve", "second")
        ).exclude(reviewer=reviewer)
    )


def _sent_back_by(reviewer: Membership) -> Exists:
    return Exists(
        ReviewDecision.objects.filter(
            screening__version__intent_id=OuterRef("pk"), reviewer=reviewer, kind="reject"
        )
    )


def _open_discrepancy() -> Exists:
    return Exists(Discrepancy.objects.filter(intent_id=OuterRef("pk"), resolved_at__isnull=True))


def kinds_of(reviewer: Membership) -> frozenset[str]:
    """The kinds of change that this person's clinical role may decide about, at least in part."""
    role = reviewer.clinical_role
    kinds = {kind for kind, allowed in DECIDERS.items() if role in allowed}
    if role == ClinicalRole.LICENSED:
        kinds.add("medication")  # list entries of drugs off the high-alert table: `roles.deciders`
    return frozenset(kinds)


def matching(view: View, *, reviewer: Membership, at: datetime) -> QuerySet[Intent]:
    """The changes that put their draft into this view."""
    pending = Q(state=State.PENDING_APPROVAL)
    dual = Q(tier=Tier.DUAL_APPROVAL)
    answered = _decided_by(reviewer, kinds=("approve", "second", "reject"))
    since = at - _PAST
    mine = pending & ~(dual & Q(answered)) & Q(change_kind__in=sorted(kinds_of(reviewer)))
    today = at - timedelta(hours=24)
    conditions: dict[View, Callable[[], Q]] = {
        View.MINE: lambda: mine,
        View.SECOND: lambda: mine & dual & Q(_decided_by_another(reviewer)),
        View.CHANGED: lambda: Q(state=State.HELD),
        View.SENT_BACK: lambda: (
            Q(state=State.REJECTED, rejected_by=RejectedBy.REVIEWER, state_changed_at__gte=since)
            & Q(_sent_back_by(reviewer))
        ),
        View.PREPARED: lambda: Q(state=State.VALIDATED),
        View.ALL: lambda: pending | Q(state=State.HELD),
        View.CHECKING: lambda: Q(state=State.DRAFTED),
        View.LATE: lambda: (pending | Q(state=State.HELD)) & Q(due_at__lt=at),
        View.BLOCKED: lambda: Q(
            state=State.REJECTED, rejected_by=RejectedBy.POLICY, state_changed_at__gte=since
        ),
        View.SENDING: lambda: Q(state__in=[State.APPROVED, State.SUBMITTED]),
        View.NOT_DELIVERED: lambda: (
            Q(state=State.FAILED)
            | Q(state=State.REJECTED, rejected_by=RejectedBy.EHR, state_changed_at__gte=since)
            | Q(state__in=[State.ACCEPTED, State.RECONCILED]) & Q(_open_discrepancy())
        ),
        View.UNKNOWN: lambda: Q(state=State.UNCERTAIN),
        View.WRITTEN: lambda: Q(
            state__in=[State.ACCEPTED, State.RECONCILED], state_changed_at__gte=today
        ),
    }
    return Intent.objects.filter(conditions[view]())


def count(view: View, *, reviewer: Membership, at: datetime) -> int:
    """How many drafts the view holds."""
    return matching(view, reviewer=reviewer, at=at).aggregate(
        n=Count("proposal_id", distinct=True)
    )["n"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person: drafts, patients among them, the oldest's arrival, and how many are late."""

    drafts: int
    patients: int
    oldest_at: datetime | None
    late: int


def waiting(view: View, *, reviewer: Membership, at: datetime) -> Waiting:
    """The head of a view of open drafts."""
    rows = matching(view, reviewer=reviewer, at=at)
    found = rows.aggregate(
        drafts=Count("proposal_id", distinct=True),
        oldest=Min("created_at"),
        late=Count("proposal_id", filter=Q(due_at__lt=at), distinct=True),
    )
    charts = rows.order_by().values("proposal__connection_id", "proposal__patient_ref").distinct()
    return Waiting(
        drafts=found["drafts"],
        patients=charts.count(),
        oldest_at=found["oldest"],
        late=found["late"],
    )


def newer_than(view: View, *, reviewer: Membership, since: datetime, at: datetime) -> int:
    """How many drafts came into the view after `since`: for the line "3 new drafts"."""
    return (
        matching(view, reviewer=reviewer, at=at)
        .filter(state_changed_at__gt=since)
        .aggregate(n=Count("proposal_id", distinct=True))["n"]
    )


def page(
    view: View,
    *,
    reviewer: Membership,
    at: datetime,
    wanted: Filter,
    cursor: str = "",
    size: int = PAGE_SIZE,
) -> Page:
    """One page of a view. Raises `CursorUnreadable` for a cursor that is not ours."""
    rows = matching(view, reviewer=reviewer, at=at)
    if wanted.connection_id:
        rows = rows.filter(connection_id=wanted.connection_id)
    if wanted.agent_id:
        rows = rows.filter(proposal__agent_id=wanted.agent_id)
    if wanted.tier:
        rows = rows.filter(tier=wanted.tier)
    if view in NEWEST_FIRST:
        places = _newest_first(rows, cursor=cursor, size=size + 1)
    elif wanted.order == Order.PATIENT:
        places = _by_patient(rows, cursor=cursor, size=size + 1)
    else:
        places = _due_first(rows, cursor=cursor, size=size + 1)
    shown = places[:size]
    more = len(places) > size
    proposals = load(place.proposal_id for place in shown)
    return Page(
        proposals=proposals,
        due={place.proposal_id: place.moment for place in shown},
        next_cursor=_encode(shown[-1].key) if more else "",
    )


def load(ids: Iterable[UUID]) -> list[Proposal]:
    """These proposals in this order, with everything that a row or a rail needs, in few queries."""
    order = list(ids)
    intents = (
        Intent.objects.select_related("current_version", "current_screening", "connection")
        .order_by("position")
        .prefetch_related(
            Prefetch("current_screening__findings", queryset=Finding.objects.order_by("position")),
            "current_screening__verdicts",
            Prefetch(
                "discrepancies",
                queryset=Discrepancy.objects.filter(resolved_at__isnull=True),
                to_attr="open_discrepancies",
            ),
            Prefetch(
                "outbox_entries",
                queryset=OutboxEntry.objects.filter(closed_at__isnull=True),
                to_attr="live_entries",
            ),
        )
    )
    found = {
        proposal.pk: proposal
        for proposal in Proposal.objects.filter(pk__in=order)
        .select_related("connection", "agent", "agent_release")
        .prefetch_related(Prefetch("intents", queryset=intents))
    }
    return [found[pk] for pk in order if pk in found]


# --- places in an order ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    proposal_id: UUID
    moment: datetime
    key: tuple[str, ...]


def _due_first(rows: QuerySet[Intent], *, cursor: str, size: int) -> list[_Place]:
    grouped = (
        rows.order_by()
        .values("proposal_id")
        .annotate(moment=Min(Coalesce("due_at", "expires_at")))
        .order_by("moment", "proposal_id")
    )
    if cursor:
        after, last = _moment_and_id(cursor)
        grouped = grouped.filter(Q(moment__gt=after) | Q(moment=after, proposal_id__gt=last))
    return [_place(row) for row in grouped[:size]]


def _newest_first(rows: QuerySet[Intent], *, cursor: str, size: int) -> list[_Place]:
    grouped = (
        rows.order_by()
        .values("proposal_id")
        .annotate(moment=Max("state_changed_at"))
        .order_by("-moment", "-proposal_id")
    )
    if cursor:
        before, last = _moment_and_id(cursor)
        grouped = grouped.filter(Q(moment__lt=before) | Q(moment=before, proposal_id__lt=last))
    return [_place(row) for row in grouped[:size]]


def _by_patient(rows: QuerySet[Intent], *, cursor: str, size: int) -> list[_Place]:
    """A patient's drafts together; patients by their earliest due draft. Sorted by ids and times only."""
    grouped = list(
        rows.order_by()
        .values("proposal_id", "proposal__connection_id", "proposal__patient_ref")
        .annotate(moment=Min(Coalesce("due_at", "expires_at")))
        .values_list("proposal__connection_id", "proposal__patient_ref", "moment", "proposal_id")
    )
    first: dict[tuple[UUID, str], datetime] = {}
    for connection_id, patient_ref, moment, _ in grouped:
        chart = (connection_id, patient_ref)
        first[chart] = min(first.get(chart, moment), moment)
    ordered = sorted(
        ((first[(c, p)], str(c), p, moment, str(proposal_id)), proposal_id, moment)
        for c, p, moment, proposal_id in grouped
    )
    # The cursor names the last draft only: a place that named the patient would be in the address.
    places = [
        _Place(proposal_id, moment, (str(proposal_id),)) for _, proposal_id, moment in ordered
    ]
    if cursor:
        (last,) = _decode(cursor, parts=1)
        seen = next((n for n, place in enumerate(places) if str(place.proposal_id) == last), -1)
        places = places[seen + 1 :]
    return places[:size]


def _place(row: Mapping[str, Any]) -> _Place:
    moment: datetime = row["moment"]
    proposal_id: UUID = row["proposal_id"]
    return _Place(proposal_id, moment, (moment.isoformat(), str(proposal_id)))


def _encode(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(cursor: str, *, parts: int) -> list[str]:
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise CursorUnreadable("This page of the list is not known.") from None
    if not (isinstance(key, list) and len(key) == parts and all(isinstance(k, str) for k in key)):
        raise CursorUnreadable("This page of the list is not known.")
    return key


def _moment_and_id(cursor: str) -> tuple[datetime, UUID]:
    moment, proposal_id = _decode(cursor, parts=2)
    try:
        return datetime.fromisoformat(moment), UUID(proposal_id)
    except ValueError:
        raise CursorUnreadable("This page of the list is not known.") from None
