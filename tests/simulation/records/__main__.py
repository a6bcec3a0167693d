"""`python -m tests.simulation.records --examples N`: one line of figures, or the steps that fail.

`--planted` puts each bug of `planted` into the product by turns and lets the machine look for it.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests import embedded
from tests.environment import ROOT, VAR

_HERE = "tests/simulation/records"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.records", description=__doc__)
    parser.add_argument(
        "--examples", type=int, default=100, help="histories; with --planted at most, for each bug"
    )
    parser.add_argument("--steps", type=int, default=40, help="steps of one history, at most")
    parser.add_argument("--minutes", type=float, default=0, help="begin no history after so long")
    parser.add_argument("--seed", type=int, help="other histories than the usual ones")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--bug", action="append", default=[], help="of the planted ones, only this")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL, not on SQLite")
    parser.add_argument(
        "--shrink", action="store_true", help="look for the shortest failing history"
    )
    parser.add_argument(
        "--replay", nargs=2, metavar=("VERSION", "BLOB"), help="of @reproduce_failure"
    )
    chosen = parser.parse_args(arguments)
    wanted = {
        "RECORDS_EXAMPLES": str(chosen.examples),
        "RECORDS_STEPS": str(chosen.steps),
        "RECORDS_MINUTES": str(chosen.minutes or ""),
        "RECORDS_SEED": "" if chosen.seed is None else str(chosen.seed),
        "RECORDS_SHRINK": "1" if chosen.shrink else "",
        "RECORDS_REPLAY": " ".join(chosen.replay or ()),
    }
    test = (
        "search.py"
        if chosen.planted
        else "test_machine.py::test_no_history_loses_or_doubles_a_write"
    )
    with _database(postgresql=chosen.postgresql) as url:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-s",
                "-p",
                "no:cacheprovider",
                f"{_HERE}/{test}",
                "-k",
                " or ".join(chosen.bug),
            ],
            cwd=ROOT,
            env={**os.environ, **wanted, "DATABASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    told = [
        line for line in done.stdout.splitlines() if line.startswith(("records on", "planted "))
    ]
    if done.returncode and not chosen.planted:
        print(done.stdout)
        print(
            "replay: python -m tests.simulation.records --replay VERSION BLOB with the two texts of the "
            "@reproduce_failure above, the same --steps and the same database; or the same command again"
        )
    print("\n".join(told))
    if chosen.planted:
        caught = sum("not caught" not in line for line in told)
        print(f"{caught} of {len(told)} planted bugs caught")
    return done.returncode


@contextmanager
def _database(*, postgresql: bool) -> Iterator[str]:
    if not postgresql:
        yield ""
        return
    with embedded.postgresql(VAR / "postgresql") as url:
        yield url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
