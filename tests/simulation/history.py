"""One seeded history: three approved changes, workers that crash and sleep, and what must hold.

The database is modelled as rows that a step changes all at once or not at all; the decisions are
those of `intents.pipeline.delivery`. The wall clock jumps by hours in both directions; ticks only
move forward, and never faster than the truth. Wakes are lost and doubled at will, because any
worker may claim at any step.
"""

import copy
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from intents.lifecycle import CLOSED, State
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import deciding
from intents.pipeline.delivery.looking import next_look
from intents.pipeline.delivery.records import (
    AttemptEnded,
    Attested,
    Began,
    CloseEntry,
    Decision,
    Delivery,
    LeaseLapsed,
    Looked,
    LookNow,
    OpenDiscrepancy,
    OutOfPlace,
    Quarantine,
    ReadBack,
    Requeue,
    StrayAnswer,
    TooEarly,
)
from intents.pipeline.delivery.words import Difference, Seen
from tests.simulation.ehr import INDEX_LAG, QUARANTINE, FaultyEhr, Token

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LEASE = timedelta(seconds=8)
FAULTY_STEPS = 140
# The longest back-off is 15 minutes, and a clock that was set back by 500 s adds as much to it.
QUIET_STEPS = 3000

# class, find method, number of requests in the plan
COMBINATIONS = (
    (RetryClass.S1, FindMethod.TARGET, 1),
    (RetryClass.S2, FindMethod.EXACT, 1),
    (RetryClass.S3, FindMethod.SCAN, 1),
    (RetryClass.S3, FindMethod.KEY, 1),
    (RetryClass.S4, FindMethod.MATCH, 1),
    (RetryClass.S4, FindMethod.NONE, 1),
    (RetryClass.S4, FindMethod.NONE, 2),
    (RetryClass.S6, FindMethod.EXACT, 1),
)


class Violated(AssertionError):
    """An invariant of the delivery does not hold in this history."""


@dataclass(slots=True)
class Row:
    """One approved change as the database holds it."""

    intent: int
    steps: int
    delivery: Delivery
    checkpointed_at: int
    not_before: datetime = START
    lease_until: datetime | None = None
    live: bool = True
    looked_at: datetime | None = None
    since: datetime = START
    discrepancies: set[Difference] = field(default_factory=set)


@dataclass(slots=True)
class Worker:
    """A process in the middle of an attempt. `asleep_until`: stopped, as by SIGSTOP."""

    row: int
    attempt_id: str
    steps: Generator[protocol.Ask, protocol.Reply, protocol.Ending]
    ask: protocol.Ask | None
    ending: protocol.Ending | None = None
    token: Token | None = None
    checked_at: int = 0
    asleep_until: int = 0


@dataclass(slots=True)
class Looker:
    """A reconciler between its search and its commit."""

    row: int
    tick: int
    seen: Seen
    asleep_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one history came to."""

    changes: int = 0
    written: int = 0
    to_people: int = 0
    resent: int = 0


@dataclass(slots=True)
class History:
    seed: int
    random: Random = field(init=False)
    ehr: FaultyEhr = field(init=False)
    rows: dict[int, Row] = field(init=False)
    workers: list[Worker] = field(default_factory=list)
    lookers: list[Looker] = field(default_factory=list)
    step: int = 0
    tick: int = 0
    jump: timedelta = timedelta()
    hold_until: int = 0
    # when the kill switch was engaged; 0 while writing is on
    switched_off_at: int = 0
    # the truth about attempts, which survives even a failover of the database
    unknown_since: dict[int, int] = field(default_factory=dict)
    resent: int = 0
    backups: list[dict[int, Row]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.ehr = FaultyEhr(random=self.random, trouble=self.random.choice([0.1, 0.45, 0.8]))
        self.rows = {}
        for number in range(3):
            retry, find, steps = self.random.choice(COMBINATIONS)
            self.rows[number] = Row(
                intent=number,
                steps=steps,
                checkpointed_at=self.random.randint(0, 10),
                delivery=Delivery(
                    state=State.APPROVED,
                    retry=retry,
                    find=find,
                    finality=self.random.choice([Finality.FILED, Finality.FILED_UNSIGNED]),
                    approval_expires_at=START
                    + timedelta(seconds=self.random.choice([60, 150, 7200, 7200])),
                    quarantine_ticks=QUARANTINE,
                    lag_ticks=INDEX_LAG + 1,
                ),
            )

    # --- time ---------------------------------------------------------------------------------------

    @property
    def wall(self) -> datetime:
        return START + timedelta(seconds=self.step) + self.jump

    @property
    def faulty(self) -> bool:
        return self.step < FAULTY_STEPS

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # --- the run ------------------------------------------------------------------------------------

    def run(self) -> Figures:
        while self.faulty or not (self._is_settled() or self.step > FAULTY_STEPS + QUIET_STEPS):
            self.step += 1
            self.ehr.advance()
            if not self.faulty:
                self.ehr.trouble = 0.0
            if not self.faulty or self.chance(0.9):
                self.tick += 1
            if self.faulty and self.chance(0.01):
                self.jump += timedelta(seconds=self.random.randint(-500, 500))
            if self.faulty and self.chance(0.008):
                self._fail_over()
            if self.switched_off_at and (not self.faulty or self.chance(0.03)):
                self.switched_off_at = 0
            elif self.faulty and self.chance(0.01):
                self.switched_off_at = self.step
            if self.faulty and self.step % 3 == 0:
                self.backups = [*self.backups[-6:], _copy(self.rows)]
            for _ in range(self.random.randint(0, 3) if self.faulty else 3):
                self._turn()
            self._check_always()
        self._people_settle()
        self._check_at_the_end()
        return Figures(
            changes=len(self.rows),
            written=sum(1 for effect in self.ehr.effects if effect.intent in self.rows),
            to_people=sum(1 for row in self.rows.values() if row.delivery.state == State.HELD),
            resent=self.resent,
        )

    def _is_settled(self) -> bool:
        """Nothing is left for machines to do: no process is alive and every change has its owner."""
        if self.workers or self.ehr.late:
            return False
        return all(
            row.delivery.state in (*CLOSED, State.RECONCILED, State.HELD, State.FAILED)
            or (row.delivery.state == State.ACCEPTED and row.discrepancies)
            or (row.delivery.state == State.ACCEPTED and row.delivery.find == FindMethod.NONE)
            or (
                row.delivery.state == State.UNCERTAIN
                and (row.delivery.needs_a_person or row.discrepancies)
                and self.tick >= (row.delivery.quarantine_until or 0)
            )
            for row in self.rows.values()
        )

    def _is_leased(self, row: Row) -> bool:
        # A lease that ends later than one can was given by a clock that has been set back since.
        return row.lease_until is not None and self.wall < row.lease_until <= self.wall + LEASE

    def _turn(self) -> None:
        choice = self.random.choice(["claim", "work", "work", "work", "sweep", "look", "expire"])
        if choice == "claim":
            self._claim()
        elif choice == "work":
            self._work()
        elif choice == "sweep":
            self._sweep()
        elif choice == "look":
            self._look()
        else:
            self._expire()

    # --- the dispatcher -----------------------------------------------------------------------------

    def _claim(self) -> None:
        ready = [
            number
            for number, row in self.rows.items()
            if row.live
            and row.delivery.state == State.APPROVED
            and row.not_before <= self.wall < row.delivery.approval_expires_at
            and row.checkpointed_at <= self.step
            and not self._is_leased(row)
            and self.tick >= self.hold_until
        ]
        if not ready or self.switched_off_at:
            return
        number = self.random.choice(ready)
        row = self.rows[number]
        attempt_id = f"{self.random.getrandbits(128):032x}"
        if self.faulty and self.chance(0.02):
            return  # crash before the commit of the claim: nothing happened
        if row.delivery.maybe_sent:
            self.resent += 1
        before = row.delivery
        self._commit(row, deciding.decide(before, Began(attempt_id=attempt_id)))
        row.lease_until = self.wall + LEASE
        steps = protocol.attempt(before, steps=row.steps)
        self.workers.append(Worker(row=number, attempt_id=attempt_id, steps=steps, ask=next(steps)))

    def _work(self) -> None:
        awake = [worker for worker in self.workers if worker.asleep_until <= self.step]
        if not awake:
            return
        worker = self.random.choice(awake)
        if self.faulty and self.chance(0.05):
            self.workers.remove(worker)  # killed here, whatever it was about to do
            return
        if self.faulty and self.chance(0.04):
            worker.asleep_until = self.step + self.random.choice([5, 20, 40, 120])
            return
        if worker.ending is not None:
            self.workers.remove(worker)
            self._record(worker, worker.ending)
            return
        if worker.ask is None:
            raise RuntimeError("a worker without a question has ended")
        reply = self._answer(worker, worker.ask)
        try:
            worker.ask = worker.steps.send(reply)
        except StopIteration as stop:
            worker.ask, worker.ending = None, stop.value

    def _answer(self, worker: Worker, ask: protocol.Ask) -> protocol.Reply:
        row = self.rows[worker.row]
        match ask:
            case protocol.GetToken():
                token = self.ehr.token()
                if isinstance(token, type):
                    return protocol.Reply(error=token)
                worker.token = token
                return protocol.Reply(value=True)
            case protocol.ReadChart():
                if worker.token is None:
                    raise RuntimeError("read without a token")
                return protocol.Reply(value="", error=self.ehr.read(worker.token))
            case protocol.Search():
                seen = self.ehr.find(intent=row.intent, method=row.delivery.find)
                return protocol.Reply(value=seen)
            case protocol.StillMine():
                worker.checked_at = self.step
                mine = (
                    row.delivery.state == State.SUBMITTED
                    and row.delivery.attempt_id == worker.attempt_id
                    and self._is_leased(row)
                )
                if not mine:
                    return protocol.Reply(value="lost")
                return protocol.Reply(value="switched-off" if self.switched_off_at else "")
            case protocol.Submit(step=step):
                if worker.token is None:
                    raise RuntimeError("sent without a token")
                if 0 < self.switched_off_at < worker.checked_at:
                    raise Violated("I7: looked at an engaged kill switch, and sent")
                error = self.ehr.submit(
                    token=worker.token,
                    intent=row.intent,
                    step=step,
                    body=f"{row.intent}/{step}",
                )
                return protocol.Reply(value=error is None, error=error)

    def _record(self, worker: Worker, ending: protocol.Ending) -> None:
        row = self.rows[worker.row]
        ended: AttemptEnded = ending.at(
            attempt_id=worker.attempt_id,
            steps=row.steps,
            at=self.wall,
            tick=self.tick,
            jitter=self.random.random(),
        )
        if ending.abandoned:
            return
        try:
            self._commit(row, deciding.decide(row.delivery, ended))
        except OutOfPlace:
            if ending.on_wire:
                known = row.delivery.attempt_id == worker.attempt_id and row.delivery.state in (
                    State.ACCEPTED,
                    State.RECONCILED,
                )
                stray = StrayAnswer(
                    attempt_id=worker.attempt_id,
                    acknowledged=ending.error is None,
                    known_entry=known,
                )
                self._commit(row, deciding.decide(row.delivery, stray))

    # --- the reconciler -----------------------------------------------------------------------------

    def _sweep(self) -> None:
        for row in self.rows.values():
            if row.delivery.state == State.SUBMITTED and not self._is_leased(row):
                event = LeaseLapsed(attempt_id=row.delivery.attempt_id, tick=self.tick)
                self._commit(row, deciding.decide(row.delivery, event))

    def _look(self) -> None:
        for looker in [one for one in self.lookers if one.asleep_until <= self.step]:
            self.lookers.remove(looker)
            row = self.rows[looker.row]
            if row.delivery.state == State.UNCERTAIN:
                looked = Looked(
                    seen=looker.seen, method=row.delivery.find, at=self.wall, tick=looker.tick
                )
                self._commit(row, deciding.decide(row.delivery, looked))
            elif row.delivery.state == State.ACCEPTED:
                back = ReadBack(seen=looker.seen, at=self.wall, tick=looker.tick)
                self._commit(row, deciding.decide(row.delivery, back))
        for number, row in self.rows.items():
            due = next_look(
                row.delivery,
                since=row.since,
                last_looked_at=row.looked_at,
                at=self.wall,
                staged_every=timedelta(),
            )
            if due is None or due > self.wall:
                continue
            row.looked_at = self.wall
            tick = self.tick
            seen = self.ehr.find(intent=row.intent, method=row.delivery.find)
            pause = self.random.choice([0, 0, 0, 30]) if self.faulty else 0
            self.lookers.append(Looker(number, tick, seen, asleep_until=self.step + pause))

    def _expire(self) -> None:
        for row in self.rows.values():
            if (
                row.delivery.state in (State.APPROVED, State.FAILED)
                and row.delivery.approval_expires_at <= self.wall
                and not self._is_leased(row)
            ):
                row.delivery = replace(row.delivery, state=State.EXPIRED)
                row.live = False

    # --- the database -------------------------------------------------------------------------------

    def _commit(self, row: Row, decision: Decision) -> None:
        before, after = row.delivery, decision.delivery
        if before.state == State.UNCERTAIN and after.state == State.APPROVED:
            waited = self.step - self.unknown_since[row.intent]
            if waited < QUARANTINE:
                raise Violated(f"I11: left UNCERTAIN for the outbox after {waited} ticks")
        if after.state == State.UNCERTAIN and before.state != State.UNCERTAIN:
            self.unknown_since[row.intent] = self.step
        if after.state != before.state:
            row.since = self.wall
        row.delivery = after
        for effect in decision.effects:
            match effect:
                case Requeue(not_before=moment):
                    row.not_before, row.lease_until = moment, None
                case Quarantine():
                    row.lease_until = None
                case CloseEntry():
                    row.live, row.lease_until = False, None
                case OpenDiscrepancy(kind=kind):
                    row.discrepancies.add(kind)
                case LookNow():
                    row.looked_at = None

    def _fail_over(self) -> None:
        """A stand-by takes over that had not seen the last commits: every row goes back in time.

        The rule: no sending for one quarantine; then the search before sending finds what was
        forgotten. What cannot be found by searching, or would expire unsearched, is held for a person.
        """
        if not self.backups:
            return
        self.rows = _copy(self.random.choice(self.backups))
        self.hold_until = self.tick + QUARANTINE
        for row in self.rows.values():
            unsearched = row.delivery.approval_expires_at < self.wall + timedelta(seconds=2000)
            if row.delivery.state == State.APPROVED and (unsearched or not row.delivery.may_resend):
                row.delivery = replace(row.delivery, state=State.HELD)
                row.live = False
            if row.delivery.state == State.UNCERTAIN:
                # Counted again from the beginning: what was forgotten may be younger than the row.
                self.unknown_since[row.intent] = self.step
                row.delivery = replace(row.delivery, quarantine_until=self.tick + QUARANTINE)

    # --- people -------------------------------------------------------------------------------------

    def _people_settle(self) -> None:
        """After the faults, a person looks into the EHR for each change that waits for one."""
        for row in self.rows.values():
            if row.delivery.state == State.UNCERTAIN and (
                row.delivery.needs_a_person or row.discrepancies
            ):
                there = bool(self.ehr.holds(row.intent))
                if there:
                    self.ehr.complete_by_hand(intent=row.intent, steps=row.steps)
                said = Attested(there=there, resend=False, at=self.wall, tick=self.tick)
                try:
                    self._commit(row, deciding.decide(row.delivery, said))
                except TooEarly:
                    raise Violated("I4: a person has to wait after every bound") from None

    # --- what must hold -----------------------------------------------------------------------------

    def _check_always(self) -> None:
        for number in self.rows:
            held = [effect for effect in self.ehr.effects if effect.intent == number]
            if len({effect.step for effect in held}) != len(held):
                raise Violated(f"I2: change {number} took effect more than once")
            if any(effect.body != f"{number}/{effect.step}" for effect in held):
                raise Violated(f"I1: change {number} was written with other bytes than approved")

    def _check_at_the_end(self) -> None:
        for number, row in self.rows.items():
            state, held = row.delivery.state, self.ehr.holds(number)
            if state in (State.ACCEPTED, State.RECONCILED) and held != list(range(row.steps)):
                raise Violated(f"I3: change {number} is {state} and has the effects {held}")
            if state in (*CLOSED, State.FAILED) and held:
                raise Violated(f"I3: change {number} is {state} and is in the chart")
            if state in (State.SUBMITTED, State.UNCERTAIN):
                raise Violated(f"I4: change {number} is stuck at {state}")
            if state == State.APPROVED:
                raise Violated(f"I4: change {number} is still waiting long after the last fault")


def _copy(rows: dict[int, Row]) -> dict[int, Row]:
    copied = {number: copy.copy(row) for number, row in rows.items()}
    for row in copied.values():
        row.discrepancies = set(row.discrepancies)
    return copied


def run(seed: int) -> Figures:
    """Play one history. Raises `Violated` when an invariant breaks; the same seed plays the same."""
    return History(seed).run()
