"""The words in which the state of a change is told to people, each with its sign.

The list is closed: screens say these words and no others. Nothing but a filed write is ever called
"written", and an unknown outcome is never called failed.
"""

from dataclasses import dataclass
from datetime import datetime

from ehr_adapters.capabilities import FINALITY_SENTENCES, Finality
from intents.lifecycle import RejectedBy, State
from intents.models import Discrepancy


@dataclass(frozen=True, slots=True)
class Status:
    """One status: words, a sign that stands beside the colour, and the tone that picks the colour."""

    words: str
    sign: str = ""
    tone: str = ""


BEING_CHECKED = Status("Being checked")
DRAFT = Status("Draft")
WAITING = Status("Waiting")
BEING_SENT = Status("Being sent")
WRITTEN = Status("Written", "✓", "ok")
READ_BACK = Status("Written and read back", "✓", "ok")
NOT_SIGNED = Status("Filed, not signed", "✓", "ok")
STAGED = Status("Waiting in the EHR for someone to accept it", "‖", "warn")
NOT_TAKEN_UP = Status("Not taken up", "!", "warn")
REFUSED = Status("Refused by the EHR", "✕", "bad")
UNKNOWN = Status("Outcome unknown", "?", "warn")
DIFFERS = Status("Chart differs", "!", "bad")
PAUSED = Status("Paused", "‖", "warn")
NOT_SENT = Status("Not sent", "✕", "bad")
REPLACED = Status("Replaced")
REJECTED = Status("Rejected", "✕")
BLOCKED = Status("Blocked", "✕", "bad")
WITHDRAWN = Status("Withdrawn")
EXPIRED = Status("Expired")


def sending_in(seconds: int) -> Status:
    """Approved, and can still be undone."""
    return Status(f"Sending in {seconds} s")


def sent_to(connection_title: str) -> Status:
    """Handed over for someone to act on; the chart itself may show nothing."""
    return Status(f"Sent to {connection_title}", "✓", "ok")


_PLAIN: dict[State, Status] = {
    State.DRAFTED: BEING_CHECKED,
    State.VALIDATED: DRAFT,
    State.PENDING_APPROVAL: WAITING,
    State.HELD: PAUSED,
    State.SUBMITTED: BEING_SENT,
    State.UNCERTAIN: UNKNOWN,
    State.FAILED: NOT_SENT,
    State.EXPIRED: EXPIRED,
    State.CANCELLED: WITHDRAWN,
    State.SUPERSEDED: REPLACED,
}
_REFUSALS: dict[str, Status] = {
    RejectedBy.EHR: REFUSED,
    RejectedBy.POLICY: BLOCKED,
    RejectedBy.VALIDATION: REJECTED,
    RejectedBy.REVIEWER: REJECTED,
    RejectedBy.COMPLIANCE: REJECTED,
}


def status_of(
    *,
    state: str,
    rejected_by: str,
    finality: str,
    connection_title: str,
    at: datetime,
    not_before: datetime | None = None,
    open_discrepancies: tuple[str, ...] = (),
) -> Status:
    """The status of one change at a moment.

    `not_before` is that of its live outbox entry; `open_discrepancies` are the kinds still unsettled.
    """
    if state == State.REJECTED:
        return _REFUSALS[rejected_by]
    if state == State.APPROVED:
        if not_before is not None and not_before > at:
            return sending_in(max(1, round((not_before - at).total_seconds())))
        return BEING_SENT
    if state in (State.ACCEPTED, State.RECONCILED):
        return _written(
            state=state,
            finality=finality,
            connection_title=connection_title,
            open_discrepancies=open_discrepancies,
        )
    return _PLAIN[State(state)]


_UNDECIDED = frozenset({State.DRAFTED, State.VALIDATED, State.PENDING_APPROVAL, State.HELD})


def decided_words(*, state: str, rejected_by: str, finality: str, connection_title: str) -> str:
    """The words for a change about which nothing is left to decide; "" for any other."""
    if state in _UNDECIDED:
        return ""
    if state == State.REJECTED:
        return _REFUSALS[rejected_by].words
    if state in (State.ACCEPTED, State.RECONCILED):
        return _written(
            state=state,
            finality=finality,
            connection_title=connection_title,
            open_discrepancies=(),
        ).words
    return BEING_SENT.words if state == State.APPROVED else _PLAIN[State(state)].words


def _written(
    *, state: str, finality: str, connection_title: str, open_discrepancies: tuple[str, ...]
) -> Status:
    staged = finality == Finality.STAGED
    if open_discrepancies:
        missing_only = set(open_discrepancies) <= {Discrepancy.Kind.MISSING, Discrepancy.Kind.LATE}
        return NOT_TAKEN_UP if staged and missing_only else DIFFERS
    if finality == Finality.FILED_UNSIGNED:
        return NOT_SIGNED
    if finality == Finality.SENT_FOR_ACTION:
        return sent_to(connection_title)
    if state == State.RECONCILED:
        return READ_BACK
    return STAGED if staged else WRITTEN


def finality_sentence(finality: str, *, connection_title: str) -> str:
    """What an acknowledged write is in the EHR's eyes, and what is still owed there."""
    return FINALITY_SENTENCES[Finality(finality)].format(ehr=connection_title)
