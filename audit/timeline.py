"""Events as a story for people: found by patient, actor, encounter, correlation, proposal or intent.

Reading the log is an event too. The door that calls these functions records it
(`audit:search:ran`, `audit:log:viewed`, `audit:body:viewed`); nothing here does so by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from audit import vault
from audit.models import DEPLOYMENT_LOG, AuditEvent, EventBody, LogLeaf
from audit.tags import describe


class Axis(StrEnum):
    """What a timeline may be asked by."""

    PATIENT = "patient"
    ENCOUNTER = "encounter"
    ACTOR = "actor"
    CORRELATION = "correlation"
    PROPOSAL = "proposal"
    INTENT = "intent"
    PERIOD = "period"


_COLUMNS = {
    Axis.PATIENT: "patient_token",
    Axis.ENCOUNTER: "encounter_token",
    Axis.ACTOR: "actor_id",
    Axis.CORRELATION: "correlation_id",
    Axis.PROPOSAL: "proposal_id",
    Axis.INTENT: "intent_id",
}


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event for people. `index` is its place in the log, None while it waits for one."""

    id: UUID
    at: datetime
    recorded_at: datetime
    tag: str
    sentence: str
    actor_kind: str
    actor_id: str
    actor_name: str
    on_behalf_of: str
    authority: str
    log: str
    index: int | None
    tenant_id: str
    proposal_id: str
    intent_id: str
    correlation_id: str
    patient_token: str
    encounter_token: str
    rows: tuple[tuple[str, str, str], ...]
    body_commitment: str


def events(
    *,
    by: Axis | str,
    value: str = "",
    tenant_id: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
    tags: Iterable[str] = (),
    newest_first: bool = True,
    after: UUID | str | None = None,
    limit: int | None = 200,
) -> list[TimelineEvent]:
    """Events of one tenant's log (None: the deployment's), each with its sentence.

    `value` is the patient's or encounter's token, the actor's, proposal's or intent's id, or the
    correlation id; `Axis.PERIOD` needs none. `since` is inclusive, `until` exclusive, both by `at`.
    `tags` restricts the kinds of event. A page goes on `after` the last event of the page before.
    `limit` None gives all. Raises ValueError for an unknown axis or a missing value.
    """
    axis = Axis(by)
    if axis is not Axis.PERIOD and not value:
        # An empty token would find every event that concerns nobody.
        raise ValueError(f"A timeline by {axis} needs a value.")
    chosen = AuditEvent.objects.filter(log=tenant_id or DEPLOYMENT_LOG, tenant_id=tenant_id or "")
    if axis is not Axis.PERIOD:
        chosen = chosen.filter(**{_COLUMNS[axis]: value})
    if since is not None:
        chosen = chosen.filter(at__gte=since)
    if until is not None:
        chosen = chosen.filter(at__lt=until)
    if tags := list(tags):
        chosen = chosen.filter(tag__in=tags)
    if after is not None:
        chosen = chosen.filter(_beyond(after, newest_first=newest_first))
    order = ("-at", "-recorded_at", "-id") if newest_first else ("at", "recorded_at", "id")
    chosen = chosen.order_by(*order)
    return _told(list(chosen if limit is None else chosen[:limit]))


def event(event_id: UUID | str, *, tenant_id: str | None) -> TimelineEvent | None:
    """One event of a tenant's log, or None."""
    found = AuditEvent.objects.filter(pk=event_id, log=tenant_id or DEPLOYMENT_LOG).first()
    return _told([found])[0] if found else None


def details(event_id: UUID | str, *, tenant_id: str | None) -> dict[str, object] | None:
    """The body of an event: ids, codes, hashes and times. None when it has none, or it was destroyed.

    Raises vault.BodyUnreadable when it was altered.
    """
    found = AuditEvent.objects.filter(pk=event_id, log=tenant_id or DEPLOYMENT_LOG).first()
    return vault.content_of(found.pk) if found else None


def is_destroyed(event_id: UUID | str) -> bool:
    """True when the body of the event was destroyed on purpose."""
    return EventBody.objects.filter(pk=event_id, shredded_at__isnull=False).exists()


def _beyond(after: UUID | str, *, newest_first: bool) -> Q:
    last = AuditEvent.objects.only("at", "recorded_at").get(pk=after)
    way = "lt" if newest_first else "gt"
    return (
        Q(**{f"at__{way}": last.at})
        | Q(at=last.at, **{f"recorded_at__{way}": last.recorded_at})
        | Q(at=last.at, recorded_at=last.recorded_at, **{f"id__{way}": last.pk})
    )


def _told(found: list[AuditEvent]) -> list[TimelineEvent]:
    places = dict(
        LogLeaf.objects.filter(event_id__in=[one.pk for one in found]).values_list(
            "event_id", "index"
        )
    )
    return [
        TimelineEvent(
            id=one.pk,
            at=one.at,
            recorded_at=one.recorded_at,
            tag=one.tag,
            sentence=describe(one.tag),
            actor_kind=one.actor_kind,
            actor_id=one.actor_id,
            actor_name=one.actor_name,
            on_behalf_of=one.on_behalf_of,
            authority=one.authority,
            log=one.log,
            index=places.get(one.pk),
            tenant_id=one.tenant_id,
            proposal_id=one.proposal_id,
            intent_id=one.intent_id,
            correlation_id=one.correlation_id,
            patient_token=one.patient_token,
            encounter_token=one.encounter_token,
            rows=_rows(one),
            body_commitment=one.body_commitment,
        )
        for one in found
    ]


def _rows(one: AuditEvent) -> tuple[tuple[str, str, str], ...]:
    # A page about a log that was tampered with must still open.
    return tuple(
        (str(row.get("table", "")), str(row.get("id", "")), str(row.get("sha256", "")))
        for row in (one.rows if isinstance(one.rows, list) else ())
        if isinstance(row, dict)
    )
