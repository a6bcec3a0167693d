"""What runs by itself comes too often, not at all, or by a clock that jumps: each approved change is written once."""

import random
from datetime import timedelta

import pytest

from intents import tasks
from intents.lifecycle import State
from tests.journeys.test_worker import publishing_to

UNKNOWN = "It may be in the EHR, or not."


def lost(day):
    """An approved problem that the EHR has not got, and nobody knows."""
    proposal = day.propose(day.clinic.problem())
    day.desk("reyes").approve(proposal)
    day.practice.fault("drop-before-commit", vendor="generic", method="POST", path="^Condition")
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.UNCERTAIN
    return proposal


@pytest.mark.req("002-45")
@pytest.mark.fault("delivered-twice")
def test_wakes_that_come_sixty_four_times_out_of_order_write_once(day):
    note = day.propose(day.clinic.note())
    problem = day.propose(day.clinic.problem())
    for proposal in (note, problem):
        day.desk("reyes").approve(proposal)
    day.practice.fault("error-after-commit", vendor="generic", method="POST", path="^Condition")
    wakes = [tasks.sequence, tasks.dispatch_due, tasks.reconcile_due, tasks.screen_due] * 16
    random.Random(20261120).shuffle(wakes)
    day.forward(seconds=61)
    for number, wake in enumerate(wakes):
        if number == 40:
            day.forward(seconds=60)
        wake()
    day.forward(seconds=60)
    day.background()
    assert (day.state(note), day.state(problem)) == (State.RECONCILED, State.RECONCILED)
    assert sorted(each["path"] for each in day.writes()) == ["Condition", "DocumentReference"]
    for proposal in (note, problem):
        assert day.told(proposal).count("intent:write:submitted") == 1
    day.check_log()


@pytest.mark.req("002-45")
@pytest.mark.fault("broker-lost")
def test_ten_minutes_of_lost_messages_delay_an_approved_change_and_lose_nothing(day):
    with publishing_to("redis://127.0.0.1:1/0"):
        proposal = day.propose(day.clinic.note())
        day.desk("reyes").approve(proposal)
        day.forward(minutes=10)
        assert day.state(proposal) == State.APPROVED
        # Nobody was woken: the sweep of the database finds what is due.
        day.background()
        day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.writes()) == 1
    day.check_log()


@pytest.mark.req("002-45")
@pytest.mark.fault("scheduler-down")
def test_an_hour_without_the_scheduler_loses_nothing_ends_nothing_early_and_is_seen(day, client):
    tasks.tick()
    tasks.sequence()
    seen = client.get("/readyz").json()["checks"]
    assert (seen["worker"], seen["sequencer"]) == ("ok", "ok")
    unknown = lost(day)
    waiting = day.propose(day.clinic.note())
    day.desk("reyes").approve(waiting)

    # No wake, no tick; the rest of the machine has its time.
    day.clock.ahead += timedelta(hours=1)
    page = client.get("/readyz")
    seen = page.json()["checks"]
    assert (seen["worker"], seen["sequencer"]) == ("not seen for 60 s", "not seen for 60 s")
    assert page.status_code == 503
    assert (day.state(unknown), day.state(waiting)) == (State.UNCERTAIN, State.APPROVED)
    assert UNKNOWN in day.desk("reyes").delivery(unknown).text

    # It is back. The approval that waited is sent; absence proves no more than an hour ago.
    tasks.tick()
    day.background()
    day.background()
    assert day.state(waiting) in (State.ACCEPTED, State.RECONCILED)
    assert day.state(unknown) == State.UNCERTAIN
    day.after_quarantine(unknown)
    day.after_undo()
    assert (day.state(waiting), day.state(unknown)) == (State.RECONCILED, State.RECONCILED)
    assert (len(day.held("Condition")), len(day.held())) == (1, 1)
    day.check_log()


@pytest.mark.req("001-22")
@pytest.mark.fault("clock-jump")
@pytest.mark.parametrize("hours", [6, -6])
def test_a_clock_that_jumps_neither_ends_a_quarantine_nor_makes_it_endless(day, hours):
    day.forward(
        hours=30
    )  # what is in force has been so for a while, also by a clock that was set back
    proposal = lost(day)
    day.clock.ahead += timedelta(hours=hours)
    day.background()
    day.background()
    assert day.state(proposal) == State.UNCERTAIN
    assert len(day.writes()) == 1
    # By the time that goes on from there it is looked for at least once an hour.
    for _ in range(3):
        day.forward(minutes=40)
        day.background()
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED, day.reason(proposal)
    first, second = day.writes()
    assert first["body_sha256"] == second["body_sha256"]
    assert len(day.held("Condition")) == 1


@pytest.mark.req("003-55")
@pytest.mark.fault("token-expires")
@pytest.mark.parametrize(
    ("method", "path", "attempts"),
    # Looking has tokens of its own, and may ask for another; the one for writing is for one attempt.
    [("GET", "^Patient", 1), ("GET", "^Condition", 1), ("POST", "^Condition", 2)],
    ids=["reading", "searching", "writing"],
)
def test_a_token_that_expires_at_any_request_costs_an_attempt_at_most_and_writes_once(
    day, method, path, attempts
):
    proposal = day.propose(day.clinic.problem())
    day.desk("reyes").approve(proposal)
    day.practice.fault("expired-token", vendor="generic", method=method, path=path)
    for _ in range(4):
        day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.writes()) == attempts
    assert day.told(proposal).count("intent:write:submitted") == attempts
    assert len(day.held("Condition")) == 1
    day.check_log()
