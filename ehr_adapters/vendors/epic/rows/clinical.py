"""Problems and allergies go into Epic's holding tank, where somebody accepts them; what is in the chart is changed by hand."""

from typing import Any

from ehr_adapters.canonical.note import REFERENCE_LINE
from ehr_adapters.capabilities import Capability, Finality, FindMethod, RetryClass, Transformation
from ehr_adapters.vendors.epic.rows.acts import bounds, by_hand

COMMENT_LENGTH = 450
_PROBLEMS = "Epic Condition.Create (Problems), specification 949"
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
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of problems and allergies."""
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
    )
