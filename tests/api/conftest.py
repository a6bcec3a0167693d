"""Two clinics, agents in each lane, and a client that speaks the API as a program would."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone

from audit.actors import Actor, ActorKind
from intents.governance import encryption
from intents.governance.models import (
    Agent,
    AgentCredential,
    EhrConnection,
    ScopeGrant,
    Tenant,
)

INSTALLER = Actor.system(ActorKind.INSTALLATION)
SCOPES = {
    "system/DocumentReference.cu": "commit",
    "system/Condition.cu": "commit",
}
TRANSCRIPT = (
    "Doctor: how are you?\nPatient: my knee hurts since March. No fever. It is the left knee."
)
KNEE = TRANSCRIPT.index("my knee hurts")


def post_form(path: str, form: dict[str, Any], **extra: Any) -> Any:
    """A POST as a program sends a form: urlencoded, never multipart."""
    return Client().post(
        path,
        urlencode(form, doseq=True),
        content_type="application/x-www-form-urlencoded",
        **extra,
    )


_keys: dict[str, ec.EllipticCurvePrivateKey] = {}


def private_key(name: str = "one") -> ec.EllipticCurvePrivateKey:
    if name not in _keys:
        _keys[name] = ec.generate_private_key(ec.SECP384R1())
    return _keys[name]


def public_pem(name: str = "one") -> str:
    return (
        private_key(name)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture(autouse=True)
def own_keys_and_counters(tmp_path: Any, settings: Any) -> Iterator[None]:
    settings.KEY_DIR = tmp_path / "keys"
    settings.KEY_DIR.mkdir(mode=0o700)
    encryption._memory.forget()
    cache.clear()
    yield
    encryption._memory.forget()
    cache.clear()


@dataclass
class Program:
    """An agent as its makers see it: a credential, a key, and requests."""

    credential: AgentCredential
    key: ec.EllipticCurvePrivateKey
    portal: str

    @property
    def agent(self) -> Agent:
        return self.credential.agent

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(timezone.now().timestamp())
        name = str(self.credential.pk)
        claims = {
            "iss": name,
            "sub": name,
            "aud": f"{self.portal}/oauth/token",
            "iat": now,
            "exp": now + 120,
            "jti": str(uuid4()),
        }
        claims.update(changed)
        return {key: value for key, value in claims.items() if value is not None}

    def form(self, *, alg: str = "ES384", key: Any = None, **changed: Any) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(self.claims(**changed), key or self.key, algorithm=alg),
        }

    def sign_in(self, scope: str | None = None) -> str:
        form = self.form() | ({"scope": scope} if scope else {})
        answer = post_form("/oauth/token", form)
        assert answer.status_code == 200, answer.content
        return answer.json()["access_token"]

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.sign_in()}"}

    def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Client().post(
            path,
            raw,
            content_type="application/json",
            headers={
                **self.headers(),
                **({"Idempotency-Key": key or str(uuid4())} if key != "" else {}),
                **headers,
            },
        )

    def propose(self, body: Any, *, key: str | None = None, lane: str | None = None) -> Any:
        return self.post(f"/api/v1/{lane or self.credential.lane}/proposals", body, key=key)

    def get(self, path: str, **parameters: str) -> Any:
        return Client().get(path, parameters, headers=self.headers())


def set_up_clinic(name: str) -> tuple[Tenant, EhrConnection]:
    by = {"actor": INSTALLER, "at": timezone.now() - timedelta(days=1)}
    with transaction.atomic():
        tenant = Tenant.create(name=name, **by)
        connection = EhrConnection.add(
            tenant=tenant,
            name="generic",
            kind="generic_r4",
            base_url="http://127.0.0.1:8001/generic/fhir/R4",
            **by,
        )
    return tenant, connection


def set_up_program(
    tenant: Tenant,
    connection: EhrConnection | None,
    *,
    lane: str = "suggest",
    name: str | None = None,
    scopes: dict[str, str] | None = None,
    portal: str,
) -> Program:
    by = {"actor": INSTALLER, "at": timezone.now() - timedelta(days=1)}
    with transaction.atomic():
        agent = Agent.admit(
            tenant=tenant, name=name or f"scribe-{lane}", lane_ceiling="commit", **by
        )
        for scope, up_to in (SCOPES if scopes is None else scopes).items():
            ScopeGrant.grant(agent=agent, connection=connection, scope=scope, lane=up_to, **by)
        credential = AgentCredential.issue_key(
            agent=agent,
            lane=lane,
            public_key=public_pem(agent.name),
            expires_at=timezone.now() + timedelta(days=30),
            **by,
        )
    return Program(credential=credential, key=private_key(agent.name), portal=portal)


@pytest.fixture
def clinic(db: None) -> tuple[Tenant, EhrConnection]:
    return set_up_clinic("Northgate")


@pytest.fixture
def add_program(clinic: Any, settings: Any) -> Callable[..., Program]:
    def add(**options: Any) -> Program:
        return set_up_program(*clinic, portal=settings.PORTAL_URL, **options)

    return add


@pytest.fixture
def scribe(add_program: Any) -> Program:
    """An agent of the suggest lane with grants for notes and problems."""
    return add_program()


@pytest.fixture
def stranger(settings: Any, db: None) -> Program:
    """The same kind of agent in another clinic."""
    return set_up_program(*set_up_clinic("Southgate"), portal=settings.PORTAL_URL)


def problem(**changed: Any) -> dict[str, Any]:
    return {
        "ref": "c1",
        "kind": "problem",
        "interaction": "create",
        "content": {
            "code": "M17.11",
            "category": "problem-list-item",
            "clinical_status": "active",
            "verification": "confirmed",
        },
        "evidence": [
            {
                "path": "/code",
                "source": "s1",
                "start": KNEE,
                "end": KNEE + 13,
                "quote": "my knee hurts",
                "method": "derived",
                "confidence": 0.8,
            }
        ],
        **changed,
    }


def note(**changed: Any) -> dict[str, Any]:
    return {
        "ref": "n1",
        "kind": "note",
        "interaction": "create",
        "content": {
            "type": "11506-3",
            "status": "unsigned",
            "sections": [{"title": "Assessment", "text": "Left knee pain since March."}],
        },
        "evidence": [
            {
                "path": "/sections/0/text",
                "span": [0, 14],
                "source": "s1",
                "start": KNEE,
                "end": KNEE + 13,
                "quote": "my knee hurts",
                "method": "derived",
            }
        ],
        **changed,
    }


def proposal(**changed: Any) -> dict[str, Any]:
    return {
        "connection": "generic",
        "patient": {"id": "P9", "family": "Ostervane", "birth_date": "1962-02-20"},
        "encounter": "e-1",
        "task_type": "visit-note",
        "summary": "Knee pain",
        "model": {"name": "clin-draft", "version": "1", "prompt_hash": "sha256:abc"},
        "sources": [
            {
                "ref": "s1",
                "kind": "transcript",
                "title": "Visit",
                "text": TRANSCRIPT,
                "segments": [],
            }
        ],
        "changes": [problem()],
        **changed,
    }


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
