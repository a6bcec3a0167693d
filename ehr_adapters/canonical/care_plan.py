"""The care plan: what is wanted, and who does what for it, when."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict

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
from ehr_adapters.canonical.of_every_kind import SAYS_NOTHING, EncounterField, SensitivityField
from ehr_adapters.canonical.types import (
    Code,
    Entries,
    Measured,
    Part,
    PartialDate,
    Reference,
    SingleLine,
    Text,
)
from ehr_adapters.canonical.units import UNITS

GOING = frozenset({"draft", "active", "on-hold"})


def _few(listed: tuple[object, ...]) -> tuple[object, ...]:
    return Entries(1, 50)(listed)


class Period(Part):
    """From when to when, as far as known."""

    start: Annotated[
        PartialDate | None, Column(label="From", control=Control.DATE, lead="from")
    ] = None
    end: Annotated[
        PartialDate | None, Column(label="Until", control=Control.DATE, lead="until")
    ] = None


class Goal(Part):
    """What is wanted in words, and where it can be measured: of what, how much, by when."""

    text: Annotated[SingleLine, Column(label="Goal", control=Control.LINE, max_length=400)]
    measure: Annotated[
        Code | None,
        Column(label="Measured by", control=Control.CODE, systems=(LOINC, SNOMED), lead="by"),
    ] = None
    target: Annotated[
        Measured | None,
        Column(
            label="Target",
            control=Control.QUANTITY,
            units=tuple(UNITS),
            or_beyond=True,
            lead="target",
        ),
    ] = None
    due: Annotated[PartialDate | None, Column(label="Due", control=Control.DATE, lead="until")] = (
        None
    )


class Activity(Part):
    """What is done, by whom (words, or the EHR's own entry for a person or team), and when in words."""

    text: Annotated[SingleLine, Column(label="Activity", control=Control.LINE, max_length=400)]
    who: Annotated[
        SingleLine | None, Column(label="Who", control=Control.LINE, max_length=200, lead="by")
    ] = None
    when: Annotated[
        SingleLine | None, Column(label="When", control=Control.LINE, max_length=200)
    ] = None


class CarePlan(ChartChange):
    """A plan of care."""

    kind: ClassVar[str] = "care_plan"
    label: ClassVar[str] = "Care plan"
    fhir_type: ClassVar[str] = "CarePlan"
    named_by: ClassVar[tuple[str, ...]] = ("title",)
    brief: ClassVar[tuple[str, ...]] = ("title", "status", "goals")

    title: Annotated[
        SingleLine | None,
        ChartField(
            label="Care plan",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="title",
            max_length=200,
        ),
    ] = None
    category: Annotated[
        Code | Text | None,
        ChartField(
            label="Category",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.LINE,
            compare=Comparison.CODE,
            element="category",
            systems=(SNOMED,),
            or_text=True,
            max_length=200,
        ),
    ] = None
    status: Annotated[
        Literal["draft", "active", "on-hold", "completed", "revoked"] | None,
        ChartField(
            label="Status",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("draft", "draft"),
                ("active", "active"),
                ("on-hold", "on hold"),
                ("completed", "completed"),
                ("revoked", "ended early"),
            ),
        ),
    ] = None
    period: Annotated[
        Period | None,
        ChartField(
            label="Period",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.PART,
            compare=Comparison.PART,
            element="period",
            part=Period,
        ),
    ] = None
    addresses: Annotated[
        Annotated[tuple[Reference, ...], Strict(strict=False), AfterValidator(_few)] | None,
        ChartField(
            label="For",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.REFERENCES,
            compare=Comparison.SET,
            element="addresses",
            refers_to=("Condition",),
        ),
    ] = None
    goals: Annotated[
        Annotated[tuple[Goal, ...], Strict(strict=False), AfterValidator(_few)] | None,
        ChartField(
            label="Goals",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.PARTS,
            compare=Comparison.LIST,
            element="goal contained",
            part=Goal,
        ),
    ] = None
    activities: Annotated[
        Annotated[tuple[Activity, ...], Strict(strict=False), AfterValidator(_few)] | None,
        ChartField(
            label="Activities",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.PARTS,
            compare=Comparison.LIST,
            element="activity",
            part=Activity,
        ),
    ] = None
    encounter: EncounterField = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"title", "status"}),
            optional=frozenset(
                {
                    "category",
                    "period",
                    "addresses",
                    "goals",
                    "activities",
                    "encounter",
                    "sensitivity",
                }
            ),
            choices=(("status", ("draft", "active", "on-hold")),),
            needs_target=False,
            meaning="a new care plan",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=frozenset({"title", "status", "period", "sensitivity"}),
            removable=frozenset({"category", "addresses", "goals", "activities"}),
            choices=(("status", ("draft", "active", "on-hold", "completed")),),
            meaning="fields of a care plan that stays the same",
        ),
        Interaction.DISCONTINUE: InteractionRule(
            required=frozenset({"period"}),
            fixed=(("status", "revoked"),),
            meaning="the care plan ends early; the day is said",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; the end of a period leaves its beginning as it is."""
        after = super().applied_to(current)
        if "period" in self.named_fields:
            after["period"] = {**(current.get("period") or {}), **after["period"]}
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        status = current.get("status")
        if status in {"completed", "revoked"}:
            return (ChangeIssue("", f"already-{status}", "The care plan has ended already."),)
        return tuple(_period_issues(self.applied_to(current)))

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield SAYS_NOTHING
        if interaction is Interaction.DISCONTINUE and not content["period"].get("end"):
            yield ChangeIssue("/period/end", "missing", "The day on which it ends is needed.")
        period = content.get("period")
        if period is not None and not period:
            yield ChangeIssue("/period", "empty", "A period has a beginning or an end.")
        yield from _period_issues(content)
        for name in ("goals", "activities"):
            yield from _twice(name, content.get(name) or ())
        for index, goal in enumerate(content.get("goals") or ()):
            if goal.get("target") and not goal.get("measure"):
                yield ChangeIssue(
                    f"/goals/{index}/measure", "missing", "A target says what is measured."
                )


def _period_issues(content: Mapping[str, Any]) -> Iterable[ChangeIssue]:
    period = content.get("period") or {}
    start, end = period.get("start"), period.get("end")
    if start and end and end[: len(start)] < start[: len(end)]:
        yield ChangeIssue("/period/end", "contradiction", "The plan ends before it begins.")


def _twice(name: str, entries: Iterable[Mapping[str, Any]]) -> Iterable[ChangeIssue]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry["text"] in seen:
            yield ChangeIssue(f"/{name}/{index}/text", "duplicate", "The same stands here twice.")
        seen.add(entry["text"])
