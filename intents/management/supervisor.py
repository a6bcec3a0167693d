"""Starts the demo's processes, watches them, and leaves none behind."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

_PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal a child gets when its parent dies


class PortTaken(Exception):
    """Another program listens where this one was to listen."""


class PartEnded(Exception):
    """A part of the demo stopped by itself."""


def check_port_free(*, host: str, port: int, what: str, variable: str) -> None:
    """Raise `PortTaken`, with the variable that moves it, when something listens there already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: a port in TIME_WAIT after a stop is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} is taken, so {what} cannot start. "
                f"Stop what listens there, or choose another with {variable}=..."
            ) from error


def _die_with_parent() -> None:
    """In the child: end when the supervisor is killed, so that nothing outlives it (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Supervisor:
    """A handful of processes that live and end together.

    Each part runs in a session of its own, so Ctrl-C reaches the supervisor alone and it can end the
    parts in order. Their output goes to one log file a part in `log_dir`.
    """

    log_dir: Path
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _logs: list[IO[bytes]] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], pipe: bool = False
    ) -> subprocess.Popen[bytes]:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        log = (self.log_dir / f"{name}.log").open("ab")
        self._logs.append(log)
        process = subprocess.Popen(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  the supervisor has no threads
        )
        self.parts[name] = process
        return process

    def check(self) -> None:
        """Raise `PartEnded` when a part is no longer running."""
        for name, process in self.parts.items():
            code = process.poll()
            if code is not None:
                raise PartEnded(
                    f"{name} ended by itself (exit {code}); its last words are in "
                    f"{self.log_dir / f'{name}.log'}"
                )

    def wait_for(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Ask until `ready()`; raise `PartEnded` when a part ends or the time is over."""
        until = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > until:
                raise PartEnded(f"{what} was not ready within {seconds:.0f} s.")
            time.sleep(0.2)

    def stop(self, *, patience: float = 8.0) -> None:
        """End every part and everything it started; kill what does not end in time."""
        for process in reversed(self.parts.values()):
            _signal_group(process, signal.SIGTERM)
        until = time.monotonic() + patience
        for process in self.parts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, until - time.monotonic()))
        for process in self.parts.values():
            _signal_group(process, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
            if process.stdout:
                process.stdout.close()
        self.parts.clear()
        for log in self._logs:
            log.close()
        self._logs.clear()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_on_sigterm() -> None:
    """Treat a polite stop, or a closed terminal, like Ctrl-C."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts us in the background has told us to ignore it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
