"""A made-up clinic on this machine: portal, worker, scheduler and practice EHRs, until Ctrl-C."""

import fcntl
import io
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from intents.management import clinic
from intents.management.installation import demo_environment, demo_folder
from intents.management.supervisor import (
    PartEnded,
    PortTaken,
    Supervisor,
    check_port_free,
    end_on_sigterm,
    python,
)

_HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Set up and run the demo; a second start keeps the data."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        port = _number("DEMO_PORT", 8000)
        ehr_port = _number("DEMO_EHR_PORT", 8001)
        folder = demo_folder(environment=os.environ, base=settings.BASE_DIR)
        if not (settings.DEMO_MODE and folder == settings.VAR_DIR):
            _start_again(folder=folder, port=port)
        end_on_sigterm()
        try:
            with _only_one(folder):
                self._run(folder=folder, port=port, ehr_port=ehr_port)
        except (PortTaken, PartEnded, clinic.PracticeUnreachable) as error:
            raise CommandError(str(error)) from None

    def _run(self, *, folder: Path, port: int, ehr_port: int) -> None:
        check_port_free(host=_HOST, port=port, what="the portal", variable="DEMO_PORT")
        check_port_free(
            host=_HOST, port=ehr_port, what="the practice EHR", variable="DEMO_EHR_PORT"
        )
        parts = Supervisor(log_dir=folder / "log")
        try:
            practice = _start_practice(parts, folder=folder, port=ehr_port)
            call_command("migrate", verbosity=0)
            call_command("collectstatic", verbosity=0, interactive=False)
            first = clinic.furnish(portal=settings.PORTAL_URL, practice=practice, folder=folder)
            _start_portal(parts, port=port)
            parts.wait_for(lambda: _ready(settings.PORTAL_URL), seconds=120, what="The portal")
            self._greet(folder=folder)
            if first:
                for mistake in _seed_drafts(parts):
                    self.stderr.write(mistake)
                self.stdout.write("Open drafts have been sent in; the worker is checking them.")
                self.stdout.flush()
            while True:
                parts.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            self.stdout.write("\nStopping ...")
        finally:
            parts.stop()
        self.stdout.write("Stopped. The data stay; make demo goes on from here.")

    def _greet(self, *, folder: Path) -> None:
        self.stdout.write(f"\nreviewportal demo: {settings.PORTAL_URL}/\n")
        self.stdout.write("Sign in by name on the first page, as one of these made-up people:")
        for person in clinic.PEOPLE:
            self.stdout.write(f"  {person.name}: {person.what}")
        self.stdout.write(
            "A consultation becomes a draft with:  .venv/bin/python manage.py visit --transcript FILE"
        )
        self.stdout.write(f"Data and logs: {folder}. Ctrl-C stops everything.\n")
        self.stdout.flush()


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "") or str(default)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise CommandError(f"{name} must be a port number, and is {value!r}.")
    return int(value)


def _start_again(*, folder: Path, port: int) -> None:
    """Run this command again with the demo's settings: the portal's own read them at import."""
    environment = {
        **os.environ,
        **demo_environment(folder=folder, portal=f"http://{_HOST}:{port}"),
        "DATABASE_URL": os.environ.get("DATABASE_URL", ""),
    }
    if not environment["DATABASE_URL"]:
        del environment["DATABASE_URL"]
    for name in ("KEY_DIR", "DATA_DIR", "AUDIT_WITNESS_FILE"):
        environment.pop(name, None)
    sys.stdout.flush()
    os.execve(sys.executable, python(str(settings.BASE_DIR / "manage.py"), "demo"), environment)


class _only_one:  # noqa: N801  reads as a word in `with`
    """Two demos on one folder would share a database and a queue."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "demo.lock"
        self.handle: IO[str] | None = None

    def __enter__(self) -> None:
        self.handle = self.path.open("w")
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.handle.close()
            raise PortTaken(
                f"A demo is already running on {self.path.parent}. Stop it, or choose another folder with DEMO_DIR=..."
            ) from None

    def __exit__(self, *_: object) -> None:
        if self.handle:
            self.handle.close()


def _start_practice(parts: Supervisor, *, folder: Path, port: int) -> str:
    """Start the practice EHRs and wait for their ready line; returns their address."""
    process = parts.start(
        "practice-ehr",
        python(
            "-m", "ehr_adapters.sandbox", "--port", str(port), "--data", str(folder / "practice")
        ),
        env=os.environ,
        pipe=True,
    )
    if process.stdout is None:
        raise PartEnded("The practice EHR has no output.")
    line = process.stdout.readline()
    try:
        ready = json.loads(line)
    except ValueError:
        raise PartEnded(
            f"The practice EHR did not start; its last words are in {parts.log_dir / 'practice-ehr.log'}"
        ) from None
    return f"http://{_HOST}:{ready['port']}"


def _start_portal(parts: Supervisor, *, port: int) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    parts.start(
        "web",
        python(
            "-m", "gunicorn", "reviewportal.wsgi:application", "--bind", f"{_HOST}:{port}",
            "--workers", "2", "--threads", "4", "--worker-class", "gthread", "--preload",
            "--graceful-timeout", "3", "--log-level", "warning", "--no-control-socket",
        ),
        env=env,
    )  # fmt: skip
    parts.start(
        "worker",
        python(
            "-m", "celery", "-A", "reviewportal", "worker", "--pool", "threads", "--concurrency", "4",
            "--queues", "wakes,screening,sequencer", "--loglevel", "WARNING",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ),
        env=env,
    )  # fmt: skip
    parts.start(
        "scheduler",
        python(
            "-m", "celery", "-A", "reviewportal", "beat", "--loglevel", "WARNING", "--pidfile", ""
        ),
        env=env,
    )


def _ready(portal: str) -> bool:
    try:
        with urllib.request.urlopen(f"{portal}/readyz", timeout=3) as answer:  # noqa: S310  our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _seed_drafts(parts: Supervisor) -> Iterator[str]:
    """The example agents send in consultations and hand-over sheets through the public API; what went wrong."""
    for arguments in clinic.visits():
        parts.check()
        try:
            # Nobody waits for the checks here: the worker is at them while the next one is sent.
            call_command(*arguments, "--wait", "0", stdout=io.StringIO(), stderr=io.StringIO())
        except CommandError as mistake:
            yield f"A draft could not be sent in: {mistake}"
