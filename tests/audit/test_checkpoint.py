"""Signed checkpoints, and the Ed25519 of the auditor's file against RFC 8032 and our own library."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import checkpoint, keys, verify_audit
from audit.checkpoint import CheckpointInvalid, TreeHead

pytestmark = pytest.mark.once

ORIGIN = "portal.example/audit/clinic-1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = TreeHead(
    origin=ORIGIN, size=7, root=bytes(range(32)), at=datetime(2026, 11, 20, 15, tzinfo=UTC)
)
NOTE = checkpoint.sign(HEAD, key=KEY)


@pytest.mark.parametrize(
    ("verifier_key"),
    [
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ],
)
def test_key_ids_are_those_of_published_notes(verifier_key):
    name, number, encoded = verifier_key.split("+", 2)
    public = base64.b64decode(encoded)[1:]
    assert checkpoint.key_id(name=name, kind=checkpoint.PLAIN, public_key=public).hex() == number
    assert checkpoint.verifier_key(origin=name, public_key=public) == verifier_key
    assert verify_audit.key_number(name, 1, public).hex() == number


def test_a_note_has_the_form_of_the_specification():
    lines = NOTE.split("\n")
    assert lines[0] == ORIGIN
    assert lines[1] == "7"
    assert base64.b64decode(lines[2]) == HEAD.root
    assert lines[3] == ""
    assert [line[: len(ORIGIN) + 3] for line in lines[4:6]] == [f"\u2014 {ORIGIN} "] * 2
    assert lines[6:] == [""]


def test_a_signed_note_opens_to_what_was_signed():
    assert checkpoint.open_note(NOTE, origin=ORIGIN, public_keys=[PUBLIC]) == HEAD


def test_an_older_key_still_opens_its_notes():
    newer = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert checkpoint.open_note(NOTE, origin=ORIGIN, public_keys=[newer, PUBLIC]) == HEAD


def test_signatures_of_other_witnesses_are_ignored():
    other = replace(HEAD, origin="witness.example/w1")
    extra = checkpoint.sign(other, key=Ed25519PrivateKey.generate()).rpartition("\n\n")[2]
    assert checkpoint.open_note(NOTE + extra, origin=ORIGIN, public_keys=[PUBLIC]) == HEAD


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (NOTE.replace("\n7\n", "\n8\n"), "signature"),
        (NOTE.replace("\n7\n", "\n07\n"), "decimal"),
        (NOTE.replace("\n7\n", "\n-7\n"), "decimal"),
        (NOTE.replace("\n7\n", "\n７\n"), "decimal"),
        (NOTE.replace("\n7\n", "\n7\nextension\n"), "three lines"),
        (NOTE.replace(ORIGIN, "portal.example/audit/other"), "another log"),
        (NOTE.replace("\nAAEC", "\nAAED"), "signature"),
        (NOTE.replace("\nAAEC", "\nAAE"), "base64"),
        (NOTE.replace("\nAAEC", "\n"), "32 bytes"),
        (NOTE.rpartition("\n\n")[0], "signed note"),
        (NOTE.rpartition("\n\n")[0] + "\n\n", "No known key"),
        # the timestamped signature left out
        ("\n".join(NOTE.split("\n")[:5]) + "\n", "No known key"),
        ("", "signed note"),
    ],
)
def test_a_changed_note_is_refused_and_told_why(changed, why):
    assert changed != NOTE
    with pytest.raises(CheckpointInvalid, match=why):
        checkpoint.open_note(changed, origin=ORIGIN, public_keys=[PUBLIC])


def test_the_time_is_signed_too():
    lines = NOTE.split("\n")
    name, _, encoded = lines[5].rpartition(" ")
    signature = bytearray(base64.b64decode(encoded))
    signature[11] ^= 1  # the last byte of the time
    lines[5] = f"{name} {base64.b64encode(bytes(signature)).decode()}"
    with pytest.raises(CheckpointInvalid, match="signature"):
        checkpoint.open_note("\n".join(lines), origin=ORIGIN, public_keys=[PUBLIC])


def test_another_key_with_our_name_is_not_believed():
    forged = checkpoint.sign(HEAD, key=Ed25519PrivateKey.generate())
    with pytest.raises(CheckpointInvalid, match="No known key"):
        checkpoint.open_note(forged, origin=ORIGIN, public_keys=[PUBLIC])


class TestKeys:
    def test_the_signing_key_is_made_once_and_is_private(self):
        first, second = keys.signing_key(), keys.signing_key()
        assert first.private_bytes_raw() == second.private_bytes_raw()
        path = keys._folder() / keys.CHECKPOINT_KEY
        assert path.stat().st_mode & 0o777 == 0o600
        assert keys.public_keys() == [first.public_key().public_bytes_raw()]
        assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []

    def test_an_exchanged_key_leaves_the_old_one_known(self):
        old = keys.signing_key().public_key().public_bytes_raw()
        (keys._folder() / keys.CHECKPOINT_KEY).unlink()
        new = keys.signing_key().public_key().public_bytes_raw()
        assert keys.public_keys() == [old, new]

    def test_the_last_vault_key_is_the_one_to_encrypt_with(self):
        first = keys.vault_keys()
        path = keys._folder() / keys.VAULT_KEYS
        path.write_text(path.read_text() + base64.b64encode(bytes(32)).decode() + "\n")
        both = keys.vault_keys()
        assert next(iter(both)) == next(iter(first))
        assert next(reversed(both.values())) == bytes(32)

    @pytest.mark.parametrize("content", ["", "not base64!", "AAAA"])
    def test_a_file_that_is_no_key_is_refused(self, content):
        (keys._folder() / keys.VAULT_KEYS).write_text(content)
        with pytest.raises(keys.KeyUnusable):
            keys.vault_keys()

    def test_a_signing_key_of_another_kind_is_refused(self):
        (keys._folder() / keys.CHECKPOINT_KEY).write_text("-----BEGIN NOTHING-----")
        with pytest.raises(keys.KeyUnusable):
            keys.signing_key()


# RFC 8032 section 7.1: secret key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


class TestEd25519OfTheAuditorsFile:
    @pytest.mark.parametrize(("secret", "message", "signature"), RFC_8032)
    def test_the_vectors_of_rfc_8032_hold(self, secret, message, signature):
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        public = key.public_key().public_bytes_raw()
        said, made = bytes.fromhex(message), bytes.fromhex(signature)
        assert key.sign(said) == made
        assert verify_audit.signature_holds(public, said, made)
        assert not verify_audit.signature_holds(public, said + b"!", made)

    @settings(max_examples=15, deadline=None)
    @given(st.binary(max_size=80), st.integers(min_value=0, max_value=511))
    def test_it_agrees_with_the_library_and_any_flipped_bit_breaks_it(self, message, bit):
        made = bytearray(KEY.sign(message))
        assert verify_audit.signature_holds(PUBLIC, message, bytes(made))
        made[bit // 8] ^= 1 << bit % 8
        assert not verify_audit.signature_holds(PUBLIC, message, bytes(made))

    def test_a_scalar_that_is_not_reduced_is_refused(self):
        # RFC 8032 section 5.1.7: S outside [0, L) would make a second signature for the same text.
        made = KEY.sign(b"text")
        scalar = int.from_bytes(made[32:], "little") + verify_audit.ORDER
        assert not verify_audit.signature_holds(
            PUBLIC, b"text", made[:32] + scalar.to_bytes(32, "little")
        )

    @pytest.mark.parametrize(
        ("public", "signature"),
        [
            (b"", bytes(64)),
            (PUBLIC, b""),
            ((2**255 - 1).to_bytes(32, "little"), bytes(64)),  # y outside the field
            (bytes([2]) + bytes(31), bytes(64)),  # no point has this y
            ((1 | 1 << 255).to_bytes(32, "little"), bytes(64)),  # x = 0 with an odd sign
        ],
    )
    def test_what_is_no_point_is_refused(self, public, signature):
        assert not verify_audit.signature_holds(public, b"text", signature)
