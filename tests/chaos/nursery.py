"""A process that has imported the portal once and forks its workers, so that killing one costs little.

Speaks JSON lines: one order on stdin ({"role": …, "place": …}), its answer and every death, stop and
continuation of a child on stdout. Run as `python -m tests.chaos.nursery`, with the settings of the
clinic in its environment.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests.environment import ROOT

_QUEUES = {"worker": "wakes", "screener": "screening", "sequencer": "sequencer"}


# --- the nursery itself ---------------------------------------------------------------------------


def _say(message: Mapping[str, Any]) -> None:
    # One write of less than a pipe's atomic size: the handler of SIGCHLD says its own between two.
    os.write(1, (json.dumps(message) + "\n").encode())


def _bury(*_: object) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            _say({"event": "stopped", "pid": pid})
        elif os.WIFCONTINUED(status):
            _say({"event": "continued", "pid": pid})
        else:
            _say({"event": "died", "pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _arm(order: Mapping[str, Any]) -> None:
    """Let this child meet its signal when it passes a place for the `after`-th time."""
    from intents.pipeline.delivery import faults

    left = int(order.get("after", 0))
    number = getattr(signal, order["signal"])

    def hook() -> None:
        nonlocal left
        if left:
            left -= 1
            return
        faults.disarm()
        os.kill(os.getpid(), number)

    faults.arm(order["place"], hook)


def _live(order: Mapping[str, Any], log: int) -> None:
    """What a child does for the rest of its life."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from reviewportal.celery import app
    from tests.chaos import planted

    planted.plant(order.get("bug", ""))
    if order.get("place"):
        _arm(order)
    role = order["role"]
    if role == "beat":
        app.start(["beat", "--loglevel", "WARNING", "--pidfile", ""])
        return
    app.worker_main(
        [
            "--quiet", "worker", "--pool", "threads", "--concurrency", "1",
            "--queues", _QUEUES[role], "--loglevel", "WARNING", "--hostname", f"{role}-{os.getpid()}@chaos",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]
    )  # fmt: skip


def _import_ahead(app: Any) -> None:
    """What a worker would import in its first second, which is most of what its birth costs."""
    import celery.apps.beat
    import celery.apps.worker
    import celery.bin.beat
    import celery.bin.worker
    import celery.concurrency.thread
    import celery.worker.autoscale
    import celery.worker.components
    import celery.worker.consumer
    import celery.worker.strategy  # noqa: F401 - imported before the fork, for every child

    # The broker's client library comes with the transport; nothing is connected yet.
    app.connection_for_write().transport  # noqa: B018 - asking makes it load


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reviewportal.settings")
    import django

    django.setup()
    from django.core.management.base import BaseCommand
    from django.db import connections
    from django.urls import get_resolver

    import intents.tasks  # noqa: F401  what the workers run
    from reviewportal.celery import app
    from tests.chaos import pace

    pace.quicken(app)
    # Whatever the first check imports is imported before the first fork.
    BaseCommand().check(databases=[])
    get_resolver().url_patterns  # noqa: B018 - asking makes it load
    app.loader.import_default_modules()
    app.finalize()
    _import_ahead(app)
    connections.close_all()
    log = os.open(
        Path(os.environ["VAR_DIR"]) / "members.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    if threading.active_count() > 1:
        raise SystemExit("A process with threads cannot be forked safely.")
    signal.signal(signal.SIGCHLD, _bury)
    _say({"event": "ready"})
    while True:
        line = sys.stdin.readline()
        if not line:
            break
        order = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            try:
                _live(order, log)
            except BaseException as error:  # noqa: BLE001  the child must not return into the nursery
                os.write(2, f"{os.getpid()} ended with {type(error).__name__}: {error}\n".encode())
                os._exit(1 if not isinstance(error, SystemExit) or error.code else 0)
            os._exit(0)
        _say({"event": "born", "pid": child, "order": order})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


# --- what the driver holds of it --------------------------------------------------------------------


@dataclass(slots=True)
class Member:
    """One forked process, as last heard of."""

    pid: int
    order: dict[str, Any]
    stopped: bool = False
    alive: bool = True
    code: int | None = None

    @property
    def role(self) -> str:
        return str(self.order["role"])


@dataclass
class Nursery:
    """The driver's end: bears members, and knows from the nursery itself what became of them."""

    environment: Mapping[str, str]
    process: subprocess.Popen[str] = field(init=False)
    members: dict[int, Member] = field(default_factory=dict)
    _born: Queue[dict[str, Any]] = field(default_factory=Queue)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery"],
            cwd=ROOT, env=dict(self.environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()
        self._answer(seconds=120)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            if message["event"] in ("ready", "born"):
                if message["event"] == "born":
                    with self._changed:
                        self.members[message["pid"]] = Member(message["pid"], message["order"])
                self._born.put(message)
                continue
            with self._changed:
                member = self.members.get(message["pid"])
                if member is None:
                    continue
                if message["event"] == "died":
                    member.alive, member.code = False, message["code"]
                else:
                    member.stopped = message["event"] == "stopped"
                self._changed.notify_all()

    def _answer(self, *, seconds: float) -> dict[str, Any]:
        try:
            return self._born.get(timeout=seconds)
        except Empty:
            raise RuntimeError("The nursery does not answer; see its output above.") from None

    def bear(self, role: str, **order: Any) -> Member:
        """Fork one member: a worker, a screener, a sequencer or beat. `place` and `signal` are what it dies or stops at."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"role": role, **order}) + "\n")
        self.process.stdin.flush()
        return self.members[self._answer(seconds=60)["pid"]]

    def signal(self, member: Member, number: signal.Signals) -> bool:
        """Send a signal; True once the kernel says that it had its effect."""
        if not member.alive:
            return False
        try:
            os.kill(member.pid, number)
        except ProcessLookupError:
            return False
        effect = {
            signal.SIGKILL: lambda: not member.alive and member.code == -signal.SIGKILL,
            signal.SIGSTOP: lambda: member.stopped,
            signal.SIGCONT: lambda: not member.stopped,
            signal.SIGTERM: lambda: not member.alive,
        }[number]
        return self.wait_for(effect, seconds=20)

    def wait_for(self, ready: Any, *, seconds: float) -> bool:
        with self._changed:
            return bool(self._changed.wait_for(ready, timeout=seconds))

    def dismiss(self) -> None:
        """Let everybody finish what they do and leave, as at the end of a day."""
        present = [each for each in list(self.members.values()) if each.alive]
        for member in present:
            try:
                os.kill(member.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        self.wait_for(lambda: not any(each.alive for each in present), seconds=30)
        for member in present:
            self.signal(member, signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left, members first."""
        for member in list(self.members.values()):
            if member.alive:
                self.signal(member, signal.SIGKILL)
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)


if __name__ == "__main__":
    main()
