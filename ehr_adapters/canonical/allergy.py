"""The allergy or intolerance: what the patient reacts to, how, and how sure that is."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Strict

from ehr_adapters.canonical.codes import RXNORM, SNOMED
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
from ehr_adapters.canonical.of_every_kind import SAYS_NOTHING, SensitivityField
from ehr_adapters.canonical.types import Code, Entries, Part, PartialDate, Text

NO_KNOWN_ALLERGY = "716186003"
# What each of the negative statements of SNOMED CT denies: a category, or "" for any allergy at all.
NONE_KNOWN: Mapping[str, str] = {
    NO_KNOWN_ALLERGY: "",
    "409137002": "medication",
    "429625007": "food",
    "428607008": "environment",
}
COMMENT_LENGTH = 450

_CHANGEABLE = frozenset(
    {
        "substance",
        "type",
        "category",
        "clinical_status",
        "verification",
        "criticality",
        "reactions",
        "reported_by",
        "last_seen",
        "note",
        "sensitivity",
    }
)
_REMOVABLE = frozenset({"type", "criticality", "reactions", "reported_by", "last_seen", "note"})


class Reaction(Part):
    """What happened when the patient met the substance."""

    manifestation: Annotated[Code, Column(label="Sign", control=Control.CODE, systems=(SNOMED,))]
    severity: Annotated[
        Literal["mild", "moderate", "severe"] | None,
        Column(
            label="How bad",
            control=Control.CHOICE,
            words=(("mild", "mild"), ("moderate", "moderate"), ("severe", "severe")),
        ),
    ] = None
    onset: Annotated[PartialDate | None, Column(label="When", control=Control.DATE, lead="on")] = (
        None
    )


class Allergy(ChartChange):
    """An allergy or intolerance of the patient, or the statement that none is known."""

    kind: ClassVar[str] = "allergy"
    label: ClassVar[str] = "Allergy"
    fhir_type: ClassVar[str] = "AllergyIntolerance"
    names: ClassVar[tuple[str, str] | tuple[()]] = ("allergy", "allergies")
    named_by: ClassVar[tuple[str, ...]] = ("substance",)
    brief: ClassVar[tuple[str, ...]] = (
        "substance",
        "clinical_status",
        "verification",
        "criticality",
        "reactions",
    )

    substance: Annotated[
        Code | None,
        ChartField(
            label="Allergy to",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CODE,
            compare=Comparison.CODE,
            element="code",
            systems=(RXNORM, SNOMED),
        ),
    ] = None
    type: Annotated[
        Literal["allergy", "intolerance"] | None,
        ChartField(
            label="Kind",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="type",
            words=(("allergy", "allergy"), ("intolerance", "intolerance")),
        ),
    ] = None
    category: Annotated[
        Literal["medication", "food", "environment", "biologic"] | None,
        ChartField(
            label="Category",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="category",
            words=(
                ("medication", "medication"),
                ("food", "food"),
                ("environment", "environment"),
                ("biologic", "biologic"),
            ),
        ),
    ] = None
    clinical_status: Annotated[
        Literal["active", "inactive", "resolved"] | None,
        ChartField(
            label="Status",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="clinicalStatus",
            words=(("active", "active"), ("inactive", "inactive"), ("resolved", "resolved")),
        ),
    ] = None
    verification: Annotated[
        Literal["unconfirmed", "confirmed", "refuted", "entered-in-error"] | None,
        ChartField(
            label="Certainty",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="verificationStatus",
            words=(
                ("unconfirmed", "not confirmed"),
                ("confirmed", "confirmed"),
                ("refuted", "disproved"),
                ("entered-in-error", "entered in error"),
            ),
        ),
    ] = None
    criticality: Annotated[
        Literal["low", "high", "unable-to-assess"] | None,
        ChartField(
            label="Danger if exposed again",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="criticality",
            words=(("low", "low"), ("high", "high"), ("unable-to-assess", "cannot be judged")),
        ),
    ] = None
    reactions: Annotated[
        Annotated[tuple[Reaction, ...], Strict(strict=False), AfterValidator(Entries(1, 20))]
        | None,
        ChartField(
            label="Reaction",
            risk=Risk.HIGH,
            owner=Owner.SHARED,
            control=Control.PARTS,
            compare=Comparison.SET,
            element="reaction",
            part=Reaction,
        ),
    ] = None
    reported_by: Annotated[
        Literal["patient", "relative", "clinician"] | None,
        ChartField(
            label="Told by",
            risk=Risk.MEDIUM,
            owner=Owner.SHARED,
            control=Control.CHOICE,
            compare=Comparison.EXACT,
            element="asserter",
            words=(
                ("patient", "the patient"),
                ("relative", "a relative"),
                ("clinician", "a clinician"),
            ),
        ),
    ] = None
    last_seen: Annotated[
        PartialDate | None,
        ChartField(
            label="Last reaction",
            risk=Risk.LOW,
            owner=Owner.SHARED,
            control=Control.DATE,
            compare=Comparison.DATE,
            element="lastOccurrence",
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
    sensitivity: SensitivityField = None

    rules: ClassVar[Mapping[Interaction, InteractionRule]] = {
        Interaction.CREATE: InteractionRule(
            required=frozenset({"substance", "category", "clinical_status", "verification"}),
            optional=_CHANGEABLE,
            choices=(
                ("clinical_status", ("active", "inactive")),
                ("verification", ("unconfirmed", "confirmed")),
            ),
            needs_target=False,
            meaning="a new entry",
        ),
        Interaction.UPDATE: InteractionRule(
            optional=_CHANGEABLE,
            removable=_REMOVABLE,
            choices=(
                ("clinical_status", ("active", "inactive")),
                ("verification", ("unconfirmed", "confirmed", "refuted")),
            ),
            meaning="fields of an entry that stays the same fact",
        ),
        Interaction.RESOLVE: InteractionRule(
            optional=frozenset({"note"}),
            fixed=(("clinical_status", "resolved"),),
            meaning="the patient no longer reacts to it",
        ),
        Interaction.ENTERED_IN_ERROR: InteractionRule(
            optional=frozenset({"note"}),
            fixed=(("verification", "entered-in-error"),),
            meaning="the entry was never true",
        ),
    }

    def applied_to(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """As for every kind; what was never true has no status."""
        after = super().applied_to(current)
        if after.get("verification") == "entered-in-error":
            after.pop("clinical_status", None)
        return after

    def conflicts_with(self, current: Mapping[str, Any]) -> tuple[ChangeIssue, ...]:
        if current.get("verification") == "entered-in-error":
            return (
                ChangeIssue(
                    "", "target-entered-in-error", "The entry is marked as entered in error."
                ),
            )
        issues = []
        before, after = current.get("substance"), self.substance
        if after is not None and (
            before is None or (before["system"], before["code"]) != (after.system, after.code)
        ):
            issues.append(
                ChangeIssue(
                    "/substance",
                    "another-fact",
                    "Another substance is another fact: mark the entry as entered in error and add a new one.",
                )
            )
        if self.interaction is Interaction.RESOLVE and current.get("clinical_status") == "resolved":
            issues.append(ChangeIssue("", "already-resolved", "The entry is resolved already."))
        issues += [
            issue
            for issue in _denial_issues(self.applied_to(current))
            if issue.pointer.removeprefix("/") in self.named_fields
        ]
        return tuple(issues)

    def refused_beside(self, entries: Iterable[Mapping[str, Any]]) -> tuple[ChangeIssue, ...]:
        """“None known” is no statement about a chart that holds an active allergy of that category."""
        after = self.model_dump_canonical()
        denied = denied_category(after)
        if self.interaction is not Interaction.CREATE or denied is None:
            return ()
        if not any(_contradicts(one, denied) for one in entries):
            return ()
        return (
            ChangeIssue(
                "/substance",
                "none-known-beside-active",
                "The chart holds an active allergy: “none known” cannot stand beside it.",
            ),
        )

    def stands_beside(self, entries: Iterable[Mapping[str, Any]]) -> tuple[ChangeIssue, ...]:
        """An allergy and the statement that none is known contradict each other: both will stand."""
        after = self.model_dump_canonical()
        if self.interaction is not Interaction.CREATE or denied_category(after) is not None:
            return ()
        denials = [denied_category(one) for one in entries if is_active(one)]
        if not any(denied is not None and denied in {"", after["category"]} for denied in denials):
            return ()
        return (
            ChangeIssue(
                "/substance",
                "both-stand",
                "The chart says that no allergy is known. That entry stays beside this one until it is ended too.",
            ),
        )

    @classmethod
    def own_issues(
        cls, *, interaction: Interaction, content: Mapping[str, Any]
    ) -> Iterable[ChangeIssue]:
        if interaction is Interaction.UPDATE and not content:
            yield SAYS_NOTHING
        if (
            interaction is Interaction.UPDATE
            and content.get("verification") == "refuted"
            and not content.get("note")
        ):
            yield ChangeIssue(
                "/note", "missing", "Why the allergy is disproved belongs into the comment."
            )
        signs = [
            (one["manifestation"]["system"], one["manifestation"]["code"], one.get("onset"))
            for one in content.get("reactions") or ()
        ]
        if len(signs) != len(set(signs)):
            yield ChangeIssue(
                "/reactions", "contradiction", "The same reaction is listed more than once."
            )
        yield from _denial_issues(content)


def denied_category(content: Mapping[str, Any]) -> str | None:
    """What an entry says is not there: "" for any allergy, a category, or None where it names a substance."""
    substance = content.get("substance") or {}
    if substance.get("system") != SNOMED:
        return None
    return NONE_KNOWN.get(str(substance.get("code")))


def is_active(content: Mapping[str, Any]) -> bool:
    """Does an entry with this canonical value warn of something, or deny it, today?"""
    return content.get("clinical_status", "active") == "active" and content.get(
        "verification"
    ) not in {"refuted", "entered-in-error"}


def _contradicts(entry: Mapping[str, Any], denied: str) -> bool:
    """An active allergy of the denied category; one without a category may be any."""
    if not is_active(entry) or denied_category(entry) is not None:
        return False
    return not denied or entry.get("category", denied) == denied


def _denial_issues(content: Mapping[str, Any]) -> Iterable[ChangeIssue]:
    """Where none is known there is nothing that could be dangerous or be seen again."""
    if denied_category(content) is None:
        return
    for name, words in (
        ("criticality", "a danger"),
        ("reactions", "a reaction"),
        ("last_seen", "a last reaction"),
    ):
        if content.get(name):
            yield ChangeIssue(
                f"/{name}", "contradiction", f"Where no allergy is known there is not {words}."
            )
