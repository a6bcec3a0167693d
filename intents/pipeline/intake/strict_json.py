"""JSON read without mercy: what two readers could take differently is refused. Pure.

RFC 8259 leaves duplicate names, huge numbers and depth to the reader; a review is only worth something
when every reader sees the same document.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

MAX_DEPTH = 64
_MAX_NUMBER_CHARACTERS = 64


class NotStrictJson(ValueError):
    """The bytes are not one JSON document in the strict sense. The sentence never repeats them."""


def read(raw: bytes) -> Any:
    """The document in `raw`; numbers with a fraction become Decimal. Raises `NotStrictJson`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NotStrictJson("The body is not UTF-8.") from None
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_decimal,
            parse_int=_integer,
        )
    except RecursionError:
        raise NotStrictJson(f"The body nests deeper than {MAX_DEPTH} levels.") from None
    except NotStrictJson:
        raise
    except ValueError:
        raise NotStrictJson("The body is not JSON.") from None
    for _ in strings(document):
        pass
    return document


def strings(document: Any) -> Iterator[tuple[str, str]]:
    """(RFC 6901 pointer, text) of every text in the document, names included.

    Raises `NotStrictJson` below 64 levels and for text that is not Unicode (a lone surrogate).
    """
    waiting: list[tuple[str, int, Any]] = [("", 0, document)]
    while waiting:
        pointer, depth, value = waiting.pop()
        if isinstance(value, str):
            yield pointer, _unicode(value)
        elif isinstance(value, dict):
            if depth >= MAX_DEPTH:
                raise NotStrictJson(f"The body nests deeper than {MAX_DEPTH} levels.")
            for name, item in value.items():
                place = f"{pointer}/{pointer_part(_unicode(name))}"
                yield place, name
                waiting.append((place, depth + 1, item))
        elif isinstance(value, list):
            if depth >= MAX_DEPTH:
                raise NotStrictJson(f"The body nests deeper than {MAX_DEPTH} levels.")
            waiting += [(f"{pointer}/{index}", depth + 1, item) for index, item in enumerate(value)]


def pointer_part(name: str) -> str:
    """One name as a part of a JSON pointer, cut short: a name can hold clinical content too."""
    return name[:64].replace("~", "~0").replace("/", "~1")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson("An object in the body has the same name twice.")
    return found


def _no_constant(_: str) -> NoReturn:
    raise NotStrictJson("NaN and Infinity are not JSON.")


def _decimal(digits: str) -> Decimal:
    if len(digits) > _MAX_NUMBER_CHARACTERS:
        raise NotStrictJson("A number in the body is too long.")
    return Decimal(digits)


def _integer(digits: str) -> int:
    if len(digits) > _MAX_NUMBER_CHARACTERS:
        raise NotStrictJson("A number in the body is too long.")
    return int(digits)


def _unicode(text: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise NotStrictJson("A text in the body is not Unicode (a lone surrogate).") from None
    return text
