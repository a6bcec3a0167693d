"""What really happened: settled by evidence, confirmed by reading back, and the rest by people."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from audit import integrity
from intents.governance.history import stamp
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import Discrepancy, Intent, Tick, WriteLedgerEntry
from intents.pipeline import dispatch, outbox, reconciliation, review
from intents.pipeline.delivery import faults
from intents.pipeline.reconciliation import looking
from tests.intents.delivery_fixtures import (
    Killed,
    _disarmed,  # noqa: F401 - a fixture
    checkpoint,
    entry_of,
    impatient,  # noqa: F401 - a fixture
    kill_at,
    look,
    past_quarantine,
    phases,
    posts,
    send,
    tags_held,
    tags_of,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("impatient")]

SEEN = "Opened the problem list of the patient at 10:12; it is the second entry."


@pytest.fixture
def uncertain(clinic):
    """An Epic problem whose answer was lost; nothing can find it."""
    proposal = clinic.ready(changes=[clinic.problem(vendor="epic")], vendor="epic")
    clinic.practice.fault("error-after-commit", vendor="epic", method="POST", path="Condition")
    return proposal, send(clinic)


def settle(clinic, intent, *, by="singh", found=True, evidence=SEEN, at, **more) -> Intent:
    return reconciliation.operator_settle(
        intent_id=intent.pk,
        operator=clinic.person(by),
        found=found,
        evidence=evidence,
        at=at,
        **more,
    )


def look_each_sweep(intent: Intent) -> None:
    """As the demo has it: what waits in the EHR is looked for at every sweep."""
    connection = intent.connection
    connection.settings = {**connection.settings, "staged_look_seconds": 0}
    stamp(connection, actor=INSTALLATION, at=connection.created_at)
    connection.save()


# --- staged ---------------------------------------------------------------------------------------------


def test_a_staged_problem_waits_for_three_sweeps_and_is_found_when_somebody_accepts_it(clinic):
    proposal = clinic.propose([clinic.problem(vendor="epic")], vendor="epic")
    look_each_sweep(clinic.intent(proposal))
    clinic.screen(proposal)
    clinic.approve(proposal)
    moment = send(clinic)
    for sweep in range(3):
        moment += timedelta(seconds=10)
        assert look(at=moment) == 1, f"sweep {sweep}"
        intent = clinic.intent(proposal)
        assert (intent.state, intent.finality) == (State.ACCEPTED, "staged")
        assert not Discrepancy.objects.exists()
    reference = intent.resource_ref
    clinic.practice.lever("accept_staged", vendor="epic", reference=reference)
    look(at=moment + timedelta(seconds=10))
    intent = clinic.intent(proposal)
    assert intent.state == State.RECONCILED
    assert phases(intent) == ["SENT", "ACKNOWLEDGED", "READ_BACK"]
    assert len(posts(clinic, vendor="epic")) == 1


def test_a_staged_entry_is_looked_for_once_a_day_unless_the_connection_says_otherwise(clinic):
    # The made-up clinic's connections ask for more, so that somebody can watch.
    connection = clinic.connection("epic")
    connection.settings = {}
    stamp(connection, actor=INSTALLATION, at=clinic.at)
    connection.save()
    clinic.ready(changes=[clinic.problem(vendor="epic")], vendor="epic")
    moment = send(clinic)
    assert look(at=moment + timedelta(seconds=10)) == 1
    assert look(at=moment + timedelta(hours=23)) == 0
    assert look(at=moment + timedelta(hours=25)) == 1


def test_a_staged_entry_that_nobody_takes_up_goes_to_the_work_list(clinic):
    proposal = clinic.ready(changes=[clinic.problem(vendor="epic")], vendor="epic")
    moment = send(clinic)
    look(at=moment + timedelta(days=13))
    assert not Discrepancy.objects.exists()
    look(at=moment + timedelta(days=15))
    [discrepancy] = Discrepancy.objects.all()
    assert (discrepancy.kind, discrepancy.resolved_at) == ("missing", None)
    assert clinic.intent(proposal).state == State.ACCEPTED
    # Accepted after all: it closes by itself.
    clinic.practice.lever(
        "accept_staged", vendor="epic", reference=clinic.intent(proposal).resource_ref
    )
    look(at=moment + timedelta(days=17))
    discrepancy.refresh_from_db()
    assert discrepancy.resolution == "turned-up"
    assert clinic.intent(proposal).state == State.RECONCILED


# --- read-back ------------------------------------------------------------------------------------------


def test_a_colleagues_edit_after_the_write_is_told_from_a_mangled_write(clinic):
    proposal = clinic.ready(changes=[clinic.problem()])
    moment = send(clinic)
    intent = clinic.intent(proposal)
    clinic.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=intent.resource_ref,
        set={"/verificationStatus/coding/0/code": "refuted"},
    )
    look(at=moment + timedelta(seconds=5))
    [discrepancy] = Discrepancy.objects.all()
    assert discrepancy.kind == "human-edited"
    assert "/verificationStatus/coding/0/code" in discrepancy.paths
    assert "intent:discrepancy:opened" in tags_of(intent)
    assert clinic.intent(proposal).state == State.ACCEPTED
    look(at=moment + timedelta(minutes=5))
    assert Discrepancy.objects.count() == 1, "one open per change and kind"


def test_an_acknowledged_entry_that_is_gone_is_missing_and_never_sent_again(clinic):
    proposal = clinic.ready(changes=[clinic.problem()])
    moment = send(clinic)
    intent = clinic.intent(proposal)
    clinic.practice.lever("remove", vendor="generic", reference=intent.resource_ref)
    look(at=moment + timedelta(seconds=5))
    assert not Discrepancy.objects.exists(), "the index has its time first"
    moment = past_quarantine(at=moment)
    look(at=moment)
    [discrepancy] = Discrepancy.objects.all()
    assert discrepancy.kind == "missing"
    dispatch.drain(at=moment + timedelta(seconds=5))
    assert len(posts(clinic)) == 1
    resolved = reconciliation.operator_resolve(
        discrepancy_id=discrepancy.pk,
        operator=clinic.person("singh"),
        resolution="not-wanted",
        evidence="Dr Lam took it out at 10:20, she says it was entered twice.",
        at=moment,
    )
    assert resolved.resolution == "not-wanted"
    intent = clinic.intent(proposal)
    assert intent.state == State.RECONCILED
    [said] = WriteLedgerEntry.objects.filter(intent=intent, phase="ATTESTED")
    assert said.phi("evidence").startswith("Dr Lam")
    assert "Lam" not in said.evidence


def test_an_ehr_that_cannot_be_asked_changes_nothing(clinic):
    proposal = clinic.ready()
    moment = send(clinic)
    clinic.practice.fault("drop-before-commit", vendor="generic", method="GET", times=20)
    look(at=moment + timedelta(seconds=5))
    clinic.practice.clear_faults()
    intent = clinic.intent(proposal)
    assert intent.state == State.ACCEPTED
    assert intent.last_looked_at is not None
    assert not Discrepancy.objects.exists()
    look(at=moment + timedelta(seconds=60))
    assert clinic.intent(proposal).state == State.RECONCILED


def test_a_look_that_was_overtaken_writes_nothing(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "error-before-commit", vendor="generic", method="POST", path="DocumentReference"
    )
    moment = past_quarantine(at=send(clinic))
    intent = clinic.intent(proposal)

    def somebody_else_was_first() -> None:
        faults.disarm()
        settle(clinic, intent, found=False, at=moment)

    faults.arm("after_look", somebody_else_was_first)
    reconciliation.settle(intent_id=intent.pk, at=moment)
    intent = clinic.intent(proposal)
    assert intent.state == State.FAILED
    assert "ABSENT" not in phases(intent)


def test_a_reconciler_that_dies_between_looking_and_writing_leaves_the_question_open(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "error-after-commit", vendor="generic", method="POST", path="DocumentReference"
    )
    moment = send(clinic)
    kill_at("after_look")
    with pytest.raises(Killed):
        reconciliation.settle(
            intent_id=clinic.intent(proposal).pk, at=moment + timedelta(seconds=5)
        )
    assert clinic.intent(proposal).state == State.UNCERTAIN
    look(at=moment + timedelta(seconds=10))
    assert clinic.intent(proposal).state == State.ACCEPTED


def test_a_late_answer_of_an_opaque_write_names_the_entry_that_settles_it(clinic):
    proposal = clinic.ready(vendor="epic")
    clinic.practice.fault(
        "error-after-commit", vendor="epic", method="POST", path="DocumentReference"
    )
    moment = send(clinic)
    intent = clinic.intent(proposal)
    look(at=moment + timedelta(seconds=5))
    assert clinic.intent(proposal).state == State.UNCERTAIN
    [written] = clinic.written(vendor="epic")
    WriteLedgerEntry.write(
        entry=entry_of(intent),
        attempt_id=entry_of(intent).attempt_id,
        phase=WriteLedgerEntry.Phase.STRAY,
        outcome="acknowledged",
        resource_ref=written["reference"],
        actor=looking.RECONCILER,
        at=moment,
        tick=0,
    )
    look(at=moment + timedelta(minutes=2))
    assert clinic.intent(proposal).state == State.ACCEPTED
    assert clinic.intent(proposal).resource_ref == written["reference"]


def test_two_entries_with_our_mark_are_a_duplicate_for_a_person(clinic):
    proposal = clinic.ready(changes=[clinic.problem()])
    clinic.practice.fault("error-after-commit", vendor="generic", method="POST", path="Condition")
    moment = send(clinic)
    [written] = clinic.written(kind="Condition")
    twin = {k: v for k, v in written["content"].items() if k not in ("id", "meta")}
    clinic.practice.lever("add_resource", vendor="generic", patient="P1", resource=twin)
    look(at=moment + timedelta(seconds=5))
    intent = clinic.intent(proposal)
    assert intent.state == State.UNCERTAIN
    [discrepancy] = Discrepancy.objects.all()
    assert discrepancy.kind == "duplicate"
    moment = past_quarantine(at=moment)
    look(at=moment)
    dispatch.drain(at=moment + timedelta(seconds=5))
    assert len(posts(clinic)) == 1


@pytest.mark.fault("failover")
def test_absence_proves_nothing_between_a_failover_and_its_being_noticed(clinic, monkeypatch):
    proposal = clinic.ready()
    clinic.practice.fault(
        "error-before-commit", vendor="generic", method="POST", path="DocumentReference"
    )
    monkeypatch.setattr(Tick, "timeline_now", lambda: 1)
    moment = past_quarantine(at=send(clinic))
    intent = clinic.intent(proposal)
    assert intent.state == State.UNCERTAIN
    monkeypatch.setattr(Tick, "timeline_now", lambda: 2)
    assert reconciliation.settle(intent_id=intent.pk, at=moment).state == State.UNCERTAIN
    with pytest.raises(reconciliation.StillInQuarantine):
        settle(clinic, intent, found=False, at=moment)
    dispatch.drain(at=moment)  # which notices, and lets the quarantine begin again
    assert reconciliation.settle(intent_id=intent.pk, at=moment).state == State.UNCERTAIN
    moment = past_quarantine(at=moment)
    assert reconciliation.settle(intent_id=intent.pk, at=moment).state == State.APPROVED


# --- people ---------------------------------------------------------------------------------------------


def test_an_operator_settles_with_evidence_and_nobody_else_does(clinic, uncertain):
    proposal, moment = uncertain
    intent = clinic.intent(proposal)
    for who in ("reyes", "ansah", "dahl"):
        with pytest.raises(reconciliation.OperatorOnly):
            settle(clinic, intent, by=who, at=moment)
    with pytest.raises(reconciliation.EvidenceNeeded):
        settle(clinic, intent, evidence="  ", at=moment)
    settled = settle(clinic, intent, resource_ref="Condition/e123", at=moment)
    assert (settled.state, settled.resource_ref) == (State.ACCEPTED, "Condition/e123")
    [said] = WriteLedgerEntry.objects.filter(intent=intent, phase="ATTESTED")
    assert said.phi("evidence") == SEEN
    with pytest.raises(reconciliation.NotSettleable):
        settle(clinic, intent, found=False, at=moment)


def test_absence_is_believed_after_the_quarantine_only_whoever_says_so(clinic, uncertain):
    proposal, moment = uncertain
    intent = clinic.intent(proposal)
    with pytest.raises(reconciliation.StillInQuarantine):
        settle(clinic, intent, found=False, at=moment)
    moment = past_quarantine(at=moment)
    assert settle(clinic, intent, found=False, at=moment).state == State.FAILED


def test_a_person_decides_to_send_again_what_machines_may_not(clinic, uncertain):
    proposal, moment = uncertain
    intent = clinic.intent(proposal)
    moment = past_quarantine(at=moment)
    with pytest.raises(reconciliation.ApprovalRanOut):
        settle(clinic, intent, found=False, resend=True, at=moment + timedelta(days=2))
    settled = settle(clinic, intent, found=False, resend=True, at=moment)
    assert settled.state == State.APPROVED
    dispatch.drain(at=moment + timedelta(seconds=1))
    assert clinic.intent(proposal).state == State.ACCEPTED
    first, second = posts(clinic, vendor="epic")
    assert first["body_sha256"] == second["body_sha256"], "the same bytes, the same tag"


def test_what_cannot_be_read_back_is_confirmed_by_a_person(clinic):
    proposal = clinic.ready(changes=[clinic.problem(vendor="epic")], vendor="epic")
    moment = send(clinic)
    settled = settle(clinic, clinic.intent(proposal), at=moment)
    assert settled.state == State.RECONCILED


def a_failed_change(clinic):
    """Refused for want of permission: known not to be written."""
    proposal = clinic.ready()
    clinic.practice.fault(
        "outcome",
        vendor="generic",
        method="POST",
        path="DocumentReference",
        status=403,
        code="forbidden",
    )
    moment = send(clinic)
    assert clinic.intent(proposal).state == State.FAILED
    return proposal, moment


def test_a_failed_change_is_sent_again_under_the_same_approval(clinic):
    proposal, moment = a_failed_change(clinic)
    intent = clinic.intent(proposal)
    with pytest.raises(reconciliation.ApprovalRanOut):
        reconciliation.operator_resend(
            intent_id=intent.pk, operator=clinic.person("singh"), at=moment + timedelta(days=2)
        )
    reconciliation.operator_resend(intent_id=intent.pk, operator=clinic.person("singh"), at=moment)
    dispatch.drain(at=moment + timedelta(seconds=1))
    assert clinic.intent(proposal).state == State.ACCEPTED
    assert intent.outbox_entries.count() == 2
    assert tags_held(clinic) == 1


def test_a_failed_change_is_given_up_with_words_that_stay_sealed(clinic):
    proposal, moment = a_failed_change(clinic)
    intent = clinic.intent(proposal)
    reconciliation.operator_give_up(
        intent_id=intent.pk,
        operator=clinic.person("singh"),
        reason="Mrs Okonkwo has moved away.",
        at=moment,
    )
    intent = clinic.intent(proposal)
    assert (intent.state, "Okonkwo" in intent.reason) == (State.CANCELLED, False)
    [said] = WriteLedgerEntry.objects.filter(intent=intent, phase="ATTESTED")
    assert said.phi("evidence") == "Mrs Okonkwo has moved away."


def test_an_unknown_outcome_tells_its_owner_once_after_a_quarter_of_an_hour(
    clinic, uncertain, caplog
):
    proposal, moment = uncertain
    with caplog.at_level(logging.WARNING, logger="intents.pipeline.reconciliation.sweeping"):
        look(at=moment + timedelta(minutes=14))
        assert "intent:lifecycle:escalated" not in tags_of(clinic.intent(proposal))
        for minutes in (16, 20, 60):
            look(at=moment + timedelta(minutes=minutes))
    told = [tag for tag in tags_of(clinic.intent(proposal)) if tag == "intent:lifecycle:escalated"]
    assert len(told) == 1
    assert [record.code for record in caplog.records] == ["outcome-unknown"]


def test_a_sweep_goes_on_when_one_change_cannot_be_looked_for(clinic, monkeypatch, caplog):
    first, second = clinic.ready(), clinic.ready(changes=[clinic.problem()], patient="P8")
    moment = send(clinic)
    original = looking.confirm
    broken = clinic.intent(first).pk

    def confirm(*, intent_id, at):
        if intent_id == broken:
            raise ZeroDivisionError
        return original(intent_id=intent_id, at=at)

    monkeypatch.setattr(reconciliation.sweeping, "confirm", confirm)
    with caplog.at_level(logging.ERROR):
        look(at=moment + timedelta(seconds=5))
    assert clinic.intent(second).state == State.RECONCILED
    assert [record.error for record in caplog.records] == ["ZeroDivisionError"]


def test_a_difference_is_given_to_a_person_and_settled_by_one(clinic):
    proposal = clinic.ready(changes=[clinic.problem()])
    moment = send(clinic)
    clinic.practice.lever(
        "edit_as_colleague",
        vendor="generic",
        reference=clinic.intent(proposal).resource_ref,
        set={"/verificationStatus/coding/0/code": "refuted"},
    )
    look(at=moment + timedelta(seconds=5))
    [discrepancy] = Discrepancy.objects.all()
    assert discrepancy.owner == "Dr A. Reyes"
    reconciliation.assign(
        discrepancy_id=discrepancy.pk,
        member=clinic.person("singh"),
        owner="R. Singh",
        at=moment,
    )
    for resolution, evidence in (("whatever", SEEN), ("ehr-is-right", "")):
        with pytest.raises(reconciliation.EvidenceNeeded):
            reconciliation.operator_resolve(
                discrepancy_id=discrepancy.pk,
                operator=clinic.person("singh"),
                resolution=resolution,
                evidence=evidence,
                at=moment,
            )
    # The reviewer who owns it may settle it as well.
    reconciliation.operator_resolve(
        discrepancy_id=discrepancy.pk,
        operator=clinic.person("reyes"),
        resolution="ehr-is-right",
        evidence=SEEN,
        at=moment,
    )
    assert clinic.intent(proposal).state == State.RECONCILED
    with pytest.raises(reconciliation.NotSettleable):
        reconciliation.operator_resolve(
            discrepancy_id=discrepancy.pk,
            operator=clinic.person("singh"),
            resolution="ehr-is-right",
            evidence=SEEN,
            at=moment,
        )


def test_the_log_of_an_eventful_day_verifies(clinic):
    clinic.ready()
    moment = clinic.deliver()
    lost = clinic.ready(changes=[clinic.problem()], at=moment)
    clinic.practice.fault("error-before-commit", vendor="generic", method="POST", path="Condition")
    moment = past_quarantine(at=send(clinic, at=moment))
    look(at=moment)
    dispatch.drain(at=moment + timedelta(seconds=5))
    undone = clinic.ready(changes=[clinic.problem()], patient="P8", at=moment)
    review.undo(
        proposal_id=undone.pk,
        reviewer=clinic.person("reyes"),
        at=moment + timedelta(seconds=3),
    )
    clinic.approve(undone, at=moment + timedelta(seconds=40))
    moment = clinic.deliver(at=moment + timedelta(seconds=40))
    look(at=moment + timedelta(minutes=1))
    assert {clinic.intent(p).state for p in (lost, undone)} == {State.RECONCILED}
    checkpoint(at=moment + timedelta(minutes=2))
    report = integrity.check()
    assert report.holds, report.first


def test_ticks_are_counted_as_short_as_they_can_come_and_leave_room_for_the_one_in_progress(
    settings,
):
    settings.TICK_SECONDS = 2.0
    assert outbox.ticks(18) == 11
    assert outbox.ticks(18.1) == 12
    moment = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    began = Tick.beat(at=moment, period=timedelta(seconds=2))
    end = began + outbox.ticks(60)
    waited = 0.0
    while Tick.now() < end:  # messages that come as early as they are taken
        waited += 1.8
        Tick.beat(at=moment + timedelta(seconds=waited), period=timedelta(seconds=2))
    assert waited >= 60


def test_a_wall_clock_that_is_set_back_again_and_again_makes_no_tick_too_many_and_no_standstill(db):
    period = timedelta(seconds=1)
    moment = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    began = Tick.beat(at=moment, period=period)
    for times in range(1, 20):
        assert Tick.beat(at=moment - timedelta(minutes=times), period=period) == began
    moment -= timedelta(minutes=19)
    assert Tick.beat(at=moment + timedelta(seconds=0.5), period=period) == began
    assert Tick.beat(at=moment + timedelta(seconds=1), period=period) == began + 1
