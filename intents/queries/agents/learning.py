"""What an agent can learn from: decisions, edits and what the EHR answered, by codes and pointers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from ehr_adapters.canonical import base as canonical
from intents.governance.encryption import CannotUnseal
from intents.models import Intent, IntentVersion, ReviewDecision, WriteLedgerEntry
from intents.queries.agents import cursors

# A fact is shown when every transaction that could hold an earlier one has ended: a reader who goes on
# from a cursor would otherwise miss what was stored late.
SETTLING = timedelta(seconds=5)


class Event(StrEnum):
    """What an agent can learn from."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNDONE = "undone"
    EDITED = "edited"
    EHR_ACCEPTED = "ehr-accepted"
    EHR_REFUSED = "ehr-refused"
    EHR_UNKNOWN = "ehr-unknown"
    EHR_FOUND = "ehr-found"
    EHR_ABSENT = "ehr-absent"
    EHR_READ_BACK = "ehr-read-back"


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    at: datetime
    event: Event
    proposal: UUID
    change: UUID
    ref: str
    reason_code: str
    changed_fields: Sequence[str] | None
    status_code: int | None
    vendor_code: str
    sort_id: str


@dataclass(frozen=True, slots=True)
class FeedbackPage:
    items: Sequence[FeedbackItem]
    next: str | None


_DECISIONS = {
    "approve": Event.APPROVED,
    "second": Event.APPROVED,
    "reject": Event.REJECTED,
    "undo": Event.UNDONE,
}
_FACTS = {
    "ACKNOWLEDGED": Event.EHR_ACCEPTED,
    "REFUSED": Event.EHR_REFUSED,
    "UNKNOWN": Event.EHR_UNKNOWN,
    "FOUND": Event.EHR_FOUND,
    "ABSENT": Event.EHR_ABSENT,
    "READ_BACK": Event.EHR_READ_BACK,
}


def feedback(*, agent_id: UUID, after: str | None, at: datetime) -> FeedbackPage:
    """Decisions, edits and answers since the cursor, oldest first. Raises `CursorUnreadable`.

    `next` is always given where something was found: asking with it later goes on from there.
    """
    since = cursors.decode(after) if after is not None else None
    until = at - SETTLING
    items = [
        *_decided(agent_id, since=since, until=until),
        *_edited(agent_id, since=since, until=until),
        *_answered(agent_id, since=since, until=until),
    ]
    items.sort(key=lambda item: (item.at, item.sort_id))
    page = items[: cursors.PAGE_SIZE]
    return FeedbackPage(
        items=page, next=cursors.encode(page[-1].at, page[-1].sort_id) if page else after
    )


def _after(column: str, letter: str, *, since: tuple[datetime, str] | None, until: datetime) -> Q:
    """Rows of one table that come after the cursor: by moment, then table, then id."""
    settled = Q(**{f"{column}__lte": until})
    if since is None:
        return settled
    moment, place = since
    later = Q(**{f"{column}__gt": moment})
    if letter > place[:1]:
        later |= Q(**{column: moment})
    elif letter == place[:1]:
        later |= Q(**{column: moment, "pk__gt": cursors.uuid_of(place[1:])})
    return settled & later


def _decided(
    agent_id: UUID, *, since: tuple[datetime, str] | None, until: datetime
) -> Iterator[FeedbackItem]:
    rows = (
        ReviewDecision.objects.filter(
            _after("decided_at", "d", since=since, until=until),
            screening__version__intent__proposal__agent=agent_id,
        )
        .select_related("screening__version__intent")
        .defer("note", "statement", "screening__baseline", "screening__wire_plan")
        .order_by("decided_at", "pk")[: cursors.PAGE_SIZE]
    )
    for row in rows:
        yield _item(
            row.screening.version.intent,
            at=row.decided_at,
            event=_DECISIONS[row.kind],
            sort_id=f"d{row.pk}",
            reason_code=row.reason_code,
        )


def _edited(
    agent_id: UUID, *, since: tuple[datetime, str] | None, until: datetime
) -> Iterator[FeedbackItem]:
    rows = (
        IntentVersion.objects.filter(
            _after("created_at", "e", since=since, until=until),
            intent__proposal__agent=agent_id,
            number__gt=1,
        )
        .select_related("intent")
        .order_by("created_at", "pk")[: cursors.PAGE_SIZE]
    )
    for row in rows:
        yield _item(
            row.intent,
            at=row.created_at,
            event=Event.EDITED,
            sort_id=f"e{row.pk}",
            changed_fields=_changed(row),
        )


def _changed(version: IntentVersion) -> Sequence[str] | None:
    """Pointers to what an edit changed; None where one of the two versions cannot be opened any more."""
    before = IntentVersion.objects.get(intent=version.intent_id, number=version.number - 1)
    try:
        changed = canonical.changed_fields(
            version.intent.change_kind, before.phi_json("content"), version.phi_json("content")
        )
    except CannotUnseal:
        return None
    return [f"/{name}" for name in changed]


def _answered(
    agent_id: UUID, *, since: tuple[datetime, str] | None, until: datetime
) -> Iterator[FeedbackItem]:
    rows = (
        WriteLedgerEntry.objects.filter(
            _after("at", "l", since=since, until=until),
            intent__proposal__agent=agent_id,
            phase__in=list(_FACTS),
        )
        .select_related("intent")
        .defer("evidence")
        .order_by("at", "pk")[: cursors.PAGE_SIZE]
    )
    for row in rows:
        yield _item(
            row.intent,
            at=row.at,
            event=_FACTS[row.phase],
            sort_id=f"l{row.pk}",
            status_code=row.status_code,
            vendor_code=row.vendor_code,
        )


def _item(
    intent: Intent,
    *,
    at: datetime,
    event: Event,
    sort_id: str,
    reason_code: str = "",
    changed_fields: Sequence[str] | None = (),
    status_code: int | None = None,
    vendor_code: str = "",
) -> FeedbackItem:
    return FeedbackItem(
        at=at,
        event=event,
        proposal=intent.proposal_id,
        change=intent.pk,
        ref=intent.ref,
        reason_code=reason_code,
        changed_fields=changed_fields,
        status_code=status_code,
        vendor_code=vendor_code,
        sort_id=sort_id,
    )
