"""Clinical columns at rest: AES-256-GCM, one data key per patient, bound to row and column.

Three layers of keys. The ring, a file in KEY_DIR outside the database's folder, holds random keys by
name. A tenant's key is derived from the ring's current key (HKDF-SHA256). A patient's data key is
random, wrapped by the tenant's key and kept in `DataKey`; it seals that patient's columns.

A sealed text is `v1.<data-key id>.<nonce>.<ciphertext>`, base64url. Its associated data names tenant,
table, row, column and data key, so a ciphertext copied anywhere else does not open. Rotation adds a
ring key and wraps the data keys again; insert-only rows are never touched.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import IntegrityError, models, transaction

from audit.actors import Actor
from audit.encoding import canonical_bytes
from audit.recording import record
from audit.tags import AuditTag
from intents.governance.models import DataKey

VERSION = "v1"
RING_FILE = "column-keys.json"
_NONCE_BYTES = 12
# Unwrapped data keys are remembered this long, by id; a destroyed key is gone everywhere after it.
_MEMORY_SECONDS = 60
_MEMORY_KEYS = 1024


class CannotUnseal(ValueError):
    """The text is not ours, belongs to another place, or its key is gone. Says nothing of content."""


class KeyRingUnusable(RuntimeError):
    """The key-ring file is missing a key that stored data needs, or is not a key ring."""


# --- the ring ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Random 32-byte keys by name; `current` wraps new data keys, `tokens` keys the references.

    `tokens` never rotates: it decides under which token a patient's events are found in audit.
    """

    current: str
    keys: dict[str, bytes] = field(repr=False)
    tokens: bytes = field(repr=False)

    def tenant_key(self, *, name: str, tenant_id: str) -> bytes:
        if name not in self.keys:
            raise KeyRingUnusable(f"The key ring has no key named {name}.")
        return _derive(self.keys[name], purpose=f"reviewportal columns {tenant_id}")

    def token_key(self, *, tenant_id: str) -> bytes:
        return _derive(self.tokens, purpose=f"reviewportal tokens {tenant_id}")


def _derive(key: bytes, *, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)


def ring_path() -> Path:
    return Path(settings.KEY_DIR) / RING_FILE


_ring_lock = Lock()
_ring: tuple[tuple[str, int, int], KeyRing] | None = None


def key_ring() -> KeyRing:
    """The ring on disk, made on first use and read again when the file changes."""
    global _ring  # noqa: PLW0603 - one ring per process
    path = ring_path()
    try:
        status = path.stat()
    except FileNotFoundError:
        _write_new_ring(path)
        status = path.stat()
    stamp = (str(path), status.st_mtime_ns, status.st_ino)
    cached = _ring
    if cached is not None and cached[0] == stamp:
        return cached[1]
    with _ring_lock:
        ring = _read_ring(path)
        _ring = (stamp, ring)
    return ring


def _read_ring(path: Path) -> KeyRing:
    try:
        stored = json.loads(path.read_text())
        ring = KeyRing(
            current=stored["current"],
            keys={name: base64.b64decode(key) for name, key in stored["keys"].items()},
            tokens=base64.b64decode(stored["tokens"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise KeyRingUnusable(f"{RING_FILE} in KEY_DIR is not a key ring.") from problem
    if (
        ring.current not in ring.keys
        or any(len(key) != 32 for key in ring.keys.values())
        or not all(re.fullmatch(r"k[0-9]+", name) for name in ring.keys)
    ):
        raise KeyRingUnusable(f"{RING_FILE} in KEY_DIR is not a key ring.")
    return ring


def _write_new_ring(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if DataKey.unscoped.filter(destroyed_at__isnull=True).exists():
        # Making a new ring here would hide that the old one was lost.
        raise KeyRingUnusable(
            f"{RING_FILE} is missing from KEY_DIR, and stored data was sealed with it. Restore it."
        )
    _save_ring(path, current="k1", keys={"k1": secrets.token_bytes(32)}, first=True)


def _save_ring(
    path: Path,
    *,
    current: str,
    keys: dict[str, bytes],
    tokens: bytes | None = None,
    first: bool = False,
) -> None:
    text = json.dumps(
        {
            "current": current,
            "keys": {name: base64.b64encode(key).decode() for name, key in keys.items()},
            "tokens": base64.b64encode(tokens or secrets.token_bytes(32)).decode(),
        },
        indent=1,
    )
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if first:
        # Two processes may start at once: the first link wins, the other draft is thrown away.
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    else:
        draft.replace(path)


# --- data keys -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _PatientKey:
    id: str
    key: bytes = field(repr=False)


class _KeyMemory:
    """Unwrapped data keys by id, for a minute. An id is never reused, so a rolled-back key is harmless."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, tuple[float, str, bytes]] = OrderedDict()
        self._lock = Lock()

    def get(self, *, key_id: str, tenant_id: str, moment: float) -> bytes | None:
        found = self._keys.get(key_id)
        if found is None or found[1] != tenant_id or moment - found[0] > _MEMORY_SECONDS:
            return None
        return found[2]

    def put(self, *, key_id: str, tenant_id: str, key: bytes, moment: float) -> None:
        with self._lock:
            self._keys[key_id] = (moment, tenant_id, key)
            self._keys.move_to_end(key_id)
            while len(self._keys) > _MEMORY_KEYS:
                self._keys.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._keys.clear()


_memory = _KeyMemory()
_in_use: ContextVar[tuple[str, str, _PatientKey] | None] = ContextVar("patient_key", default=None)


def _wrap(*, key: bytes, key_id: str, tenant_id: str, ring_key: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    wrapping = key_ring().tenant_key(name=ring_key, tenant_id=tenant_id)
    sealed = AESGCM(wrapping).encrypt(nonce, key, f"{tenant_id}|{key_id}|{ring_key}".encode())
    return _b64(nonce + sealed)


def _unwrap(row: DataKey) -> bytes:
    if row.destroyed_at is not None:
        raise CannotUnseal("The key was destroyed.")
    raw = _unb64(row.wrapped)
    wrapping = key_ring().tenant_key(name=row.ring_key, tenant_id=str(row.tenant_id))
    try:
        return AESGCM(wrapping).decrypt(
            raw[:_NONCE_BYTES],
            raw[_NONCE_BYTES:],
            f"{row.tenant_id}|{row.pk}|{row.ring_key}".encode(),
        )
    except InvalidTag:
        raise CannotUnseal("The key ring does not open this patient's key.") from None


def _key_of_patient(*, tenant_id: str, patient_ref: str) -> _PatientKey:
    token = patient_token(tenant_id=tenant_id, patient_ref=patient_ref)
    current = _in_use.get()
    if current is not None and current[:2] == (tenant_id, token):
        return current[2]
    row = DataKey.unscoped.filter(tenant_id=tenant_id, patient_token=token).first()
    if row is None:
        row = _make_data_key(tenant_id=tenant_id, token=token)
    return _PatientKey(id=str(row.pk), key=_unwrap(row))


def _make_data_key(*, tenant_id: str, token: str) -> DataKey:
    key_id = uuid4()
    ring_key = key_ring().current
    wrapped = _wrap(
        key=secrets.token_bytes(32), key_id=str(key_id), tenant_id=tenant_id, ring_key=ring_key
    )
    try:
        with transaction.atomic():
            return DataKey.unscoped.create(
                id=key_id,
                tenant_id=tenant_id,
                patient_token=token,
                ring_key=ring_key,
                wrapped=wrapped,
            )
    except IntegrityError:
        # Somebody else made this patient's key a moment ago.
        return DataKey.unscoped.get(tenant_id=tenant_id, patient_token=token)


@contextmanager
def patient_key(*, tenant_id: str | UUID, patient_ref: str) -> Iterator[None]:
    """Look up (or make) one patient's key once for everything sealed inside.

    Must not outlive the transaction that it is opened in: a key made there may be rolled back.
    """
    tenant = str(tenant_id)
    token = patient_token(tenant_id=tenant, patient_ref=patient_ref)
    key = _key_of_patient(tenant_id=tenant, patient_ref=patient_ref)
    reset = _in_use.set((tenant, token, key))
    try:
        yield
    finally:
        _in_use.reset(reset)


def rotate(*, actor: Actor, at: datetime, limit: int = 500) -> int:
    """Make a new ring key and wrap up to `limit` data keys with it; returns how many were wrapped.

    A rotation that was interrupted is finished before another begins: the ring grows only when every
    data key has reached its current key. Call `rewrap` until it answers 0. The old ring keys may then
    be taken out of the file; backups of the database that are older still need them.
    """
    ring = key_ring()
    behind = DataKey.unscoped.filter(destroyed_at__isnull=True).exclude(ring_key=ring.current)
    if not behind.exists():
        name = f"k{max(int(each[1:]) for each in ring.keys) + 1}"
        _save_ring(
            ring_path(),
            current=name,
            keys={**ring.keys, name: secrets.token_bytes(32)},
            tokens=ring.tokens,
        )
        with transaction.atomic():
            record(
                tag=AuditTag.GOVERNANCE_KEY_ROTATED,
                actor=actor,
                at=at,
                tenant_id=None,
                body={"ring_key": name},
            )
    return rewrap(limit=limit)


def rewrap(*, limit: int = 500) -> int:
    """Wrap up to `limit` data keys with the current ring key; returns how many were."""
    current = key_ring().current
    done = 0
    with transaction.atomic():
        behind = (
            DataKey.unscoped.select_for_update()
            .filter(destroyed_at__isnull=True)
            .exclude(ring_key=current)
            .order_by("pk")[:limit]
        )
        for row in behind:
            key = _unwrap(row)
            row.wrapped = _wrap(
                key=key, key_id=str(row.pk), tenant_id=str(row.tenant_id), ring_key=current
            )
            row.ring_key = current
            row.save(update_fields=["wrapped", "ring_key"])
            done += 1
    return done


def destroy(*, tenant_id: str | UUID, patient_ref: str, at: datetime) -> bool:
    """Destroy one patient's key: what was sealed with it is unreadable for good. False: none held."""
    token = patient_token(tenant_id=tenant_id, patient_ref=patient_ref)
    count = DataKey.unscoped.filter(
        tenant_id=tenant_id, patient_token=token, destroyed_at__isnull=True
    ).update(wrapped="", destroyed_at=at)
    _memory.forget()
    return bool(count)


# --- sealing -------------------------------------------------------------------------------------


def seal(
    plaintext: str,
    *,
    tenant_id: str | UUID,
    patient_ref: str,
    table: str,
    row_id: str,
    column: str,
) -> str:
    """Seal one column's text for one place; see the module's text for the form."""
    tenant = str(tenant_id)
    key = _key_of_patient(tenant_id=tenant, patient_ref=patient_ref)
    nonce = os.urandom(_NONCE_BYTES)
    place = _place(tenant_id=tenant, table=table, row_id=row_id, column=column, key_id=key.id)
    ciphertext = AESGCM(key.key).encrypt(nonce, plaintext.encode(), place)
    return f"{VERSION}.{key.id}.{_b64(nonce)}.{_b64(ciphertext)}"


def unseal(sealed: str, *, tenant_id: str | UUID, table: str, row_id: str, column: str) -> str:
    """The text that was sealed for exactly this place, or `CannotUnseal`."""
    tenant = str(tenant_id)
    parts = sealed.split(".")
    if len(parts) != 4 or parts[0] != VERSION:
        raise CannotUnseal("This is not sealed text.")
    _, key_id, nonce, ciphertext = parts
    key = _key_by_id(key_id=key_id, tenant_id=tenant)
    place = _place(tenant_id=tenant, table=table, row_id=row_id, column=column, key_id=key_id)
    try:
        return AESGCM(key).decrypt(_unb64(nonce), _unb64(ciphertext), place).decode()
    except (InvalidTag, ValueError):
        raise CannotUnseal("The sealed text was not made for this place.") from None


def _key_by_id(*, key_id: str, tenant_id: str) -> bytes:
    moment = monotonic()
    remembered = _memory.get(key_id=key_id, tenant_id=tenant_id, moment=moment)
    if remembered is not None:
        return remembered
    try:
        row = DataKey.unscoped.get(pk=UUID(key_id), tenant_id=tenant_id)
    except (DataKey.DoesNotExist, ValueError):
        raise CannotUnseal("The key of this text is not held here.") from None
    key = _unwrap(row)
    _memory.put(key_id=key_id, tenant_id=tenant_id, key=key, moment=moment)
    return key


def _place(*, tenant_id: str, table: str, row_id: str, column: str, key_id: str) -> bytes:
    return f"{tenant_id}|{table}|{row_id}|{column}|{key_id}".encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CannotUnseal("This is not sealed text.") from None


def patient_token(*, tenant_id: str | UUID, patient_ref: str) -> str:
    """A keyed digest of a reference: the only form in which it reaches audit. 32 hex digits."""
    key = key_ring().token_key(tenant_id=str(tenant_id))
    return hmac.new(key, patient_ref.encode(), hashlib.sha256).hexdigest()[:32]


# --- records -------------------------------------------------------------------------------------


class PhiTextField(models.TextField):
    """Holds sealed text, or nothing. Refuses to store anything that was not sealed."""

    def get_prep_value(self, value: Any) -> Any:
        if value and not str(value).startswith(f"{VERSION}."):
            raise ValueError(f"{self.name} holds sealed text only; use set_phi().")
        return super().get_prep_value(value)


class PhiRecord(models.Model):
    """A record with sealed columns. Its id and tenant must be set before anything is sealed."""

    class Meta:
        abstract = True

    def set_phi(self, column: str, value: Any, *, patient_ref: str) -> None:
        """Seal `value` (text as it is; anything else as canonical JSON) into `column`."""
        self._phi_field(column)
        plaintext = value if isinstance(value, str) else canonical_bytes(value).decode()
        sealed = seal(
            plaintext,
            tenant_id=self.tenant_id,  # type: ignore[attr-defined]  # every model with sealed columns is owned by a tenant
            patient_ref=patient_ref,
            table=self._meta.db_table,
            row_id=str(self.pk),
            column=column,
        )
        setattr(self, column, sealed)

    def phi(self, column: str) -> str:
        """The text of `column`; empty text where nothing was sealed."""
        self._phi_field(column)
        sealed = getattr(self, column)
        if not sealed:
            return ""
        return unseal(
            sealed,
            tenant_id=self.tenant_id,  # type: ignore[attr-defined]  # every model with sealed columns is owned by a tenant
            table=self._meta.db_table,
            row_id=str(self.pk),
            column=column,
        )

    def phi_json(self, column: str) -> Any:
        """The value of `column` that was sealed as JSON; None where nothing was sealed."""
        text = self.phi(column)
        return json.loads(text) if text else None

    def _phi_field(self, column: str) -> None:
        if not isinstance(self._meta.get_field(column), PhiTextField):
            raise TypeError(f"{self._meta.label}.{column} is not a sealed column.")
