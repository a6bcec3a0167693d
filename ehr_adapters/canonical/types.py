"""The types of canonical fields: texts, codes, dates, references. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StrictInt,
)
from pydantic import (
    Tag as PydanticTag,
)
from pydantic_core import PydanticCustomError

from ehr_adapters.canonical import codes, units
from ehr_adapters.canonical.characters import forbidden_characters, unwritable_characters

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")
# No exponent, no leading zeros, no bare point: what a reader and every transport take the same way.
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,18})?")
_DIGITS = re.compile(r"(?:0|[1-9][0-9]{0,8})")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def _writable(text: str) -> str:
    if forbidden_characters(text):
        raise PydanticCustomError(
            "forbidden-character",
            "The text holds characters that turn the reading direction or hide text.",
        )
    if unwritable_characters(text):
        raise PydanticCustomError(
            "unwritable-character", "The text holds control characters that no chart can hold."
        )
    return text


def _line_ends(value: object) -> object:
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value


def _has_words(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "The text is empty.")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or text != text.strip():
        raise PydanticCustomError("not-one-line", "One line without blanks at its ends is needed.")
    return text


def _partial_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise PydanticCustomError("bad-date", "A date is YYYY, YYYY-MM or YYYY-MM-DD.")
    try:
        date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        raise PydanticCustomError("bad-date", "There is no such date.") from None
    return text


def _instant(text: str) -> str:
    if not _INSTANT.fullmatch(text):
        raise PydanticCustomError(
            "bad-instant", "A time is YYYY-MM-DDThh:mm:ss with an offset from UTC."
        )
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("bad-instant", "There is no such time.") from None
    return text


def _decimal(text: str) -> str:
    if not _DECIMAL.fullmatch(text):
        raise PydanticCustomError(
            "bad-decimal", 'A number is written as digits with a point, as a string: "12.5".'
        )
    return text


def _whole(value: object) -> object:
    """Digits typed into a form are the number that they say."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def is_fhir_id(text: str) -> bool:
    """A FHIR logical id, safe to stand in a path."""
    return _FHIR_ID.fullmatch(text) is not None and text not in {".", ".."}


def _reference(text: str) -> str:
    type_name, _, rest = text.partition("/")
    if not re.fullmatch(r"[A-Z][A-Za-z]{1,40}", type_name) or not is_fhir_id(rest):
        raise PydanticCustomError("bad-reference", "A reference is Type/id.")
    return text


# Line ends become "\n" on the way in, so that offsets mean the same on every side; nothing else changes.
Text = Annotated[
    str, BeforeValidator(_line_ends), AfterValidator(_writable), AfterValidator(_has_words)
]
SingleLine = Annotated[Text, AfterValidator(_one_line)]
PartialDate = Annotated[str, AfterValidator(_partial_date)]
Instant = Annotated[str, AfterValidator(_instant)]
Reference = Annotated[str, AfterValidator(_reference)]
DecimalText = Annotated[str, AfterValidator(_decimal)]
WholeNumber = Annotated[StrictInt, BeforeValidator(_whole)]


@dataclass(frozen=True, slots=True)
class Entries:
    """How many entries a list may hold; said once for the whole list, whatever is wrong inside it."""

    least: int
    most: int

    def __call__(self, entries: tuple[object, ...]) -> tuple[object, ...]:
        if len(entries) < self.least:
            raise PydanticCustomError("too-few", "At least one entry is needed.")
        if len(entries) > self.most:
            raise PydanticCustomError("too-long", "There are too many entries.")
        return entries


class Part(BaseModel):
    """A part of a field: unknown members are refused here too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Code(Part):
    """A code of a code system, with its display when one is known."""

    system: SingleLine
    code: SingleLine
    display: SingleLine | None = Field(default=None, max_length=400)

    @property
    def words(self) -> str:
        """The display, else the portal's own, else the code; with the code, for a reader."""
        return f"{self.said} ({self.code})" if self.said != self.code else self.code

    @property
    def said(self) -> str:
        """As `words`, without the code where a display is known."""
        return self.display or codes.display_of(system=self.system, code=self.code) or self.code


class Quantity(Part):
    """A measured or ordered amount: the decimal as it was written, and a UCUM code."""

    value: DecimalText
    unit: SingleLine = Field(max_length=40)

    @property
    def words(self) -> str:
        return units.amount_words(self.value, self.unit)


class QuantityRange(Part):
    """From one amount to another, both possible."""

    low: Quantity
    high: Quantity

    @property
    def words(self) -> str:
        if self.low.unit == self.high.unit:
            return f"{self.low.value} to {self.high.words}"
        return f"{self.low.words} to {self.high.words}"


def _amount_or_range(value: object) -> str:
    ends = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    return "QuantityRange" if "low" in ends or "high" in ends else "Quantity"


# One amount or a range: which of them is meant is told by the members, so that only its faults are.
QuantityOrRange = Annotated[
    Annotated[Quantity, PydanticTag("Quantity")]
    | Annotated[QuantityRange, PydanticTag("QuantityRange")],
    Discriminator(_amount_or_range),
]


class Measured(Quantity):
    """A laboratory's value: it may lie beyond what could be measured."""

    comparator: Literal["<", "<=", ">=", ">"] | None = None

    @property
    def words(self) -> str:
        return f"{self.comparator or ''}{super().words}"


class Act(Part):
    """This span of a section's text reports what another change of the proposal performs."""

    span: Annotated[tuple[StrictInt, StrictInt], Strict(strict=False)]
    change: SingleLine = Field(max_length=64)
