"""What can be said to Veradigm, by transport: capability rows and the places of a copy card."""

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
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings

SOURCE_DATE = "2026-11-20"
_FHIR = "Veradigm FHIR R4 CapabilityStatement, version 4.22.0.1: create and update, no-version"
_UNITY = "Unity API, as published clients of integrators use it"
_NONE_FOUND = "Veradigm FHIR R4 CapabilityStatement and Unity API: no way found"
# A problem's comment as Unity takes it; longer ones were not seen.
COMMENT_LENGTH = 450

PLACES: dict[str, str] = {
    "note": "the patient's chart, Documents: New",
    "note amend": "the patient's chart, Documents: open the signed note, Addendum",
    "note update": "the patient's chart, Documents: open your unsigned note",
    "note entered-in-error": "the patient's chart, Documents: open the note, Entered in error",
    "problem": "the patient's chart, Problems: Add",
    "problem update": "the patient's chart, Problems: open the problem, Edit",
    "problem resolve": "the patient's chart, Problems: open the problem, Resolve",
    "problem entered-in-error": "the patient's chart, Problems: open the problem, Entered in error",
    "allergy": "the patient's chart, Allergies",
    "medication": "the patient's chart, Medications",
    "order": "the patient's chart, Orders",
    "vitals": "the patient's chart, Vitals",
    "result": "the patient's chart, Results",
    "task": "the task list",
    "message": "the portal messages",
    "appointment": "the schedule",
    "care_plan": "the patient's chart, Care plan",
    "questionnaire": "the patient's chart, Questionnaires",
    "encounter": "the patient's chart, Encounters",
    "demographics": "the patient's registration",
}

_TEXT_LINES = Transformation(
    "content.attachment.plain_text", "line_ends", "Line ends and blanks at line ends may differ."
)
_WORDS = "Veradigm may write its own words for a code."


def rows(settings: VeradigmSettings) -> tuple[Capability, ...]:
    """All rows: what is there, and for everything else why it is not and what a person does instead."""
    known = [
        *_notes(settings),
        *_problems(settings),
        *_allergies(settings),
        *_medications(settings),
        *_vitals(settings),
        *_questionnaires(settings),
        *_tasks(settings),
        *_off(),
    ]
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


def by_hand(kind: str, interaction: str, *, sentence: str = "", source: str = "") -> Capability:
    """No usable interface: the sentence says so, the copy card where to type it."""
    return Capability(
        kind=kind,
        interaction=interaction,
        supported=False,
        sentence=sentence
        or f"Veradigm offers no way to write this ({kind_label(kind).lower()}) from outside. "
        "Type it in Veradigm with the copy card.",
        degrade=("copy_card",),
        source=source or _NONE_FOUND,
        source_date=SOURCE_DATE,
    )


# --- FHIR ----------------------------------------------------------------------------------------


def _bounds(settings: VeradigmSettings) -> dict[str, Any]:
    return {
        "processing_bound_seconds": settings.processing_bound_seconds,
        "index_lag_seconds": settings.index_lag_seconds,
        "repertoire": settings.repertoire,
        "source_date": SOURCE_DATE,
    }


def _fhir(settings: VeradigmSettings) -> dict[str, Any]:
    owned = ["recordedDate", "recorder", "asserter", "custodian", "authenticator"]
    if not settings.identifiers_kept_probed:
        owned.append("identifier")
    if not settings.labels_kept_probed:
        owned.append("confidentiality")
    return {
        "source": _FHIR,
        "server_owned": tuple(owned),
        "labels_carried": ("AIAST", "sensitivity") if settings.labels_kept_probed else (),
        **_bounds(settings),
    }


def fhir_create(kind: str, settings: VeradigmSettings, **more: Any) -> Capability:
    """A FHIR create: found again by identifier where that was probed, else only as a look-alike."""
    probed = bool(settings.identifiers_kept_probed)
    row: dict[str, Any] = {
        "kind": kind,
        "interaction": "create",
        "transport": "FHIR R4 create",
        "find": FindMethod.EXACT if probed else FindMethod.MATCH,
        "retry": RetryClass.S3 if probed else RetryClass.S4,
        "acknowledgement": Acknowledgement.ID_IN_LOCATION_OR_BODY,
        "tag_places": ("identifier",),
        **_fhir(settings),
    }
    return Capability(**(row | more))


def fhir_update(kind: str, interaction: str, settings: VeradigmSettings, **more: Any) -> Capability:
    """A FHIR update of the whole entry, without a version that the server would look at."""
    row: dict[str, Any] = {
        "kind": kind,
        "interaction": interaction,
        "transport": "FHIR R4 update",
        "find": FindMethod.TARGET,
        "retry": RetryClass.S3,
        "acknowledgement": Acknowledgement.OK_WITH_ID,
        "whole_resource": True,
        **_fhir(settings),
    }
    return Capability(**(row | more))


def _notes(settings: VeradigmSettings) -> list[Capability]:
    if settings.notes_by_unity:
        return _notes_by_unity(settings)
    note: dict[str, Any] = {
        "finality": Finality.FILED_UNSIGNED,
        "not_carried": ("/sections/*/code", "/attachments", "/patient_release"),
        "length_caps": (("/sections", settings.notes_cap),),
        "transformations": (_TEXT_LINES, Transformation("type", "display", _WORDS)),
    }
    listed = bool(settings.drafts_listed_probed)
    new: dict[str, Any] = note | {
        "find": FindMethod.SCAN,
        "retry": RetryClass.S3 if listed else RetryClass.S4,
        "tag_places": ("identifier", "last line"),
    }
    return [
        fhir_create("note", settings, **new),
        fhir_create("note", settings, **(new | {"interaction": "amend"})),
        fhir_update("note", "update", settings, **(note | {"tag_places": ("last line",)})),
        fhir_update("note", "entered-in-error", settings, **(note | {"finality": Finality.FILED})),
    ]


def _problems(settings: VeradigmSettings) -> list[Capability]:
    words: dict[str, Any] = {"transformations": (Transformation("code", "display", _WORDS),)}
    changes = [
        fhir_update("problem", interaction, settings, **words)
        for interaction in ("update", "resolve", "entered-in-error")
    ]
    if settings.problems_by_unity:
        return [_problem_by_unity(settings), *changes]
    return [fhir_create("problem", settings, **words), *changes]


def _allergies(settings: VeradigmSettings) -> list[Capability]:
    words: dict[str, Any] = {"transformations": (Transformation("code", "display", _WORDS),)}
    new = (
        _allergy_by_unity(settings)
        if settings.allergy_transport == "unity"
        else fhir_create("allergy", settings, **words)
    )
    return [
        new,
        *(
            fhir_update("allergy", interaction, settings, **words)
            for interaction in ("update", "resolve", "entered-in-error")
        ),
    ]


def _medications(settings: VeradigmSettings) -> list[Capability]:
    # MedicationStatement of R4 has no element for whether it is taken as written.
    loss: dict[str, Any] = {
        "not_carried": ("/taken",),
        "transformations": (Transformation("medicationCodeableConcept", "display", _WORDS),),
    }
    return [
        fhir_create("medication", settings, **loss),
        *(
            fhir_update("medication", interaction, settings, **loss)
            for interaction in ("update", "discontinue", "entered-in-error")
        ),
    ]


def _vitals(settings: VeradigmSettings) -> list[Capability]:
    # By FHIR alone: the form of SaveVitalsData has no place for when it was measured.
    numbers: dict[str, Any] = {
        "transformations": (
            Transformation("code", "display", _WORDS),
            *(
                Transformation(path, "number", "A number may come back without its last zeros.")
                for path in ("valueQuantity", "component.valueQuantity")
            ),
        )
    }
    return [
        fhir_create("vitals", settings, **numbers),
        fhir_update("vitals", "update", settings, **numbers),
        fhir_update("vitals", "entered-in-error", settings, **numbers),
    ]


def _questionnaires(settings: VeradigmSettings) -> list[Capability]:
    return [
        fhir_create("questionnaire", settings),
        fhir_update("questionnaire", "amend", settings),
    ]


# What may do more than is said, or of which it is not known which way it goes: switched off.
_SWITCHED_OFF = {
    "order": "In Veradigm an order from outside may be transmitted at once, so the portal sends none. Enter it there.",
    "message": "It is not known to whom Veradigm shows a message from outside, so the portal sends none.",
    "appointment": "Veradigm's interface for appointments belongs to Practice Management and is not described anywhere "
    "that the portal could rely on. Book in Veradigm.",
    "encounter": "Unity takes a visit's type and date only: its class, time and clinician would be lost. "
    "Open the visit in Veradigm.",
    "demographics": "What Unity takes of a patient's data is not described anywhere that the portal could rely on. "
    "Change it in Veradigm.",
    "result": "Results from outside are not written to Veradigm unless the practice has arranged it.",
}


def _off() -> list[Capability]:
    return [
        by_hand(kind, str(interaction), sentence=sentence, source=_UNITY)
        for kind, sentence in _SWITCHED_OFF.items()
        if kind in all_kinds()
        for interaction in interactions(kind)
    ]


# --- Unity ---------------------------------------------------------------------------------------


def unity_row(
    kind: str, action: str, settings: VeradigmSettings, *, interaction: str = "create", **more: Any
) -> Capability:
    """One Unity action; without a name the customer has not licensed it."""
    name = settings.action(action)
    if not name:
        return by_hand(
            kind,
            interaction,
            sentence="This practice has not licensed the Unity action for this.",
            source=_UNITY,
        )
    row: dict[str, Any] = {
        "kind": kind,
        "interaction": interaction,
        "transport": f"Unity {name}",
        "retry": RetryClass.S4,
        "acknowledgement": Acknowledgement.SUCCESS_FLAG,
        # Unity answers with a number of its own: what FHIR calls the entry is found by a search.
        "read_back_by_id": False,
        "source": _UNITY,
        **_bounds(settings),
    }
    return Capability(**(row | more))


def _ignored(sentence: str, *paths: str) -> tuple[Transformation, ...]:
    return tuple(Transformation(path, "ignored", sentence) for path in paths)


def _notes_by_unity(settings: VeradigmSettings) -> list[Capability]:
    listed = bool(settings.drafts_listed_probed)
    return [
        unity_row(
            "note",
            "note",
            settings,
            finality=Finality.FILED_UNSIGNED,
            find=FindMethod.SCAN,
            retry=RetryClass.S3 if listed else RetryClass.S4,
            tag_places=("last line",),
            not_carried=(
                "/encounter",
                "/date",
                "/sections/*/code",
                "/attachments",
                "/patient_release",
                "/sensitivity",
            ),
            length_caps=(("/sections", settings.notes_cap),),
            transformations=(
                _TEXT_LINES,
                Transformation("type", "display", _WORDS),
                *_ignored(
                    "Unity files under its own time, author and category.",
                    "identifier",
                    "category",
                    "date",
                    "author",
                    "authenticator",
                    "custodian",
                    "description",
                    "context",
                    "confidentiality",
                ),
            ),
        ),
        *(
            by_hand("note", interaction, source=_UNITY)
            for interaction in ("update", "amend", "entered-in-error")
        ),
    ]


def _problem_by_unity(settings: VeradigmSettings) -> Capability:
    tagged = bool(settings.unity_comment_field)
    return unity_row(
        "problem",
        "problem",
        settings,
        finality=Finality.FILED,
        find=FindMethod.MATCH,
        tag_places=("note",) if tagged else (),
        not_carried=("/severity", "/stage", "/onset", "/abatement", "/encounter", "/sensitivity"),
        length_caps=(("/note", COMMENT_LENGTH - len(REFERENCE_LINE) - 16),),
        transformations=(
            Transformation("code", "display", _WORDS),
            Transformation("category", "display", _WORDS),
            *_ignored(
                "Unity files under its own time and author.",
                "identifier",
                "recordedDate",
                "recorder",
                "asserter",
                "encounter",
                "confidentiality",
            ),
        ),
    )


def _allergy_by_unity(settings: VeradigmSettings) -> Capability:
    return unity_row(
        "allergy",
        "allergy",
        settings,
        finality=Finality.FILED,
        find=FindMethod.MATCH,
        tag_places=("note",),
        not_carried=("/type", "/reported_by", "/last_seen", "/encounter", "/sensitivity"),
        length_caps=(("/note", COMMENT_LENGTH - len(REFERENCE_LINE) - 16),),
        transformations=(
            Transformation(
                "code", "ignored", "Unity files an allergy by the EHR's own name of it."
            ),
            *_ignored(
                "Unity files under its own time and author.",
                "identifier",
                "recordedDate",
                "recorder",
                "asserter",
                "encounter",
                "confidentiality",
            ),
        ),
    )


def _tasks(settings: VeradigmSettings) -> list[Capability]:
    if not settings.unity_url:
        sentence = "Tasks go to Veradigm through Unity, and this connection names none."
        return [by_hand("task", "create", sentence=sentence, source=_UNITY)]
    return [
        unity_row(
            "task",
            "task",
            settings,
            finality=Finality.SENT_FOR_ACTION,
            find=FindMethod.NONE,
            tag_places=("comment", "subject"),
            not_carried=("/about", "/encounter", "/sensitivity"),
            length_caps=(("/description", 2000),),
        )
    ]
