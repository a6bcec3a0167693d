"""What would take a written change back: composed from the entry as it was read before the write.

Nothing is sent from here, and nothing by itself: a person asks, a draft is made of it, and the draft goes
through screening and review like any other. What no write can take back is said instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ehr_adapters.canonical import base as canonical
from ehr_adapters.canonical.base import FieldSpec, Interaction
from ehr_adapters.capabilities import Finality
from ehr_adapters.contract import Snapshot
from ehr_adapters.errors import AdapterMisconfigured, Unsupported
from intents.governance.encryption import CannotUnseal
from intents.lifecycle import IN_FLIGHT, OPEN, WRITTEN, State
from intents.models import Discrepancy, Intent
from intents.pipeline import gateway, screening
from intents.pipeline.reconciliation.looking import Subject, subject_of

# Why there is nothing to compose, by interaction, and by kind where making an entry cannot be undone.
_FINAL: Mapping[str, str] = {
    Interaction.DISCONTINUE: "What was stopped is not started again by machine. Have it drafted as a new entry.",
    Interaction.RESOLVE: (
        "What was resolved is not opened again by machine. If it came back, that is a recurrence with an "
        "onset of its own."
    ),
    Interaction.CANCEL: "What was cancelled stays so. Have it drafted again.",
    Interaction.ENTERED_IN_ERROR: (
        "An entry marked as never true stays so. If it was true after all, have it drafted as a new entry."
    ),
    Interaction.COMMENT: "A comment stays beside the entry. Write another one.",
}
_FINAL_KINDS: Mapping[str, str] = {
    "message": "A message that was sent cannot be taken back. Write to the patient again.",
    "result": "Correcting a result is the laboratory's act. Tell the laboratory.",
    "questionnaire": "Answers stay as they were given. Have them amended.",
    "encounter": "A visit is closed or corrected in the EHR only.",
    "care_plan": "A care plan is ended, not taken back. Have its end drafted.",
}
_STAYS: Mapping[Interaction, str] = {
    Interaction.ENTERED_IN_ERROR: (
        "The entry stays readable, marked as never true. Whoever has read it since has read it."
    ),
    Interaction.CANCEL: "The entry stays readable as cancelled. What was done because of it is not undone.",
    Interaction.UPDATE: "The EHR keeps the version in between. What was done because of it is not undone.",
}


class CannotTakeBack(Exception):
    """No write takes this back. `sentence` says why, and what a person can do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Compensation:
    """The change that takes another back, and what stays all the same, as sentences."""

    corrects: Intent
    interaction: str
    target_ref: str
    content: Mapping[str, Any]
    stays: tuple[str, ...]

    @property
    def words(self) -> str:
        """What the draft will ask for, for the person who wants it."""
        if self.interaction == Interaction.UPDATE:
            return "A draft puts back what the entry said before."
        if self.interaction == Interaction.CANCEL:
            return "A draft cancels the entry."
        return "A draft marks the entry as never true."


def compensation(*, intent_id: UUID | str) -> Compensation:
    """What takes this change back, or CannotTakeBack. Reads only what is stored."""
    subject = subject_of(intent_id)
    if subject is None or subject.intent.state not in WRITTEN:
        raise CannotTakeBack("Only a change that is in the EHR can be taken back.")
    intent = subject.intent
    _check_free(intent)
    if subject.plan.finality == Finality.STAGED and intent.state != State.RECONCILED:
        raise CannotTakeBack(f"It waits in {intent.connection}. Decline it there.")
    if intent.interaction in _FINAL:
        raise CannotTakeBack(_FINAL[intent.interaction])
    if canonical.makes_entry(intent.change_kind, intent.interaction):
        return _of_new_entry(intent)
    return _of_update(subject)


def _check_free(intent: Intent) -> None:
    waiting = (*OPEN, *IN_FLIGHT, State.FAILED)
    if intent.corrected_by.filter(state__in=waiting).exists():
        raise CannotTakeBack("A draft that takes it back was made already.")


def _of_new_entry(intent: Intent) -> Compensation:
    kind = intent.change_kind
    if kind in _FINAL_KINDS:
        raise CannotTakeBack(_FINAL_KINDS[kind])
    if not intent.resource_ref:
        raise CannotTakeBack(
            f"{intent.connection} did not say which entry it made. Correct it there by hand."
        )
    rules = canonical.kind_model(kind).rules
    for word in (Interaction.ENTERED_IN_ERROR, Interaction.CANCEL):
        if word in rules and not rules[word].required:
            _check_offered(intent, word)
            return Compensation(
                corrects=intent,
                interaction=word.value,
                target_ref=intent.resource_ref,
                content={},
                stays=(_STAYS[word],),
            )
    raise CannotTakeBack(f"This is corrected in {intent.connection} only.")


def _of_update(subject: Subject) -> Compensation:
    """The old values of the fields that were changed, out of the snapshot; a field that was not there is
    taken away where it may be."""
    intent = subject.intent
    _check_offered(intent, Interaction.UPDATE)
    if Discrepancy.objects.filter(
        intent=intent, kind=Discrepancy.Kind.HUMAN_EDITED, resolved_at__isnull=True
    ).exists():
        raise CannotTakeBack(
            "Somebody changed the entry since. Settle that first: putting old values back would undo it."
        )
    try:
        before = _snapshot(subject)
        written = subject.screening.version.phi_json("content") or {}
    except CannotUnseal:
        raise CannotTakeBack("What was stored before the write cannot be read.") from None
    if before is None:
        raise CannotTakeBack("The entry was not read before the write, so nothing can be put back.")
    specs = {spec.name: spec for spec in canonical.fields(intent.change_kind, Interaction.UPDATE)}
    content: dict[str, Any] = {}
    lost: list[str] = []
    for name in written:
        spec = specs.get(name)
        if spec is None or spec.portal_only or name in ("mode", "encounter"):
            continue
        was = before.canonical.get(name)
        if canonical.same_value(intent.change_kind, name, was, written[name]):
            continue
        if _can_be_said(spec, was):
            content[name] = was
        else:
            lost.append(spec.label.lower())
    if not content:
        raise CannotTakeBack("None of what was changed can be put back. Correct it by a new draft.")
    if intent.change_kind == "note":
        content["mode"] = "replace"
    stays = [_STAYS[Interaction.UPDATE]]
    if lost:
        stays.append(f"Not put back: {', '.join(lost)}.")
    return Compensation(
        corrects=intent,
        interaction=Interaction.UPDATE.value,
        target_ref=intent.target_ref,
        content=content,
        stays=tuple(stays),
    )


def _can_be_said(spec: FieldSpec, was: object) -> bool:
    if was is None:
        return spec.removable
    return not spec.choices or was in {value for value, _ in spec.choices}


def _snapshot(subject: Subject) -> Snapshot | None:
    """The target as it was when the plan was frozen; just before sending it was found unmoved."""
    baseline = screening.baseline_of(subject.screening)
    return baseline.target if baseline else None


def _check_offered(intent: Intent, word: Interaction) -> None:
    try:
        capability = gateway.capability(
            connection=intent.connection, kind=intent.change_kind, interaction=word.value
        )
    except (Unsupported, AdapterMisconfigured):
        capability = None
    if capability is None or not capability.supported:
        raise CannotTakeBack(
            f"{intent.connection} does not take this from outside. Correct it there by hand."
        )
