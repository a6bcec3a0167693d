"""The portal's database as rows that one step changes all at once or not at all.

What is stored, and what is worked out from it, is as in production: state, attempts, lease and
quarantine are columns that `carry_out` sets from a decision's effects; whether a change may have been sent
is read from the ledger each time, by the same function. A failover puts back an earlier copy of all of it.
"""

import copy
from dataclasses import dataclass, field
from datetime import datetime

from audit import merkle
from audit.actors import ActorKind
from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from intents.lifecycle import WRITTEN, State, check_transition
from intents.pipeline.delivery import facts as ledger
from intents.pipeline.delivery.looking import Answer
from intents.pipeline.delivery.records import (
    CloseEntry,
    Decision,
    Delivery,
    Ledger,
    LookNow,
    OpenDiscrepancy,
    Quarantine,
    Requeue,
)
from intents.pipeline.delivery.words import REASONS, Difference, Phase

_ENDINGS = frozenset({Phase.ACKNOWLEDGED, Phase.REFUSED, Phase.NOT_SENT, Phase.UNKNOWN})


@dataclass(slots=True)
class Row:
    """One change with its live entry in the outbox, its ledger and its open differences."""

    number: int
    tenant: str
    connection: int
    shard: str
    kind: str
    target: str
    retry: RetryClass
    find: FindMethod
    finality: Finality
    reads_by_id: bool
    author: str
    people_needed: int
    body: list[str]
    depends_on: int | None
    quarantine_ticks: int
    lag_ticks: int
    created_at: datetime
    since: datetime
    expires: datetime | None = None
    # the sealed decision: what was approved, and by whom
    approved_body: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    approval_event: int = -1
    round: int = 0
    base: int = 0
    state: State = State.PENDING_APPROVAL
    reason: str = ""
    # the live entry
    entry: int = 0
    closed: bool = True
    not_before: datetime | None = None
    attempts: int = 0
    attempt_id: str = ""
    lease_until: datetime | None = None
    quarantine_until: int | None = None
    # what is known of the EHR's entry
    reference: str = ""
    # the entry that a given-up attempt was answered with
    stray: str = ""
    looked_at: datetime | None = None
    facts: list[ledger.Fact] = field(default_factory=list)
    # kind, owner, opened at
    open: dict[Difference, tuple[str, datetime]] = field(default_factory=dict)
    told: list[tuple[str, datetime]] = field(default_factory=list)
    # what the ledger says together, and as of which facts: it is asked far more often than it grows
    summary: tuple[tuple[int, str, int], bool, str] = ((-1, "", 0), False, "")
    # when the chart is looked at next, and what that was worked out from
    next_look: tuple[object, datetime | None] = (None, None)
    # what the rules, the approver's role and the agent say now
    stopped_by: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit log. `before` is None for a note that moves nothing."""

    tenant: str
    number: int
    before: State | None
    after: State
    actor: ActorKind
    reason: str
    open_facts: str

    def leaf(self) -> bytes:
        text = f"{self.tenant}|{self.number}|{self.before}|{self.after}|{self.reason}|{self.open_facts}"
        return merkle.leaf_hash(text.encode())


@dataclass(slots=True)
class Log:
    """The audit log, its tree, and the heads that were signed."""

    events: list[Event] = field(default_factory=list)
    tree: merkle.CompactRange = field(default_factory=merkle.CompactRange)
    heads: list[tuple[int, bytes]] = field(default_factory=list)

    def sequence(self) -> bool:
        """Turn pending events into leaves under a new head."""
        pending = self.events[self.tree.size :]
        if not pending:
            return False
        self.tree.extend([event.leaf() for event in pending])
        self.heads.append((self.tree.size, self.tree.root()))
        return True

    def holds(self, event: int) -> bool:
        return 0 <= event < self.tree.size


@dataclass(slots=True)
class Database:
    rows: dict[int, Row] = field(default_factory=dict)
    log: Log = field(default_factory=Log)
    # `Tick`
    hold_until: int = 0
    timeline: int = 1
    # what the breaker of each connection asks about: how attempts ended, and of which row
    answers: dict[int, list[tuple[Answer, int]]] = field(default_factory=dict)

    def copy(self) -> "Database":
        rows = {}
        for number, row in self.rows.items():
            rows[number] = twin = copy.copy(row)
            twin.facts, twin.open, twin.told = row.facts[:], row.open.copy(), row.told[:]
            twin.body = row.body[:]
        log = Log(
            self.log.events[:],
            merkle.CompactRange(size=self.log.tree.size, edge=self.log.tree.edge),
            self.log.heads[:],
        )
        answers = {number: given[:] for number, given in self.answers.items()}
        return Database(rows, log, self.hold_until, self.timeline, answers)

    def delivery(self, row: Row) -> Delivery:
        """`outbox.delivery_of`: the delivery as the rows have it."""
        if row.expires is None:
            raise RuntimeError("an approved change has an end to its approval")
        of = len(row.facts), row.attempt_id, row.entry
        if row.summary[0] != of:
            row.summary = (
                of,
                ledger.was_maybe_sent(row.facts, present=row.attempt_id or None),
                ledger.last_outcome(row.facts, entry_id=row.entry),
            )
        return Delivery(
            state=row.state,
            retry=row.retry,
            find=row.find,
            finality=row.finality,
            approval_expires_at=row.expires,
            quarantine_ticks=row.quarantine_ticks,
            lag_ticks=row.lag_ticks,
            attempts=row.attempts,
            attempt_id=row.attempt_id,
            maybe_sent=row.summary[1],
            partial=Difference.PARTIAL in row.open,
            last_outcome=row.summary[2],
            quarantine_until=row.quarantine_until,
        )

    def carry_out(
        self,
        row: Row,
        decision: Decision,
        *,
        actor: ActorKind,
        at: datetime,
        attempt: str,
        open_facts: str = "",
        reference: str | None = None,
    ) -> None:
        """`outbox.carry_out`: ledger, entry, differences, state and their event."""
        noted = False
        after = decision.delivery
        if after.attempts != row.attempts:
            row.attempts = after.attempts
        for effect in decision.effects:
            match effect:
                case Ledger(phase=phase, outcome=outcome):
                    row.facts.append(ledger.Fact(attempt, phase, outcome, row.entry))
                    noted = True
                    if phase in _ENDINGS:
                        given = self.answers.setdefault(row.connection, [])
                        given.append((Answer(phase, outcome, at), row.number))
                    if phase is Phase.STRAY and outcome == "acknowledged" and reference:
                        row.stray = reference
                case Requeue(not_before=moment):
                    row.not_before, row.lease_until = moment, None
                    row.attempt_id, row.quarantine_until = "", None
                case Quarantine(until_tick=tick):
                    row.quarantine_until, row.lease_until = tick, None
                case CloseEntry():
                    row.closed, row.lease_until = True, None
                case OpenDiscrepancy(kind=kind):
                    row.open.setdefault(kind, (row.approvers[-1], at))
                case LookNow():
                    row.looked_at = None
        if after.state != row.state:
            if after.state in WRITTEN and reference is not None:
                row.reference = reference
            self.advance(
                row,
                after.state,
                actor=actor,
                at=at,
                reason=decision.reason or "submitted",
                open_facts=open_facts,
            )
        elif noted:
            self.note(row, actor=actor, reason=decision.reason or "noted", open_facts=open_facts)

    def advance(
        self,
        row: Row,
        to: State,
        *,
        actor: ActorKind,
        at: datetime,
        reason: str,
        open_facts: str = "",
    ) -> None:
        """`Intent.advance`: along an edge of the one table, with its event, or not at all."""
        check_transition(current=row.state, to=to, actor=actor)
        self.log.events.append(
            Event(row.tenant, row.number, row.state, to, actor, reason, open_facts)
        )
        row.state, row.since, row.reason = to, at, reason

    def note(self, row: Row, *, actor: ActorKind, reason: str, open_facts: str = "") -> None:
        self.log.events.append(
            Event(row.tenant, row.number, None, row.state, actor, reason, open_facts)
        )


# Reasons that the steps around the core give; all others are codes of `words.REASONS`.
OWN_REASONS = frozenset(
    {
        "submitted",
        "noted",
        "approved",
        "expired",
        "undone",
        "recalled",
        "given-up",
        "told",
        "released",
    }
)


def is_reason(code: str) -> bool:
    return code in REASONS or code in OWN_REASONS
