"""The approval statement: what one person approved, as canonical bytes under an Ed25519 signature.

A statement repeats everything that a later reader needs to say "these bytes, for this patient, on
this chart, were shown to and approved by this person under these rules": nothing is left to a
lookup that could have changed since. Dispatch verifies it with the public key alone and compares
every field with what is stored. Pure: keys come in as bytes.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.encoding import canonical_bytes, canonical_time, sha256_hex
from ehr_adapters.contract import WirePlan

# Signed together with the statement, so that no other document signed with the same key (there is
# none today) could ever pass for an approval.
_CONTEXT = b"reviewportal approval statement v1\n"
FORM = "reviewportal/approval/1"
# 21 CFR 11.50: a signed record says what the signature means.
APPROVED_FOR_FILING = "approved for filing"
SECOND_CHECK = "second check"
APPROVED_BY_POLICY = "approved by policy"
MEANINGS = frozenset({APPROVED_FOR_FILING, SECOND_CHECK, APPROVED_BY_POLICY})


class StatementForged(Exception):
    """The bytes are not a statement signed with the approval key. Do not send; tell somebody."""


@dataclass(frozen=True, slots=True)
class StatedRequest:
    """One request as approved: method, path, and the headers that are preconditions of the write."""

    method: str
    path: str
    preconditions: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "method": self.method,
            "path": self.path,
            "preconditions": [list(pair) for pair in self.preconditions],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Self:
        method, path, pairs = value["method"], value["path"], value["preconditions"]
        if not (isinstance(method, str) and isinstance(path, str) and isinstance(pairs, list)):
            raise TypeError("a stated request has another form")
        return cls(
            method=method,
            path=path,
            preconditions=tuple((str(name), str(content)) for name, content in pairs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What was approved. Ids are text; hashes are lower-case SHA-256; moments are aware datetimes."""

    tenant_id: str
    connection_id: str
    connection_settings_hash: str
    proposal_id: str
    intent_id: str
    change_kind: str
    interaction: str
    version_id: str
    version_number: int
    version_hash: str
    screening_id: str
    screening_number: int
    tag: str
    payload_hash: str
    requests: tuple[StatedRequest, ...]
    # the patient as a keyed token, and a keyed hash of the identifiers that the page showed
    patient_token: str
    patient_identifiers_hash: str
    base_version: str
    base_hash_whole: str
    base_hash_touched: str
    neighbourhood_hash: str
    view_hash: str
    # (check, chosen option), sorted by check
    checks: tuple[tuple[str, str], ...]
    policy_version: str
    policy_hash: str
    tier: str
    approver_id: str
    approver_name: str
    approver_role: str
    authenticated_at: datetime
    authentication_method: str
    meaning: str
    finality: str
    nonce: str
    decided_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        if self.meaning not in MEANINGS:
            raise ValueError("A statement says what its signature means.")
        if tuple(sorted(self.checks)) != self.checks:
            raise ValueError("The checks of a statement are sorted.")

    def canonical(self) -> bytes:
        """The one form of the bytes of this statement."""
        plain: dict[str, object] = {"form": FORM}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "requests":
                value = [request.as_json() for request in value]
            elif field.name == "checks":
                value = [list(pair) for pair in value]
            plain[field.name] = value
        return canonical_bytes(plain)

    def hash(self) -> str:
        """SHA-256 of the canonical bytes, as audit names this statement."""
        return sha256_hex(self.canonical())

    @classmethod
    def from_canonical(cls, data: bytes) -> Self:
        """The statement that these bytes say, or `StatementForged`.

        Refuses bytes that are not in canonical form, so that one statement has one signature.
        """
        try:
            statement = cls(**_parse(data))
            same = statement.canonical() == data
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StatementForged("The stored statement is not an approval statement.") from None
        if not same:
            raise StatementForged("The stored statement is not in canonical form.")
        return statement


# The headers that make a request conditional on what the EHR holds.
_PRECONDITIONS = frozenset({"if-match", "if-none-match", "if-none-exist", "if-unmodified-since"})


def stated_requests(plan: WirePlan) -> tuple[StatedRequest, ...]:
    """Method, path and preconditions of each request of a plan, as a statement holds them."""
    return tuple(
        StatedRequest(
            method=step.method,
            path=step.path,
            preconditions=tuple(
                (name, value) for name, value in step.headers if name.lower() in _PRECONDITIONS
            ),
        )
        for step in plan.steps
    )


def stated_checks(checks: object) -> tuple[tuple[str, str], ...]:
    """Checks (a mapping of check to chosen option) as a statement holds them."""
    pairs = checks.items() if isinstance(checks, Mapping) else ()
    return tuple(sorted((str(key), str(option)) for key, option in pairs))


_MOMENTS = ("authenticated_at", "decided_at", "expires_at")
_NUMBERS = ("version_number", "screening_number")
_TEXTS = tuple(field.name for field in fields(Statement) if field.type is str)


def _parse(data: bytes) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(data)
    if plain.pop("form", None) != FORM:
        raise ValueError("another form")
    plain["requests"] = tuple(StatedRequest.from_json(item) for item in plain["requests"])
    plain["checks"] = tuple((str(key), str(option)) for key, option in plain["checks"])
    for name in _MOMENTS:
        plain[name] = _moment(plain[name])
    if not all(isinstance(plain[name], str) for name in _TEXTS):
        raise TypeError("text expected")
    if not all(type(plain[name]) is int for name in _NUMBERS):
        raise TypeError("number expected")
    return plain


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise TypeError("moment expected")
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if canonical_time(moment) != text:
        raise ValueError("another form of time")
    return moment


@dataclass(frozen=True, slots=True)
class Seal:
    """A statement's bytes and the signature over them, as they are stored beside the decision."""

    statement: bytes
    signature: str
    key_id: str


def key_id(*, public_key: bytes) -> str:
    """The name of a key pair: the first 16 hex digits of the hash of its public half."""
    return sha256_hex(public_key)[:16]


def public_key_of(*, private_key: bytes) -> bytes:
    """The 32 public bytes that belong to the 32 private bytes."""
    public = Ed25519PrivateKey.from_private_bytes(private_key).public_key()
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(statement: Statement, *, private_key: bytes) -> Seal:
    """Seal `statement` with the approval key (32 raw bytes of an Ed25519 private key)."""
    data = statement.canonical()
    signature = Ed25519PrivateKey.from_private_bytes(private_key).sign(_CONTEXT + data)
    return Seal(
        statement=data,
        signature=base64.b64encode(signature).decode(),
        key_id=key_id(public_key=public_key_of(private_key=private_key)),
    )


def verify(seal: Seal, *, public_key: bytes) -> Statement:
    """The statement that was sealed, or `StatementForged` if one byte of it or its signature differs."""
    if seal.key_id != key_id(public_key=public_key):
        raise StatementForged("The statement was signed with another key.")
    try:
        signature = _signature(seal.signature)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _CONTEXT + seal.statement)
    except (InvalidSignature, ValueError):
        raise StatementForged("The signature does not fit the stored statement.") from None
    return Statement.from_canonical(seal.statement)


def _signature(text: str) -> bytes:
    signature = base64.b64decode(text, validate=True)
    if base64.b64encode(signature).decode() != text:
        raise ValueError("another spelling of the same signature")
    return signature


def differences(statement: Statement, *, stored: Mapping[str, object]) -> Sequence[str]:
    """The names of the fields whose stored value is not what was approved; empty when all agree.

    `stored` holds the present value of every field that has a stored source. Names that a statement
    does not have raise `KeyError`: a comparison that compares nothing must not pass.
    """
    known = {field.name for field in fields(Statement)}
    unknown = set(stored) - known
    if unknown:
        raise KeyError(f"A statement has no {', '.join(sorted(unknown))}.")
    return [name for name, value in stored.items() if getattr(statement, name) != value]
