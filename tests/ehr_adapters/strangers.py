"""A FHIR server that this project did not write, as a test partner: a process of its own, spoken to over HTTP.

    from tests.ehr_adapters.strangers import adapter, chart, server   # fixtures

It lies beside the checkout; INTEROP_DIR names another place. With REQUIRE_INTEROP=1 its absence is a failure,
else the tests are skipped with the reason. One process of each mode serves the whole run.
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.conf import settings

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.contract import Connection, ReadRequest, WireRequest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("package.json", ".npmrc", "server.mjs")
AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SECONDS = 60
# With STOCK=1 the server keeps its authors' repository as it was published.
MODES = {"transactional": "0", "stock": "1"}
FHIR_JSON = "application/fhir+json"


def absent(reason: str) -> None:
    """Skips the test; fails it where everything has to be there."""
    if os.environ.get("REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _server_folder() -> Path:
    """A private copy of the server with its packages: the original is never written to."""
    source = Path(
        os.environ.get("INTEROP_DIR", str(ROOT / "../shared/interop/fhir-server"))
    ).resolve()
    if not (source / "server.mjs").is_file():
        absent("The third-party FHIR server is not beside the checkout (INTEROP_DIR).")
    if shutil.which("node") is None:
        absent("The third-party FHIR server needs Node, which is not installed.")
    if (source / "node_modules").is_dir():
        return source
    folder = Path(settings.VAR_DIR) / "interop-fhir-server"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    if not (folder / "node_modules").is_dir():
        if shutil.which("npm") is None:
            absent("The third-party FHIR server's packages are missing, and so is npm.")
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            absent("The third-party FHIR server's packages could not be installed.")
    return folder


class Server:
    """The running server: its addresses, its faults, entries made past the adapter."""

    def __init__(self, base: str, token_url: str) -> None:
        self.base, self.token_url = base, token_url
        self.admin = base.replace("/fhir/R4", "/admin")
        self.http = requests.Session()
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.client_id = f"portal-{uuid.uuid4()}"
        self._token = ""
        self.admit(self.client_id, self.key.public_key())

    def admit(self, client_id: str, public: ec.EllipticCurvePublicKey, key_id: str = "k1") -> None:
        """Register a backend service that may do everything."""
        algorithm = jwt.algorithms.ECAlgorithm
        jwk = json.loads(algorithm(algorithm.SHA384).to_jwk(public))
        keys = [{**jwk, "kid": key_id, "alg": "ES384", "use": "sig"}]
        self.order(
            "POST",
            "clients",
            {"client_id": client_id, "jwks": {"keys": keys}, "scope": "system/*.cruds"},
        )

    def order(self, method: str, name: str, body: Any = None) -> Any:
        reply = self.http.request(method, f"{self.admin}/{name}", json=body, timeout=SECONDS)
        assert reply.ok, reply.text
        return reply.json()

    def fault(self, kind: str, *, path: str = "", method: str = "", **more: Any) -> None:
        self.order("DELETE", "faults")
        order = {"fault": kind, "times": 1, **more}
        if path:
            order["path"] = path
        if method:
            order["method"] = method
        self.order("POST", "faults", order)

    def clear_faults(self) -> None:
        self.order("DELETE", "faults")

    def connection(self, **more: Any) -> Connection:
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        values: dict[str, Any] = {
            "kind": "generic_r4",
            "base_url": self.base,
            "token_url": self.token_url,
            "client_id": self.client_id,
            "private_key_pem": pem,
            "key_id": "k1",
            "read_timeout": 20.0,
            "settings": {
                "conditional_create_probed": "2026-11-20",
                "stale_if_match_probed": "2026-11-20",
            },
        }
        return Connection(**(values | more))

    def adapter(self, **more: Any) -> EhrAdapter:
        return registry.get_adapter(self.connection(**more))

    def token(self) -> str:
        """A token for everything, of a colleague's own program; good for the whole of one test."""
        if not self._token:
            step = WireRequest(
                method="POST", path="x", headers=(), body=b"", label="", scope="system/*.cruds"
            )
            self._token = self.adapter().authenticate(step).value
        return self._token

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """One request past the adapter under test; bytes are sent as they are."""
        content = json.dumps(body).encode() if isinstance(body, dict | list) else body
        named = {"Authorization": f"Bearer {self.token()}", "Content-Type": FHIR_JSON} | headers
        reply = self.http.request(
            method, f"{self.base}/{path}", data=content, headers=named, timeout=SECONDS
        )
        if reply.status_code == 401 and self._token:
            self._token = ""
            return self.ask(method, path, body, **headers)
        return reply

    def raw(self, method: str, path: str, body: Any = None) -> Any:
        """What a colleague does: with a token of its own, past the adapter under test."""
        reply = self.ask(method, path, body)
        assert reply.ok, reply.text
        return reply.json() if reply.content else None

    def make(self, resource: dict[str, Any]) -> str:
        """Files a new entry; its reference."""
        made = self.raw("POST", resource["resourceType"], resource)
        return f"{made['resourceType']}/{made['id']}"

    def writes(self) -> list[dict[str, Any]]:
        """The writes that reached the server, whatever it answered."""
        return [
            entry
            for entry in self.order("GET", "log")
            if entry["method"] in {"POST", "PUT"} and "/fhir/" in entry["url"]
        ]


class Strangers:
    """The server in both of its modes, each started when it is first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[subprocess.Popen[str], Server]] = {}

    def __call__(self, mode: str) -> Server:
        if mode not in self._running:
            self._running[mode] = self._start(MODES[mode])
        return self._running[mode][1]

    @staticmethod
    def _start(stock: str) -> tuple[subprocess.Popen[str], Server]:
        process = subprocess.Popen(
            ["node", "server.mjs"],
            cwd=_server_folder(),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PORT": "0", "STOCK": stock},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.kill()
            process.wait(SECONDS)
            absent("The third-party FHIR server did not start.")
        ready = json.loads(line)
        assert ready["stock"] == (stock == "1")
        return process, Server(ready["base"], ready["token"])

    def stop(self) -> None:
        for process, server in self._running.values():
            server.http.close()
            process.terminate()
            process.wait(SECONDS)
            if process.stdout is not None:
                process.stdout.close()


def request(chart: dict[str, str], kind: str, **more: Any) -> ReadRequest:
    """What is read for a draft of this kind in the visit of `chart`."""
    asked = ReadRequest(patient=chart["patient"], encounter=chart["encounter"], kind=kind, at=AT)
    return replace(asked, **more)


def furnish(server: Server) -> dict[str, str]:
    """A made-up patient in an open visit: the ids by which they are known, and the family name."""
    family = f"Kestrel{uuid.uuid4().hex[:8]}"
    patient = server.make(
        {
            "resourceType": "Patient",
            "name": [{"family": family, "given": ["Ada"]}],
            "birthDate": "1957-03-14",
            "gender": "female",
            "identifier": [{"system": "urn:clinic:mrn", "value": "220744163"}],
            "extension": [{"url": "urn:clinic:weighting", "valueDecimal": 0.30000000000000004}],
        }
    )
    practitioner = server.make({"resourceType": "Practitioner", "name": [{"family": "Vela"}]})
    encounter = server.make(open_visit(patient, practitioner))
    return {
        "patient": patient.partition("/")[2],
        "encounter": encounter.partition("/")[2],
        "practitioner": practitioner.partition("/")[2],
        "family": family,
    }


def open_visit(patient: str, practitioner: str) -> dict[str, Any]:
    """A visit in progress; both are references."""
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": patient},
        "participant": [{"individual": {"reference": practitioner}}],
        "period": {"start": "2026-11-20T08:30:00-06:00"},
    }


# --- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def strangers() -> Iterator[Callable[[str], Server]]:
    """The server by the name of its mode; processes that run until the end."""
    running = Strangers()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(params=sorted(MODES, reverse=True))
def server(request: pytest.FixtureRequest, strangers: Callable[[str], Server]) -> Server:
    """The server without faults, in each of its modes."""
    running = strangers(request.param)
    running.clear_faults()
    return running


@pytest.fixture
def adapter(server: Server) -> EhrAdapter:
    return server.adapter()


@pytest.fixture
def chart(server: Server) -> dict[str, str]:
    """A made-up patient in an open visit."""
    return furnish(server)
