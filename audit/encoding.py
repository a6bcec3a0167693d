"""Canonical JSON: the one form of the bytes of everything that is hashed or signed. Pure.

Object keys are sorted by Unicode code point, there is no insignificant whitespace, text is UTF-8
and is never normalised. A Decimal is written as its exact text inside a string (`"1.50"` is not
`"1.5"`), because a parser that reads numbers as binary floating point would change it. A datetime
is written in UTC with a trailing Z and six digits of fraction. Two equal values always have the
same bytes, and a value that has no single exact form is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID


class NotCanonical(TypeError):
    """This value has no exact canonical form; the message names its type and place, not the value."""


def canonical_bytes(value: object) -> bytes:
    """The canonical JSON of `value` as UTF-8.

    Takes None, bool, int, str, Decimal, UUID, date, aware datetime, enum members whose value is one
    of these, and mappings (with text keys), lists and tuples of them. Raises NotCanonical for
    anything else: floats and NaN, naive datetimes, bytes, sets, lone surrogates.
    """
    text = json.dumps(
        _plain(value, "$"),
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # `from None`: the original error would carry the text itself into a log.
        raise NotCanonical(
            "A text value is not valid Unicode: it holds a lone surrogate."
        ) from None


def canonical_text(value: object) -> str:
    """`canonical_bytes` as text, for a column that holds what was hashed."""
    return canonical_bytes(value).decode("utf-8")


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_time(moment: datetime) -> str:
    """`2026-11-20T08:31:07.000000Z`: one text for one moment. Raises NotCanonical without a zone."""
    if moment.utcoffset() is None:
        raise NotCanonical("A datetime without a time zone names no single moment.")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: object, place: str) -> object:
    # bool before int and datetime before date: each is a subclass of the other.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, place)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise NotCanonical(f"A decimal without a finite value at {place}.")
        return str(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return canonical_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        plain: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical(f"A key that is not text, but {type(key).__name__}, at {place}.")
            plain[str(key)] = _plain(item, f"{place}.{key}")
        return plain
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{number}]") for number, item in enumerate(value)]
    raise NotCanonical(f"A value of type {type(value).__name__} has no exact form, at {place}.")
