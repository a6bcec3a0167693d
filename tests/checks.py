"""`make check`: everything that reads the code instead of running it. Prints each step's verdict."""

import os
import subprocess
import sys
from pathlib import Path

from tests.environment import ROOT

_BIN = Path(sys.executable).parent
_PYTHON = sys.executable
_PRODUCTION = {
    "PORTAL_URL": "https://portal.example",
    "ALLOWED_HOSTS": "portal.example",
    "SECRET_KEY": "x9" * 40 + "!aB3$zQ7&kL1",
    "VAR_DIR": str(ROOT / "var" / "check"),
}

STEPS: list[tuple[str, list[str], dict[str, str]]] = [
    ("ruff", [str(_BIN / "ruff"), "check", "."], {}),
    ("format", [str(_BIN / "ruff"), "format", "--check", "."], {}),
    ("import contracts", [str(_BIN / "lint-imports")], {}),
    ("mypy", [str(_BIN / "mypy"), "reviewportal", "intents", "ehr_adapters", "audit"], {}),
    (
        "migrations in step",
        [_PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
        _PRODUCTION,
    ),
    (
        "check --deploy",
        [_PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        _PRODUCTION,
    ),
    (
        "lifecycle page",
        [_PYTHON, "manage.py", "lifecycle_diagram", "--check", "docs/lifecycle.md"],
        _PRODUCTION,
    ),
    (
        "capabilities page",
        [_PYTHON, "manage.py", "ehr_capabilities", "--check", "docs/ehr-capabilities.md"],
        _PRODUCTION,
    ),
    ("traceability page", [_PYTHON, "-m", "tests.traceability", "--check"], {}),
    ("fault matrix", [_PYTHON, "-m", "tests.fault_matrix", "--check"], {}),
]


def main() -> int:
    broken = []
    # What the tests need of an event loop has no place in a deployment.
    inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    for name, command, env in STEPS:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**inherited, **env},
            check=False,
            capture_output=True,
            text=True,
        )
        print(f"{'ok   ' if done.returncode == 0 else 'FAIL '} {name}", flush=True)
        if done.returncode:
            broken.append(name)
            print(done.stdout[-6000:] + done.stderr[-6000:])
    print("All checks hold." if not broken else f"Broken: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
