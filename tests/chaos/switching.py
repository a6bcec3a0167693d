"""How fast a kill switch stops writing, under load: from its commit to the last start of a write.

The commit's moment is taken in the process that engages it, directly after the database has said that
it committed; a write starts when the practice EHR begins to read it. Both clocks are this machine's.
"""

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.chaos.scene import Scene, scene

if TYPE_CHECKING:
    from intents.governance.models import KillSwitch

MEDIAN_SECONDS, WORST_SECONDS = 0.5, 2.0
# A late write would be seen for so long after the commit.
_WATCH = 2.5
_STAFF = ("worker", "worker", "worker", "screener", "sequencer", "beat")
_READY_SECONDS = 120.0
_SETTLE_SECONDS = 60.0


@dataclass
class Trials:
    """What was measured, in seconds, and what went wrong."""

    latencies: list[float] = field(default_factory=list)
    settling: list[float] = field(default_factory=list)
    in_flight: int = 0
    late: int = 0
    held: int = 0
    targets: Counter[str] = field(default_factory=Counter)
    unlisted: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def hold(self) -> bool:
        return (
            statistics.median(self.latencies) < MEDIAN_SECONDS
            and max(self.latencies) < WORST_SECONDS
            and not self.unlisted
            and not self.unsettled
        )

    def figures(self) -> str:
        kinds = ", ".join(f"{name.lower()} {times}" for name, times in self.targets.items())
        return (
            f"kill switch: {len(self.latencies)} trials under load ({kinds}); from the commit to the last "
            f"start of a write: median {statistics.median(self.latencies):.3f} s, worst "
            f"{max(self.latencies):.3f} s, {self.late} trials had a write after the commit, each was watched "
            f"for {_WATCH:g} s or longer while {self.held} approved changes waited; {self.in_flight} writes in flight, {len(self.unlisted)} not listed, "
            f"{len(self.unsettled)} not settled within {_SETTLE_SECONDS:g} s (longest {max(self.settling):.1f} s)"
        )


def run_trials(*, database: str, broker: str, trials: int, seed: int, bug: str = "") -> int:
    """Exit code 0 only when the bounds hold in every trial, and the judge finds nothing afterwards."""
    with scene(database=database, broker=broker) as stage:
        from django.db import connections

        from tests.chaos.judge import judge
        from tests.chaos.load import Load, settled

        load = Load(stage.clinic, seed=seed, unsearchable=1_000_000)
        load.start()
        load.stock(approvals=8, seconds=60)
        order = {"bug": bug} if bug else {}
        stage.staff(*_STAFF, **order)
        office = _Office(stage)
        found = Trials()
        chance = random.Random(seed)
        for number in range(trials):
            _one(stage, office, found, list(office.targets)[number % len(office.targets)], chance)
            if number % 10 == 9:
                print(f"after {number + 1}: {found.figures()}", flush=True)
        load.stop()
        all_settled = settled(seconds=240, keep=lambda: None)
        stage.nursery.dismiss()
        verdict = judge(stage.ehr.practice, acknowledged=load.approved)
        connections.close_all()
        for line in chain(found.unlisted, found.unsettled, *verdict.wrong.values()):
            print(line)
        again = f"python -m tests.chaos --switch --trials {trials} --database {database} --broker {broker} --seed {seed}"
        print(f"{found.figures()}; afterwards {verdict.figures()}. Again: {again}", flush=True)
        if bug:
            print(f"The planted bug {bug} was {'NOT caught' if found.hold else 'caught'}.")
            return 1 if found.hold else 0
        return 0 if found.hold and verdict.holds and all_settled else 1


class _Office:
    """Two administrators of the deployment, and what they can stop."""

    def __init__(self, stage: Scene) -> None:
        from django.db import transaction
        from django.test import Client

        from intents.governance.models import SwitchTarget, User

        with transaction.atomic():
            self._people = [
                User.objects.create_superuser(f"{name}@example.org", "x" * 24, name=name)
                for name in ("Root One", "Root Two")
            ]
        self._browser = Client(SERVER_NAME="127.0.0.1")
        self._browser.force_login(
            self._people[0], backend="django.contrib.auth.backends.ModelBackend"
        )
        clinic = stage.clinic
        self.targets: dict[str, dict[str, Any]] = {
            SwitchTarget.CONNECTION: {"connection": clinic.connection("generic")},
            SwitchTarget.TENANT: {"tenant": clinic.tenant},
            SwitchTarget.AGENT: {"agent": clinic.agent},
            SwitchTarget.KIND: {"tenant": clinic.tenant, "change_kind": "note"},
            SwitchTarget.DEPLOYMENT: {},
        }

    def engage(self, target: str) -> "tuple[KillSwitch, datetime]":
        """The switch, and the moment directly after its commit."""
        from django.db import transaction
        from django.utils import timezone

        from intents.governance import switches
        from intents.governance.roles import actor_of_user

        committed: list[datetime] = []
        with transaction.atomic(durable=True):
            switch = switches.engage(
                target=target,
                reason="trial",
                actor=actor_of_user(self._people[0]),
                at=timezone.now(),
                **self.targets[target],
            )
            transaction.on_commit(lambda: committed.append(timezone.now()))
        return switch, committed[0]

    def listed(self, switch: "KillSwitch") -> str:
        """The page of the switch, which lists what was in flight."""
        from django.urls import reverse

        page = self._browser.get(reverse("admin:governance_killswitch_change", args=[switch.pk]))
        assert page.status_code == 200, page.status_code
        return str(page.content.decode())

    def release(self, switch: "KillSwitch") -> None:
        from django.utils import timezone

        from intents.governance import switches

        first, second = self._people
        switches.ask_release(switch_id=switch.pk, user=first, membership=None, at=timezone.now())
        switches.release(switch_id=switch.pk, user=second, membership=None, at=timezone.now())


def _wait(ready: Callable[[], bool], *, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.15)
    return True


def _writes(stage: Scene, *, after: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = stage.ehr.practice.control(
            "GET", "log", None, vendor="generic", method="POST", path="^DocumentReference$",
            after=found[-1]["id"] if found else after, limit=200,
        )["entries"]  # fmt: skip
        if not page:
            return found
        found += page


def _states(*states: str) -> set[UUID]:
    from intents.models import Intent

    return set(Intent.objects.filter(state__in=states).values_list("pk", flat=True))


def _one(stage: Scene, office: _Office, found: Trials, target: str, chance: random.Random) -> None:
    from intents.lifecycle import State

    newest = stage.ehr.practice.control("GET", "log", None, limit=1)["newest"]
    # Load means: something was written just now, and something is on its way.
    if not _wait(
        lambda: (
            bool(_writes(stage, after=newest)) and bool(_states(State.APPROVED, State.SUBMITTED))
        ),
        seconds=_READY_SECONDS,
    ):
        raise RuntimeError("Nothing was being written; there is nothing to stop.")
    time.sleep(chance.uniform(0.0, 0.4))
    switch, committed = office.engage(target)
    engaged = time.monotonic()
    in_flight = _states(State.SUBMITTED, State.UNCERTAIN)
    page = office.listed(switch)
    gone = in_flight - _states(State.SUBMITTED, State.UNCERTAIN)
    found.targets[str(target)] += 1
    found.in_flight += len(in_flight)
    found.unlisted += [f"{pk}: not listed" for pk in in_flight - gone if str(pk) not in page]
    # Whoever was told to stop goes back to the queue; whoever had sent is settled while all is stopped.
    still = lambda: in_flight & _states(State.SUBMITTED, State.UNCERTAIN)  # noqa: E731 - one line, used at once
    if not _wait(lambda: not still(), seconds=_SETTLE_SECONDS):
        found.unsettled += [f"{pk}: not settled" for pk in still()]
    found.settling.append(time.monotonic() - engaged)
    time.sleep(max(0.0, _WATCH - (time.monotonic() - engaged)))
    # Nothing was written because nothing might be, not because there was nothing to write.
    waiting = _wait(lambda: bool(_states(State.APPROVED)), seconds=_READY_SECONDS)
    if not waiting:
        raise RuntimeError("Nothing waited to be written; that nothing was written shows nothing.")
    found.held += len(_states(State.APPROVED))
    starts = [datetime.fromisoformat(row["at"]) for row in _writes(stage, after=newest)]
    latency = max((at - committed).total_seconds() for at in starts)
    found.late += latency > 0
    found.latencies.append(max(0.0, latency))
    office.release(switch)
