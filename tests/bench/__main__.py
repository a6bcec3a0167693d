"""Runs every measurement, prints the rounds, writes var/bench.json."""

import json
import os
import sys

import django

from tests.environment import ROOT

_ROUNDS = 5


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")
    # Durable commits: what is measured is what production promises.
    os.environ["SQLITE_SYNCHRONOUS"] = "FULL"
    django.setup()
    from tests.bench import dispatch, fhir_check, intake

    rounds = int(os.environ.get("BENCH_ROUNDS", str(_ROUNDS)))
    every = {"fhir_check": fhir_check, "intake": intake, "dispatch": dispatch}
    chosen = sys.argv[1:] or list(every)
    results = [result for name in chosen for result in every[name].run(rounds=rounds)]
    for result in results:
        print("\n".join(result.lines()), flush=True)
    path = ROOT / "var" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([r.as_json() for r in results], indent=2), encoding="utf-8")
    print(f"Written to {path.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
