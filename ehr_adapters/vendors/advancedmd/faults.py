"""What AdvancedMD's faults mean: the branch, a sentence for a clinician, the next step.

Source: integrators' notes on the AdvancedMD Connect API; two numbers are reported, and no list is public.
A practice that learns another one maps it in its settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    PatientMoved,
    RateLimited,
    ServerError,
    TokenRejected,
)

EXPIRED, ELSEWHERE = "1025", "1028"


@dataclass(frozen=True, slots=True)
class Meaning:
    branch: type[AdapterError]
    sentence: str
    next_step: str = ""


_CORRECT = "Correct the draft; the refused one is kept."

AMD_FAULTS: Mapping[str, Meaning] = {
    EXPIRED: Meaning(
        TokenRejected, "The portal's session with AdvancedMD has ended. Nothing was written."
    ),
    ELSEWHERE: Meaning(
        TokenRejected, "The practice has moved to another AdvancedMD server. Nothing was written."
    ),
}

# The words by which a connection's settings say what a further number means.
MEANINGS: Mapping[str, Meaning] = {
    "refused": Meaning(ContentRefused, "AdvancedMD did not accept the draft.", _CORRECT),
    "locked": Meaning(
        ContentRefused,
        "The chart or the note is locked in AdvancedMD. Nothing was written.",
        "Unlock it in AdvancedMD, or type it there.",
    ),
    "not-permitted": Meaning(
        NotPermitted,
        "AdvancedMD does not permit the portal to do this. Nothing was written.",
        "Ask AdvancedMD's administrator to check the portal's user and its privileges.",
    ),
    "patient-moved": Meaning(
        PatientMoved,
        "In AdvancedMD this patient's record is now part of another record. Nothing was written.",
        "Find the patient's current record and draft again.",
    ),
    "already-there": Meaning(
        AlreadyThere,
        "AdvancedMD says that it already holds this.",
        "The chart is searched for it.",
    ),
    "slow-down": Meaning(RateLimited, "AdvancedMD asked to slow down."),
    "unknown": Meaning(
        ServerError,
        "AdvancedMD had a fault of its own. It is not known whether it wrote the change.",
        "The chart is searched for it.",
    ),
}


def error_of(number: str, *, meanings: Mapping[str, str], facts: Mapping[str, Any]) -> AdapterError:
    """The branch of one fault. A number that nobody has mapped is a refusal, as every fault is said to be."""
    meaning = AMD_FAULTS.get(number) or MEANINGS[meanings.get(number, "refused")]
    sentence = meaning.sentence
    if meaning is MEANINGS["refused"]:
        sentence = f"AdvancedMD refused the change (fault {number}). Nothing was written."
    return meaning.branch(sentence, next_step=meaning.next_step, **facts)
