"""The approval statement: one byte changed anywhere, and it is no longer an approval."""

import base64
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from intents.pipeline import sealing
from intents.pipeline.sealing import Seal, StatedRequest, Statement, StatementForged

pytestmark = pytest.mark.once

PRIVATE = bytes(range(32))
PUBLIC = sealing.public_key_of(private_key=PRIVATE)
AT = datetime(2026, 11, 20, 9, 30, 15, 250_000, tzinfo=UTC)


def a_statement(**changes: object) -> Statement:
    values: dict[str, object] = {
        field.name: f"{field.name} of the fixture" for field in fields(Statement)
    }
    values |= {
        "version_number": 2,
        "screening_number": 3,
        "requests": (
            StatedRequest(
                method="PUT",
                path="Condition/17",
                preconditions=(("If-Match", 'W/"4"'),),
            ),
            StatedRequest(method="POST", path="DocumentReference"),
        ),
        "checks": (("c1:/code", "yes"), ("c2:act:0", "keep: did it in the EHR \u2265 once")),
        "meaning": sealing.APPROVED_FOR_FILING,
        "authenticated_at": AT - timedelta(minutes=4),
        "decided_at": AT,
        "expires_at": AT + timedelta(hours=24),
    }
    return Statement(**{**values, **changes})  # type: ignore[arg-type]  # values of each test by name


SEAL = sealing.sign(a_statement(), private_key=PRIVATE)


@pytest.mark.req("003-11")
def test_a_sealed_statement_reads_back_as_exactly_what_was_sealed():
    assert sealing.verify(SEAL, public_key=PUBLIC) == a_statement()


@given(st.integers(min_value=0, max_value=len(SEAL.statement) - 1), st.integers(1, 255))
def test_any_flipped_byte_of_the_statement_is_refused(place: int, flip: int):
    data = bytearray(SEAL.statement)
    data[place] ^= flip
    with pytest.raises(StatementForged):
        sealing.verify(replace(SEAL, statement=bytes(data)), public_key=PUBLIC)


@given(st.integers(min_value=0, max_value=63), st.integers(1, 255))
def test_any_flipped_byte_of_the_signature_is_refused(place: int, flip: int):
    raw = bytearray(base64.b64decode(SEAL.signature))
    raw[place] ^= flip
    forged = replace(SEAL, signature=base64.b64encode(bytes(raw)).decode())
    with pytest.raises(StatementForged):
        sealing.verify(forged, public_key=PUBLIC)


@pytest.mark.parametrize("name", [field.name for field in fields(Statement)])
def test_every_field_is_covered_by_the_signature(name: str):
    statement = a_statement()
    value = getattr(statement, name)
    other: object
    if isinstance(value, datetime):
        other = value + timedelta(microseconds=1)
    elif isinstance(value, int):
        other = value + 1
    elif name == "meaning":
        other = sealing.SECOND_CHECK
    elif isinstance(value, tuple):
        other = value[:-1]
    else:
        other = value + "x"
    changed = replace(statement, **{name: other})
    assert changed.canonical() != statement.canonical()
    with pytest.raises(StatementForged):
        sealing.verify(replace(SEAL, statement=changed.canonical()), public_key=PUBLIC)


def test_another_key_signs_nothing_here_even_under_our_key_id():
    stranger = sealing.sign(a_statement(), private_key=bytes(reversed(range(32))))
    with pytest.raises(StatementForged, match="another key"):
        sealing.verify(stranger, public_key=PUBLIC)
    with pytest.raises(StatementForged, match="does not fit"):
        sealing.verify(replace(stranger, key_id=SEAL.key_id), public_key=PUBLIC)


def test_a_signature_over_the_bare_bytes_is_not_an_approval():
    bare = Ed25519PrivateKey.from_private_bytes(PRIVATE).sign(SEAL.statement)
    with pytest.raises(StatementForged):
        sealing.verify(replace(SEAL, signature=base64.b64encode(bare).decode()), public_key=PUBLIC)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        json.dumps(json.loads(SEAL.statement), indent=1).encode(),
        SEAL.statement.replace(b'"form":', b'"form":"x","form":', 1),
        SEAL.statement.replace(b'"version_number":2', b'"version_number":"2"'),
        SEAL.statement.replace(b'"tier":"tier of the fixture"', b'"tier":7'),
    ],
)
def test_bytes_that_are_not_a_canonical_statement_are_refused_although_signed(data: bytes):
    key = Ed25519PrivateKey.from_private_bytes(PRIVATE)
    signed = Seal(
        statement=data,
        signature=base64.b64encode(key.sign(sealing._CONTEXT + data)).decode(),
        key_id=SEAL.key_id,
    )
    with pytest.raises(StatementForged):
        sealing.verify(signed, public_key=PUBLIC)


def test_a_comparison_names_the_fields_that_moved_and_refuses_unknown_ones():
    statement = a_statement()
    stored = {"tag": statement.tag, "payload_hash": "another"}
    assert sealing.differences(statement, stored=stored) == ["payload_hash"]
    with pytest.raises(KeyError):
        sealing.differences(statement, stored={"payload": "x"})


def test_a_statement_says_what_its_signature_means():
    with pytest.raises(ValueError, match="means"):
        a_statement(meaning="seen")
