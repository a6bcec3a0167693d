"""A real Celery worker, woken over Redis, takes a draft from received to read back by itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from kombu import pools

from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from tests import embedded
from tests.environment import ROOT
from tests.factories import Clinic

pytestmark = [pytest.mark.celery, pytest.mark.xdist_group("worker")]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@contextmanager
def publishing_to(url: str) -> Iterator[None]:
    """This process publishes its wakes to that broker."""
    from reviewportal.celery import app

    before = app.conf.broker_url, app.conf.broker_write_url, app.conf.broker_transport_options
    _reconnect(app, url, url, {"max_retries": 0})
    try:
        yield
    finally:
        _reconnect(app, *before)


def _reconnect(app: Any, url: str, write_url: str, options: dict[str, Any]) -> None:
    app.conf.broker_url, app.conf.broker_write_url = url, write_url
    app.conf.broker_transport_options = options
    # Connections of the other broker are forgotten; kombu keeps pools by connection, per process.
    pools.reset()
    app._pool = None
    app.amqp._producer_pool = None


@pytest.fixture
def publisher(broker: str) -> Iterator[None]:
    with publishing_to(broker):
        yield


@pytest.fixture
def worker(
    broker: str, publisher: None, clinic: Clinic, tmp_path: Path
) -> Iterator[subprocess.Popen]:
    with working(broker, log_file=tmp_path / "worker.log") as process:
        yield process


@contextmanager
def working(broker: str, *, log_file: Path) -> Iterator[subprocess.Popen]:
    """A worker for all queues, on this test's database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        configured = os.environ["DATABASE_URL"]
        base, _, query = configured.partition("?")
        url = f"{base.rsplit('/', 1)[0]}/{database['NAME']}" + (f"?{query}" if query else "")
    log = log_file.open("wb")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "reviewportal", "worker", "--pool", "threads",
            "--concurrency", "2", "--queues", "wakes,screening,sequencer", "--loglevel", "WARNING",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ],
        cwd=ROOT,
        env={
            **os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": broker, "DEMO_MODE": "1",
            "VAR_DIR": str(settings.VAR_DIR), "KEY_DIR": str(settings.KEY_DIR),
            "AUDIT_WITNESS_FILE": str(settings.AUDIT_WITNESS_FILE),
        },
        stdout=log,
        stderr=log,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def wait_until(ready: Callable[[], bool], *, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "the worker did not get there in time"
        time.sleep(0.1)


@pytest.mark.req("002-02")
def test_wakes_over_redis_carry_a_note_from_received_to_read_back(worker, clinic):
    with transaction.atomic():
        clinic.tenant.change(actor=INSTALLATION, at=clinic.at, undo_seconds=0)
    proposal = clinic.propose()
    wait_until(lambda: clinic.intent(proposal).state == State.PENDING_APPROVAL)
    from django.utils import timezone

    clinic.approve(proposal, at=timezone.now())
    from intents.pipeline import outbox

    # Approval wakes the sequencer, its checkpoint wakes dispatch, and the sweep reads back.
    wait_until(lambda: clinic.intent(proposal).state in (State.ACCEPTED, State.RECONCILED))
    outbox.wake("reconciliation")
    wait_until(lambda: clinic.intent(proposal).state == State.RECONCILED)
    assert len(clinic.written()) == 1


@pytest.mark.fault("broker-lost")
def test_a_worker_that_loses_its_broker_still_sends_what_is_approved(clinic, tmp_path):
    from django.utils import timezone

    from intents.models import Heartbeat

    with transaction.atomic():
        clinic.tenant.change(actor=INSTALLATION, at=clinic.at, undo_seconds=0)
    with ExitStack() as stack:
        with embedded.redis(tmp_path / "redis") as url, publishing_to(url):
            stack.enter_context(working(url, log_file=tmp_path / "worker.log"))
            wait_until(lambda: Heartbeat.objects.filter(name="sequencer").exists())
            proposal = clinic.propose()
            wait_until(lambda: clinic.intent(proposal).state == State.PENDING_APPROVAL)
        # From here on there is no broker; the approval's wake reaches nobody.
        with publishing_to("redis://127.0.0.1:1/0"):
            clinic.approve(proposal, at=timezone.now())
        wait_until(lambda: clinic.intent(proposal).state in (State.ACCEPTED, State.RECONCILED))
        assert len(clinic.written()) == 1


@pytest.mark.fault("broker-lost")
def test_a_broker_that_is_down_holds_up_nobody_and_loses_nothing(clinic, settings):
    with publishing_to("redis://127.0.0.1:1/0"):
        started = time.monotonic()
        proposal = clinic.propose()
        assert time.monotonic() - started < 5
    from intents.pipeline import screening

    assert screening.screen_due(at=clinic.at) >= 1
    assert clinic.intent(proposal).state == State.PENDING_APPROVAL
