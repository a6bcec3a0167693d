"""`python -m tests.chaos --minutes M`: a clinic of real processes under faults; one line of figures.

The seed fixes which faults come in which order, not the moments at which the processes meet them.
"""

import argparse
import signal
import sys
from datetime import UTC, datetime

from tests.chaos.parts import BROKERS, DATABASES
from tests.chaos.planted import BUGS
from tests.chaos.run import Order, run
from tests.chaos.switching import run_trials


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument(
        "--faults", type=int, help="end after so many; fewer in the time is a failure"
    )
    parser.add_argument("--database", choices=sorted(DATABASES), default="postgresql")
    parser.add_argument("--broker", choices=sorted(BROKERS), default="redis")
    parser.add_argument(
        "--seed", type=int, help="the schedule of faults (default: the date and hour)"
    )
    parser.add_argument(
        "--bug", choices=sorted(BUGS), default="", help="plant it; succeed if it is caught"
    )
    parser.add_argument(
        "--show", action="store_true", help="print every kind of fault and its count"
    )
    parser.add_argument(
        "--switch", action="store_true", help="measure the kill switch instead of making faults"
    )
    parser.add_argument("--trials", type=int, default=100)
    chosen = parser.parse_args(arguments)
    # Whoever ends the run from outside ends every process of it as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = chosen.seed if chosen.seed is not None else int(f"{datetime.now(UTC):%Y%m%d%H}")
    if chosen.switch:
        return run_trials(
            database=chosen.database, broker=chosen.broker, trials=chosen.trials, seed=seed, bug=chosen.bug
        )  # fmt: skip
    return run(
        Order(
            database=chosen.database, broker=chosen.broker, minutes=chosen.minutes, faults=chosen.faults,
            seed=seed, bug=chosen.bug, show=chosen.show,
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
