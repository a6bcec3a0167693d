"""Is a JSON value a FHIR R4 primitive of the type it stands for? Pure."""

import base64
import binascii
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_YEAR = r"(?:[0-9](?:[0-9](?:[0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_DATE = re.compile(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATETIME = re.compile(
    rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])(?:T{_CLOCK}{_ZONE})?)?)?"
)
_INSTANT = re.compile(rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T{_CLOCK}{_ZONE}")
_TIME = re.compile(_CLOCK)
_CODE = re.compile(r"[^\s]+(?:\s[^\s]+)*")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_INT_MAX = 2**31 - 1
_TEXT_MAX = 1024 * 1024


def primitive_fault(type_name: str, value: Any) -> str:
    """Why a JSON value is no primitive of this type, as a sentence; "" when it is one."""
    if type_name == "boolean":
        return "" if isinstance(value, bool) else "A boolean is true or false."
    if type_name in {"integer", "positiveInt", "unsignedInt"}:
        return _integer_fault(type_name, value)
    if type_name == "decimal":
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            return "A decimal is a JSON number."
        return ""
    if not isinstance(value, str):
        return f"A {type_name} is a JSON string."
    if value == "":
        return "An element is never empty."
    return _text_fault(type_name, value)


def _integer_fault(type_name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"A {type_name} is a whole JSON number."
    least = {"positiveInt": 1, "unsignedInt": 0}.get(type_name, -_INT_MAX - 1)
    return "" if least <= value <= _INT_MAX else f"The number is outside the range of {type_name}."


def _text_fault(type_name: str, value: str) -> str:
    if type_name in {"string", "markdown", "xhtml"}:
        if len(value) > _TEXT_MAX:
            return "A text has at most one megabyte."
        if not value.strip():
            return "A text has more than blanks."
        return "A text holds no control characters." if _CONTROLS.search(value) else ""
    if type_name in {"uri", "url", "canonical"}:
        return "An address holds no blanks." if re.search(r"\s", value) else ""
    if type_name == "base64Binary":
        return _base64_fault(value)
    form = _FORMS[type_name]
    if not form.fullmatch(value):
        return f"This is not the form of a {type_name}."
    if type_name in {"date", "dateTime", "instant"}:
        return "" if _is_real(value) else "There is no such date."
    return ""


_FORMS = {
    "code": _CODE,
    "date": _DATE,
    "dateTime": _DATETIME,
    "id": _ID,
    "instant": _INSTANT,
    "oid": _OID,
    "time": _TIME,
    "uuid": _UUID,
}


def _base64_fault(value: str) -> str:
    try:
        base64.b64decode(re.sub(r"\s", "", value), validate=True)
    except binascii.Error:
        return "This is no base64."
    return ""


def _is_real(value: str) -> bool:
    try:
        if "T" in value:
            # A leap second is a real one in FHIR and unknown to the calendar here.
            datetime.fromisoformat(re.sub(r":60(?=[.Z+-])", ":59", value))
        elif len(value) == 10:
            date.fromisoformat(value)
    except ValueError:
        return False
    return True


def earliest_and_latest(value: str) -> tuple[datetime, datetime] | None:
    """The first and last moment that a partial date or time may mean, without zones mixed in.

    None when the text is no date. A date without a time is taken in the zone of whoever wrote it.
    """
    if not _DATETIME.fullmatch(value) or not _is_real(value):
        return None
    if "T" in value:
        moment = datetime.fromisoformat(re.sub(r":60(?=[.Z+-])", ":59", value))
        return moment, moment
    parts = [int(part) for part in value.split("-")]
    first = datetime(parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1)  # noqa: DTZ001
    if len(parts) == 1:
        last = datetime(parts[0], 12, 31, 23, 59, 59)  # noqa: DTZ001
    elif len(parts) == 2:
        following = (parts[0] + parts[1] // 12, parts[1] % 12 + 1)
        last_day = (date(*following, 1) - date(parts[0], parts[1], 1)).days
        last = datetime(parts[0], parts[1], last_day, 23, 59, 59)  # noqa: DTZ001
    else:
        last = first.replace(hour=23, minute=59, second=59)
    return first, last
