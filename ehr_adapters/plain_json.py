"""Plain JSON values: their hash, and where two of them differ. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def plain_value(value: Any) -> Any:
    """Mappings and sequences as plain dicts and lists; floats are refused, decimals must be text."""
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(v) for v in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise TypeError(f"{type(value).__name__} has no exact JSON form here.")


def sha256_json(value: Any) -> str:
    text = json.dumps(plain_value(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def comparable_differences(sent: Any, held: Any, *, path: str = "") -> tuple[str, ...]:
    """RFC 6901 pointers of every place where two comparable forms differ; empty when they are equal."""
    if isinstance(sent, Mapping) and isinstance(held, Mapping):
        out: list[str] = []
        for key in sorted({*sent, *held}):
            place = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in sent or key not in held:
                out.append(place)
            else:
                out += comparable_differences(sent[key], held[key], path=place)
        return tuple(out)
    if (
        isinstance(sent, (list, tuple))
        and isinstance(held, (list, tuple))
        and len(sent) == len(held)
    ):
        return tuple(
            place
            for index, (one, other) in enumerate(zip(sent, held, strict=True))
            for place in comparable_differences(one, other, path=f"{path}/{index}")
        )
    return () if sent == held and type(sent) is type(held) else (path,)
