"""The words of delivery: ledger phases, what was seen, kinds of difference, and reasons. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class Phase(StrEnum):
    """The phases of the write ledger."""

    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    REFUSED = "REFUSED"
    NOT_SENT = "NOT_SENT"
    UNKNOWN = "UNKNOWN"
    FOUND = "FOUND"
    ABSENT = "ABSENT"
    STRAY = "STRAY"
    READ_BACK = "READ_BACK"
    ATTESTED = "ATTESTED"


class Seen(StrEnum):
    """What looking into the chart showed; the members are those of `matching.Verdict`."""

    OURS_EQUAL = "ours-equal"
    OURS_DIFFERENT = "ours-different"
    COLLEAGUE_EQUAL = "colleague-equal"
    COLLEAGUE_DIFFERENT = "colleague-different"
    NONE = "none"
    AMBIGUOUS = "ambiguous"
    COULD_NOT_LOOK = "could-not-look"


class Difference(StrEnum):
    """The kinds of discrepancy, as stored."""

    DROPPED = "dropped"
    ALTERED = "altered"
    DIFFERENT = "different"
    HUMAN_EDITED = "human-edited"
    DUPLICATE = "duplicate"
    MISSING = "missing"
    PARTIAL = "partial"
    LATE = "late"


# Why a change is where it is: the code is stored, the sentence is shown. None has clinical content.
REASONS: Mapping[str, str] = {
    "acknowledged": "The EHR acknowledged it.",
    "found-ours": "The chart holds it; it was found by its own mark.",
    "found-equal": "The chart holds an entry equal to it.",
    "already-in-chart": "The chart already holds an equal entry of somebody else's. Nothing was written.",
    "refused-content": "The EHR refused the content. Nothing was written.",
    "version-conflict": "Somebody else changed the entry in the EHR. Nothing was written.",
    "patient-moved": "The patient's record is now part of another record. Nothing was written.",
    "patient-changed": "The patient's record changed since the approval. Nothing was written.",
    "encounter-changed": "The visit changed since the approval. Nothing was written.",
    "target-changed": "The entry changed in the EHR since the approval. Nothing was written.",
    "neighbourhood-changed": "The EHR now holds a similar entry. Nothing was written.",
    "beside-changed": "Allergies or medicines in the EHR changed since the approval. Nothing was written.",
    "different-entry": "The EHR holds this entry with other content. Nothing was sent.",
    "several-entries": "The EHR holds more than one entry that could be this one. Nothing was sent.",
    "reported-change-failed": "A change that this one reports or needs was not written. Nothing was sent.",
    "evidence-broken": "What is stored is not what was approved. Nothing was sent; an incident is recorded.",
    "connection-changed": "The connection was set up differently after the approval. Nothing was sent.",
    "approver-suspended": "The person who approved it may no longer decide. Nothing was sent.",
    "agent-suspended": "The agent that drafted it was suspended. Nothing was sent.",
    "consent-withdrawn": "The patient no longer agrees to this use of the record. Nothing was sent.",
    "consent-ended": "The patient's permission for this use of the record has ended. Nothing was sent.",
    "rules-tightened": "The rules no longer allow it. Nothing was sent.",
    "stage-shadow": "The connection is in shadow: all is done but the sending. Nothing was sent.",
    "stage-test-patients": "The connection writes to its test patients only. Nothing was sent.",
    "stage-canary": "The connection writes a first small share only, and this is not in it. Nothing was sent.",
    "database-restored": "The database was restored, so it is not known whether this was sent before.",
    "not-permitted": "The EHR does not permit the portal to write this. Nothing was written.",
    "unsupported": "This cannot be written to this EHR. Nothing was sent.",
    "misconfigured": "The connection is not set up correctly. Nothing was sent.",
    "attempts-exhausted": "The EHR could not be reached in many attempts. Nothing was written.",
    "not-sent": "Nothing reached the EHR. It is sent again by itself.",
    "could-not-look": "The EHR could not be searched, so nothing was sent. It is tried again.",
    "switched-off": "Writing was stopped just before sending. Nothing was sent.",
    "approval-lapsed": "The approval ran out just before sending. Nothing was sent.",
    "outcome-unknown": "It is not known whether the EHR wrote it. The portal looks before it sends again.",
    "attempt-lost": "The sending was interrupted. The portal looks before it sends again.",
    "half-sent": "Only a part of it is known to have been written. A person has to look.",
    "absent-resend": "It is not in the chart, by a search that would have shown it. It is sent again.",
    "absent-lapsed": "It is not in the chart, and the approval has run out. Nothing more is sent.",
    "attested-there": "A person found it in the EHR.",
    "attested-absent": "A person made sure that it is not in the EHR.",
    "read-back-equal": "It was read back and is what was approved.",
    "attested-equal": "A person compared the EHR with what was approved.",
    "difference-settled": "The difference was settled by a person.",
    "given-up": "A person gave it up. Nothing more is sent.",
    "retried": "The cause was removed; it is sent again under the same approval.",
}


def reason(code: str) -> str:
    """The text kept with a change of state: the code, then its sentence."""
    return f"{code}: {REASONS[code]}"
