"""Time, chance, processes and the one database of a history.

True time is in seconds and only moves forward. The portal sees two clocks of it: the wall clock, which
jumps by minutes in both directions, and ticks, which stand still at times and may come a tenth too early.
Nothing here knows what the processes do.
"""

import heapq
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from ehr_adapters import errors
from intents.lifecycle import State
from intents.pipeline.delivery import owning
from tests.simulation.database import Database, Row
from tests.simulation.ehr import FaultyEhr, Token
from tests.simulation.invariants import Truth, scopes

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
FAULTS_UNTIL = 1500.0
# As `intents.models.ledger` has it, which a test compares: this harness loads no ORM.
SHORTEST_TICK = 0.9
# A worker that is stopped wakes within its lease, or long after every token of its time has died.
SLEEPS = (40.0, 150.0, 300.0, 600.0, 1200.0)

Process = Generator[str, None, None]


class DatabaseDown(Exception):
    """The database does not answer; whoever asked it has come to nothing."""


@dataclass(slots=True)
class World:
    random: Random
    db: Database
    truth: Truth
    ehrs: dict[int, FaultyEhr]
    kills: float
    now: float = 0.0
    jump: float = 0.0
    timeline: int = 1
    tick_rate: float = 1.0
    tick_base: float = 0.0
    tick_value: int = 0
    database_down_until: float = 0.0
    scheduler_down_until: float = 0.0
    broker_down_until: float = 0.0
    switches: dict[str, int] = field(default_factory=dict)
    cached: dict[int, tuple[Token, datetime]] = field(default_factory=dict)
    cached_life: float = 0.0
    looking: set[int] = field(default_factory=set)
    queue: list[tuple[float, int, Callable[..., None], object]] = field(default_factory=list)
    serial: int = 0
    sweep_at: float = math.inf
    idle: int = 0
    resent: int = 0
    sweeper: Callable[["World"], float] | None = None
    drainer: Callable[["World"], Process] | None = None
    # what is told of this history while it is played
    tell: Callable[[str], None] | None = None

    # --- clocks -------------------------------------------------------------------------------------------

    @property
    def faulty(self) -> bool:
        return self.now < FAULTS_UNTIL

    @property
    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now + self.jump)

    @property
    def tick(self) -> int:
        return self.tick_value + int((self.now - self.tick_base) * self.tick_rate)

    def set_ticks(self, *, rate: float, value: int | None = None) -> None:
        """From now on ticks come at another rate, the next one a whole period from now."""
        self.tick_value = self.tick if value is None else value
        self.tick_base, self.tick_rate = self.now, rate

    def ticks(self, seconds: float) -> int:
        return owning.ticks_of(seconds, shortest=SHORTEST_TICK)

    # --- chance -------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def new_attempt_id(self, row: Row) -> str:
        """Random, and nothing of the row in it: a failover would bring a counted one back."""
        return f"{self.random.getrandbits(64):x}"

    # --- the queue of what happens ------------------------------------------------------------------------

    def later(self, seconds: float, action: Callable[..., None], argument: object = None) -> None:
        self.serial += 1
        heapq.heappush(self.queue, (self.now + seconds, self.serial, action, argument))

    def start(self, process: Process) -> None:
        self._step(process)

    def _step(self, process: Process) -> None:
        try:
            place = next(process)
        except StopIteration:
            return
        except DatabaseDown:
            return
        delay = self.random.random() * 4.0
        if self.now < FAULTS_UNTIL:
            dice = self.random.random()
            if dice < self.kills:
                self.note(f"killed at: {place}")
                process.close()
                return
            if dice < 2 * self.kills:
                delay = SLEEPS[int(self.random.random() * len(SLEEPS))]
        self.later(delay, self._step, process)

    def need_database(self) -> None:
        if self.now < self.database_down_until:
            raise DatabaseDown

    # --- waking -------------------------------------------------------------------------------------------

    def committed(self, row: Row | None = None) -> None:
        """A transaction is through: check it, and wake whom it concerns, unless the broker loses that."""
        if self.tell is not None:
            self._tell_events()
        self.truth.check_commit(self.db, now=self.now)
        self.idle = 0
        self.expect(2.0)
        if self.drainer is None or not self._is_anything_ready():
            return
        if self.now < self.broker_down_until or (self.faulty and self.chance(0.08)):
            return
        self.later(self.random.random(), self._drain)
        if self.faulty and self.chance(0.12):
            self.later(self.random.random() * 20.0, self._drain)

    def note(self, text: str) -> None:
        """A line for whoever replays this history; its clocks first."""
        if self.tell is not None:
            self.tell(f"{self.now:9.1f} s  wall {self.jump:+5.0f}  tick {self.tick:5d}  {text}")

    def _tell_events(self) -> None:
        for event in self.db.log.events[self.truth.read_events :]:
            row = self.db.rows[event.number]
            moved = event.after if event.before is None else f"{event.before} -> {event.after}"
            self.note(
                f"change {event.number} {moved}: {event.reason}; attempt {row.attempt_id[:4]}, "
                f"quarantine until {row.quarantine_until}, differs {[*row.open]}"
            )

    def _is_anything_ready(self) -> bool:
        """Waking dispatch for nothing would be the same history, only slower."""
        soon = self.wall + timedelta(seconds=1)
        for row in self.db.rows.values():
            if (
                row.state == State.APPROVED
                and row.not_before is not None
                and row.not_before <= soon
            ):
                return True
        return False

    def _drain(self, _: object) -> None:
        if self.drainer is not None:
            self.start(self.drainer(self))

    def expect(self, seconds: float) -> None:
        """There will be something for a sweep to do."""
        when = self.now + seconds
        if when < self.sweep_at:
            self.sweep_at = when
            self.later(seconds, self._sweep, when)

    def _sweep(self, planned: object) -> None:
        if planned != self.sweep_at or self.sweeper is None:
            return
        self.sweep_at = math.inf
        if self.now < self.scheduler_down_until or self.now < self.database_down_until:
            self.expect(max(self.scheduler_down_until, self.database_down_until) - self.now + 1.0)
            return
        self.idle += 1
        self.expect(max(2.0, self.sweeper(self)))

    @property
    def poll(self) -> timedelta:
        """How long to wait for what has no moment of its own: longer the less happens."""
        return timedelta(seconds=min(5.0 * 1.6 ** min(self.idle, 12), 600.0))

    def wake_sequencer(self) -> None:
        self.later(self.random.random() * 3.0, self._sequence)

    def _sequence(self, _: object) -> None:
        if self.now < self.database_down_until:
            return
        if self.db.log.sequence():
            self.expect(1.0)

    def has_taken_over(self) -> bool:
        """`Tick.has_taken_over`: another server is the database now, and dispatch has not noticed yet."""
        return self.db.timeline != self.timeline

    # --- what the portal asks its surroundings ------------------------------------------------------------

    def is_stopped(self, row: Row) -> bool:
        """Is a switch engaged that stops this change?"""
        return bool(self.switches) and any(scope in self.switches for scope in scopes(row))

    def authenticate(self, connection: int) -> tuple[Token, owning.TokenLife]:
        """A token of its own for the attempt; where the connection cannot, the one that it has."""
        ehr = self.ehrs[connection]
        if self.random.random() < ehr.trouble * 0.3:
            raise errors.TokenUnavailable
        if not self.cached_life:
            life = float(ehr.bounds.token_life)
            token = Token(self.now + life)
            return token, owning.TokenLife(self.wall + timedelta(seconds=life), life)
        held = self.cached.get(connection)
        if held is None or held[0].expires - self.now < 30.0:
            token = Token(self.now + self.cached_life)
            held = self.cached[connection] = token, self.wall + timedelta(seconds=self.cached_life)
        return held[0], owning.TokenLife(held[1], held[0].expires - self.now)

    # --- switches -------------------------------------------------------------------------------------------

    def switch_off(self, scope: str, seconds: float) -> None:
        self.switches[scope] = self.switches.get(scope, 0) + 1
        self.truth.switches.append((scope, self.now, self.now + seconds))
        self.later(seconds, self._switch_on, scope)

    def _switch_on(self, scope: object) -> None:
        left = self.switches[str(scope)] - 1
        if left:
            self.switches[str(scope)] = left
        else:
            del self.switches[str(scope)]
            self.expect(1.0)
