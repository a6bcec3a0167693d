"""What eClinicalWorks' numbers mean: the branch, a sentence for a clinician, the next step.

Error Code Reference Guide 1.0. The interface for HL7 v2 notes uses 301 to 308 for something else. For what
the guide calls transient it advises one retry; none is made here, because nothing shows that the first try
left the chart as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    ServerError,
)

SUCCESS = "1"

_CORRECT = "Correct the draft; the refused one is kept."
_ADMINISTRATOR = "Ask the eClinicalWorks administrator; the draft is kept."
_LOOK = "Look in eClinicalWorks, App Data included, before anything is sent again."


@dataclass(frozen=True, slots=True)
class EcwCode:
    """What one number means."""

    branch: type[AdapterError]
    sentence: str
    next_step: str = _CORRECT


def _content(words: str) -> EcwCode:
    return EcwCode(ContentRefused, f"eClinicalWorks {words}. Nothing was written.")


def _set_up(words: str) -> EcwCode:
    return EcwCode(NotPermitted, f"eClinicalWorks {words}. Nothing was written.", _ADMINISTRATOR)


_FAULT = EcwCode(
    ServerError,
    "eClinicalWorks had a fault of its own. It is not known whether it wrote the change.",
    _LOOK,
)
_NO_REASON = EcwCode(
    ServerError,
    "eClinicalWorks reports a failure without a reason. It is not known whether it wrote the change.",
    _LOOK,
)
_LOCKED = EcwCode(
    ContentRefused,
    "The visit is locked in eClinicalWorks. Nothing was written.",
    "Unlock the visit in eClinicalWorks, or write an addendum there.",
)

ECW_CODES: Mapping[str, EcwCode] = {
    "2": _NO_REASON,
    "100": _content("does not know the patient"),
    "101": _content("does not know the clinician"),
    "102": _content("does not take codes of this system"),
    "103": _FAULT,
    "104": _FAULT,
    "105": _content("does not take this kind of entry in an assessment"),
    "106": _content("does not take this status of a visit"),
    "107": _content("does not know the place, or it is not active there"),
    "108": _content("does not take a character in the text"),
    "109": _content("does not take a text of this length"),
    "110": _content("does not take this status"),
    "111": _content("does not take this priority"),
    "112": _FAULT,
    "113": _content("does not take this type of document"),
    "114": _content("does not take this form of document"),
    "115": _FAULT,
    "116": _content("does not take this period"),
    "117": _content("does not take this sex"),
    "118": _content("does not take this name"),
    "119": _content("does not take this birth date"),
    "120": _content("misses a code or its system"),
    "121": _content("does not take this intent"),
    "122": _content("does not take this category"),
    "123": _content("does not know the visit, or it belongs to another patient"),
    "124": _content("misses where the information comes from"),
    "132": _content("misses a part of the patient's record"),
    "138": _content("does not take this for a visit of this type"),
    "139": _LOCKED,
    "141": _content("does not understand a code"),
    "142": _content("does not take this date of writing"),
    "143": _content("misses the words of an entry"),
    "151": _content("does not understand an extension"),
    "152": _content("does not take the value of an extension"),
    "161": _content("misses the text of the message"),
    "164": _content("finds another patient in the visit"),
    "165": _content("does not know the entry"),
    "166": _FAULT,
    "168": _FAULT,
    "201": EcwCode(
        ContentRefused,
        "eClinicalWorks finds several patients who could be meant. Nothing was written.",
        "Find the patient in eClinicalWorks and draft again.",
    ),
    "202": EcwCode(
        AlreadyThere,
        "eClinicalWorks says that it already holds this patient.",
        "Find the patient in eClinicalWorks; the record is changed there, not made again.",
    ),
    "203": _content("does not take this kind of value"),
    "204": _content("does not take this form of a date"),
    "207": EcwCode(
        ContentRefused,
        "eClinicalWorks does not find the patient. Nothing was written.",
        "Check in eClinicalWorks whether the record was merged, and draft again.",
    ),
    "301": _content("misses a section of the form"),
    "302": _content("misses a question of the form"),
    "303": _content("does not take the form in this shape"),
    "304": _content("has none of the questions"),
    "305": _content("has no valid question in the form"),
    "306": _FAULT,
    "307": _content("does not take a value of the form"),
    "308": _set_up("has no user set up under whom the portal's entries are filed"),
    "600": _content("does not take this reason"),
    "601": _content("does not know who answered the call"),
    "602": _FAULT,
    "605": _content("misses an identifier"),
    "607": _content("misses a code"),
    "608": _content("finds that the entry belongs to another patient"),
    "610": _FAULT,
    "611": _content("does not take this unit for the value"),
    "612": _content("does not take this value"),
    "613": _content("does not take this measurement"),
    "614": _content("does not take a character in the draft"),
    "615": _content("does not change referrals from outside"),
    "616": _content("misses the reason for the order"),
    "617": _content("misses the dates of the referral"),
    "618": _content("finds that the reason belongs to another patient"),
    "620": _content("does not take this type of referral"),
    "621": _content("does not know the diagnosis that the order is for"),
    "2024": _content("needs an RxNorm code of the drug"),
    "2025": _FAULT,
    "2026": _content("misses whether the drug is to be reconciled or ordered"),
    "2027": _content("finds two codes that do not belong to the same drug"),
}
# The interface for HL7 v2 notes.
NOTE_CODES: Mapping[str, EcwCode] = {
    **ECW_CODES,
    "301": _content("does not find the head of the note's message"),
    "302": _FAULT,
    "303": _content("finds that the visit belongs to another patient"),
    "304": _content("does not know the visit"),
    "305": _FAULT,
    "306": _content("does not find the sender PROG in the note's message"),
    "307": _content("does not find a section in the note's message"),
    "308": _set_up("could not set up its interface for notes"),
}


def meaning_of(number: str, *, note: bool) -> EcwCode | None:
    """What a number means for a note or for anything else; None for a number that the guide does not list."""
    return (NOTE_CODES if note else ECW_CODES).get(number)
