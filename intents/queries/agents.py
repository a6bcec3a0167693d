"""What an agent may know: its own proposals, and what became of them. Ids, codes and pointers.

No clinical content goes back to an agent from here: a reviewer's words stay with the people.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from ehr_adapters.canonical import base as canonical
from ehr_adapters.capabilities import CapabilitySet
from intents.governance import scopes, switches
from intents.governance.models import Agent, EhrConnection, ScopeGrant
from intents.lifecycle import IN_FLIGHT, OPEN, State
from intents.models import (
    Discrepancy,
    Finding,
    Intent,
    IntentVersion,
    OutboxEntry,
    Proposal,
    ReviewDecision,
    WriteLedgerEntry,
)

PAGE_SIZE = 50
# A fact is shown when every transaction that could hold an earlier one has ended: a reader who goes on
# from a cursor would otherwise miss what was stored late.
SETTLING = timedelta(seconds=5)


class CursorUnreadable(ValueError):
    """The cursor is none that was handed out."""


class ProposalState(StrEnum):
    """A proposal's state, derived from those of its changes."""

    OPEN = "open"
    IN_FLIGHT = "in_flight"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class FindingView:
    severity: str
    code: str
    expression: str
    diagnostics: str
    needs_decision: bool


@dataclass(frozen=True, slots=True)
class DecisionView:
    outcome: str
    reason_code: str
    edited: bool
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """How far the sending is: the last fact that is known about it."""

    phase: str
    attempts: int
    status_code: int | None
    vendor_code: str
    discrepancy: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeView:
    id: UUID
    ref: str
    kind: str
    interaction: str
    target: str
    state: str
    rejected_by: str
    reason: str
    tier: str
    finality: str
    resource: str
    resource_version: str
    expires_at: datetime
    state_changed_at: datetime
    findings: Sequence[FindingView]
    decision: DecisionView | None
    delivery: DeliveryView | None


@dataclass(frozen=True, slots=True)
class ProposalView:
    id: UUID
    state: str
    lane: str
    connection: str
    task_type: str
    correlation_id: str
    received_at: datetime
    supersedes: UUID | None
    changes: Sequence[ChangeView]


@dataclass(frozen=True, slots=True)
class ProposalPage:
    proposals: Sequence[ProposalView]
    next: str | None


@dataclass(frozen=True, slots=True)
class AcceptanceView:
    kind: str
    interaction: str
    accepted: bool
    granted: bool
    finality: str
    needs_encounter: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class ConnectionView:
    connection: str
    title: str
    ehr: str
    environment: str
    writing: bool
    scopes: Sequence[str]
    accepts: Sequence[AcceptanceView]


def connections(
    *, agent: Agent, capabilities_of: Callable[[EhrConnection], CapabilitySet], at: datetime
) -> list[ConnectionView]:
    """The connections on which the agent holds a live grant, with what each takes today.

    `capabilities_of` asks the adapters, which are out of reach from here.
    """
    found = []
    for connection in (
        EhrConnection.objects.filter(grants__agent=agent)
        .select_related("tenant")
        .distinct()
        .order_by("name")
    ):
        grants = scopes.live_grants(agent=agent, connection=connection, at=at)
        if not grants:
            continue
        declared = capabilities_of(connection)
        found.append(
            ConnectionView(
                connection=connection.name,
                title=str(connection),
                ehr=declared.vendor or connection.kind,
                environment=connection.environment,
                writing=_writes(connection, agent=agent),
                scopes=sorted({grant.scope for grant in grants}),
                accepts=[
                    AcceptanceView(
                        kind=each.kind,
                        interaction=each.interaction,
                        accepted=each.supported,
                        granted=_is_granted(each.kind, each.interaction, grants=grants),
                        finality=each.finality.value,
                        needs_encounter=each.needs_encounter,
                        sentence=each.sentence,
                    )
                    for each in declared
                    if each.kind in canonical.all_kinds()
                ],
            )
        )
    return found


def _writes(connection: EhrConnection, *, agent: Agent) -> bool:
    return (
        connection.write_back_enabled
        and connection.tenant.write_back_enabled
        and switches.stopping(
            tenant_id=connection.tenant_id,
            connection_id=connection.pk,
            agent_id=agent.pk,
            change_kind="",
        )
        is None
    )


def _is_granted(kind: str, interaction: str, *, grants: Iterable[ScopeGrant]) -> bool:
    letter = scopes.CREATE if interaction == canonical.Interaction.CREATE else scopes.UPDATE
    wanted = canonical.fhir_type(kind)
    parsed = (scopes.parse(grant.scope) for grant in grants)
    return any(each.resource_type == wanted and letter in each.letters for each in parsed)


def get_proposal(*, proposal_id: UUID, agent_id: UUID) -> ProposalView | None:
    """One proposal of this agent; None also for another agent's."""
    found = _with_changes(Proposal.objects.filter(pk=proposal_id, agent=agent_id)).first()
    return _proposal(found) if found else None


def proposals(*, agent_id: UUID, state: ProposalState | None, after: str | None) -> ProposalPage:
    """The agent's proposals, newest first, `PAGE_SIZE` at a time. Raises `CursorUnreadable`."""
    rows = Proposal.objects.filter(agent=agent_id)
    if state is not None:
        rows = rows.filter(_in_state(state))
    if after is not None:
        moment, proposal_id = _decode(after)
        rows = rows.filter(
            Q(received_at__lt=moment) | Q(received_at=moment, pk__lt=_uuid(proposal_id))
        )
    page = list(_with_changes(rows.order_by("-received_at", "-pk"))[: PAGE_SIZE + 1])
    last = page[PAGE_SIZE - 1] if len(page) > PAGE_SIZE else None
    return ProposalPage(
        proposals=[_proposal(each) for each in page[:PAGE_SIZE]],
        next=_encode(last.received_at, str(last.pk)) if last else None,
    )


def _in_state(state: ProposalState) -> Q:
    def has(states: Iterable[State]) -> Exists:
        return Exists(Intent.objects.filter(proposal=OuterRef("pk"), state__in=list(states)))

    is_open = has(OPEN)
    is_moving = has((*IN_FLIGHT, State.FAILED))
    match state:
        case ProposalState.OPEN:
            return Q(is_open)
        case ProposalState.IN_FLIGHT:
            return ~Q(is_open) & Q(is_moving)
        case ProposalState.ENDED:
            return ~Q(is_open) & ~Q(is_moving)


def _with_changes(rows: "QuerySet[Proposal]") -> "QuerySet[Proposal]":
    changes = Intent.objects.order_by("position").select_related("current_screening")
    return rows.select_related("connection").prefetch_related(
        Prefetch("intents", queryset=changes, to_attr="changes"),
        Prefetch(
            "changes__current_screening__findings", queryset=Finding.objects.order_by("position")
        ),
        Prefetch(
            "changes__versions", queryset=IntentVersion.objects.defer("content").order_by("number")
        ),
        Prefetch(
            "changes__versions__screenings__decisions",
            queryset=ReviewDecision.objects.defer("note", "statement").order_by("decided_at"),
        ),
        Prefetch("changes__outbox_entries", queryset=OutboxEntry.objects.order_by("created_at")),
        Prefetch(
            "changes__ledger", queryset=WriteLedgerEntry.objects.defer("evidence").order_by("at")
        ),
        Prefetch(
            "changes__discrepancies", queryset=Discrepancy.objects.filter(resolved_at__isnull=True)
        ),
    )


def _proposal(row: Proposal) -> ProposalView:
    changes = [_change(intent) for intent in row.changes]  # type: ignore[attr-defined]
    return ProposalView(
        id=row.pk,
        state=Proposal.derive_state([State(change.state) for change in changes]),
        lane=row.lane,
        connection=row.connection.name,
        task_type=row.task_type,
        correlation_id=row.correlation_id,
        received_at=row.received_at,
        supersedes=row.supersedes_id,
        changes=changes,
    )


def _change(intent: Intent) -> ChangeView:
    screening = intent.current_screening
    return ChangeView(
        id=intent.pk,
        ref=intent.ref,
        kind=intent.change_kind,
        interaction=intent.interaction,
        target=intent.target_ref,
        state=intent.state,
        rejected_by=intent.rejected_by,
        reason=intent.reason,
        tier=intent.tier,
        finality=intent.finality,
        resource=intent.resource_ref,
        resource_version=intent.resource_version,
        expires_at=intent.expires_at,
        state_changed_at=intent.state_changed_at,
        findings=[
            FindingView(
                severity=finding.severity,
                code=finding.code,
                expression=finding.expression,
                diagnostics=finding.diagnostics,
                needs_decision=finding.needs_decision,
            )
            for finding in (screening.findings.all() if screening else ())
        ],
        decision=_decision(intent),
        delivery=_delivery(intent),
    )


def _decision(intent: Intent) -> DecisionView | None:
    versions = list(intent.versions.all())
    decisions = [
        decision
        for version in versions
        for screening in version.screenings.all()
        for decision in screening.decisions.all()
    ]
    if not decisions:
        return None
    last = max(decisions, key=lambda decision: decision.decided_at)
    return DecisionView(
        outcome=last.kind,
        reason_code=last.reason_code,
        edited=len(versions) > 1,
        decided_at=last.decided_at,
    )


def _delivery(intent: Intent) -> DeliveryView | None:
    entries = list(intent.outbox_entries.all())
    if not entries:
        return None
    facts = list(intent.ledger.all())
    open_discrepancies = list(intent.discrepancies.all())
    last = facts[-1] if facts else None
    return DeliveryView(
        phase=last.phase if last else "WAITING",
        attempts=len({fact.attempt_id for fact in facts if fact.phase == "SENT"}),
        status_code=last.status_code if last else None,
        vendor_code=last.vendor_code if last else "",
        discrepancy=open_discrepancies[0].kind if open_discrepancies else "",
        at=last.at if last else entries[-1].created_at,
    )


# --- feedback ----------------------------------------------------------------------------------------


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
    changed_fields: Sequence[str]
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
    since = _decode(after) if after is not None else None
    until = at - SETTLING
    items = [
        *_decided(agent_id, since=since, until=until),
        *_edited(agent_id, since=since, until=until),
        *_answered(agent_id, since=since, until=until),
    ]
    items.sort(key=lambda item: (item.at, item.sort_id))
    page = items[:PAGE_SIZE]
    return FeedbackPage(items=page, next=_encode(page[-1].at, page[-1].sort_id) if page else after)


def _since(column: str, since: tuple[datetime, str] | None, until: datetime) -> Q:
    wanted = Q(**{f"{column}__lte": until})
    # The moment itself is read again and what was handed out is left out below: one instant may hold
    # facts of several tables.
    return wanted & Q(**{f"{column}__gte": since[0]}) if since else wanted


def _is_after(moment: datetime, sort_id: str, since: tuple[datetime, str] | None) -> bool:
    return since is None or (moment, sort_id) > since


def _decided(
    agent_id: UUID, *, since: tuple[datetime, str] | None, until: datetime
) -> Iterator[FeedbackItem]:
    rows = (
        ReviewDecision.objects.filter(
            _since("decided_at", since, until),
            screening__version__intent__proposal__agent=agent_id,
        )
        .select_related("screening__version__intent")
        .defer("note", "statement", "screening__baseline", "screening__wire_plan")
        .order_by("decided_at", "pk")[: PAGE_SIZE * 2]
    )
    for row in rows:
        sort_id = f"d{row.pk}"
        if _is_after(row.decided_at, sort_id, since):
            yield _item(
                row.screening.version.intent,
                at=row.decided_at,
                event=_DECISIONS[row.kind],
                sort_id=sort_id,
                reason_code=row.reason_code,
            )


def _edited(
    agent_id: UUID, *, since: tuple[datetime, str] | None, until: datetime
) -> Iterator[FeedbackItem]:
    rows = (
        IntentVersion.objects.filter(
            _since("created_at", since, until), intent__proposal__agent=agent_id, number__gt=1
        )
        .select_related("intent")
        .order_by("created_at", "pk")[: PAGE_SIZE * 2]
    )
    for row in rows:
        sort_id = f"e{row.pk}"
        if not _is_after(row.created_at, sort_id, since):
            continue
        before = IntentVersion.objects.get(intent=row.intent_id, number=row.number - 1)
        changed = canonical.changed_fields(
            row.intent.change_kind, before.phi_json("content"), row.phi_json("content")
        )
        yield _item(
            row.intent,
            at=row.created_at,
            event=Event.EDITED,
            sort_id=sort_id,
            changed_fields=[f"/{name}" for name in changed],
        )


def _answered(
    agent_id: UUID, *, since: tuple[datetime, str] | None, until: datetime
) -> Iterator[FeedbackItem]:
    rows = (
        WriteLedgerEntry.objects.filter(
            _since("at", since, until), intent__proposal__agent=agent_id, phase__in=list(_FACTS)
        )
        .select_related("intent")
        .defer("evidence")
        .order_by("at", "pk")[: PAGE_SIZE * 2]
    )
    for row in rows:
        sort_id = f"l{row.pk}"
        if _is_after(row.at, sort_id, since):
            yield _item(
                row.intent,
                at=row.at,
                event=_FACTS[row.phase],
                sort_id=sort_id,
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
    changed_fields: Sequence[str] = (),
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
        changed_fields=list(changed_fields),
        status_code=status_code,
        vendor_code=vendor_code,
        sort_id=sort_id,
    )


# --- cursors -----------------------------------------------------------------------------------------


def _encode(moment: datetime, key: str) -> str:
    text = json.dumps([moment.isoformat(), key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        moment, key = json.loads(raw)
        parsed = datetime.fromisoformat(moment)
    except (ValueError, TypeError, binascii.Error):
        raise CursorUnreadable("The cursor is none that was handed out.") from None
    if parsed.utcoffset() is None or not isinstance(key, str):
        raise CursorUnreadable("The cursor is none that was handed out.")
    return parsed, key


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CursorUnreadable("The cursor is none that was handed out.") from None
