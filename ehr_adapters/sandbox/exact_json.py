"""JSON in and out without changing what was said: decimals keep their digits, keys keep their order.

`18.0` stays `18.0`. A key written twice, NaN and Infinity are refused, because readers disagree on them.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

_string = json.encoder.encode_basestring


class NotJson(ValueError):
    """The bytes are not one JSON value that every reader would read alike; the sentence says why."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotJson("an object has the same key twice")
    return result


def _no_constant(name: str) -> Any:
    raise NotJson(f"{name} is not JSON")


def loads(data: bytes | str) -> Any:
    """The value of one JSON text; numbers with a fraction or exponent come as Decimal.

    Raises NotJson for anything that is not UTF-8 JSON, repeats a key, or nests beyond what can be read.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except NotJson:
        raise
    except UnicodeDecodeError:
        raise NotJson("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise NotJson("the body is not JSON") from None


def dumps(value: Any) -> str:
    """Compact JSON text. Decimals are written with the digits they were read with."""
    pieces: list[str] = []
    _write(value, pieces.append)
    return "".join(pieces)


def _write(value: Any, put: Callable[[str], None]) -> None:
    if isinstance(value, str):
        put(_string(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            put(f"{separator}{_string(key)}:")
            _write(item, put)
            separator = ","
        put("}" if value else "{}")
    elif isinstance(value, list | tuple):
        separator = "["
        for item in value:
            put(separator)
            _write(item, put)
            separator = ","
        put("]" if value else "[]")
    elif value is None:
        put("null")
    elif isinstance(value, bool):
        put("true" if value else "false")
    elif isinstance(value, int | Decimal):
        put(str(value))
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form here")
