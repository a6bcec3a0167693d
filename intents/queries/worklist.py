"""The operators' work list: approved changes that will not settle by themselves.

Each row is one change, with what happened, since when and who owns it. A change leaves the list when
its outcome is settled, its difference from the chart is resolved, or a newer change replaces it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from ehr_adapters.capabilities import Finality
from intents.lifecycle import WRITTEN, RejectedBy, State
from intents.models import Discrepancy, Intent, OutboxEntry, WriteLedgerEntry

# A refusal is a terminal state; it stays in sight this long unless a newer change repairs it.
_REFUSED_IN_SIGHT = timedelta(days=14)
# More would not be worked through on one page; the filters find the rest.
MOST_ROWS = 200


class Trouble(StrEnum):
    """The kinds of trouble, in the order in which they are worked through. Values are addresses."""

    UNKNOWN = "unknown"
    NOT_SENT = "not-sent"
    REFUSED = "refused"
    PARTIAL = "partial"
    DIFFERS = "differs"
    NOT_TAKEN_UP = "not-taken-up"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Trouble.UNKNOWN: "Outcome unknown",
    Trouble.NOT_SENT: "Not sent",
    Trouble.REFUSED: "Refused by the EHR",
    Trouble.PARTIAL: "Partly written",
    Trouble.DIFFERS: "Chart differs",
    Trouble.NOT_TAKEN_UP: "Not taken up, or declined",
}
# What a person does about it.
NEXT_STEP = {
    Trouble.UNKNOWN: "Look in the EHR, then settle: it is there, or it is not.",
    Trouble.NOT_SENT: "Remove the cause, then send again, or give it up with a reason.",
    Trouble.REFUSED: "Remove the cause in the EHR, or have the draft made again. Nothing was written.",
    Trouble.PARTIAL: "Part of the draft is in the chart. Write the rest, or correct what reports it.",
    Trouble.DIFFERS: "Find out which is right. Nothing is put back by machine.",
    Trouble.NOT_TAKEN_UP: "Ask the clinic: accept it in the EHR, or close it here with a reason.",
}


# What was seen in the chart, by kind of difference.
FOUND: dict[str, str] = {
    Discrepancy.Kind.DROPPED: "The EHR left out part of what was sent.",
    Discrepancy.Kind.ALTERED: "The EHR stored something else than was sent.",
    Discrepancy.Kind.DIFFERENT: "The EHR holds something else there.",
    Discrepancy.Kind.HUMAN_EDITED: "Somebody changed the entry in the EHR after it was written.",
    Discrepancy.Kind.DUPLICATE: "The chart holds this more than once.",
    Discrepancy.Kind.MISSING: "The entry was not found in the EHR.",
    Discrepancy.Kind.PARTIAL: "Only part of it was written.",
    Discrepancy.Kind.LATE: "It turned up after it had been given up.",
}
_STEP_OF_KIND: dict[str, str] = {
    Discrepancy.Kind.DUPLICATE: (
        "Have all but one marked as entered in error in the EHR, then settle. Nothing is removed by machine."
    ),
    Discrepancy.Kind.HUMAN_EDITED: (
        "Ask who changed it. If the chart is right, settle; the change is never overwritten."
    ),
}


def next_step(row: "Row") -> str:
    """What a person does about this row."""
    kind = row.discrepancy.kind if row.discrepancy and row.trouble == Trouble.DIFFERS else ""
    return _STEP_OF_KIND.get(kind) or NEXT_STEP[row.trouble]


@dataclass(frozen=True, slots=True)
class Row:
    """One change that needs a person."""

    intent: Intent
    trouble: Trouble
    since: datetime
    owner: str
    discrepancy: Discrepancy | None
    last_fact: WriteLedgerEntry | None


def _troubled(*, at: datetime) -> QuerySet[Intent]:
    refused = Q(
        state=State.REJECTED,
        rejected_by=RejectedBy.EHR,
        state_changed_at__gte=at - _REFUSED_IN_SIGHT,
    ) & ~Exists(Intent.objects.filter(Q(corrects=OuterRef("pk")) | Q(supersedes=OuterRef("pk"))))
    differs = Exists(Discrepancy.objects.filter(intent_id=OuterRef("pk"), resolved_at__isnull=True))
    return Intent.objects.filter(
        Q(state__in=[State.UNCERTAIN, State.FAILED]) | refused | Q(state__in=WRITTEN) & Q(differs)
    )


def count(*, at: datetime) -> int:
    """How many changes need a person now."""
    return _troubled(at=at).count()


def rows(
    *,
    at: datetime,
    trouble: Trouble | None = None,
    connection_id: UUID | None = None,
    owner: str | None = None,
) -> list[Row]:
    """The list, grouped by kind of trouble and oldest first; at most `MOST_ROWS`.

    `owner` is the name of the person whose rows are wanted; "" asks for rows that nobody owns.
    """
    found = _troubled(at=at)
    if connection_id:
        found = found.filter(connection_id=connection_id)
    found = (
        found.select_related(
            "proposal__connection",
            "proposal__agent",
            "connection",
            "current_version",
            "current_screening",
        )
        .prefetch_related(
            Prefetch(
                "discrepancies",
                queryset=Discrepancy.objects.filter(resolved_at__isnull=True).order_by("opened_at"),
                to_attr="open_discrepancies",
            ),
            Prefetch(
                "ledger",
                queryset=WriteLedgerEntry.objects.order_by("at", "id"),
                to_attr="facts",
            ),
            Prefetch(
                "outbox_entries",
                queryset=OutboxEntry.objects.order_by("-created_at").select_related(
                    "decision__reviewer__user"
                ),
                to_attr="entries",
            ),
            Prefetch(
                "proposal__intents",
                queryset=Intent.objects.order_by("position"),
                to_attr="siblings",
            ),
        )
        .order_by("state_changed_at", "id")[:MOST_ROWS]
    )
    listed = [_row(intent) for intent in found]
    if trouble:
        listed = [row for row in listed if row.trouble == trouble]
    if owner is not None:
        listed = [row for row in listed if row.owner == owner]
    order = list(Trouble)
    return sorted(listed, key=lambda row: (order.index(row.trouble), row.since))


def _row(intent: Intent) -> Row:
    discrepancies: list[Discrepancy] = intent.open_discrepancies  # type: ignore[attr-defined]  # prefetched to this name
    facts: list[WriteLedgerEntry] = intent.facts  # type: ignore[attr-defined]  # prefetched to this name
    discrepancy = discrepancies[0] if discrepancies else None
    return Row(
        intent=intent,
        trouble=_trouble(intent, discrepancies),
        since=discrepancy.opened_at if discrepancy else intent.state_changed_at,
        owner=discrepancy.owner if discrepancy else intent.owner or _approver(intent),
        discrepancy=discrepancy,
        last_fact=facts[-1] if facts else None,
    )


def _approver(intent: Intent) -> str:
    """Who approved it owns its outcome until a difference is given to somebody else."""
    entries: list[OutboxEntry] = intent.entries  # type: ignore[attr-defined]  # prefetched to this name
    reviewer = entries[0].decision.reviewer if entries else None
    return reviewer.user.name if reviewer is not None else ""


def _trouble(intent: Intent, discrepancies: list[Discrepancy]) -> Trouble:
    kinds = {each.kind for each in discrepancies}
    if Discrepancy.Kind.PARTIAL in kinds:
        return Trouble.PARTIAL
    if intent.state == State.UNCERTAIN:
        return Trouble.UNKNOWN
    if intent.state in (State.FAILED, State.REJECTED):
        siblings: list[Intent] = intent.proposal.siblings  # type: ignore[attr-defined]  # prefetched to this name
        if any(each.state in WRITTEN for each in siblings):
            return Trouble.PARTIAL
        return Trouble.NOT_SENT if intent.state == State.FAILED else Trouble.REFUSED
    lost = {Discrepancy.Kind.MISSING, Discrepancy.Kind.LATE}
    if intent.finality == Finality.STAGED and kinds <= lost:
        return Trouble.NOT_TAKEN_UP
    return Trouble.DIFFERS
