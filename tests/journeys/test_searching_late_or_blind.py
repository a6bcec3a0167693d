"""Searches that show a new entry late, or entries that lose the portal's mark: nothing is written twice.

An answer was lost, so the portal can only look. What an EHR does not show yet is not absent, and what it shows
without the mark is not known to be the portal's.
"""

from datetime import timedelta
from typing import Any

import pytest

from ehr_adapters.vendors.advancedmd import budget as amd_budget
from ehr_adapters.vendors.advancedmd import session
from ehr_adapters.vendors.athenahealth import budget as athena_budget
from intents.lifecycle import State
from intents.models import Discrepancy
from tests.journeys.test_stops import DIZZINESS, effects

# What an EHR answers, or does not, is the same to the portal on either database.
pytestmark = pytest.mark.once

SIX = ("generic", "epic", "veradigm", "athenahealth", "advancedmd", "eclinicalworks")
# How a problem is sent to each of them.
DOORS = {
    "generic": "^Condition",
    "epic": "^Condition",
    "veradigm": "^Condition",
    "athenahealth": "chart/.*/problems",
    "advancedmd": "addehrproblem",
    "eclinicalworks": "^Condition",
}


@pytest.fixture(autouse=True)
def _as_if_just_started(monkeypatch):
    """No session with an EHR and no counted call of another test's."""
    monkeypatch.setattr(session, "sessions", session.Sessions())
    monkeypatch.setattr(amd_budget, "budget", amd_budget.Budget())
    monkeypatch.setattr("ehr_adapters.vendors.athenahealth.twins.budgets", athena_budget.Budgets())


def problem(day: Any, vendor: str) -> Any:
    change = day.clinic.problem(vendor=vendor)
    if vendor == "athenahealth":
        change["content"] |= {"code": [DIZZINESS]}
    return change


def approved(day: Any, vendor: str, change: Any) -> Any:
    proposal = day.propose(change, vendor=vendor)
    assert day.state(proposal) == State.PENDING_APPROVAL, day.intent(proposal).reason
    day.desk("reyes").approve(proposal)
    return proposal


def lost(day: Any, vendor: str, change: Any, door: str) -> Any:
    """Written, and nobody was told so."""
    proposal = approved(day, vendor, change)
    day.practice.fault("error-after-commit", vendor=vendor, method="POST", path=door)
    day.forward(seconds=61)
    day.send()
    assert day.state(proposal) == State.UNCERTAIN, day.reason(proposal)
    assert len(effects(day, vendor)) == 1
    return proposal


def hours(day: Any) -> None:
    for _ in range(4):
        day.forward(minutes=40)
        day.background()


@pytest.mark.req("002-46", "003-55")
@pytest.mark.fault(
    "generic.index_lag_ms", "epic.index_lag_ms", "veradigm.index_lag_ms", "athenahealth.index_lag_ms",
    "advancedmd.index_lag_ms", "eclinicalworks.index_lag_ms",
)  # fmt: skip
@pytest.mark.parametrize("vendor", SIX)
def test_what_is_shown_late_is_not_sent_again(day, vendor):
    day.clinic.connection(vendor)
    day.practice.settings(vendor, index_lag_ms=3_600_000)
    proposal = lost(day, vendor, problem(day, vendor), DOORS[vendor])
    day.background()
    assert day.state(proposal) == State.UNCERTAIN, "what is not shown yet is not absent"
    day.practice.lever("index_now", vendor=vendor)
    hours(day)
    # Where the mark can be searched for it is found; elsewhere it is for a person, and stays so.
    found = State.RECONCILED if vendor == "generic" else State.UNCERTAIN
    assert day.state(proposal) == found, day.reason(proposal)
    assert len(effects(day, vendor)) == 1
    day.check_log()


@pytest.mark.req("002-46", "003-55")
@pytest.mark.fault(
    "generic.search-lag", "epic.search-lag", "veradigm.search-lag", "athenahealth.search-lag",
    "advancedmd.search-lag", "eclinicalworks.search-lag",
)  # fmt: skip
@pytest.mark.parametrize("vendor", SIX)
def test_an_acknowledged_entry_that_searches_do_not_show_yet_is_written_once(day, vendor):
    day.clinic.connection(vendor)
    proposal = approved(day, vendor, problem(day, vendor))
    day.practice.fault("search-lag", vendor=vendor, method="POST", path=DOORS[vendor])
    day.after_undo()
    assert day.state(proposal) in (State.ACCEPTED, State.RECONCILED), day.reason(proposal)
    assert not Discrepancy.objects.exists(), "what is not shown yet is not missing"
    day.practice.lever("index_now", vendor=vendor)
    hours(day)
    assert day.state(proposal) in (State.ACCEPTED, State.RECONCILED), day.reason(proposal)
    assert not Discrepancy.objects.exists()
    assert len(effects(day, vendor)) == 1
    day.check_log()


@pytest.mark.req("002-46", "003-55")
@pytest.mark.fault(
    "generic.identifiers_kept", "athenahealth.identifiers_kept", "advancedmd.identifiers_kept",
    "eclinicalworks.identifiers_kept",
)  # fmt: skip
@pytest.mark.parametrize("vendor", SIX)
def test_an_entry_without_the_mark_is_not_sent_again(day, vendor):
    day.clinic.connection(vendor)
    day.practice.settings(vendor, identifiers_kept=False)
    proposal = lost(day, vendor, problem(day, vendor), DOORS[vendor])
    hours(day)
    # Nothing proves whose it is: the problem in the chart stops a second one, and a person decides.
    assert day.state(proposal) in (State.UNCERTAIN, State.HELD), day.reason(proposal)
    assert len(effects(day, vendor)) == 1
    day.check_log()


@pytest.mark.req("002-46", "003-55")
@pytest.mark.fault("generic.identifiers_kept")
def test_a_note_whose_identifier_was_dropped_is_found_by_its_last_line_and_not_sent_again(day):
    day.practice.settings("generic", identifiers_kept=False)
    proposal = lost(day, "generic", day.clinic.note(), "^DocumentReference")
    day.background()
    assert day.state(proposal) == State.UNCERTAIN
    hours(day)
    assert len(effects(day, "generic")) == 1
    # It ends with the mark and has lost its identifier: a person says what to make of that.
    assert day.state(proposal) == State.UNCERTAIN
    [differs] = Discrepancy.objects.all()
    assert (differs.kind, differs.paths) == ("different", ["/identifier"])
    assert day.desk("singh").delivery(proposal).offers("It is there")
    day.check_log()


@pytest.mark.req("002-46", "003-55")
@pytest.mark.fault("generic.identifiers_kept")
def test_a_task_whose_identifier_was_dropped_is_shown_to_a_person_and_not_sent_again(day):
    """Of tasks the chart may hold any number: no other entry stops a second one."""
    day.practice.settings("generic", identifiers_kept=False)
    staff = day.practice.directory()["staff"]["nurse"]
    content = {
        "title": "Repeat potassium and creatinine",
        "owner": f"Practitioner/{staff['practitioner']}",
        "due": (day.now + timedelta(days=14)).date().isoformat(),
        "priority": "routine",
        "status": "requested",
    }
    task = {"ref": "c1", "kind": "task", "interaction": "create", "content": content}
    proposal = lost(day, "generic", task, "^Task")
    hours(day)
    assert day.state(proposal) == State.UNCERTAIN, day.reason(proposal)
    assert len(effects(day, "generic")) == 1
    singh = day.desk("singh")
    assert "Outcome unknown" in singh.open("/worklist/").text
    assert singh.delivery(proposal).offers("It is there")
    day.check_log()
