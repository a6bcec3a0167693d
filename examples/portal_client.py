"""The portal's public API as an agent uses it: sign in, ask what is accepted, propose, look what became of it.

Settings are a JSON object: portal, token_url, client_id, key_file, connection, patient (id, family,
birth_date, given, sex, mrn) and encounter.
"""

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
import requests

TIMEOUT = (5, 60)
PATIENCE = 4  # attempts of one request
LONGEST_WAIT = 30  # seconds between two attempts
_UNDER_WAY = {"DRAFTED", "VALIDATED"}
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class UnableToReachPortal(Exception):
    """Nobody answers there, or not as the portal would."""


class PortalRefused(Exception):
    """The portal's own sentence why it did not take the request."""


class SettingsIncomplete(Exception):
    """The agent was not told where to send its drafts."""


class Portal:
    """One agent's session. The token is fetched when it is first needed and again when it ends."""

    def __init__(self, *, origin: str, token_url: str, client_id: str, key_file: Path) -> None:
        self.origin = origin.rstrip("/")
        self.token_url = token_url
        self.client_id = client_id
        self.key_file = key_file
        self.session = requests.Session()
        self.session.trust_env = False
        self.token, self.token_ends = "", 0.0

    def connections(self) -> list[dict[str, Any]]:
        """The agent's connections, with what each accepts today."""
        answer: list[dict[str, Any]] = self._call("GET", "/api/v1/connections")["connections"]
        return answer

    def schema(self, kind: str) -> dict[str, Any]:
        """What a change of this kind must look like, from `GET /api/v1/kinds`."""
        kinds = {each["kind"] for each in self._call("GET", "/api/v1/kinds")["kinds"]}
        if kind not in kinds:
            raise PortalRefused(f"The portal knows no {kind}.")
        return self._call("GET", f"/api/v1/kinds/{kind}/schema")

    def propose(self, *, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a proposal. A repeated attempt carries the same key and so makes no second draft."""
        return self._call(
            "POST", "/api/v1/suggest/proposals", json=body, headers={"Idempotency-Key": key}
        )

    def proposal(self, *, proposal_id: str) -> dict[str, Any]:
        """What became of it."""
        return self._call("GET", f"/api/v1/proposals/{proposal_id}")

    def address(self, *, proposal_id: str) -> str:
        """Where a clinician opens the draft."""
        return f"{self.origin}/intents/{proposal_id}/"

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {**options.pop("headers", {}), "Accept": "application/json"}
        for attempt in range(1, PATIENCE + 1):
            headers["Authorization"] = f"Bearer {self._bearer()}"
            try:
                answer = self.session.request(
                    method, f"{self.origin}{path}", headers=headers, timeout=TIMEOUT, **options
                )
            except requests.RequestException as failure:
                if attempt == PATIENCE:
                    raise UnableToReachPortal(self._nobody(failure)) from None
                time.sleep(attempt)
                continue
            if answer.status_code == 401 and attempt == 1:
                self.token_ends = 0.0
                continue
            if answer.status_code in {429, 502, 503, 504} and attempt < PATIENCE:
                time.sleep(_asked_to_wait(answer, attempt))
                continue
            if not answer.ok:
                raise PortalRefused(_sentence(answer))
            return _document(answer, self.origin)
        raise UnableToReachPortal(f"The portal at {self.origin} does not let the agent in.")

    def _bearer(self) -> str:
        """RFC 7523: a signed assertion, lifetime two minutes, for a token of the suggest lane."""
        if self.token and time.time() < self.token_ends - 20:
            return self.token
        now = int(time.time())
        claims = {
            "iss": self.client_id, "sub": self.client_id, "aud": self.token_url, "jti": str(uuid.uuid4()), "iat": now, "exp": now + 120,
        }  # fmt: skip
        try:
            assertion = jwt.encode(claims, self.key_file.read_bytes(), algorithm="ES384")
        except OSError as refusal:
            raise PortalRefused(
                f"The agent's key {self.key_file} cannot be read: {refusal.strerror}."
            ) from None
        except (ValueError, TypeError, jwt.exceptions.PyJWTError):
            raise PortalRefused(
                f"{self.key_file} is not a private key on the curve P-384."
            ) from None
        form = {
            "grant_type": "client_credentials", "scope": "portal/suggest portal/status", "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
        }  # fmt: skip
        try:
            answer = self.session.post(
                self.token_url, data=form, headers={"Accept": "application/json"}, timeout=TIMEOUT
            )
        except requests.RequestException as failure:
            raise UnableToReachPortal(self._nobody(failure)) from None
        if not answer.ok:
            raise PortalRefused(f"The portal did not let the agent in. {_sentence(answer)}")
        document = _document(answer, self.origin)
        self.token, self.token_ends = document["access_token"], now + int(document["expires_in"])
        return self.token

    def _nobody(self, failure: requests.RequestException) -> str:
        late = isinstance(failure, requests.Timeout)
        return f"The portal at {self.origin} {'does not answer in time' if late else 'cannot be reached'}. Is it running (make demo)?"


def _asked_to_wait(answer: requests.Response, attempt: int) -> float:
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked) if asked.isdigit() else 2.0**attempt, LONGEST_WAIT)


def _document(answer: requests.Response, origin: str) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnableToReachPortal(f"What answers at {origin} is not the portal.")
    return document


def _sentence(answer: requests.Response) -> str:
    """The sentence of a problem document (RFC 9457), with its places, or of an OAuth error."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return f"The portal answered {answer.status_code} without saying why."
    said = (
        problem.get("detail")
        or problem.get("error_description")
        or problem.get("title")
        or f"It answered {answer.status_code}."
    )
    places = [
        f"{place.get('pointer', '')}: {place.get('detail', '')}"
        for place in problem.get("errors", [])[:5]
        if isinstance(place, dict)
    ]
    return " ".join([str(said), *places])


# --- an agent's program ------------------------------------------------------------------------------


def read_settings(name: str | None) -> dict[str, Any]:
    """Settings from a JSON file, or from standard input ("-"). Raises `SettingsIncomplete`."""
    if name is None:
        return {}
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        settings = json.loads(text)
    except (OSError, ValueError):
        raise SettingsIncomplete("The agent's settings cannot be read as JSON.") from None
    if not isinstance(settings, dict):
        raise SettingsIncomplete("The agent's settings are not a JSON object.")
    return settings


def portal_of(settings: dict[str, Any]) -> Portal:
    """The session that the settings describe. Raises `SettingsIncomplete`."""
    missing = [
        name
        for name in ("portal", "token_url", "client_id", "key_file", "connection", "patient")
        if not settings.get(name)
    ]
    if missing:
        raise SettingsIncomplete(f"The agent's settings lack {', '.join(missing)}.")
    return Portal(
        origin=settings["portal"],
        token_url=settings["token_url"],
        client_id=settings["client_id"],
        key_file=Path(settings["key_file"]),
    )


def send(*, portal: Portal, body: dict[str, Any], wait: float) -> str:
    """Propose, wait up to `wait` seconds for the checks and print what they said; where the draft is opened."""
    answer = portal.propose(body=body, key=str(uuid.uuid4()))
    until = time.monotonic() + wait
    while time.monotonic() < until:
        changes = portal.proposal(proposal_id=answer["id"])["changes"]
        if not {change["state"] for change in changes} & _UNDER_WAY:
            for change in changes:
                print(
                    f"{change['kind']}: {change['state'].lower().replace('_', ' ')} {change['reason']}".rstrip()
                )
            break
        time.sleep(0.5)
    return portal.address(proposal_id=answer["id"])
