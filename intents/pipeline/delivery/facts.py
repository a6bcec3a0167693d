"""What the ledger's facts about a change say together. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from intents.pipeline.delivery.words import Phase


class Fact(NamedTuple):
    """One row of the ledger: which attempt, what about it, with what outcome, in which entry of the outbox."""

    attempt_id: Any
    phase: str
    outcome: str
    entry_id: Any


# The facts that end an attempt, one way or the other.
_ENDINGS = frozenset({Phase.ACKNOWLEDGED, Phase.REFUSED, Phase.NOT_SENT, Phase.UNKNOWN})
_HARMLESS = frozenset({Phase.NOT_SENT, Phase.REFUSED})
_SETTLED = frozenset({Phase.NOT_SENT, Phase.REFUSED, Phase.ABSENT})


def was_maybe_sent(facts: Iterable[Fact], *, present: Any) -> bool:
    """May some attempt other than the `present` one have reached the EHR, or this one for certain?"""
    facts = list(facts)
    harmless = {each.attempt_id for each in facts if each.phase in _HARMLESS}
    return any(
        (
            each.phase == Phase.SENT
            and each.attempt_id not in harmless
            and each.attempt_id != present
        )
        or each.phase in (Phase.UNKNOWN, Phase.ACKNOWLEDGED)
        or (each.phase == Phase.STRAY and each.outcome == "acknowledged")
        for each in facts
    )


def last_outcome(facts: Iterable[Fact], *, entry_id: Any) -> str:
    """How the last attempt of this entry of the outbox ended; "" when none has."""
    outcome = ""
    for each in facts:
        if each.phase in _ENDINGS and each.entry_id == entry_id:
            outcome = each.outcome
    return outcome


def unsettled(facts: Iterable[Fact]) -> list[Any]:
    """The attempts after which nothing may be sent: nobody knows that they wrote nothing."""
    begun: dict[Any, bool] = {}
    for each in facts:
        settles = each.phase in _SETTLED or (each.phase, each.outcome) == (
            Phase.ATTESTED,
            "absent",
        )
        if each.phase == Phase.SENT:
            begun.setdefault(each.attempt_id, False)
        if settles:
            begun[each.attempt_id] = True
    return [attempt for attempt, is_settled in begun.items() if not is_settled]
