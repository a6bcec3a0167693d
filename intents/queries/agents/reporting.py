"""What became of an agent's proposals: states, findings, decisions and deliveries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from intents.lifecycle import IN_FLIGHT, OPEN, State
from intents.models import (
    Discrepancy,
    Finding,
    Intent,
    IntentVersion,
    OutboxEntry,
    Proposal,
    ReviewDecision,
    Screening,
    WriteLedgerEntry,
)
from intents.queries.agents import cursors


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
        moment, proposal_id = cursors.decode(after)
        rows = rows.filter(
            Q(received_at__lt=moment) | Q(received_at=moment, pk__lt=cursors.uuid_of(proposal_id))
        )
    page = list(_with_changes(rows.order_by("-received_at", "-pk"))[: cursors.PAGE_SIZE + 1])
    last = page[cursors.PAGE_SIZE - 1] if len(page) > cursors.PAGE_SIZE else None
    return ProposalPage(
        proposals=[_proposal(each) for each in page[: cursors.PAGE_SIZE]],
        next=cursors.encode(last.received_at, str(last.pk)) if last else None,
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


def _with_changes(rows: QuerySet[Proposal]) -> QuerySet[Proposal]:
    return rows.select_related("connection").prefetch_related(
        Prefetch(
            "intents",
            queryset=Intent.objects.order_by("position").select_related("current_screening"),
        ),
        Prefetch(
            "intents__current_screening__findings", queryset=Finding.objects.order_by("position")
        ),
        Prefetch(
            "intents__versions", queryset=IntentVersion.objects.defer("content").order_by("number")
        ),
        Prefetch(
            "intents__versions__screenings",
            queryset=Screening.objects.defer("baseline", "wire_plan"),
        ),
        Prefetch(
            "intents__versions__screenings__decisions",
            queryset=ReviewDecision.objects.defer("note", "statement").order_by("decided_at"),
        ),
        Prefetch("intents__outbox_entries", queryset=OutboxEntry.objects.order_by("created_at")),
        Prefetch(
            "intents__ledger", queryset=WriteLedgerEntry.objects.defer("evidence").order_by("at")
        ),
        Prefetch(
            "intents__discrepancies", queryset=Discrepancy.objects.filter(resolved_at__isnull=True)
        ),
    )


def _proposal(row: Proposal) -> ProposalView:
    changes = [_change(intent) for intent in row.intents.all()]
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
