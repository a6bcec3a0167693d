"""Vital signs: what was measured on the patient, when, and in which units."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict

from ehr_adapters.canonical import units
from ehr_adapters.canonical.codes import LOINC, SNOMED, display_of
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
from ehr_adapters.canonical.of_every_kind import (
    CLOCKS,
    SAYS_NOTHING,
    EncounterField,
    SensitivityField,
)
from ehr_adapters.canonical.types import Code, Entries, Instant, Part, Quantity, Text

BLOOD_PRESSURE = "85354-9"
SYSTOLIC = "8480-6"
DIASTOLIC = "8462-4"
PULSE = "8867-4"
BREATHING = "9279-1"
TEMPERATURE = "8310-5"
HEIGHT = "8302-2"
WEIGHT = "29463-7"
BODY_MASS_INDEX = "39156-5"
OXYGEN_SATURATION = "59408-5"
HEAD = "9843-4"
NOTE_LENGTH = 254


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured: its units, and the values beyond which nobody lives, in the first unit."""

    units: tuple[str, ...]
    least: str
    most: str


# Wide on purpose: they catch a lost point or a wrong unit, not an ill patient.
MEASURES: Mapping[str, Measure] = {
    SYSTOLIC: Measure(("mm[Hg]",), "20", "400"),
    DIASTOLIC: Measure(("mm[Hg]",), "0", "300"),
    PULSE: Measure(("/min",), "0", "400"),
    BREATHING: Measure(("/min",), "0", "200"),
    TEMPERATURE: Measure(("Cel", "[degF]"), "10", "50"),
    HEIGHT: Measure(("cm", "[in_i]"), "15", "300"),
    WEIGHT: Measure(("kg", "g", "[lb_av]"), "0.1", "700"),
    BODY_MASS_INDEX: Measure(("kg/m2",), "3", "250"),
    OXYGEN_SATURATION: Measure(("%",), "0", "100"),
    HEAD: Measure(("cm", "[in_i]"), "10", "100"),
}
_UNITS = tuple(dict.fromkeys(unit for one in MEASURES.values() for unit in one.units))


class Reading(Part):
    """One measured value. The two numbers of a blood pressure are two readings of one measurement."""

    code: Annotated[
        Code,
        Column(
            label="What was measured",
            control=Control.CODE,
            systems=(LOINC,),
            options=tuple(MEASURES),
        ),
    ]
    value: Annotated[Quantity, Column(label="Value", control=Control.QUANTITY, units=_UNITS)]
    site: Annotated[
        Code | Text | None,
        Column(
            label="Where",
            control=Control.LINE,
            systems=(SNOMED,),
            or_text=True,
            max_length=100,
        ),
    ] = None
    method: Annotated[
        Code | Text | None,
        Column(label="How", control=Control.LINE, systems=(SNOMED,), or_text=True, max_length=100),
    ] = None


class Vitals(ChartChange):
    """One or several measurements that were taken at one time."""

    kind: ClassVar[str] = "vitals"
    label: ClassVar[str] = "Vital signs"
    fhir_type: ClassVar[str] = "Observation"
    names: ClassVar[tuple[str, str] | tuple[()]] = ("set of vital signs", "sets of vital signs")
    approval_risk: ClassVar[Risk | None] = Risk.MEDIUM
    named_by: ClassVar[tuple[str, ...]] = ("readings",)
    brief: ClassVar[tuple[str, ...]] = ("readings", "effective_at", "status")

    readings: Annotated[
        Annotated[
            tuple[Reading, ...], Strict(strict=False), AfterValidator(Entries(1, len(MEASURES)))
        ]
        | None,
        ChartField(
            label="Readings",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.PARTS,
            compare=Comparison.SET,
            element="value component bodySite method",
            part=Reading,
        ),
    ] = None
    effective_at: Annotated[
        Instant | None,
        ChartField(
            label="Measured at",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="effective",
        ),
    ] = None
    encounter: EncounterField = None
    origin: Annotated[
        Literal["measured", "device", "patient-reported"] | None,
        ChartField(
            label="Source",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="performer device",
            words=(
                ("measured", "measured by staff"),
                ("device", "sent by a device"),
                ("patient-reported", "told by the patient"),
            ),
            absent_means="measured",
        ),
    ] = None
    status: Annotated[
        Literal[
            "final",
            "corrected",
            "entered-in-error",
            "preliminary",
            "amended",
            "registered",
            "cancelled",
            "unknown",
        ]
        | None,
        ChartField(
            label="Status",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("final", "final"),
                ("corrected", "corrected"),
                ("entered-in-error", "entered in error"),
                ("preliminary", "preliminary"),
                ("amended", "amended"),
                ("registered", "awaited"),
                ("cancelled", "cancelled"),
                ("unknown", "not known"),
            ),
        ),
    ] = None
    note: Annotated[
        Text | None,
        ChartField(
            label="Comment",
            risk=Risk.LOW,
            owner=Owner.PORTAL,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="note",
            max_length=NOTE_LENGTH,
        ),
    ] = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"readings", "effective_at", "origin"}),
            optional=frozenset({"encounter", "note", "sensitivity"}),
            fixed=(("status", "final"),),
            needs_target=False,
            meaning="a new measurement",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=frozenset({"readings", "effective_at", "origin", "note", "sensitivity"}),
            removable=frozenset({"note"}),
            fixed=(("status", "corrected"),),
            meaning="the measurement was written down wrongly; the wrong value stays readable",
        ),
        Interaction.ENTERED_IN_ERROR: InteractionRule(
            optional=frozenset({"note"}),
            fixed=(("status", "entered-in-error"),),
            meaning="the measurement was never this patient's",
        ),
    }

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        if current.get("status") == "entered-in-error":
            return (
                ChangeIssue(
                    "", "target-entered-in-error", "The entry is marked as entered in error."
                ),
            )
        if self.readings is None:
            return ()
        held = {one["code"]["code"] for one in current.get("readings") or ()}
        if held == {one.code.code for one in self.readings}:
            return ()
        return (
            ChangeIssue(
                "/readings",
                "another-fact",
                "The entry holds another measurement: a corrected value is of the same kind.",
            ),
        )

    def misfits(self, *, at: datetime, visit: tuple[str, str] | None) -> tuple[ChangeIssue, ...]:
        """Nothing is measured in the future, nor outside the visit that the change names."""
        if self.effective_at is None:
            return ()
        measured = datetime.fromisoformat(self.effective_at)
        if measured > at + CLOCKS:
            return (ChangeIssue("/effective_at", "in-the-future", "The time lies in the future."),)
        if visit is not None and self.encounter is not None and not _inside(measured, *visit):
            return (
                ChangeIssue(
                    "/effective_at", "outside-the-visit", "The time lies outside the visit."
                ),
            )
        return ()

    def belongs_to(self, *, visit: tuple[str, str]) -> bool:
        """What was measured at home before the visit is not of the visit."""
        return self.effective_at is None or _inside(
            datetime.fromisoformat(self.effective_at), *visit
        )

    @classmethod
    def words_of(cls, name: str, value: Any) -> str | None:
        if name != "readings":
            return None
        return "; ".join(measurement_words(one) for one in measurements(value))

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content.keys() - {"status"}:
            yield SAYS_NOTHING
        readings = content.get("readings") or ()
        for index, one in enumerate(readings):
            yield from _value_issues(one, f"/readings/{index}/value")
        found = [one["code"]["code"] for one in readings]
        if len(found) != len(set(found)):
            yield ChangeIssue(
                "/readings", "contradiction", "Each thing is measured once at one time."
            )
        yield from _pressure_issues(readings)


def measurements(readings: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], ...]]:
    """The readings by measurement: the two numbers of a blood pressure are one, every other is its own."""
    out: list[tuple[Mapping[str, Any], ...]] = []
    pressure = []
    for one in readings:
        if one["code"]["code"] in {SYSTOLIC, DIASTOLIC}:
            pressure.append(one)
        else:
            out.append((one,))
    if pressure:
        out.insert(0, tuple(sorted(pressure, key=lambda one: str(one["code"]["code"] != SYSTOLIC))))
    return out


def measurement_words(readings: tuple[Mapping[str, Any], ...]) -> str:
    """One measurement as it is spoken: "Blood pressure 154/92 mmHg", "Body weight 78.4 kg, standing"."""
    first, *more = readings
    name, amount = Code(**first["code"]).said, Quantity(**first["value"]).words
    if more and first["value"]["unit"] == more[0]["value"]["unit"]:
        name = "Blood pressure"
        amount = f"{first['value']['value']}/{Quantity(**more[0]['value']).words}"
    elif more:
        return "; ".join(measurement_words((one,)) for one in readings)
    how = [first[name] for name in ("site", "method") if first.get(name)]
    return ", ".join(
        [f"{name} {amount}", *(one if isinstance(one, str) else Code(**one).said for one in how)]
    )


def _value_issues(reading: Mapping[str, Any], place: str) -> Iterable[ChangeIssue]:
    code = reading["code"]["code"]
    measure = MEASURES[code]
    value, unit = reading["value"]["value"], reading["value"]["unit"]
    name = display_of(system=LOINC, code=code)
    if unit not in measure.units:
        yield ChangeIssue(
            f"{place}/unit", "unknown-unit", f"{name} is given in {' or '.join(measure.units)}."
        )
        return
    amount = units.converted(value, unit, measure.units[0])
    if amount is not None and not Fraction(measure.least) <= amount <= Fraction(measure.most):
        shown = units.unit_words(measure.units[0])
        yield ChangeIssue(
            f"{place}/value",
            "impossible-value",
            f"{name} lies between {measure.least} and {measure.most} {shown}: is the number or the unit wrong?",
        )


def _pressure_issues(readings: Iterable[Mapping[str, Any]]) -> Iterable[ChangeIssue]:
    pressure = {
        one["code"]["code"]: one for one in readings if one["code"]["code"] in {SYSTOLIC, DIASTOLIC}
    }
    if not pressure:
        return
    if len(pressure) < 2:
        yield ChangeIssue("/readings", "missing", "A blood pressure has two numbers.")
        return
    high, low = pressure[SYSTOLIC], pressure[DIASTOLIC]
    if Fraction(low["value"]["value"]) >= Fraction(high["value"]["value"]):
        yield ChangeIssue(
            "/readings", "contradiction", "The lower number of a blood pressure is the second one."
        )
    if any(_place(high, name) != _place(low, name) for name in ("site", "method")):
        yield ChangeIssue(
            "/readings", "contradiction", "Both numbers of a blood pressure are measured at once."
        )


def _place(reading: Mapping[str, Any], name: str) -> Any:
    value = reading.get(name)
    return (value["system"], value["code"]) if isinstance(value, Mapping) else value


def _inside(moment: datetime, start: str, end: str) -> bool:
    """Does a time lie in a visit? A bound that is not known, or only as a day, is not held against it."""
    bounds = [_bound(start), _bound(end)]
    return not (
        (bounds[0] is not None and moment < bounds[0])
        or (bounds[1] is not None and moment > bounds[1])
    )


def _bound(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
