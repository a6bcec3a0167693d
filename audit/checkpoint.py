"""Signed checkpoints: C2SP tlog-checkpoint inside a C2SP signed note, by Ed25519. Pure.

A note carries two signatures by the log's key: the plain one of the signed-note specification (type
0x01), which any reader of notes can check, and a timestamped one of tlog-cosignature (type 0x04),
which says when this was the largest tree. Both names are the log's origin.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PLAIN = b"\x01"
TIMESTAMPED = b"\x04"
_DASH = "\u2014"
_HASH_BYTES = 32
_SIGNATURE_BYTES = 64


class CheckpointInvalid(ValueError):
    """This note is not a checkpoint of this log under a known key; the message says why."""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a checkpoint says: how many leaves, their root, and when it was signed (whole seconds)."""

    origin: str
    size: int
    root: bytes
    at: datetime

    def text(self) -> str:
        """The note text of tlog-checkpoint: three lines, without extensions."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(*, base: str, log: str) -> str:
    """The origin line of a log: the deployment's name and the log's, as a schema-less URL."""
    return f"{base.rstrip('/')}/{log}"


def key_id(*, name: str, kind: bytes, public_key: bytes) -> bytes:
    """The four bytes that a note uses to name a key (C2SP signed-note, "Signatures")."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:4]


def verifier_key(*, origin: str, public_key: bytes) -> str:
    """The key as one line of text for a verifier: `name+id+base64(0x01 || key)`."""
    number = key_id(name=origin, kind=PLAIN, public_key=public_key).hex()
    return f"{origin}+{number}+{base64.b64encode(PLAIN + public_key).decode()}"


def sign(head: TreeHead, *, key: Ed25519PrivateKey) -> str:
    """The signed note for a tree head."""
    text = head.text()
    public_key = key.public_key().public_bytes_raw()
    seconds = int(head.at.timestamp())
    plain = key.sign(text.encode())
    timestamped = struct.pack(">Q", seconds) + key.sign(_cosigned(text, seconds))
    return f"{text}\n" + "".join(
        f"{_DASH} {head.origin} "
        f"{base64.b64encode(key_id(name=head.origin, kind=kind, public_key=public_key) + made).decode()}\n"
        for kind, made in ((PLAIN, plain), (TIMESTAMPED, timestamped))
    )


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def open_note(note: str, *, origin: str, public_keys: Iterable[bytes]) -> TreeHead:
    """The tree head of a note, once both signatures by one known key have been verified.

    Signatures of unknown keys (other witnesses) are ignored, as the specification asks. Raises
    CheckpointInvalid for another log's note, a malformed one, or a signature that does not hold.
    """
    text, gap, lines = note.rpartition("\n\n")
    if not gap:
        raise CheckpointInvalid("It is not a signed note: no blank line before the signatures.")
    text += "\n"
    fields = text.split("\n")
    if len(fields) != 4:
        raise CheckpointInvalid("It is not a checkpoint of three lines.")
    if fields[0] != origin:
        raise CheckpointInvalid("It is the checkpoint of another log.")
    if not fields[1].isascii() or not fields[1].isdigit() or str(int(fields[1])) != fields[1]:
        raise CheckpointInvalid("Its tree size is not a plain decimal number.")
    root = _decoded(fields[2])
    if len(root) != _HASH_BYTES:
        raise CheckpointInvalid("Its root is not a hash of 32 bytes.")
    made: dict[bytes, bytes] = {}
    for line in lines.split("\n"):
        if line.startswith(f"{_DASH} {origin} "):
            signature = _decoded(line.rpartition(" ")[2])
            made[signature[:4]] = signature[4:]
    for raw in public_keys:
        plain = made.get(key_id(name=origin, kind=PLAIN, public_key=raw))
        timestamped = made.get(key_id(name=origin, kind=TIMESTAMPED, public_key=raw))
        if plain is None or timestamped is None:
            continue
        if len(timestamped) != 8 + _SIGNATURE_BYTES:
            raise CheckpointInvalid("Its timestamped signature has the wrong length.")
        (seconds,) = struct.unpack(">Q", timestamped[:8])
        key = Ed25519PublicKey.from_public_bytes(raw)
        try:
            key.verify(plain, text.encode())
            key.verify(timestamped[8:], _cosigned(text, seconds))
            at = datetime.fromtimestamp(seconds, UTC)
        except InvalidSignature:
            raise CheckpointInvalid("Its signature does not hold.") from None
        except (OverflowError, OSError, ValueError):
            raise CheckpointInvalid("Its time lies outside the calendar.") from None
        return TreeHead(origin=origin, size=int(fields[1]), root=root, at=at)
    raise CheckpointInvalid("No known key signed it.")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointInvalid("It holds something that is not base64.") from None
