"""The medication: an entry of the list of what the patient takes. A prescription is changed by an order."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from ehr_adapters.canonical import dosing
from ehr_adapters.canonical.codes import RXNORM, SNOMED
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
from ehr_adapters.canonical.types import Code, PartialDate, Text

# Why a prescription was not changed: the issue that a plain repository may be set to pass over.
IN_PLACE = "prescription-in-place"
NEEDS_REASON = frozenset({"on-hold", "stopped", "not-taken"})
_ENDED = frozenset({"stopped", "completed"})

_CHANGEABLE = frozenset(
    {
        "drug",
        *dosing.FIELDS,
        "start",
        "end",
        "status",
        "status_reason",
        "indication",
        "taken",
        "note",
        "encounter",
        "sensitivity",
    }
)

Drug = Annotated[
    Code | None,
    ChartField(
        label="Medication",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.CODE,
        compare=Comparison.CODE,
        element="medication",
        systems=(RXNORM,),
    ),
]


class Medication(ChartChange):
    """What a patient takes, as the list says it."""

    kind: ClassVar[str] = "medication"
    label: ClassVar[str] = "Medication"
    fhir_type: ClassVar[str] = "MedicationStatement"
    also_kept_as: ClassVar[tuple[str, ...]] = ("MedicationRequest",)
    named_by: ClassVar[tuple[str, ...]] = ("drug",)
    brief: ClassVar[tuple[str, ...]] = ("drug", "dose", "frequency", "status", "entry")

    entry: Annotated[
        Literal["list", "prescription"] | None,
        ChartField(
            label="Entry",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            words=(
                ("list", "on the list of what is taken"),
                ("prescription", "a prescription stands behind it"),
            ),
            filled_by_portal=True,
        ),
    ] = None
    drug: Drug = None
    dose: dosing.Dose = None
    units_taken: dosing.UnitsTaken = None
    route: dosing.Route = None
    frequency: dosing.HowOften = None
    as_needed: dosing.WhenNeeded = None
    sig_text: dosing.SigText = None
    start: Annotated[
        PartialDate | None,
        ChartField(
            label="From",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="effective",
        ),
    ] = None
    end: Annotated[
        PartialDate | None,
        ChartField(
            label="Until",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="effective",
        ),
    ] = None
    status: Annotated[
        Literal["active", "on-hold", "stopped", "completed", "not-taken", "entered-in-error"]
        | None,
        ChartField(
            label="Status",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="status",
            words=(
                ("active", "active"),
                ("on-hold", "on hold"),
                ("stopped", "stopped"),
                ("completed", "completed"),
                ("not-taken", "not taken"),
                ("entered-in-error", "entered in error"),
            ),
        ),
    ] = None
    status_reason: Annotated[
        Code | Text | None,
        ChartField(
            label="Why",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.CODE,
            element="statusReason",
            systems=(SNOMED,),
            or_text=True,
            max_length=200,
        ),
    ] = None
    indication: Annotated[
        Text | None,
        ChartField(
            label="For",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.TEXT,
            element="reasonReference reasonCode",
            refers_to=("Condition",),
            or_text=True,
            max_length=200,
        ),
    ] = None
    taken: Annotated[
        Literal["yes", "no", "differently", "unknown"] | None,
        ChartField(
            label="Taken as written",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            words=(
                ("yes", "yes"),
                ("no", "no"),
                ("differently", "differently"),
                ("unknown", "not known"),
            ),
        ),
    ] = None
    note: Annotated[
        Text | None,
        ChartField(
            label="Comment",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.TEXT,
            compare=Comparison.TEXT,
            element="note",
            max_length=450,
        ),
    ] = None
    encounter: EncounterField = None
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"drug", "dose", "route", "frequency", "status"}),
            optional=_CHANGEABLE,
            fixed=(("entry", "list"),),
            choices=(("status", ("active", "on-hold", "stopped", "completed", "not-taken")),),
            needs_target=False,
            meaning="a new entry of the list",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=_CHANGEABLE,
            removable=frozenset(
                {
                    "units_taken",
                    "as_needed",
                    "sig_text",
                    "start",
                    "end",
                    "status_reason",
                    "indication",
                    "taken",
                    "note",
                }
            ),
            choices=(("status", ("active", "on-hold", "completed", "not-taken")),),
            meaning="fields of a list entry that stays the same medicine",
        ),
        Interaction.DISCONTINUE: InteractionRule(
            required=frozenset({"end", "status_reason"}),
            optional=frozenset({"note"}),
            fixed=(("status", "stopped"),),
            meaning="the medicine was taken and is stopped",
        ),
        Interaction.ENTERED_IN_ERROR: InteractionRule(
            optional=frozenset({"note"}),
            fixed=(("status", "entered-in-error"),),
            meaning="the entry was never true",
        ),
    }

    @property
    def drops_reason(self) -> bool:
        """The reason of the old status goes with it: what is taken again needs none."""
        return (
            "status" in self.named_fields
            and "status_reason" not in self.named_fields
            and self.interaction is Interaction.UPDATE
        )

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; the reason of another status is no reason of this one."""
        after = super().applied_to(current)
        if self.drops_reason and after.get("status") != current.get("status"):
            after.pop("status_reason", None)
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        status = current.get("status")
        if status == "entered-in-error":
            return (
                ChangeIssue(
                    "", "target-entered-in-error", "The entry is marked as entered in error."
                ),
            )
        if current.get("entry") == "prescription" and status is None:
            return (
                ChangeIssue(
                    "",
                    "not-a-medication",
                    "This is no medication that is taken: the order is not signed or not in force.",
                ),
            )
        if self.interaction is Interaction.DISCONTINUE:
            return tuple(self._ended_already(current))
        if self.interaction is not Interaction.UPDATE:
            return ()
        issues = []
        if current.get("entry") == "prescription":
            issues.append(
                ChangeIssue(
                    "",
                    IN_PLACE,
                    "A prescription stands behind this entry: draft an order that replaces it, for a "
                    "prescriber to sign in the EHR.",
                )
            )
        if self.drug and (current.get("drug") or {}).get("code") != self.drug.code:
            issues.append(
                ChangeIssue(
                    "/drug",
                    "another-fact",
                    "Another medicine is another entry: discontinue this one and add the new one.",
                )
            )
        return (*issues, *self._left_behind(current))

    @staticmethod
    def _ended_already(current: Mapping[str, Any]) -> Iterable[ChangeIssue]:
        if current.get("status") in _ENDED:
            yield ChangeIssue("", "already-ended", "The entry has ended already.")

    def _left_behind(self, current: Mapping[str, Any]) -> Iterable[ChangeIssue]:
        """What would stand beside the change and say something else."""
        if not self.named_fields & set(dosing.FIELDS):
            return
        after = self.applied_to(current)
        if (
            "dose" in self.named_fields
            and "units_taken" not in self.named_fields
            and current.get("units_taken")
            and dosing.dose_ratio(_once(current), _once(after)) != 1
        ):
            yield ChangeIssue(
                "/units_taken",
                "contradiction",
                "“Taken as” would stand beside another dose: say it as well, or take it away.",
            )
        if "sig_text" not in self.named_fields and current.get("sig_text"):
            for issue in dosing.issues(after):
                if issue.pointer == "/sig_text" and issue.code == "contradiction":
                    yield ChangeIssue(
                        "/sig_text",
                        "contradiction",
                        "The instructions as they stand would say something else: change them as well, or "
                        "take them away.",
                    )
                    return

    @classmethod
    def compared_as(cls, name: str, value: Any) -> Any:
        return dosing.compared_as(name, value)

    @classmethod
    def words_of(cls, name: str, value: Any) -> str | None:
        return dosing.words_of(name, value)

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield SAYS_NOTHING
        status, reason = content.get("status"), content.get("status_reason")
        if status in NEEDS_REASON and not reason:
            yield ChangeIssue(
                "/status_reason", "missing", "What is stopped, on hold or not taken needs a reason."
            )
        if reason and status in {"active", "completed"}:
            yield ChangeIssue(
                "/status_reason",
                "contradiction",
                "What is taken, or was taken to the end, needs no reason.",
            )
        start, end = content.get("start"), content.get("end")
        if start and end and end[: len(start)] < start[: len(end)]:
            yield ChangeIssue("/end", "contradiction", "The medicine ends before it began.")
        yield from dosing.issues(content)


def _once(content: Mapping[str, Any]) -> dict[str, Any]:
    """The dose alone, as if taken once a day: what the two doses compare as."""
    return {"dose": content.get("dose"), "frequency": {"times": 1, "per": 1, "unit": "d"}}
