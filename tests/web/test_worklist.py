"""The operators' work list: everything that needs a person, and nothing that does not."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from intents.governance.models import Role
from intents.lifecycle import State
from intents.queries import worklist
from intents.queries.worklist import Trouble
from tests.web import made_up


@pytest.fixture
def operator(inside):
    return inside.person(Role.OPERATOR)


def troubles():
    return [row.trouble for row in worklist.rows(at=datetime.now(UTC))]


def test_holds_each_kind_of_trouble_in_its_group(draft):
    draft(state=State.UNCERTAIN)
    draft(state=State.FAILED)
    draft(state=State.REJECTED, rejected_by="EHR")
    draft(state=State.ACCEPTED, discrepancy="altered")
    draft(state=State.ACCEPTED, finality="staged", discrepancy="missing")
    draft(state=State.UNCERTAIN, discrepancy="")
    assert troubles() == [
        Trouble.UNKNOWN,
        Trouble.UNKNOWN,
        Trouble.NOT_SENT,
        Trouble.REFUSED,
        Trouble.DIFFERS,
        Trouble.NOT_TAKEN_UP,
    ]


@pytest.mark.parametrize(
    "state",
    [
        State.DRAFTED, State.VALIDATED, State.PENDING_APPROVAL, State.HELD, State.APPROVED,
        State.SUBMITTED, State.ACCEPTED, State.RECONCILED, State.REJECTED,
    ],
)  # fmt: skip
def test_holds_nothing_that_goes_on_by_itself_or_waits_for_a_reviewer(draft, state):
    draft(state=state)
    assert troubles() == []
    assert worklist.count(at=datetime.now(UTC)) == 0


def test_a_refusal_leaves_the_list_after_two_weeks(draft):
    draft(state=State.REJECTED, rejected_by="EHR", at=datetime.now(UTC) - timedelta(days=15))
    assert troubles() == []


def test_says_patient_change_cause_next_step_owner_and_age(draft, operator, browser):
    made = draft(state=State.UNCERTAIN)
    html = browser(operator).get("/worklist/").content.decode()
    for words in (
        "OKONKWO, Ngozi",
        "Dizziness and giddiness",
        "Outcome unknown",
        "It is not known whether the EHR wrote it.",
        "Look in the EHR, then settle",
        "Reviewer of Northgate",
        "28 min",
        f'href="{made.url}delivery/#c-c1"',
    ):
        assert words in html, words
    # An unknown outcome is past its target after a quarter of an hour.
    assert re.search(r'class="late"><span class="nb">28 min', html)


@pytest.mark.req("002-35")
def test_support_sees_states_and_ages_without_names_and_values(draft, inside, browser, happened):
    made = draft(state=State.UNCERTAIN)
    html = browser(inside.person(Role.SUPPORT)).get("/worklist/").content.decode()
    assert made.intent.current_version.tag_short in html
    assert "Outcome unknown" in html
    for words in ("OKONKWO", "Ngozi", "Dizziness", "R42", "1957", "4471908213", made.url):
        assert words not in html, words
    assert happened("intent:phi:viewed") == []


def test_a_difference_is_taken_once(draft, operator, browser, happened):
    made = draft(state=State.ACCEPTED, discrepancy="altered")
    found = made.intent.discrepancies.get()
    client = browser(operator)
    assert "Take it" in client.get("/worklist/").content.decode()
    client.post(f"/worklist/differences/{found.pk}/take/")
    found.refresh_from_db()
    assert found.owner == "Operator of Northgate"
    assert len(happened("intent:discrepancy:assigned")) == 1
    again = client.post(f"/worklist/differences/{found.pk}/take/", follow=True)
    assert "has it by now" in again.content.decode()
    assert len(happened("intent:discrepancy:assigned")) == 1


def test_is_filtered_by_trouble_owner_and_connection(draft, inside, operator, browser):
    # What nobody has taken belongs to whoever approved it.
    draft(state=State.UNCERTAIN)
    draft(state=State.FAILED, patient=made_up.Patient("pat-9", "Petrov", "Alexei", mrn="99"))
    client = browser(operator)
    shown = {
        query: sorted(re.findall(r"<bdi>(\w+)", client.get(f"/worklist/?{query}").content.decode()))
        for query in (
            "trouble=unknown",
            "owner=mine",
            "owner=nobody",
            f"connection={inside.connection.pk}",
        )
    }
    assert shown == {
        "trouble=unknown": ["OKONKWO"],
        "owner=mine": [],
        "owner=nobody": [],
        f"connection={inside.connection.pk}": ["OKONKWO", "PETROV"],
    }
    assert client.get("/worklist/?trouble=all").status_code == 404


def test_an_empty_list_says_so(operator, browser):
    assert "Nothing needs a person" in browser(operator).get("/worklist/").content.decode()
