"""When to look into the chart again, and when to leave an EHR alone. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_adapters.capabilities import Finality, FindMethod
from intents.lifecycle import State
from intents.pipeline.delivery.records import Delivery
from intents.pipeline.delivery.words import Phase

# What nobody has settled by then is told to its owner; `DISCREPANCY_ALARM` for a difference.
ALARMS: Mapping[State, tuple[str, timedelta]] = {
    State.UNCERTAIN: ("outcome-unknown", timedelta(minutes=15)),
    State.FAILED: ("not-sent", timedelta(hours=1)),
}
DISCREPANCY_ALARM = ("difference-open", timedelta(hours=24))

_SOONEST_LOOK = timedelta(seconds=5)
_UNCERTAIN_LOOK = timedelta(seconds=30)
_DAY = timedelta(days=1)


def next_look(
    delivery: Delivery,
    *,
    since: datetime,
    last_looked_at: datetime | None,
    at: datetime,
    staged_every: timedelta,
) -> datetime | None:
    """When the chart is next looked at for this change; None when looking can settle nothing.

    An unknown outcome: every half minute for two hours, then ever more rarely, at least hourly. An
    acknowledged one: at once, then at growing intervals, at least daily; one that waits in the EHR
    for someone there every `staged_every` (zero: whenever there is a sweep).
    """
    if delivery.state == State.UNCERTAIN and (
        delivery.partial or delivery.find in (FindMethod.NONE, FindMethod.MATCH)
    ):
        return None
    if delivery.state not in (State.UNCERTAIN, State.ACCEPTED):
        return None
    if since > at or last_looked_at is None or last_looked_at < since:
        return min(since, at)
    age = max(last_looked_at - since, timedelta())
    if delivery.state == State.UNCERTAIN:
        pause = _UNCERTAIN_LOOK if age < timedelta(hours=2) else min(age / 4, timedelta(hours=1))
    elif delivery.finality == Finality.STAGED:
        pause = staged_every
    else:
        pause = min(max(age / 2, _SOONEST_LOOK), _DAY)
    # A wall clock that was set back must not postpone looking for as long as it jumped.
    return at if last_looked_at > at else last_looked_at + pause


def is_not_taken_up(
    delivery: Delivery, *, since: datetime, patience: timedelta, at: datetime
) -> bool:
    """Acknowledged, still waiting in the EHR, and for longer than the connection's patience."""
    return (
        delivery.state == State.ACCEPTED
        and delivery.finality == Finality.STAGED
        and at >= since + patience
    )


BREAKER_AFTER = 5
_BREAKER_FIRST = timedelta(seconds=15)
_BREAKER_LONGEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt on a connection ended, as the breaker sees it."""

    phase: Phase
    outcome: str
    at: datetime


_SILENCE = frozenset(
    {
        "Unreachable",
        "RateLimited",
        "TokenUnavailable",
        "TimedOutAfterSend",
        "ConnectionLost",
        "ServerError",
        "LeaseLapsed",
    }
)


def breaker_opens_until(answers: Sequence[Answer]) -> datetime | None:
    """Until when a connection is left alone, from its answers, newest first; None when it is well.

    Open after five attempts in a row without a proper answer, for longer with each further one. Then
    one attempt is let through: it begins with a reading, so trying the EHR risks no write.
    """
    silent = 0
    for answer in answers:
        if answer.outcome not in _SILENCE:
            break
        silent += 1
    if silent < BREAKER_AFTER:
        return None
    doublings = min(silent - BREAKER_AFTER, 16)
    return answers[0].at + min(_BREAKER_FIRST * (1 << doublings), _BREAKER_LONGEST)
