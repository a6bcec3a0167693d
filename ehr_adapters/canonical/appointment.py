"""The appointment: a time with somebody. Moving it takes the new time and frees the old one in one act."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt

from ehr_adapters.canonical.codes import APPOINTMENT_REASON, SNOMED
from ehr_adapters.canonical.declaration import (
    ChangeIssue,
    ChartChange,
    ChartField,
    Comparison,
    Control,
    Interaction,
    InteractionRule,
    Owner,
    Risk,
)
from ehr_adapters.canonical.of_every_kind import SAYS_NOTHING, SensitivityField
from ehr_adapters.canonical.types import Code, Instant, Reference, Text

MODES = (("in-person", "in person"), ("telephone", "by telephone"), ("video", "by video"))
AWAITED = frozenset({"proposed", "pending", "booked", "waitlist"})
_STATUS_WORDS = (
    ("proposed", "proposed"),
    ("pending", "not yet confirmed"),
    ("booked", "booked"),
    ("waitlist", "on the waiting list"),
    ("arrived", "arrived"),
    ("checked-in", "checked in"),
    ("fulfilled", "taken place"),
    ("cancelled", "cancelled"),
    ("noshow", "not attended"),
)


class Appointment(ChartChange):
    """An appointment of the patient."""

    kind: ClassVar[str] = "appointment"
    label: ClassVar[str] = "Appointment"
    fhir_type: ClassVar[str] = "Appointment"
    named_by: ClassVar[tuple[str, ...]] = ("type", "start")
    brief: ClassVar[tuple[str, ...]] = ("type", "start", "minutes", "mode")

    slot: Annotated[
        Reference | None,
        ChartField(
            label="Slot",
            risk=Risk.MEDIUM,
            owner=Owner.EHR,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="slot",
            refers_to=("Slot",),
        ),
    ] = None
    start: Annotated[
        Instant | None,
        ChartField(
            label="Begins",
            risk=Risk.MEDIUM,
            owner=Owner.EHR,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="start end",
        ),
    ] = None
    minutes: Annotated[
        Annotated[StrictInt, Field(ge=1, le=1440)] | None,
        ChartField(
            label="Minutes",
            risk=Risk.MEDIUM,
            owner=Owner.EHR,
            control=Control.NUMBER,
            compare=Comparison.EXACT,
            element="minutesDuration end",
        ),
    ] = None
    type: Annotated[
        Code | Text | None,
        ChartField(
            label="Type",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.CODE,
            element="appointmentType",
            systems=(APPOINTMENT_REASON, SNOMED),
            or_text=True,
            max_length=200,
        ),
    ] = None
    provider: Annotated[
        Reference | None,
        ChartField(
            label="With",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="participant",
            refers_to=("Practitioner", "PractitionerRole"),
        ),
    ] = None
    location: Annotated[
        Reference | None,
        ChartField(
            label="Where",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="participant",
            refers_to=("Location",),
        ),
    ] = None
    mode: Annotated[
        Literal["in-person", "telephone", "video"] | None,
        ChartField(
            label="How",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="serviceType",
            words=MODES,
        ),
    ] = None
    reason: Annotated[
        Text | None,
        ChartField(
            label="Reason",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="reasonCode",
            max_length=1000,
        ),
    ] = None
    cancel_reason: Annotated[
        Text | None,
        ChartField(
            label="Why it is cancelled",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="cancelationReason",
            max_length=1000,
        ),
    ] = None
    patient_told: Annotated[
        StrictBool | None,
        ChartField(
            label="Patient told",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.YES_NO,
            compare=Comparison.EXACT,
        ),
    ] = None
    status: Annotated[
        Literal[
            "proposed",
            "pending",
            "booked",
            "waitlist",
            "arrived",
            "checked-in",
            "fulfilled",
            "cancelled",
            "noshow",
        ]
        | None,
        ChartField(
            label="Status",
            risk=Risk.MEDIUM,
            owner=Owner.EHR,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=_STATUS_WORDS,
        ),
    ] = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"type", "provider"}),
            optional=frozenset(
                {
                    "slot",
                    "start",
                    "minutes",
                    "location",
                    "mode",
                    "reason",
                    "patient_told",
                    "sensitivity",
                }
            ),
            fixed=(("status", "booked"),),
            needs_target=False,
            meaning="a new appointment",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=frozenset(
                {
                    "slot",
                    "start",
                    "minutes",
                    "type",
                    "provider",
                    "mode",
                    "patient_told",
                    "sensitivity",
                }
            ),
            removable=frozenset({"location", "reason"}),
            meaning="another time, person or place; the new one is taken before the old one is free",
        ),
        Interaction.CANCEL: InteractionRule(
            optional=frozenset({"cancel_reason", "patient_told"}),
            fixed=(("status", "cancelled"),),
            meaning="the appointment will not take place",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; another time without a slot of its own leaves the slot that was held."""
        after = super().applied_to(current)
        if {"start", "minutes"} & self.named_fields and "slot" not in self.named_fields:
            after.pop("slot", None)
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        status = current.get("status")
        if status is not None and status not in AWAITED:
            words = dict(_STATUS_WORDS)[str(status)]
            return (ChangeIssue("", f"already-{status}", f"The appointment is {words} already."),)
        return ()

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield SAYS_NOTHING
        if interaction is not Interaction.CREATE:
            return
        if "slot" not in content and "start" not in content:
            yield ChangeIssue("/start", "missing", "A slot, or a beginning and minutes, is needed.")
        elif "start" in content and "minutes" not in content:
            yield ChangeIssue("/minutes", "missing", "A beginning needs its minutes.")
