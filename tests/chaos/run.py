"""One run: load and faults for some minutes, then quiet, then the verdict and one line of figures."""

import sys
import time
from collections import Counter
from dataclasses import dataclass

from tests.chaos.planted import BUGS
from tests.chaos.scene import scene

# What is under way when the faults end must have settled by then: many quarantines and waits.
_SETTLE_SECONDS = 240.0
# Approved before the first fault, and how long that may take.
_STOCK, _STOCK_SECONDS = 24, 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to run. `bug`: one of `planted.BUGS`, which the judge must then see."""

    database: str
    broker: str
    minutes: float
    seed: int
    faults: int | None = None
    bug: str = ""
    show: bool = False

    @property
    def command(self) -> str:
        """What has the same schedule of faults again."""
        more = f" --faults {self.faults}" if self.faults else ""
        more += f" --bug {self.bug}" if self.bug else ""
        return (
            f"python -m tests.chaos --minutes {self.minutes:g} --database {self.database} "
            f"--broker {self.broker} --seed {self.seed}{more}"
        )


def run(order: Order) -> int:
    """Exit code 0 only when nothing was lost, doubled, unapproved or without an owner."""
    with scene(database=order.database, broker=order.broker) as stage:
        # The models can be imported once Django is set up.
        from django.db import connections

        from tests.chaos.faults import Chaos
        from tests.chaos.judge import judge
        from tests.chaos.load import Load, settled

        chaos = Chaos(stage, order.seed, order.bug)
        mix = {"unsearchable": BUGS[order.bug].unsearchable} if order.bug else {}
        load = Load(stage.clinic, seed=order.seed, **mix)
        load.start()
        # Who sends is not there yet.
        load.stock(approvals=_STOCK, seconds=_STOCK_SECONDS)
        started = time.monotonic()
        try:
            chaos.run(seconds=order.minutes * 60, faults=order.faults)
        finally:
            chaos.cease()
            load.stop()
            connections.close_all()
        hurt = time.monotonic() - started
        all_settled = settled(
            seconds=_SETTLE_SECONDS if not order.bug else _SETTLE_SECONDS / 4,
            keep=lambda: chaos.staff(armed=False),
        )
        stage.nursery.dismiss()
        verdict = judge(stage.ehr.practice, acknowledged=load.approved)
        for name, lines in verdict.wrong.items():
            for line in lines[: 20 if not order.bug else 3]:
                print(f"{name}: {line}")
        if order.show or not (verdict.holds or order.bug):
            _print_counts("missed", chaos.misses)
            _print_counts("the load was interrupted by", load.interrupted)
        if not (verdict.holds or order.bug):
            sys.stdout.write((stage.folder / "members.log").read_text(errors="replace")[-4000:])
        hits = chaos.of_processes()
        print(
            f"chaos on {order.database} with {order.broker}, seed {order.seed}: "
            f"{hits} faults of processes in {hurt:.0f} s and {chaos.hits.total() - hits} of the EHR "
            f"({_kinds(chaos.hits)}); {verdict.figures()}. Same schedule: {order.command}",
            flush=True,
        )
        if order.bug:
            caught = bool(verdict.wrong.get(BUGS[order.bug].harm))
            print(f"The planted bug {order.bug} was {'caught' if caught else 'NOT caught'}.")
            return 0 if caught else 1
        enough = order.faults is None or hits >= order.faults
        if not enough:
            print(f"Only {hits} of {order.faults} faults hit in the time that was given.")
        return 0 if verdict.holds and verdict.effects and all_settled and enough else 1


def _kinds(hits: Counter[str]) -> str:
    """Every kind with its count; what happened at the named places is added up."""
    summed: Counter[str] = Counter()
    for name, times in hits.items():
        summed[name.partition(" at ")[0] + (" at a named place" if " at " in name else "")] += times
    return ", ".join(f"{name} {times}" for name, times in summed.most_common())


def _print_counts(what: str, counts: Counter[str]) -> None:
    for name, times in sorted(counts.items(), key=lambda pair: -pair[1]):
        print(f"  {what} {name}: {times}")
