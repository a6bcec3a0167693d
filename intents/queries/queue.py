"""Pages of the reviewers' queue: which drafts, in which order, a page at a time.

The row is a draft (a proposal), the filter is about its changes: a draft is in a view when one of
its changes is. Pages are keyset pages: the cursor is the last row's place in the order, so a page
costs the same whether it is the first or the four-hundredth, and new drafts do not shift it.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Max, Min, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce

from intents.governance.encryption import patient_token
from intents.governance.models import ClinicalRole, Membership
from intents.governance.roles import DECIDERS, SECONDED
from intents.governance.tenancy import TenantContextMissing, current_tenant
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import Discrepancy, Finding, Intent, OutboxEntry, Proposal, ReviewDecision

PAGE_SIZE = 25
# Views of what is over show this much of the past; older drafts are found by patient or in the audit.
_PAST = timedelta(days=30)
# Patients whose earliest drafts are due at the same moment, at most this many to a page's edge.
_MOST_TIES = 64


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


def _seconded_by(reviewer: Membership) -> Q:
    """What a nurse or pharmacist decides about only beside a prescriber."""
    if reviewer.clinical_role != ClinicalRole.LICENSED:
        return Q(pk__in=[])
    return Q(tier=Tier.DUAL_APPROVAL, change_kind__in=sorted(SECONDED))


def _conditions(*, reviewer: Membership, at: datetime) -> dict[View, Q]:
    """What makes a change put its draft into each view."""
    pending = Q(state=State.PENDING_APPROVAL)
    waiting = Q(state__in=[State.PENDING_APPROVAL, State.HELD])
    dual = Q(tier=Tier.DUAL_APPROVAL)
    answered = _decided_by(reviewer, kinds=("approve", "second", "reject"))
    since = at - _PAST
    mine = (
        pending
        & ~(dual & Q(answered))
        & (Q(change_kind__in=sorted(kinds_of(reviewer))) | _seconded_by(reviewer))
    )
    return {
        View.MINE: mine,
        View.SECOND: mine & dual & Q(_decided_by_another(reviewer)),
        View.CHANGED: Q(state=State.HELD),
        View.SENT_BACK: (
            Q(state=State.REJECTED, rejected_by=RejectedBy.REVIEWER, state_changed_at__gte=since)
            & Q(_sent_back_by(reviewer))
        ),
        View.PREPARED: Q(state=State.VALIDATED),
        View.ALL: waiting,
        View.CHECKING: Q(state=State.DRAFTED),
        View.LATE: waiting & Q(due_at__lt=at),
        View.BLOCKED: Q(
            state=State.REJECTED,
            rejected_by__in=[RejectedBy.POLICY, RejectedBy.VALIDATION],
            state_changed_at__gte=since,
        ),
        View.SENDING: Q(state__in=[State.APPROVED, State.SUBMITTED]),
        View.NOT_DELIVERED: (
            Q(state=State.FAILED)
            | Q(state=State.REJECTED, rejected_by=RejectedBy.EHR, state_changed_at__gte=since)
            | Q(state__in=[State.ACCEPTED, State.RECONCILED]) & Q(_open_discrepancy())
        ),
        View.UNKNOWN: Q(state=State.UNCERTAIN),
        View.WRITTEN: Q(
            state__in=[State.ACCEPTED, State.RECONCILED],
            state_changed_at__gte=at - timedelta(hours=24),
        ),
    }


def matching(view: View, *, reviewer: Membership, at: datetime) -> QuerySet[Intent]:
    """The changes that put their draft into this view."""
    return Intent.objects.filter(_conditions(reviewer=reviewer, at=at)[view])


# Views over the same rows are counted in one scan of them.
_SCANS: tuple[tuple[tuple[State, ...], tuple[View, ...]], ...] = (
    (
        (State.PENDING_APPROVAL, State.HELD),
        (View.MINE, View.SECOND, View.CHANGED, View.ALL, View.LATE),
    ),
    (
        (State.DRAFTED, State.VALIDATED, State.APPROVED, State.SUBMITTED, State.UNCERTAIN),
        (View.CHECKING, View.PREPARED, View.SENDING, View.UNKNOWN),
    ),
)


def counts(*, reviewer: Membership, at: datetime) -> dict[View, int]:
    """How many drafts each view holds."""
    conditions = _conditions(reviewer=reviewer, at=at)
    found: dict[View, int] = {}
    for states, views in _SCANS:
        row = Intent.objects.filter(state__in=states).aggregate(
            **{
                view.name: Count("proposal_id", filter=conditions[view], distinct=True)
                for view in views
            }
        )
        found |= {view: row[view.name] for view in views}
    for view in View:
        if view not in found:
            found[view] = count(view, reviewer=reviewer, at=at)
    return found


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
    charts = Proposal.objects.filter(pk__in=rows.order_by().values("proposal_id"))
    return Waiting(
        drafts=found["drafts"],
        patients=charts.values("connection_id", "patient_ref").distinct().count(),
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
    if wanted.order == Order.PATIENT and view not in NEWEST_FIRST:
        shown, more = _whole_patients(places, size=size)
    else:
        shown, more = places[:size], len(places) > size
    proposals = load(place.proposal_id for place in shown)
    return Page(
        proposals=proposals,
        due={place.proposal_id: place.moment for place in shown},
        next_cursor=_encode(shown[-1].key) if more else "",
    )


def _whole_patients(places: list["_Place"], *, size: int) -> tuple[list["_Place"], bool]:
    """As many whole patients as fit on a page, at least one; and whether there are more."""
    if len(places) <= size:
        return places, False
    last = places[size].key
    fitting = [place for place in places if place.key < last]
    shown = fitting or [place for place in places if place.key == places[0].key]
    return shown, len(shown) < len(places)


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
    """A patient's drafts together; patients by their earliest due draft, whole patients to a page.

    The cursor names the last patient by token: a reference must not be in an address.
    """
    due = Min(Coalesce("due_at", "expires_at"))
    chart = ("proposal__connection_id", "proposal__patient_ref")
    charts = rows.order_by().values(*chart).annotate(moment=due).order_by("moment", *chart)
    after: datetime | None = None
    token = ""
    if cursor:
        text, token = _decode(cursor, parts=2)
        after = _moment(text)
        charts = charts.filter(moment__gte=after)
    places: list[_Place] = []
    for row in charts[: size + _MOST_TIES].iterator():
        name = chart_token(row["proposal__connection_id"], row["proposal__patient_ref"])
        if after is not None and row["moment"] == after and token:
            # Charts of the same moment were shown up to and including the named one.
            token = "" if name == token else token
            continue
        own = rows.filter(
            proposal__connection_id=row["proposal__connection_id"],
            proposal__patient_ref=row["proposal__patient_ref"],
        )
        key = (row["moment"].isoformat(), name)
        drafts = own.order_by().values("proposal_id").annotate(moment=due)
        places += [
            _Place(each["proposal_id"], each["moment"], key)
            for each in drafts.order_by("moment", "proposal_id")
        ]
        if len(places) >= size:
            break
    return places


def chart_token(connection_id: UUID, patient_ref: str) -> str:
    """A patient's record at a connection, as a name that tells a reader of an address nothing."""
    tenant_id = current_tenant()
    if tenant_id is None:
        raise TenantContextMissing("A chart was named outside tenant_context().")
    return patient_token(tenant_id=tenant_id, patient_ref=f"{connection_id}/{patient_ref}")


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
        return _moment(moment), UUID(proposal_id)
    except ValueError:
        raise CursorUnreadable("This page of the list is not known.") from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise CursorUnreadable("This page of the list is not known.") from None
