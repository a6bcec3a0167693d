"""Whose an entry is, until when, and what is asked just before the socket. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_adapters.capabilities import FindMethod, RetryClass
from intents.lifecycle import State

# Longer than every deadline of one attempt together; a worker that needs longer has lost its row.
LEASE = timedelta(seconds=120)


def is_lapsed(lease_until: datetime | None, *, at: datetime) -> bool:
    """Nobody holds a valid lease. One that ends later than a lease can was given by a clock that has
    been set back since, and is void."""
    return lease_until is None or not at < lease_until <= at + LEASE


def ticks_of(seconds: float, *, shortest: float) -> int:
    """So many seconds in ticks of which the shortest lasts `shortest` seconds, rounded up, and one for
    the tick in progress."""
    # Whole millionths, so that 0.9 of a period is not a hair less than it says.
    return math.ceil(round(seconds * 1_000_000) / round(shortest * 1_000_000)) + 1


def last_look(
    *,
    state: State,
    mine: bool,
    is_switched_off: bool,
    approval_expires_at: datetime | None,
    at: datetime,
) -> str:
    """What stands in the way of sending at this moment, or "": asked after the token was fetched.

    "lost": the row belongs to somebody else, so this attempt has nothing more to say. The others stop
    the attempt for now: nothing was sent.
    """
    if state != State.SUBMITTED or not mine:
        return "lost"
    if is_switched_off:
        return "switched-off"
    if approval_expires_at is None or at >= approval_expires_at:
        return "approval-lapsed"
    return ""


@dataclass(frozen=True, slots=True)
class TokenLife:
    """What is known of a token: when it ends by the wall clock, and how long it had when it was fetched."""

    expires_at: datetime
    lifetime_seconds: float


def longest_life(tokens: Iterable[TokenLife], *, at: datetime) -> float:
    """How long an attempt may still be able to send, in seconds.

    The larger of two accounts: a wall clock that jumped since the token was fetched must not shorten it.
    """
    return max(
        (max((one.expires_at - at).total_seconds(), one.lifetime_seconds) for one in tokens),
        default=0.0,
    )


def is_findable(*, retry: RetryClass, find: FindMethod) -> bool:
    """Would the search before sending recognise a write that the database has forgotten?

    By its mark, or not at all: where only equal content speaks for it, the entry of the portal's own
    forgotten attempt would be taken for a colleague's.
    """
    return retry.may_resend and find in {FindMethod.EXACT, FindMethod.SCAN}
