"""Agent sign-in: OAuth 2.0 client credentials, proved by a signed assertion or a shared secret.

RFC 6749 section 4.4 (grant), RFC 7523 section 3 (assertion), SMART App Launch 2.2 "backend services"
(at most five minutes, each `jti` once), RFC 8707 (`resource`). A token lives at most 300 seconds and is
bound to one credential, and so to one agent, one tenant and one lane, with the portal as audience.
"""

import base64
import binascii
import hashlib
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus
from uuid import UUID

import jwt
from allauth.idp.oidc.models import Token
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError, transaction
from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.recording import record
from audit.tags import AuditTag
from intents.api.authentication import LANE_SCOPES, STATUS_SCOPE
from intents.api.parsing import SmallFormParser
from intents.api.serializers import TokenAnswer, TokenError, TokenRequest
from intents.api.throttling import SignInThrottle
from intents.governance.models import AgentCredential, CredentialMethod, UsedAssertion
from intents.governance.models.agent import ALGORITHMS
from intents.lifecycle import Lane
from intents.pipeline import intake

TOKEN_SECONDS = 300
ASSERTION_SECONDS = 300
# Clocks of two machines differ a little; nothing else may.
SKEW_SECONDS = 10
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # a name, not a secret
_PARAMETERS = (
    "grant_type",
    "scope",
    "resource",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
)


class SignInRefused(Exception):
    """The request is answered with an error of RFC 6749, section 5.2."""

    def __init__(
        self, error: str, description: str, *, credential: AgentCredential | None = None
    ) -> None:
        self.error = error
        self.description = description
        self.credential = credential
        super().__init__(error)


@dataclass(frozen=True, slots=True)
class _Proof:
    """A proven credential; `jti_hash` and its end of life where an assertion proved it."""

    credential: AgentCredential
    jti_hash: str = ""
    jti_until: datetime | None = None


def token_url() -> str:
    """The token endpoint's address: the audience of a client assertion."""
    return f"{settings.PORTAL_URL}/oauth/token"


class TokenView(APIView):
    """`POST /oauth/token`."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (SmallFormParser,)
    throttle_classes = (SignInThrottle,)

    @extend_schema(
        operation_id="sign_in",
        summary="Exchange a signed assertion for an access token",
        tags=["sign-in"],
        request={"application/x-www-form-urlencoded": TokenRequest},
        responses={
            200: TokenAnswer,
            400: OpenApiResponse(TokenError, "The request cannot be answered (RFC 6749, 5.2)."),
            401: OpenApiResponse(TokenError, "The client was not proved."),
        },
        examples=[
            OpenApiExample(
                "refused",
                value={
                    "error": "invalid_client",
                    "error_description": "The client was not proved.",
                },
                response_only=True,
                status_codes=["401"],
            )
        ],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        at = timezone.now()
        header = request.META.get("HTTP_AUTHORIZATION", "")
        form = request.data if isinstance(request.data, QueryDict) else QueryDict()
        try:
            answer = sign_in(form, authorization=header, at=at)
        except SignInRefused as refused:
            note_refusal(refused, at=at)
            response = Response(
                {"error": refused.error, "error_description": refused.description},
                status=401 if refused.error == "invalid_client" else 400,
            )
            if refused.error == "invalid_client":
                response["WWW-Authenticate"] = 'Basic realm="reviewportal"'
        else:
            response = Response(answer)
        # RFC 6749, section 5.1.
        response["Cache-Control"] = "no-store"
        response["Pragma"] = "no-cache"
        return response


def sign_in(form: QueryDict, *, authorization: str, at: datetime) -> dict[str, Any]:
    """The token answer of RFC 6749, section 5.1, or `SignInRefused`."""
    asked = _single_values(form)
    if asked.get("grant_type") is None:
        raise SignInRefused("invalid_request", "grant_type is missing.")
    if asked["grant_type"] != "client_credentials":
        raise SignInRefused("unsupported_grant_type", "Only client_credentials is served.")
    if asked.get("resource", settings.PORTAL_URL).rstrip("/") != settings.PORTAL_URL:
        raise SignInRefused("invalid_target", "Tokens are for this portal only.")
    proof = _prove(asked, authorization=authorization, at=at)
    return _issue(proof, scopes=_scopes(asked.get("scope"), proof.credential), at=at)


def note_refusal(refused: SignInRefused, *, at: datetime) -> None:
    """Record a refused sign-in of a known credential; strangers are only counted by the throttle."""
    credential = refused.credential
    if credential is None:
        return
    with transaction.atomic():
        record(
            tag=AuditTag.GOVERNANCE_TOKEN_REFUSED,
            actor=credential.agent.actor,
            at=at,
            tenant_id=str(credential.tenant_id),
            body={"credential": str(credential.pk), "error": refused.error},
        )


def _single_values(form: QueryDict) -> dict[str, str]:
    found = {}
    for name in _PARAMETERS:
        values = form.getlist(name)
        if len(values) > 1:
            raise SignInRefused("invalid_request", f"{name} is given more than once.")
        # RFC 6749, section 3.2: a parameter without a value counts as left out.
        if values and values[0]:
            found[name] = str(values[0])
    return found


def _scopes(asked: str | None, credential: AgentCredential) -> list[str]:
    allowed = [LANE_SCOPES[Lane(credential.lane)], STATUS_SCOPE]
    if asked is None:
        return allowed
    wanted = asked.split(" ")
    if not set(wanted) <= set(allowed):
        raise SignInRefused(
            "invalid_scope",
            f"This credential may ask for {' and '.join(allowed)}.",
            credential=credential,
        )
    return [scope for scope in allowed if scope in wanted]


def _issue(proof: _Proof, *, scopes: list[str], at: datetime) -> dict[str, Any]:
    credential = proof.credential
    client_id = str(credential.pk)
    life = min(timedelta(seconds=TOKEN_SECONDS), credential.expires_at - at)
    value = secrets.token_urlsafe(48)
    token = Token(
        type=Token.Type.ACCESS_TOKEN, client_id=client_id, created_at=at, expires_at=at + life
    )
    token.set_value(value)
    token.set_scopes(scopes)
    token.set_resources([settings.PORTAL_URL])
    try:
        with transaction.atomic():
            if proof.jti_until is not None:
                UsedAssertion.objects.filter(expires_at__lt=at).delete()
                UsedAssertion.objects.create(
                    credential=credential, jti_hash=proof.jti_hash, expires_at=proof.jti_until
                )
            Token.objects.filter(client_id=client_id, expires_at__lt=at).delete()
            token.save()
            record(
                tag=AuditTag.GOVERNANCE_TOKEN_ISSUED,
                actor=credential.agent.actor,
                at=at,
                tenant_id=str(credential.tenant_id),
                body={
                    "credential": client_id,
                    "lane": credential.lane,
                    "scopes": scopes,
                    "expires_at": token.expires_at,
                },
            )
    except IntegrityError:
        raise SignInRefused(
            "invalid_client", "The assertion was used before.", credential=credential
        ) from None
    return {
        "access_token": value,
        "token_type": "Bearer",
        "expires_in": int(life.total_seconds()),
        "scope": " ".join(scopes),
    }


# --- proving the client --------------------------------------------------------------------------------

_NOT_PROVED = "The client was not proved."


def _prove(asked: Mapping[str, str], *, authorization: str, at: datetime) -> _Proof:
    # RFC 6749, section 2.3: no more than one method in a request.
    if "client_secret" in asked:
        raise SignInRefused("invalid_client", "A secret is sent in the Authorization header only.")
    if authorization:
        if "client_assertion" in asked:
            raise SignInRefused("invalid_request", "A client proves itself in one way only.")
        return _prove_by_secret(authorization, asked=asked, at=at)
    if asked.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in asked:
        raise SignInRefused("invalid_client", "A client assertion is needed.")
    return _prove_by_assertion(asked["client_assertion"], asked=asked, at=at)


def _prove_by_assertion(assertion: str, *, asked: Mapping[str, str], at: datetime) -> _Proof:
    try:
        claimed = jwt.decode(assertion, options={"verify_signature": False})
        header = jwt.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise SignInRefused("invalid_client", _NOT_PROVED) from None
    credential = _credential(claimed.get("sub"), asked=asked, at=at)
    if credential is None or credential.method != CredentialMethod.PRIVATE_KEY_JWT:
        raise SignInRefused("invalid_client", _NOT_PROVED)
    # The algorithm is the credential's, never the assertion's own word.
    if header.get("alg") != credential.alg or credential.alg not in ALGORITHMS:
        raise SignInRefused("invalid_client", _NOT_PROVED, credential=credential)
    try:
        claims = jwt.decode(
            assertion,
            credential.public_key,
            algorithms=[credential.alg],
            audience=token_url(),
            issuer=str(credential.pk),
            # Times are compared below, with the moment that this request is answered at.
            options={
                "require": ["iss", "sub", "aud", "exp", "jti"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError):
        raise SignInRefused("invalid_client", _NOT_PROVED, credential=credential) from None
    if claims["sub"] != claims["iss"]:
        raise SignInRefused("invalid_client", _NOT_PROVED, credential=credential)
    until = _assertion_end(claims, at=at)
    jti = claims["jti"]
    if until is None or not isinstance(jti, str) or not 1 <= len(jti) <= 255:
        raise SignInRefused(
            "invalid_client",
            "The assertion is expired, or lives longer than five minutes.",
            credential=credential,
        )
    return _Proof(
        credential=credential,
        jti_hash=hashlib.sha256(jti.encode()).hexdigest(),
        jti_until=until + timedelta(seconds=SKEW_SECONDS),
    )


def _assertion_end(claims: Mapping[str, Any], *, at: datetime) -> datetime | None:
    """When the assertion ends, or None when its times are not those of a fresh, short one."""
    now = at.timestamp()
    end = _seconds(claims["exp"])
    if end is None or not now - SKEW_SECONDS < end <= now + ASSERTION_SECONDS + SKEW_SECONDS:
        return None
    if "iat" in claims:
        made = _seconds(claims["iat"])
        if made is None or made > now + SKEW_SECONDS or end - made > ASSERTION_SECONDS:
            return None
    if "nbf" in claims:
        start = _seconds(claims["nbf"])
        if start is None or start > now + SKEW_SECONDS:
            return None
    return datetime.fromtimestamp(end, tz=UTC)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _prove_by_secret(authorization: str, *, asked: Mapping[str, str], at: datetime) -> _Proof:
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        raise SignInRefused("invalid_client", _NOT_PROVED)
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise SignInRefused("invalid_client", _NOT_PROVED) from None
    client_id, _, secret = pair.partition(":")
    # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
    credential = _credential(unquote_plus(client_id), asked=asked, at=at)
    if credential is None or credential.method != CredentialMethod.CLIENT_SECRET_BASIC:
        check_password(secret, _no_secret())
        raise SignInRefused("invalid_client", _NOT_PROVED)
    if not check_password(unquote_plus(secret), credential.secret_hash):
        raise SignInRefused("invalid_client", _NOT_PROVED, credential=credential)
    if not credential.agent.tenant.client_secret_allowed:
        raise SignInRefused("invalid_client", _NOT_PROVED, credential=credential)
    return _Proof(credential=credential)


@lru_cache(maxsize=1)
def _no_secret() -> str:
    """Checked against when no such credential exists, so that both answers take the same time."""
    return make_password(secrets.token_urlsafe(16))


def _credential(name: object, *, asked: Mapping[str, str], at: datetime) -> AgentCredential | None:
    if not isinstance(name, str) or asked.get("client_id", name) != name:
        return None
    try:
        return intake.authenticate(credential_id=UUID(name), lane=None, at=at)
    except (ValueError, intake.AgentRefused):
        return None
