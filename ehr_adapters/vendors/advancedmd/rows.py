"""What can be said to AdvancedMD, and where a person types the rest."""

from typing import Any

from ehr_adapters.canonical.base import all_kinds, interactions, kind_label
from ehr_adapters.canonical.note import REFERENCE_LINE
from ehr_adapters.capabilities import (
    Acknowledgement,
    Capability,
    Finality,
    FindMethod,
    RetryClass,
    Transformation,
)
from ehr_adapters.vendors.advancedmd.settings import AdvancedMdSettings

SOURCE_DATE = "2026-11-20"
_CONNECT = "AdvancedMD Connect API, as integrators describe it"
_NONE_FOUND = (
    "AdvancedMD FHIR R4 CapabilityStatement (read and search only) and Connect API: none found"
)

PLACES: dict[str, str] = {
    "note": "the patient's chart, Notes: New Note",
    "note update": "the patient's chart, Notes: open your unsigned note, Edit",
    "note amend": "the patient's chart, Notes: open the signed note, Addendum",
    "note entered-in-error": "the patient's chart, Notes: open the note, Delete or mark as an error",
    "problem": "the patient's chart, Problems: Add",
    "problem update": "the patient's chart, Problems: open the problem",
    "problem resolve": "the patient's chart, Problems: open the problem, Resolved",
    "problem entered-in-error": "the patient's chart, Problems: open the problem, Delete with the reason “error”",
    "allergy": "the patient's chart, Allergies",
    "medication": "the patient's chart, Medications",
    "order": "the patient's chart, Orders, or Prescriptions for a prescription",
    "vitals": "the patient's chart, the vitals card of the visit's note",
    "result": "the patient's chart, Results",
    "task": "the task list: New Task",
    "message": "the patient portal's messages",
    "appointment": "the scheduler",
    "care_plan": "the patient's chart, Health Watcher",
    "questionnaire": "the patient's chart, Forms",
    "encounter": "the scheduler: check the patient in",
    "demographics": "the patient's demographics in practice management",
}
_WHY: dict[str, str] = {
    "note update": "Whether a note can be read back from AdvancedMD is not known, so none is changed from outside.",
    "note amend": "AdvancedMD offers no way to add to a signed note from outside.",
    "note entered-in-error": "AdvancedMD offers no way to mark a note as an error from outside.",
    "problem entered-in-error": "AdvancedMD offers no way to mark a problem as an error from outside.",
    "care_plan update": "AdvancedMD's Health Watcher replaces a plan as a whole, and what it holds cannot be read.",
    "care_plan discontinue": "AdvancedMD offers no way to end a plan of its Health Watcher from outside.",
    "demographics create": "Matching or creating a patient is AdvancedMD's own affair.",
    "appointment update": "AdvancedMD has no way to move an appointment from outside: book another one, then cancel this one.",
    "encounter": "AdvancedMD takes a visit from outside by its date alone: how and when it took place would be lost.",
    "vitals": "AdvancedMD takes vital signs from outside only as a field of a note.",
}


def rows(settings: AdvancedMdSettings) -> tuple[Capability, ...]:
    """What is there, and for everything else why it is not."""
    known = (
        *_notes(settings),
        *_problems(settings),
        *_appointments(settings),
        *_care_plans(settings),
        *_demographics(settings),
    )
    told = {row.key for row in known}
    return (
        *known,
        *(
            by_hand(kind, str(interaction))
            for kind in all_kinds()
            for interaction in interactions(kind)
            if (kind, str(interaction)) not in told
        ),
    )


def by_hand(kind: str, interaction: str, sentence: str = "") -> Capability:
    why = sentence or _WHY.get(f"{kind} {interaction}") or _WHY.get(kind)
    if not why:
        label = kind_label(kind).lower()
        why = f"AdvancedMD offers no way to write this ({label}) from outside."
    return Capability(
        kind=kind,
        interaction=interaction,
        supported=False,
        sentence=f"{why} Type it in AdvancedMD with the copy card.",
        degrade=("copy_card",),
        source=_NONE_FOUND,
        source_date=SOURCE_DATE,
    )


def _bounds(settings: AdvancedMdSettings) -> dict[str, Any]:
    return {
        "transport": "Connect message",
        "acknowledgement": Acknowledgement.SUCCESS_FLAG,
        "processing_bound_seconds": settings.processing_bound_seconds,
        "index_lag_seconds": settings.index_lag_seconds,
        "repertoire": settings.repertoire,
        "source": _CONNECT,
        "source_date": SOURCE_DATE,
    }


def _notes(settings: AdvancedMdSettings) -> tuple[Capability, ...]:
    if not settings.note_templates:
        why = "This connection names no AdvancedMD note template, and there is no note without one."
        return (by_hand("note", "create", why),)
    fields = [one.longest for each in settings.note_templates for one in each.fields]
    probed = bool(settings.notes_listed_probed)
    return (
        Capability(
            kind="note",
            interaction="create",
            finality=Finality.FILED_UNSIGNED,
            find=FindMethod.SCAN if probed else FindMethod.NONE,
            retry=RetryClass.S4,
            tag_places=("last line",),
            read_back_by_id=probed,
            not_carried=("/sections/*/code", "/attachments", "/patient_release", "/sensitivity"),
            length_caps=(("/sections", sum(fields) - len(REFERENCE_LINE) - 16),),
            server_owned=("identifier", "category", "custodian", "authenticator", "description"),
            transformations=(
                Transformation(
                    "content.attachment.plain_text",
                    "line_ends",
                    "Line ends and blanks at line ends may differ.",
                ),
                Transformation("type", "display", "AdvancedMD writes its own words for the type."),
                Transformation(
                    "context.period", "ignored", "AdvancedMD fills the period from the visit."
                ),
            ),
            **_bounds(settings),
        ),
    )


def _problems(settings: AdvancedMdSettings) -> tuple[Capability, ...]:
    row: dict[str, Any] = {
        "kind": "problem",
        "finality": Finality.FILED,
        "not_carried": ("/severity", "/stage", "/encounter", "/sensitivity"),
        "server_owned": ("identifier", "recordedDate", "recorder", "asserter"),
        "transformations": (
            Transformation("code", "display", "AdvancedMD writes its own words for the code."),
        ),
        **_bounds(settings),
    }
    change: dict[str, Any] = {
        "find": FindMethod.TARGET,
        "retry": RetryClass.S3,
        "whole_resource": True,
    }
    return (
        Capability(interaction="create", find=FindMethod.MATCH, retry=RetryClass.S4, **row),
        Capability(interaction="update", **change, **row),
        Capability(interaction="resolve", **change, **row),
    )


def _appointments(settings: AdvancedMdSettings) -> tuple[Capability, ...]:
    row: dict[str, Any] = {
        "kind": "appointment",
        "finality": Finality.FILED,
        "retry": RetryClass.S3,
        "server_owned": (
            "identifier",
            "created",
            "description",
            "serviceCategory",
            "participant.required",
            "participant.status",
            "participant.type",
        ),
        "transformations": (
            Transformation(
                "appointmentType", "display", "AdvancedMD writes its own words for the type."
            ),
            Transformation(
                "participant.actor.display", "ignored", "AdvancedMD writes the names itself."
            ),
        ),
        **_bounds(settings),
        "transport": "Connect REST",
        "acknowledgement": Acknowledgement.OK_WITH_ID,
        "read_back_by_id": False,
    }
    cancel = Capability(
        interaction="cancel",
        find=FindMethod.TARGET,
        not_carried=("/cancel_reason", "/patient_told"),
        **row,
    )
    if not settings.scheduler_columns or not settings.appointment_types:
        why = (
            "This connection names no columns of AdvancedMD's scheduler or no types of appointment."
        )
        return (by_hand("appointment", "create", why), cancel)
    create = Capability(
        interaction="create",
        find=FindMethod.KEY,
        not_carried=("/slot", "/location", "/mode", "/reason", "/patient_told", "/sensitivity"),
        **row,
    )
    return (create, cancel)


def _care_plans(settings: AdvancedMdSettings) -> tuple[Capability, ...]:
    return (
        Capability(
            kind="care_plan",
            interaction="create",
            finality=Finality.FILED,
            find=FindMethod.MATCH,
            retry=RetryClass.S4,
            not_carried=(
                "/category",
                "/period",
                "/addresses",
                "/encounter",
                "/sensitivity",
                "/goals",
                "/activities",
            ),
            server_owned=("identifier", "created", "author", "category", "text"),
            **_bounds(settings),
        ),
    )


def _demographics(settings: AdvancedMdSettings) -> tuple[Capability, ...]:
    return (
        Capability(
            kind="demographics",
            interaction="update",
            finality=Finality.FILED,
            find=FindMethod.TARGET,
            retry=RetryClass.S3,
            not_carried=(
                "/phone",
                "/address",
                "/language",
                "/contacts",
                "/previous_names",
                "/sensitivity",
            ),
            **_bounds(settings),
        ),
    )
