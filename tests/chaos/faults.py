"""What is done to the processes, the broker, the database and the EHR. A fault counts once it has hit."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
import redis
from kombu.exceptions import KombuError

from tests.chaos import pace
from tests.chaos.nursery import Member
from tests.chaos.planted import BUGS
from tests.chaos.scene import Scene
from tests.ehr_adapters.practice import Practice

# Every named place of the delivery (`fault_point`); a test compares them with the code.
PLACES = (
    "before_claim", "before_claim_commit", "after_claim", "before_token", "before_reading", "before_search",
    "before_check", "before_send", "after_send", "before_record", "before_record_commit", "after_record",
    "after_look",
)  # fmt: skip
_STAFF = {"worker": 4, "screener": 1, "sequencer": 1, "beat": 1}
# Who sleeps is replaced meanwhile, up to this many of a role.
_MOST = {"worker": 8, "screener": 2, "sequencer": 2, "beat": 2}
# Whom a signal goes to: what sends is hit most.
_AIM = {"worker": 10.0, "screener": 1.0, "sequencer": 2.0, "beat": 1.0}
# One action in so many is of the kinds that take everything down for a moment, each in its turn.
_RARE = 30
_LONGEST_PAUSE = 0.15

# What the practice EHR does to a write. Late filing and late indexing stay within the bounds that the
# connection is configured for: beyond them nothing is promised.
_EHR_WRITES: tuple[dict[str, object], ...] = (
    {"fault": "timeout-after-commit", "ms": 6000},
    {"fault": "timeout-before-commit", "ms": 6000},
    {"fault": "late-commit", "after_ms": 2500, "answer": "drop"},
    {"fault": "late-commit", "after_ms": 4000, "answer": "error"},
    {"fault": "late-commit", "after_ms": 3000, "answer": "timeout", "ms": 6000},
    {"fault": "error-after-commit"},
    {"fault": "error-before-commit"},
    {"fault": "drop-after-commit"},
    {"fault": "drop-before-commit"},
    {"fault": "truncated-body"},
    {"fault": "rate-limited", "retry_after": 1},
    {"fault": "unavailable"},
    {"fault": "expired-token"},
    {"fault": "search-lag", "after_ms": 600},
    {"fault": "no-location"},
    {"fault": "html-reply"},
    {"fault": "empty-reply"},
    {"fault": "slow", "ms": 1200},
)
_EHR_OTHERS: tuple[dict[str, object], ...] = (
    {"fault": "drop-before-commit", "method": "GET"},
    {"fault": "timeout-before-commit", "method": "GET", "ms": 6000},
    {"fault": "unavailable", "method": "GET"},
    {"fault": "error-before-commit", "method": "POST", "path": "oauth2/token"},
    {"fault": "truncated-body", "method": "GET"},
)


# A worker that starts while the database is down refuses to work; more than so many is no chaos of ours.
_MOST_LEAVE = 60
_OF_EHR = "EHR: "
# One fault; True once it has hit.
Action = Callable[[], bool]


@dataclass
class Chaos:
    """A seeded schedule over one scene. `hits` counts, by name, what really happened to something."""

    scene: Scene
    seed: int
    bug: str = ""
    hits: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        # Not the order of the kinds, which is the seed's alone: whom they meet depends on who is alive.
        self._random, self._elsewhere = random.Random(~self.seed), random.Random(self.seed + 1)
        self._ehr: Practice = self.scene.ehr.another_client()
        self._left = 0
        self._wake_at: dict[int, float] = {}
        self._expected_deaths: set[int] = set()
        self._noticed: set[int] = set()
        self._lock = threading.Lock()

    # --- staff ----------------------------------------------------------------------------------------

    def _members(self, role: str = "", *, awake: bool = True) -> list[Member]:
        return [
            member
            for member in list(self.scene.nursery.members.values())
            if member.alive and (not role or member.role == role) and not (awake and member.stopped)
        ]

    def staff(self, *, armed: bool = True) -> None:
        """Replace who has died; notice who met a named place; wake whoever has slept long enough."""
        for member in list(self.scene.nursery.members.values()):
            self._notice(member)
        soon = time.monotonic() + 2
        for role, wanted in _STAFF.items():
            present = self._members(role, awake=False)
            at_hand = sum(1 for each in present if self._wake_at.get(each.pid, 0) < soon)
            for _ in range(min(wanted - at_hand, _MOST[role] - len(present))):
                order = self._trap(role) if armed else {"bug": self.bug} if self.bug else {}
                self.scene.nursery.bear(role, **order)

    def _trap(self, role: str) -> dict[str, object]:
        """Two workers in three meet a signal at a named place; a planted bug names where it hurts."""
        planted: dict[str, object] = {"bug": self.bug} if self.bug else {}
        if role != "worker" or self._random.random() < 0.34:
            return planted
        if self.bug and (place := BUGS[self.bug].place):
            return planted | {"place": place, "signal": "SIGKILL", "after": 0}
        return planted | {
            "place": self._random.choice(PLACES),
            "signal": self._random.choice(["SIGKILL", "SIGKILL", "SIGSTOP"]),
            "after": self._random.choice([0, 0, 1, 3]),
        }

    def _notice(self, member: Member) -> None:
        place = member.order.get("place")
        if member.stopped and member.pid not in self._wake_at:
            # Nobody but the place itself stops a member without a date for its waking.
            self._wake_at[member.pid] = time.monotonic() + self._nap()
            self._hit(f"stopped at {place}")
        if not member.alive and member.pid not in self._noticed:
            self._noticed.add(member.pid)
            self._wake_at.pop(member.pid, None)
            if member.pid in self._expected_deaths:
                return
            if member.code == -signal.SIGKILL and place and member.order["signal"] == "SIGKILL":
                self._hit(f"killed at {place}")
            else:
                self.misses[f"{member.role} ended by itself ({member.code})"] += 1
                self._left += 1
                if self._left > _MOST_LEAVE:
                    raise RuntimeError("The workers end by themselves; members.log says why.")
        due = self._wake_at.get(member.pid)
        if due is not None and member.alive and time.monotonic() >= due:
            del self._wake_at[member.pid]
            self.scene.nursery.signal(member, signal.SIGCONT)

    def _nap(self) -> float:
        """Mostly moments; now and then beyond the lease, or beyond lease and quarantine."""
        lease = pace.LEASE.total_seconds()
        return self._random.choices(
            [self._random.uniform(0.1, 1.5), lease + 2, lease + pace.QUARANTINE + 4], [10, 1, 1]
        )[0]

    def _hit(self, name: str, times: int = 1) -> None:
        with self._lock:
            self.hits[name] += times

    # --- the faults -----------------------------------------------------------------------------------

    def _target(self) -> Member | None:
        """Somebody at work, mostly of those who send."""
        members = [each for each in self._members() if each.pid not in self._wake_at]
        if not members:
            return None
        return self._random.choices(members, [_AIM[each.role] for each in members])[0]

    def _kill(self) -> bool:
        member = self._target()
        if member is None:
            return False
        self._expected_deaths.add(member.pid)
        done = self.scene.nursery.signal(member, signal.SIGKILL)
        if done:
            self._hit(f"SIGKILL of {member.role}")
        return done

    def _stop(self) -> bool:
        member = self._target()
        if member is None:
            return False
        self._wake_at[member.pid] = time.monotonic() + self._nap()
        done = self.scene.nursery.signal(member, signal.SIGSTOP)
        if done:
            self._hit(f"SIGSTOP of {member.role}")
        return done

    def _cut_database(self) -> bool:
        done = self.scene.database.cut(self._elsewhere.randrange)
        if done:
            self._hit("database connection cut")
        return done

    def _restart_database(self) -> bool:
        how = self._elsewhere.choice(["immediate", "fast"])
        done = self.scene.database.restart(how)
        if done:
            self._hit(f"database restart ({how})")
        return done

    def _lose_messages(self) -> bool:
        lost = self.scene.broker.lose_messages()
        if lost:
            self._hit("broker lost its messages")
        return bool(lost)

    def _cut_broker(self) -> bool:
        cut = self.scene.broker.cut()
        if cut:
            self._hit("broker connections cut")
        return bool(cut)

    def _restart_broker(self) -> bool:
        done = self.scene.broker.restart()
        if done:
            self._hit("broker killed")
        return done

    def _restart_ehr(self) -> bool:
        done = self.scene.ehr.restart()
        if done:
            self._hit("EHR killed")
        return done

    def _spoil_ehr(self) -> bool:
        """Script one fault of the EHR; it counts when a request has met it."""
        self.count_strikes()
        scripted = self._ehr.control("GET", "faults")["faults"]
        waiting = sum(row["times"] or 0 for row in scripted)
        if waiting >= 4:
            return False
        usual = {"method": "POST", "path": "DocumentReference"}
        pool = _EHR_WRITES if self._elsewhere.random() < 0.8 else _EHR_OTHERS
        order = usual | self._elsewhere.choice(pool)
        self._ehr.control("POST", "faults", {"vendor": "*", "times": 1, **order})
        return True

    def count_strikes(self) -> None:
        """Take over what the EHR says has struck since the last look."""
        for row in self._ehr.control("GET", "faults")["faults"]:
            if row["applied"]:
                self._hit(f"{_OF_EHR}{row['fault']}", row["applied"])
                self._ehr.control("DELETE", "faults", None, id=row["id"])

    def _fill_disk(self) -> bool:
        disk = self.scene.database.disk
        if not disk.available:
            return False
        before = self.scene.database.refusals()
        disk.fill()
        try:
            end = time.monotonic() + 10
            while self.scene.database.refusals() == before and time.monotonic() < end:
                time.sleep(0.2)
            refused = self.scene.database.refusals() > before
            if refused:
                time.sleep(self._elsewhere.uniform(0.2, 1.5))
                self._hit("audit table’s disk full")
        finally:
            disk.clear()
        return refused

    def _signals(self) -> Iterator[Action]:
        """What meets single processes. The seed alone decides the order."""
        plan = random.Random(f"{self.seed} signals")
        while True:
            yield plan.choices([self._stop, self._kill], [22, 10])[0]

    def _outages(self) -> Iterator[Action]:
        """What meets servers, connections and requests; the rare kinds come round in turn."""
        plan = random.Random(f"{self.seed} outages")
        rare = [
            self._restart_broker, self._restart_database, self._restart_ehr, self._fill_disk,
            self._cut_broker,
        ]  # fmt: skip
        deck: list[Action] = []
        while True:
            if plan.randrange(_RARE) == 0:
                if not deck:
                    deck = plan.sample(rare, len(rare))
                yield deck.pop()
            else:
                usual = [self._cut_database, self._spoil_ehr, self._lose_messages]
                yield plan.choices(usual, [8, 14, 8])[0]

    def run(self, *, seconds: float, faults: int | None) -> None:
        """Until the time is up, or so many faults of processes have hit."""
        end = time.monotonic() + seconds

        def over() -> bool:
            return time.monotonic() >= end or bool(faults and self.of_processes() >= faults)

        self.staff()
        with ThreadPoolExecutor(1) as second:
            outages = second.submit(self._go_through, self._outages(), over, lambda: None)
            self._go_through(self._signals(), over, self.staff)
            outages.result(timeout=120)

    def _go_through(
        self, actions: Iterator[Action], over: Callable[[], bool], between: Callable[[], None]
    ) -> None:
        pause = random.Random(self.seed)
        for action in actions:
            if over():
                return
            name = action.__name__.strip("_")
            try:
                if not action():
                    self._miss(name)
            except (
                OSError,
                AssertionError,
                KombuError,
                psycopg.Error,
                redis.RedisError,
            ) as trouble:
                # Its target was down for another fault.
                self._miss(f"{name}: {type(trouble).__name__}")
            between()
            time.sleep(pause.uniform(0.0, _LONGEST_PAUSE))

    def _miss(self, name: str) -> None:
        with self._lock:
            self.misses[name] += 1

    def of_processes(self) -> int:
        """How many faults have hit a process, a server, a connection or a disk: all but what the EHR did to requests."""
        return sum(times for name, times in self.hits.items() if not name.startswith(_OF_EHR))

    def cease(self) -> None:
        """No more faults: wake the stopped, replace the trapped, clear the EHR and the disk."""
        self.scene.database.disk.clear()
        self.count_strikes()
        self._ehr.clear_faults()
        for member in self._members(awake=False):
            if member.stopped:
                self.scene.nursery.signal(member, signal.SIGCONT)
        for role, wanted in _STAFF.items():
            # The trapped go first, then who is one too many: two beats give every order twice.
            present = sorted(self._members(role), key=lambda each: not each.order.get("place"))
            trapped = sum(1 for each in present if each.order.get("place"))
            for member in present[: max(trapped, len(present) - wanted)]:
                self._expected_deaths.add(member.pid)
                self.scene.nursery.signal(member, signal.SIGKILL)
        self.staff(armed=False)
