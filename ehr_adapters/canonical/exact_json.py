"""JSON in and out without losing anything: no duplicate keys, no NaN, exact decimals, bounded depth. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

MAX_DEPTH = 64


class NotStrictJson(ValueError):
    """The bytes are no JSON that may be taken; the reason never repeats content."""


class ExactDecimal(Decimal):
    """A decimal that remembers how it was written: 1.00 stays 1.00, 1e3 stays 1e3."""

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return ExactDecimal, (self.text,)


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def loads(data: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text; raises `NotStrictJson`.

    UTF-8 without a byte-order mark, no duplicate keys, no NaN or Infinity, no lone surrogates, at most
    `max_depth` levels. Fractions and exponents become `ExactDecimal`, never float.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise NotStrictJson("The text is not UTF-8.") from None
    depth = 0
    for token in _TOKENS.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            if depth > max_depth:
                raise NotStrictJson(f"The text is nested deeper than {max_depth} levels.")
        elif mark in "]}":
            depth -= 1
    try:
        value = json.loads(
            text,
            parse_float=ExactDecimal,
            parse_int=_whole,
            parse_constant=_no_constant,
            object_pairs_hook=_no_duplicates,
        )
    except NotStrictJson:
        raise
    except (ValueError, RecursionError):
        raise NotStrictJson("The text is not JSON.") from None
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def _whole(text: str) -> int | ExactDecimal:
    return ExactDecimal(text) if text == "-0" else int(text)


def _no_constant(name: str) -> Any:
    raise NotStrictJson(f"{name} is no JSON number.")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise NotStrictJson("An object names a member twice.")
    return out


def _refuse_surrogates(value: Any) -> None:
    try:
        dumps(value)
    except UnicodeEncodeError:
        raise NotStrictJson("The text holds half a character.") from None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON, members in the order given, decimals as they were written; floats are refused."""
    return _text(value).encode("utf-8")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, ExactDecimal):
        return value.text
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, Mapping):
        members = (
            f"{json.dumps(key, ensure_ascii=False)}:{_text(member)}"
            for key, member in value.items()
        )
        return "{" + ",".join(members) + "}"
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return "[" + ",".join(_text(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no exact JSON form.")


def plain(value: Any) -> Any:
    """The same value with decimals as the text they were written as: safe for any JSON library."""
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, ExactDecimal):
        return value.text
    if isinstance(value, Decimal):
        return format(value, "f")
    return value
