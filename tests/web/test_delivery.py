"""What became of an approved draft: steps from recorded facts, and what a person may still do."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from intents.governance.models import Role
from intents.lifecycle import State
from intents.models import WriteLedgerEntry
from intents.queries import delivery
from tests.web import made_up
from tests.web.conftest import main_of


@pytest.fixture
def reviewer(inside):
    return inside.person(Role.REVIEWER)


@pytest.fixture
def operator(inside):
    return inside.person(Role.OPERATOR)


def steps(made):
    found = delivery.get_delivery(proposal_id=made.proposal.pk, at=datetime.now(UTC))
    assert found is not None
    return [step.state.value for step in found.changes[0].steps]


class TestTheRail:
    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({"state": State.APPROVED}, "ok todo todo todo todo"),
            ({"state": State.SUBMITTED}, "ok todo ok todo todo"),
            ({"state": State.UNCERTAIN}, "ok todo ok hot todo"),
            ({"state": State.REJECTED, "rejected_by": "EHR"}, "ok todo ok hot todo"),
            ({"state": State.FAILED}, "ok todo ok todo todo"),
            ({"state": State.ACCEPTED}, "ok todo ok ok todo"),
            ({"state": State.RECONCILED}, "ok todo ok ok ok"),
            ({"state": State.ACCEPTED, "discrepancy": "altered"}, "ok todo ok ok hot"),
        ],
    )
    def test_shows_a_step_as_done_only_when_its_fact_was_recorded(self, draft, wanted, expected):
        # Nothing has signed the record here, so the step "Sealed" stays open throughout.
        assert steps(draft(**wanted)) == expected.split()

    def test_an_attempt_that_ended_before_the_ehr_is_not_shown_as_sent(
        self, draft, reviewer, browser
    ):
        made = draft(state=State.SUBMITTED)
        started = WriteLedgerEntry.objects.get(intent=made.intent)
        WriteLedgerEntry.write(
            phase=WriteLedgerEntry.Phase.NOT_SENT,
            actor=made_up.DISPATCHER,
            entry=started.entry,
            attempt_id=started.attempt_id,
            at=started.at,
            tick=1,
        )
        assert steps(made) == ["ok", "todo", "todo", "todo", "todo"]
        html = browser(reviewer).get(f"{made.url}delivery/").content.decode()
        assert "nothing reached the EHR" in html
        assert "first attempt" not in html
        assert "1: tried" in html

    @pytest.mark.req("002-34")
    def test_names_who_approved_with_how_many_checks_and_the_reference(
        self, draft, reviewer, browser
    ):
        made = draft(state=State.RECONCILED)
        html = browser(reviewer).get(f"{made.url}delivery/").content.decode()
        assert "Reviewer of Northgate, 1 check" in html
        assert f"Ref {made.intent.current_version.tag_short}" in html
        assert "Written and read back" in html
        assert "equal to what was approved" in html
        assert "OKONKWO, Ngozi" in html

    @pytest.mark.parametrize(
        ("finality", "sentence"),
        [
            ("filed_unsigned", "Filed, not signed: your signature is needed in"),
            ("staged", "for someone to accept it."),
            ("sent_for_action", "Sent to Northgate R4 (practice)."),
        ],
    )
    def test_says_what_is_still_owed_in_the_ehr(self, draft, reviewer, browser, finality, sentence):
        made = draft(state=State.ACCEPTED, finality=finality)
        html = browser(reviewer).get(f"{made.url}delivery/").content.decode()
        assert sentence in html

    def test_the_open_page_learns_when_something_changed(self, draft, reviewer, browser):
        client = browser(reviewer)
        made = draft(state=State.SUBMITTED)
        html = client.get(f"{made.url}delivery/").content.decode()
        (shown,) = re.findall(r'data-state="([^"]+)"', html)
        assert client.get(f"{made.url}delivery/state/").json() == {"state": shown}
        other = draft(state=State.RECONCILED)
        assert client.get(f"{other.url}delivery/state/").json() != {"state": shown}


class TestTheExactRequest:
    def test_is_shown_on_demand_and_looking_at_it_is_recorded(
        self, draft, reviewer, browser, happened
    ):
        made = draft(state=State.RECONCILED)
        client = browser(reviewer)
        html = client.get(f"{made.url}delivery/").content.decode()
        assert "POST Condition" not in html
        assert happened("intent:wire:viewed") == []
        html = client.get(f"{made.url}delivery/?request=c1").content.decode()
        assert "POST Condition" in html
        assert "R42" in html
        (event,) = happened("intent:wire:viewed")
        assert event.intent_id == str(made.intent.pk)


class TestUndoing:
    def test_is_offered_while_nothing_was_sent(self, draft, reviewer, browser, settings):
        settings.DEMO_MODE, settings.REQUIRE_MFA_TO_DECIDE = True, False
        made = draft(state=State.APPROVED, not_before=timedelta(minutes=40))
        html = browser(reviewer).get(f"{made.url}delivery/").content.decode()
        assert "Undo, send nothing" in html
        assert "Nothing is in the chart yet" in html

    @pytest.mark.parametrize("state", [State.SUBMITTED, State.UNCERTAIN, State.RECONCILED])
    def test_is_not_offered_afterwards(self, draft, reviewer, browser, state):
        html = browser(reviewer).get(f"{draft(state=state).url}delivery/").content.decode()
        assert "Undo" not in main_of(html)

    def test_is_not_for_those_who_do_not_decide(self, draft, inside, browser, settings):
        settings.DEMO_MODE, settings.REQUIRE_MFA_TO_DECIDE = True, False
        made = draft(state=State.APPROVED, not_before=timedelta(minutes=40))
        client = browser(inside.person(Role.OPERATOR))
        assert client.post(f"{made.url}undo/").status_code == 403


class TestAnUnknownOutcome:
    def test_tells_an_operator_what_to_look_for_and_asks_for_an_answer(
        self, draft, operator, browser
    ):
        made = draft(state=State.UNCERTAIN)
        html = browser(operator).get(f"{made.url}delivery/").content.decode()
        for words in (
            "It may be in the EHR, or not.",
            "What to look for",
            "born 14-Mar-1957",
            "It is there",
            "It is not there",
        ):
            assert words in html, words
        assert "Send A again" not in html

    def test_is_settled_by_operators_only(self, draft, reviewer, browser):
        made = draft(state=State.UNCERTAIN)
        client = browser(reviewer)
        assert "It is not there" not in client.get(f"{made.url}delivery/").content.decode()
        address = f"/worklist/changes/{made.intent.pk}/settle/"
        response = client.post(address, {"found": "yes", "evidence": "saw it"})
        assert response.status_code == 403

    def test_is_not_settled_without_what_was_seen(self, draft, operator, browser):
        made = draft(state=State.UNCERTAIN)
        client = browser(operator)
        address = f"/worklist/changes/{made.intent.pk}/settle/"
        response = client.post(address, {"found": "yes", "evidence": " "}, follow=True)
        assert "Not settled" in response.content.decode()
        assert made.intent.state == State.UNCERTAIN


def test_a_change_that_failed_may_be_sent_again_or_given_up_by_an_operator(
    draft, operator, browser
):
    made = draft(state=State.FAILED)
    html = browser(operator).get(f"{made.url}delivery/").content.decode()
    assert "Send A again" in html
    assert "Give up A" in html
    assert "The EHR does not permit the portal to write this." in html


def test_looking_is_recorded(draft, reviewer, browser, happened):
    made = draft(state=State.RECONCILED)
    browser(reviewer).get(f"{made.url}delivery/")
    (event,) = happened("intent:phi:viewed")
    assert event.proposal_id == str(made.proposal.pk)
    assert event.patient_token == made.proposal.patient_token


def test_a_partly_refused_draft_says_how_many(draft, reviewer, browser):
    made = draft(state=State.REJECTED, rejected_by="EHR", changes=[made_up.problem()])
    html = browser(reviewer).get(f"{made.url}delivery/").content.decode()
    assert "1 of 1 refused by the EHR" in html
    assert "Nothing was written." in html
