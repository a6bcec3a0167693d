"""I1 to I12, each a named check. They ask the truth, never the database's own account of itself.

What a simulation without a network or a real log can say of each:

* I1 the bytes, the round of approval and its end are compared where the EHR receives the request, with what
  people approved, kept outside the database. The approval has to stand at the last look before the socket;
  the request follows within the life of its token.
* I2 and I3 are read from the EHRs' own entries at the end, I3's "every accepted has its effect" as well.
* I4 a history that does not come to rest within `PATIENCE` of the last fault has lost an approval.
* I5 compares the states that rows had, one commit after another, with the events of the log.
* I6 uses the production tree: every signed head is computed again from the leaves that are there at the
  end. What a failover took away took its heads along; noticing that is the witness's work, not the core's.
* I7 a request whose last look came after a switch was engaged, or that starts later than one token life.
* I8 and I9 compare people, tenants, connections and ids at the EHR's door and in what is stored.
* I10 the EHR's own words and the drafts hold a canary; nothing that stands in the open may repeat it.
* I11 counts true seconds, also those of a token that lived longer than usual.
* I12 whoever looks at the work list sees an owner and, past the patience of its kind, an alarm.

Four more belong to the protocol: "order" (a patient's changes go one at a time, and none before what it
reports), "owner" (only the attempt that owns a change sends it and records how that went), "base" (nothing is
sent on a chart that had moved), and "core" (the core has an answer to whatever happens).
"""

from dataclasses import dataclass, field
from datetime import datetime

from intents.lifecycle import CLOSED, WRITTEN, State
from intents.pipeline.delivery.words import Phase
from tests.simulation.database import Database, Row, is_reason
from tests.simulation.ehr import CANARY, Bounds, FaultyEhr

# Seconds after the last fault by which everything has come to rest: two days, people's absence included.
PATIENCE = 2 * 86_400
# A sweep comes within minutes, and a wall clock that was set back delays what goes by it.
_SLACK = 900.0
_STILL_OPEN = frozenset({State.PENDING_APPROVAL, State.APPROVED, State.SUBMITTED, State.UNCERTAIN})
_OWNED = frozenset({State.UNCERTAIN, State.FAILED})


class Violated(AssertionError):
    """An invariant does not hold in this history. `name` is I1 to I12, or one of those beside them."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name = name


@dataclass(slots=True)
class Approved:
    """What people approved, and until when it stands by the wall clock."""

    body: tuple[str, ...]
    expires: datetime
    people: tuple[str, ...]
    needed: int
    author: str
    withdrawn_at: float | None = None
    # since when the approvals that are stored are fewer than these
    robbed_at: float | None = None


@dataclass(slots=True)
class Sending:
    """One attempt as the truth knows it: when it began, when it last looked, and what its clock said then."""

    number: int
    begun_at: float
    looked_at: float
    wall: datetime
    next_step: int = 0


@dataclass(slots=True)
class Truth:
    """What really happened, which no failover takes away."""

    bounds: dict[int, Bounds]
    homes: dict[int, tuple[str, int]] = field(default_factory=dict)
    approved: dict[tuple[int, int], Approved] = field(default_factory=dict)
    # scope of a switch, from, until
    switches: list[tuple[str, float, float]] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)
    read_events: int = 0
    read_facts: dict[int, int] = field(default_factory=dict)
    unknown_since: dict[int, float] = field(default_factory=dict)
    # until when each attempt of a change may still reach its EHR, be processed and show up there
    dangerous: dict[int, dict[str, float]] = field(default_factory=dict)
    waits_since: dict[tuple[int, str], float] = field(default_factory=dict)
    longest_token: float = 0.0
    # which attempt owns a change, by a number that nothing takes back
    attempts: int = 0
    owners: dict[int, int] = field(default_factory=dict)
    # since when the rules, the approver's role or the agent no longer allow a change
    forbidden: dict[int, float] = field(default_factory=dict)
    # when the chart was read that a change was last found equal in
    read_at: dict[int, float] = field(default_factory=dict)
    # for how long sweeps could not come, or the wall clock made them wait
    delayed: float = 0.0

    # --- at the EHR's door ----------------------------------------------------------------------------

    def check_request(
        self,
        sending: Sending,
        *,
        row: Row,
        round_: int,
        step: int,
        body: str,
        connection: int,
        is_let_in: bool,
        moved_at: float,
        now: float,
    ) -> None:
        number = row.number
        approved = self.approved.get((number, round_))
        if approved is None or approved.body[step] != body or step != sending.next_step:
            raise Violated("I1", f"change {number} is sent with other bytes than approved")
        if sending.wall >= approved.expires:
            raise Violated("I1", f"change {number} is sent after its approval ran out")
        if approved.withdrawn_at is not None and approved.withdrawn_at <= sending.looked_at:
            raise Violated("I1", f"change {number} is sent after its approval was taken back")
        sending.next_step += 1
        for scope, begun, ended in self.switches:
            if scope not in scopes(row):
                continue
            if begun <= sending.looked_at < ended:
                raise Violated("I7", f"change {number} is sent past a switch that was engaged")
            if is_let_in and begun + self.longest_token < now < ended:
                raise Violated("I7", f"change {number} is sent long after a switch was engaged")
        people = approved.people
        too_few = len(set(people)) < approved.needed or approved.author in people
        if too_few or (approved.robbed_at is not None and approved.robbed_at < sending.begun_at):
            raise Violated("I8", f"change {number} is sent without the people it needs")
        if self.forbidden.get(number, now) < sending.looked_at:
            raise Violated("I8", f"change {number} is sent past a rule that was tightened")
        if moved_at < sending.begun_at:
            raise Violated("base", f"change {number} is sent on a chart that has moved")
        if connection != self.homes[number][1]:
            raise Violated("I9", f"change {number} is sent to another tenant's EHR")

    # --- whose attempt it is --------------------------------------------------------------------------

    def begun(self, number: int) -> int:
        """Another attempt owns the change from now on."""
        self.attempts += 1
        self.owners[number] = self.attempts
        return self.attempts

    def check_owner(self, number: int, serial: int) -> None:
        """Only the attempt that owns a change sends it, and says how that went."""
        if self.owners.get(number) != serial:
            raise Violated("owner", f"change {number} is in the hands of an attempt that lost it")

    # --- after every commit ---------------------------------------------------------------------------

    def check_commit(self, db: Database, *, now: float) -> None:
        for event in db.log.events[self.read_events :]:
            if event.before is not None:
                if self.states[event.number] != event.before:
                    raise Violated("I5", f"an event of change {event.number} does not follow on")
                self.states[event.number] = event.after
                self._moved(db.rows[event.number], event.before, event.after, now=now)
                if event.after == State.SUBMITTED:
                    self._check_order(db, db.rows[event.number])
            if not is_reason(event.reason):
                raise Violated("I5", f"an event of change {event.number} has no reason")
            if CANARY in event.open_facts:
                raise Violated("I10", "an event repeats what belongs to the chart")
            if event.tenant != self.homes[event.number][0]:
                raise Violated("I9", f"an event of change {event.number} is in another log")
        self.read_events = len(db.log.events)
        for number, row in db.rows.items():
            if row.state != self.states[number]:
                raise Violated("I5", f"change {number} moved without an event")
            new = row.facts[self.read_facts[number] :]
            if new:
                self.read_facts[number] = len(row.facts)
                if any(CANARY in fact.outcome for fact in new):
                    raise Violated("I10", "the ledger repeats what belongs to the chart")
            if row.reference and not self._is_own(row):
                raise Violated("I9", f"change {number} points to another change's entry")
            for kind, (owner, _) in row.open.items():
                self.waits_since.setdefault((number, kind), now)
                if not owner:
                    raise Violated("I12", f"a difference of change {number} has no owner")

    def _moved(self, row: Row, before: State, after: State, *, now: float) -> None:
        number = row.number
        if before == State.UNCERTAIN and after == State.APPROVED:
            bounds = self.bounds[row.connection]
            early = self.unknown_since[number] + bounds.quarantine > now
            if early or any(end > now for end in self.dangerous.get(number, {}).values()):
                raise Violated("I11", f"change {number} is sent again within its quarantine")
        if after == State.UNCERTAIN:
            self.unknown_since[number] = now
        for key in [key for key in self.waits_since if key[0] == number and key[1] in _OWNED]:
            del self.waits_since[key]
        if after in _OWNED:
            self.waits_since[number, after] = now

    def _check_order(self, db: Database, row: Row) -> None:
        for other in db.rows.values():
            if other is row or other.shard != row.shard:
                continue
            if other.state == State.SUBMITTED:
                raise Violated("order", f"changes {row.number} and {other.number} are sent at once")
            alike = other.kind == row.kind or (row.target and row.target == other.target)
            if other.state == State.UNCERTAIN and alike and not other.closed:
                raise Violated("order", f"change {row.number} overtakes one that nobody knows of")
        if row.depends_on is not None:
            awaited = db.rows[row.depends_on]
            is_done = awaited.state in WRITTEN or awaited.state == State.SUPERSEDED
            if not is_done and (awaited.state in _STILL_OPEN or awaited.since > row.created_at):
                raise Violated("order", f"change {row.number} goes before what it reports")

    def _is_own(self, row: Row) -> bool:
        return row.reference.startswith((f"{row.number}.", "by hand")) or (
            bool(row.target) and row.reference == row.target
        )

    def failed_over(
        self,
        db: Database,
        *,
        unknown_since: dict[int, float],
        owners: dict[int, int],
        now: float,
    ) -> None:
        """The database forgot; the truth goes on from what it now says. What may still come does not change."""
        self.unknown_since, self.owners = unknown_since, owners
        self.read_events = len(db.log.events)
        self.read_facts = {number: len(row.facts) for number, row in db.rows.items()}
        self.states = {number: row.state for number, row in db.rows.items()}
        self.waits_since = {}
        for number, row in db.rows.items():
            if row.state in _OWNED:
                self.waits_since[number, row.state] = now
            for kind in row.open:
                self.waits_since[number, kind] = now

    # --- whenever a person comes, and at the end ---------------------------------------------------------

    def check_work_list(self, db: Database, *, now: float) -> None:
        for number, row in db.rows.items():
            told = {code for code, _ in row.told}
            if row.state in _OWNED:
                if not row.approvers[-1]:
                    raise Violated("I12", f"change {number} waits without an owner")
                code, patience = _ALARM_OF[row.state]
                since = self.waits_since[number, row.state]
                if now - since > patience + _SLACK + self.delayed and code not in told:
                    raise Violated("I12", f"change {number} has waited at {row.state} unheard")
            for kind in row.open:
                since = self.waits_since[number, kind]
                late = now - since > 86_400 + _SLACK + self.delayed
                if late and not told & _EVERY_CODE:
                    raise Violated("I12", f"a difference of change {number} has waited unheard")

    def check_log(self, db: Database) -> None:
        """Every head that was signed is a prefix of what is there."""
        heads = dict(db.log.heads)
        tree = type(db.log.tree)()
        for event in db.log.events[: db.log.tree.size]:
            tree.append(event.leaf())
            if tree.size in heads and heads[tree.size] != tree.root():
                raise Violated("I6", "the log does not extend what was signed")
        if tree.root() != db.log.tree.root() or len(heads) != len(db.log.heads):
            raise Violated("I6", "the log does not extend what was signed")

    def check_end(self, db: Database, ehrs: dict[int, FaultyEhr], *, now: float) -> None:
        for connection, ehr in ehrs.items():
            for number, held in ehr.effects.items():
                if number not in db.rows or self.homes[number][1] != connection:
                    raise Violated("I3", "an entry belongs to no change")
                if len({each.step for each in held}) != len(held):
                    raise Violated("I2", f"change {number} took effect more than once")
        for number, row in db.rows.items():
            ehr = ehrs[self.homes[number][1]]
            steps = ehr.steps_of(number, now)
            is_there = steps == list(range(len(row.body))) or ehr.was_equal(number)
            if row.state in WRITTEN and not is_there:
                raise Violated("I3", f"change {number} is {row.state} and is not in the chart")
            mangled = any(each.mangled for each in ehr.effects[number])
            if mangled and number in self.read_at:
                # Unless a colleague had written over it what was meant, and that is what was read.
                mangled = not ehr.read_equal(number, at=self.read_at[number])
            if row.state in WRITTEN and mangled and not _was_attested(row):
                raise Violated("I3", f"change {number} is {row.state} and reads otherwise there")
            if row.reason == "version-conflict" and steps:
                raise Violated(
                    "I3", f"change {number} is {row.state} as nobody's and is in the chart"
                )
            if row.state in (*CLOSED, State.FAILED) and steps and not row.open:
                raise Violated("I3", f"change {number} is {row.state} and is in the chart")
            if row.state in (State.APPROVED, State.SUBMITTED, State.UNCERTAIN):
                raise Violated("I4", f"change {number} is still {row.state} long after every fault")


_ALARM_OF = {State.UNCERTAIN: ("outcome-unknown", 900.0), State.FAILED: ("not-sent", 3600.0)}
_EVERY_CODE = {"outcome-unknown", "not-sent", "difference-open"}


def _was_attested(row: Row) -> bool:
    return any(fact.phase == Phase.ATTESTED for fact in row.facts)


def scopes(row: Row) -> tuple[str, ...]:
    """The switches that stop this change."""
    return (
        "deployment",
        f"tenant {row.tenant}",
        f"connection {row.connection}",
        f"kind {row.kind}",
    )
