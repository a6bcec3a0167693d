"""The real practice EHR as a test partner: a process of its own, spoken to over HTTP only.

    from tests.ehr_adapters.practice import practice, fresh_practice   # fixtures

`practice` lives for the whole run; `fresh_practice` is the same process with newly seeded charts.
"""

import functools
import json
import os
import select
import subprocess
import sys
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

READY_SECONDS = 30
FHIR_JSON = "application/fhir+json"
SESSION_START = datetime.now(UTC).isoformat()


class Practice:
    """One running practice EHR. Every method speaks to its control surface unless it says otherwise."""

    def __init__(self, folder: Path, *, port: int = 0, token_seconds: int = 300) -> None:
        self.folder, self.port, self.token_seconds = folder, port, token_seconds
        self.process: subprocess.Popen[str] | None = None
        self.http = requests.Session()

    # --- the process ----------------------------------------------------------------------------------

    def start(self) -> "Practice":
        """Starts the process and waits for its ready line."""
        command = [
            sys.executable, "-m", "ehr_adapters.sandbox", "--port", str(self.port), "--data", str(self.folder),
            "--token-seconds", str(self.token_seconds),
        ]  # fmt: skip
        environment = {
            key: value for key, value in os.environ.items() if key != "PORTAL_ENVIRONMENT"
        }
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment,
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.process.kill()
            pytest.fail(f"the practice EHR did not start (exit {self.process.wait(READY_SECONDS)})")
        ready = json.loads(line)
        assert ready["ready"] is True
        self.port = ready["port"]
        return self

    def stop(self) -> int:
        """Ends the process; its exit code."""
        if self.process is None:
            return 0
        self.http.close()
        self.process.terminate()
        code = self.process.wait(READY_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_urls(self) -> dict[str, str]:
        """The FHIR base of each vendor."""
        return {
            "generic": f"{self.root}/generic/fhir/R4",
            "epic": f"{self.root}/epic/api/FHIR/R4",
            "advancedmd": f"{self.root}/advancedmd/v1/r4/175",
            "eclinicalworks": f"{self.root}/eclinicalworks/fhir/r4/NRTHGA",
            "athenahealth": f"{self.root}/athenahealth/fhir/r4",
            "veradigm": f"{self.root}/veradigm/fhirroute/fhir/CP00101",
        }

    @property
    def token_urls(self) -> dict[str, str]:
        usual = {vendor: f"{self.root}/{vendor}/oauth2/token" for vendor in self.base_urls}
        return usual | {
            "eclinicalworks": f"{self.root}/eclinicalworks/oauth/oauth2/token",
            "advancedmd": f"{self.root}/advancedmd/v1/oauth2/token",
            "veradigm": f"{self.root}/veradigm/fhirroute/authorizationV2/CP00101/connect/token",
        }

    # --- the control surface ----------------------------------------------------------------------------

    def control(self, method: str, name: str, body: Any = None, /, **query: Any) -> Any:
        """One order to /_practice/; fails the test unless it is carried out."""
        reply = self.try_control(method, name, body, **query)
        assert reply.status_code == 200, f"{method} {name}: {reply.status_code} {reply.text[:300]}"
        return reply.json()

    def try_control(
        self, method: str, name: str, body: Any = None, /, **query: Any
    ) -> requests.Response:
        """One order to /_practice/, whatever comes of it."""
        return self.http.request(
            method, f"{self.root}/_practice/{name}", json=body, params=query, timeout=READY_SECONDS
        )

    def seed(self, **order: Any) -> dict[str, Any]:
        return self.control("POST", "seed", order)

    def reset(self, **order: Any) -> dict[str, Any]:
        return self.control("POST", "reset", order)

    def directory(self, vendor: str = "generic") -> dict[str, Any]:
        return self.control("GET", "directory")[vendor]

    def fault(self, kind: str, /, **order: Any) -> dict[str, Any]:
        """Scripts a fault: vendor, method, path, times, skip and what its kind takes."""
        return self.control("POST", "faults", {"fault": kind, **order})

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def lever(self, name: str, /, **order: Any) -> dict[str, Any]:
        """Pulls a lever: what a colleague does in the EHR."""
        return self.control("POST", f"levers/{name}", order)

    def log(self, **query: Any) -> list[dict[str, Any]]:
        """Logged requests, oldest first."""
        return self.control("GET", "log", None, **query)["entries"]

    def resources(self, **query: Any) -> list[dict[str, Any]]:
        return self.control("GET", "resources", None, **query)["resources"]

    def staged(self, **query: Any) -> list[dict[str, Any]]:
        return self.control("GET", "resources", None, **query)["staged"]

    def settings(self, vendor: str, /, **values: Any) -> dict[str, Any]:
        return self.control("POST", "settings", {vendor: values})

    def client(self, vendor: str = "generic", **registration: Any) -> "Backend":
        """A newly registered backend service with its own ES384 key."""
        return Backend(self, vendor, **registration)


class Backend:
    """A registered backend service that speaks to one front."""

    def __init__(
        self, practice: Practice, vendor: str, *, scope: str = "system/*.cruds", **registration: Any
    ) -> None:
        self.practice, self.vendor, self.scope = practice, vendor, scope
        self.client_id = registration.pop("client_id", f"test-{uuid.uuid4()}")
        self.key = registration.pop("key", None) or (
            _rsa_key() if vendor == "eclinicalworks" else ec.generate_private_key(ec.SECP384R1())
        )
        self.base = practice.base_urls[vendor]
        self.token_url = practice.token_urls[vendor]
        self.http = practice.http
        self._token = ""
        practice.control(
            "POST",
            "clients",
            {
                "vendor": vendor,
                "client_id": self.client_id,
                "jwk": self.jwk(),
                "scope": scope,
                **registration,
            },
        )

    def jwk(self) -> dict[str, Any]:
        if self.alg == "RS384":
            public = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA384).to_jwk(
                self.key.public_key()
            )
        else:
            public = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA384).to_jwk(
                self.key.public_key()
            )
        return {**json.loads(public), "kid": "test-1", "alg": self.alg, "use": "sig"}

    @property
    def alg(self) -> str:
        """What this key signs with."""
        return "RS384" if isinstance(self.key, rsa.RSAPrivateKey) else "ES384"

    def pem(self) -> str:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()  # fmt: skip

    def assertion(self, *, key: Any = None, alg: str = "", **claims: Any) -> str:
        """A client assertion; keyword claims replace the right ones, None leaves one out."""
        right = {
            "iss": self.client_id, "sub": self.client_id, "aud": self.token_url, "exp": int(time.time()) + 240,
            "jti": str(uuid.uuid4()),
        }  # fmt: skip
        body = {name: value for name, value in {**right, **claims}.items() if value is not None}
        return jwt.encode(
            body, key or self.key, algorithm=alg or self.alg, headers={"kid": "test-1"}
        )

    def ask_token(
        self, assertion: str | None = None, scope: str | None = None, **form: str
    ) -> requests.Response:
        return self.http.post(
            self.token_url,
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion or self.assertion(),
                "scope": scope or self.scope,
                **form,
            },
            timeout=READY_SECONDS,
        )

    def token(self) -> str:
        """One access token, kept for the life of this object."""
        if not self._token:
            reply = self.ask_token()
            assert reply.status_code == 200, reply.text
            self._token = reply.json()["access_token"]
        return self._token

    def forget_token(self) -> None:
        self._token = ""

    def request(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None,
        timeout: float = READY_SECONDS, http: Any = None, **query: Any,
    ) -> requests.Response:  # fmt: skip
        """One FHIR request. A dict body is sent as FHIR JSON, bytes as they are."""
        content = json.dumps(body).encode() if isinstance(body, dict | list) else body
        sent = {"Authorization": f"Bearer {self.token()}", "Accept": FHIR_JSON}
        if content is not None:
            sent["Content-Type"] = FHIR_JSON
        url = path if path.startswith("http") else f"{self.base}/{path}".rstrip("/")
        return (http or self.http).request(
            method, url, data=content, params=query, headers=sent | (headers or {}), timeout=timeout,
            allow_redirects=False,
        )  # fmt: skip

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> requests.Response:
        return self.request("POST", path, body, **more)

    def put(self, path: str, body: Any, **more: Any) -> requests.Response:
        return self.request("PUT", path, body, **more)

    def found(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The matching resources of every page of a search."""
        resources, reply = [], self.get(path, **query)
        while True:
            assert reply.status_code == 200, reply.text
            bundle = reply.json()
            resources += [
                entry["resource"]
                for entry in bundle.get("entry", [])
                if entry["search"]["mode"] == "match"
            ]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                return resources
            reply = self.get(following[0])


@functools.cache
def _rsa_key() -> rsa.RSAPrivateKey:
    """One key for the whole run: making one takes its time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


# --- resources to send ------------------------------------------------------------------------------------

TAG_SYSTEM = "urn:test:tag"


def coded(system: str, code: str, display: str = "") -> dict[str, Any]:
    return {
        "coding": [{"system": system, "code": code} | ({"display": display} if display else {})]
    }


def minutes_ago(minutes: int) -> str:
    """An instant before now: charts are seeded around the clock of the machine."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="seconds")


def note(
    patient: str, encounter: str, text: str = "Seen today. Well.", **more: Any
) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "preliminary",
        "type": coded("http://loinc.org", "11506-3", "Progress note"),
        "subject": {"reference": f"Patient/{patient}"},
        "content": [
            {"attachment": {"contentType": "text/plain", "data": b64encode(text.encode()).decode()}}
        ],
        "context": {"encounter": [{"reference": f"Encounter/{encounter}"}]},
    } | more


def problem(
    patient: str, *, tag: str = "", verification: str = "confirmed", **more: Any
) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        **({"identifier": [{"system": TAG_SYSTEM, "value": tag}]} if tag else {}),
        "clinicalStatus": coded(
            "http://terminology.hl7.org/CodeSystem/condition-clinical", "active"
        ),
        "verificationStatus": coded(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", verification
        ),
        "category": [
            coded("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item")
        ],
        "code": coded("http://hl7.org/fhir/sid/icd-10-cm", "R42", "Dizziness and giddiness"),
        "subject": {"reference": f"Patient/{patient}"},
    } | more


def allergy(patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": coded(
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"
        ),
        "category": ["food"],
        "code": coded("http://snomed.info/sct", "256349002", "Peanut (substance)"),
        "patient": {"reference": f"Patient/{patient}"},
        "reaction": [
            {"manifestation": [coded("http://snomed.info/sct", "247472004", "Wheal (finding)")]}
        ],
    } | more


def vital(
    patient: str,
    encounter: str,
    *,
    code: str = "8867-4",
    value: tuple[float, str] = (72, "/min"),
    **more: Any,
) -> dict[str, Any]:
    unit = {
        "value": value[0],
        "unit": value[1],
        "system": "http://unitsofmeasure.org",
        "code": value[1],
    }
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            coded("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")
        ],
        "code": coded("http://loinc.org", code),
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/{encounter}"},
        "effectiveDateTime": minutes_ago(5),
        "valueQuantity": unit,
    } | more


# --- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """One practice EHR for the whole run, seeded."""
    running = Practice(tmp_path_factory.mktemp("practice")).start()
    try:
        running.seed()
        yield running
    finally:
        running.stop()


@pytest.fixture
def fresh_practice(practice: Practice) -> Practice:
    """The practice EHR with newly seeded charts, no faults, an empty log and the usual settings."""
    # The same moment each time: the practice then writes its seeded rows again without making them anew.
    practice.reset(seed=True, everything=True, now=SESSION_START)
    return practice
