"""`make test`: the suite on SQLite, then on PostgreSQL; one closing line.

Tests marked `once` (pure, browser, packaging) run on SQLite only; everything else on both. What was
skipped is named with its reason. REQUIRE_ALL=1 (CI) turns every skip into a failure.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter

from tests import embedded
from tests.environment import ROOT, VAR

_WORKERS = os.environ.get("TEST_WORKERS", "2")


def _run(
    name: str, *, env: dict[str, str], arguments: list[str]
) -> tuple[Counter[str], Counter[str], int]:
    report = VAR / f"junit-{name}.xml"
    report.unlink(missing_ok=True)
    print(f"== {name} ==", flush=True)
    # Without a URL of its own a run is on SQLite, whatever the caller has configured.
    inherited = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    code = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            _WORKERS,
            "--dist",
            "loadgroup",
            f"--junitxml={report}",
            *arguments,
        ],
        cwd=ROOT,
        env={**inherited, **env},
        check=False,
    ).returncode
    counts: Counter[str] = Counter()
    skips: Counter[str] = Counter()
    if report.exists():
        for suite in ET.parse(report).iter("testsuite"):
            total, failed = (
                int(suite.get("tests", 0)),
                int(suite.get("failures", 0)) + int(suite.get("errors", 0)),
            )
            skipped = int(suite.get("skipped", 0))
            counts.update(passed=total - failed - skipped, failed=failed, skipped=skipped)
            for skip in suite.iter("skipped"):
                skips[skip.get("message", "no reason given")] += 1
    elif code:
        counts.update(failed=1)
    if code and not counts["failed"]:
        counts.update(failed=1)
    return counts, skips, code


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    results: dict[str, tuple[Counter[str], Counter[str], int]] = {}
    results["SQLite"] = _run("sqlite", env={}, arguments=arguments)
    with embedded.postgresql(VAR / "postgresql") as url:
        results["PostgreSQL"] = _run(
            "postgresql",
            env={"DATABASE_URL": url},
            arguments=["-m", "not once and not browser", *arguments],
        )
    total: Counter[str] = Counter()
    print()
    for name, (counts, skips, _) in results.items():
        total += counts
        print(
            f"{name}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
        )
        for reason, times in skips.most_common():
            print(f"  skipped {times}: {reason}")
    print(f"In {time.monotonic() - started:.0f} s.")
    failed = any(code for _, _, code in results.values())
    if os.environ.get("REQUIRE_ALL") == "1" and total["skipped"]:
        print("REQUIRE_ALL=1: a skipped test is a failed run.")
        failed = True
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
