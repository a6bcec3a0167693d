"""The audit's own keys: files in settings.KEY_DIR, made on first use, readable by their owner only.

The checkpoint key signs and is needed by the sequencer alone. Its public half is appended to a list
that everything that verifies reads, so an exchanged key leaves old checkpoints verifiable: move the
private file away and the next checkpoint makes a new one. The vault's keys are one a line; the last
one encrypts, all of them decrypt.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings

CHECKPOINT_KEY = "audit-checkpoint.pem"
CHECKPOINT_PUBLIC_KEYS = "audit-checkpoint.pub"
VAULT_KEYS = "audit-vault.keys"


class KeyUnusable(RuntimeError):
    """A key file exists but does not hold a key of the kind that belongs there."""


def signing_key() -> Ed25519PrivateKey:
    """The key that signs checkpoints; its public half is in `public_keys` from then on."""
    path = _made(
        CHECKPOINT_KEY,
        lambda: Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    )
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        raise KeyUnusable(f"{CHECKPOINT_KEY} is not a private key in PEM form.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{CHECKPOINT_KEY} is not an Ed25519 key.")
    _publish(key.public_key().public_bytes_raw())
    return key


def public_keys() -> list[bytes]:
    """Every public key that ever signed a checkpoint here, oldest first; 32 bytes each."""
    path = _folder() / CHECKPOINT_PUBLIC_KEYS
    try:
        lines = path.read_text().split()
    except FileNotFoundError:
        return []
    return [_decoded(line, of=CHECKPOINT_PUBLIC_KEYS) for line in lines]


def vault_keys() -> dict[str, bytes]:
    """The vault's keys by id, in order of age; the last one is the one to encrypt with."""
    path = _made(VAULT_KEYS, lambda: base64.b64encode(secrets.token_bytes(32)) + b"\n")
    keys = [_decoded(line, of=VAULT_KEYS) for line in path.read_text().split()]
    if not keys:
        raise KeyUnusable(f"{VAULT_KEYS} holds no key.")
    return {hashlib.sha256(key).hexdigest()[:16]: key for key in keys}


def _folder() -> Path:
    return Path(settings.KEY_DIR)


def _decoded(line: str, *, of: str) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise KeyUnusable(f"{of} holds a line that is not a key of 32 bytes in base64.")
    return key


def _publish(public_key: bytes) -> None:
    line = base64.b64encode(public_key).decode()
    path = _folder() / CHECKPOINT_PUBLIC_KEYS
    with path.open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        if line not in handle.read().split():
            handle.write(f"{line}\n")
            handle.flush()
            os.fsync(handle.fileno())


def _made(name: str, content: Callable[[], bytes]) -> Path:
    path = _folder() / name
    if path.exists():
        return path
    # Written whole and then linked into place: of several processes one wins, and none of them can
    # ever read half a key.
    handle, temporary = tempfile.mkstemp(dir=_folder(), prefix=f".{name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    return path
