"""A connection goes from shadow over test patients and a canary to live; each stage sends what it may."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from intents.governance.models import EhrConnection, Promotion, Rollout
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import Intent
from intents.pipeline import promoting
from tests.journeys.screen import NotOnThePage

R4 = "Northgate R4 (practice)"


@transaction.atomic
def at_stage(day, stage, **columns):
    """The practice connection as a real one would begin: nothing of its record counts yet."""
    connection = EhrConnection.lock(day.clinic.connection().pk)
    connection.change(actor=INSTALLATION, at=day.now, **columns)
    by = {"actor": INSTALLATION, "at": day.now, "reason": "Of the test"}
    if connection.rollout != Rollout.SHADOW:
        connection.go_back(to=Rollout.SHADOW, **by)
    while connection.rollout != stage:
        connection.promote(to=Rollout(connection.rollout).following, promotion="", **by)
    return connection


def approved(day, *changes, patient="P1"):
    proposal = day.propose(*(changes or (day.clinic.note(),)), patient=patient)
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    day.after_undo()
    return proposal


@pytest.fixture
def few(monkeypatch):
    """Two changes are enough of a record, and no stage lasts a day."""
    monkeypatch.setattr(promoting, "ENOUGH", dict.fromkeys(promoting.ENOUGH, 2))
    monkeypatch.setattr(promoting, "DAYS", dict.fromkeys(promoting.DAYS, 0))


def stage_of(day):
    return EhrConnection.objects.get(pk=day.clinic.connection().pk).rollout


# --- what each stage sends ----------------------------------------------------------------------------


@pytest.mark.req("000-92", "000-100", "001-126")
def test_in_shadow_everything_runs_but_the_sending_and_the_page_says_what_would_have_been_sent(day):
    at_stage(day, Rollout.SHADOW)
    proposal = day.propose(day.clinic.note())
    reyes = day.desk("reyes")
    assert f"{R4} is in shadow: approving sends nothing." in reyes.review(proposal).text
    reyes.approve(proposal)
    day.after_undo()
    assert (day.state(proposal), day.reason(proposal)) == (State.HELD, "stage-shadow")
    assert day.writes() == []
    page = reyes.delivery(proposal)
    assert "Not sent at this stage." in page.text
    assert "is in shadow: all is done but the sending. Nothing was sent." in page.text
    shown = reyes.open(f"/intents/{proposal.pk}/delivery/?request=c1")
    assert "What would have been sent" in shown.text
    assert "POST DocumentReference" in shown.text
    stopped = reyes.open(f"/intents/{proposal.pk}/conflict/")
    assert "Approved, and nothing was sent" in stopped.text
    assert "Shadow" in reyes.open("/connections/").text

    # Promoted later, it is not sent behind anybody's back: it is checked and approved again.
    at_stage(day, Rollout.LIVE)
    for _ in range(2):
        day.after_undo()
    assert day.writes() == []
    reyes.press(reyes.open(f"/intents/{proposal.pk}/conflict/"), "Check again")
    reyes.approve(proposal)
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.held()) == 1
    day.check_log()


@pytest.mark.req("000-92", "003-96", "004-69")
def test_only_the_listed_test_patients_are_written_to(day):
    listed = day.clinic.patient("P1")["patient"]
    at_stage(day, Rollout.TEST_PATIENTS, test_patients=[listed])
    assert day.state(approved(day)) == State.RECONCILED
    other = day.propose(day.clinic.problem(), patient="P3")
    assert (day.state(other), day.intent(other).rejected_by) == (State.REJECTED, "POLICY")
    page = day.desk("reyes").review(other)
    assert "tried out on a chosen few only, and this change is not among them" in page.text
    assert not page.offers("Approve for")
    assert len(day.writes()) == 1


@pytest.mark.req("000-92", "003-97")
@pytest.mark.parametrize("stage", [Rollout.SHADOW, Rollout.TEST_PATIENTS, Rollout.CANARY])
def test_what_was_approved_before_the_connection_went_back_is_not_sent(day, stage):
    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)
    at_stage(day, stage)
    day.after_undo()
    code = f"stage-{stage.lower().replace('_', '-')}"
    assert (day.state(proposal), day.reason(proposal)) == (State.HELD, code)
    assert day.writes() == []
    assert "Nothing was sent." in day.desk("reyes").delivery(proposal).text
    day.check_log()


@pytest.mark.req("000-92", "003-96")
def test_a_canary_writes_its_patients_kinds_and_agents_and_so_many_a_day(day):
    zone = ZoneInfo(day.clinic.connection().time_zone)
    if _until_midnight(day, zone) < timedelta(minutes=15):
        day.forward(minutes=15)
    at_stage(
        day,
        Rollout.CANARY,
        canary_patients=[day.clinic.patient("P1")["patient"]],
        canary_kinds=["note"],
        canary_agents=["Visit scribe"],
        canary_per_day=1,
    )
    first = approved(day)
    assert day.state(first) == State.RECONCILED
    of_another_kind = day.propose(day.clinic.problem())
    of_another_patient = day.propose(day.clinic.note(), patient="P3")
    for kept in (of_another_kind, of_another_patient):
        assert (day.state(kept), day.intent(kept).rejected_by) == (State.REJECTED, "POLICY")

    cough = {"Denies cough.": "Any cough?\nPatient: No, no cough."}
    second = approved(day, day.clinic.note("Denies cough.", quotes=cough))
    assert day.state(second) == State.APPROVED
    assert "as many changes today as its stage allows" in day.desk("reyes").delivery(second).text
    assert len(day.writes()) == 1
    # The day of the practice ends before the approval does.
    day.forward(seconds=_until_midnight(day, zone).total_seconds() + 5)
    day.background()
    assert day.state(second) == State.RECONCILED
    assert len(day.writes()) == 2
    day.check_log()


def _until_midnight(day, zone):
    here = day.now.astimezone(zone)
    return datetime.combine(here.date() + timedelta(days=1), time(), tzinfo=zone) - here


def test_a_larger_share_keeps_the_patients_of_a_smaller_one(day):
    from intents.governance.rollout import is_drawn

    connection = day.clinic.connection()
    patients = [f"patient-{number}" for number in range(400)]

    def drawn(percent):
        connection.canary_percent = percent
        return {each for each in patients if is_drawn(connection, patient_ref=each)}

    assert drawn(0) == set()
    assert drawn(10) < drawn(40) < drawn(100) == set(patients)
    assert 80 <= len(drawn(25)) <= 125


def test_going_back_takes_hold_between_the_claim_and_the_socket(day):
    """The stage is asked for once more right before the request, as a switch is."""
    from intents.pipeline.delivery import faults

    proposal = day.propose(day.clinic.note())
    day.desk("reyes").approve(proposal)

    def back():
        faults.disarm()
        at_stage(day, Rollout.SHADOW)

    faults.arm("before_check", back)
    day.after_undo()
    assert day.writes() == []
    day.forward(minutes=1)
    day.background()
    assert (day.state(proposal), day.reason(proposal)) == (State.HELD, "stage-shadow")
    assert day.writes() == []
    day.check_log()


# --- from stage to stage ------------------------------------------------------------------------------


@pytest.mark.req("000-100", "000-102", "003-69", "003-70")
def test_the_gate_names_what_is_missing_and_two_people_take_a_connection_on(day, few, monkeypatch):
    at_stage(day, Rollout.SHADOW)
    singh, ansah = day.desk("singh"), day.desk("ansah")
    page = singh.open("/connections/")
    assert "0 of 2" in page.text
    assert "Test patients are listed: 0 listed" in page.text
    assert "never asked" in page.text
    page = singh.press(page, "Ask for test patients", reason="Looked at both notes")
    assert "Not yet. Missing: " in page.text
    assert "Test patients are listed: 0 listed" in page.text
    assert not Promotion.objects.exists()
    assert stage_of(day) == Rollout.SHADOW

    # The record of the stage, a fresh probe, and for whom the next one writes.
    for patient in ("P1", "P3"):
        approved(day, patient=patient)
    from intents.pipeline import gateway

    gateway.probe_due(at=day.now)
    with transaction.atomic():
        EhrConnection.lock(day.clinic.connection().pk).change(
            actor=INSTALLATION, at=day.now, test_patients=[day.clinic.patient("P1")["patient"]]
        )
    page = singh.press(
        singh.open("/connections/"), "Ask for test patients", reason="Looked at both notes"
    )
    assert "A second person has to agree." in page.text
    with pytest.raises(NotOnThePage):
        page.button("Agree: ")
    day.forward(minutes=1)

    # What held has to hold still when the second person agrees.
    monkeypatch.setattr(promoting, "_FRESH", promoting._FRESH * 0)
    page = ansah.press(ansah.open("/connections/"), "Agree: ")
    assert "Not yet. Missing: The EHR said within 24 hours" in page.text
    assert stage_of(day) == Rollout.SHADOW
    monkeypatch.setattr(promoting, "_FRESH", promoting._SEQUENCED * 300)
    page = ansah.press(ansah.open("/connections/"), "Agree: ")
    assert "is at its next stage: test patients" in page.text
    assert stage_of(day) == Rollout.TEST_PATIENTS

    tags = [event.tag for event in governance_events(day)]
    assert [tag for tag in tags if "rollout" in tag][-3:] == [
        "governance:rollout:asked",
        "governance:rollout:agreed",
        "governance:rollout:promoted",
    ]
    # Back again takes one person and a reason, at once.
    page = singh.open("/connections/")
    [button] = [
        each
        for each in page.buttons
        if each.words == "Go back at once" and str(day.clinic.connection().pk) in each.action
    ]
    page = singh.press(page, button, reason="Odd replies")
    assert stage_of(day) == Rollout.SHADOW
    assert [event.tag for event in governance_events(day)][-1] == "governance:rollout:returned"
    day.check_log()


def governance_events(day):
    from audit.models import AuditEvent

    return list(
        AuditEvent.objects.filter(
            tenant_id=str(day.clinic.tenant.pk), tag__startswith="governance:rollout"
        ).order_by("recorded_at", "id")
    )


def test_the_database_refuses_one_person_twice_and_reviewers_move_nothing(day, few):
    connection = at_stage(day, Rollout.SHADOW)
    with transaction.atomic():
        wish = Promotion.ask(
            connection=connection,
            reason="Checked",
            evidence=[],
            user=day.clinic.person("singh").user,
            actor=INSTALLATION,
            at=day.now,
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Promotion.objects.filter(pk=wish.pk).update(agreed_by=F("asked_by"), agreed_at=day.now)
    reyes = day.desk("reyes")
    assert not reyes.open("/connections/").offers("Agree: ")
    for path in (
        f"/connections/promotions/{wish.pk}/agree/",
        f"/connections/promotions/{wish.pk}/withdraw/",
        f"/connections/{connection.pk}/promote/",
        f"/connections/{connection.pk}/back/",
    ):
        token = reyes.client.cookies["csrftoken"].value
        answer = reyes.client.post(
            path, {"csrfmiddlewaretoken": token, "reason": "x", "to": "LIVE"}
        )
        assert answer.status_code == 403, path
    assert stage_of(day) == Rollout.SHADOW


def test_a_connection_beyond_practice_begins_in_shadow_and_again_at_another_address(day):
    with transaction.atomic():
        made = EhrConnection.add(
            tenant=day.clinic.tenant,
            name="hospital",
            kind="generic_r4",
            environment="live",
            base_url="https://ehr.example/r4",
            actor=INSTALLATION,
            at=day.now,
        )
        assert made.rollout == Rollout.SHADOW
        for _ in range(3):
            made.promote(
                to=Rollout(made.rollout).following,
                actor=INSTALLATION,
                at=day.now,
                promotion="",
                reason="Shown",
            )
        assert made.rollout == Rollout.LIVE
        made.change(actor=INSTALLATION, at=day.now, title="Hospital")
        assert made.rollout == Rollout.LIVE
        made.change(actor=INSTALLATION, at=day.now, base_url="https://other.example/r4")
        assert made.rollout == Rollout.SHADOW
    with pytest.raises(ValueError, match="cannot be changed"):
        made.change(actor=INSTALLATION, at=day.now, rollout="LIVE")


def test_a_change_kept_back_by_its_stage_ends_as_what_it_was(day):
    at_stage(day, Rollout.SHADOW)
    proposal = approved(day)
    day.forward(days=8)
    day.background()
    assert (day.state(proposal), day.reason(proposal)) == (State.EXPIRED, "stage-shadow")
    assert Intent.objects.get(pk=day.intent(proposal).pk).reason.endswith("Nothing was sent.")
