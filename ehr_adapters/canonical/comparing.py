"""Are two values of a field the same, and how is one said to a reader. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import units
from ehr_adapters.canonical.declaration import Column, Comparison, field_spec, fields, kind_model
from ehr_adapters.canonical.types import Code, Measured, QuantityRange


def normal_text(text: str) -> str:
    """A text as it is compared: NFC, line ends as "\\n", no blanks at the ends of lines or of the text."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip(" \t") for line in lines).rstrip("\n")


def comparison_key(kind: str, name: str, value: Any) -> Any:
    """What two values of a field must have in common to be the same."""
    spec = field_spec(kind, name)
    if value is None:
        return spec.absent_means or None
    value = kind_model(kind).compared_as(spec.name, value)
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
        case Comparison.QUANTITY | Comparison.PART | Comparison.LIST:
            return _value_key(value)
        case Comparison.SET:
            return frozenset(_value_key(one) for one in value)
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
    if isinstance(key, Fraction):
        return str(key)
    return key.isoformat() if isinstance(key, datetime) else key


def _code_key(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return "", normal_text(value)
    return value["system"], value["code"]


def _value_key(value: Any) -> Any:
    """The key of a value by its shape: a code, a quantity after conversion, a part by its members, a text."""
    if isinstance(value, Mapping):
        if "system" in value and "code" in value:
            return _code_key(value)
        if "unit" in value and "value" in value:
            return (*units.base_value(value["value"], value["unit"]), value.get("comparator") or "")
        return tuple((n, _value_key(v)) for n, v in sorted(value.items()) if v is not None)
    if isinstance(value, (list, tuple)):
        return tuple(_value_key(one) for one in value)
    return normal_text(value) if isinstance(value, str) else value


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
    """A field's value in words for a reader: the display of a code, the words of a choice, a quantity."""
    spec = field_spec(kind, name)
    if value is None:
        return "none"
    own = kind_model(kind).words_of(name, value)
    return _words(value, choices=spec.choices, columns=spec.columns) if own is None else own


def column_words(column: Column, value: Any) -> str:
    """One member of a structured value in words."""
    return _words(value, choices=column.words)


def _words(
    value: Any,
    *,
    choices: tuple[tuple[str, str], ...] = (),
    columns: tuple[tuple[str, Column], ...] = (),
) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return dict(choices).get(value, value)
    if isinstance(value, (list, tuple)):
        return "; ".join(_words(one, choices=choices, columns=columns) for one in value)
    if not isinstance(value, Mapping):
        return str(value)
    if "system" in value and "code" in value:
        return Code(**value).words
    if "unit" in value and "value" in value:
        return Measured(**value).words
    if "low" in value and "high" in value:
        return QuantityRange(**value).words
    return ", ".join(
        f"{column.lead} {column_words(column, value[name])}".strip()
        for name, column in columns
        if value.get(name) is not None
    )
