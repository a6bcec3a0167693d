"""The one table of deliveries: every error to its state, and nothing sent again without proof."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ehr_adapters import errors
from ehr_adapters.capabilities import Finality, FindMethod, RetryClass
from intents.lifecycle import TRANSITIONS, State
from intents.pipeline.delivery import attempt as protocol
from intents.pipeline.delivery import words
from intents.pipeline.delivery.deciding import MAX_ATTEMPTS, backoff, decide
from intents.pipeline.delivery.looking import (
    Answer,
    breaker_opens_until,
    is_not_taken_up,
    next_look,
)
from intents.pipeline.delivery.records import (
    ApprovalLapsed,
    AttemptEnded,
    Attested,
    Began,
    CloseEntry,
    Decision,
    Delivery,
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
from intents.pipeline.delivery.rulings import ruling
from intents.pipeline.delivery.words import Difference, Phase, Seen

pytestmark = pytest.mark.once

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def a_delivery(state: State = State.SUBMITTED, **changes: object) -> Delivery:
    values: dict[str, object] = {
        "state": state,
        "retry": RetryClass.S3,
        "find": FindMethod.EXACT,
        "finality": Finality.FILED,
        "approval_expires_at": AT + timedelta(hours=24),
        "quarantine_ticks": 100,
        "lag_ticks": 30,
        "attempts": 1,
        "attempt_id": "mine",
    }
    return Delivery(**{**values, **changes})  # type: ignore[arg-type]  # values of each test by name


def ended(delivery: Delivery, **how: object) -> Decision:
    return decide(delivery, AttemptEnded(attempt_id="mine", at=AT, tick=7, **how))  # type: ignore[arg-type]  # values of each test by name


@pytest.mark.parametrize(
    ("error", "state", "phase"),
    [
        (errors.Unreachable, State.APPROVED, Phase.NOT_SENT),
        (errors.RateLimited, State.APPROVED, Phase.NOT_SENT),
        (errors.TokenUnavailable, State.APPROVED, Phase.NOT_SENT),
        (errors.TokenRejected, State.APPROVED, Phase.NOT_SENT),
        (errors.ContentRefused, State.REJECTED, Phase.REFUSED),
        (errors.VersionConflict, State.UNCERTAIN, Phase.REFUSED),
        (errors.PatientMoved, State.HELD, Phase.REFUSED),
        (errors.NotPermitted, State.FAILED, Phase.REFUSED),
        (errors.Unsupported, State.FAILED, Phase.REFUSED),
        (errors.CannotBeCarried, State.FAILED, Phase.REFUSED),
        (errors.AlreadyThere, State.UNCERTAIN, Phase.UNKNOWN),
        (errors.TimedOutAfterSend, State.UNCERTAIN, Phase.UNKNOWN),
        (errors.ConnectionLost, State.UNCERTAIN, Phase.UNKNOWN),
        (errors.ServerError, State.UNCERTAIN, Phase.UNKNOWN),
        (errors.UnreadableReply, State.UNCERTAIN, Phase.UNKNOWN),
        (errors.Redirected, State.UNCERTAIN, Phase.UNKNOWN),
        (errors.AdapterMisconfigured, State.FAILED, Phase.NOT_SENT),
        (ZeroDivisionError, State.UNCERTAIN, Phase.UNKNOWN),
    ],
)
def test_each_error_after_sending_has_its_state(error, state, phase):
    decision = ended(a_delivery(), error=error, on_wire=True)
    assert decision.delivery.state == state
    assert Ledger(phase, error.__name__) in decision.effects


def test_every_error_of_the_tree_is_ruled_by_the_table():
    def leaves(tree):
        yield tree
        for child in tree.__subclasses__():
            yield from leaves(child)

    for error in leaves(errors.AdapterError):
        if error is errors.AdapterError:
            continue
        known = {"not sent": State.APPROVED, "unknown": State.UNCERTAIN, "already there": None}
        rule = ruling(error, on_wire=True)
        if error.known in known:
            assert rule.to == known[error.known], error
        else:
            assert rule.to in {State.REJECTED, State.HELD, State.FAILED}, error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (errors.TimedOutAfterSend, State.APPROVED),
        (errors.ServerError, State.APPROVED),
        (errors.ContentRefused, State.APPROVED),
        (errors.Unreachable, State.APPROVED),
        (ZeroDivisionError, State.APPROVED),
        (errors.NotPermitted, State.FAILED),
        (errors.PatientMoved, State.HELD),
        (errors.AdapterMisconfigured, State.FAILED),
    ],
)
def test_an_error_of_a_reading_before_sending_never_makes_the_outcome_unknown(error, state):
    assert ended(a_delivery(), error=error).delivery.state == state


def test_not_sent_goes_back_to_the_outbox_no_sooner_than_the_ehr_asked():
    decision = ended(a_delivery(), error=errors.RateLimited, on_wire=True, retry_after=90.0)
    [requeue] = [effect for effect in decision.effects if isinstance(effect, Requeue)]
    assert requeue.not_before >= AT + timedelta(seconds=90)
    assert decision.delivery.attempt_id == ""


def test_attempts_that_never_send_end():
    decision = ended(a_delivery(attempts=MAX_ATTEMPTS), error=errors.Unreachable, on_wire=True)
    assert decision.delivery.state == State.FAILED
    assert CloseEntry() in decision.effects


def test_a_second_rejected_token_in_a_row_is_a_matter_of_permission():
    first = ended(a_delivery(), error=errors.TokenRejected, on_wire=True).delivery
    assert first.state == State.APPROVED
    again = decide(first, Began(attempt_id="mine")).delivery
    assert ended(again, error=errors.TokenRejected, on_wire=True).delivery.state == State.FAILED


def opened(decision: Decision) -> list[Difference]:
    return [effect.kind for effect in decision.effects if isinstance(effect, OpenDiscrepancy)]


@pytest.mark.parametrize(
    ("seen", "maybe_sent", "state", "difference"),
    [
        (Seen.OURS_EQUAL, False, State.ACCEPTED, None),
        (Seen.COLLEAGUE_EQUAL, False, State.REJECTED, None),
        (Seen.COLLEAGUE_EQUAL, True, State.ACCEPTED, None),
        (Seen.OURS_DIFFERENT, False, State.HELD, Difference.DIFFERENT),
        (Seen.COLLEAGUE_DIFFERENT, False, State.HELD, Difference.DIFFERENT),
        (Seen.AMBIGUOUS, False, State.HELD, Difference.DUPLICATE),
        (Seen.NONE, False, State.UNCERTAIN, None),
        (Seen.COULD_NOT_LOOK, False, State.UNCERTAIN, None),
    ],
)
def test_what_a_search_shows_decides(seen, maybe_sent, state, difference):
    delivery = a_delivery(maybe_sent=maybe_sent)
    decision = ended(delivery, error=errors.AlreadyThere, on_wire=True, seen=seen)
    assert opened(decision) == ([difference] if difference else [])
    assert decision.delivery.state == state
    if state != State.UNCERTAIN:
        before = ended(delivery, seen=seen)
        assert (before.delivery.state, opened(before)) == (state, opened(decision))


def test_a_version_conflict_is_our_own_a_colleagues_or_unknown_by_what_the_search_shows():
    """Also at the first attempt: a proxy that repeats a request answers with what its second copy met."""
    delivery = a_delivery()
    ours = ended(delivery, error=errors.VersionConflict, on_wire=True, seen=Seen.OURS_EQUAL)
    assert ours.delivery.state == State.ACCEPTED
    blind = ended(delivery, error=errors.VersionConflict, on_wire=True, seen=Seen.COULD_NOT_LOOK)
    assert blind.delivery.state == State.UNCERTAIN
    theirs = ended(delivery, error=errors.VersionConflict, on_wire=True, seen=Seen.NONE)
    assert theirs.delivery.state == State.HELD


@pytest.mark.req("003-67")
@pytest.mark.fault("partial-batch")
@pytest.mark.parametrize("error", [errors.ContentRefused, errors.Unreachable, errors.ServerError])
def test_a_plan_that_stopped_half_way_waits_for_a_person_whatever_stopped_it(error):
    decision = ended(a_delivery(), steps=2, acknowledged=1, error=error, on_wire=True)
    assert decision.delivery.state == State.UNCERTAIN
    assert OpenDiscrepancy(Difference.PARTIAL) in decision.effects
    assert decision.delivery.needs_a_person
    looked = Looked(seen=Seen.NONE, method=FindMethod.EXACT, at=AT, tick=100_000)
    assert decide(decision.delivery, looked).delivery == decision.delivery


def test_an_attempt_that_lost_its_row_records_nothing():
    for delivery in (a_delivery(attempt_id="another"), a_delivery(State.UNCERTAIN)):
        with pytest.raises(OutOfPlace):
            ended(delivery, acknowledged=1)


@pytest.mark.parametrize("stopped", ["patient-changed", "target-changed", "neighbourhood-changed"])
def test_a_chart_that_moved_holds_the_change_and_nothing_was_sent(stopped):
    decision = ended(a_delivery(), stopped=stopped)
    assert decision.delivery.state == State.HELD
    assert decision.effects == (Ledger(Phase.NOT_SENT, stopped), CloseEntry())


def test_a_lapsed_lease_is_unknown_never_back_in_the_outbox():
    decision = decide(a_delivery(), LeaseLapsed(attempt_id="mine", tick=7))
    assert decision.delivery.state == State.UNCERTAIN
    assert Quarantine(107) in decision.effects
    with pytest.raises(OutOfPlace):
        decide(a_delivery(), LeaseLapsed(attempt_id="another", tick=7))


UNKNOWN = a_delivery(State.UNCERTAIN, quarantine_until=107, maybe_sent=True)


def looked(
    delivery: Delivery,
    seen: Seen,
    *,
    tick: int,
    method: FindMethod | None = None,
    at: datetime = AT,
) -> Decision:
    return decide(delivery, Looked(seen=seen, method=method or delivery.find, at=at, tick=tick))


@pytest.mark.req("003-55")
def test_absence_counts_only_after_the_quarantine_and_then_it_is_sent_again():
    assert looked(UNKNOWN, Seen.NONE, tick=106).delivery == UNKNOWN
    decision = looked(UNKNOWN, Seen.NONE, tick=107)
    assert decision.delivery.state == State.APPROVED
    assert decision.effects == (Ledger(Phase.ABSENT, "exact"), Requeue(AT))


def test_presence_counts_at_once():
    decision = looked(UNKNOWN, Seen.OURS_EQUAL, tick=8)
    assert decision.delivery.state == State.ACCEPTED
    assert Ledger(Phase.FOUND, "ours-equal") in decision.effects


def test_absence_after_the_approval_ran_out_fails_for_certain():
    late = AT + timedelta(days=2)
    assert looked(UNKNOWN, Seen.NONE, tick=200, at=late).delivery.state == State.FAILED


@pytest.mark.parametrize("retry", [RetryClass.S4, RetryClass.S6])
def test_opaque_and_irreversible_writes_are_never_sent_again_by_the_machine(retry):
    delivery = replace(UNKNOWN, retry=retry)
    assert looked(delivery, Seen.NONE, tick=9999).delivery == delivery
    assert delivery.needs_a_person


@pytest.mark.parametrize("method", [FindMethod.MATCH, FindMethod.NONE])
def test_a_search_that_proves_nothing_settles_nothing(method):
    delivery = replace(UNKNOWN, find=method)
    for seen in (Seen.NONE, Seen.COLLEAGUE_EQUAL, Seen.OURS_EQUAL):
        assert looked(delivery, seen, tick=9999).delivery == delivery


def test_could_not_look_is_not_absence():
    assert looked(UNKNOWN, Seen.COULD_NOT_LOOK, tick=9999).delivery == UNKNOWN


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (Seen.OURS_DIFFERENT, Difference.DIFFERENT),
        (Seen.COLLEAGUE_DIFFERENT, Difference.DIFFERENT),
        (Seen.AMBIGUOUS, Difference.DUPLICATE),
    ],
)
def test_an_unequal_hit_opens_a_discrepancy_and_waits(seen, kind):
    decision = looked(UNKNOWN, seen, tick=9999)
    assert decision.delivery.state == State.UNCERTAIN
    assert decision.effects == (OpenDiscrepancy(kind),)


def read_back(delivery: Delivery, seen: Seen, *, tick: int = 50) -> Decision:
    return decide(delivery, ReadBack(seen=seen, at=AT, tick=tick, difference=Difference.DROPPED))


def test_a_read_back_that_is_equal_reconciles():
    accepted = a_delivery(State.ACCEPTED, quarantine_until=37)
    assert read_back(accepted, Seen.OURS_EQUAL).delivery.state == State.RECONCILED
    altered = read_back(accepted, Seen.OURS_DIFFERENT)
    assert altered.delivery.state == State.ACCEPTED
    assert altered.effects == (OpenDiscrepancy(Difference.DROPPED),)


def test_an_acknowledged_entry_is_missing_only_after_the_index_had_its_time():
    accepted = a_delivery(State.ACCEPTED, quarantine_until=37)
    assert read_back(accepted, Seen.NONE, tick=36).effects == ()
    missing = read_back(accepted, Seen.NONE, tick=37)
    assert missing.effects == (OpenDiscrepancy(Difference.MISSING),)
    assert missing.delivery.state == State.ACCEPTED


def test_a_staged_entry_may_be_absent_for_as_long_as_it_likes():
    staged = a_delivery(State.ACCEPTED, finality=Finality.STAGED, quarantine_until=37)
    assert read_back(staged, Seen.NONE, tick=10**6) == Decision(staged)
    since, patience = AT, timedelta(days=14)
    assert not is_not_taken_up(staged, since=since, patience=patience, at=AT + timedelta(days=13))
    assert is_not_taken_up(staged, since=since, patience=patience, at=AT + timedelta(days=14))


def test_a_staged_entry_that_nobody_took_up_in_time_goes_to_a_person():
    staged = a_delivery(State.ACCEPTED, finality=Finality.STAGED)
    waited = ReadBack(seen=Seen.NONE, at=AT, tick=50, overdue=True)
    assert decide(staged, waited) == Decision(staged, (OpenDiscrepancy(Difference.MISSING),))


def test_a_long_lived_token_prolongs_the_quarantine():
    long_lived = a_delivery(quarantine_until=5000)
    decision = decide(long_lived, LeaseLapsed(attempt_id="mine", tick=7))
    assert decision.delivery.quarantine_until == 5000


def test_a_person_settles_what_machines_cannot():
    opaque = replace(UNKNOWN, retry=RetryClass.S4, find=FindMethod.NONE)

    def says(*, there: bool, resend: bool = False, tick: int = 107, at: datetime = AT) -> Decision:
        return decide(opaque, Attested(there=there, resend=resend, at=at, tick=tick))

    assert says(there=True, tick=8).delivery.state == State.ACCEPTED
    assert says(there=False).delivery.state == State.FAILED
    assert says(there=False, resend=True).delivery.state == State.APPROVED
    with pytest.raises(TooEarly):
        says(there=False, tick=106)
    with pytest.raises(ApprovalLapsed):
        says(there=False, resend=True, at=AT + timedelta(days=2))


def test_a_person_confirms_what_cannot_be_read_back_and_settles_what_differs():
    accepted = a_delivery(State.ACCEPTED)
    said = Attested(there=True, resend=False, at=AT, tick=1)
    assert decide(accepted, said).delivery.state == State.RECONCILED
    assert decide(accepted, Settled()).delivery.state == State.RECONCILED


def test_a_failed_change_is_retried_under_its_approval_or_not_at_all():
    failed = a_delivery(State.FAILED, attempts=20)
    assert decide(failed, Retried(at=AT)).delivery.attempts == 0
    with pytest.raises(ApprovalLapsed):
        decide(failed, Retried(at=AT + timedelta(days=2)))


def test_a_late_answer_is_evidence_and_settles_nothing_by_itself():
    stray = StrayAnswer(attempt_id="old", acknowledged=True)
    assert LookNow() in decide(UNKNOWN, stray).effects
    late = decide(a_delivery(State.FAILED), stray)
    assert late.delivery.state == State.FAILED
    assert OpenDiscrepancy(Difference.LATE) in late.effects
    known = replace(stray, known_entry=True)
    assert decide(a_delivery(State.ACCEPTED), known).effects == (
        Ledger(Phase.STRAY, "acknowledged"),
    )
    nothing = replace(stray, acknowledged=False)
    assert decide(a_delivery(State.FAILED), nothing).effects == (
        Ledger(Phase.STRAY, "not acknowledged"),
    )


def test_no_decision_takes_an_edge_that_the_lifecycle_does_not_have():
    moments = [
        AttemptEnded(attempt_id="mine", at=AT, tick=7, error=error, on_wire=wire, acknowledged=done)
        for error in (errors.Unreachable, errors.ContentRefused, errors.AlreadyThere, ValueError)
        for wire in (True, False)
        for done in (0, 1)
    ]
    moments += [AttemptEnded(attempt_id="mine", at=AT, tick=7, acknowledged=1)]
    events = [
        *moments,
        LeaseLapsed(attempt_id="mine", tick=7),
        Retried(at=AT),
        Settled(),
        Began(attempt_id="mine"),
        *(Attested(there=t, resend=r, at=AT, tick=999) for t in (1, 0) for r in (1, 0)),
        *(Looked(seen=seen, method=FindMethod.EXACT, at=AT, tick=999) for seen in Seen),
        *(ReadBack(seen=seen, at=AT, tick=999) for seen in Seen),
        *(StrayAnswer(attempt_id="old", acknowledged=a) for a in (True, False)),
    ]
    taken = set()
    for state in State:
        for event in events:
            try:
                after = decide(a_delivery(state, quarantine_until=107), event).delivery.state
            except OutOfPlace:
                continue
            if after != state:
                assert after in TRANSITIONS[state], (state, event)
                taken.add((state, after))
    assert (State.UNCERTAIN, State.APPROVED) in taken
    assert (State.SUBMITTED, State.UNCERTAIN) in taken


def test_every_reason_has_a_sentence_and_every_code_in_use_is_one():
    assert words.reason("acknowledged") == "acknowledged: The EHR acknowledged it."
    assert all(sentence.endswith(".") for sentence in words.REASONS.values())


# --- one attempt -----------------------------------------------------------------------------------


def play(delivery: Delivery, *replies: protocol.Reply, steps: int = 1):
    """The asks that were made, and the ending."""
    run = protocol.attempt(delivery, steps=steps)
    asks = [next(run)]
    for reply in replies:
        try:
            asks.append(run.send(reply))
        except StopIteration as stop:
            return asks, stop.value
    raise AssertionError(f"not ended, asks for {asks[-1]}")


OK = protocol.Reply(value="")
TOKEN = protocol.Reply(value=True)
NOTHING = protocol.Reply(value=Seen.NONE)


def test_an_attempt_asks_in_order_and_sends_last():
    asks, ending = play(
        a_delivery(),
        TOKEN,
        OK,
        NOTHING,
        OK,
        protocol.Reply(value=True),
        protocol.Reply(value=True),
        steps=2,
    )
    assert [type(ask).__name__ for ask in asks] == [
        "GetToken",
        "ReadChart",
        "Search",
        "StillMine",
        "Submit",
        "Submit",
    ]
    assert ending == protocol.Ending(acknowledged=2, on_wire=True)


@pytest.mark.parametrize(
    ("replies", "ending"),
    [
        (
            [protocol.Reply(error=errors.TokenUnavailable)],
            protocol.Ending(error=errors.TokenUnavailable),
        ),
        (
            [TOKEN, protocol.Reply(value="patient-changed"), NOTHING],
            protocol.Ending(stopped="patient-changed"),
        ),
        (
            [TOKEN, protocol.Reply(value="target-changed"), protocol.Reply(value=Seen.OURS_EQUAL)],
            protocol.Ending(seen=Seen.OURS_EQUAL),
        ),
        (
            [TOKEN, OK, protocol.Reply(value=Seen.COULD_NOT_LOOK)],
            protocol.Ending(stopped="could-not-look"),
        ),
        ([TOKEN, OK, NOTHING, protocol.Reply(value="lost")], protocol.Ending(abandoned=True)),
        (
            [TOKEN, OK, NOTHING, protocol.Reply(value="switched-off")],
            protocol.Ending(stopped="switched-off"),
        ),
    ],
)
def test_an_attempt_that_must_not_send_does_not(replies, ending):
    asks, how = play(a_delivery(), *replies)
    assert how == ending
    assert not any(isinstance(ask, protocol.Submit) for ask in asks)


def test_an_answer_that_is_no_acknowledgement_is_unknown():
    _, ending = play(a_delivery(), TOKEN, OK, NOTHING, OK, protocol.Reply(value=False))
    assert ending.error is errors.OutcomeUnknown
    assert ending.on_wire


def test_already_there_is_searched_for_before_it_is_judged():
    asks, ending = play(
        a_delivery(),
        TOKEN,
        OK,
        NOTHING,
        OK,
        protocol.Reply(error=errors.AlreadyThere),
        protocol.Reply(value=Seen.OURS_EQUAL),
    )
    assert isinstance(asks[-1], protocol.Search)
    assert ending.seen == Seen.OURS_EQUAL


def test_what_cannot_be_searched_is_not_searched():
    asks, _ = play(a_delivery(find=FindMethod.NONE), TOKEN, OK, OK, protocol.Reply(value=True))
    assert not any(isinstance(ask, protocol.Search) for ask in asks)


# --- time ------------------------------------------------------------------------------------------


def test_backoff_doubles_to_a_quarter_of_an_hour_and_spreads():
    assert backoff(attempts=1, jitter=0.5) == timedelta(seconds=2)
    assert backoff(attempts=4, jitter=0.5) == timedelta(seconds=16)
    assert backoff(attempts=500, jitter=0.5) == timedelta(minutes=15)
    assert backoff(attempts=4, jitter=0.0) == timedelta(seconds=8)
    assert backoff(attempts=4, jitter=1.0) == timedelta(seconds=24)


def look(delivery: Delivery, *, looked_at: datetime | None, at: datetime = AT) -> datetime | None:
    return next_look(
        delivery, since=AT, last_looked_at=looked_at, at=at, staged_every=timedelta(days=1)
    )


def test_the_chart_is_looked_at_at_once_and_then_ever_more_rarely():
    accepted = a_delivery(State.ACCEPTED)
    assert look(accepted, looked_at=None) == AT
    for age, pause in [(0, 5), (100, 50), (10**6, 86_400)]:
        moment = AT + timedelta(seconds=age)
        assert look(accepted, looked_at=moment, at=moment) == moment + timedelta(seconds=pause)
    assert look(UNKNOWN, looked_at=AT) == AT + timedelta(seconds=30)
    staged = a_delivery(State.ACCEPTED, finality=Finality.STAGED)
    assert look(staged, looked_at=AT) == AT + timedelta(days=1)


def test_what_looking_cannot_settle_is_not_looked_for():
    for state in (State.APPROVED, State.RECONCILED, State.FAILED):
        assert look(a_delivery(state), looked_at=None) is None
    assert look(replace(UNKNOWN, find=FindMethod.NONE), looked_at=None) is None
    assert look(replace(UNKNOWN, partial=True), looked_at=None) is None


def test_a_clock_that_was_set_back_does_not_stop_the_looking():
    earlier = AT - timedelta(hours=5)
    assert look(UNKNOWN, looked_at=AT, at=earlier) == earlier
    assert look(a_delivery(State.ACCEPTED), looked_at=AT, at=earlier) == earlier


@pytest.mark.req("003-31")
def test_the_breaker_opens_after_five_silent_answers_and_lets_one_try():
    silent = [Answer(Phase.NOT_SENT, "Unreachable", AT)] * 5
    assert breaker_opens_until(silent[:4]) is None
    assert breaker_opens_until(silent) == AT + timedelta(seconds=15)
    assert breaker_opens_until(silent + silent) == AT + timedelta(minutes=5)
    well = Answer(Phase.ACKNOWLEDGED, "", AT)
    assert breaker_opens_until([well, *silent]) is None
    refused = Answer(Phase.REFUSED, "ContentRefused", AT)
    assert breaker_opens_until([*silent[:4], refused, *silent]) is None
