"""A session that somebody left open decides nothing grave: the person signs in again, and loses nothing."""

from datetime import timedelta

import pytest
from django.db import transaction

from intents.governance.models import PolicyVersion
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION
from intents.models import ReviewDecision
from intents.pipeline import sealing


def busy_elsewhere(day, desk) -> None:
    """Twelve minutes of work: the session goes on, and the sign-in grows old."""
    for _ in range(2):
        day.forward(minutes=6)
        desk.open("/queue/")


@pytest.mark.req("001-69", "002-23")
def test_a_problem_is_approved_after_a_newer_sign_in_with_the_checks_kept(day):
    proposal = day.propose(day.clinic.problem())
    reyes = day.desk("reyes")
    busy_elsewhere(day, reyes)
    screen = reyes.review(proposal)
    reyes.check(screen)
    day.forward(minutes=5)
    asked = reyes.press(screen, "Approve for")
    assert "over 15 minutes old" in asked.text
    assert day.state(proposal) == State.PENDING_APPROVAL
    assert day.told(proposal).count("intent:review:approved") == 0

    screen = reyes.press(asked, "It is still me")
    assert screen.url == f"/intents/{proposal.pk}/"
    assert all(box.on for box in screen.ticks()), "a check was lost"
    day.forward(seconds=5)
    reyes.press(screen, "Approve for")
    assert day.state(proposal) == State.APPROVED
    [decision] = ReviewDecision.objects.all()
    statement = sealing.Statement.from_canonical(decision.statement.encode())
    assert statement.decided_at - statement.authenticated_at < timedelta(minutes=1)


def test_the_page_says_beforehand_that_a_newer_sign_in_will_be_needed(day):
    proposal = day.propose(day.clinic.problem())
    reyes = day.desk("reyes")
    assert "sign in again" not in reyes.review(proposal).text
    busy_elsewhere(day, reyes)
    day.forward(minutes=5)
    assert "asks you to sign in again first" in reyes.review(proposal).text


def test_a_note_needs_no_newer_sign_in(day):
    proposal = day.propose(day.clinic.note())
    reyes = day.desk("reyes")
    busy_elsewhere(day, reyes)
    screen = reyes.review(proposal)
    reyes.check(screen)
    day.forward(minutes=5)
    reyes.press(screen, "Approve for")
    assert day.state(proposal) == State.APPROVED


def test_a_clinic_whose_rules_call_notes_a_high_risk_is_asked_for_it(day):
    old = PolicyVersion.in_force(tenant_id=day.clinic.tenant.pk, at=day.now)
    name = '@id("NOTE-01")'
    before, rule = old.content.split(name)
    stricter = before + name + rule.replace('@risk("medium")', '@risk("high")', 1)
    with transaction.atomic():
        PolicyVersion.activate(
            tenant=day.clinic.tenant,
            content=stricter,
            schema=old.schema,
            proposed_by="H. Ansah",
            approved_by="M. Dahl",
            actor=INSTALLATION,
            at=day.now,
        )
    proposal = day.propose(day.clinic.note())
    reyes = day.desk("reyes")
    assert "High risk" in reyes.open("/queue/").text
    busy_elsewhere(day, reyes)
    screen = reyes.review(proposal)
    assert "High risk" in screen.part("c-A")
    reyes.check(screen)
    day.forward(minutes=5)
    assert "over 15 minutes old" in reyes.press(screen, "Approve for").text
    assert day.state(proposal) == State.PENDING_APPROVAL
