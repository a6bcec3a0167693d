"""What a patient says after the approval: for a purpose, about an action, for a time, and taken back.

A change that was approved is written only while the patient's directives still allow this action for this
purpose. What they say about something else stops nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import transaction

from intents.governance.models import ConsentDirective, ScopeGrant
from intents.lifecycle import State
from intents.management.clinic import INSTALLATION

RESEARCH = "HRESCH"
REFUSED = "The patient no longer agrees to this use of the record. Nothing was sent."
ENDED = "The patient's permission for this use of the record has ended. Nothing was sent."


@transaction.atomic
def said(day: Any, decision: str, **directive: Any) -> ConsentDirective:
    return ConsentDirective.enter(
        connection=day.clinic.connection(),
        patient_ref=day.clinic.patient("P1")["patient"],
        decision=decision,
        source="paper form at the front desk",
        actor=INSTALLATION,
        at=day.now,
        **directive,
    )


@transaction.atomic
def take_back(day: Any) -> None:
    ConsentDirective.objects.get().end(actor=INSTALLATION, at=day.now, reason="changed their mind")


@transaction.atomic
def drafts_for_research(day: Any) -> None:
    """The agent's grants are for research instead of treatment."""
    for grant in ScopeGrant.objects.filter(agent=day.clinic.agent):
        grant.revoke(actor=INSTALLATION, at=day.now)
        ScopeGrant.grant(
            agent=grant.agent,
            connection=grant.connection,
            scope=grant.scope,
            lane=grant.lane,
            purpose=RESEARCH,
            actor=INSTALLATION,
            at=day.now,
        )


def nothing(day: Any) -> None:
    """Time goes on, and that is all."""


class Said(NamedTuple):
    """What was said before the draft, what after the approval, and the sentence that then stops it."""

    before: Callable[[Any], Any]
    after: Callable[[Any], Any]
    sentence: str = ""


STOPPED = {
    "everything is refused": Said(nothing, lambda day: said(day, "DENY"), REFUSED),
    "treatment is refused": Said(
        nothing, lambda day: said(day, "DENY", purposes=["TREAT"]), REFUSED
    ),
    "new notes are refused": Said(
        nothing, lambda day: said(day, "DENY", actions=["note:create"]), REFUSED
    ),
    "a refusal beside a permission": Said(
        lambda day: said(day, "PERMIT"), lambda day: said(day, "DENY", actions=["note"]), REFUSED
    ),
    "a permission is taken back": Said(
        lambda day: said(day, "PERMIT", purposes=["TREAT"]), take_back, ENDED
    ),
    "the period of a permission runs out": Said(
        lambda day: said(day, "PERMIT", active_until=day.now + timedelta(seconds=90)),
        nothing,
        ENDED,
    ),
    "a permission for research is taken back, and it was drafted for research": Said(
        lambda day: (drafts_for_research(day), said(day, "PERMIT", purposes=[RESEARCH])),
        take_back,
        ENDED,
    ),
}
WRITTEN = {
    "research is refused": Said(nothing, lambda day: said(day, "DENY", purposes=[RESEARCH])),
    "other entries are refused": Said(nothing, lambda day: said(day, "DENY", actions=["problem"])),
    "notes are refused from next week on": Said(
        nothing, lambda day: said(day, "DENY", active_from=day.now + timedelta(days=7))
    ),
    "a refusal that ended last week": Said(
        lambda day: said(
            day,
            "DENY",
            active_from=day.now - timedelta(days=30),
            active_until=day.now - timedelta(days=7),
        ),
        nothing,
    ),
    "a permission for research is taken back, and it was drafted for treatment": Said(
        lambda day: said(day, "PERMIT", purposes=[RESEARCH]), take_back
    ),
    "a permission still holds": Said(
        lambda day: said(day, "PERMIT", active_until=day.now + timedelta(days=7)), nothing
    ),
}


def approved(day: Any, case: Said) -> Any:
    case.before(day)
    proposal = day.propose(day.clinic.note())
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    assert day.state(proposal) == State.APPROVED
    case.after(day)
    return proposal


def kept(day: Any, proposal: Any) -> tuple[Any, ...]:
    """The draft and the approval as they are stored."""
    intent = day.intent(proposal)
    decisions = intent.current_screening.decisions.values_list("kind", "statement", "signature")
    return intent.current_version.phi_json("content"), list(decisions)


@pytest.mark.req("000-48", "000-97")
@pytest.mark.fault("approval-undercut")
@pytest.mark.parametrize("case", STOPPED.values(), ids=STOPPED.keys())
def test_what_the_patient_no_longer_allows_is_not_written_and_a_person_is_told_why(day, case):
    proposal = approved(day, case)
    before = kept(day, proposal)
    day.after_undo()
    assert day.state(proposal) == State.HELD
    assert day.writes() == []

    lam = day.desk("lam")
    assert "1 draft" in lam.open("/queue/?view=changed").text
    screen = lam.review(proposal)
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    assert case.sentence in screen.text
    assert "Nothing has been written." in screen.text
    [event] = [each for each in day.story(proposal) if each.tag == "intent:write:held"]
    assert event.actor_kind == "POLICY"
    assert kept(day, proposal) == before, "the draft and its approval are kept"
    day.check_log()


@pytest.mark.req("000-48")
@pytest.mark.parametrize("case", WRITTEN.values(), ids=WRITTEN.keys())
def test_what_the_patient_says_about_something_else_stops_nothing(day, case):
    proposal = approved(day, case)
    day.after_undo()
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED, day.intent(proposal).reason
    assert len(day.writes()) == 1


@pytest.mark.req("000-97")
def test_a_permission_that_ended_is_asked_about_again_before_it_is_written(day):
    proposal = approved(day, STOPPED["a permission is taken back"])
    day.after_undo()
    reyes = day.desk("reyes")
    screen = reyes.press(reyes.review(proposal), "Check again")
    assert day.state(proposal) == State.PENDING_APPROVAL, "treatment goes without a permission"
    day.after_undo()
    assert day.writes() == [], "the approval of before counts no more"
    reyes.approve(proposal)
    day.after_undo()
    day.after_undo()
    assert day.state(proposal) == State.RECONCILED
    assert len(day.writes()) == 1
    assert screen.status == 200
    day.check_log()


@pytest.mark.req("000-97")
def test_a_permission_that_ends_while_the_page_is_open_is_not_approved_over(day):
    said(day, "PERMIT")
    proposal = day.propose(day.clinic.note())
    reyes = day.desk("reyes")
    screen = reyes.review(proposal)
    reyes.check(screen)
    day.forward(seconds=40)
    take_back(day)
    screen = reyes.press(screen, "Approve for")
    assert day.state(proposal) == State.HELD
    assert screen.url == f"/intents/{proposal.pk}/conflict/"
    assert ENDED in screen.text
    assert "intent:review:approved" not in day.told(proposal)
    day.after_undo()
    assert day.writes() == []
