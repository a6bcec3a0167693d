"""`python -m tests.simulation --histories N`: one line of figures, or the command that replays a failure."""

import argparse
import sys
import time

from tests.simulation.history import Violated, run


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    changes = written = to_people = resent = 0
    for seed in range(chosen.seed, chosen.seed + chosen.histories):
        try:
            figures = run(seed)
        except Violated as violated:
            print(f"seed {seed}: {violated}")
            print(f"replay: python -m tests.simulation --histories 1 --seed {seed}")
            return 1
        changes += figures.changes
        written += figures.written
        to_people += figures.to_people
        resent += figures.resent
    seconds = time.monotonic() - started
    print(
        f"{chosen.histories} histories from seed {chosen.seed} in {seconds:.0f} s: {changes} changes, "
        f"{written} written, {to_people} held for people, {resent} sent again, 0 violations"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
