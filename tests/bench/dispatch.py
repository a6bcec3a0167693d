"""Sending beside the same calls made by plain `requests`: real PostgreSQL, Redis, Celery workers and HTTP.

Three questions. How many writes a second, with 16 and with 64 on their way, to an EHR that takes 50 ms for
each call? How long from an approval to the EHR's receipt on an idle system, with the broker and without it?
Does a queue of 100,000 slow sending down? Everything is measured at the EHR, which notes when each write came.

Only sending runs while a rate is measured: reading back has a queue of its own here, and its turn afterwards.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import embedded
from tests.bench import backlog
from tests.bench.raw import Ehr, RawWriter
from tests.bench.rounds import Result, Round
from tests.environment import ROOT

_PROCESSES = 2
_EHR_TAKES = 50.0  # milliseconds
# Writes of one measurement, by how many are on their way.
_WRITES = {16: 240, 64: 600}
_LONG, _SHORT = 100_000, 1_000
_SAMPLES = 20
_BOUND = 50.0  # milliseconds from approval to receipt


def run(*, rounds: int) -> list[Result]:
    """In a process of its own: it needs the settings of another database."""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.dispatch", name, str(rounds)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return [Result.from_json(each) for each in json.loads(done.stdout.strip().splitlines()[-1])]


# --- the parts ------------------------------------------------------------------------------------


@contextmanager
def _ehr() -> Iterator[Ehr]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.ehr"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the EHR has no output")
        yield Ehr(f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}")
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def _worker(queues: str, *, processes: int, threads: int) -> Iterator[None]:
    """A worker as in production: forked processes, each with so many attempts at once."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "reviewportal", "worker", "--pool", "prefork",
            "--concurrency", str(processes), "--queues", queues, "--loglevel", os.environ["LOG_LEVEL"],
            "--hostname", f"{queues.partition(',')[0]}@bench",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "DISPATCH_THREADS": str(threads),
            "DATABASE_POOL": str(threads + 2),
        },
        stdout=sys.stderr,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class _Bench:
    """A furnished workspace, the EHR, and the numbers of the patients used so far."""

    def __init__(self, ehr: Ehr) -> None:
        self.ehr = ehr
        self._serial = 1
        self.raw = self._recorded()

    def serials(self, count: int) -> int:
        """The first of so many patients that nobody has used."""
        first, self._serial = self._serial, self._serial + count
        return first

    def _recorded(self) -> RawWriter:
        """Send the prototype's copy once, and keep what went over the wire."""
        from django.utils import timezone

        from intents.pipeline import dispatch

        _, made = self.copies(2)
        self.ehr.order("record?on=1")
        # The copies are due before the prototype, which was approved just now. A process asks once for
        # the token that it reads with, so the second of them is like all others.
        dispatch.drain(at=timezone.now())
        writes: list[list[Any]] = [[]]
        for call in self.ehr.order("calls")["calls"]:
            writes[-1].append(call)
            if call[0] == "POST" and call[1].startswith("/fhir/"):
                writes.append([])
        self.ehr.order("record?on=0")
        if sum(made.tag in target + body for _, target, _, body in writes[1]) != 2:
            raise RuntimeError("one search and one write bear the copy's tag")
        return RawWriter(writes[1], ehr=self.ehr, serial=made.serial, tag=made.tag)

    def copies(self, count: int) -> list[backlog.Made]:
        from django.utils import timezone

        first = self.serials(count)
        return backlog.copies(first=first, count=count, due=timezone.now() - timedelta(hours=1))

    def switch(self, *, on: bool, at_once: int | None = None) -> None:
        from intents.governance.models import EhrConnection

        EhrConnection.unscoped.update(write_back_enabled=on)
        if at_once is not None:
            EhrConnection.unscoped.update(writes_at_once=at_once)

    def waiting(self) -> int:
        """Live entries that may be sent, without the long queue behind them."""
        from intents.models import OutboxEntry

        return (
            OutboxEntry.unscoped.filter(closed_at__isnull=True, intent__state="APPROVED")
            .exclude(intent__proposal__proposal_key__startswith="tail")
            .count()
        )

    def rate(self, *, at_once: int, count: int) -> float:
        """Writes a second from the wake-up to the receipt of the last of `count`."""
        from intents.models import OutboxEntry
        from intents.pipeline import outbox

        self.switch(on=False, at_once=at_once)
        # Enough behind them that nobody runs dry before the last of those measured has come.
        missing = count + 3 * at_once - self.waiting()
        if missing > 0:
            self.copies(missing)
        before = self.ehr.count()
        self.switch(on=True)
        started = time.monotonic()
        outbox.wake("dispatch")
        self.until(lambda: self.ehr.count() >= before + count, seconds=180)
        self.switch(on=False)
        self.until(
            lambda: not OutboxEntry.unscoped.filter(lease_until__isnull=False).exists(), seconds=60
        )
        came = self.ehr.arrivals(since=before)
        if os.environ.get("BENCH_TRACE"):
            _say(" ".join(f"{at - started:.2f}" for at, _ in came))
        if len({who for _, who in came}) != len(came):
            raise RuntimeError("a patient was written to twice")
        return count / (came[count - 1][0] - started)

    @staticmethod
    def until(ready: Any, *, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > ends:
                raise RuntimeError("sending did not get there in time")
            time.sleep(0.05)


# --- how many ----------------------------------------------------------------------------------------


def _throughput(bench: _Bench, *, at_once: int, rounds: int) -> Result:
    count = _WRITES[at_once]
    found = []
    with _worker("dispatch", processes=_PROCESSES, threads=at_once // _PROCESSES):
        bench.rate(at_once=at_once, count=at_once)  # the worker has started, caches are warm
        bench.raw.rate(at_once=at_once, first=bench.serials(at_once), count=at_once)
        for _ in range(rounds):
            limit = bench.raw.rate(at_once=at_once, first=bench.serials(count), count=count)
            found.append(Round(limit=limit, ours=bench.rate(at_once=at_once, count=count)))
            _say(f"  at {at_once}: limit {limit:.1f}, ours {found[-1].ours:.1f}")
    return Result(
        name=f"Sending / raw requests, same calls, {at_once} at once, EHR {_EHR_TAKES:g} ms a call",
        unit="writes/s",
        goal=0.80,
        at_most=False,
        rounds=tuple(found),
        remark=f"{len(bench.raw.calls)} calls a write: {', '.join(bench.raw.calls)}",
    )


def _long_queue(bench: _Bench, *, rounds: int) -> Result:
    at_once, count = 64, _WRITES[64] // 2
    bench.switch(on=False)
    bench.copies(1)
    backlog.tail(_LONG)
    found = []
    with _worker("dispatch", processes=_PROCESSES, threads=at_once // _PROCESSES):
        backlog.open_tail(_SHORT)
        bench.rate(at_once=at_once, count=at_once)
        for _ in range(rounds):
            backlog.open_tail(_SHORT)
            short = bench.rate(at_once=at_once, count=count)
            backlog.open_tail(_LONG)
            found.append(Round(limit=short, ours=bench.rate(at_once=at_once, count=count)))
            _say(f"  queue: short {short:.1f}, long {found[-1].ours:.1f}")
    backlog.open_tail(0)
    return Result(
        name=f"Sending with {_LONG:,} waiting / with {_SHORT:,} waiting, {at_once} at once",
        unit="writes/s",
        goal=0.90,
        at_most=False,
        rounds=tuple(found),
        remark=f"{count} writes sampled from the front of each queue",
    )


# --- how soon ----------------------------------------------------------------------------------------


class _Approvals:
    """Drafts that wait for a person, approved one by one; milliseconds from each commit to its receipt."""

    def __init__(self, bench: _Bench, *, count: int) -> None:
        self.bench = bench
        first = bench.serials(count)
        self._waiting = [
            (serial, backlog.receive(serial)) for serial in range(first, first + count)
        ]
        self._approved: dict[str, float] = {}
        self._before = bench.ehr.count()

    def approve(self) -> str:
        serial, proposal = self._waiting.pop()
        with backlog.noting_commit() as committed:
            backlog.approve(proposal)
        patient = f"Patient/{backlog.logical_ids(serial)[0]}"
        self._approved[patient] = committed[0]
        return patient

    def received(self) -> dict[str, float]:
        return {
            who: (at - self._approved[who]) * 1000
            for at, who in self.bench.ehr.arrivals(since=self._before)
            if who in self._approved
        }

    def all_received(self, *, seconds: float) -> dict[str, float]:
        self.bench.until(lambda: len(self.received()) == len(self._approved), seconds=seconds)
        return self.received()


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)]


def _receipts(bench: _Bench, *, rounds: int, broker: ExitStack) -> list[Result]:
    from django.conf import settings

    period = settings.SWEEPS["intents.dispatch_due"]
    bench.switch(on=True, at_once=4)
    bench.ehr.take(milliseconds=0)
    soon: list[list[float]] = []
    direct: list[float] = []
    swept: list[list[float]] = []
    with (
        _worker("dispatch,wakes,screening", processes=1, threads=4),
        _worker("sequencer", processes=1, threads=1),
    ):
        # What the other measurements left would stand in front.
        bench.until(lambda: bench.waiting() == 0, seconds=180)
        warm = _Approvals(bench, count=3)
        for _ in range(3):
            warm.approve()
            warm.all_received(seconds=60)
        for _ in range(rounds):
            direct.append(1000 / bench.raw.rate(at_once=1, first=bench.serials(20), count=20))
            approvals = _Approvals(bench, count=_SAMPLES)
            for _ in range(_SAMPLES):
                time.sleep(0.5)  # reading back is over, and the system idle again
                approvals.approve()
                approvals.all_received(seconds=30)
            soon.append(sorted(approvals.received().values()))
            _say(f"  broker up: p50 {soon[-1][_SAMPLES // 2]:.1f} ms, p95 {_p95(soon[-1]):.1f} ms")
        without = [_Approvals(bench, count=_SAMPLES) for _ in range(rounds)]
        broker.close()
        for approvals in without:
            for _ in range(_SAMPLES):
                time.sleep(random.uniform(0.0, period / 4))
                approvals.approve()
            swept.append(sorted(approvals.all_received(seconds=10 * period).values()))
            _say(f"  broker down: p95 {_p95(swept[-1]):.0f} ms")
    every = sorted(value for each in soon for value in each)
    return [
        Result(
            name=f"Approval to receipt, broker up, p95 / {_BOUND:g} ms, idle, EHR 0 ms",
            unit="ms",
            goal=1.0,
            at_most=True,
            rounds=tuple(Round(limit=_BOUND, ours=_p95(each)) for each in soon),
            gauge=tuple(direct),
            remark=(
                f"{len(every)} approvals: p50 {every[len(every) // 2]:.1f} ms, p95 {_p95(every):.1f} ms; "
                f"the calls of one write by plain requests {min(direct):.1f} to {max(direct):.1f} ms"
            ),
        ),
        Result(
            name="Approval to receipt, broker down, p95 / sweep period",
            unit="ms",
            goal=1.1,
            at_most=True,
            rounds=tuple(Round(limit=period * 1000, ours=_p95(each)) for each in swept),
            remark=f"{rounds * _SAMPLES} approvals, all received once",
        ),
    ]


# --- all of it ---------------------------------------------------------------------------------------


def _measure(folder: Path, *, rounds: int) -> list[Result]:
    parts = os.environ.get("BENCH_DISPATCH", "throughput,queue,receipts").split(",")
    with (
        embedded.postgresql(folder / "postgresql", durable=True) as url,
        ExitStack() as broker,
        _ehr() as ehr,
    ):
        os.environ |= {
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": broker.enter_context(embedded.redis(folder / "redis")),
            "DJANGO_SETTINGS_MODULE": "tests.bench.dispatch_settings",
            "VAR_DIR": str(folder / "var"),
            "LOG_LEVEL": os.environ.get("BENCH_LOG_LEVEL", "ERROR"),
            # The one who approves has no passkey to show.
            "DEMO_MODE": "1",
            "PYTHONPATH": str(ROOT),
        }
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        from intents.governance.models import Tenant
        from intents.governance.tenancy import tenant_context

        call_command("migrate", verbosity=0)
        backlog.furnish(ehr=ehr.url, at_once=4)
        results: list[Result] = []
        with tenant_context(Tenant.objects.get().pk):
            bench = _Bench(ehr)
            ehr.take(milliseconds=_EHR_TAKES)
            if "throughput" in parts:
                results += [_throughput(bench, at_once=n, rounds=rounds) for n in _WRITES]
            if "queue" in parts:
                results.append(_long_queue(bench, rounds=rounds))
            if "receipts" in parts:
                results += _receipts(bench, rounds=rounds, broker=broker)
        connections.close_all()
    return results


if __name__ == "__main__":
    found = _measure(Path(sys.argv[1]), rounds=int(sys.argv[2]))
    print(json.dumps([each.as_json() for each in found]))
