"""Whole intake beside a bare view that parses and inserts one row: same server, same database, in turn."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import requests

from tests import embedded
from tests.bench.rounds import Result, Round, measure
from tests.environment import ROOT

_SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
_CONNECTIONS = 16


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(*, env: dict[str, str], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "gunicorn", "reviewportal.wsgi:application", "--bind", f"127.0.0.1:{port}",
            "--workers", "2", "--threads", "8", "--worker-class", "gthread", "--preload",
            "--log-level", "error", "--no-control-socket",
        ],
        cwd=ROOT,
        env=env,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _rate(send: Callable[[requests.Session], int]) -> float:
    """Requests a second over all connections; any other answer than 201 ends the run."""
    counts = [0] * _CONNECTIONS
    failed: list[int] = []
    end = time.monotonic() + _SECONDS

    def work(n: int) -> None:
        with requests.Session() as session:
            while time.monotonic() < end and not failed:
                status = send(session)
                if status != 201:
                    failed.append(status)
                    return
                counts[n] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(_CONNECTIONS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(f"an answer was {failed[0]}, not 201")
    return sum(counts) / (time.monotonic() - started)


def _flush_milliseconds() -> float:
    """200 one-row commits by one client: what a durable commit costs here, now."""
    from django.db import connection, transaction

    from tests.bench.models import BareRow

    started = time.perf_counter()
    for _ in range(200):
        with transaction.atomic():
            BareRow.objects.create(body="x")
    elapsed = (time.perf_counter() - started) / 200 * 1000
    connection.close()
    return elapsed


def _furnish(folder: Path) -> tuple[str, Path, str, int]:
    """A workspace with one agent; returns client id, key file, body, statements of one intake."""
    from datetime import timedelta

    from django.db import connection, transaction
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from intents.governance.models import (
        Agent,
        AgentCredential,
        EhrConnection,
        ScopeGrant,
    )
    from intents.governance.opening import open_workspace
    from intents.governance.tenancy import tenant_context
    from intents.management.clinic import INSTALLATION
    from intents.management.keypairs import make_key_pair
    from intents.pipeline import intake

    at = timezone.now()
    by = {"actor": INSTALLATION, "at": at}
    with transaction.atomic():
        tenant = open_workspace(name=f"Bench {uuid.uuid4()}", **by)
        with tenant_context(tenant.pk):
            link = EhrConnection.add(
                tenant=tenant,
                name="bench-r4",
                kind="generic_r4",
                base_url="http://127.0.0.1:9/fhir",
                **by,
            )
            agent = Agent.admit(tenant=tenant, name="Bench agent", **by)
            ScopeGrant.grant(
                agent=agent,
                connection=link,
                scope="system/DocumentReference.c",
                lane="suggest",
                **by,
            )
            key_file = folder / f"{uuid.uuid4()}.pem"
            credential = AgentCredential.issue_key(
                agent=agent,
                lane="suggest",
                public_key=make_key_pair(key_file),
                expires_at=at + timedelta(days=1),
                **by,
            )
    body = _body()
    with CaptureQueriesContext(connection) as captured:
        intake.receive(
            credential=credential,
            lane="suggest",
            key=str(uuid.uuid4()),
            raw_body=body.encode(),
            at=at,
        )
    connection.close()
    return str(credential.pk), key_file, body, len(captured)


def _body() -> str:
    line = "Patient: I have had a made-up cough for three weeks, mostly at night, and it is no better.\n"
    text = line * 14
    words = "Reports a cough for three weeks, mostly at night."
    return json.dumps(
        {
            "connection": "bench-r4",
            "patient": {
                "id": "p1",
                "family": "BENCHLEY",
                "birth_date": "1960-01-01",
                "given": "Ann",
                "sex": "female",
                "mrn": "1",
            },
            "encounter": "e1",
            "task_type": "visit-note",
            "summary": "Draft of a visit note",
            "model": {"name": "rules", "version": "1", "prompt_hash": "sha256:" + "0" * 64},
            "sources": [{"ref": "s1", "kind": "transcript", "title": "Visit", "text": text}],
            "changes": [
                {
                    "ref": "c1",
                    "kind": "note",
                    "interaction": "create",
                    "content": {
                        "type": "11506-3",
                        "status": "unsigned",
                        "sensitivity": "normal",
                        "sections": [{"title": f"Section {n}", "text": words} for n in range(5)],
                    },
                    "evidence": [
                        {
                            "path": f"/sections/{n}/text",
                            "span": [0, len(words)],
                            "source": "s1",
                            "start": n * len(line) + 9,
                            "end": n * len(line) + 9 + 40,
                            "quote": text[n * len(line) + 9 : n * len(line) + 49],
                            "method": "derived",
                        }
                        for n in range(5)
                    ],
                }
            ],
        }
    )


def run(*, rounds: int) -> list[Result]:
    with (
        tempfile.TemporaryDirectory() as name,
        embedded.postgresql(Path(name) / "postgresql", durable=True) as url,
    ):
        return _run(Path(name), url=url, rounds=rounds)


def _run(folder: Path, *, url: str, rounds: int) -> list[Result]:
    port = _free_port()
    portal = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.bench.settings",
        "DATABASE_URL": url,
        "VAR_DIR": str(folder / "var"),
        "PORTAL_URL": portal,
        "AGENT_REQUESTS_PER_MINUTE": "100000000",
        "LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.inside", str(folder)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    facts = json.loads(done.stdout.strip().splitlines()[-1])
    body = facts["body"].encode()
    token = {"value": "", "until": 0.0}
    lock = threading.Lock()

    def bearer() -> str:
        with lock:
            if time.time() > token["until"]:
                token["value"], token["until"] = _token(facts, portal=portal)
            return str(token["value"])

    def ours(session: requests.Session) -> int:
        return session.post(
            f"{portal}/api/v1/suggest/proposals",
            data=body,
            headers={
                "Authorization": f"Bearer {bearer()}",
                "Idempotency-Key": str(uuid.uuid4()),
                "Content-Type": "application/json",
            },
            timeout=30,
        ).status_code

    def limit(session: requests.Session) -> int:
        return session.post(
            f"{portal}/bare", data=body, headers={"Content-Type": "application/json"}, timeout=30
        ).status_code

    with _server(env=env, port=port):
        _rate(limit)  # connections and caches warm
        _rate(ours)
        found: tuple[Round, ...] = measure(
            limit=lambda: _rate(limit), ours=lambda: _rate(ours), rounds=rounds
        )
    return [
        Result(
            name="Full intake / bare view with one insert, PostgreSQL, durable commits",
            unit="requests/s",
            goal=0.50,
            at_most=False,
            rounds=found,
            remark=(
                f"body {len(body)} bytes; {facts['statements']} database statements an intake; "
                f"flush {facts['flush_ms']:.2f} ms a commit"
            ),
        )
    ]


def _token(facts: dict[str, str], *, portal: str) -> tuple[str, float]:
    now = int(time.time())
    assertion = jwt.encode(
        {
            "iss": facts["client_id"], "sub": facts["client_id"], "aud": f"{portal}/oauth/token",
            "iat": now, "exp": now + 120, "jti": str(uuid.uuid4()),
        },
        Path(facts["key_file"]).read_text(),
        algorithm="ES384",
    )  # fmt: skip
    answer = requests.post(
        f"{portal}/oauth/token",
        data={
            "grant_type": "client_credentials",
            "scope": "portal/suggest",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        },
        timeout=30,
    )
    answer.raise_for_status()
    granted = answer.json()
    return granted["access_token"], time.time() + granted["expires_in"] - 30
