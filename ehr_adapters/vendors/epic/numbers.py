"""Epic's own numbers in `issue.details.coding`: which branch each is, and what a clinician is told."""

from collections.abc import Mapping
from dataclasses import dataclass

from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    RateLimited,
    ServerError,
)


@dataclass(frozen=True, slots=True)
class EpicCode:
    """What one of Epic's numbers means: the branch, a sentence for a clinician, the next step."""

    branch: type[AdapterError]
    sentence: str
    next_step: str


_CORRECT = "Correct the draft; the refused one is kept."
_ADMINISTRATOR = "Ask the Epic administrator; the draft is kept."

EPIC_CODES: Mapping[str, EpicCode] = {
    "4100": EpicCode(
        ContentRefused, "Epic does not know something that the draft refers to.", _CORRECT
    ),
    "4102": EpicCode(ContentRefused, "Epic did not accept something in the draft.", _CORRECT),
    "4103": EpicCode(ContentRefused, "What the draft refers to was deleted in Epic.", _CORRECT),
    "4107": EpicCode(
        PatientMoved,
        "In Epic this patient's record is now part of another record. Nothing was written.",
        "Find the patient's current record and draft again.",
    ),
    "4118": EpicCode(
        NotPermitted, "The portal is not authorised for this in Epic.", _ADMINISTRATOR
    ),
    "4130": EpicCode(
        NotPermitted,
        "Epic protects this record (break the glass). Nothing was written.",
        "Open the record in Epic yourself.",
    ),
    "4131": EpicCode(
        NotPermitted,
        "Epic protects this record (break the glass). Nothing was written.",
        "Open the record in Epic yourself.",
    ),
    "4134": EpicCode(
        NotPermitted,
        "Epic protects this record (break the glass). Nothing was written.",
        "Open the record in Epic yourself.",
    ),
    "4135": EpicCode(
        RateLimited,
        "Epic takes no more documents for this patient today.",
        "It is tried again tomorrow.",
    ),
    "40000": EpicCode(
        NotPermitted,
        "This Epic installation has not mapped the code yet. Nothing was written.",
        _ADMINISTRATOR,
    ),
    "59012": EpicCode(
        ContentRefused,
        "Epic takes a problem from outside only as provisional.",
        "Set the certainty to provisional.",
    ),
    "59101": EpicCode(ContentRefused, "Epic could not use a part of the draft.", _CORRECT),
    "59102": EpicCode(ContentRefused, "Epic could not use a part of the draft.", _CORRECT),
    "59105": EpicCode(ContentRefused, "Epic could not read the draft.", _CORRECT),
    "59108": EpicCode(ContentRefused, "Epic misses something that it requires.", _CORRECT),
    "59111": EpicCode(ContentRefused, "Epic does not accept a value in the draft.", _CORRECT),
    "59141": EpicCode(
        AlreadyThere, "Epic says that it already holds this.", "The chart is searched for it."
    ),
    "59144": EpicCode(
        ContentRefused, "Epic does not find something that the draft refers to.", _CORRECT
    ),
    "59159": EpicCode(
        ContentRefused, "A rule of this Epic installation forbids the draft.", _CORRECT
    ),
    "59177": EpicCode(
        ServerError,
        "Epic had an internal fault. It is not known whether it wrote the change.",
        "The chart is searched for it.",
    ),
    "59187": EpicCode(
        NotPermitted, "This Epic installation has no place for these values.", _ADMINISTRATOR
    ),
    "59188": EpicCode(
        NotPermitted, "This Epic installation has no row for this value.", _ADMINISTRATOR
    ),
    "59189": EpicCode(ContentRefused, "Epic did not file the value.", _CORRECT),
}
# Numbers that stand beside a success or a plain search and say nothing of a refusal.
INFORMATIONAL = {"4101", "59100", "59109"}
