"""Are two values of a field the same, and how is one said to a reader. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ehr_adapters.canonical.declaration import Comparison, field_spec, fields, kind_model
from ehr_adapters.canonical.types import Code


def normal_text(text: str) -> str:
    """A text as it is compared: NFC, line ends as "\\n", no blanks at the ends of lines or of the text."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip(" \t") for line in lines).rstrip("\n")


def comparison_key(kind: str, name: str, value: Any) -> Any:
    """What two values of a field must have in common to be the same."""
    spec = field_spec(kind, name)
    if value is None:
        return spec.absent_means or None
    match spec.compare:
        case Comparison.CODE:
            return _code_key(value)
        case Comparison.CODE_SET:
            return frozenset(_code_key(one) for one in value)
        case Comparison.TEXT:
            return normal_text(value)
        case Comparison.INSTANT:
            return datetime.fromisoformat(value).astimezone(UTC)
        case Comparison.SECTIONS:
            return tuple((normal_text(s["title"]), normal_text(s["text"])) for s in value)
        case Comparison.ATTACHMENTS:
            return frozenset((a["sha256"], a["type"]) for a in value)
        case _:
            return value if not isinstance(value, Mapping) else tuple(sorted(value.items()))


def comparison_json(kind: str, name: str, value: Any) -> Any:
    """The comparison key as plain JSON in a fixed order: equal values give equal JSON."""
    return _plain_key(comparison_key(kind, name, value))


def _plain_key(key: Any) -> Any:
    if isinstance(key, frozenset):
        return sorted((_plain_key(one) for one in key), key=repr)
    if isinstance(key, tuple):
        return [_plain_key(one) for one in key]
    return key.isoformat() if isinstance(key, datetime) else key


def _code_key(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return "", normal_text(value)
    return value["system"], value["code"]


def same_value(kind: str, name: str, one: Any, other: Any) -> bool:
    return bool(comparison_key(kind, name, one) == comparison_key(kind, name, other))


def changed_fields(
    kind: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[str, ...]:
    """The names of the fields whose values differ between two canonical values, in order of reading."""
    return tuple(
        spec.name
        for spec in fields(kind)
        if not spec.portal_only
        and not same_value(kind, spec.name, before.get(spec.name), after.get(spec.name))
    )


def words(kind: str, name: str, value: Any) -> str:
    """A field's value in words for a reader: the display of a code, the words of a choice."""
    spec = field_spec(kind, name)
    if value is None:
        return "none"
    if isinstance(value, str):
        return dict(spec.choices).get(value, value)
    if isinstance(value, Mapping) and "code" in value:
        return Code(**value).words
    if isinstance(value, list) and spec.compare is Comparison.CODE_SET:
        return "; ".join(Code(**one).words for one in value)
    return kind_model(kind).words_of(name, value)
