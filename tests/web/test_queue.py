"""The reviewers' queue: the right drafts, in the right order, with the delta in every row."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from audit import timeline
from intents.governance.models import Membership, Role, User
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import Finding
from intents.queries import queue
from intents.queries.queue import Filter, Order, View
from tests.web import made_up
from tests.web.conftest import BY, main_of

PETROV = made_up.Patient("pat-2", "Petrov", "Alexei", "1970-02-23", "male", "781665012")
ABDI = made_up.Patient("pat-3", "Abdi", "Fatuma", "1984-08-30", "female", "603771229")


def now():
    return datetime.now(UTC)


def rows(html):
    return re.findall(r'<a class="open" href="([^"]+)"><bdi>([^<]+)</bdi>', html)


@pytest.fixture
def reviewer(inside):
    return inside.person(Role.REVIEWER)


class TestARow:
    @pytest.mark.req("000-60")
    def test_holds_patient_delta_agent_destination_and_due_time(self, draft, reviewer, browser):
        made = draft()
        html = browser(reviewer).get("/queue/").content.decode()
        assert rows(html) == [(made.url, "OKONKWO, Ngozi")]
        for words in (
            "14-Mar-1957",
            "MRN 4471908213",
            "Dizziness and giddiness (R42)",
            "Visit scribe",
            "Northgate R4 (practice)",
            "High risk",
            "28 min",
            "due in 3",
        ):
            assert words in html, words

    def test_of_an_update_shows_what_stands_in_the_chart_now_and_what_will_be(
        self, draft, reviewer, browser
    ):
        draft(changes=[made_up.problem_update(verification="provisional")])
        html = browser(reviewer).get("/queue/").content.decode()
        assert "Chronic kidney disease, stage 3 (N18.30)" in html
        assert '<span class="vh">now </span>confirmed</del>' in html
        assert '<span class="vh">will be </span>provisional</ins>' in html

    def test_makes_invisible_characters_visible(self, draft, reviewer, browser):
        draft(patient=made_up.Patient(family="Oko\u200bnkwo"))
        html = browser(reviewer).get("/queue/").content.decode()
        assert "\u200b" not in html
        assert "U+200B" in html

    def test_escapes_whatever_an_agent_wrote(self, draft, reviewer, browser):
        draft(changes=[made_up.problem(display="<script>alert(1)</script>")])
        html = browser(reviewer).get("/queue/").content.decode()
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html

    @pytest.mark.req("000-60")
    def test_names_what_will_have_to_be_decided_and_nothing_else(self, draft, reviewer, browser):
        made = draft()
        screening = made.intent.current_screening
        for position, (code, asks) in enumerate(
            [
                ("statement-contradicted", True),
                ("statement-absent", True),
                ("field-absent", True),
                ("left-out", True),
                ("side-missing", True),
                ("unsafe-notation", False),
            ]
        ):
            Finding(
                tenant_id=made.proposal.tenant_id,
                screening=screening,
                position=position,
                severity="warning",
                code=code,
                diagnostics="made up",
                needs_decision=asks,
            ).save(force_insert=True)
        html = browser(reviewer).get("/queue/").content.decode()
        flags = re.findall(r'<span class="tag (\w*)">([^<]+)</span>', main_of(html))
        assert flags == [
            ("flag", "1 against the source"),
            ("flag", "2 not in the source"),
            ("warn", "1 fact left out"),
            ("flag", "1 to decide"),
        ]

    def test_is_one_link_and_offers_no_decision(self, draft, reviewer, browser):
        draft()
        html = main_of(browser(reviewer).get("/queue/").content.decode())
        assert "Approve" not in html
        assert "Reject" not in html
        assert "checkbox" not in html


class TestAView:
    def test_puts_each_draft_where_its_state_belongs(self, draft, reviewer):
        wanted = {
            View.ALL: draft(),
            View.CHANGED: draft(state=State.HELD),
            View.SENT_BACK: draft(state=State.REJECTED, rejected_by=RejectedBy.REVIEWER),
            View.BLOCKED: draft(state=State.REJECTED),
            View.CHECKING: draft(state=State.DRAFTED),
            View.PREPARED: draft(state=State.VALIDATED),
            View.LATE: draft(due_in=timedelta(minutes=5)),
            View.SENDING: draft(state=State.SUBMITTED),
            View.NOT_DELIVERED: draft(state=State.FAILED),
            View.UNKNOWN: draft(state=State.UNCERTAIN),
            View.WRITTEN: draft(state=State.RECONCILED),
        }
        for view, made in wanted.items():
            found = queue.page(view, reviewer=reviewer, at=now(), wanted=Filter())
            assert made.proposal.pk in [p.pk for p in found.proposals], view
        only = {
            view: queue.count(view, reviewer=reviewer, at=now())
            for view in wanted
            if view not in (View.ALL, View.LATE)
        }
        assert set(only.values()) == {1}, only

    def test_waits_for_those_whose_clinical_role_decides_it(self, draft, inside, browser):
        draft()
        clerk = Membership.grant(
            tenant=inside.tenant,
            user=User.add(email="clerk@northgate.example", name="D. Ferro", **BY),
            role=Role.REVIEWER,
            clinical_role="REGISTRATION",
            **BY,
        )
        assert queue.count(View.MINE, reviewer=clerk, at=now()) == 0
        assert queue.count(View.ALL, reviewer=clerk, at=now()) == 1

    def test_a_second_check_waits_for_everyone_but_the_first(self, draft, inside, reviewer):
        made = draft(tier=Tier.DUAL_APPROVAL)
        intent = made.intent
        made_up.decide(
            intent, intent.current_screening, reviewer=reviewer, kind="approve", at=now()
        )
        second = Membership.grant(
            tenant=inside.tenant,
            user=User.add(email="lam@northgate.example", name="Dr J. Lam", **BY),
            role=Role.REVIEWER,
            clinical_role="PRESCRIBER",
            **BY,
        )
        assert queue.count(View.MINE, reviewer=reviewer, at=now()) == 0
        assert queue.count(View.SECOND, reviewer=reviewer, at=now()) == 0
        assert queue.count(View.MINE, reviewer=second, at=now()) == 1
        assert queue.count(View.SECOND, reviewer=second, at=now()) == 1

    def test_a_draft_with_several_changes_is_one_row(self, draft, reviewer):
        draft(changes=[made_up.problem(), made_up.note()])
        assert queue.count(View.MINE, reviewer=reviewer, at=now()) == 1
        found = queue.page(View.MINE, reviewer=reviewer, at=now(), wanted=Filter())
        assert len(found.proposals) == 1

    @pytest.mark.req("003-30")
    def test_says_how_much_waits_how_old_it_is_and_how_much_is_late(self, draft, reviewer, browser):
        draft(due_in=timedelta(minutes=5))
        draft(patient=PETROV)
        html = browser(reviewer).get("/queue/").content.decode()
        assert "2 drafts for 2 patients. Oldest 28 min; 1 past target." in html
        assert "late" in html

    def test_that_is_empty_says_what_comes_next(self, reviewer, browser):
        html = browser(reviewer).get("/queue/").content.decode()
        assert "Nothing is waiting for you" in html

    def test_that_does_not_exist_is_not_found(self, reviewer, browser):
        client = browser(reviewer)
        for query in ("view=everything", "tier=LOW", "order=random", "agent=me", "after=%21"):
            assert client.get(f"/queue/?{query}").status_code == 404, query


class TestTheOrder:
    def test_is_by_due_time_in_groups(self, draft, reviewer, browser):
        later = draft(due_in=timedelta(hours=30), patient=PETROV)
        soon = draft(due_in=timedelta(minutes=40))
        html = browser(reviewer).get("/queue/").content.decode()
        assert [url for url, _ in rows(html)] == [soon.url, later.url]
        assert html.index("Due within the hour") < html.index("Later")

    def test_can_keep_a_patients_drafts_together(self, draft, reviewer):
        first = draft(due_in=timedelta(hours=1))
        other = draft(due_in=timedelta(hours=2), patient=PETROV)
        third = draft(due_in=timedelta(hours=3))
        found = queue.page(
            View.MINE, reviewer=reviewer, at=now(), wanted=Filter(order=Order.PATIENT)
        )
        assert [p.pk for p in found.proposals] == [
            first.proposal.pk,
            third.proposal.pk,
            other.proposal.pk,
        ]

    @pytest.mark.parametrize("order", list(Order))
    @pytest.mark.parametrize("view", [View.MINE, View.WRITTEN])
    def test_pages_hold_every_draft_once_though_new_ones_arrive(self, draft, reviewer, order, view):
        state = State.RECONCILED if view is View.WRITTEN else State.PENDING_APPROVAL
        made = [draft(state=state, due_in=timedelta(hours=1 + n)) for n in range(5)]
        seen, cursor = [], ""
        for _ in range(5):
            found = queue.page(
                view, reviewer=reviewer, at=now(), wanted=Filter(order=order),
                cursor=cursor, size=2,
            )  # fmt: skip
            seen += [p.pk for p in found.proposals]
            if len(seen) == 2:
                draft(state=state, due_in=timedelta(minutes=1), at=now())
            cursor = found.next_cursor
            if not cursor:
                break
        known = [pk for pk in seen if pk in {m.proposal.pk for m in made}]
        assert len(known) == len(set(known)) == 5

    def test_an_address_of_a_page_names_nobody(self, draft, reviewer, browser, monkeypatch):
        monkeypatch.setattr(queue, "PAGE_SIZE", 1)
        draft()
        draft(patient=PETROV)
        for order in ("due", "patient"):
            html = browser(reviewer).get(f"/queue/?order={order}").content.decode()
            (address,) = re.findall(r'href="([^"]+)" rel="next"', html)
            assert "pat-" not in address
            assert "OKONKWO" not in address.upper()


class TestASearch:
    def test_finds_by_name_number_birth_date_and_words_of_the_change(
        self, draft, reviewer, browser
    ):
        made = draft()
        draft(patient=PETROV, changes=[made_up.problem("L50.9", "Urticaria")])
        client = browser(reviewer)
        for words in ("okonkwo", "447190", "14-mar-1957", "dizziness"):
            html = client.post("/queue/?view=mine", {"q": words}).content.decode()
            assert rows(html) == [(made.url, "OKONKWO, Ngozi")], words
        html = client.post("/queue/?view=mine", {"q": "nobody"}).content.decode()
        assert rows(html) == []

    def test_is_a_post_so_that_no_name_is_in_an_address(self, draft, reviewer, browser):
        draft()
        html = browser(reviewer).get("/queue/").content.decode()
        (form,) = re.findall(r'<form[^>]*role="search"[^>]*>', html)
        assert 'method="post"' in form
        # A name in the address is not looked at.
        assert 'value="okonkwo"' not in browser(reviewer).get("/queue/?q=okonkwo").content.decode()


class TestLooking:
    @pytest.mark.req("001-76")
    def test_is_recorded_with_the_drafts_that_were_on_the_screen(
        self, draft, inside, reviewer, browser, happened
    ):
        made = draft()
        browser(reviewer).get("/queue/")
        (event,) = happened("intent:phi:viewed")
        body = timeline.details(event.pk, tenant_id=str(inside.tenant.pk))
        assert body == {"page": "queue", "view": "mine", "proposals": [str(made.proposal.pk)]}

    def test_at_an_empty_list_is_no_event(self, reviewer, browser, happened):
        browser(reviewer).get("/queue/")
        assert happened("intent:phi:viewed") == []


def test_new_drafts_are_counted_for_the_open_page(draft, reviewer, browser):
    client = browser(reviewer)
    since = now() - timedelta(minutes=1)
    draft()
    ask = {"view": "mine", "since": since.isoformat()}
    assert client.get("/queue/news/", ask).json() == {"count": 0}
    draft(at=now())
    assert client.get("/queue/news/", ask).json() == {"count": 1}
    assert client.get("/queue/news/", {"since": "yesterday"}).status_code == 404


def test_a_page_of_the_queue_costs_the_same_queries_for_many_drafts(
    draft, reviewer, browser, django_assert_max_num_queries
):
    client = browser(reviewer)
    for n in range(6):
        draft(due_in=timedelta(hours=1 + n))
    client.get("/queue/")
    with django_assert_max_num_queries(75):
        client.get("/queue/")


class TestTheNextDraft:
    @pytest.mark.req("000-60")
    def test_is_the_one_due_first_that_nobody_reads(self, draft, reviewer, browser, inside):
        first, second = draft(), draft(patient=PETROV)
        client = browser(reviewer)
        assert client.get("/queue/next/").url == first.url
        assert client.get(f"/queue/next/?after={first.proposal.pk}").url == second.url
        first.proposal.claim(
            reviewer=inside.person(Role.OPERATOR),
            actor=BY["actor"],
            at=now(),
            lease=timedelta(minutes=5),
        )
        assert client.get("/queue/next/").url == second.url

    def test_is_the_queue_when_nothing_is_left(self, reviewer, browser):
        assert browser(reviewer).get("/queue/next/").url == "/queue/"
        assert browser(reviewer).get("/queue/next/?after=x").status_code == 404
