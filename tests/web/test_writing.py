"""Stopping and resuming: one person stops at once, two people resume, reviewers read why."""

import pytest

from intents.governance.models import KillSwitch, Role
from intents.lifecycle import State


@pytest.fixture
def stop(inside, browser):
    def press(role=Role.REVIEWER, reason="duplicate notes under investigation"):
        client = browser(inside.person(role))
        return client.post(f"/connections/{inside.connection.pk}/stop/", {"reason": reason})

    return press


def test_one_person_stops_and_everybody_reads_why(inside, browser, stop):
    stop()
    assert KillSwitch.objects.get().is_engaged
    for role, address in ((Role.REVIEWER, "/queue/"), (Role.OPERATOR, "/worklist/")):
        html = browser(inside.person(role)).get(address).content.decode()
        assert "Writing is stopped for Northgate R4 (practice)." in html
        assert "duplicate notes under investigation" in html
        assert "Writing stopped" in html


def test_a_stop_needs_a_reason_and_the_right(inside, stop):
    stop(reason="  ")
    assert stop(role=Role.SUPPORT).status_code == 403
    assert not KillSwitch.objects.exists()


def test_two_different_people_resume(inside, browser, stop):
    stop()
    switch = KillSwitch.objects.get()
    operator = browser(inside.person(Role.OPERATOR))
    operator.post(f"/connections/stops/{switch.pk}/ask/")
    alone = operator.post(f"/connections/stops/{switch.pk}/release/", follow=True)
    assert "cannot also agree" in alone.content.decode()
    switch.refresh_from_db()
    assert switch.is_engaged
    browser(inside.person(Role.COMPLIANCE)).post(f"/connections/stops/{switch.pk}/release/")
    switch.refresh_from_db()
    assert not switch.is_engaged


def test_those_who_only_stop_cannot_resume(inside, browser, stop):
    stop()
    switch = KillSwitch.objects.get()
    client = browser(inside.person(Role.REVIEWER))
    assert client.post(f"/connections/stops/{switch.pk}/ask/").status_code == 403


def test_another_organisations_stop_is_not_seen(inside, southgate, browser, stop):
    stop()
    client = browser(southgate.person(Role.OPERATOR))
    assert "duplicate notes" not in client.get("/connections/").content.decode()
    switch = KillSwitch.objects.get()
    assert client.post(f"/connections/stops/{switch.pk}/ask/").status_code == 404


def test_releasing_one_of_two_stops_says_that_writing_is_still_held_back(inside, browser, stop):
    stop()
    stop(reason="the interface engine is being moved")
    older, newer = KillSwitch.objects.order_by("engaged_at")
    for switch in (older, newer):
        browser(inside.person(Role.OPERATOR)).post(f"/connections/stops/{switch.pk}/ask/")
    compliance = browser(inside.person(Role.COMPLIANCE))
    one = compliance.post(f"/connections/stops/{older.pk}/release/", follow=True).content.decode()
    assert "another still holds writing back" in one
    assert "Writing goes on" not in one
    both = compliance.post(f"/connections/stops/{newer.pk}/release/", follow=True).content.decode()
    assert "Writing goes on" in both


def test_an_approved_draft_says_why_it_is_not_sent(inside, draft, browser, stop):
    made = draft(state=State.APPROVED)
    client = browser(inside.person(Role.REVIEWER))
    assert "Not sent yet." not in client.get(f"{made.url}delivery/").content.decode()
    stop()
    html = client.get(f"{made.url}delivery/").content.decode()
    assert "Not sent yet." in html
    assert "duplicate notes under investigation" in html
