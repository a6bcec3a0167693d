"""AdvancedMD from draft to chart: a login in two steps, a session that ends, notes that nobody can read back."""

import pytest

from ehr_adapters.capabilities import Finality
from ehr_adapters.vendors.advancedmd import budget, session
from intents.lifecycle import State
from intents.pipeline import gateway


@pytest.fixture(autouse=True)
def _as_if_just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """No session and no counted call of another test's."""
    monkeypatch.setattr(session, "sessions", session.Sessions())
    monkeypatch.setattr(budget, "budget", budget.Budget())


def approved(day, change):
    proposal = day.propose(change, vendor="advancedmd")
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    return proposal


def messages(day, action):
    """The messages that reached the practice's server, whatever it answered."""
    return [
        one
        for one in day.practice.log(vendor="advancedmd", path="^processrequest")
        if action in one["scope"]
    ]


def test_a_problem_is_added_once_and_read_back_from_the_other_interface(day):
    proposal = approved(day, day.clinic.problem())
    day.after_undo()
    day.forward(seconds=60)
    day.background()
    assert day.state(proposal) == State.RECONCILED, day.reason(proposal)
    assert len(messages(day, "addehrproblem")) == 1
    assert len(messages(day, "login")) == 1
    day.check_log()


def test_a_note_is_filed_unsigned_and_stays_so_because_nobody_can_look(day):
    proposal = approved(day, day.clinic.note())
    day.after_undo()
    day.forward(seconds=60)
    day.background()
    assert day.state(proposal) == State.ACCEPTED, day.reason(proposal)
    assert day.intent(proposal).finality == Finality.FILED_UNSIGNED
    assert "your signature is needed" in day.desk("reyes").delivery(proposal).text
    [filed] = day.held(vendor="advancedmd")
    assert filed["content"]["docStatus"] == "preliminary"
    assert len(messages(day, "addehrnote")) == 1


@pytest.mark.req("003-55")
@pytest.mark.fault("advancedmd.session-ends")
def test_a_session_that_ended_meanwhile_costs_a_login_and_not_a_second_note(day):
    first = approved(day, day.clinic.problem())
    day.after_undo()
    day.practice.lever("expire_tokens", vendor="advancedmd")
    day.practice.settings("advancedmd", logins_per_minute=30)
    second = approved(day, day.clinic.note())
    day.after_undo()
    day.forward(seconds=120)
    day.background()
    assert day.state(second) == State.ACCEPTED, day.reason(second)
    assert len(day.held(vendor="advancedmd")) == 1
    assert len(messages(day, "login")) == 2
    assert day.state(first) == State.RECONCILED


@pytest.mark.req("002-46")
def test_a_reply_that_is_lost_leaves_the_outcome_to_a_person(day):
    proposal = approved(day, day.clinic.problem())
    day.practice.fault("drop-after-commit", vendor="advancedmd", path="addehrproblem")
    day.after_undo()
    day.after_quarantine(proposal)
    assert day.state(proposal) == State.UNCERTAIN
    assert len(messages(day, "addehrproblem")) == 1, "never sent again"


def test_what_the_practice_says_of_itself_takes_nothing_away(day):
    connection = day.clinic.connection("advancedmd")
    gateway.probe_due(at=day.now)
    connection.refresh_from_db()
    found = gateway.capabilities_for(connection=connection)
    assert found.may("note", "create")
    assert found.may("problem", "update")
    assert any("note templates" in line for line in found.evidence)
