"""SMART backend-services tokens: a signed assertion in, one short-lived token for one narrow scope out."""

import base64
import hashlib
import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import jwt

from ehr_adapters.canonical.exact_json import NotStrictJson, loads
from ehr_adapters.contract import AccessToken, Connection
from ehr_adapters.errors import AdapterMisconfigured, NotPermitted, TokenUnavailable
from ehr_adapters.http import EgressRefused, HttpClient, NeverConnected, NotAnswered, Reply

ALGORITHMS = ("ES384", "RS384")
# The SMART specification allows five minutes; the rest is for clocks that differ.
ASSERTION_LIFETIME = 240
# What an identity provider that does not say how long its token lives is taken to mean.
UNSTATED_LIFETIME = 3600

_SCOPE = re.compile(
    r"(?P<context>system)/(?P<type>[A-Za-z]+|\*)\.(?P<may>[a-z]+|\*)(?P<query>\?\S+)?"
)
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}

_TOKEN_SENTENCES = {
    "invalid_client": "The EHR's sign-in service does not know the portal, or not its key.",
    "unauthorized_client": "The EHR's sign-in service has no user mapped to the portal yet.",
    "invalid_scope": "The EHR's sign-in service does not offer what was asked for.",
    "invalid_grant": "The EHR's sign-in service did not accept the portal's assertion.",
    "access_denied": "The EHR's sign-in service refused the portal.",
}


@dataclass(frozen=True, slots=True)
class Permission:
    """What one scope allows on one resource type; letters of c r u d s."""

    resource_type: str
    letters: frozenset[str]
    query: str = ""


def parse_scopes(text: str) -> tuple[Permission, ...]:
    """The system scopes in a scope string, version 1 spelling read as version 2; others are passed over."""
    out = []
    for word in text.split():
        found = _SCOPE.fullmatch(word)
        if found:
            letters = _V1.get(found["may"], found["may"])
            if set(letters) <= set("cruds"):
                out.append(Permission(found["type"], frozenset(letters), found["query"] or ""))
    return tuple(out)


def missing_scopes(*, asked: str, granted: str) -> tuple[str, ...]:
    """The scopes that were asked for and not granted."""
    held = parse_scopes(granted)
    out = []
    for wish in parse_scopes(asked):
        allowed = {
            letter
            for grant in held
            if grant.resource_type in {wish.resource_type, "*"} and grant.query in {"", wish.query}
            for letter in grant.letters
        }
        lacking = wish.letters - allowed
        if lacking:
            out.append(_spelt(wish.resource_type, lacking))
    return tuple(out)


def wider_scopes(*, asked: str, granted: str) -> tuple[str, ...]:
    """The scopes that were granted without having been asked for."""
    wanted = parse_scopes(asked)
    out = []
    for grant in parse_scopes(granted):
        allowed = {
            letter
            for wish in wanted
            if wish.resource_type in {grant.resource_type, "*"} and wish.query in {"", grant.query}
            for letter in wish.letters
        }
        more = grant.letters - allowed
        if more:
            out.append(_spelt(grant.resource_type, more))
    return tuple(out)


def _spelt(resource_type: str, letters: frozenset[str]) -> str:
    return f"system/{resource_type}.{''.join(x for x in 'cruds' if x in letters)}"


def in_syntax(scope: str, syntax: str) -> str:
    """The same scopes in the spelling that the identity provider understands: "v2", or the coarser "v1"."""
    if syntax == "v2":
        return scope
    words: list[str] = []
    for permission in parse_scopes(scope):
        if permission.letters & set("rs"):
            words.append(f"system/{permission.resource_type}.read")
        if permission.letters & set("cud"):
            words.append(f"system/{permission.resource_type}.write")
    return " ".join(dict.fromkeys(words))


def signed_assertion(connection: Connection) -> str:
    """A fresh assertion by which the portal names itself; lives a few minutes, is used once."""
    if connection.alg not in ALGORITHMS:
        raise AdapterMisconfigured(f"The signing algorithm is one of {', '.join(ALGORITHMS)}.")
    now = int(time.time())
    claims = {
        "iss": connection.client_id,
        "sub": connection.client_id,
        "aud": connection.token_url,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME,
        "jti": str(uuid.uuid4()),
    }
    headers = {"typ": "JWT"} | ({"kid": connection.key_id} if connection.key_id else {})
    try:
        return jwt.encode(
            claims, connection.private_key_pem, algorithm=connection.alg, headers=headers
        )
    except (ValueError, TypeError, jwt.PyJWTError):
        raise AdapterMisconfigured(
            f"The key “{connection.credential_ref}” does not fit the algorithm {connection.alg}."
        ) from None


def _proof(connection: Connection) -> tuple[dict[str, str], dict[str, str]]:
    """(fields, headers) by which the portal names itself: a signed assertion, or its client secret where the
    connection holds one (RFC 6749 section 2.3.1)."""
    secret = connection.secrets.get("client_secret", "")
    if not secret:
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed_assertion(connection),
        }, {}
    named = f"{quote(connection.client_id, safe='')}:{quote(secret, safe='')}"
    return {}, {"Authorization": f"Basic {base64.b64encode(named.encode()).decode()}"}


def fetch_token(
    connection: Connection,
    *,
    client: HttpClient,
    scope: str,
    deadline: float,
    must_grant_all: bool,
    accept_wider_grant: bool,
    also: Mapping[str, str] | None = None,
) -> AccessToken:
    """One token for `scope`. Every failure to get one is `TokenUnavailable`; a wrong grant `NotPermitted`.

    `must_grant_all`: a missing scope is an error (a write), or is left to the single read (a baseline).
    `also`: what this identity provider wants in the request besides.
    """
    proof, headers = _proof(connection)
    form = urlencode({"grant_type": "client_credentials", "scope": scope, **proof, **(also or {})})
    try:
        reply = client.exchange(
            "POST",
            connection.token_url,
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
                **headers,
            },
            body=form.encode(),
            deadline=deadline,
        )
    except (NeverConnected, NotAnswered):
        raise TokenUnavailable(
            "The EHR's sign-in service could not be reached.", connection_kind=connection.kind
        ) from None
    except EgressRefused as refused:
        raise AdapterMisconfigured(str(refused)) from None
    token = _token_of(connection, reply, scope=scope)
    if must_grant_all:
        missing = missing_scopes(asked=scope, granted=token.scope)
        if missing:
            raise NotPermitted(
                f"The EHR did not grant the portal {' '.join(missing)}.",
                connection_kind=connection.kind,
                vendor_code="scope-not-granted",
            )
    wider = wider_scopes(asked=scope, granted=token.scope)
    if wider and not accept_wider_grant:
        raise NotPermitted(
            f"The EHR granted more than was asked for: {' '.join(wider)}.",
            connection_kind=connection.kind,
            vendor_code="scope-too-wide",
            next_step="Narrow the portal's registration, or allow the wider grant in the connection.",
        )
    return token


def _token_of(connection: Connection, reply: Reply, *, scope: str) -> AccessToken:
    try:
        answer = loads(reply.body)
    except NotStrictJson:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if reply.status != 200:
        code = str(answer.get("error", ""))
        raise TokenUnavailable(
            _TOKEN_SENTENCES.get(code, ""),
            connection_kind=connection.kind,
            status=reply.status,
            vendor_code=code if re.fullmatch(r"[a-z_]{1,40}", code) else "",
            retry_after=retry_after(reply),
        )
    value = answer.get("access_token")
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,8192}", value):
        raise TokenUnavailable(
            "The EHR's sign-in service answered without a token.",
            connection_kind=connection.kind,
            status=reply.status,
        )
    if str(answer.get("token_type", "bearer")).lower() != "bearer":
        raise TokenUnavailable(
            "The EHR's sign-in service gave a kind of token that the portal cannot use.",
            connection_kind=connection.kind,
            status=reply.status,
        )
    lifetime = answer.get("expires_in")
    seconds = lifetime if isinstance(lifetime, int) and lifetime > 0 else UNSTATED_LIFETIME
    granted = answer.get("scope")
    return AccessToken(
        value=value,
        # RFC 6749 section 5.1: a grant that is not named is what was asked for.
        scope=granted if isinstance(granted, str) and granted.strip() else scope,
        asked=scope,
        expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
        lifetime_seconds=seconds,
    )


def retry_after(reply: Reply) -> float | None:
    """Seconds to wait by the Retry-After header, at most a day; None when there is none to understand."""
    value = reply.header("retry-after").strip()
    if value.isdigit():
        return float(min(int(value), 86400))
    if value:
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return float(min(max((moment - datetime.now(UTC)).total_seconds(), 0), 86400))
    return None


class ReadTokens:
    """Tokens for reading, kept in this process while they live. Tokens for writing are never kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], AccessToken] = {}

    @staticmethod
    def key(connection: Connection, scope: str) -> tuple[str, ...]:
        held = f"{connection.private_key_pem}\n{connection.secrets.get('client_secret', '')}"
        key = hashlib.sha256(held.encode()).hexdigest()
        return connection.token_url, connection.client_id, key, scope

    def get(self, connection: Connection, scope: str) -> AccessToken | None:
        with self._lock:
            token = self._kept.get(self.key(connection, scope))
        if token is None:
            return None
        left = (token.expires_at - datetime.now(UTC)).total_seconds()
        return token if left > min(10.0, token.lifetime_seconds * 0.3) else None

    def keep(self, connection: Connection, scope: str, token: AccessToken) -> None:
        with self._lock:
            if len(self._kept) > 1000:
                self._kept.clear()
            self._kept[self.key(connection, scope)] = token

    def drop(self, connection: Connection, scope: str) -> None:
        with self._lock:
            self._kept.pop(self.key(connection, scope), None)


read_tokens = ReadTokens()
