"""SMART backend services: a signed assertion becomes a short-lived token.

Checked are the signature (ES384 or RS384), iss = sub = client, aud = the token address, an expiry of at
most five minutes, and that no assertion is used twice.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import IntegrityError, transaction

from ehr_adapters.sandbox.models import SandboxAssertion, SandboxClient, SandboxToken

ALGORITHMS = ("ES384", "RS384")
LONGEST_ASSERTION = timedelta(minutes=5)
CLOCK_TOLERANCE = timedelta(seconds=5)
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class TokenRefused(Exception):
    """No token: an RFC 6749 error with a sentence."""

    def __init__(self, error: str, sentence: str) -> None:
        super().__init__(sentence)
        self.error = error


class AssertionRefused(TokenRefused):
    """The signer is known; something that the assertion says is not accepted."""

    def __init__(self, sentence: str) -> None:
        super().__init__("invalid_client", sentence)


class KeyNotUsable(ValueError):
    """What was registered is no public key that this server verifies with."""


def public_keys(*, jwk: Any = None, jwks: Any = None, pem: str = "") -> list[dict[str, Any]]:
    """The registered keys as public JWKs, from a JWK, a JWK Set or a PEM. Raises KeyNotUsable."""
    given: list[Any] = []
    if jwk:
        given.append(jwk)
    if isinstance(jwks, dict):
        given += jwks.get("keys") or []
    if pem:
        try:
            key = load_pem_public_key(pem.encode())
        except ValueError:
            raise KeyNotUsable("the PEM holds no public key") from None
        if isinstance(key, ec.EllipticCurvePublicKey):
            given.append(json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key)))
        elif isinstance(key, rsa.RSAPublicKey):
            given.append(json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key)))
        else:
            raise KeyNotUsable("the key is neither elliptic curve nor RSA")
    if not given:
        raise KeyNotUsable("no key was given: send jwk, jwks or pem")
    for key in given:
        if not isinstance(key, dict) or "d" in key:
            raise KeyNotUsable("register public keys only")
        _verifier(key)
    return given


def kept_secret(secret: str) -> dict[str, Any]:
    """What is kept of a client's secret, beside the keys of those that sign: its hash."""
    return {"kty": "secret", "sha256": _sha256(secret)}


def _verifier(key: Mapping[str, Any]) -> tuple[str, Any]:
    """The algorithm and key object of one public JWK."""
    algorithm = {"EC": "ES384", "RSA": "RS384"}.get(str(key.get("kty")))
    if algorithm is None or (algorithm == "ES384" and key.get("crv") != "P-384"):
        raise KeyNotUsable("use a P-384 or an RSA key")
    try:
        return algorithm, jwt.PyJWK.from_dict(dict(key), algorithm=algorithm).key
    except jwt.PyJWTError:
        raise KeyNotUsable("the JWK could not be read") from None


def assertion_client(
    *, vendor: str, form: Mapping[str, str], token_url: str, at: datetime, longest_jti: int = 255
) -> SandboxClient:
    """The client that signed the form's assertion; the assertion is used up. Raises TokenRefused."""
    if form.get("grant_type") != "client_credentials":
        raise TokenRefused("unsupported_grant_type", "only client_credentials is supported")
    if form.get("client_assertion_type") != JWT_BEARER or not form.get("client_assertion"):
        raise TokenRefused("invalid_client", "a private_key_jwt client assertion is required")
    assertion = form["client_assertion"]
    client = _signer(vendor=vendor, assertion=assertion)
    claims = _verified(client=client, assertion=assertion)
    expires = _claim_time(claims.get("exp"))
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise AssertionRefused("iss and sub must both be the client id")
    if claims.get("aud") not in (token_url, [token_url]):
        raise AssertionRefused("aud must be the token address")
    if expires is None or expires <= at:
        raise AssertionRefused("the assertion has expired or carries no exp")
    if expires - at > LONGEST_ASSERTION + CLOCK_TOLERANCE:
        raise AssertionRefused("exp may be at most five minutes ahead")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= longest_jti:
        raise AssertionRefused(f"jti must have 1 to {longest_jti} characters")
    try:
        with transaction.atomic():
            SandboxAssertion.objects.filter(client=client, expires_at__lt=at).delete()
            SandboxAssertion.objects.create(client=client, jti=jti, expires_at=expires)
    except IntegrityError:
        raise AssertionRefused("this jti was used before") from None
    return client


def _signer(*, vendor: str, assertion: str) -> SandboxClient:
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise TokenRefused("invalid_client", "the assertion is not a JWT") from None
    client = SandboxClient.objects.filter(vendor=vendor, client_id=str(claims.get("iss"))).first()
    if client is None:
        raise TokenRefused("invalid_client", "the client is not registered")
    return client


def _verified(*, client: SandboxClient, assertion: str) -> dict[str, Any]:
    header = jwt.get_unverified_header(assertion)
    for key in client.keys:
        if key.get("kty") == "secret":
            continue
        if header.get("kid") and key.get("kid") and header["kid"] != key["kid"]:
            continue
        algorithm, verifier = _verifier(key)
        if header.get("alg") != algorithm:
            continue
        try:
            # Times are compared by the caller, against the clock it was handed.
            claims: dict[str, Any] = jwt.decode(
                assertion,
                verifier,
                algorithms=[algorithm],
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
            return claims
        except jwt.PyJWTError:
            continue
    raise TokenRefused(
        "invalid_client", "the signature could not be verified with a registered key"
    )


def _claim_time(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def issue_token(*, client: SandboxClient, scope: str, seconds: int, at: datetime) -> dict[str, Any]:
    """The token answer (RFC 6749 section 5.1); only the token's hash is kept."""
    token = secrets.token_urlsafe(32)
    SandboxToken.objects.filter(client=client, expires_at__lt=at - timedelta(days=1)).delete()
    SandboxToken.objects.create(
        client=client,
        sha256=_sha256(token),
        scope=scope,
        expires_at=at + timedelta(seconds=seconds),
    )
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": scope}


def bearer(*, vendor: str, authorization: str, at: datetime) -> SandboxToken | None:
    """The live token of an Authorization header; None when there is none, or it is unknown or expired."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    row = (
        SandboxToken.objects.select_related("client").filter(sha256=_sha256(token.strip())).first()
    )
    if row is None or row.client.vendor != vendor or row.expires_at <= at:
        return None
    return row


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
