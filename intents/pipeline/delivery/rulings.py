"""The table: what an error of the adapter means for the change. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from ehr_adapters.errors import (
    AdapterMisconfigured,
    AlreadyThere,
    ContentRefused,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    PatientMoved,
    Refused,
    Unsupported,
    VersionConflict,
)
from intents.lifecycle import State
from intents.pipeline.delivery.words import Phase


@dataclass(frozen=True, slots=True)
class Ruling:
    """What follows from one branch of the error tree once the request may have left.

    `to` None: what a search shows decides (`AlreadyThere`), and UNCERTAIN when nothing could be seen.
    """

    to: State | None
    phase: Phase
    reason: str
    search: bool = False


# The first class in an error's method resolution order that is listed here decides. What is not
# listed at all (a programming error, say) is not evidence of anything: UNCERTAIN.
RULINGS: Mapping[type[BaseException], Ruling] = {
    NotSent: Ruling(State.APPROVED, Phase.NOT_SENT, "not-sent"),
    ContentRefused: Ruling(State.REJECTED, Phase.REFUSED, "refused-content"),
    VersionConflict: Ruling(State.HELD, Phase.REFUSED, "version-conflict", search=True),
    PatientMoved: Ruling(State.HELD, Phase.REFUSED, "patient-moved"),
    NotPermitted: Ruling(State.FAILED, Phase.REFUSED, "not-permitted"),
    Unsupported: Ruling(State.FAILED, Phase.REFUSED, "unsupported"),
    Refused: Ruling(State.FAILED, Phase.REFUSED, "not-permitted"),
    AlreadyThere: Ruling(None, Phase.UNKNOWN, "outcome-unknown", search=True),
    OutcomeUnknown: Ruling(State.UNCERTAIN, Phase.UNKNOWN, "outcome-unknown"),
    AdapterMisconfigured: Ruling(State.FAILED, Phase.NOT_SENT, "misconfigured"),
}
_NO_EVIDENCE = Ruling(State.UNCERTAIN, Phase.UNKNOWN, "outcome-unknown")
# Before anything left, an error of a reading proves only that nothing was sent.
_BEFORE_SENDING: Mapping[type[BaseException], Ruling] = {
    PatientMoved: RULINGS[PatientMoved],
    NotPermitted: Ruling(State.FAILED, Phase.NOT_SENT, "not-permitted"),
    Unsupported: Ruling(State.FAILED, Phase.NOT_SENT, "unsupported"),
    AdapterMisconfigured: RULINGS[AdapterMisconfigured],
}


def ruling(error: type[BaseException], *, on_wire: bool) -> Ruling:
    """What `error` means, by whether a request of this attempt may already have left."""
    table, default = (RULINGS, _NO_EVIDENCE) if on_wire else (_BEFORE_SENDING, RULINGS[NotSent])
    for ancestor in error.__mro__:
        if ancestor in table:
            return table[ancestor]
    return default
