"""The line of what is to be sent: order, waiting, leases, switches, and a broker that may be down."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection as database
from django.db import transaction
from kombu.exceptions import OperationalError

from intents.governance.history import stamp
from intents.governance.models import KillSwitch
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import Intent, OutboxEntry, Tick
from intents.pipeline import dispatch, outbox, reconciliation, review, worklist
from intents.pipeline.delivery import faults
from intents.pipeline.dispatch.exchange import Exchange
from intents.pipeline.outbox import claiming
from tests.intents.delivery_fixtures import (
    UNDO,
    _disarmed,  # noqa: F401 - a fixture
    checkpoint,
    impatient,  # noqa: F401 - a fixture
    look,
    past_quarantine,
    posts,
    send,
    tags_held,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("impatient")]


def reporting(clinic, *, ref="c2", of="c1"):
    """A note that reports another change."""
    note = clinic.note(ref=ref)
    text = note["content"]["sections"][0]["text"]
    note["content"]["sections"][0]["acts"] = [{"span": [0, text.index(".") + 1], "change": of}]
    return note


# --- waking ---------------------------------------------------------------------------------------------


@pytest.mark.once
def test_every_task_that_is_woken_exists():
    from intents import tasks  # noqa: F401  registers them

    assert set(outbox.TASKS.values()) <= set(current_app.tasks)


@pytest.mark.fault("broker-lost")
def test_a_broker_that_is_down_is_logged_and_ignored(monkeypatch, caplog):
    def refuse(*_, **__):
        raise OperationalError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    with caplog.at_level(logging.WARNING), transaction.atomic():
        outbox.wake("dispatch")
    assert [record.task for record in caplog.records] == ["intents.dispatch_due"]


def test_nobody_is_woken_by_a_transaction_that_fails(monkeypatch):
    woken = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: woken.append(name))

    def fail():
        with transaction.atomic():
            outbox.wake("dispatch")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert woken == []
    with transaction.atomic():
        outbox.wake("dispatch")
    assert woken == ["intents.dispatch_due"]


# --- order ----------------------------------------------------------------------------------------------


def test_a_note_goes_after_the_change_that_it_reports(clinic):
    clinic.ready(changes=[reporting(clinic, ref="c1", of="c2"), clinic.problem(ref="c2")])
    send(clinic)
    assert [entry["path"] for entry in posts(clinic)] == ["Condition", "DocumentReference"]


def test_a_note_waits_while_nobody_knows_what_became_of_what_it_reports(clinic):
    proposal = clinic.ready(changes=[clinic.problem(ref="c1"), reporting(clinic)])
    clinic.practice.fault("error-after-commit", vendor="generic", method="POST", path="Condition")
    moment = send(clinic)
    assert clinic.intent(proposal, "c1").state == State.UNCERTAIN
    assert clinic.intent(proposal, "c2").state == State.APPROVED
    look(at=moment + timedelta(seconds=5))
    dispatch.drain(at=moment + timedelta(seconds=10))
    assert clinic.intent(proposal, "c2").state == State.ACCEPTED


@pytest.mark.req("003-67")
def test_a_note_whose_reported_change_was_refused_is_held(clinic):
    proposal = clinic.ready(changes=[clinic.problem(ref="c1"), reporting(clinic)])
    clinic.practice.fault(
        "outcome", vendor="generic", method="POST", path="Condition", status=422, code="invalid"
    )
    moment = send(clinic)
    dispatch.drain(at=moment + timedelta(seconds=1))
    assert clinic.intent(proposal, "c1").state == State.REJECTED
    note = clinic.intent(proposal, "c2")
    assert (note.state, note.reason.split(":")[0]) == (State.HELD, "reported-change-failed")
    assert tags_held(clinic) == 0


def test_a_note_waits_for_a_reported_change_that_is_not_decided_yet(clinic):
    proposal = clinic.propose([clinic.problem(ref="c1"), reporting(clinic)])
    clinic.screen(proposal)
    problem = clinic.intent(proposal, "c1")
    Intent.objects.filter(pk=problem.pk).update(tier="DUAL_APPROVAL")
    clinic.approve(proposal)
    assert clinic.intent(proposal, "c1").state == State.PENDING_APPROVAL
    assert clinic.intent(proposal, "c2").state == State.APPROVED
    moment = send(clinic)
    assert posts(clinic) == []
    later = moment + timedelta(minutes=1)
    clinic.approve(proposal, by="brandt", at=later)
    moment = send(clinic, at=later)
    dispatch.drain(at=moment + timedelta(seconds=5))
    assert [entry["path"] for entry in posts(clinic)] == ["Condition", "DocumentReference"]


def test_an_unknown_outcome_blocks_the_same_kind_for_the_patient_and_nothing_else(clinic):
    first = clinic.ready()
    clinic.practice.fault(
        "drop-before-commit", vendor="generic", method="POST", path="DocumentReference"
    )
    send(clinic)
    assert clinic.intent(first).state == State.UNCERTAIN
    later = clinic.at + timedelta(minutes=2)
    same_kind = clinic.ready(changes=[clinic.note("Denies cough.")], at=later)
    other_kind = clinic.ready(changes=[clinic.problem()], at=later)
    other_patient = clinic.ready(changes=[clinic.problem()], patient="P8", at=later)
    moment = send(clinic, at=later)
    assert clinic.intent(same_kind).state == State.APPROVED
    assert clinic.intent(other_kind).state == State.ACCEPTED
    assert clinic.intent(other_patient).state == State.ACCEPTED
    moment = past_quarantine(at=moment)
    look(at=moment)
    dispatch.drain(at=moment + timedelta(seconds=5))
    assert {clinic.intent(p).state for p in (first, same_kind)} == {State.ACCEPTED}


def test_one_patient_is_written_to_by_one_worker_at_a_time(clinic):
    clinic.ready(changes=[clinic.problem(ref="c1"), clinic.note(ref="c2")])
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    first = outbox.claim(at=moment)
    assert first is not None
    assert outbox.claim(at=moment) is None
    # A lease that lapsed before anything was committed leaves the entry as it was.
    again = outbox.claim(at=moment + outbox.LEASE)
    assert again is not None
    assert again.attempt_id != first.attempt_id
    dispatch.send(claimed=first, at=moment)
    assert posts(clinic) == [], "the lease went to another attempt"


def test_a_lease_from_a_clock_that_was_set_back_since_holds_nobody_up(clinic):
    clinic.ready()
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    assert outbox.claim(at=moment + timedelta(hours=5)) is not None
    assert outbox.claim(at=moment) is not None


def leased_before_the_clock_was_set_back(clinic):
    """A change leased by a worker whose clock is five minutes ahead, and another of the patient that was
    approved after the clock was set back: to whoever goes by that clock now, the lease is void.

    Returns both, the lease, and its worker's clock.
    """
    fast = clinic.at + timedelta(minutes=5)
    first = clinic.ready(at=fast)
    fast += UNDO
    checkpoint(at=fast)
    leased = outbox.claim(at=fast)
    assert leased is not None
    second = clinic.ready(changes=[clinic.note("Denies cough.")])
    checkpoint(at=clinic.at + UNDO)
    return first, second, leased, fast


@pytest.mark.fault("clock-jump")
def test_a_lease_from_before_the_clock_was_set_back_sends_nothing_beside_another_change(clinic):
    first, second, leased, fast = leased_before_the_clock_was_set_back(clinic)
    meanwhile = []

    def go_on_by_the_old_clock() -> None:
        faults.disarm()
        dispatch.send(claimed=leased, at=fast)
        meanwhile.append((clinic.intent(first).state, len(posts(clinic))))

    faults.arm("before_send", go_on_by_the_old_clock)
    dispatch.drain(at=clinic.at + UNDO)
    assert meanwhile == [(State.APPROVED, 0)]
    assert clinic.intent(second).state == State.ACCEPTED
    dispatch.drain(at=fast + timedelta(seconds=5))
    assert clinic.intent(first).state == State.ACCEPTED
    assert (len(posts(clinic)), tags_held(clinic)) == (2, 2)


@pytest.mark.fault("clock-jump")
def test_a_lease_from_before_the_clock_was_set_back_does_not_overtake_what_nobody_knows_of(clinic):
    first, second, leased, fast = leased_before_the_clock_was_set_back(clinic)
    clinic.practice.fault(
        "drop-before-commit", vendor="generic", method="POST", path="DocumentReference"
    )
    dispatch.drain(at=clinic.at + UNDO)
    assert clinic.intent(second).state == State.UNCERTAIN
    dispatch.send(claimed=leased, at=fast)
    assert clinic.intent(first).state == State.APPROVED
    assert len(posts(clinic)) == 1


@pytest.mark.fault("workers-race")
def test_of_two_changes_of_one_patient_that_begin_at_once_one_waits(clinic):
    first, second, leased, fast = leased_before_the_clock_was_set_back(clinic)
    meanwhile = []

    def go_on_by_the_old_clock() -> None:
        with tenant_context(clinic.tenant.pk):
            dispatch.send(claimed=leased, at=fast)
            meanwhile.append((clinic.intent(first).state, len(posts(clinic))))
        database.close()

    other = threading.Thread(target=go_on_by_the_old_clock)

    def begin_too() -> None:
        faults.disarm()
        faults.arm("before_send", wait_for_the_other)
        other.start()
        # It waits for this very transaction.
        other.join(timeout=1)

    def wait_for_the_other() -> None:
        faults.disarm()
        other.join()

    faults.arm("before_claim_commit", begin_too)
    dispatch.drain(at=clinic.at + UNDO)
    assert meanwhile == [(State.APPROVED, 0)]
    assert clinic.intent(second).state == State.ACCEPTED


@pytest.mark.req("003-67")
@pytest.mark.parametrize("decision", ["sent again", "given up"])
def test_a_leased_note_waits_or_stops_when_what_it_reports_moves_on(clinic, decision):
    proposal = clinic.propose([clinic.problem(ref="c1"), reporting(clinic)])
    clinic.screen(proposal)
    note = clinic.intent(proposal, "c2")
    Intent.objects.filter(pk=note.pk).update(tier="DUAL_APPROVAL")
    clinic.approve(proposal)
    clinic.practice.fault(
        "outcome", vendor="generic", method="POST", path="Condition", status=403, code="forbidden"
    )
    moment = send(clinic)
    problem = clinic.intent(proposal, "c1")
    assert problem.state == State.FAILED
    # Whoever approves the note now knows that.
    clinic.approve(proposal, by="brandt", at=moment + timedelta(minutes=1))
    moment += timedelta(minutes=1) + UNDO
    checkpoint(at=moment)
    leased = outbox.claim(at=moment)
    assert leased is not None
    assert leased.intent_id == note.pk
    operator = clinic.person("singh")
    if decision == "sent again":
        reconciliation.operator_resend(intent_id=problem.pk, operator=operator, at=moment)
    else:
        reconciliation.operator_give_up(
            intent_id=problem.pk, operator=operator, reason="Not needed.", at=moment
        )
    dispatch.send(claimed=leased, at=moment)
    assert [entry["path"] for entry in posts(clinic)] == ["Condition"]
    note = clinic.intent(proposal, "c2")
    if decision == "given up":
        assert (note.state, note.reason.split(":")[0]) == (State.HELD, "reported-change-failed")
        return
    assert note.state == State.APPROVED
    moment += timedelta(seconds=5)
    dispatch.drain(at=moment)
    assert [entry["path"] for entry in posts(clinic)] == ["Condition"] * 2 + ["DocumentReference"]


# --- switches and silence ----------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["tenant", "connection"])
def test_writing_that_is_switched_off_sends_nothing(clinic, whose):
    proposal = clinic.ready()
    intent = clinic.intent(proposal)
    row = clinic.tenant if whose == "tenant" else intent.connection
    row.write_back_enabled = False
    stamp(row, actor=INSTALLATION, at=clinic.at)
    row.save()
    send(clinic)
    assert clinic.intent(proposal).state == State.APPROVED
    assert posts(clinic) == []


def test_one_stopped_connection_does_not_hold_up_the_others(clinic):
    stopped = clinic.ready()
    other = clinic.ready(vendor="epic")
    with transaction.atomic():
        KillSwitch.engage(
            target="CONNECTION",
            reason="test",
            actor=INSTALLATION,
            at=clinic.at,
            tenant=clinic.tenant,
            connection=clinic.intent(stopped).connection,
        )
    send(clinic)
    assert clinic.intent(stopped).state == State.APPROVED
    assert clinic.intent(other).state == State.ACCEPTED


@pytest.mark.req("003-31")
@pytest.mark.fault("slowed-down")
def test_an_ehr_that_stays_silent_is_left_alone_and_then_tried_once(clinic):
    patients = ["P1", "P3", "P4", "P5", "P8", "P7"]
    for patient in patients:
        clinic.ready(changes=[clinic.problem()], patient=patient)
    clinic.practice.fault(
        "drop-before-commit", vendor="generic", method="GET", path="Patient", times=100
    )
    moment = send(clinic)
    tried = Intent.objects.filter(ledger__phase="NOT_SENT").distinct().count()
    assert tried == 5, "the sixth is not tried any more"
    moment += timedelta(seconds=25)
    dispatch.drain(at=moment)
    ended = OutboxEntry.objects.filter(attempts__gt=0).count()
    attempts = sum(OutboxEntry.objects.values_list("attempts", flat=True))
    assert (ended, attempts) in {(5, 6), (6, 6)}, "one attempt, which began with a reading"
    clinic.practice.clear_faults()
    for minutes in range(2, 40, 6):
        dispatch.drain(at=moment + timedelta(minutes=minutes))
    assert set(Intent.objects.values_list("state", flat=True)) == {State.ACCEPTED}


def test_a_hanging_ehr_holds_no_more_than_its_share_of_the_workers(clinic):
    with transaction.atomic():
        clinic.connection().change(actor=INSTALLATION, at=clinic.at, writes_at_once=2)
    for patient in ("P1", "P3", "P4"):
        clinic.ready(changes=[clinic.problem()], patient=patient)
    other = clinic.ready(vendor="epic", patient="P5", changes=[clinic.problem(vendor="epic")])
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    claimed = [outbox.claim(at=moment) for _ in range(4)]
    assert claimed[3] is None
    assert clinic.intent(other).pk in {each.intent_id for each in claimed[:3]}


def test_workers_that_claim_at_once_keep_together_to_what_a_connection_takes(clinic, monkeypatch):
    with transaction.atomic():
        clinic.connection().change(actor=INSTALLATION, at=clinic.at, writes_at_once=2)
    for patient in ("P3", "P4", "P5", "P8", "P7"):
        clinic.ready(changes=[clinic.problem()], patient=patient)
    clinic.ready(changes=[clinic.problem(ref="c1"), clinic.note(ref="c2")])
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    chosen, lease = threading.Barrier(4), claiming._lease

    def lease_together(*args, **kwargs):
        with suppress(threading.BrokenBarrierError):
            chosen.wait(timeout=5)
        return lease(*args, **kwargs)

    def claim():
        try:
            return outbox.claim_some(at=moment, most=2)
        finally:
            database.close()

    monkeypatch.setattr(claiming, "_lease", lease_together)
    with ThreadPoolExecutor(max_workers=4) as workers:
        claimed = [
            one for each in [workers.submit(claim) for _ in range(4)] for one in each.result()
        ]
    # SQLite and PostgreSQL may let somebody go away empty-handed; the next look finds what is left.
    claimed += outbox.claim_some(at=moment, most=2)
    assert len(claimed) == 2
    entries = OutboxEntry.objects.filter(pk__in=[one.entry_id for one in claimed])
    assert len({entry.shard_key for entry in entries}) == 2
    assert {entry.attempt_id for entry in entries} == {one.attempt_id for one in claimed}


def test_a_busy_connection_with_a_long_queue_does_not_hide_another_behind_it(clinic, monkeypatch):
    monkeypatch.setattr(claiming, "_MOST", 4)
    for patient in ("P1", "P3", "P4", "P8", "P7"):
        clinic.ready(changes=[clinic.problem()], patient=patient)
    later = clinic.at + timedelta(seconds=30)
    other = clinic.ready(
        vendor="epic", patient="P5", changes=[clinic.problem(vendor="epic")], at=later
    )
    moment = later + UNDO
    checkpoint(at=moment)
    claimed = outbox.claim_some(at=moment, most=20)
    assert len(claimed) == 4, "three at once on the one, and the other one's only change"
    assert clinic.intent(other).pk in {one.intent_id for one in claimed}
    assert outbox.claim_some(at=moment, most=20) == []


# --- several at once ------------------------------------------------------------------------------------


def test_a_worker_writes_to_many_patients_at_once_and_to_one_patient_in_order(clinic, monkeypatch):
    with transaction.atomic():
        clinic.connection().change(actor=INSTALLATION, at=clinic.at, writes_at_once=3)
    clinic.ready(changes=[reporting(clinic, ref="c1", of="c2"), clinic.problem(ref="c2")])
    for patient in ("P3", "P4", "P5", "P8"):
        clinic.ready(changes=[clinic.problem()], patient=patient)
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    on_the_way, most, together = set(), [], threading.Barrier(3)
    play = Exchange.play

    def watched(self):
        on_the_way.add(self.begun.entry.shard_key)
        most.append(len(on_the_way))
        with suppress(threading.BrokenBarrierError):
            together.wait(timeout=2)
        try:
            return play(self)
        finally:
            on_the_way.discard(self.begun.entry.shard_key)

    monkeypatch.setattr(Exchange, "play", watched)
    woken = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: woken.append(name))
    assert dispatch.drain_at_once(at=moment, threads=8) == 6
    assert max(most) == 3, "as many as the connection takes"
    assert set(Intent.objects.values_list("state", flat=True)) == {State.ACCEPTED}
    paths = [entry["path"] for entry in posts(clinic)]
    assert paths.count("Condition") == 5
    assert paths.index("DocumentReference") > 0, "after the problem that it reports"
    assert 1 <= woken.count("intents.reconcile_due") < 6, "told together, and told"


def test_a_worker_that_is_asked_again_while_it_works_looks_again(clinic, monkeypatch):
    clinic.ready()
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    play, asked_meanwhile, done = Exchange.play, [], []

    def watched(self):
        if not done:
            done.append(True)
            clinic.ready(changes=[clinic.problem()], patient="P3")
            checkpoint(at=moment)
            asked_meanwhile.append(dispatch.drain_at_once(at=moment, threads=2))
        return play(self)

    monkeypatch.setattr(Exchange, "play", watched)
    assert dispatch.drain_at_once(at=moment, threads=2) == 2
    assert asked_meanwhile == [0]
    assert len(posts(clinic)) == 2


# --- a database that took over --------------------------------------------------------------------------


@pytest.mark.fault("failover")
def test_a_failover_holds_all_sending_for_one_quarantine_and_the_opaque_for_people(
    clinic, monkeypatch
):
    findable = clinic.ready()
    opaque = clinic.ready(vendor="epic", changes=[clinic.problem(vendor="epic")])
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    monkeypatch.setattr(Tick, "timeline_now", lambda: 1)
    assert outbox.notice_failover(at=moment) is None
    monkeypatch.setattr(Tick, "timeline_now", lambda: 2)
    assert dispatch.drain(at=moment) == 0
    assert clinic.intent(findable).state == State.APPROVED
    held = clinic.intent(opaque)
    assert (held.state, held.reason.split(":")[0]) == (State.HELD, "database-restored")
    assert dispatch.drain(at=moment + timedelta(hours=1)) == 0, "ticks count, not the wall clock"
    Tick.advance(at=moment, by=100)
    assert dispatch.drain(at=moment) == 1
    assert clinic.intent(findable).state == State.ACCEPTED


def taken_over(monkeypatch, *, at) -> None:
    """The timeline of the database is known, and then another one."""
    monkeypatch.setattr(Tick, "timeline_now", lambda: 1)
    outbox.notice_failover(at=at)
    monkeypatch.setattr(Tick, "timeline_now", lambda: 2)


@pytest.mark.fault("failover")
def test_a_failover_in_the_middle_of_a_drain_stops_the_next_claim(clinic, monkeypatch):
    first, second = clinic.ready(patient="P1"), clinic.ready(patient="P3")
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    monkeypatch.setattr(Tick, "timeline_now", lambda: 1)
    outbox.notice_failover(at=moment)
    # The first worker that stands just before its socket sees it happen; the change after it waits.
    faults.arm(
        "after_send",
        lambda: monkeypatch.setattr(Tick, "timeline_now", lambda: 2),
    )
    assert dispatch.drain(at=moment) == 1
    states = sorted(clinic.intent(one).state for one in (first, second))
    assert states == [State.ACCEPTED, State.APPROVED]
    assert dispatch.drain(at=moment) == 0, "held for one quarantine"


@pytest.mark.fault("failover")
def test_after_a_failover_what_no_search_finds_is_held_whether_leased_or_not_due(
    clinic, monkeypatch
):
    opaque = clinic.ready(vendor="epic", changes=[clinic.problem(vendor="epic")])
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    assert outbox.claim(at=moment) is not None
    taken_over(monkeypatch, at=moment)
    dispatch.drain(at=moment - timedelta(minutes=5))  # by a clock that was set back
    held = clinic.intent(opaque)
    assert (held.state, held.reason.split(":")[0]) == (State.HELD, "database-restored")


@pytest.mark.fault("failover")
def test_an_approval_does_not_run_out_before_it_is_known_what_the_database_forgot(
    clinic, monkeypatch
):
    proposal = clinic.ready()
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    taken_over(monkeypatch, at=moment)
    later = clinic.intent(proposal).approval_expires_at
    assert worklist.expire_due(at=later) == 0
    dispatch.drain(at=later)
    assert clinic.intent(proposal).state == State.HELD, "whether it was sent is a person's question"


@pytest.mark.fault("failover")
def test_nobody_recalls_what_may_have_been_sent_before_a_failover(clinic, monkeypatch):
    proposal = clinic.ready()
    moment = clinic.at + UNDO
    checkpoint(at=moment)
    taken_over(monkeypatch, at=moment)
    recall = {
        "intent_id": clinic.intent(proposal).pk,
        "member": clinic.person("ansah"),
        "reason_code": "not-wanted",
    }
    with pytest.raises(review.TooLateToUndo):
        review.recall(**recall, at=moment)
    dispatch.drain(at=moment)
    with pytest.raises(review.TooLateToUndo):
        review.recall(**recall, at=moment)
    Tick.advance(at=moment, by=1000)
    assert review.recall(**recall, at=moment).state == State.CANCELLED


@pytest.mark.fault("failover")
def test_a_send_that_a_failover_forgot_is_found_by_the_search_before_sending(clinic):
    proposal = clinic.ready()
    moment = send(clinic)
    intent = clinic.intent(proposal)
    assert intent.state == State.ACCEPTED
    # The stand-by never saw the commits of the attempt.
    from audit.models import AuditEvent
    from intents.models import WriteLedgerEntry
    from tests.intents.delivery_fixtures import without_triggers

    with without_triggers():
        WriteLedgerEntry.objects.filter(intent=intent)._raw_delete("default")
        AuditEvent.objects.filter(
            intent_id=str(intent.pk), tag__startswith="intent:write:s"
        )._raw_delete("default")
        AuditEvent.objects.filter(
            intent_id=str(intent.pk), tag="intent:write:accepted"
        )._raw_delete("default")
    Intent.objects.filter(pk=intent.pk).update(state=State.APPROVED)
    OutboxEntry.objects.filter(intent=intent).update(
        closed_at=None, attempt_id=None, attempts=0, quarantine_until_tick=None
    )
    # Where the clock has ticked, the witness outside the database tells, and all sending is held first.
    dispatch.drain(at=moment + timedelta(seconds=60))
    Tick.advance(at=moment, by=1000)
    dispatch.drain(at=moment + timedelta(seconds=60))
    assert clinic.intent(proposal).state == State.ACCEPTED
    assert (len(posts(clinic)), tags_held(clinic)) == (1, 1)


def test_postgresql_tells_its_timeline_and_sqlite_has_none():
    timeline = Tick.timeline_now()
    assert (timeline is None) == (database.vendor != "postgresql")
    if timeline is not None:
        assert timeline >= 1


def test_corrections_end_what_they_correct(clinic):
    first = clinic.ready()
    moment = send(clinic)
    second = clinic.ready(changes=[clinic.note("Denies cough.")], at=moment)
    Intent.objects.filter(pk=clinic.intent(second).pk).update(corrects=clinic.intent(first).pk)
    send(clinic, at=moment)
    assert clinic.intent(second).state == State.ACCEPTED
    assert clinic.intent(first).state == State.SUPERSEDED


def test_whatever_an_ehr_answers_with_fits_its_column():
    from intents.models import WriteLedgerEntry
    from intents.pipeline.outbox.recording import _fitted

    for column in ("vendor_code", "resource_ref", "endpoint", "token_scope"):
        longest = WriteLedgerEntry._meta.get_field(column).max_length
        one, other = "x" * 5000, "x" * 4999 + "y"
        assert len(_fitted(WriteLedgerEntry, column, one)) == longest
        assert _fitted(WriteLedgerEntry, column, one) != _fitted(WriteLedgerEntry, column, other)
        assert _fitted(WriteLedgerEntry, column, "short") == "short"
