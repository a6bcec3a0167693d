"""A small portal on this machine that answers as the real one does, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROPOSAL_ID = "0d9f2f3c-1111-4222-8333-444455556666"


@dataclass
class FakePortal:
    """`answers`: what to answer to the next POSTs instead of taking them, as (status, headers, body)."""

    origin: str = ""
    public_key: Any = None
    finality: str = "filed"
    notes_accepted: bool = True
    states: list[str] = field(default_factory=lambda: ["DRAFTED", "PENDING_APPROVAL"])
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    proposals: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        return {"portal": self.origin, "token_url": f"{self.origin}/oauth/token"}


@contextmanager
def running(*, folder: Path) -> Iterator[tuple[FakePortal, Path]]:
    """The portal and the agent's private key."""
    key = ec.generate_private_key(ec.SECP384R1())
    path = folder / "agent.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    portal = FakePortal(public_key=key.public_key())

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/oauth/token":
                self._sign_in(body.decode())
            elif portal.answers:
                self._answer(*portal.answers.pop(0))
            else:
                portal.proposals.append((self.headers["Idempotency-Key"], json.loads(body)))
                self._answer(201, {}, {"id": PROPOSAL_ID, "changes": []})

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != "Bearer token":
                self._answer(401, {}, {"detail": "Sign in."})
            elif self.path == "/api/v1/kinds":
                self._answer(200, {}, {"kinds": [{"kind": "note"}, {"kind": "problem"}]})
            elif self.path == "/api/v1/kinds/note/schema":
                self._answer(200, {}, {"type": "object"})
            elif self.path == "/api/v1/connections":
                self._answer(200, {}, {"connections": [_connection(portal)]})
            else:
                state = portal.states[0] if len(portal.states) == 1 else portal.states.pop(0)
                self._answer(
                    200,
                    {},
                    {
                        "id": PROPOSAL_ID,
                        "changes": [{"kind": "note", "state": state, "reason": ""}],
                    },
                )

        def _sign_in(self, body: str) -> None:
            form = {name: values[0] for name, values in parse_qs(body).items()}
            portal.forms.append(form)
            claims = jwt.decode(
                form["client_assertion"],
                portal.public_key,
                algorithms=["ES384"],
                audience=f"{portal.origin}/oauth/token",
            )
            portal.claims.append(claims)
            if claims["sub"] == "stranger":
                self._answer(
                    401,
                    {},
                    {"error": "invalid_client", "error_description": "The client was not proved."},
                )
            else:
                self._answer(
                    200,
                    {},
                    {
                        "access_token": "token",
                        "token_type": "Bearer",
                        "expires_in": 300,
                        "scope": form["scope"],
                    },
                )

        def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
            sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(sent)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    portal.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield portal, path
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _connection(portal: FakePortal) -> dict[str, Any]:
    return {
        "connection": "northgate-r4",
        "accepts": [
            {"kind": "note", "interaction": "create", "accepted": portal.notes_accepted, "granted": True, "finality": "filed_unsigned"},
            {"kind": "problem", "interaction": "create", "accepted": True, "granted": True, "finality": portal.finality},
        ],
    }  # fmt: skip
