"""Sending: once, what was approved, after verifying it; and what every fault leaves behind."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db import connection as database

from audit.models import AuditEvent
from ehr_adapters.contract import WirePlan
from intents.governance.history import stamp
from intents.governance.models import KillSwitch, PolicyVersion
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import Discrepancy, Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline import dispatch, outbox, reconciliation
from intents.pipeline.delivery import faults
from tests.intents.delivery_fixtures import (
    Killed,
    _disarmed,  # noqa: F401 - a fixture
    checkpoint,
    entry_of,
    impatient,  # noqa: F401 - a fixture
    kill_at,
    lapse,
    look,
    overwrite,
    past_quarantine,
    phases,
    posts,
    send,
    tags_held,
    tags_of,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("impatient")]


def the(clinic, proposal) -> Intent:
    return clinic.intent(proposal)


# --- the usual way -------------------------------------------------------------------------------


@pytest.mark.req("001-29", "003-47", "003-56")
def test_an_approved_note_is_sent_once_as_frozen_and_read_back(clinic):
    proposal = clinic.ready()
    intent = the(clinic, proposal)
    plan = WirePlan.from_json(intent.current_screening.phi_json("wire_plan"))
    moment = send(clinic)
    look(at=moment + timedelta(seconds=30))  # a sending under load takes its time
    intent = the(clinic, proposal)
    assert intent.state == State.RECONCILED
    assert intent.finality == "filed_unsigned"
    assert phases(intent) == ["SENT", "ACKNOWLEDGED", "READ_BACK"]
    [written] = posts(clinic)
    import hashlib

    assert written["body_sha256"] == hashlib.sha256(plan.steps[0].body).hexdigest()
    assert tags_held(clinic) == 1
    expected = ["intent:review:approved", "intent:write:enqueued", "intent:write:submitted"]
    expected += ["intent:write:accepted", "intent:write:reconciled"]
    assert [tag for tag in tags_of(intent) if tag in expected] == expected


def test_the_fact_of_sending_is_committed_before_anything_leaves(clinic):
    proposal = clinic.ready()
    seen = []

    def peek() -> None:
        # Another connection sees only what is committed.
        def read() -> None:
            with tenant_context(clinic.tenant.pk):
                intent = the(clinic, proposal)
                seen.append((intent.state, phases(intent), len(posts(clinic))))
            database.close()

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()

    faults.arm("before_token", peek)
    send(clinic)
    assert seen == [(State.SUBMITTED, ["SENT"], 0)]


def test_no_transaction_and_no_database_connection_is_held_while_the_ehr_is_asked(clinic):
    clinic.ready()
    held = {}
    for place in ("before_token", "before_reading", "before_search", "before_send", "after_send"):

        def look_around(place=place):
            held[place] = (database.in_atomic_block, database.connection is not None)

        faults.arm(place, look_around)
    send(clinic)
    assert not any(in_transaction for in_transaction, _ in held.values())
    assert held["before_token"] == held["before_send"] == held["after_send"] == (False, False)


def test_a_fresh_token_of_the_narrow_scope_is_used_for_the_write(clinic):
    clinic.ready()
    send(clinic)
    [written] = posts(clinic)
    assert written["scope"] == "system/DocumentReference.c"


def test_nothing_is_sent_before_the_undo_time_is_over(clinic):
    proposal = clinic.ready()
    checkpoint(at=clinic.at)
    assert dispatch.drain(at=clinic.at + timedelta(seconds=9)) == 0
    assert the(clinic, proposal).state == State.APPROVED
    assert dispatch.drain(at=clinic.at + timedelta(seconds=10)) == 1


def test_nothing_is_sent_before_the_approval_is_in_a_signed_checkpoint(clinic):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    assert dispatch.drain(at=moment) == 0
    assert the(clinic, proposal).state == State.APPROVED
    checkpoint(at=moment)
    assert dispatch.drain(at=moment) == 1


# --- faults of the EHR: exactly one effect each ----------------------------------------------------

LOST = [
    ("error-after-commit", {}),
    ("timeout-after-commit", {"ms": 1500}),
    ("drop-after-commit", {}),
    ("truncated-body", {}),
    ("no-location", {}),
    ("not-json", {}),
    ("html-reply", {}),
]
NEVER_DONE = [
    ("error-before-commit", {}),
    # Maintenance, too, is unknown: no EHR is known to say 503 before it processes.
    ("unavailable", {"retry_after": 5}),
    ("timeout-before-commit", {"ms": 1500}),
    ("drop-before-commit", {}),
]


@pytest.mark.req("003-55", "003-23")
@pytest.mark.fault("answer-lost", "no-id")
@pytest.mark.parametrize(("fault", "params"), LOST, ids=[fault for fault, _ in LOST])
def test_a_lost_answer_after_the_commit_is_found_by_the_tag_and_nothing_is_sent_again(
    clinic, fault, params
):
    proposal = clinic.ready()
    clinic.practice.fault(
        fault, vendor="generic", method="POST", path="DocumentReference", **params
    )
    moment = send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.UNCERTAIN
    assert tags_held(clinic) == 1
    look(at=moment + timedelta(seconds=5))
    intent = the(clinic, proposal)
    assert intent.state == State.ACCEPTED
    assert phases(intent) == ["SENT", "UNKNOWN", "FOUND"]
    look(at=moment + timedelta(seconds=10))
    assert the(clinic, proposal).state == State.RECONCILED
    assert len(posts(clinic)) == 1
    assert tags_held(clinic) == 1


@pytest.mark.req("003-55")
@pytest.mark.fault("maintenance")
@pytest.mark.parametrize(("fault", "params"), NEVER_DONE, ids=[fault for fault, _ in NEVER_DONE])
def test_an_attempt_that_did_nothing_is_repeated_only_after_the_quarantine(clinic, fault, params):
    proposal = clinic.ready()
    clinic.practice.fault(
        fault, vendor="generic", method="POST", path="DocumentReference", **params
    )
    moment = send(clinic)
    assert the(clinic, proposal).state == State.UNCERTAIN
    look(at=moment + timedelta(seconds=1))
    assert the(clinic, proposal).state == State.UNCERTAIN, "absence proves nothing yet"
    # A clock that jumps a day ahead does not end the quarantine: it counts ticks.
    look(at=moment + timedelta(hours=23))
    assert the(clinic, proposal).state == State.UNCERTAIN
    moment = past_quarantine(at=moment)
    look(at=moment)
    intent = the(clinic, proposal)
    assert intent.state == State.APPROVED
    assert phases(intent)[-1] == "ABSENT"
    dispatch.drain(at=moment + timedelta(seconds=5))
    look(at=moment + timedelta(seconds=10))
    assert the(clinic, proposal).state == State.RECONCILED
    assert tags_held(clinic) == 1
    first, second = posts(clinic)
    assert first["body_sha256"] == second["body_sha256"]


@pytest.mark.fault("late-commit")
def test_a_commit_that_comes_late_but_within_its_bound_is_found_and_not_repeated(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "late-commit", vendor="generic", method="POST", path="DocumentReference", answer="error",
        after_ms=600_000,
    )  # fmt: skip
    moment = send(clinic)
    look(at=moment + timedelta(seconds=1))
    assert the(clinic, proposal).state == State.UNCERTAIN
    clinic.practice.lever("commit_late", vendor="generic")
    moment = past_quarantine(at=moment)
    look(at=moment)
    assert the(clinic, proposal).state == State.ACCEPTED
    assert (len(posts(clinic)), tags_held(clinic)) == (1, 1)


@pytest.mark.req("003-29")
@pytest.mark.fault("slowed-down")
def test_an_ehr_that_asks_to_slow_down_is_left_alone_for_as_long(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "rate-limited", vendor="generic", method="POST", path="DocumentReference", retry_after=40
    )
    moment = send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.APPROVED
    assert phases(intent) == ["SENT", "NOT_SENT"]
    assert dispatch.drain(at=moment + timedelta(seconds=39)) == 0
    dispatch.drain(at=moment + timedelta(seconds=60))
    assert the(clinic, proposal).state == State.ACCEPTED
    assert tags_held(clinic) == 1


def test_a_refused_content_ends_there_and_says_by_whom(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "outcome",
        vendor="generic",
        method="POST",
        path="DocumentReference",
        status=422,
        code="invalid",
    )
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.rejected_by) == (State.REJECTED, "EHR")
    assert phases(intent) == ["SENT", "REFUSED"]
    assert tags_held(clinic) == 0


@pytest.mark.fault("token-expires")
def test_a_token_that_expires_on_the_way_is_asked_for_once_more(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "expired-token", vendor="generic", method="POST", path="DocumentReference"
    )
    moment = send(clinic)
    assert the(clinic, proposal).state == State.APPROVED
    dispatch.drain(at=moment + timedelta(seconds=30))
    assert the(clinic, proposal).state == State.ACCEPTED
    assert tags_held(clinic) == 1


def test_an_ehr_that_is_gone_before_the_body_left_is_tried_again(clinic):
    proposal = clinic.ready()
    intent = the(clinic, proposal)
    connection = intent.connection
    good = connection.token_url
    connection.token_url = "http://127.0.0.1:9/token"
    stamp(connection, actor=INSTALLATION, at=clinic.at)
    connection.save()
    moment = send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.APPROVED
    assert phases(intent) == ["SENT", "NOT_SENT"]
    connection.token_url = good
    stamp(connection, actor=INSTALLATION, at=clinic.at)
    connection.save()
    dispatch.drain(at=moment + timedelta(seconds=30))
    assert the(clinic, proposal).state == State.ACCEPTED


@pytest.mark.fault("altered")
def test_a_mangled_write_is_acknowledged_and_then_differs(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "dropped-field", vendor="generic", method="POST", path="DocumentReference", field="type",
        echo="sent",
    )  # fmt: skip
    moment = send(clinic)
    assert the(clinic, proposal).state == State.ACCEPTED
    look(at=moment + timedelta(seconds=1))
    intent = the(clinic, proposal)
    assert intent.state == State.ACCEPTED
    [discrepancy] = Discrepancy.objects.filter(intent=intent)
    assert discrepancy.kind == "dropped"
    assert any(path.startswith("/type") for path in discrepancy.paths)
    assert discrepancy.owner == clinic.person("reyes").user.name


def an_update(clinic):
    """An approved change to an entry that is there."""
    change = clinic.problem(
        interaction="update",
        target=clinic.patient("P1")["entries"]["ckd"],
        content={"verification": "provisional"},
    )
    return clinic.ready(changes=[change])


@pytest.mark.fault("version-conflict")
def test_a_version_conflict_is_held_for_a_person(clinic):
    proposal = an_update(clinic)
    clinic.practice.fault("stale-version", vendor="generic", method="PUT", path="Condition")
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "version-conflict")
    assert phases(intent) == ["SENT", "REFUSED"]


@pytest.mark.fault("version-conflict")
def test_an_update_whose_answer_was_lost_is_recognised_in_its_target(clinic):
    proposal = an_update(clinic)
    clinic.practice.fault("drop-after-commit", vendor="generic", method="PUT", path="Condition")
    moment = send(clinic)
    assert the(clinic, proposal).state == State.UNCERTAIN
    look(at=moment + timedelta(seconds=5))
    look(at=moment + timedelta(seconds=30))
    assert the(clinic, proposal).state == State.RECONCILED
    assert len(posts(clinic)) == 1


def test_an_ehr_that_says_it_is_there_already_is_asked_before_it_is_believed(clinic):
    proposal = clinic.ready()
    clinic.practice.fault("conflict", vendor="generic", method="POST", path="DocumentReference")
    moment = send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.UNCERTAIN, "it could not be seen there"
    moment = past_quarantine(at=moment)
    look(at=moment)
    dispatch.drain(at=moment + timedelta(seconds=5))
    assert the(clinic, proposal).state == State.ACCEPTED
    assert tags_held(clinic) == 1


# --- Epic: the same, and nothing is sent again by a machine -------------------------------------------


@pytest.mark.parametrize("fault", ["error-after-commit", "drop-before-commit"])
def test_epic_staged_problem_with_a_lost_answer_waits_for_a_person(clinic, fault):
    proposal = clinic.ready(changes=[clinic.problem(vendor="epic")], vendor="epic")
    clinic.practice.fault(fault, vendor="epic", method="POST", path="Condition")
    moment = send(clinic)
    for _ in range(3):
        moment = past_quarantine(at=moment)
        look(at=moment + timedelta(hours=1))
        dispatch.drain(at=moment + timedelta(hours=1))
    intent = the(clinic, proposal)
    assert intent.state == State.UNCERTAIN
    assert len(posts(clinic, vendor="epic")) == 1
    assert "intent:lifecycle:escalated" in tags_of(intent)
    was_filed = fault == "error-after-commit"
    settled = reconciliation.operator_settle(
        intent_id=intent.pk,
        operator=clinic.person("singh"),
        found=was_filed,
        evidence="Looked at the reconciliation list of the patient at 10:12.",
        at=moment,
    )
    assert settled.state == (State.ACCEPTED if was_filed else State.FAILED)
    assert phases(settled)[-1] == "ATTESTED"
    assert len(posts(clinic, vendor="epic")) == 1


def test_epic_note_with_a_lost_answer_is_found_by_its_last_line_where_drafts_are_listed(clinic):
    clinic.practice.settings("epic", drafts_listed=True)
    proposal = clinic.ready(vendor="epic")
    clinic.practice.fault(
        "error-after-commit", vendor="epic", method="POST", path="DocumentReference"
    )
    moment = send(clinic)
    assert the(clinic, proposal).state == State.UNCERTAIN
    look(at=moment + timedelta(seconds=5))
    assert the(clinic, proposal).state == State.ACCEPTED
    assert len(posts(clinic, vendor="epic")) == 1
    assert tags_held(clinic, vendor="epic") == 1


def test_epic_note_with_a_lost_answer_is_never_sent_again_where_drafts_are_not_listed(clinic):
    proposal = clinic.ready(vendor="epic")
    clinic.practice.fault(
        "drop-before-commit", vendor="epic", method="POST", path="DocumentReference"
    )
    moment = past_quarantine(at=send(clinic))
    look(at=moment)
    dispatch.drain(at=moment + timedelta(seconds=5))
    assert the(clinic, proposal).state == State.UNCERTAIN
    assert len(posts(clinic, vendor="epic")) == 1


# --- the process dies at every step -------------------------------------------------------------------

BEFORE_THE_WIRE = [
    "before_claim",
    "before_claim_commit",
    "after_claim",
    "before_token",
    "before_reading",
    "before_search",
    "before_check",
    "before_send",
]
AFTER_THE_WIRE = ["after_send", "before_record", "before_record_commit"]


@pytest.mark.fault("dies-before-claim", "dies-after-claim", "dies-in-flight", "dies-after-answer")
@pytest.mark.parametrize("place", [*BEFORE_THE_WIRE, *AFTER_THE_WIRE, "after_record"])
def test_a_worker_that_dies_anywhere_leaves_exactly_one_effect(clinic, place):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)
    kill_at(place)
    with pytest.raises(Killed):
        dispatch.drain(at=moment)
    state = the(clinic, proposal).state
    if place in ("before_claim", "before_claim_commit"):
        assert state == State.APPROVED, "nothing was committed"
    elif place == "after_record":
        assert state == State.ACCEPTED
    else:
        assert state == State.SUBMITTED
        assert dispatch.drain(at=moment + timedelta(seconds=1)) == 0
    assert tags_held(clinic) == (1 if place in (*AFTER_THE_WIRE, "after_record") else 0)
    moment = lapse(at=moment)
    if state == State.SUBMITTED:
        assert the(clinic, proposal).state in (State.UNCERTAIN, State.ACCEPTED)
    moment = past_quarantine(at=moment)
    look(at=moment)
    dispatch.drain(at=moment + timedelta(seconds=5))
    look(at=moment + timedelta(seconds=10))
    look(at=moment + timedelta(seconds=60))
    assert the(clinic, proposal).state == State.RECONCILED
    assert tags_held(clinic) == 1
    assert len(posts(clinic)) == 1


@pytest.mark.fault("worker-asleep")
def test_a_sleeping_worker_that_lost_its_row_sends_nothing(clinic):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)

    def sleep_through_the_lease() -> None:
        faults.disarm()
        with tenant_context(clinic.tenant.pk):
            lapse(at=moment)

    faults.arm("before_check", sleep_through_the_lease)
    dispatch.drain(at=moment)
    intent = the(clinic, proposal)
    assert intent.state == State.UNCERTAIN
    assert posts(clinic) == []
    assert phases(intent) == ["SENT", "UNKNOWN"]


@pytest.mark.fault("worker-asleep")
def test_a_sleeping_worker_that_wakes_with_an_old_token_is_turned_away_by_the_ehr(clinic):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)

    def sleep_for_hours() -> None:
        faults.disarm()
        clinic.practice.lever("expire_tokens", vendor="generic")
        with tenant_context(clinic.tenant.pk):
            lapse(at=moment)

    faults.arm("before_send", sleep_for_hours)
    dispatch.drain(at=moment)
    intent = the(clinic, proposal)
    assert intent.state == State.UNCERTAIN
    assert tags_held(clinic) == 0
    assert ("STRAY", "not acknowledged") in set(intent.ledger.values_list("phase", "outcome"))


@pytest.mark.fault("database-gone")
def test_a_database_that_goes_away_after_the_sending_leaves_the_question_open(clinic):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)

    def go_away() -> None:
        faults.disarm()
        raise OperationalError("the database is gone")

    faults.arm("before_record_commit", go_away)
    with pytest.raises(OperationalError):
        dispatch.drain(at=moment)
    assert the(clinic, proposal).state == State.SUBMITTED
    moment = lapse(at=moment)
    look(at=moment + timedelta(minutes=1))
    assert the(clinic, proposal).state == State.RECONCILED
    assert (len(posts(clinic)), tags_held(clinic)) == (1, 1)


@pytest.mark.fault("audit-full")
def test_nothing_is_sent_when_its_audit_event_cannot_be_written(clinic, monkeypatch):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)

    def full(**_):
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("intents.models.intent.record", full)
        with pytest.raises(OperationalError):
            dispatch.drain(at=moment)
    assert the(clinic, proposal).state == State.APPROVED
    assert (posts(clinic), phases(the(clinic, proposal))) == ([], [])
    dispatch.drain(at=moment + outbox.LEASE + timedelta(seconds=5))
    assert the(clinic, proposal).state == State.ACCEPTED


def test_a_late_answer_of_a_lost_attempt_is_kept_as_evidence_and_settled_by_looking(clinic):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)

    def lapse_meanwhile() -> None:
        faults.disarm()
        with tenant_context(clinic.tenant.pk):
            [entry] = OutboxEntry.objects.all()
            reconciliation.sweeping._sweep(
                entry.intent_id, entry.pk, at=moment + timedelta(minutes=3)
            )

    faults.arm("after_send", lapse_meanwhile)
    dispatch.drain(at=moment)
    intent = the(clinic, proposal)
    assert intent.state == State.UNCERTAIN
    assert set(phases(intent)) == {"SENT", "UNKNOWN", "STRAY"}
    assert "intent:write:stray" in tags_of(intent)
    look(at=moment + timedelta(minutes=4))
    assert the(clinic, proposal).state == State.ACCEPTED
    assert (len(posts(clinic)), tags_held(clinic)) == (1, 1)


@pytest.mark.fault("workers-race")
def test_two_workers_never_send_one_entry(clinic):
    proposal = clinic.ready()
    moment = clinic.at + timedelta(seconds=61)
    checkpoint(at=moment)
    start = threading.Barrier(4)
    taken = []

    def work() -> None:
        start.wait()
        with tenant_context(clinic.tenant.pk):
            taken.append(dispatch.drain(at=moment))
        database.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(taken) == 1
    assert the(clinic, proposal).state == State.ACCEPTED
    assert (len(posts(clinic)), tags_held(clinic)) == (1, 1)


# --- what stops a send --------------------------------------------------------------------------------


@pytest.mark.fault("switched-off")
@pytest.mark.parametrize("target", ["DEPLOYMENT", "TENANT", "CONNECTION", "AGENT", "KIND"])
def test_a_kill_switch_at_any_level_stops_sending_and_nothing_is_lost(clinic, target):
    from django.db import transaction

    proposal = clinic.ready()
    intent = the(clinic, proposal)
    columns = {
        "DEPLOYMENT": {},
        "TENANT": {"tenant": clinic.tenant},
        "CONNECTION": {"tenant": clinic.tenant, "connection": intent.connection},
        "AGENT": {"tenant": clinic.tenant, "agent": clinic.agent},
        "KIND": {"change_kind": "note"},
    }[target]
    with transaction.atomic():
        switch = KillSwitch.engage(
            target=target, reason="test", actor=INSTALLATION, at=clinic.at, **columns
        )
    moment = send(clinic)
    assert the(clinic, proposal).state == State.APPROVED
    assert posts(clinic) == []
    with transaction.atomic():
        switch = KillSwitch.lock(switch.pk)
        switch.ask_release(user=clinic.person("singh").user, actor=INSTALLATION, at=moment)
        switch.release(user=clinic.person("dahl").user, actor=INSTALLATION, at=moment)
    dispatch.drain(at=moment)
    assert the(clinic, proposal).state == State.ACCEPTED


@pytest.mark.fault("switched-off")
def test_a_kill_switch_engaged_after_the_claim_is_seen_before_the_socket(clinic):
    from django.db import transaction

    proposal = clinic.ready()

    def engage() -> None:
        faults.disarm()
        with transaction.atomic():
            KillSwitch.engage(target="DEPLOYMENT", reason="test", actor=INSTALLATION, at=clinic.at)

    faults.arm("before_check", engage)
    send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.APPROVED
    assert posts(clinic) == []
    assert phases(intent) == ["SENT", "NOT_SENT"]


def test_an_expired_approval_is_never_sent(clinic):
    proposal = clinic.ready()
    checkpoint(at=clinic.at + timedelta(hours=25))
    assert dispatch.drain(at=clinic.at + timedelta(hours=25)) == 0
    assert posts(clinic) == []
    assert the(clinic, proposal).state == State.APPROVED, "the scheduler ends it"


def test_an_approver_who_was_suspended_since_holds_the_change(clinic):
    from django.db import transaction

    proposal = clinic.ready()
    with transaction.atomic():
        clinic.person("reyes").end(actor=INSTALLATION, at=clinic.at)
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "approver-suspended")
    assert posts(clinic) == []


def test_an_agent_that_was_suspended_since_holds_the_change(clinic):
    from django.db import transaction

    proposal = clinic.ready()
    with transaction.atomic():
        clinic.agent.suspend(actor=INSTALLATION, at=clinic.at)
    send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.HELD
    assert posts(clinic) == []


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=63)], ids=["since", "ahead"])
def test_consent_that_was_withdrawn_since_holds_the_change(clinic, ahead):
    """Also where the clock of the machine that withdrew it is a little ahead of the one that sends."""
    from django.db import transaction

    from intents.governance.models import ConsentDirective

    proposal = clinic.ready()
    intent = the(clinic, proposal)
    with transaction.atomic():
        ConsentDirective.enter(
            connection=intent.connection,
            patient_ref=intent.proposal.patient_ref,
            decision="DENY",
            source="told the front desk",
            active_from=clinic.at + ahead,
            actor=INSTALLATION,
            at=clinic.at + ahead,
        )
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "consent-withdrawn")
    assert posts(clinic) == []


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=63)], ids=["since", "ahead"])
def test_rules_that_became_stricter_since_hold_the_change(clinic, ahead):
    from django.db import transaction

    proposal = clinic.ready()
    old = PolicyVersion.in_force(tenant_id=clinic.tenant.pk, at=clinic.at)
    forbid = (
        '@id("LOCAL-01")\n@reason("A second person looks at every change.")\n'
        'forbid (principal, action == Action::"commit_after_approval", resource);\n'
    )
    with transaction.atomic():
        PolicyVersion.activate(
            tenant=clinic.tenant,
            content=f"{old.content}\n{forbid}",
            schema=old.schema,
            proposed_by="H. Ansah",
            approved_by="M. Dahl",
            actor=INSTALLATION,
            at=clinic.at + ahead,
        )
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "rules-tightened")
    assert posts(clinic) == []


def test_rules_that_were_taken_away_since_hold_the_change(clinic):
    proposal = clinic.ready()
    for version in PolicyVersion.objects.all():
        version.active_until = clinic.at
        stamp(version, actor=INSTALLATION, at=clinic.at)
        version.save()
    send(clinic)
    assert the(clinic, proposal).state == State.HELD
    assert posts(clinic) == []


@pytest.mark.req("003-24")
def test_an_entry_that_a_colleague_changed_since_is_held_and_nothing_is_written(clinic):
    target = clinic.patient("P1")["entries"]["ckd"]
    proposal = an_update(clinic)
    clinic.practice.lever(
        "edit_as_colleague", vendor="generic", reference=target, comment="Seen in clinic today."
    )
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "target-changed")
    assert posts(clinic) == []
    assert phases(intent) == ["SENT", "NOT_SENT"]


@pytest.mark.req("003-21", "003-65")
def test_a_patient_who_was_merged_since_is_held_and_nothing_is_written_to_either(clinic):
    proposal = clinic.ready(changes=[clinic.problem()], patient="P14")
    clinic.practice.lever("merge", vendor="generic", patient="P14", survivor="P13")
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "patient-moved")
    assert posts(clinic) == []


# --- evidence -----------------------------------------------------------------------------------------


def flipped(value: str) -> str:
    """One character of sealed or plain text changed."""
    place = len(value) // 2
    return value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]


@pytest.mark.parametrize(
    ("table", "column", "who"),
    [
        ("intents_screening", "wire_plan", "screening"),
        ("intents_screening", "payload_hash", "screening"),
        ("intents_screening", "baseline", "screening"),
        ("intents_intentversion", "content", "version"),
        ("intents_reviewdecision", "statement", "decision"),
        ("intents_reviewdecision", "signature", "decision"),
        ("intents_reviewdecision", "view_hash", "decision"),
    ],
)
def test_one_changed_byte_of_what_was_approved_is_refused_and_reported(clinic, table, column, who):
    proposal = clinic.ready()
    intent = the(clinic, proposal)
    entry = entry_of(intent)
    rows = {
        "screening": entry.screening_id,
        "version": entry.screening.version_id,
        "decision": entry.decision_id,
    }
    overwrite(table, column, pk=rows[who], change=flipped)
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "evidence-broken")
    assert "intent:evidence:broken" in tags_of(intent)
    assert posts(clinic) == []


def test_an_entry_that_was_put_in_line_without_an_approval_is_refused(clinic):
    proposal = clinic.ready()
    intent = the(clinic, proposal)
    entry = entry_of(intent)
    other = AuditEvent.objects.exclude(intent_id=str(intent.pk)).earliest("recorded_at")
    entry.change(actor=INSTALLATION, at=clinic.at, approval_event_id=other.pk)
    send(clinic)
    assert the(clinic, proposal).state == State.HELD
    assert posts(clinic) == []


def test_an_approval_that_was_taken_back_cannot_be_put_in_line_again(clinic):
    from intents.pipeline import review

    proposal = clinic.ready()
    intent = the(clinic, proposal)
    entry = entry_of(intent)
    expires = intent.approval_expires_at
    review.undo(
        proposal_id=proposal.pk,
        reviewer=clinic.person("reyes"),
        at=clinic.at + timedelta(seconds=5),
    )
    # As an intruder with the database would: everything back as it was, but for the log.
    Intent.objects.filter(pk=intent.pk).update(
        state=State.APPROVED, approval_expires_at=expires, current_screening=entry.screening_id
    )
    OutboxEntry.objects.filter(pk=entry.pk).update(closed_at=None)
    send(clinic)
    assert the(clinic, proposal).state == State.HELD
    assert posts(clinic) == []


def test_a_fact_missing_from_the_write_ledger_is_refused(clinic):
    proposal = clinic.ready()
    clinic.practice.fault("rate-limited", vendor="generic", method="POST", path="DocumentReference")
    moment = send(clinic)
    intent = the(clinic, proposal)
    assert phases(intent) == ["SENT", "NOT_SENT"]
    from tests.intents.delivery_fixtures import without_triggers

    with without_triggers():
        WriteLedgerEntry.objects.filter(intent=intent)._raw_delete("default")
    dispatch.drain(at=moment + timedelta(seconds=60))
    assert the(clinic, proposal).state == State.HELD
    assert len(posts(clinic)) == 1


def test_a_change_that_was_written_already_cannot_be_sent_again(clinic):
    proposal = clinic.ready()
    moment = send(clinic)
    intent = the(clinic, proposal)
    assert intent.state == State.ACCEPTED
    Intent.objects.filter(pk=intent.pk).update(state=State.APPROVED)
    OutboxEntry.objects.filter(intent=intent).update(closed_at=None, attempt_id=None)
    dispatch.drain(at=moment + timedelta(seconds=10))
    assert the(clinic, proposal).state == State.HELD
    assert len(posts(clinic)) == 1


def test_a_connection_that_was_set_up_otherwise_since_holds_the_change(clinic):
    proposal = clinic.ready()
    connection = the(clinic, proposal).connection
    connection.base_url = connection.base_url + "/elsewhere"
    stamp(connection, actor=INSTALLATION, at=clinic.at)
    connection.save()
    send(clinic)
    intent = the(clinic, proposal)
    assert (intent.state, intent.reason.split(":")[0]) == (State.HELD, "connection-changed")
    assert posts(clinic) == []


def test_a_long_lived_token_puts_off_the_end_of_the_quarantine(clinic):
    proposal = clinic.ready()
    clinic.practice.fault(
        "drop-before-commit", vendor="generic", method="POST", path="DocumentReference"
    )
    send(clinic)
    intent = the(clinic, proposal)
    # The practice's tokens live 300 s here, and the connection says 5 s.
    usual = outbox.ticks(intent.connection.quarantine_seconds)
    assert entry_of(intent).quarantine_until_tick > Tick.now() + usual + 200
