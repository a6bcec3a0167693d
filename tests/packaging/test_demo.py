"""`make demo` as a newcomer meets it: it starts, keeps its data, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.environment import ROOT

pytestmark = [pytest.mark.once, pytest.mark.xdist_group("demo")]

MEMORY_LIMIT = 900 * 1024 * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """One run of the supervisor on a folder of its own."""

    def __init__(self, folder: Path, *, port: int, ehr_port: int) -> None:
        self.folder, self.port = folder, port
        clean = {
            key: value
            for key, value in os.environ.items()
            if key
            not in (
                "VAR_DIR",
                "KEY_DIR",
                "DATA_DIR",
                "DATABASE_URL",
                "DJANGO_SETTINGS_MODULE",
                "SQLITE_SYNCHRONOUS",
                "LOG_LEVEL",
            )
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "said.txt"
        self._written = self.output.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            env={
                **clean,
                "DEMO_PORT": str(port),
                "DEMO_EHR_PORT": str(ehr_port),
                "DEMO_DIR": str(folder),
                "PYTHONUNBUFFERED": "1",
            },
            stdout=self._written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/readyz", timeout=3
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_ready(self, *, seconds: float) -> float:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if self.ready():
                return time.monotonic() - started
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.2)
        pytest.fail("the demo was not ready in time")

    def wait_said(self, words: str, *, seconds: float) -> str:
        """Read its output until it has said this."""
        started = time.monotonic()
        while words not in (said := self.output.read_text()):
            assert time.monotonic() - started < seconds, said
            assert self.process.poll() is None, said
            time.sleep(0.1)
        return said

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def pss(self) -> int:
        return sum(p.memory_full_info().pss for p in self.family())

    def interrupt(self) -> list[psutil.Process]:
        """Ctrl-C; returns what is still alive afterwards."""
        family = self.family()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)
        self._written.close()
        _, alive = psutil.wait_procs(family, timeout=5)
        return alive

    def drafts(self) -> list[tuple[str, str]]:
        import sqlite3

        with sqlite3.connect(self.folder / "data" / "portal.sqlite3") as database:
            rows = database.execute("select id, state from intents_intent order by id").fetchall()
        database.close()
        return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="module")
def story(folder: Path, ports: tuple[int, int]) -> Iterator[dict]:
    """First start, what it did, Ctrl-C, second start, Ctrl-C: told once, asserted on below."""
    port, ehr_port = ports
    told: dict = {}
    demo = Demo(folder, port=port, ehr_port=ehr_port)
    try:
        told["first_ready"] = demo.wait_ready(seconds=180)
        told["said"] = demo.wait_said("Open drafts have been sent in", seconds=180)
        until = time.monotonic() + 90
        while any(state == "DRAFTED" for _, state in demo.drafts()) and time.monotonic() < until:
            time.sleep(0.5)
        told["drafts"] = demo.drafts()
        told["pss"] = demo.pss()
        taken = subprocess.run(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            env={
                **os.environ,
                "DEMO_PORT": str(port),
                "DEMO_EHR_PORT": str(free_port()),
                "DEMO_DIR": str(folder.parent / "other"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told["taken"] = (taken.returncode, taken.stderr)
        told["left_first"] = demo.interrupt()
        demo = Demo(folder, port=port, ehr_port=ehr_port)
        told["second_ready"] = demo.wait_ready(seconds=60)
        told["drafts_again"] = [row[0] for row in demo.drafts()]
        told["left_second"] = demo.interrupt()
        yield told
    finally:
        if demo.process.poll() is None:
            demo.interrupt()


def test_it_greets_with_the_address_and_who_can_sign_in(story, ports):
    assert f"http://127.0.0.1:{ports[0]}/" in story["said"]
    assert "Dr A. Reyes" in story["said"]


def test_it_is_ready_in_time(story):
    assert story["first_ready"] < 180


def test_the_seeded_drafts_are_screened(story):
    states = [state for _, state in story["drafts"]]
    assert len(states) >= 6
    assert "DRAFTED" not in states
    assert "PENDING_APPROVAL" in states


def test_its_processes_share_less_than_900_mb(story):
    assert story["pss"] <= MEMORY_LIMIT, f"{story['pss'] / 1024 / 1024:.0f} MB"


def test_a_taken_port_is_said_in_a_sentence(story, ports):
    code, said = story["taken"]
    assert code != 0
    assert f"Port {ports[0]} is taken" in said
    assert "Traceback" not in said


def test_ctrl_c_leaves_no_process(story):
    assert story["left_first"] == []
    assert story["left_second"] == []


def test_a_second_start_is_quick_and_keeps_the_data(story):
    assert story["second_ready"] < 20
    assert story["drafts_again"] == [row[0] for row in story["drafts"]]


def test_the_state_for_visit_names_no_secret(story, folder):
    state = json.loads((folder / "demo.json").read_text())
    assert state["agents"]["Visit scribe"]["client_id"]
    assert "PRIVATE KEY" not in json.dumps(state)
