"""What became of an approved draft: five steps for each change, with times, attempts and evidence.

Reads records only. The steps are told from what was recorded, never from what should have happened:
a step without a fact is open.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Prefetch

from audit.sequencing import is_checkpointed
from ehr_adapters.capabilities import Finality
from intents.lifecycle import State
from intents.models import (
    Discrepancy,
    Intent,
    OutboxEntry,
    Proposal,
    ReviewDecision,
    WriteLedgerEntry,
)
from intents.queries.status import Status, finality_sentence, status_of

_Phase = WriteLedgerEntry.Phase
# Nothing can be read back while it waits there, or after it was handed on: a person may confirm it.
_UNREADABLE = frozenset({Finality.STAGED.value, Finality.SENT_FOR_ACTION.value})


class StepState(StrEnum):
    """How a step of the rail is drawn."""

    DONE = "ok"
    OPEN = "todo"
    TROUBLE = "hot"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the rail: what it is called, how far it is, when, and one line about it."""

    name: str
    state: StepState
    at: datetime | None
    line: str
    # the line to the next step is broken while that step is open
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send: when, and what came back, in words."""

    number: int
    sent_at: datetime
    answered_at: datetime | None
    words: str
    answer: WriteLedgerEntry | None = None

    @property
    def verb(self) -> str:
        """What was done at its time: an attempt that ended in front of the EHR sent nothing."""
        return "tried" if self.answer and self.answer.phase == _Phase.NOT_SENT else "sent"


@dataclass(frozen=True, slots=True)
class ChangeDelivery:
    """One change and its way to the chart."""

    intent: Intent
    letter: str
    status: Status
    steps: tuple[Step, ...]
    attempts: tuple[Attempt, ...]
    reference: str
    payload_hash: str
    owed: str
    discrepancies: tuple[Discrepancy, ...]
    not_before: datetime | None
    undoable: bool
    settleable: bool
    confirmable: bool
    resendable: bool
    # facts about filing its Provenance
    filings: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A draft after its decision."""

    proposal: Proposal
    changes: tuple[ChangeDelivery, ...]
    undo_until: datetime | None

    @property
    def fingerprint(self) -> str:
        """Differs whenever something on the page does; the open page asks for it."""
        parts = [
            f"{c.intent.state}.{c.intent.state_changed_at.timestamp()}.{len(c.attempts)}."
            f"{len(c.discrepancies)}.{''.join(s.state[0] for s in c.steps)}.{c.filings}"
            for c in self.changes
        ]
        return f"{'|'.join(parts)}|{bool(self.undo_until)}"


def get_delivery(*, proposal_id: UUID, at: datetime) -> Delivery | None:
    """The draft's delivery at a moment, or None where the organisation has no such draft."""
    intents = (
        Intent.objects.order_by("position")
        .select_related("connection", "current_version", "current_screening")
        .prefetch_related(
            Prefetch(
                "ledger", queryset=WriteLedgerEntry.objects.order_by("at", "step"), to_attr="facts"
            ),
            Prefetch(
                "outbox_entries",
                queryset=OutboxEntry.objects.order_by("-created_at"),
                to_attr="entries",
            ),
            Prefetch(
                "discrepancies",
                queryset=Discrepancy.objects.filter(resolved_at__isnull=True).order_by("opened_at"),
                to_attr="open_discrepancies",
            ),
            "provenances__filings",
            Prefetch(
                "current_screening__decisions",
                queryset=ReviewDecision.objects.order_by("decided_at").select_related(
                    "reviewer__user", "policy_version"
                ),
            ),
        )
    )
    proposal = (
        Proposal.objects.filter(pk=proposal_id)
        .select_related("connection", "agent", "agent_release")
        .prefetch_related(Prefetch("intents", queryset=intents, to_attr="ordered"))
        .first()
    )
    if proposal is None:
        return None
    changes = tuple(
        _change(intent, letter=chr(ord("A") + n % 26), at=at)
        for n, intent in enumerate(sorted(proposal.ordered, key=lambda each: each.reading_key))
    )
    undo = [c.not_before for c in changes if c.undoable and c.not_before]
    return Delivery(proposal=proposal, changes=changes, undo_until=min(undo) if undo else None)


def _change(intent: Intent, *, letter: str, at: datetime) -> ChangeDelivery:
    facts: list[WriteLedgerEntry] = intent.facts  # type: ignore[attr-defined]  # prefetched to this name
    entries: list[OutboxEntry] = intent.entries  # type: ignore[attr-defined]  # prefetched to this name
    discrepancies: list[Discrepancy] = intent.open_discrepancies  # type: ignore[attr-defined]  # prefetched to this name
    screening = intent.current_screening
    decisions = list(screening.decisions.all()) if screening else []
    live = next((entry for entry in entries if entry.closed_at is None), None)
    not_before = live.not_before if live else None
    connection = str(intent.connection)
    state = State(intent.state)
    status = status_of(
        state=state,
        rejected_by=intent.rejected_by,
        finality=intent.finality,
        connection_title=connection,
        at=at,
        not_before=not_before,
        open_discrepancies=tuple(d.kind for d in discrepancies),
    )
    version = intent.current_version
    written = state in (State.ACCEPTED, State.RECONCILED)
    return ChangeDelivery(
        intent=intent,
        letter=letter,
        status=status,
        steps=_steps(
            intent,
            facts=facts,
            entry=entries[0] if entries else None,
            decisions=decisions,
            connection=connection,
        ),
        attempts=_attempts(facts, again=state == State.APPROVED),
        reference=f"Ref {version.tag_short}" if version else "",
        payload_hash=screening.payload_hash if screening else "",
        owed=(
            finality_sentence(intent.finality, connection_title=connection)
            if written and intent.finality and intent.finality != Finality.FILED
            else ""
        ),
        discrepancies=tuple(discrepancies),
        not_before=not_before,
        undoable=state == State.APPROVED and not_before is not None and not_before > at,
        settleable=state == State.UNCERTAIN,
        confirmable=state == State.ACCEPTED and intent.finality in _UNREADABLE,
        resendable=state == State.FAILED,
        filings=sum(len(each.filings.all()) for each in intent.provenances.all()),
    )


def _steps(
    intent: Intent,
    *,
    facts: list[WriteLedgerEntry],
    entry: OutboxEntry | None,
    decisions: list[ReviewDecision],
    connection: str,
) -> tuple[Step, ...]:
    approvals = [d for d in decisions if d.kind in ("approve", "second")]
    state = State(intent.state)
    last = {fact.phase: fact for fact in facts}
    sent = last.get(_Phase.SENT)
    answer = last.get(_Phase.ACKNOWLEDGED) or last.get(_Phase.FOUND) or last.get(_Phase.ATTESTED)
    unknown = last.get(_Phase.UNKNOWN)
    refused = last.get(_Phase.REFUSED)
    read = last.get(_Phase.READ_BACK)
    sealed = bool(entry and is_checkpointed(entry.approval_event_id))

    if approvals and state != State.PENDING_APPROVAL:
        names = ", ".join(_decider(each) for each in approvals)
        approved = Step("Approved", StepState.DONE, approvals[-1].decided_at, names)
    else:
        approved = Step("Approved", StepState.OPEN, None, "not yet")
    seal = (
        Step("Sealed", StepState.DONE, None, "exactly what was shown, in the signed record")
        if sealed
        else Step("Sealed", StepState.OPEN, None, "into the signed record before anything is sent")
    )
    # An attempt is recorded before it reads the chart once more, and may end there.
    stopped = sent is not None and any(
        fact.phase == _Phase.NOT_SENT and fact.attempt_id == sent.attempt_id for fact in facts
    )
    if stopped and not answer:
        send = Step("Sent", StepState.OPEN, None, "nothing reached the EHR")
    elif sent:
        tries = sum(fact.phase == _Phase.SENT for fact in facts)
        send = Step(
            "Sent", StepState.DONE, sent.at, "first attempt" if tries == 1 else f"{tries} attempts"
        )
    elif entry and entry.closed_at is None:
        send = Step("Sent", StepState.OPEN, None, f"at {entry.not_before:%H:%M:%S} UTC or later")
    else:
        send = Step("Sent", StepState.OPEN, None, "not sent")

    if state in (State.ACCEPTED, State.RECONCILED, State.SUPERSEDED) and answer:
        accept = Step("Accepted", StepState.DONE, answer.at, _accepted_line(intent, answer))
    elif state == State.UNCERTAIN:
        accept = Step("Accepted", StepState.TROUBLE, unknown.at if unknown else None, "not known")
    elif state == State.REJECTED and refused:
        accept = Step("Accepted", StepState.TROUBLE, refused.at, f"refused by {connection}")
    else:
        accept = Step("Accepted", StepState.OPEN, None, f"by {connection}")
    back = _read_back(intent, read=read, facts=facts)

    ordered = [approved, seal, send, accept, back]
    return tuple(
        Step(step.name, step.state, step.at, step.line, dashed=following.state != StepState.DONE)
        for step, following in zip(ordered, [*ordered[1:], back], strict=True)
    )


def _decider(decision: ReviewDecision) -> str:
    if decision.reviewer is None:
        policy = decision.policy_version
        return f"by rule, policy {policy.version}" if policy else "by rule"
    checks = len(decision.checks)
    name = decision.reviewer.user.name
    return f"{name}, {checks} {'check' if checks == 1 else 'checks'}" if checks else name


def _accepted_line(intent: Intent, answer: WriteLedgerEntry) -> str:
    if answer.phase == _Phase.ATTESTED:
        return "a person saw it there; no read-back"
    if answer.phase == _Phase.FOUND:
        return "found in the chart"
    words: dict[str, str] = {
        Finality.FILED_UNSIGNED: "as an unsigned entry",
        Finality.STAGED: "into the EHR’s waiting list",
        Finality.SENT_FOR_ACTION: "sent for action",
    }
    return words.get(intent.finality, "filed")


def _read_back(
    intent: Intent, *, read: WriteLedgerEntry | None, facts: list[WriteLedgerEntry]
) -> Step:
    state = State(intent.state)
    discrepancies: list[Discrepancy] = intent.open_discrepancies  # type: ignore[attr-defined]  # prefetched to this name
    if discrepancies:
        kinds = ", ".join(d.kind for d in discrepancies)
        return Step("Read back", StepState.TROUBLE, discrepancies[0].opened_at, f"differs: {kinds}")
    if state == State.RECONCILED:
        attested = any(fact.phase == _Phase.ATTESTED for fact in facts) and read is None
        line = "confirmed by a person" if attested else "equal to what was approved"
        return Step("Read back", StepState.DONE, read.at if read else intent.state_changed_at, line)
    if state == State.ACCEPTED and intent.finality == Finality.STAGED:
        return Step(
            "Read back",
            StepState.OPEN,
            intent.last_looked_at,
            "cannot be read while it waits there",
        )
    return Step("Read back", StepState.OPEN, None, "and compared")


_ANSWERS = (
    _Phase.ACKNOWLEDGED,
    _Phase.REFUSED,
    _Phase.NOT_SENT,
    _Phase.UNKNOWN,
)


def _attempts(facts: list[WriteLedgerEntry], *, again: bool) -> tuple[Attempt, ...]:
    sent = [fact for fact in facts if fact.phase == _Phase.SENT]
    attempts = []
    for number, start in enumerate(sent, start=1):
        answers = [
            fact for fact in facts if fact.attempt_id == start.attempt_id and fact.phase in _ANSWERS
        ]
        answer = answers[-1] if answers else None
        attempts.append(
            Attempt(
                number=number,
                sent_at=start.at,
                answered_at=answer.at if answer else None,
                words=_answer_words(answer, again=again),
                answer=answer,
            )
        )
    return tuple(attempts)


def _answer_words(answer: WriteLedgerEntry | None, *, again: bool) -> str:
    if answer is None:
        return "no answer yet"
    code = f" ({answer.status_code})" if answer.status_code else ""
    return {
        _Phase.ACKNOWLEDGED: f"taken{code}",
        _Phase.REFUSED: f"refused{code}",
        _Phase.NOT_SENT: f"nothing reached the EHR{'; it is sent again later' if again else ''}",
        _Phase.UNKNOWN: f"no answer that can be trusted{code}; not repeated unless absence is proven",
    }[_Phase(answer.phase)]
