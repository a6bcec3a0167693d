"""Signing in: by password or passkey, by name in the demo only, with every step in the record."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as project
from django.test import Client
from django.utils import timezone

from audit import timeline
from intents.governance.first_sign_in import sign_in_link
from intents.governance.middleware import LAST_SEEN_KEY
from intents.governance.models import Role, User
from tests.web.conftest import PASSWORD


@pytest.fixture
def demo(settings):
    settings.DEMO_MODE = True


def sign_in(client, membership, password=PASSWORD, **more):
    return client.post(
        "/login/", {"login": membership.user.email, "password": password, **more}, follow=False
    )


class TestByPassword:
    @pytest.mark.req("001-76")
    def test_leads_to_the_start_page_and_is_recorded(self, northgate, browser, happened):
        person = northgate.person(Role.REVIEWER)
        response = sign_in(browser(), person)
        assert response.status_code == 302
        assert response["Location"] == "/"
        (event,) = happened("session:person:signed_in")
        assert event.actor_id == str(person.user_id)
        assert event.tenant_id == str(northgate.tenant.pk)

    def test_returns_to_the_page_that_was_asked_for(self, northgate, browser):
        client = browser()
        first = client.get("/queue/?view=second")
        assert first["Location"].startswith("/login/?next=")
        response = sign_in(client, northgate.person(Role.REVIEWER), next="/queue/?view=second")
        assert response["Location"] == "/queue/?view=second"

    def test_never_returns_to_another_site(self, northgate, browser):
        response = sign_in(
            browser(), northgate.person(Role.REVIEWER), next="https://elsewhere.example/"
        )
        assert response["Location"] == "/"

    @pytest.mark.parametrize("role", Role.values)
    def test_each_role_starts_where_its_work_is(self, northgate, browser, role):
        start = {
            "REVIEWER": "/queue/",
            "COMPLIANCE": "/audit/",
            "OPERATOR": "/worklist/",
            "ADMIN": "/admin/",
            "AUDITOR": "/audit/",
            "SUPPORT": "/worklist/",
        }[role]
        response = browser(northgate.person(role)).get("/")
        assert response["Location"] == start

    def test_a_wrong_password_is_refused_and_recorded_without_what_was_typed(
        self, northgate, browser, happened
    ):
        person = northgate.person(Role.REVIEWER)
        response = sign_in(browser(), person, password="not the password at all")
        assert response.status_code == 200
        assert "Not signed in." in response.content.decode()
        (event,) = happened("session:person:sign_in_failed")
        assert event.actor_id == str(person.user_id)
        body = timeline.details(event.pk, tenant_id=str(northgate.tenant.pk))
        assert body == {"factor": "password"}

    def test_an_unknown_address_is_told_no_more_than_a_wrong_password(
        self, northgate, browser, happened
    ):
        known = sign_in(browser(), northgate.person(Role.REVIEWER), password="x" * 14)
        unknown = browser().post("/login/", {"login": "a@b.example", "password": "x" * 14})
        said = [
            re.search(r"<strong>Not signed in.</strong>[^<]*", r.content.decode())[0]
            for r in (known, unknown)
        ]
        assert said[0] == said[1]
        assert happened("session:person:sign_in_failed")[-1].actor_id == "somebody"

    def test_after_several_wrong_tries_even_the_right_password_waits_and_that_is_recorded(
        self, northgate, browser, happened
    ):
        person = northgate.person(Role.REVIEWER)
        client = browser()
        for _ in range(5):
            sign_in(client, person, password="x" * 14)
        response = sign_in(client, person)
        assert response.status_code == 200
        assert "Too many failed login attempts" in response.content.decode()
        assert len(happened("session:person:locked_out")) == 1

    def test_a_lock_that_every_process_shares_follows_in_plain_words(
        self, northgate, browser, settings, happened
    ):
        # The first limit is counted by each process for itself; the second one in the database.
        settings.ACCOUNT_RATE_LIMITS = False
        person = northgate.person(Role.REVIEWER)
        client = browser()
        for _ in range(settings.AXES_FAILURE_LIMIT):
            response = sign_in(client, person, password="x" * 14)
        assert response.status_code == 429
        assert "Too many tries" in response.content.decode()
        assert person.user.email not in response.content.decode()
        assert happened("session:person:locked_out")

    def test_a_closed_account_does_not_get_in(self, northgate, browser):
        person = northgate.person(Role.REVIEWER)
        User.objects.filter(pk=person.user_id).update(is_active=False)
        client = browser()
        sign_in(client, person)
        assert client.get("/queue/").status_code == 302

    def test_there_is_no_address_to_sign_up_or_to_reset_a_password_by_mail(self, browser):
        client = browser()
        for path in (
            "/account/signup/",
            "/accounts/signup/",
            "/signup/",
            "/account/password/reset/",
            "/account/email/",
        ):
            assert client.get(path).status_code == 404
        page = client.get("/login/").content.decode().lower()
        assert "sign up" not in page
        assert "forgot" not in page


class TestANewPerson:
    def test_sets_a_password_by_the_link_once(self, northgate, browser, happened):
        user = northgate.person(Role.AUDITOR).user
        link = sign_in_link(user)
        path = link.removeprefix(project.PORTAL_URL)
        client = browser()
        form = client.get(path, follow=True)
        assert "Set your password" in form.content.decode()
        address = form.request["PATH_INFO"]
        secret = "a new and long secret"
        done = client.post(address, {"password1": secret, "password2": secret}, follow=True)
        assert "Your password is set" in done.content.decode()
        assert len(happened("session:password:changed")) == 1
        again = browser().get(path, follow=True)
        assert "This link no longer works" in again.content.decode()
        assert (
            sign_in(browser(), northgate.person(Role.AUDITOR), "a new and long secret")["Location"]
            == "/"
        )


class TestProvingItAgain:
    def test_a_password_is_asked_before_a_factor_is_added_and_that_is_recorded(
        self, northgate, browser, happened
    ):
        person = northgate.person(Role.REVIEWER)
        client = browser(person)
        response = client.get("/account/factors/app/add/")
        assert response["Location"].startswith("/account/again/")
        wrong = client.post("/account/again/", {"password": "x" * 14})
        assert wrong.status_code == 200
        right = client.post("/account/again/", {"password": PASSWORD})
        assert right.status_code == 302
        assert [e.actor_id for e in happened("session:person:reauthenticated")] == [
            str(person.user_id)
        ]
        page = client.get("/account/factors/app/add/")
        assert page.status_code == 200
        # The picture is part of the page: the content policy allows no data: address.
        assert "<svg" in page.content.decode()
        assert "data:image" not in page.content.decode()

    def test_the_password_is_found_by_the_address_of_the_account_alone(self, northgate, browser):
        assert not EmailAddress.objects.exists()
        client = browser(northgate.person(Role.ADMIN))
        client.get("/account/factors/app/add/")
        assert client.post("/account/again/", {"password": PASSWORD}).status_code == 302


class TestInTheDemo:
    def test_the_made_up_people_are_offered_by_name_under_a_banner(self, demo, northgate, browser):
        page = browser().get("/login/").content.decode()
        assert "DEMO" in page
        assert "Reviewer of Northgate" in page
        assert "Prescriber" in page

    def test_one_press_signs_in_and_is_recorded_as_a_demo_sign_in(
        self, demo, northgate, browser, happened
    ):
        person = northgate.person(Role.OPERATOR)
        client = browser()
        response = client.post("/login/demo/", {"person": str(person.pk)})
        assert response["Location"] == "/"
        assert client.get("/worklist/").status_code == 200
        (event,) = happened("session:person:signed_in")
        body = timeline.details(event.pk, tenant_id=str(northgate.tenant.pk))
        assert body == {"methods": ["demo"]}

    def test_changing_person_ends_the_first_session(self, demo, northgate, browser, happened):
        client = browser()
        client.post("/login/demo/", {"person": str(northgate.person(Role.REVIEWER).pk)})
        client.post("/login/demo/", {"person": str(northgate.person(Role.COMPLIANCE).pk)})
        assert client.get("/audit/").status_code == 200
        assert len(happened("session:person:signed_out")) == 1
        assert len(happened("session:person:signed_in")) == 2

    def test_needs_the_form_of_the_page(self, demo, northgate):
        client = Client(enforce_csrf_checks=True)
        person = northgate.person(Role.REVIEWER)
        assert client.post("/login/demo/", {"person": str(person.pk)}).status_code == 403
        assert client.get("/login/demo/").status_code == 405

    def test_nobody_becomes_a_superuser_or_a_stranger(self, demo, northgate, browser):
        person = northgate.person(Role.REVIEWER)
        User.objects.filter(pk=person.user_id).update(is_superuser=True)
        client = browser()
        for wanted in (str(person.pk), "not-an-id", "00000000-0000-0000-0000-000000000000"):
            assert client.post("/login/demo/", {"person": wanted}).status_code == 404


class TestOutsideTheDemo:
    def test_the_demo_sign_in_does_not_exist(self, northgate, browser):
        person = northgate.person(Role.REVIEWER)
        client = browser()
        response = client.post("/login/demo/", {"person": str(person.pk)})
        assert response.status_code == 404
        assert client.get("/queue/").status_code == 302

    def test_nobody_is_named_and_no_banner_is_shown(self, northgate, browser):
        page = browser().get("/login/").content.decode()
        assert "Reviewer of Northgate" not in page
        assert "DEMO" not in page


class TestAnIdleSession:
    @pytest.mark.req("001-70", "001-68")
    def test_ends_after_a_quarter_of_an_hour_and_says_so(self, northgate, browser, happened):
        client = browser(northgate.person(Role.REVIEWER))
        assert client.get("/queue/").status_code == 200
        session = client.session
        long_ago = timezone.now() - timedelta(seconds=project.SESSION_IDLE_SECONDS + 1)
        session[LAST_SEEN_KEY] = long_ago.timestamp()
        session.save()
        response = client.get("/queue/")
        assert response.status_code == 302
        assert "ended=idle" in response["Location"]
        page = client.get(response["Location"]).content.decode()
        assert "You were signed out after" in page
        assert "15 min" in page
        assert len(happened("session:person:timed_out")) == 1
        assert happened("session:person:signed_out") == []

    @pytest.mark.req("001-70")
    def test_is_not_kept_alive_by_the_questions_of_an_open_page(self, northgate, browser):
        client = browser(northgate.person(Role.REVIEWER))
        client.get("/queue/")
        session = client.session
        earlier = timezone.now() - timedelta(minutes=10)
        session[LAST_SEEN_KEY] = earlier.timestamp()
        session.save()
        since = timezone.now().isoformat()
        assert client.get("/queue/news/", {"since": since}).json() == {"count": 0}
        assert client.session[LAST_SEEN_KEY] == earlier.timestamp()
        client.get("/queue/")
        assert client.session[LAST_SEEN_KEY] > earlier.timestamp()


class TestSigningOut:
    def test_needs_a_press_and_is_recorded(self, northgate, browser, happened):
        client = browser(northgate.person(Role.REVIEWER))
        assert client.get("/logout/").status_code == 200
        assert client.get("/queue/").status_code == 200
        client.post("/logout/")
        assert client.get("/queue/").status_code == 302
        assert len(happened("session:person:signed_out")) == 1
