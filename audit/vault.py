"""Bodies of events: encrypted, committed to, and the one part of the log that can be destroyed.

An event commits to its body by HMAC-SHA256 under a fresh random key, because a bare hash of a few
codes and ids can be found by trying. Body and key are encrypted together (AES-256-GCM, bound to the
event) under a key in settings.KEY_DIR. Destroying them leaves every proof of the log valid and the
commitment opaque for ever.
"""

import base64
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit import keys
from audit.encoding import canonical_bytes
from audit.models import EventBody

_VERSION = "v1"
_NONCE_BYTES = 12


class BodyUnreadable(ValueError):
    """The sealed body was altered, belongs to another event, or its vault key is missing."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A body's canonical bytes and the key that its commitment was made with."""

    body: bytes
    key: bytes

    def commitment(self) -> str:
        """HMAC-SHA256 of the body, hexadecimal; equals the event's `body_commitment`."""
        return hmac.digest(self.key, self.body, "sha256").hex()

    def content(self) -> dict[str, object]:
        """The body as values."""
        content: dict[str, object] = json.loads(self.body)
        return content


def opening_for(body: Mapping[str, object]) -> Opening:
    """A body ready to be committed to, under a fresh random key."""
    return Opening(body=canonical_bytes(body), key=secrets.token_bytes(32))


def store(opening: Opening, *, event_id: UUID) -> None:
    """Encrypt and keep the body of a new event, in the caller's transaction."""
    key_id, key = next(reversed(keys.vault_keys().items()))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, opening.key + opening.body, _bound_to(event_id, key_id))
    EventBody(
        event_id=event_id,
        sealed=".".join((_VERSION, key_id, _encoded(nonce), _encoded(sealed))),
    ).save(force_insert=True)


def unseal(stored: EventBody, *, vault_keys: Mapping[str, bytes]) -> Opening | None:
    """The body behind a vault row, or None when it was destroyed. Raises BodyUnreadable."""
    if not stored.sealed:
        return None
    try:
        version, key_id, nonce, sealed = stored.sealed.split(".")
        if version != _VERSION:
            raise BodyUnreadable("The sealed body is of an unknown version.")
        plain = AESGCM(vault_keys[key_id]).decrypt(
            base64.urlsafe_b64decode(nonce),
            base64.urlsafe_b64decode(sealed),
            _bound_to(stored.event_id, key_id),
        )
    except (ValueError, KeyError, InvalidTag) as error:
        if isinstance(error, BodyUnreadable):
            raise
        raise BodyUnreadable(
            "The sealed body was altered, belongs to another event, or its vault key is missing."
        ) from None
    return Opening(body=plain[32:], key=plain[:32])


def content_of(event_id: UUID) -> dict[str, object] | None:
    """The body of an event as values; None when it had none or it was destroyed.

    The caller records that it was looked at. Raises BodyUnreadable.
    """
    stored = EventBody.objects.filter(pk=event_id).first()
    opening = unseal(stored, vault_keys=keys.vault_keys()) if stored else None
    return opening.content() if opening else None


def destroy(event_ids: Iterable[UUID], *, at: datetime) -> list[UUID]:
    """Destroy bodies with their keys, and return the events whose body existed until now.

    `recording.shred` calls this and records it; nothing else may, or verification reports a loss.
    """
    found = list(
        EventBody.objects.select_for_update()
        .filter(pk__in=list(event_ids), shredded_at__isnull=True)
        .values_list("pk", flat=True)
    )
    EventBody.objects.filter(pk__in=found).update(sealed="", shredded_at=at)
    return found


def _bound_to(event_id: UUID, key_id: str) -> bytes:
    return f"reviewportal audit body|{event_id}|{key_id}".encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
