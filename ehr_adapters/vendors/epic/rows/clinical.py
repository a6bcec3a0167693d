"""Problems and allergies wait in Epic's holding tank for somebody to accept them, vital signs go into a
flowsheet of the open visit; what is in the chart is changed by hand."""

from typing import Any

from ehr_adapters.canonical.note import REFERENCE_LINE
from ehr_adapters.capabilities import Capability, Finality, FindMethod, RetryClass, Transformation
from ehr_adapters.vendors.epic.rows.acts import bounds, by_hand

COMMENT_LENGTH = 450
_PROBLEMS = "Epic Condition.Create (Problems), specification 949"
VITALS_NOTE_LENGTH = 254
_VITALS = "Epic Observation.Create (Vitals), specification 963"
_RESULTS = "Epic CapabilityStatement, FHIR R4, May 2026: no create of laboratory results"
_ALLERGIES = "Epic AllergyIntolerance.Create, specification 945"

PLACES = {
    "allergy": "Allergies activity, Add",
    "allergy update": "Allergies activity: open the allergy, Edit",
    "allergy resolve": "Allergies activity: open the allergy, Delete with the reason “No longer allergic”",
    "allergy entered-in-error": "Allergies activity: open the allergy, Delete with the reason “Error”",
    "problem": "Problem List activity, Add",
    "problem update": "Problem List activity: open the problem, Change",
    "problem resolve": "Problem List activity: open the problem, Resolve",
    "problem entered-in-error": "Problem List activity: open the problem, Delete with the reason “Error”",
    "result": "Enter/Edit Results activity, or the scanned outside document",
    "result comment": "Results Review: open the result, Add Comment",
    "vitals": "Flowsheets activity of the visit: the row of the value, at its time",
    "vitals update": "Flowsheets activity: the row of the value, at its time, Correct",
    "vitals entered-in-error": "Flowsheets activity: the row of the value, at its time, Clear with the reason “Error”",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of problems, allergies, vital signs and results."""
    return (
        Capability(
            kind="problem",
            interaction="create",
            finality=Finality.STAGED,
            find=FindMethod.NONE,
            retry=RetryClass.S4,
            tag_places=("note",),
            read_back_by_id=False,
            not_carried=(
                "/side",
                "/severity",
                "/stage",
                "/abatement",
                "/encounter",
                "/sensitivity",
            ),
            length_caps=(("/note", COMMENT_LENGTH - len(REFERENCE_LINE) - 16),),
            server_owned=("identifier", "recordedDate", "recorder", "asserter"),
            transformations=(Transformation("code", "display", "Epic writes the coding's words."),),
            source=_PROBLEMS,
            **bounds(settings),
        ),
        *(
            by_hand("problem", interaction, what, source=_PROBLEMS)
            for interaction, what in (
                ("update", "change a problem"),
                ("resolve", "resolve a problem"),
                ("entered-in-error", "mark a problem as entered in error"),
            )
        ),
        # Two equal ones in the holding tank are not noticed there; an accepted one keeps the id of the answer.
        Capability(
            kind="allergy",
            interaction="create",
            finality=Finality.STAGED,
            find=FindMethod.NONE,
            retry=RetryClass.S4,
            tag_places=("identifier",),
            not_carried=("/reported_by", "/sensitivity"),
            server_owned=("identifier", "category", "recordedDate", "recorder", "asserter"),
            transformations=(
                Transformation("code", "display", "Epic writes the coding's words."),
                Transformation(
                    "reaction.manifestation", "display", "Epic writes the coding's words."
                ),
            ),
            source=_ALLERGIES,
            **bounds(settings),
        ),
        *(
            by_hand("allergy", interaction, what, source=_ALLERGIES)
            for interaction, what in (
                ("update", "change an allergy"),
                ("resolve", "resolve an allergy"),
                ("entered-in-error", "mark an allergy as entered in error"),
            )
        ),
        # A second value for the same row and time is refused (59189): that is how a lost one is found again.
        Capability(
            kind="vitals",
            interaction="create",
            finality=Finality.FILED,
            find=FindMethod.KEY,
            retry=RetryClass.S3,
            tag_places=("note",),
            needs_encounter=True,
            needs_open_encounter=True,
            not_carried=("/origin", "/readings/*/site", "/readings/*/method", "/sensitivity"),
            length_caps=(("/note", VITALS_NOTE_LENGTH - len(REFERENCE_LINE) - 16),),
            server_owned=("identifier", "issued", "performer", "device", "category"),
            transformations=(
                *(
                    Transformation(
                        path,
                        "flowsheet",
                        "Epic keeps heights in cm, weights in kg and temperatures in °C, rounded.",
                    )
                    for path in ("valueQuantity", "component.valueQuantity")
                ),
                *(
                    Transformation(path, "display", "Epic writes the coding's words.")
                    for path in ("code", "component.code")
                ),
            ),
            source=_VITALS,
            **bounds(settings),
        ),
        *(
            by_hand("vitals", interaction, what, source=_VITALS)
            for interaction, what in (
                ("update", "correct a vital sign"),
                ("entered-in-error", "mark a vital sign as entered in error"),
            )
        ),
        by_hand("result", "create", "enter an outside result", source=_RESULTS),
        by_hand("result", "comment", "comment on a result", source=_RESULTS),
    )
