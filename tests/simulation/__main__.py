"""`python -m tests.simulation --histories N`: one line of figures, or the commands that replay what failed."""

import argparse
import gc
import os
import sys
import time
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields

from tests.simulation import history, planted
from tests.simulation.history import Figures, Violated

_CHUNK = 250
# Below this, starting further processes takes longer than playing.
_WORTH_A_PROCESS = 2000
_SHOWN = 5


@dataclass
class Total:
    """The figures of many histories together, and what went wrong in which."""

    figures: dict[str, int] = field(
        default_factory=lambda: {each.name: 0 for each in fields(Figures)}
    )
    violations: list[tuple[int, str]] = field(default_factory=list)
    played: int = 0

    def add(self, more: "Total") -> None:
        for name, value in more.figures.items():
            self.figures[name] += value
        self.violations += more.violations
        self.played += more.played


def play(seeds: range) -> Total:
    """Every history of these seeds, also after one that went wrong."""
    total = Total(played=len(seeds))
    gc.collect()
    for seed in seeds:
        try:
            figures = history.run(seed)
        except Violated as violated:
            total.violations.append((seed, str(violated)))
            continue
        for each in fields(Figures):
            total.figures[each.name] += getattr(figures, each.name)
    return total


def _totals(seeds: range, *, processes: int) -> Generator[Total, None, None]:
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    if processes == 1:
        for chunk in chunks:
            yield play(chunk)
        return
    # A history leaves cycles behind; they are collected once a chunk instead of all the time.
    pool = ProcessPoolExecutor(processes, initializer=gc.disable)
    try:
        yield from pool.map(play, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _replay(seed: int) -> int:
    """One history, told as it happens."""
    try:
        figures = history.run(seed, tell=print)
    except Violated as violated:
        print(f"seed {seed}: {violated}")
        return 1
    print(figures)
    return 0


def _search_planted() -> int:
    """Which is the first seed that catches each planted bug: for `planted` and docs/simulation.md."""
    code = 0
    for bug in planted.EVERY:
        caught = planted.first_failure(bug, seeds=range(200_000))
        code = code or int(caught is None)
        print(f"{bug.name}: {'not caught' if caught is None else caught}", flush=True)
    return code


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, help="stop after so long, if not done by then")
    parser.add_argument("--processes", type=int, default=0, help="as many as there are cores")
    parser.add_argument("--trace", action="store_true", help="play this seed alone, and tell all")
    parser.add_argument(
        "--planted", action="store_true", help="which seed catches each planted bug"
    )
    chosen = parser.parse_args(arguments)
    if chosen.trace:
        return _replay(chosen.seed)
    if chosen.planted:
        return _search_planted()
    processes = chosen.processes
    if not processes:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        processes = (cores or 1) if chosen.histories >= _WORTH_A_PROCESS else 1
    started = time.monotonic()
    total = Total()
    seeds = range(chosen.seed, chosen.seed + chosen.histories)
    totals = _totals(seeds, processes=processes)
    for more in totals:
        total.add(more)
        if chosen.minutes and time.monotonic() - started > chosen.minutes * 60:
            break
    totals.close()
    _report(total, chosen.seed, seconds=time.monotonic() - started, processes=processes)
    return 1 if total.violations else 0


def _report(total: Total, first: int, *, seconds: float, processes: int) -> None:
    for seed, sentence in sorted(total.violations)[:_SHOWN]:
        print(f"seed {seed}: {sentence}")
        print(f"replay: python -m tests.simulation --seed {seed} --trace")
    n = total.figures
    print(
        f"{total.played} histories from seed {first}: {n['changes']} intents, {n['effects']} effects, "
        f"{n['to_people']} to people, {n['resent']} sent again; {n['duplicates']} duplicate effects, "
        f"{n['lost']} lost approvals, {n['unapproved']} unapproved bytes, {n['stuck']} stuck; "
        f"{len(total.violations)} violations; {total.played / seconds:.0f} histories/s "
        f"on {processes} {'process' if processes == 1 else 'processes'}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
