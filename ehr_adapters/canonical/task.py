"""The task: something that somebody of the practice is asked to do. Never shown to patients."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict

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
from ehr_adapters.canonical.of_every_kind import SAYS_NOTHING, EncounterField, SensitivityField
from ehr_adapters.canonical.types import Entries, PartialDate, Reference, SingleLine, Text

OWNERS = ("Practitioner", "PractitionerRole", "CareTeam", "Organization", "HealthcareService")
SUBJECTS = (
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "DiagnosticReport",
    "ServiceRequest",
    "DocumentReference",
    "QuestionnaireResponse",
    "CarePlan",
    "Appointment",
    "Communication",
    "Encounter",
)
DONE = frozenset({"completed", "cancelled"})


def _few(subjects: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if subjects is None else tuple(str(s) for s in Entries(1, 20)(subjects))


class Task(ChartChange):
    """A task for a person or a team."""

    kind: ClassVar[str] = "task"
    label: ClassVar[str] = "Task"
    fhir_type: ClassVar[str] = "Task"
    named_by: ClassVar[tuple[str, ...]] = ("title",)
    brief: ClassVar[tuple[str, ...]] = ("title", "due", "priority", "status")
    own_words: ClassVar[frozenset[str]] = frozenset({"title", "description", "about"})

    title: Annotated[
        SingleLine | None,
        ChartField(
            label="Task",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="code",
            max_length=200,
        ),
    ] = None
    owner: Annotated[
        Reference | None,
        ChartField(
            label="For",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="owner",
            refers_to=OWNERS,
        ),
    ] = None
    due: Annotated[
        PartialDate | None,
        ChartField(
            label="Due",
            risk=Risk.LOW,
            owner=Owner.PORTAL,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="restriction",
        ),
    ] = None
    priority: Annotated[
        Literal["routine", "urgent", "asap", "stat"] | None,
        ChartField(
            label="Priority",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="priority",
            words=(
                ("routine", "routine"),
                ("urgent", "urgent"),
                ("asap", "as soon as possible"),
                ("stat", "at once"),
            ),
        ),
    ] = None
    status: Annotated[
        Literal["requested", "accepted", "in-progress", "completed", "cancelled"] | None,
        ChartField(
            label="Status",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("requested", "asked for"),
                ("accepted", "taken on"),
                ("in-progress", "being done"),
                ("completed", "done"),
                ("cancelled", "cancelled"),
            ),
        ),
    ] = None
    about: Annotated[
        Annotated[tuple[Reference, ...], Strict(strict=False)] | None,
        AfterValidator(_few),
        ChartField(
            label="About",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.REFERENCES,
            compare=Comparison.SET,
            element="focus input",
            refers_to=SUBJECTS,
        ),
    ] = None
    description: Annotated[
        Text | None,
        ChartField(
            label="Description",
            risk=Risk.MEDIUM,
            owner=Owner.PORTAL,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="description",
            max_length=4000,
        ),
    ] = None
    encounter: EncounterField = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"title", "owner", "due"}),
            optional=frozenset({"priority", "about", "description", "encounter", "sensitivity"}),
            fixed=(("status", "requested"),),
            needs_target=False,
            meaning="a new task",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=frozenset({"title", "owner", "due", "status", "sensitivity"}),
            removable=frozenset({"priority", "about", "description"}),
            choices=(("status", ("requested", "accepted", "in-progress", "completed")),),
            meaning="fields of a task that stays the same",
        ),
        Interaction.CANCEL: InteractionRule(
            fixed=(("status", "cancelled"),),
            meaning="the task will not be done",
        ),
    }

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        status = current.get("status")
        if status in DONE:
            words = "done" if status == "completed" else "cancelled"
            return (ChangeIssue("", f"already-{status}", f"The task is {words} already."),)
        return ()

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield SAYS_NOTHING
