"""The encounter: a contact by telephone or over the web that has no visit in the EHR yet.

Closing a visit is not offered: that is the clinician's act in the EHR.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import create_model

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
from ehr_adapters.canonical.of_every_kind import SensitivityField
from ehr_adapters.canonical.types import Instant, Reference, Text

WAYS = (("telephone", "by telephone"), ("web", "over the web"))
GOING_ON = frozenset({"planned", "arrived", "in-progress"})

# The field is called what charts call it; the word itself cannot stand as a name in a class body.
_WithClass: Any = create_model(  # type: ignore[call-overload]  # its fields are named by text
    "_WithClass",
    __base__=ChartChange,
    **{
        "class": (
            Annotated[
                Literal["telephone", "web"] | None,
                ChartField(
                    label="Contact",
                    risk=Risk.MEDIUM,
                    owner=Owner.EHR,
                    control=Control.CHOICE,
                    compare=Comparison.EXACT,
                    element="class type",
                    words=WAYS,
                ),
            ],
            None,
        )
    },
)


class Encounter(_WithClass):
    """A contact with the patient."""

    kind: ClassVar[str] = "encounter"
    label: ClassVar[str] = "Encounter"
    fhir_type: ClassVar[str] = "Encounter"
    named_by: ClassVar[tuple[str, ...]] = ("class", "start")
    brief: ClassVar[tuple[str, ...]] = ("class", "status", "start")

    status: Annotated[
        Literal["planned", "arrived", "in-progress", "finished", "cancelled"] | None,
        ChartField(
            label="Status",
            risk=Risk.MEDIUM,
            owner=Owner.EHR,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("planned", "planned"),
                ("arrived", "arrived"),
                ("in-progress", "going on"),
                ("finished", "finished"),
                ("cancelled", "cancelled"),
            ),
        ),
    ] = None
    start: Annotated[
        Instant | None,
        ChartField(
            label="Began",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="period",
        ),
    ] = None
    end: Annotated[
        Instant | None,
        ChartField(
            label="Ended",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.INSTANT,
            compare=Comparison.INSTANT,
            element="period",
        ),
    ] = None
    provider: Annotated[
        Reference | None,
        ChartField(
            label="With",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
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
            owner=Owner.PORTAL,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="location",
            refers_to=("Location",),
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
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"class", "status", "start"}),
            optional=frozenset({"end", "provider", "location", "reason", "sensitivity"}),
            choices=(("status", tuple(sorted(GOING_ON))),),
            needs_target=False,
            meaning="a contact that has no visit in the EHR yet; it is closed there",
        ),
    }

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        del interaction
        start, end = content["start"], content.get("end")
        if end and datetime.fromisoformat(end) < datetime.fromisoformat(start):
            yield ChangeIssue("/end", "contradiction", "The contact ends before it begins.")
        if end and content["status"] == "planned":
            yield ChangeIssue("/end", "contradiction", "What is planned has not ended.")
