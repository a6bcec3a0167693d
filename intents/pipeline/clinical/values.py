"""Values of a chart or a draft taken as they come: whatever has another shape than expected is nothing. Pure."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from fractions import Fraction
from typing import Any

from ehr_adapters.canonical import codes, units
from ehr_adapters.contract import Snapshot

Codes = frozenset[tuple[str, str]]


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> tuple[Any, ...]:
    """The members of a list; one value alone counts as a list of one, nothing as an empty one."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return () if value is None else (value,)


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def codes_of(value: Any) -> Codes:
    """(system, code) of a code, or of each of several."""
    return frozenset(
        (text(one.get("system")), text(one.get("code")))
        for one in map(mapping, entries(value))
        if text(one.get("code"))
    )


def words_of(value: Any) -> str:
    """The words of a code, of each of several, or of a text that stands for one."""
    out = []
    for one in entries(value):
        if isinstance(one, str):
            out.append(one)
        else:
            known = mapping(one)
            shipped = codes.display_of(
                system=text(known.get("system")), code=text(known.get("code"))
            )
            out += [text(known.get("display")), shipped]
    return " ".join(word for word in out if word)


def number(value: Any) -> Fraction | None:
    """A decimal as it is written in the canonical model, as an exact number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        return None


def amount_in(quantity: Any, unit: str) -> Fraction | None:
    """A quantity in another unit of its dimension; None across dimensions and for what is no quantity."""
    held = mapping(quantity)
    if number(held.get("value")) is None or not units.is_known(text(held.get("unit"))):
        return None
    return units.converted(str(held["value"]), held["unit"], unit)


def moment(value: Any) -> datetime | None:
    """An instant, or the beginning of a (partial) date in UTC; None for anything else."""
    try:
        if len(text(value)) <= 10:
            day = date.fromisoformat((text(value) + "-01-01")[:10])
            return datetime.combine(day, time(), tzinfo=UTC)
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found if found.utcoffset() is not None else None


def raw_of(snapshot: Snapshot | None) -> Mapping[str, Any]:
    """The EHR's own JSON of an entry; empty where it keeps its entries in another form."""
    if snapshot is None:
        return {}
    try:
        return mapping(json.loads(snapshot.raw, parse_float=str))
    except (ValueError, RecursionError):
        return {}


def codings(concept: Any) -> tuple[Any, ...]:
    """The codings of a FHIR CodeableConcept."""
    return entries(mapping(concept).get("coding"))


def walk(value: Any, pointer: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(pointer, object) of every object in a content, from the outside in."""
    if isinstance(value, Mapping):
        yield pointer, value
        for name, part in value.items():
            yield from walk(part, f"{pointer}/{name}")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from walk(part, f"{pointer}/{index}")
