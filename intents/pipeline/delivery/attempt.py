"""One attempt, in order: token, chart, search, switches, each request once. Pure.

A generator of questions (`Ask`) that takes answers (`Reply`) and returns how it ended (`Ending`).
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

from ehr_adapters.errors import OutcomeUnknown
from intents.pipeline.delivery.records import AttemptEnded, Delivery
from intents.pipeline.delivery.rulings import ruling
from intents.pipeline.delivery.words import Seen


@dataclass(frozen=True, slots=True)
class GetToken:
    """A token for this attempt alone where the connection allows it."""


@dataclass(frozen=True, slots=True)
class ReadChart:
    """Read patient, encounter and target again. Answer: "" (all the same) or the code of what moved."""


@dataclass(frozen=True, slots=True)
class Search:
    """Look for every tag of this change that was ever sent. Answer: a `Seen`."""


@dataclass(frozen=True, slots=True)
class StillMine:
    """May it still be sent? Answer: "", or what `owning.last_look` says stands in the way."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Send step `step` of the plan, once. Answer: True when acknowledged as the capability asks."""

    step: int


Ask = GetToken | ReadChart | Search | StillMine | Submit


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or the error that came instead."""

    value: object = None
    error: type[BaseException] | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the attempt ended, without the moment: `AttemptEnded` adds it."""

    acknowledged: int = 0
    on_wire: bool = False
    error: type[BaseException] | None = None
    seen: Seen | None = None
    stopped: str = ""
    abandoned: bool = False
    retry_after: float | None = None

    def at(
        self, *, attempt_id: str, steps: int, at: datetime, tick: int, jitter: float
    ) -> AttemptEnded:
        return AttemptEnded(
            attempt_id=attempt_id,
            steps=steps,
            at=at,
            tick=tick,
            jitter=jitter,
            acknowledged=self.acknowledged,
            on_wire=self.on_wire,
            error=self.error,
            seen=self.seen,
            stopped=self.stopped,
            abandoned=self.abandoned,
            retry_after=self.retry_after,
        )


def attempt(delivery: Delivery, *, steps: int) -> Generator[Ask, Reply, Ending]:
    """The order of one attempt, after its beginning is committed.

    Token; chart; search; switches; each request once. The check of ownership stands between the
    token and the sending, so that a worker that sleeps through it holds a token that dies within the
    quarantine that its lapsed lease began.
    """
    reply = yield GetToken()
    if reply.error is not None:
        return _unsent(reply)
    chart = yield ReadChart()
    if chart.error is not None:
        return _unsent(chart)
    if delivery.find.hit_proves:
        search = yield Search()
        if search.error is not None:
            return _unsent(search)
        seen = Seen(str(search.value))
        if seen == Seen.COULD_NOT_LOOK and delivery.may_resend:
            return Ending(stopped="could-not-look")
        # Where a miss proves nothing anyway, waiting for a better search would be waiting for ever.
        moved_target = seen == Seen.COLLEAGUE_DIFFERENT and bool(chart.value)
        if seen not in (Seen.NONE, Seen.COULD_NOT_LOOK) and not moved_target:
            return Ending(seen=seen)
    if chart.value:
        return Ending(stopped=str(chart.value))
    switches = yield StillMine()
    if switches.error is not None:
        return _unsent(switches)
    if switches.value == "lost":
        return Ending(abandoned=True)
    if switches.value:
        return Ending(stopped=str(switches.value))
    for step in range(steps):
        sent = yield Submit(step)
        if sent.error is None and not sent.value:
            sent = Reply(error=OutcomeUnknown)
        if sent.error is not None:
            seen_after: Seen | None = None
            rule = ruling(sent.error, on_wire=True)
            if rule.search and step == 0 and delivery.find.hit_proves:
                after = yield Search()
                seen_after = Seen.COULD_NOT_LOOK if after.error else Seen(str(after.value))
            return Ending(
                acknowledged=step,
                on_wire=True,
                error=sent.error,
                seen=seen_after,
                retry_after=sent.retry_after,
            )
    return Ending(acknowledged=steps, on_wire=True)


def _unsent(reply: Reply) -> Ending:
    return Ending(error=reply.error, retry_after=reply.retry_after)
