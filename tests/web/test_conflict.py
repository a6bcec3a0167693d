"""A stopped draft: what happened, three versions side by side, and no "write anyway"."""

from dataclasses import replace

import pytest

from ehr_adapters.contract import Baseline
from intents.governance.models import Role
from intents.lifecycle import State
from intents.pipeline.gateway import ReadResult
from intents.web import conflict
from tests.web import made_up
from tests.web.conftest import main_of

THEN = {"clinical_status": "active", "verification": "provisional", "onset": "2024"}


def compared(now, change):
    rows, same = conflict.compare(kind="problem", then=THEN, now=now, change=change)
    return {row.label: row for row in rows}, same


@pytest.mark.once
class TestThreeVersions:
    def test_only_what_both_sides_changed_differently_is_marked(self):
        rows, _ = compared(
            {**THEN, "clinical_status": "remission", "onset": "2025"},
            {"clinical_status": "resolved", "verification": "confirmed"},
        )
        assert {label: row.clash for label, row in rows.items()} == {
            "Status": True,
            "Certainty": False,
            "Since": False,
        }
        assert rows["Status"].what == "Both changed it."
        assert rows["Certainty"].what == "Only the draft changes it."
        assert rows["Since"].what == "Only the chart changed."
        assert rows["Since"].more == "The draft would have undone this."

    def test_the_same_change_on_both_sides_is_no_clash(self):
        rows, _ = compared({**THEN, "onset": "2025"}, {"onset": "2025"})
        assert not rows["Since"].clash
        assert rows["Since"].what == "Both changed it to the same value."

    def test_what_clashes_stands_first(self):
        rows, _ = conflict.compare(
            kind="problem",
            then=THEN,
            now={**THEN, "clinical_status": "remission", "onset": "2025"},
            change={"onset": "2023"},
        )
        assert [row.clash for row in rows] == [True, False]

    def test_nothing_is_left_out(self):
        rows, same = compared({**THEN, "onset": "2025"}, {})
        assert set(rows) == {"Since"}
        assert same == "active; provisional"


@pytest.fixture
def reviewer(inside, settings):
    settings.DEMO_MODE, settings.REQUIRE_MFA_TO_DECIDE = True, False
    return inside.person(Role.REVIEWER)


def test_the_page_says_that_nothing_was_written_and_offers_no_way_to_write(
    draft, reviewer, browser, happened
):
    made = draft(state=State.HELD, changes=[made_up.problem_update(verification="provisional")])
    html = browser(reviewer).get(f"{made.url}conflict/").content.decode()
    assert "Nothing has been written." in html
    assert "no “write anyway”" in html
    assert "Approve" not in main_of(html)
    assert "OKONKWO, Ngozi" in html
    assert "The entry changed in the EHR since the approval." in html
    assert len(happened("intent:phi:viewed")) == 1


@pytest.mark.req("003-30")
def test_a_chart_that_cannot_be_read_now_is_said_not_guessed(draft, reviewer, browser):
    made = draft(state=State.HELD, changes=[made_up.problem_update(verification="provisional")])
    # Nothing listens at the connection's address.
    html = browser(reviewer).get(f"{made.url}conflict/").content.decode()
    assert "The chart could not be read now." in html
    assert "Try again" in html


def test_the_three_versions_are_shown_when_the_chart_answers(draft, reviewer, browser, monkeypatch):
    made = draft(state=State.HELD, changes=[made_up.problem_update(verification="provisional")])
    screening = made.intent.current_screening

    def read(*, intent, at):
        stored = Baseline.from_json(screening.phi_json("baseline"))
        target = replace(
            stored.target,
            canonical={**made_up.CHART_PROBLEM, "verification": "differential"},
            version_id="5",
        )
        return ReadResult(replace(stored, target=target, read_at=at))

    monkeypatch.setattr(conflict.gateway, "read_for_review", read)
    html = browser(reviewer).get(f"{made.url}conflict/").content.decode()
    assert "The chart changed since this was drafted" in html
    assert '<tr class="clash">' in html
    for words in ("confirmed", "one of several", "provisional", "version 4", "version 5"):
        assert words in html, words


def test_a_draft_that_is_not_stopped_is_shown_where_it_belongs(draft, reviewer, browser):
    made = draft()
    response = browser(reviewer).get(f"{made.url}conflict/")
    assert response["Location"] == made.url


def test_rejecting_needs_a_reason(draft, reviewer, browser):
    made = draft(state=State.HELD)
    response = browser(reviewer).post(f"{made.url}conflict/reject/", {"reason": ""}, follow=True)
    assert "choose a reason" in response.content.decode()
    assert made.intent.state == State.HELD


def test_those_who_do_not_decide_get_no_buttons(draft, inside, browser):
    made = draft(state=State.HELD)
    client = browser(inside.person(Role.OPERATOR))
    assert "Check again" not in client.get(f"{made.url}conflict/").content.decode()
    assert client.post(f"{made.url}conflict/release/").status_code == 403
