"""What athenaOne takes, row by row; everything without a row is typed by hand."""

from typing import Any

from ehr_adapters.canonical.base import all_kinds, interactions, kind_label
from ehr_adapters.capabilities import (
    Acknowledgement,
    Capability,
    Finality,
    FindMethod,
    RetryClass,
    Transformation,
)

DATE = "2026-11-20"
_DOCUMENTS = "athenahealth API, Document Type Clinical Document"
_PROBLEMS = "athenahealth API, Problems; Encounter Diagnoses"
_VITALS = "athenahealth API, Vitals (Encounters)"
_CASES = "athenahealth API, Document Type Patient Case"
_ALLERGIES = "athenahealth API, Allergy"
_MEDICATIONS = "athenahealth API, Medications"
_ENDPOINTS = "athenahealth API, list of all endpoints"

PLACES = {
    "note": "Documents, Clinical Document",
    "note update": "the document in the clinical inbox",
    "note amend": "the signed document or encounter, Addendum",
    "problem": "Problems tab of the chart",
    "problem resolve": "Problems tab of the chart: the problem, Deactivate with the end date",
    "problem entered-in-error": "Problems tab of the chart: the problem, Delete as added in error",
    "allergy": "Allergies tab of the chart",
    "medication": "Medications tab of the chart",
    "order": "Orders of the visit",
    "vitals": "Vitals of the visit",
    "result": "Documents, Lab Result",
    "task": "Patient cases",
    "message": "Patient cases, reply through the portal",
    "appointment": "the schedule",
    "care_plan": "Patient goals of the visit",
    "questionnaire": "Screening questionnaires of the visit",
    "encounter": "Check-in at the front desk",
    "demographics": "Registration of the patient",
}
# Why there is no row, where there is more to say than that there is none.
_SENTENCES = {
    ("problem", "resolve"): (
        "athenaOne has no field for the end of a problem. End it in athenaOne with the copy card."
    ),
    ("problem", "entered-in-error"): (
        "athenaOne can only remove a problem from the chart, which the portal never does. "
        "Correct it in athenaOne with the copy card."
    ),
    (
        "result",
        "create",
    ): "athenaOne takes results from laboratories only; file it with the copy card.",
    ("encounter", "create"): "In athenaOne a visit comes from the check-in, not from outside.",
    ("message", "create"): (
        "athenaOne takes no message to a patient from outside; answer in athenaOne with the copy card."
    ),
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """Every interaction of every kind, supported or not."""
    known = {(kind, str(one)) for kind in all_kinds() for one in interactions(kind)}
    offered = {each.key: each for each in _offered(settings) if each.key in known}
    return tuple(
        offered.get((kind, str(interaction))) or _by_hand(kind, str(interaction))
        for kind in all_kinds()
        for interaction in interactions(kind)
    )


def _offered(settings: Any) -> tuple[Capability, ...]:
    bounds: dict[str, Any] = {
        "processing_bound_seconds": settings.processing_bound_seconds,
        # The slower of the two interfaces counts.
        "index_lag_seconds": settings.index_lag_seconds,
        "repertoire": settings.repertoire,
        "acknowledgement": Acknowledgement.OK_WITH_ID,
        "source_date": DATE,
    }
    listed = bool(settings.documents_listed_probed)
    return (
        Capability(
            kind="note",
            interaction="create",
            transport="athenahealth API, multipart form",
            finality=Finality.FILED_UNSIGNED,
            find=FindMethod.SCAN,
            retry=RetryClass.S3 if listed else RetryClass.S4,
            tag_places=("internalnote", "last line"),
            not_carried=(
                "/encounter",
                "/sections/*/code",
                "/attachments",
                "/patient_release",
                "/sensitivity",
            ),
            length_caps=(("/sections", settings.notes_cap),),
            transformations=(
                _INTERNAL_NOTE,
                Transformation(
                    "documentdata", "line_ends", "Line ends and blanks at line ends may differ."
                ),
            ),
            source=_DOCUMENTS,
            **bounds,
        ),
        Capability(
            kind="problem",
            interaction="create",
            transport="athenahealth API, form",
            finality=Finality.FILED,
            find=FindMethod.MATCH,
            retry=RetryClass.S4,
            not_carried=("/severity", "/stage", "/abatement", "/sensitivity"),
            length_caps=(("/note", settings.problem_note_cap),),
            transformations=(_COURSE,),
            source=_PROBLEMS,
            **bounds,
        ),
        Capability(
            kind="problem",
            interaction="update",
            transport="athenahealth API, form",
            finality=Finality.FILED,
            find=FindMethod.TARGET,
            retry=RetryClass.S3,
            not_carried=("/severity", "/stage", "/abatement", "/encounter", "/sensitivity"),
            length_caps=(("/note", settings.problem_note_cap),),
            transformations=(_COURSE,),
            source=_PROBLEMS,
            **bounds,
        ),
        Capability(
            kind="vitals",
            interaction="create",
            transport="athenahealth API, form with a JSON array",
            finality=Finality.FILED,
            find=FindMethod.MATCH,
            retry=RetryClass.S4,
            needs_encounter=True,
            needs_open_encounter=True,
            read_back_by_id=False,
            not_carried=(
                "/readings/*/site",
                "/readings/*/method",
                "/origin",
                "/note",
                "/sensitivity",
            ),
            source=_VITALS,
            **bounds,
        ),
        Capability(
            kind="task",
            interaction="create",
            transport="athenahealth API, form",
            finality=Finality.SENT_FOR_ACTION,
            find=FindMethod.SCAN,
            retry=RetryClass.S3 if settings.cases_listed_probed else RetryClass.S4,
            tag_places=("internalnote",),
            # The FHIR side has no cases: they are found again by their internal note.
            read_back_by_id=False,
            not_carried=("/about", "/encounter", "/sensitivity"),
            transformations=(_INTERNAL_NOTE,),
            source=_CASES,
            **bounds,
        ),
        *(
            Capability(
                kind="allergy",
                interaction=interaction,
                transport="athenahealth API, form with a JSON array",
                finality=Finality.FILED,
                find=FindMethod.KEY,
                retry=RetryClass.S3,
                # The answer names no entry.
                read_back_by_id=False,
                not_carried=(
                    "/type",
                    "/category",
                    "/reported_by",
                    "/last_seen",
                    "/reactions/*/onset",
                    "/sensitivity",
                ),
                length_caps=(("/note", settings.problem_note_cap),),
                source=_ALLERGIES,
                **bounds,
            )
            for interaction in ("create", "update")
        ),
        *(
            Capability(
                kind="medication",
                interaction=interaction,
                transport="athenahealth API, form",
                finality=Finality.FILED,
                find=FindMethod.MATCH if interaction == "create" else FindMethod.TARGET,
                retry=RetryClass.S4 if interaction == "create" else RetryClass.S3,
                # Written by form, read by FHIR: the search compares it in its own interface.
                read_back_by_id=False,
                not_carried=("/indication", "/taken", "/encounter", "/sensitivity"),
                length_caps=(("/note", settings.problem_note_cap),),
                source=_MEDICATIONS,
                **bounds,
            )
            for interaction in ("create", "update", "discontinue")
        ),
        Capability(
            kind="demographics",
            interaction="update",
            transport="athenahealth API, form",
            finality=Finality.FILED,
            find=FindMethod.TARGET,
            retry=RetryClass.S3,
            read_back_by_id=False,
            not_carried=("/language", "/contacts", "/sensitivity"),
            source="athenahealth API, Patient",
            **bounds,
        ),
        # The one thing that the FHIR side takes.
        Capability(
            kind="questionnaire",
            interaction="create",
            transport="FHIR R4 create",
            finality=Finality.FILED,
            find=FindMethod.MATCH,
            retry=RetryClass.S4,
            tag_places=("identifier",),
            source="athenahealth FHIR R4, CapabilityStatement",
            **(bounds | {"acknowledgement": Acknowledgement.ID_IN_LOCATION_OR_BODY}),
        ),
    )


_INTERNAL_NOTE = Transformation(
    "internalnote", "line_ends", "Line ends and blanks at line ends may differ."
)
_COURSE = Transformation(
    "status", "ignored", "athenaOne keeps beside a problem whether it is chronic or acute."
)


_ACTS = {
    "create": "add {}",
    "update": "change {}",
    "amend": "add an addendum to {}",
    "entered-in-error": "mark {} as entered in error",
    "discontinue": "end {}",
    "resolve": "resolve {}",
    "comment": "comment on {}",
}


def _by_hand(kind: str, interaction: str) -> Capability:
    label = kind_label(kind).lower()
    article = "" if label.endswith("s") else "an " if label[0] in "aeiou" else "a "
    named = f"{article}{label}"
    act = _ACTS.get(interaction, f"{interaction} {{}}").format(named)
    usual = f"The portal does not {act} in athenaOne. Type it there with the copy card."
    return Capability(
        kind=kind,
        interaction=interaction,
        supported=False,
        sentence=_SENTENCES.get((kind, interaction), usual),
        degrade=("copy_card",),
        source=_ENDPOINTS,
        source_date=DATE,
    )
