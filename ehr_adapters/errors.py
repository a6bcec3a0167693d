"""The error tree of every adapter, sorted by what is known about the chart.

The class says what the caller may do next; nothing else decides it. No error carries a payload: the
text that an EHR sent along is kept apart in `vendor_text`, outside `str()`, `repr()` and `args`, for a
caller that stores it encrypted.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One point of a refusal: codes and a place, never a value.

    `pointer` is an RFC 6901 pointer into the canonical change, or a FHIR element path; `sentence` is ours.
    """

    code: str
    pointer: str = ""
    sentence: str = ""
    severity: str = "error"

    def to_json(self) -> dict[str, str]:
        return {
            "code": self.code,
            "pointer": self.pointer,
            "sentence": self.sentence,
            "severity": self.severity,
        }


class AdapterError(Exception):
    """Something was asked of an EHR and did not come about.

    `sentence` is for a clinician; `next_step` says what can be done now. `known` names the branch:
    "not sent", "refused", "already there" or "unknown".
    """

    known = "unknown"
    default_sentence = "The EHR could not be asked."
    default_next_step = ""

    def __init__(
        self,
        sentence: str = "",
        *,
        connection_kind: str = "",
        interaction: str = "",
        status: int | None = None,
        vendor_code: str = "",
        issues: Sequence[Issue] = (),
        next_step: str = "",
        retry_after: float | None = None,
        reference: str = "",
        reply_sha256: str = "",
        vendor_text: str = "",
    ) -> None:
        self.sentence = sentence or self.default_sentence
        super().__init__(self.sentence)
        self.connection_kind = connection_kind
        self.interaction = interaction
        self.status = status
        self.vendor_code = vendor_code
        self.issues = tuple(issues)
        self.next_step = next_step or self.default_next_step
        self.retry_after = retry_after
        self.reference = reference
        self.reply_sha256 = reply_sha256
        self.vendor_text = vendor_text

    @property
    def name(self) -> str:
        """The failed wish, as stored in the ledger: "VersionConflict"."""
        return type(self).__name__

    def facts(self) -> dict[str, object]:
        """What may be stored in the open: codes, numbers, hashes; no clinical content."""
        return {
            "error": self.name,
            "known": self.known,
            "connection_kind": self.connection_kind,
            "interaction": self.interaction,
            "status": self.status,
            "vendor_code": self.vendor_code,
            "issues": [issue.to_json() for issue in self.issues],
            "retry_after": self.retry_after,
            "reference": self.reference,
            "reply_sha256": self.reply_sha256,
        }

    def __repr__(self) -> str:
        return f"{self.name}(status={self.status}, vendor_code={self.vendor_code!r})"


class NotSent(AdapterError):
    """The chart is unchanged; the same request may be sent again."""

    known = "not sent"
    default_sentence = "Nothing was sent to the EHR."
    default_next_step = "It is tried again by itself."


class Unreachable(NotSent):
    """No connection (DNS, TCP, TLS) before the body left; for a read, no usable answer at all."""

    default_sentence = "The EHR could not be reached."


class RateLimited(NotSent):
    """429: asked too often; `retry_after` in seconds when the EHR said so."""

    default_sentence = "The EHR asked to slow down."


class TokenUnavailable(NotSent):
    """The identity provider gave no token, whatever its reason (its 5xx too)."""

    default_sentence = "The EHR's sign-in service gave no token."


class TokenRejected(NotSent):
    """401: try once with a fresh token; a second 401 is `NotPermitted`."""

    default_sentence = "The EHR did not accept the token."


class Refused(AdapterError):
    """The chart is unchanged; the same request will be refused again."""

    known = "refused"
    default_sentence = "The EHR refused the change. Nothing was written."


class ContentRefused(Refused):
    """400 or 422: profile, terminology or business rule."""

    default_next_step = "Correct the draft; the refused one is kept."


class VersionConflict(Refused):
    """Someone else changed the entry since it was read (412; 409 only where proven)."""

    default_sentence = "The entry was changed in the EHR since it was read. Nothing was written."
    default_next_step = "Look at the current entry and decide again."


class NotPermitted(Refused):
    """403, a second 401 or a missing scope: registration, not content."""

    default_sentence = "The EHR does not permit the portal to do this. Nothing was written."
    default_next_step = "Ask the EHR's administrator to check the portal's registration."


class PatientMoved(Refused):
    """The patient's record was merged or replaced: resolve again, never redirect."""

    default_sentence = "The patient's record is now part of another record. Nothing was written."
    default_next_step = "Find the patient's current record and draft again."


class Unsupported(Refused):
    """Raised locally, before the network: this EHR has no safe way to be told this."""

    default_sentence = "This cannot be written to this EHR."
    default_next_step = "Type it in the EHR with the copy card."


class CannotBeCarried(Unsupported):
    """This content does not fit the destination (length, characters, missing parts); `issues` say where."""

    default_sentence = "This draft does not fit what the EHR can hold."
    default_next_step = "Shorten or correct the draft."


class AlreadyThere(AdapterError):
    """The chart may hold this, from us or from a colleague: run `find`, never resend."""

    known = "already there"
    default_sentence = "The EHR says that it already holds this."
    default_next_step = "The chart is searched for it."


class OutcomeUnknown(AdapterError):
    """The chart may have changed: ask, do not resend."""

    known = "unknown"
    default_sentence = "It is not known whether the EHR wrote the change."
    default_next_step = "The chart is searched for it."


class TimedOutAfterSend(OutcomeUnknown):
    default_sentence = (
        "The EHR did not answer in time. It is not known whether it wrote the change."
    )


class ConnectionLost(OutcomeUnknown):
    default_sentence = (
        "The connection broke before the answer. It is not known whether the EHR wrote the change."
    )


class ServerError(OutcomeUnknown):
    """5xx, also with Retry-After: no EHR is known to answer it before processing."""

    default_sentence = (
        "The EHR answered with a fault of its own. It is not known whether it wrote the change."
    )


class UnreadableReply(OutcomeUnknown):
    """An answer that is no evidence: empty where an id is needed, truncated, no JSON, an error inside a 200."""

    default_sentence = (
        "The EHR's answer could not be read. It is not known whether it wrote the change."
    )


class Redirected(OutcomeUnknown):
    """A 3xx in answer to a write. Never followed: the body and the token stay where they were meant for."""

    default_sentence = "The EHR pointed elsewhere instead of answering. It is not known whether it wrote the change."


class AdapterMisconfigured(Exception):
    """The connection's own settings are wrong. Not an `AdapterError`: no retry may swallow it."""
