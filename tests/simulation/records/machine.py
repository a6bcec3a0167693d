"""The state machine: Hypothesis chooses the steps, `World` takes them, `Watch` looks after each.

No step is chosen by what the product did: every rule takes numbers alone, so a list of steps replays.
"""

import contextlib
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from audit import integrity
from intents.pipeline.dispatch import draining, sending
from intents.pipeline.reconciliation import sweeping
from tests.ehr_adapters.practice import Practice
from tests.simulation.records.invariants import NUMBERS
from tests.simulation.records.watching import Watch
from tests.simulation.records.world import PLACES, SLEEPS, World

SMALL = st.integers(0, 7)
KIND = st.integers(0, 99)
ORG = st.integers(0, 2)
WHO = st.integers(0, 3)
DECISIONS = (
    "approve", "approve_what_was_shown", "edit", "reject", "undo", "approve_and_undo", "recall",
    "hold", "release", "release", "withdraw", "consent", "stranger",
)  # fmt: skip
WORK = (
    "sequence", "drain", "send", "send", "redeliver", "reconcile", "reconcile", "crash_looking",
    "expire", "screen_due",
)  # fmt: skip


class Totals:
    """What happened over all histories of one run, those that failed included."""

    def __init__(self) -> None:
        self.figures: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        # the number of the first history that failed
        self.first_failed = 0

    def line(self, *, database: str, seconds: float) -> str:
        """One line for people."""
        figures, ends = self.figures, self.ends
        written = ends["RECONCILED"] + ends["ACCEPTED"]
        people = ends["HELD"] + ends["UNCERTAIN"] + ends["FAILED"]
        rarest, times = min(((name, self.asked[name]) for name in NUMBERS), key=lambda row: row[1])
        return (
            f"records on {database}: {figures['histories']} histories, {figures['steps']} steps in "
            f"{seconds:.0f} s; {figures['drafts']} drafts, {figures['approve']} approvals, "
            f"{figures['faults armed']} faults armed, {figures['crashes']} crashes, "
            f"{figures['sleeps']} sleeping workers, {figures['clock jumps']} clock jumps, "
            f"{figures['switches engaged']} switches, {figures['refused']} refusals; "
            f"{figures['writes']} requests to write; of {sum(ends.values())} approved changes "
            f"{written} written, {people} held for people, "
            f"{sum(ends.values()) - people - written} ended otherwise; "
            f"{sum(self.asked.values())} checks of I1 to I12 (fewest: {rarest}, {times}), "
            f"{figures['violations']} violations"
        )


@contextlib.contextmanager
def reproducible_chance(seed: int) -> Iterator[None]:
    """Ids and waits that are random in production come from a seed, so that a history replays."""
    chance = random.Random(seed)
    with (
        mock.patch.object(os, "urandom", chance.randbytes),
        mock.patch.object(random, "_urandom", chance.randbytes),
    ):
        yield


class Records(RuleBasedStateMachine):
    """One history. `furnish` empties the database and the EHR, and makes the clinics anew."""

    furnish: Callable[[], World]
    totals: Totals
    # A moment of the monotonic clock after which no history begins.
    until = math.inf

    def __init__(self) -> None:
        super().__init__()
        self._open = contextlib.ExitStack()
        # A history that failed is played once more, to be printed.
        self.is_over = time.monotonic() > self.until and not self.totals.first_failed
        if self.is_over:
            return
        self._open.enter_context(reproducible_chance(1))
        self.world = type(self).furnish()
        for module in (sending, draining, sweeping):
            self._open.enter_context(mock.patch.object(module, "monotonic", self.world.monotonic))
        self.watch = Watch(self.world)
        self._open.enter_context(self.watch.watching())
        self.world.figures["histories"] += 1
        self.failed = False

    def _step(self, step: Callable[[], object]) -> None:
        if self.is_over:
            return
        self.world.figures["steps"] += 1
        try:
            step()
            self.watch.look()
        except BaseException:
            self.failed = True
            self.world.figures["violations"] += 1
            raise

    # --- people and agents ------------------------------------------------------------------------------

    @rule(
        org=ORG,
        patient=SMALL,
        kinds=st.lists(KIND, min_size=1, max_size=3),
        number=KIND,
    )
    def draft(self, org: int, patient: int, kinds: list[int], number: int) -> None:
        self._step(lambda: self.world.draft(org=org, patient=patient, kinds=kinds, number=number))

    @rule(
        org=ORG,
        patient=SMALL,
        kinds=st.lists(KIND, min_size=1, max_size=2),
        number=KIND,
    )
    def draft_approve_and_send(self, org: int, patient: int, kinds: list[int], number: int) -> None:
        """The usual day in one step: else few histories come as far as the EHR."""

        def day() -> None:
            self.world.draft(org=org, patient=patient, kinds=kinds, number=number)
            self.world.approve(index=-1, by=0)
            self.world.send(seconds=0)

        self._step(day)

    @rule(fault=KIND, times=SMALL, org=ORG, patient=SMALL, kind=KIND, number=KIND)
    def write_into_a_fault(
        self, fault: int, times: int, org: int, patient: int, kind: int, number: int
    ) -> None:
        """A fault, and at once something for it to spoil."""

        def day() -> None:
            self.world.fault(kind=fault, times=times, skip=0)
            self.world.draft(org=org, patient=patient, kinds=[kind], number=number)
            self.world.approve(index=-1, by=0)
            self.world.send(seconds=0)

        self._step(day)

    @rule(what=st.sampled_from(DECISIONS), index=SMALL, by=WHO)
    def decide(self, what: str, index: int, by: int) -> None:
        self._step(lambda: getattr(self.world, what)(index=index, by=by))

    @rule(index=SMALL)
    def approve(self, index: int) -> None:
        self._step(lambda: self.world.approve(index=index, by=0))

    @rule(index=SMALL, how=SMALL)
    def operate(self, index: int, how: int) -> None:
        self._step(
            lambda: self.world.operate(
                index=index, how=how, is_there=lambda intent: self.watch.wire.effects_of(intent) > 0
            )
        )

    # --- workers ------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(WORK))
    def work(self, what: str) -> None:
        def done() -> None:
            getattr(self.world, what)()
            if what == "reconcile":
                self.watch.alarms()

        self._step(done)

    @rule(place=st.sampled_from(PLACES), org=ORG, patient=SMALL, kind=KIND, number=KIND)
    def crash(self, place: str, org: int, patient: int, kind: int, number: int) -> None:
        """Something is approved, and the worker that sends it dies on the way."""

        def die() -> None:
            self.world.draft(org=org, patient=patient, kinds=[kind], number=number)
            self.world.approve(index=-1, by=0)
            self.world.crash(place=place)

        self._step(die)

    @rule(
        place=st.sampled_from(SLEEPS),
        seconds=st.sampled_from((0, 2, 30, 130, 130, 400)),
        meanwhile=st.integers(0, 8),
        org=ORG,
        patient=SMALL,
        kind=KIND,
        number=KIND,
    )
    def sleep(
        self,
        place: str,
        seconds: int,
        meanwhile: int,
        org: int,
        patient: int,
        kind: int,
        number: int,
    ) -> None:
        """The same, and it only sleeps while the world goes on."""

        def nod() -> None:
            self.world.draft(org=org, patient=patient, kinds=[kind], number=number)
            self.world.approve(index=-1, by=0)
            self.world.sleep(place=place, seconds=seconds, meanwhile=meanwhile)

        self._step(nod)

    # --- the EHR and time -----------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(("fault", "fault", "read_fault", "token_fault")),
        kind=KIND,
        times=SMALL,
    )
    def misbehave(self, what: str, kind: int, times: int) -> None:
        self._step(lambda: getattr(self.world, what)(kind=kind, times=times, skip=times % 2))

    @rule(index=SMALL, what=st.sampled_from((0, 0, 0, 1, 2, 2, 3)))
    def colleague(self, index: int, what: int) -> None:
        self._step(lambda: self.world.colleague(index=index, what=what))

    @rule(
        seconds=st.sampled_from((1, 5, 30, 130, 400, 1000, 90_000)),
        jump=st.sampled_from((0, 0, -500, -60, 60, 500)),
    )
    def wait(self, seconds: int, jump: int) -> None:
        def passes() -> None:
            self.world.jump(seconds=jump)
            self.world.wait(seconds=seconds)

        self._step(passes)

    @rule(reach=KIND)
    def engage(self, reach: int) -> None:
        self._step(lambda: self.world.engage(reach=reach))

    @rule(index=SMALL)
    def release_switch(self, index: int) -> None:
        self._step(lambda: self.world.release_switch(index=index))

    # --- the end --------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if self.is_over:
            return
        try:
            if not self.failed:
                self._finish()
        except BaseException:
            self.failed = True
            self.world.figures["violations"] += 1
            raise
        finally:
            self._open.close()
            totals = type(self).totals
            totals.figures += self.world.figures
            totals.asked += self.world.checks.asked
            if self.failed and not totals.first_failed:
                totals.first_failed = totals.figures["histories"]

    def _finish(self) -> None:
        self.world.calm()
        self.watch.look()
        self.watch.alarms()
        self.watch.stored_words()
        report = integrity.check()
        self.world.checks.hold(report.holds, f"I6: the stored log does not verify: {report.first}")
        type(self).totals.ends += self.watch.settled(at=self.world.at)


def machine_for(
    *, practice: Practice, empty: Callable[[], None], at: Callable[[], datetime]
) -> type[Records]:
    """The machine for one test: `empty` empties the database, `at` says when a history begins."""

    class OfThisTest(Records):
        totals = Totals()

        @staticmethod
        def furnish() -> World:
            empty()
            return World(practice, at=at())

    OfThisTest.__name__ = OfThisTest.__qualname__ = "Records"
    return OfThisTest
