"""The problem: an entry of the problem list, or a diagnosis of a visit."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict

from ehr_adapters.canonical.codes import ICD10CM, SNOMED
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
from ehr_adapters.canonical.note import SENSITIVITY_WORDS
from ehr_adapters.canonical.types import Code, Entries, PartialDate, Reference, Text

SIDES = ("7771000", "24028007", "51440002")
ENDED = frozenset({"inactive", "remission", "resolved"})
COMMENT_LENGTH = 450

_CHANGEABLE = frozenset(
    {
        "code",
        "clinical_status",
        "verification",
        "side",
        "severity",
        "stage",
        "onset",
        "abatement",
        "encounter",
        "note",
        "sensitivity",
    }
)


class Problem(ChartChange):
    """A condition of the patient."""

    kind: ClassVar[str] = "problem"
    label: ClassVar[str] = "Problem"
    fhir_type: ClassVar[str] = "Condition"
    named_by: ClassVar[tuple[str, ...]] = ("code",)
    brief: ClassVar[tuple[str, ...]] = (
        "code",
        "clinical_status",
        "verification",
        "onset",
        "abatement",
    )

    code: Annotated[
        Annotated[tuple[Code, ...], Strict(strict=False), AfterValidator(Entries(1, 2))] | None,
        ChartField(
            label="Problem",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CODES,
            compare=Comparison.CODE_SET,
            element="code",
            systems=(ICD10CM, SNOMED),
        ),
    ] = None
    category: Annotated[
        Literal["problem-list-item", "encounter-diagnosis"] | None,
        ChartField(
            label="Where it goes",
            risk=Risk.HIGH,
            owner=Owner.PORTAL,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="category",
            words=(
                ("problem-list-item", "problem list"),
                ("encounter-diagnosis", "diagnosis of the visit"),
            ),
        ),
    ] = None
    clinical_status: Annotated[
        Literal["active", "recurrence", "relapse", "inactive", "remission", "resolved"] | None,
        ChartField(
            label="Status",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="clinicalStatus",
            words=(
                ("active", "active"),
                ("recurrence", "has come back"),
                ("relapse", "relapse"),
                ("inactive", "inactive"),
                ("remission", "in remission"),
                ("resolved", "resolved"),
            ),
        ),
    ] = None
    verification: Annotated[
        Literal[
            "unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"
        ]
        | None,
        ChartField(
            label="Certainty",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="verificationStatus",
            words=(
                ("unconfirmed", "not confirmed"),
                ("provisional", "provisional"),
                ("differential", "one of several possibilities"),
                ("confirmed", "confirmed"),
                ("refuted", "ruled out"),
                ("entered-in-error", "entered in error"),
            ),
        ),
    ] = None
    side: Annotated[
        Code | None,
        ChartField(
            label="Side",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CODE,
            compare=Comparison.CODE,
            element="bodySite",
            systems=(SNOMED,),
            options=SIDES,
        ),
    ] = None
    severity: Annotated[
        Code | Text | None,
        ChartField(
            label="Severity",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.CODE,
            element="severity",
            systems=(SNOMED,),
            or_text=True,
            max_length=200,
        ),
    ] = None
    stage: Annotated[
        Code | Text | None,
        ChartField(
            label="Stage",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.LINE,
            compare=Comparison.CODE,
            element="stage",
            systems=(SNOMED,),
            or_text=True,
            max_length=200,
        ),
    ] = None
    onset: Annotated[
        PartialDate | None,
        ChartField(
            label="Since",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="onset",
        ),
    ] = None
    abatement: Annotated[
        PartialDate | None,
        ChartField(
            label="Until",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="abatement",
        ),
    ] = None
    encounter: Annotated[
        Reference | None,
        ChartField(
            label="Visit",
            risk=Risk.HIGH,
            owner=Owner.EHR,
            control=Control.REFERENCE,
            compare=Comparison.REFERENCE,
            element="encounter",
            refers_to=("Encounter",),
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
            max_length=COMMENT_LENGTH,
        ),
    ] = None
    sensitivity: Annotated[
        Literal["normal", "restricted", "very-restricted"] | None,
        ChartField(
            label="Sensitivity",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="meta.security",
            words=SENSITIVITY_WORDS,
            absent_means="normal",
        ),
    ] = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"code", "category", "clinical_status", "verification"}),
            optional=_CHANGEABLE,
            choices=(
                (
                    "verification",
                    ("unconfirmed", "provisional", "differential", "confirmed", "refuted"),
                ),
            ),
            needs_target=False,
            meaning="a new entry",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=_CHANGEABLE,
            removable=frozenset({"severity", "stage", "onset", "abatement", "note"}),
            choices=(
                (
                    "verification",
                    ("unconfirmed", "provisional", "differential", "confirmed", "refuted"),
                ),
                ("clinical_status", ("active", "recurrence", "relapse", "inactive", "remission")),
            ),
            meaning="fields of an entry that stays the same fact",
        ),
        Interaction.RESOLVE: InteractionRule(
            required=frozenset({"abatement"}),
            optional=frozenset({"note"}),
            fixed=(("clinical_status", "resolved"),),
            meaning="the condition ended",
        ),
        Interaction.ENTERED_IN_ERROR: InteractionRule(
            optional=frozenset({"note"}),
            fixed=(("verification", "entered-in-error"),),
            meaning="the entry was never true",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; what was never true has no status and no end."""
        after = super().applied_to(current)
        if after.get("verification") == "entered-in-error":
            after.pop("clinical_status", None)
            after.pop("abatement", None)
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        issues = []
        if current.get("verification") == "entered-in-error":
            return (
                ChangeIssue(
                    "", "target-entered-in-error", "The entry is marked as entered in error."
                ),
            )
        before, after = current.get("side"), self.side
        if (
            self.interaction is Interaction.UPDATE
            and before
            and after
            and before.get("code") != after.code
        ):
            issues.append(
                ChangeIssue(
                    "/side",
                    "another-fact",
                    "Another side is another fact: mark the entry as entered in error and add a new one.",
                )
            )
        if self.interaction is Interaction.RESOLVE and current.get("clinical_status") == "resolved":
            issues.append(ChangeIssue("", "already-resolved", "The entry is resolved already."))
        combined = self.applied_to(current)
        if combined.get("abatement") and combined.get("clinical_status") not in {None, *ENDED}:
            issues.append(
                ChangeIssue(
                    "/clinical_status",
                    "contradiction",
                    "An entry with an end date cannot be active: take the end date away or end it.",
                )
            )
        return tuple(issues)

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield ChangeIssue("", "empty", "The change says nothing.")
        systems = [one["system"] for one in content.get("code") or ()]
        if len(systems) != len(set(systems)):
            yield ChangeIssue(
                "/code", "contradiction", "At most one code of each system is possible."
            )
        status, abatement = content.get("clinical_status"), content.get("abatement")
        if interaction is Interaction.CREATE and status == "resolved" and not abatement:
            yield ChangeIssue("/abatement", "missing", "A resolved problem needs its end date.")
        if abatement and status is not None and status not in ENDED:
            yield ChangeIssue("/abatement", "contradiction", "An active problem has no end date.")
        if (
            interaction is Interaction.UPDATE
            and status == "recurrence"
            and not content.get("onset")
        ):
            yield ChangeIssue(
                "/onset", "missing", "A problem that has come back needs its new beginning."
            )
        onset = content.get("onset")
        if onset and abatement and abatement[: len(onset)] < onset[: len(abatement)]:
            yield ChangeIssue("/abatement", "contradiction", "The problem ends before it began.")
