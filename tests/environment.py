"""Loaded as a pytest plugin before the settings: where a test run keeps its files, and how."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.setdefault("VAR_DIR", str(ROOT / "var" / "test")))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Keys and files of one worker are not those of another.
    VAR /= worker
    os.environ["VAR_DIR"] = str(VAR)
VAR.mkdir(parents=True, exist_ok=True)
os.environ.setdefault("SQLITE_SYNCHRONOUS", "NORMAL")
os.environ.setdefault("LOG_LEVEL", "WARNING")
# A machine under load answers late; only tests about silence are about that.
os.environ.setdefault("EHR_REVIEW_READ_SECONDS", "10")
# Playwright's synchronous interface keeps an event loop in the test's thread.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
_run = VAR / "run"
_run.mkdir(exist_ok=True)
_run.chmod(0o700)
# The embedded PostgreSQL keeps its lock and socket here.
os.environ.setdefault("XDG_RUNTIME_DIR", str(_run))
