"""One seeded history: three changes of two tenants, everything that can go wrong, and what must hold.

The decisions are those of `intents.pipeline.delivery`; `claiming`, `dispatching`, `sweeping` and `people`
mirror what stands around it in production, `database` what is stored, `ehr` the other side. `invariants`
holds I1 to I12.

Assumed, as in production: an EHR keeps within the bounds of its connection, and a stand-by that takes over
has what people decided (it lags less than the undo time), though not what machines did since. No failover
meets a token that lives longer than its connection is configured for: the hold counts configured lives.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from intents.lifecycle import WRITTEN, State
from tests.simulation import dispatching, people, sweeping
from tests.simulation.database import Database, Row
from tests.simulation.ehr import Bounds, FaultyEhr, Order
from tests.simulation.invariants import PATIENCE, Truth, Violated
from tests.simulation.world import FAULTS_UNTIL, START, World

__all__ = ["Figures", "Violated", "run"]

# A history has some two hundred; one that never rests would go on for days of its time.
_MOST_EVENTS = 20_000

# class, find method, requests in the plan, finality
COMBINATIONS = (
    (RetryClass.S1, FindMethod.TARGET, 1, Finality.FILED),
    (RetryClass.S2, FindMethod.EXACT, 1, Finality.FILED),
    (RetryClass.S3, FindMethod.EXACT, 1, Finality.FILED),
    (RetryClass.S3, FindMethod.SCAN, 1, Finality.FILED_UNSIGNED),
    (RetryClass.S3, FindMethod.SCAN, 1, Finality.STAGED),
    (RetryClass.S3, FindMethod.TARGET, 1, Finality.FILED),
    (RetryClass.S3, FindMethod.KEY, 1, Finality.FILED),
    (RetryClass.S4, FindMethod.MATCH, 1, Finality.FILED),
    (RetryClass.S4, FindMethod.SCAN, 1, Finality.FILED),
    (RetryClass.S4, FindMethod.NONE, 1, Finality.STAGED),
    (RetryClass.S4, FindMethod.NONE, 2, Finality.FILED),
    (RetryClass.S4, FindMethod.MATCH, 2, Finality.FILED),
    (RetryClass.S5, FindMethod.EXACT, 1, Finality.FILED),
    (RetryClass.S6, FindMethod.EXACT, 1, Finality.SENT_FOR_ACTION),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one history came to. The last four are counted from the EHRs and the rows, not from the checks."""

    changes: int = 0
    written: int = 0
    to_people: int = 0
    resent: int = 0
    effects: int = 0
    duplicates: int = 0
    lost: int = 0
    unapproved: int = 0
    stuck: int = 0


def run(seed: int, *, tell: Callable[[str], None] | None = None) -> Figures:
    """Play one history. Raises `Violated` when an invariant breaks; the same seed plays the same.

    `tell` is given a line for whatever happens.
    """
    history = History(seed)
    history.world.tell = tell
    try:
        return history.play()
    except Violated:
        raise
    except Exception as error:
        raise Violated("core", f"no answer to what happened: {error!r}") from error


class History:
    """A world with its faults drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        trouble = random.choice((0.08, 0.3, 0.45, 0.7))
        self.ehrs = {}
        for connection in (0, 1):
            bounds = Bounds(
                token_life=random.choice((30, 60, 120)),
                processing=random.choice((30, 60)),
                index_lag=random.choice((5, 30, 60)),
            )
            self.ehrs[connection] = FaultyEhr(random, bounds, trouble)
        truth = Truth({number: ehr.bounds for number, ehr in self.ehrs.items()})
        self.world = world = World(
            random, Database(), truth, self.ehrs, kills=random.choice((0.01, 0.05))
        )
        world.sweeper, world.drainer = sweeping.sweep, dispatching.drain
        world.set_ticks(rate=random.choice((0.8, 1.0, 1.0, 1 / 0.9)))
        self.failover_at = random.random() * 900 + 60 if random.random() < 0.4 else 0.0
        if not self.failover_at and random.random() < 0.3:
            world.cached_life = random.choice((300.0, 900.0))
        truth.longest_token = max(
            [world.cached_life, *(float(each.bounds.token_life) for each in self.ehrs.values())]
        )
        self.decided_at = 0.0
        for number in range(3):
            self._add(number)
        for number in world.db.rows:
            delay = 0.0 if random.random() < 0.6 else random.random() * 600
            if self.failover_at and random.random() < 0.4:
                # So that its sending is among what the failover forgets.
                delay = max(0.0, self.forgotten[0] - random.random() * 5)
            self._after(delay, self._approve, number)
        self._plan_faults()

    # --- what there is ----------------------------------------------------------------------------------

    def _add(self, number: int) -> None:
        random, world = self.random, self.world
        rows = world.db.rows
        tenant, connection = ("north", 0) if number < 2 else ("south", 1)
        retry, find, steps, finality = COMBINATIONS[int(random.random() * len(COMBINATIONS))]
        kind, target = f"kind {number}", ""
        beside = number == 1 and random.random() < 0.6
        if beside and random.random() < 0.6:
            # Of the same kind, so of the same abilities, and for an update perhaps of the same entry.
            first = rows[0]
            retry, find, finality, steps = first.retry, first.find, first.finality, len(first.body)
            kind = first.kind
        if find == FindMethod.TARGET:
            target = rows[0].target if kind == "kind 0" and number else f"target {number}"
        ehr = self.ehrs[connection]
        row = Row(
            number=number,
            tenant=tenant,
            connection=connection,
            shard="one patient" if beside or number == 0 else f"patient {number}",
            kind=kind,
            target=target,
            retry=retry,
            find=find,
            finality=finality,
            reads_by_id=random.random() < 0.7,
            author="agent",
            people_needed=2 if random.random() < 0.35 else 1,
            body=[""] * steps,
            depends_on=0 if number == 1 and random.random() < 0.15 else None,
            quarantine_ticks=world.ticks(ehr.bounds.quarantine),
            lag_ticks=world.ticks(ehr.bounds.index_lag),
            created_at=START,
            since=START,
        )
        rows[number] = row
        world.truth.homes[number] = tenant, connection
        world.truth.states[number] = row.state
        world.truth.read_facts[number] = 0
        ehr.expect(
            Order(
                number,
                steps=steps,
                find=find,
                finality=finality,
                target=target,
                is_fenced=retry in (RetryClass.S1, RetryClass.S2) and random.random() < 0.7,
                is_marked=find in (FindMethod.EXACT, FindMethod.SCAN) or random.random() < 0.5,
            )
        )

    def _after(self, seconds: float, action: Callable[[int], None], argument: int = 0) -> None:
        """People's decisions do not fall into what a failover will forget."""
        begun, ended = self.forgotten
        when = self.world.now + seconds
        if begun <= when <= ended:
            seconds = ended - self.world.now + 1.0
        self.world.later(seconds, action, argument)  # type: ignore[arg-type]  # an action of one argument

    @property
    def forgotten(self) -> tuple[float, float]:
        if not self.failover_at:
            return -1.0, -1.0
        return self.failover_at - 30.0, self.failover_at + 0.5

    def _approve(self, number: int) -> None:
        life = self.random.choice((600.0, 1800.0, 86_400.0, 86_400.0))
        if not people.approve(self.world, number, life=life):
            self._after(60.0 if self.world.faulty else 900.0, self._approve, number)
            return
        if self.random.random() < 0.04:
            self._after(self.random.random() * 12, self._undo, number)

    def _undo(self, number: int) -> None:
        row = self.world.db.rows[number]
        if self.random.random() < 0.5:
            people.undo(self.world, row)
            self._after(30.0, self._approve, number)
        else:
            people.recall(self.world, row)

    # --- faults -------------------------------------------------------------------------------------------

    def _plan_faults(self) -> None:
        random, later = self.random, self.world.later
        if self.failover_at:
            later(self.failover_at - random.random() * 28.0, self._copy)
            later(self.failover_at, self._fail_over)
        for fault in (
            self._jump,
            self._jump,
            self._switch_off,
            self._database_down,
            self._scheduler_down,
            self._broker_down,
            self._colleague_edits,
            self._people_come,
            self._someone_accepts,
            self._rules_tighten,
            self._tamper,
            self._patient_moves,
        ):
            likely = 0.05 if fault in self._rare else 0.35
            if random.random() < likely:
                # Most of what is sent is sent early, and so is most of what goes wrong.
                self._after(random.random() ** 2 * FAULTS_UNTIL * 0.9, fault)
        later(FAULTS_UNTIL, self._faults_end)

    @property
    def _rare(self) -> tuple[Callable[[int], None], ...]:
        return self._rules_tighten, self._tamper, self._patient_moves

    def _copy(self, _: object) -> None:
        world = self.world
        truth = world.truth
        self.copied = world.db.copy(), world.tick, truth.unknown_since.copy(), truth.owners.copy()

    def _fail_over(self, _: object) -> None:
        """A stand-by takes over that had not seen the last commits: everything stored goes back in time."""
        world = self.world
        db, tick, unknown_since, owners = self.copied
        db.timeline = world.db.timeline
        world.timeline += 1
        world.db = db
        world.set_ticks(rate=world.tick_rate, value=tick)
        world.truth.failed_over(db, unknown_since=unknown_since, owners=owners, now=world.now)
        world.expect(self.random.random() * 20)

    def _jump(self, _: int) -> None:
        """The wall clock; of one that is set back the next tick is counted anew."""
        world = self.world
        by = self.random.random() * 1000 - 500
        world.jump += by
        if by < 0:
            world.truth.delayed -= by
            world.set_ticks(rate=world.tick_rate)
        world.expect(1.0)

    def _switch_off(self, _: int) -> None:
        scope = self.random.choice(
            ("deployment", "tenant north", "tenant south", "connection 0", "kind kind 0")
        )
        self.world.switch_off(scope, self.random.choice((60.0, 600.0)))

    def _database_down(self, _: int) -> None:
        seconds = self.random.choice((5.0, 60.0, 300.0))
        self.world.database_down_until = self.world.now + seconds
        self.world.truth.delayed += seconds

    def _scheduler_down(self, _: int) -> None:
        world = self.world
        seconds = self.random.choice((60.0, 600.0))
        world.scheduler_down_until = world.now + seconds
        world.truth.delayed += seconds
        rate = world.tick_rate
        if rate:
            world.set_ticks(rate=0.0)
            world.later(seconds, self._tick_again, rate)

    def _tick_again(self, rate: object) -> None:
        self.world.set_ticks(rate=float(str(rate)))

    def _broker_down(self, _: int) -> None:
        self.world.broker_down_until = self.world.now + 600.0

    def _colleague_edits(self, _: int) -> None:
        for ehr in self.ehrs.values():
            for key in ehr.targets:
                mine = [each.number for each in ehr.orders.values() if each.target == key]
                equal_to = self.random.choice(mine) if self.world.chance(0.2) else None
                ehr.edit(key, equal_to=equal_to, now=self.world.now)

    def _someone_accepts(self, _: int) -> None:
        for ehr in self.ehrs.values():
            ehr.take_up(self.world.now)

    def _rules_tighten(self, _: int) -> None:
        code = self.random.choice(
            ("rules-tightened", "approver-suspended", "agent-suspended", "connection-changed")
        )
        number = int(self.random.random() * 3)
        self.world.db.rows[number].stopped_by = code
        self.world.truth.forbidden.setdefault(number, self.world.now)

    def _tamper(self, _: int) -> None:
        """Somebody with access to the database changes what was approved, or by whom."""
        row = self.world.db.rows[int(self.random.random() * 3)]
        if self.world.chance(0.5):
            row.body = [f"{part}, altered" for part in row.body]
        elif row.people_needed > 1 and row.approvers:
            row.approvers = row.approvers[-1:] * row.people_needed
            self.world.truth.approved[row.number, row.round].robbed_at = self.world.now

    def _patient_moves(self, _: int) -> None:
        code = self.random.choice(("patient-moved", "encounter-changed", "neighbourhood-changed"))
        ehr = self.ehrs[int(self.random.random() * 2)]
        ehr.moved, ehr.moved_at = code, self.world.now

    def _people_come(self, _: object) -> None:
        if self.world.now >= self.world.database_down_until:
            people.visit(self.world)

    # --- the run ------------------------------------------------------------------------------------------

    def _faults_end(self, _: object) -> None:
        world = self.world
        for ehr in self.ehrs.values():
            ehr.trouble = 0.0
        world.set_ticks(rate=1.0)
        world.database_down_until = world.scheduler_down_until = world.broker_down_until = 0.0
        world.expect(1.0)
        away = 90_000.0 if self.random.random() < 0.05 else 120.0 + self.random.random() * 1200
        world.later(away, self._last_visits)

    def _last_visits(self, _: object) -> None:
        """From now on people come until nothing is left to do."""
        self._people_come(None)
        self._someone_accepts(0)
        if not self._is_settled():
            self.world.later(900.0, self._last_visits)
            self.world.expect(1.0)

    def _is_settled(self) -> bool:
        if any(ehr.late for ehr in self.ehrs.values()) or self.world.now < FAULTS_UNTIL:
            return False
        return all(self._rests(row) for row in self.world.db.rows.values())

    def _rests(self, row: Row) -> bool:
        if row.state in (State.APPROVED, State.SUBMITTED, State.UNCERTAIN, State.FAILED):
            return False
        if row.state == State.PENDING_APPROVAL:
            return row.round > 0
        return row.state != State.ACCEPTED

    def play(self) -> Figures:
        world = self.world
        queue = world.queue
        pop = heapq.heappop
        limit = FAULTS_UNTIL + PATIENCE
        for _ in range(_MOST_EVENTS):
            if not queue:
                break
            when, _serial, action, argument = pop(queue)
            if when > limit:
                break
            world.now = when
            if world.tell is not None:
                self._tell(action)
            action(argument)
            if when > FAULTS_UNTIL and action == self._last_visits and self._is_settled():
                break
        else:
            raise Violated("I4", "it goes round in circles and comes to no end")
        world.truth.check_work_list(world.db, now=world.now)
        world.truth.check_log(world.db)
        world.truth.check_end(world.db, self.ehrs, now=world.now)
        return self._figures()

    def _tell(self, action: Callable[..., None]) -> None:
        if getattr(action, "__self__", None) is self:
            self.world.note(f"* {action.__name__.strip('_').replace('_', ' ')}")

    def _figures(self) -> Figures:
        world = self.world
        rows = world.db.rows
        held = {
            number: [each for ehr in self.ehrs.values() for each in ehr.effects.get(number, ())]
            for number in rows
        }
        approved = {
            (number, body) for (number, _), one in world.truth.approved.items() for body in one.body
        }
        return Figures(
            changes=len(rows),
            written=sum(1 for row in rows.values() if row.state in WRITTEN),
            to_people=sum(
                1 for row in rows.values() if row.state == State.HELD or self._was_settled(row)
            ),
            resent=world.resent,
            effects=sum(1 for each in held.values() for one in each if not one.by_hand),
            duplicates=sum(
                1 for each in held.values() if len({one.step for one in each}) < len(each)
            ),
            lost=sum(
                1
                for number, row in rows.items()
                if row.state in WRITTEN and not held[number] and not self._equal(number)
            ),
            unapproved=sum(
                1
                for each in held.values()
                for one in each
                if not one.by_hand and (one.number, one.body) not in approved
            ),
            stuck=sum(
                1
                for row in rows.values()
                if row.state in (State.APPROVED, State.SUBMITTED, State.UNCERTAIN)
            ),
        )

    def _equal(self, number: int) -> bool:
        return any(ehr.was_equal(number) for ehr in self.ehrs.values())

    def _was_settled(self, row: Row) -> bool:
        return any(fact.phase == "ATTESTED" for fact in row.facts)
