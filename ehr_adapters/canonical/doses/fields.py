"""The dosing fields, declared once for list entries and for prescriptions. Pure."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StrictBool
from pydantic_core import PydanticCustomError

from ehr_adapters.canonical import units
from ehr_adapters.canonical.codes import SNOMED
from ehr_adapters.canonical.declaration import (
    ChartField,
    Column,
    Comparison,
    Control,
    Owner,
    Risk,
)
from ehr_adapters.canonical.types import (
    Code,
    Entries,
    Part,
    Quantity,
    QuantityOrRange,
    Text,
    WholeNumber,
)

FIELDS = ("dose", "units_taken", "route", "frequency", "as_needed", "sig_text")

WEEKDAYS = (
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
)
# FHIR R4, value set event-timing: the moments of a day that directions name.
MOMENTS = (
    ("MORN", "in the morning"),
    ("NOON", "at noon"),
    ("AFT", "in the afternoon"),
    ("EVE", "in the evening"),
    ("NIGHT", "at night"),
    ("HS", "at bedtime"),
    ("WAKE", "on waking"),
    ("C", "with meals"),
    ("AC", "before meals"),
    ("PC", "after meals"),
)
_PERIODS = (("h", "hours"), ("d", "days"), ("wk", "weeks"), ("mo", "months"))
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _clock_time(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise PydanticCustomError("bad-time", "A time of day is hh:mm, from 00:00 to 23:59.")
    return text


def _one_by_one(value: object) -> object:
    """Times typed into one line are a list of them."""
    return (
        re.split(r"[\s,;]+", value.strip()) if isinstance(value, str) and value.strip() else value
    )


def _no_repeats(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(entries)) != len(entries):
        raise PydanticCustomError("repeated", "Each stands here once.")
    return entries


ClockTime = Annotated[str, AfterValidator(_clock_time)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Moment = Literal["MORN", "NOON", "AFT", "EVE", "NIGHT", "HS", "WAKE", "C", "AC", "PC"]


class Frequency(Part):
    """So many times in so much time, on which days, at which times of the day."""

    times: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=99)], Column(label="Times", control=Control.NUMBER)
    ]
    per: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=999)], Column(label="In", control=Control.NUMBER)
    ]
    unit: Annotated[
        Literal["h", "d", "wk", "mo"],
        Column(label="Unit of time", control=Control.CHOICE, words=_PERIODS),
    ]
    weekdays: Annotated[
        Annotated[
            tuple[Weekday, ...],
            Strict(strict=False),
            AfterValidator(Entries(1, 7)),
            AfterValidator(_no_repeats),
        ]
        | None,
        Column(label="On", control=Control.CHOICES, words=WEEKDAYS),
    ] = None
    clock_times: Annotated[
        Annotated[
            tuple[ClockTime, ...],
            Strict(strict=False),
            BeforeValidator(_one_by_one),
            AfterValidator(Entries(1, 24)),
            AfterValidator(_no_repeats),
        ]
        | None,
        Column(label="At", control=Control.LINE),
    ] = None
    when: Annotated[
        Annotated[
            tuple[Moment, ...],
            Strict(strict=False),
            AfterValidator(Entries(1, 6)),
            AfterValidator(_no_repeats),
        ]
        | None,
        Column(label="When in the day", control=Control.CHOICES, words=MOMENTS),
    ] = None


class AsNeeded(Part):
    """Taken when there is a need, for what, and how much in a day at most."""

    needed: Annotated[StrictBool, Column(label="As needed", control=Control.YES_NO)]
    reason: Annotated[
        Annotated[Text, Field(max_length=200)] | None,
        Column(label="Needed for", control=Control.LINE, max_length=200),
    ] = None
    max_per_day: Annotated[
        Quantity | None,
        Column(
            label="At most in a day",
            control=Control.QUANTITY,
            units=tuple(dict.fromkeys((*units.DRUG, *units.TAKEN_AS))),
        ),
    ] = None


Dose = Annotated[
    QuantityOrRange | None,
    ChartField(
        label="Dose",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.QUANTITY,
        compare=Comparison.QUANTITY,
        element="dosage.doseAndRate",
        units=units.DRUG,
        or_range=True,
    ),
]
UnitsTaken = Annotated[
    Quantity | None,
    ChartField(
        label="Taken as",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.QUANTITY,
        compare=Comparison.QUANTITY,
        element="dosage.doseAndRate",
        units=units.TAKEN_AS,
    ),
]
Route = Annotated[
    Code | None,
    ChartField(
        label="Route",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.CODE,
        compare=Comparison.CODE,
        element="dosage.route",
        systems=(SNOMED,),
    ),
]
HowOften = Annotated[
    Frequency | None,
    ChartField(
        label="How often",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.PART,
        compare=Comparison.PART,
        element="dosage.timing",
        part=Frequency,
    ),
]
WhenNeeded = Annotated[
    AsNeeded | None,
    ChartField(
        label="As needed",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.PART,
        compare=Comparison.PART,
        element="dosage.asNeeded",
        part=AsNeeded,
    ),
]
SigText = Annotated[
    Text | None,
    ChartField(
        label="Instructions",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.TEXT,
        compare=Comparison.TEXT,
        element="dosage.text",
        max_length=1000,
    ),
]
