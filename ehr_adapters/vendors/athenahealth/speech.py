"""What a kind of change has to know to be said by form fields: where to, what stands there, what comes of it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.names import Known
from ehr_adapters.vendors.athenahealth.settings import AthenaSettings
from ehr_adapters.vendors.athenahealth.spelling import Numbers
from ehr_adapters.wire import Remark, Tag

Shape = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Practice:
    """One practice's ways: its numbers, its clock, its settings."""

    numbers: Numbers
    zone: ZoneInfo
    settings: AthenaSettings


@dataclass(frozen=True, slots=True)
class Chart:
    """Whose chart, by numbers; `encounter` and `state` (OPEN, REVIEW, CLOSED) are "" without a visit there."""

    practice: Practice
    patient: str
    department: str
    encounter: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a change is said: the chart, the tag, and for an entry that exists its number and shape as read.

    `held` is that entry in the kind's own fields; `looked_up` what the reference lists of athenaOne answered
    for the names in the change.
    """

    chart: Chart
    tag: Tag
    target: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)
    held: Mapping[str, Any] = field(default_factory=dict)
    looked_up: Mapping[str, Known] = field(default_factory=dict)


class CannotBeSaid(Exception):
    """The change does not fit what the interface takes; `issues` say where."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("; ".join(f"{i.pointer or '/'}: {i.code}" for i in issues))
        self.issues = tuple(issues)


@dataclass(frozen=True, slots=True)
class Said:
    """One request: method, place below the practice, the fields in order, and what is left unsaid."""

    method: str
    place: str
    fields: tuple[tuple[str, str], ...]
    label: str
    remarks: tuple[Remark, ...] = ()
    in_parts: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the interface shows it: its number, its answer, and its shape."""

    number: str
    raw: Mapping[str, Any]
    shape: Shape


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of change stands in the proprietary interface.

    `say` makes the request, or raises `CannotBeSaid`; `after` is the shape of the entry once the fields of
    a request are in it; `read` says a shape in the kind's own fields; `tags` are the short forms in it. A shape
    is the entry as it is compared, without what the EHR itself owns.
    """

    type_name: str
    say: Callable[[ChartChange, Destination], Said]
    after: Callable[[str, Mapping[str, str], Mapping[str, Any]], Shape]
    shape: Callable[[Mapping[str, Any]], Shape]
    read: Callable[[Shape, Practice], dict[str, Any]]
    number_of: Callable[[Mapping[str, Any]], str]
    tags: Callable[[Shape], tuple[str, ...]] = lambda _: ()
    is_active: Callable[[Mapping[str, Any]], bool] = lambda _: True
    part_of: Callable[[Shape, Mapping[str, Any]], Shape] = lambda found, _: found


def kept(shape: Mapping[str, Any]) -> Shape:
    """A shape without its empty members."""
    return {name: value for name, value in shape.items() if value not in ("", None, [])}


def unsaid(pointer: str, sentence: str) -> Remark:
    """A field that is not sent to athenaOne."""
    return Remark("not-carried", pointer, sentence)
