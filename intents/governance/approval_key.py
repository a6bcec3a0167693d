"""The key that seals approvals: a file in KEY_DIR, made on first use, held by the web alone.

What verifies needs only the list of public halves. An exchanged key (move the private file away)
leaves the approvals given under the old one verifiable.
"""

import base64
import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings

PRIVATE_FILE = "approval.pem"
PUBLIC_FILE = "approval.pub"


class ApprovalKeyUnusable(RuntimeError):
    """A key file exists but does not hold what belongs there."""


def signing_key() -> bytes:
    """The 32 private bytes that seal approvals; the public half is published from then on."""
    path = Path(settings.KEY_DIR) / PRIVATE_FILE
    if not path.exists():
        _write_new(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        raise ApprovalKeyUnusable(f"{PRIVATE_FILE} is not a private key in PEM form.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ApprovalKeyUnusable(f"{PRIVATE_FILE} is not an Ed25519 key.")
    _publish(key.public_key().public_bytes_raw())
    return key.private_bytes_raw()


def public_keys() -> list[bytes]:
    """Every public key that ever sealed an approval here, oldest first; 32 bytes each."""
    try:
        lines = (Path(settings.KEY_DIR) / PUBLIC_FILE).read_text().split()
    except FileNotFoundError:
        return []
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except ValueError:
        keys = [b""]
    if any(len(key) != 32 for key in keys):
        raise ApprovalKeyUnusable(f"{PUBLIC_FILE} holds a line that is not a public key.")
    return keys


def _publish(public_key: bytes) -> None:
    line = base64.b64encode(public_key).decode()
    with (Path(settings.KEY_DIR) / PUBLIC_FILE).open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        if line not in handle.read().split():
            handle.write(f"{line}\n")
            handle.flush()
            os.fsync(handle.fileno())


def _write_new(path: Path) -> None:
    # Written whole and then linked into place: two processes that start at once share one key.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(
                Ed25519PrivateKey.generate().private_bytes(
                    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
                )
            )
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
