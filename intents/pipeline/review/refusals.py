"""Why a decision was not taken. Each refusal is a plain sentence for the person who tried."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from ehr_adapters.canonical.base import ChangeIssue
from intents.pipeline import outbox
from intents.pipeline.presentation import Check

# Why a person turned a change down: the code is stored and told to the agent, the words are shown.
REASON_CODES: Mapping[str, str] = {
    "wrong-patient": "Wrong patient or visit",
    "clinically-wrong": "Clinically wrong",
    "not-in-source": "Not in the source",
    "already-in-chart": "Already in the chart",
    "done-in-ehr": "Already done by me in the EHR",
    "not-wanted": "Not wanted in the chart",
}


class ReviewRefused(Exception):
    """The decision was not taken and nothing was changed, except where a subclass says so."""

    code = "review-refused"
    sentence = "Nothing was decided."

    def __init__(self, sentence: str = "") -> None:
        self.sentence = sentence or type(self).sentence
        super().__init__(self.sentence)


class NotAllowed(ReviewRefused):
    """This person may not decide about this change."""

    code = "not-allowed"
    sentence = "You may not decide about this change."


class AlreadyClaimed(ReviewRefused):
    """Another reviewer is deciding about this draft at this moment."""

    code = "already-claimed"
    sentence = "Somebody else is deciding about this draft at the moment."


class NotPending(ReviewRefused):
    """The change does not wait for this decision any more."""

    code = "not-pending"
    sentence = "This draft does not wait for a decision any more."


class PageOutOfDate(ReviewRefused):
    """What the page showed is not what is stored now: look again, then decide."""

    code = "page-out-of-date"
    sentence = "The draft or the chart changed while the page was open. Look again."


class SignInAgain(ReviewRefused):
    """The person signed in too long ago for a decision of this risk."""

    code = "sign-in-again"

    def __init__(self, limit: timedelta) -> None:
        minutes = int(limit.total_seconds() // 60)
        super().__init__(
            f"Your last sign-in is over {minutes} minutes old, and this decision needs a newer one. "
            "Sign in again; your checks are kept."
        )


class ChecksOpen(ReviewRefused):
    """Some checks of the page are not answered."""

    code = "checks-open"

    def __init__(self, checks: Sequence[Check]) -> None:
        self.checks = tuple(checks)
        left = len(self.checks)
        super().__init__(
            f"{left} {'check is' if left == 1 else 'checks are'} left. Next: {self.checks[0].need}."
        )


class ConflictFound(ReviewRefused):
    """The chart moved in what the draft touches: the changes are on hold now, nothing was written."""

    code = "conflict-found"
    sentence = "The chart changed since this was drafted. Nothing has been written."

    def __init__(self, intent_ids: Sequence[UUID]) -> None:
        self.intent_ids = tuple(intent_ids)
        super().__init__()


class ChartUnreadable(ReviewRefused):
    """The EHR did not answer, so nobody knows whether the chart is still as shown."""

    code = "chart-unreadable"
    sentence = "The EHR is not answering, so the chart could not be compared. Try again."


class TargetBusy(ReviewRefused):
    """Another change to the same entry is in flight."""

    code = "target-busy"
    sentence = outbox.TargetBusy.sentence


class TooFast(ReviewRefused):
    """The decision came within a second of opening the page: a program, not a person."""

    code = "too-fast"
    sentence = "This was decided faster than anybody can read. Look at it, then decide."


class RulesTightened(ReviewRefused):
    """The rules or the patient's consent no longer allow it: the change is on hold now."""

    code = "rules-tightened"
    sentence = "The rules or the patient's consent no longer allow this. It is on hold now."


class TooLateToUndo(ReviewRefused):
    """Sending has begun, or the time for undoing is over."""

    code = "too-late-to-undo"
    sentence = "It is too late to undo: sending has begun."


class ReasonNeeded(ReviewRefused):
    """Turning a change down needs one of the reasons."""

    code = "reason-needed"
    sentence = "Choose why. One reason is enough."


class ContentInvalid(ReviewRefused):
    """The edited content cannot be said to a chart; `issues` name the places."""

    code = "content-invalid"

    def __init__(self, issues: Sequence[ChangeIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__(self.issues[0].sentence if self.issues else "This cannot be saved.")


class AllOrNothing(ReviewRefused):
    """The set is decided as a whole, and not all of it waits for a decision."""

    code = "all-or-nothing"
    sentence = "These changes belong together: all are decided at once, or none."


class NotApprovable(ReviewRefused):
    """A change of the set cannot be shown, or cannot be written, as it is."""

    code = "not-approvable"
    sentence = "This draft cannot be approved as it is."


class DependsOnDropped(ReviewRefused):
    """A change rests on another one that will not be written."""

    code = "depends-on-dropped"
    sentence = (
        "A change depends on another one that was turned down. Turn it down as well, or edit it."
    )
