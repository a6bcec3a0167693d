"""`decide(delivery, event)`: the next state, what has to be written beside it, and why. Pure."""

from dataclasses import replace
from datetime import timedelta

from ehr_adapters.capabilities import Finality, FindMethod
from ehr_adapters.errors import TokenRejected
from intents.lifecycle import State
from intents.pipeline.delivery.records import (
    ApprovalLapsed,
    AttemptEnded,
    Attested,
    Began,
    CloseEntry,
    Decision,
    Delivery,
    Effect,
    Event,
    LeaseLapsed,
    Ledger,
    Looked,
    LookNow,
    OpenDiscrepancy,
    OutOfPlace,
    Quarantine,
    ReadBack,
    Requeue,
    Retried,
    Settled,
    StrayAnswer,
    TooEarly,
)
from intents.pipeline.delivery.rulings import Ruling, ruling
from intents.pipeline.delivery.words import Difference, Phase, Seen

# At the longest wait of 15 minutes this is about three hours of an EHR that does not answer.
MAX_ATTEMPTS = 20
_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=15)


def backoff(*, attempts: int, jitter: float, retry_after: float | None = None) -> timedelta:
    """How long to wait after the n-th attempt that did not send: doubling, spread over half to
    three halves of it by `jitter` (0 to 1), and never sooner than the EHR asked for."""
    doubled = min(_FIRST_WAIT * (2 ** min(attempts - 1, 16) if attempts > 0 else 1), _LONGEST_WAIT)
    wait = doubled * (0.5 + jitter)
    return max(wait, timedelta(seconds=retry_after or 0))


def decide(delivery: Delivery, event: Event) -> Decision:
    """What follows from `event`. Raises `OutOfPlace` when it cannot happen in this state."""
    match event:
        case Began():
            return _began(delivery, event)
        case AttemptEnded():
            return _ended(delivery, event)
        case LeaseLapsed():
            return _lapsed(delivery, event)
        case Looked():
            return _looked(delivery, event)
        case ReadBack():
            return _read_back(delivery, event)
        case Attested():
            return _attested(delivery, event)
        case Settled():
            return _settled(delivery)
        case Retried():
            return _retried(delivery, event)
        case StrayAnswer():
            return _stray(delivery, event)


def _check_state(delivery: Delivery, *states: State) -> None:
    if delivery.state not in states:
        raise OutOfPlace(f"This cannot follow {delivery.state}.")


def _began(delivery: Delivery, event: Began) -> Decision:
    _check_state(delivery, State.APPROVED)
    after = replace(
        delivery,
        state=State.SUBMITTED,
        attempt_id=event.attempt_id,
        attempts=delivery.attempts + 1,
        quarantine_until=None,
    )
    return Decision(after, (Ledger(Phase.SENT),))


def _ended(delivery: Delivery, event: AttemptEnded) -> Decision:
    if (
        event.abandoned
        or delivery.state != State.SUBMITTED
        or delivery.attempt_id != event.attempt_id
    ):
        raise OutOfPlace("Another attempt owns this change by now.")
    if event.error is not None:
        return _failed_attempt(delivery, event, event.error)
    if event.stopped:
        return _stopped(delivery, event)
    if event.seen is not None:
        found = _by_sight(delivery, event, event.seen)
        if found is None:
            raise ValueError("Only what was seen ends an attempt before it sends.")
        return found
    if event.acknowledged != event.steps:
        raise ValueError("An attempt without an error has acknowledged every step.")
    return _accept(delivery, Phase.ACKNOWLEDGED, "", "acknowledged", tick=event.tick)


def _accept(delivery: Delivery, phase: Phase, outcome: str, why: str, *, tick: int) -> Decision:
    until = tick + delivery.lag_ticks
    after = replace(
        delivery, state=State.ACCEPTED, maybe_sent=True, last_outcome="", quarantine_until=until
    )
    return Decision(after, (Ledger(phase, outcome), Quarantine(until), CloseEntry()), why)


def _end(delivery: Delivery, to: State, ledger: Ledger, why: str, *more: Effect) -> Decision:
    after = replace(delivery, state=to, last_outcome=ledger.outcome)
    return Decision(after, (ledger, *more, CloseEntry()), why)


def _unknown(
    delivery: Delivery, ledger: Ledger, why: str, *more: Effect, tick: int, partial: bool = False
) -> Decision:
    # An attempt whose token lives longer than usual has put its own, later end there.
    until = max(delivery.quarantine_until or 0, tick + delivery.quarantine_ticks)
    after = replace(
        delivery,
        state=State.UNCERTAIN,
        maybe_sent=True,
        partial=delivery.partial or partial,
        last_outcome=ledger.outcome,
        quarantine_until=until,
    )
    return Decision(after, (ledger, Quarantine(until), *more), why)


def _wait(delivery: Delivery, ledger: Ledger, why: str, event: AttemptEnded) -> Decision:
    """Certainly not sent: later, unless it has been tried often enough."""
    if delivery.attempts >= MAX_ATTEMPTS:
        return _end(delivery, State.FAILED, ledger, "attempts-exhausted")
    pause = backoff(attempts=delivery.attempts, jitter=event.jitter, retry_after=event.retry_after)
    after = replace(delivery, state=State.APPROVED, attempt_id="", last_outcome=ledger.outcome)
    return Decision(after, (ledger, Requeue(event.at + pause)), why)


def _failed_attempt(
    delivery: Delivery, event: AttemptEnded, error: type[BaseException]
) -> Decision:
    rule = ruling(error, on_wire=event.on_wire)
    ledger = Ledger(rule.phase, error.__name__)
    if event.acknowledged:
        # Some of the plan is in the chart and the rest is not, or nobody knows: no branch of the
        # tree speaks about the whole any more.
        return _unknown(
            delivery,
            Ledger(Phase.UNKNOWN, error.__name__),
            "half-sent",
            OpenDiscrepancy(Difference.PARTIAL),
            tick=event.tick,
            partial=True,
        )
    if rule.search and event.on_wire:
        return _by_search(delivery, event, rule, ledger)
    match rule.to:
        case State.APPROVED:
            if issubclass(error, TokenRejected) and delivery.last_outcome == TokenRejected.__name__:
                return _end(delivery, State.FAILED, ledger, "not-permitted")
            return _wait(delivery, ledger, rule.reason, event)
        case State.UNCERTAIN | None:
            return _unknown(delivery, ledger, rule.reason, tick=event.tick)
        case to:
            return _end(delivery, to, ledger, rule.reason)


def _by_search(delivery: Delivery, event: AttemptEnded, rule: Ruling, ledger: Ledger) -> Decision:
    """A version conflict or "already there": the search that followed decides."""
    seen = event.seen or Seen.COULD_NOT_LOOK
    found = _by_sight(delivery, event, seen)
    if found is not None:
        return replace(found, effects=(ledger, *found.effects))
    if rule.to is None or seen == Seen.COULD_NOT_LOOK:
        # The EHR says that it holds something we could not see, or it may be our own write that changed
        # the version: an earlier one, or this one where something on the way sent it twice.
        return _unknown(delivery, ledger, "outcome-unknown", tick=event.tick)
    return _end(delivery, rule.to, ledger, rule.reason)


def _by_sight(delivery: Delivery, event: AttemptEnded, seen: Seen) -> Decision | None:
    """What a search by a method that proves something decides; None when it saw nothing of ours."""
    ledger = Ledger(Phase.FOUND, seen.value)
    match seen:
        case Seen.OURS_EQUAL:
            return _accept(delivery, ledger.phase, ledger.outcome, "found-ours", tick=event.tick)
        case Seen.COLLEAGUE_EQUAL:
            # The same entry without our mark: ours only if we may have sent it before.
            if delivery.maybe_sent:
                return _accept(
                    delivery, ledger.phase, ledger.outcome, "found-equal", tick=event.tick
                )
            return _end(delivery, State.REJECTED, ledger, "already-in-chart")
        case Seen.OURS_DIFFERENT:
            return _end(
                delivery,
                State.HELD,
                ledger,
                "different-entry",
                OpenDiscrepancy(Difference.DIFFERENT),
            )
        case Seen.AMBIGUOUS:
            return _end(
                delivery,
                State.HELD,
                ledger,
                "several-entries",
                OpenDiscrepancy(Difference.DUPLICATE),
            )
        case Seen.COLLEAGUE_DIFFERENT:
            if delivery.find == FindMethod.TARGET:
                return _end(delivery, State.HELD, ledger, "target-changed")
            return _end(
                delivery,
                State.HELD,
                ledger,
                "different-entry",
                OpenDiscrepancy(Difference.DIFFERENT),
            )
        case _:
            return None


_STOPPED_FOR_NOW = frozenset({"could-not-look", "switched-off", "approval-lapsed"})


def _stopped(delivery: Delivery, event: AttemptEnded) -> Decision:
    ledger = Ledger(Phase.NOT_SENT, event.stopped)
    if event.stopped in _STOPPED_FOR_NOW:
        return _wait(delivery, ledger, event.stopped, event)
    return _end(delivery, State.HELD, ledger, event.stopped)


def _lapsed(delivery: Delivery, event: LeaseLapsed) -> Decision:
    _check_state(delivery, State.SUBMITTED)
    if delivery.attempt_id != event.attempt_id:
        raise OutOfPlace("Another attempt owns this change by now.")
    return _unknown(delivery, Ledger(Phase.UNKNOWN, "LeaseLapsed"), "attempt-lost", tick=event.tick)


def _looked(delivery: Delivery, event: Looked) -> Decision:
    _check_state(delivery, State.UNCERTAIN)
    if delivery.partial or event.seen == Seen.COULD_NOT_LOOK:
        return Decision(delivery)
    found = Ledger(Phase.FOUND, event.seen.value)
    match event.seen:
        case Seen.OURS_EQUAL | Seen.COLLEAGUE_EQUAL if event.method.hit_proves:
            why = "found-ours" if event.seen == Seen.OURS_EQUAL else "found-equal"
            return _accept(delivery, found.phase, found.outcome, why, tick=event.tick)
        case Seen.OURS_EQUAL | Seen.COLLEAGUE_EQUAL:
            # A candidate that looks like it proves nothing: a person compares.
            return Decision(delivery)
        case Seen.OURS_DIFFERENT | Seen.COLLEAGUE_DIFFERENT:
            return Decision(delivery, (OpenDiscrepancy(Difference.DIFFERENT),))
        case Seen.AMBIGUOUS:
            return Decision(delivery, (OpenDiscrepancy(Difference.DUPLICATE),))
    until = delivery.quarantine_until
    if until is None or event.tick < until:
        return Decision(delivery)
    if not (delivery.may_resend and event.method.miss_proves):
        return Decision(delivery)
    absent = Ledger(Phase.ABSENT, event.method.value)
    if event.at >= delivery.approval_expires_at:
        return _end(delivery, State.FAILED, absent, "absent-lapsed")
    after = replace(delivery, state=State.APPROVED, attempt_id="", quarantine_until=None)
    return Decision(after, (absent, Requeue(event.at)), "absent-resend")


def _read_back(delivery: Delivery, event: ReadBack) -> Decision:
    _check_state(delivery, State.ACCEPTED)
    match event.seen:
        case Seen.OURS_EQUAL | Seen.COLLEAGUE_EQUAL:
            after = replace(delivery, state=State.RECONCILED)
            return Decision(after, (Ledger(Phase.READ_BACK, event.seen.value),), "read-back-equal")
        case Seen.OURS_DIFFERENT | Seen.COLLEAGUE_DIFFERENT:
            return Decision(delivery, (OpenDiscrepancy(event.difference),))
        case Seen.AMBIGUOUS:
            return Decision(delivery, (OpenDiscrepancy(Difference.DUPLICATE),))
        case Seen.NONE:
            if delivery.finality == Finality.STAGED:
                # Absence is normal: it waits in the EHR for someone there to accept it.
                missing = (OpenDiscrepancy(Difference.MISSING),) if event.overdue else ()
                return Decision(delivery, missing)
            if delivery.quarantine_until is not None and event.tick < delivery.quarantine_until:
                return Decision(delivery)
            return Decision(delivery, (OpenDiscrepancy(Difference.MISSING),))
        case _:
            return Decision(delivery)


def _attested(delivery: Delivery, event: Attested) -> Decision:
    if delivery.state == State.ACCEPTED and event.there:
        after = replace(delivery, state=State.RECONCILED)
        return Decision(after, (Ledger(Phase.ATTESTED, "equal"),), "attested-equal")
    _check_state(delivery, State.UNCERTAIN)
    is_early = delivery.quarantine_until is None or event.tick < delivery.quarantine_until
    if event.there and not (delivery.partial and is_early):
        return _accept(delivery, Phase.ATTESTED, "there", "attested-there", tick=event.tick)
    if is_early:
        # Whoever completed by hand what is there in part might do what the EHR still has in its queue.
        raise TooEarly("The EHR may still be working on it; its absence proves nothing yet.")
    ledger = Ledger(Phase.ATTESTED, "absent")
    if not event.resend:
        return _end(delivery, State.FAILED, ledger, "attested-absent")
    if event.at >= delivery.approval_expires_at:
        raise ApprovalLapsed("The approval has run out. Draft it again.")
    after = replace(
        delivery, state=State.APPROVED, attempt_id="", partial=False, quarantine_until=None
    )
    return Decision(after, (ledger, Requeue(event.at)), "attested-absent")


def _settled(delivery: Delivery) -> Decision:
    _check_state(delivery, State.ACCEPTED)
    after = replace(delivery, state=State.RECONCILED)
    return Decision(after, (Ledger(Phase.ATTESTED, "settled"),), "difference-settled")


def _retried(delivery: Delivery, event: Retried) -> Decision:
    _check_state(delivery, State.FAILED)
    if event.at >= delivery.approval_expires_at:
        raise ApprovalLapsed("The approval has run out. Draft it again.")
    after = replace(
        delivery,
        state=State.APPROVED,
        attempts=0,
        attempt_id="",
        last_outcome="",
        partial=False,
        quarantine_until=None,
    )
    return Decision(after, (), "retried")


def _stray(delivery: Delivery, event: StrayAnswer) -> Decision:
    """Evidence from an attempt that was given up. It is kept and settles nothing by itself."""
    ledger = Ledger(Phase.STRAY, "acknowledged" if event.acknowledged else "not acknowledged")
    if not event.acknowledged:
        return Decision(delivery, (ledger,))
    after = replace(delivery, maybe_sent=True)
    if delivery.state == State.UNCERTAIN:
        return Decision(after, (ledger, LookNow()))
    if event.known_entry:
        return Decision(after, (ledger,))
    # It was thought absent, or somebody decided otherwise: there may be one entry too many.
    return Decision(after, (ledger, OpenDiscrepancy(Difference.LATE)))
