"""The result of a laboratory: its value is the laboratory's. From here only a result from an outside
document is entered, or a comment put beside one that is there."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictInt

from ehr_adapters.canonical.codes import LOINC, SNOMED
from ehr_adapters.canonical.declaration import (
    ChangeIssue,
    ChartChange,
    ChartField,
    Column,
    Comparison,
    Control,
    Interaction,
    InteractionRule,
    Owner,
    Risk,
)
from ehr_adapters.canonical.of_every_kind import CLOCKS, SensitivityField
from ehr_adapters.canonical.types import (
    Code,
    Instant,
    Measured,
    Part,
    SingleLine,
    Text,
)

COMMENT_LENGTH = 2000
_NUMBER_ALONE = re.compile(r"[<>=≤≥ ]*[-+]?[0-9]+(?:[.,][0-9]+)?")


class OutsideDocument(Part):
    """Where an outside result was copied from."""

    source: Annotated[SingleLine, Column(label="Document", control=Control.LINE, max_length=200)]
    page: Annotated[
        Annotated[StrictInt, Field(ge=1, le=9999)],
        Column(label="Page", control=Control.NUMBER, lead="page"),
    ]


class Result(ChartChange):
    """One result of a laboratory test."""

    kind: ClassVar[str] = "result"
    label: ClassVar[str] = "Result"
    fhir_type: ClassVar[str] = "Observation"
    named_by: ClassVar[tuple[str, ...]] = ("code",)
    brief: ClassVar[tuple[str, ...]] = ("code", "value", "flag", "collected_at")

    code: Annotated[
        Code | None,
        ChartField(
            label="Test",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.CODE,
            compare=Comparison.CODE,
            element="code",
            systems=(LOINC,),
        ),
    ] = None
    value: Annotated[
        Measured | Code | Text | None,
        ChartField(
            label="Result",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.QUANTITY,
            compare=Comparison.QUANTITY,
            element="value",
            systems=(SNOMED,),
            or_beyond=True,
            or_text=True,
            max_length=400,
        ),
    ] = None
    range: Annotated[
        Text | None,
        ChartField(
            label="Range",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="referenceRange",
            max_length=200,
        ),
    ] = None
    flag: Annotated[
        Literal["low", "normal", "high", "critical"] | None,
        ChartField(
            label="Flag",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="interpretation",
            words=(
                ("low", "low"),
                ("normal", "normal"),
                ("high", "high"),
                ("critical", "critical"),
            ),
        ),
    ] = None
    collected_at: Annotated[
        Instant | None,
        ChartField(
            label="Taken",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="effective",
        ),
    ] = None
    performer: Annotated[
        Text | None,
        ChartField(
            label="Laboratory",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="performer",
            max_length=200,
        ),
    ] = None
    origin: Annotated[
        Literal["outside"] | None,
        ChartField(
            label="Source",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="derivedFrom",
            words=(("outside", "from an outside document"),),
        ),
    ] = None
    document: Annotated[
        OutsideDocument | None,
        ChartField(
            label="Copied from",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.PART,
            compare=Comparison.PART,
            element="derivedFrom",
            part=OutsideDocument,
        ),
    ] = None
    status: Annotated[
        Literal[
            "preliminary",
            "final",
            "amended",
            "corrected",
            "registered",
            "cancelled",
            "entered-in-error",
            "unknown",
        ]
        | None,
        ChartField(
            label="Status",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("preliminary", "preliminary"),
                ("final", "final"),
                ("amended", "amended"),
                ("corrected", "corrected"),
                ("registered", "awaited"),
                ("cancelled", "cancelled"),
                ("entered-in-error", "entered in error"),
                ("unknown", "not known"),
            ),
        ),
    ] = None
    comment: Annotated[
        Text | None,
        ChartField(
            label="Comment",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="note",
            max_length=COMMENT_LENGTH,
        ),
    ] = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"code", "value", "collected_at", "performer", "document"}),
            optional=frozenset({"range", "flag", "comment", "sensitivity"}),
            # Outside values stay preliminary: nobody here has measured them.
            fixed=(("origin", "outside"), ("status", "preliminary")),
            needs_target=False,
            meaning="a result copied from an outside document",
        ),
        Interaction.COMMENT: InteractionRule(
            required=frozenset({"comment"}),
            meaning="words beside a result; the result stays as it is",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; a further comment stands below those that are there."""
        after = super().applied_to(current)
        if self.interaction is Interaction.COMMENT and current.get("comment"):
            after["comment"] = f"{current['comment']}\n\n{self.comment}"
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        if current.get("status") in {"entered-in-error", "cancelled"}:
            return (
                ChangeIssue(
                    "", "target-entered-in-error", "The result was taken back by the laboratory."
                ),
            )
        return ()

    def misfits(self, *, at: datetime, visit: tuple[str, str] | None) -> tuple[ChangeIssue, ...]:
        """No specimen is taken in the future."""
        del visit
        if self.collected_at and datetime.fromisoformat(self.collected_at) > at + CLOCKS:
            return (ChangeIssue("/collected_at", "in-the-future", "The time lies in the future."),)
        return ()

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        del interaction
        value = content.get("value")
        if isinstance(value, str) and _NUMBER_ALONE.fullmatch(value.strip()):
            yield ChangeIssue(
                "/value", "unit-missing", "A number needs its unit: {value, unit} with a UCUM code."
            )
        performer = content.get("performer")
        if isinstance(performer, str) and "\n" in performer:
            yield ChangeIssue("/performer", "not-one-line", "The laboratory's name is one line.")
