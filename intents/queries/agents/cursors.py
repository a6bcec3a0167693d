"""Where a list goes on: a moment and a key, as one opaque word."""

import base64
import binascii
import json
from datetime import datetime
from uuid import UUID

PAGE_SIZE = 50


class CursorUnreadable(ValueError):
    """The cursor is none that was handed out."""


def encode(moment: datetime, key: str) -> str:
    """The cursor behind this place."""
    text = json.dumps([moment.isoformat(), key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[datetime, str]:
    """The place that a cursor names, or `CursorUnreadable`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        moment, key = json.loads(raw)
        parsed = datetime.fromisoformat(moment)
    except (ValueError, TypeError, binascii.Error):
        raise CursorUnreadable("The cursor is none that was handed out.") from None
    if parsed.utcoffset() is None or not isinstance(key, str):
        raise CursorUnreadable("The cursor is none that was handed out.")
    return parsed, key


def uuid_of(text: str) -> UUID:
    """The key as an id, or `CursorUnreadable`."""
    try:
        return UUID(text)
    except ValueError:
        raise CursorUnreadable("The cursor is none that was handed out.") from None
