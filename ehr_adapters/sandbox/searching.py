"""FHIR search over one vendor's entries: tokens, references, dates, strings, paging.

A parameter that is not in the table is refused or ignored as the front decides; it is never half
understood.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from django.db.models import Q, QuerySet

from ehr_adapters.sandbox import charts
from ehr_adapters.sandbox.models import SandboxResource
from ehr_adapters.sandbox.search_params import COMMON, PARAMS, Param

# The practice's clock: dates without a zone are days here, never in UTC.
PRACTICE_ZONE = timezone(timedelta(hours=-5))

DEFAULT_PAGE = 50
LARGEST_PAGE = 200


class SearchNotUnderstood(ValueError):
    """A parameter, modifier, prefix or value that this server cannot evaluate; the sentence names it."""


_SORTS = {"_id", "_lastUpdated", "date"}


@dataclass(slots=True)
class Found:
    """One page of a search."""

    rows: list[tuple[SandboxResource, dict[str, Any]]]
    total: int
    offset: int
    count: int
    ignored: list[str] = field(default_factory=list)

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins; None on the last."""
        end = self.offset + len(self.rows)
        return end if end < self.total else None


def search(
    *,
    vendor: str,
    type: str,
    query: Sequence[tuple[str, str]],
    at: datetime,
    last_request: int,
    strict: bool,
    shown: Callable[[SandboxResource, dict[str, Any]], bool] | None = None,
    lagging: bool = True,
) -> Found:
    """The entries of `type` that match every parameter, one page of them, oldest first unless sorted.

    `lagging=False` also sees entries that the index does not show yet. `shown` narrows further (what a
    vendor or a scope hides). Raises SearchNotUnderstood; with `strict=False` unknown parameters are
    reported in `ignored` instead.
    """
    table = COMMON | PARAMS[type]
    filters: list[tuple[Param, str, list[str]]] = []
    count, offset, sort, ignored = DEFAULT_PAGE, 0, "", []
    for name, value in query:
        if name == "_count":
            count = _number(name, value, largest=LARGEST_PAGE)
        elif name == "_page":
            offset = _number(name, value, largest=10**9)
        elif name == "_sort":
            sort = value
        elif name in {"_format", "_pretty", "_total"}:
            continue
        else:
            plain, _, modifier = name.partition(":")
            if plain not in table:
                if strict:
                    raise SearchNotUnderstood(
                        f"the search parameter {plain!r} is not supported for {type}"
                    )
                ignored.append(plain)
                continue
            if value == "":
                raise SearchNotUnderstood(f"the search parameter {plain!r} has no value")
            filters.append((table[plain], modifier, _split(value)))
    candidates = _narrowed(vendor=vendor, type=type, filters=filters, table=table)
    if lagging:
        candidates = candidates.filter(*indexed(at=at, last_request=last_request))
    matches = [
        (row, content)
        for row, content in _contents(candidates)
        if (shown is None or shown(row, content))
        and all(_matches(content, *each) for each in filters)
    ]
    if sort:
        matches = _sorted(matches, sort, table)
    return Found(matches[offset : offset + count], len(matches), offset, count, ignored)


def indexed(*, at: datetime, last_request: int) -> tuple[Q, Q]:
    """What searches and lists show now: entries whose lag is over."""
    return (
        Q(searchable_at__isnull=True) | Q(searchable_at__lte=at),
        Q(searchable_after_request__isnull=True) | Q(searchable_after_request__lte=last_request),
    )


def matches(content: Mapping[str, Any], *, type: str, name: str, value: str) -> bool:
    """Does one resource satisfy one parameter? Used for scopes narrowed by a query."""
    param = (COMMON | PARAMS.get(type, {})).get(name)
    return param is not None and _matches(content, param, "", _split(value))


def _contents(rows: Iterable[SandboxResource]) -> Iterator[tuple[SandboxResource, dict[str, Any]]]:
    for row in rows:
        yield row, charts.with_meta(charts.content_of(row), version=row.version, at=row.updated_at)


def _narrowed(
    *,
    vendor: str,
    type: str,
    filters: Sequence[tuple[Param, str, list[str]]],
    table: Mapping[str, Param],
) -> QuerySet[SandboxResource]:
    """The rows worth opening: by id, identifier or patient where the query gives one."""
    rows = SandboxResource.objects.filter(vendor=vendor, type=type, removed=False).order_by("pk")
    for param, modifier, values in filters:
        if modifier not in {"", "Patient"}:
            continue
        if param is table["_id"]:
            rows = rows.filter(fhir_id__in=[value.rpartition("|")[2] for value in values])
        elif param is table["identifier"]:
            given = [value.rpartition("|")[2] for value in values]
            if all(given):
                rows = rows.filter(identifiers__value__in=given).distinct()
        elif param.target == "Patient" and type not in {"Provenance", "Appointment"}:
            rows = rows.filter(
                patient_id__in=[charts.split_reference(value)[1] for value in values]
            )
    return rows


def _number(name: str, value: str, *, largest: int) -> int:
    if not value.isdigit():
        raise SearchNotUnderstood(f"{name} must be a whole number")
    return min(int(value), largest)


def _split(value: str) -> list[str]:
    """The alternatives of one value; a comma behind a backslash belongs to the value."""
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", value)]


def _matches(
    content: Mapping[str, Any], param: Param, modifier: str, values: Sequence[str]
) -> bool:
    present = list(_at(content, param.paths))
    if modifier == "missing":
        return (not present) == (values[0] == "true")
    match param.kind, modifier:
        case "token", "":
            return any(_is_token(item, value) for item in present for value in values)
        case "token", "not":
            return not any(_is_token(item, value) for item in present for value in values)
        case "reference", _ if modifier in {"", param.target, "Patient"}:
            target = param.target or modifier
            return any(_is_reference(item, value, target) for item in present for value in values)
        case "date", "":
            return any(_is_date(item, value) for item in present for value in values)
        case "string", "" | "exact" | "contains":
            return any(
                _is_string(str(item), value, modifier) for item in present for value in values
            )
    raise SearchNotUnderstood(f"the modifier {modifier!r} is not supported here")


def _at(content: Any, paths: Iterable[str]) -> Iterator[Any]:
    for path in paths:
        items = [content]
        for step in path.split("."):
            following: list[Any] = []
            for item in items:
                value = item.get(step) if isinstance(item, dict) else None
                following += value if isinstance(value, list) else [value]
            items = [item for item in following if item is not None]
        yield from items


def _is_token(item: Any, value: str) -> bool:
    system, bar, code = value.rpartition("|")
    if isinstance(item, dict) and "coding" in item:
        return any(_is_token(coding, value) for coding in item["coding"])
    if isinstance(item, dict):
        own_code = str(item.get("code", item.get("value", "")))
        own_system = str(item.get("system", ""))
    else:
        own_code, own_system = (str(item).lower() if isinstance(item, bool) else str(item)), ""
        if not bar:
            return own_code == value
    if code and own_code != code:
        return False
    return not bar or own_system == system


def _is_reference(item: Any, value: str, target: str) -> bool:
    kind, fhir_id = charts.split_reference(
        str(item.get("reference", "")) if isinstance(item, dict) else ""
    )
    wanted_kind, wanted_id = charts.split_reference(value)
    if target and kind != target:
        return False
    return fhir_id == wanted_id and (not wanted_kind or wanted_kind == kind)


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain if not unicodedata.combining(char)).casefold()


def _is_string(item: str, value: str, modifier: str) -> bool:
    if modifier == "exact":
        return item == value
    if modifier == "contains":
        return _folded(value) in _folded(item)
    return _folded(item).startswith(_folded(value))


_DATE_PARTS = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d{4}.*)", re.DOTALL)
_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
_END = datetime(9999, 12, 30, tzinfo=UTC)


def interval(text: str) -> tuple[datetime, datetime]:
    """The first and the first-after moment of a FHIR date, dateTime or instant, partial dates as wholes.

    Raises SearchNotUnderstood for anything else.
    """
    try:
        parts = _DATE_PARTS.fullmatch(text)
        if parts:
            year, month, day = parts.groups()
            start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=PRACTICE_ZONE)
            if day:
                return start, start + timedelta(days=1)
            if month:
                later = (start + timedelta(days=32)).replace(day=1)
                return start, later
            return start, start.replace(year=start.year + 1)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise SearchNotUnderstood("a date could not be read") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=PRACTICE_ZONE)
    width = timedelta(microseconds=1000 if "." in text else 1_000_000)
    return moment, moment + width


def _is_date(item: Any, value: str) -> bool:
    matched = _PREFIXED.fullmatch(value.replace(" ", "+"))
    if not matched:
        raise SearchNotUnderstood("a date could not be read")
    prefix, text = matched.group(1) or "eq", matched.group(2)
    low, high = interval(text)
    if isinstance(item, dict):
        own_low = interval(item["start"])[0] if item.get("start") else _BEGINNING
        own_high = interval(item["end"])[1] if item.get("end") else _END
    else:
        own_low, own_high = interval(str(item))
    match prefix:
        case "eq":
            return low <= own_low and own_high <= high
        case "ne":
            return not (low <= own_low and own_high <= high)
        case "gt":
            return own_high > high
        case "lt":
            return own_low < low
        case "ge":
            return own_low >= low or own_high > high
        case "le":
            return own_high <= high or own_low < low
        case "sa":
            return own_low >= high
    return own_high <= low


def _sorted(
    rows: list[tuple[SandboxResource, dict[str, Any]]], sort: str, table: Mapping[str, Param]
) -> list[tuple[SandboxResource, dict[str, Any]]]:
    for name in reversed(sort.split(",")):
        plain = name.removeprefix("-")
        if plain not in _SORTS or plain not in table:
            raise SearchNotUnderstood(f"_sort by {plain!r} is not supported")
        param = table[plain]

        def key(
            pair: tuple[SandboxResource, dict[str, Any]], param: Param = param
        ) -> tuple[int, Any]:
            value = next(_at(pair[1], param.paths), None)
            if isinstance(value, dict):
                value = value.get("start") or value.get("end")
            if value is None:
                return (0, _BEGINNING if param.kind == "date" else "")
            return (1, interval(str(value))[0] if param.kind == "date" else str(value))

        rows = sorted(rows, key=key, reverse=name.startswith("-"))
    return rows
