"""Who gets to see which page, and what every page has in common."""

import re
import uuid

import pytest
from django.conf import settings as project
from django.urls import URLPattern, URLResolver, get_resolver

from intents.governance.models import Membership, Role, User
from intents.lifecycle import State
from intents.web import access
from tests.web.conftest import BY

CLINICAL = {"REVIEWER", "COMPLIANCE", "OPERATOR"}
# address -> the roles for which it opens
OPEN = {
    "/queue/": CLINICAL,
    "/patients/": CLINICAL,
    "/worklist/": CLINICAL | {"SUPPORT"},
    "/audit/": {"COMPLIANCE", "AUDITOR", "ADMIN"},
    "/audit/?by=actor": {"COMPLIANCE", "AUDITOR", "ADMIN"},
    "/audit/integrity/": {"COMPLIANCE", "AUDITOR", "ADMIN"},
    "/connections/": set(Role.values),
    "/keys/": set(Role.values),
    "/logout/": set(Role.values),
    "/account/factors/": set(Role.values),
    "/account/password/": set(Role.values),
    "/account/sessions/": set(Role.values),
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


def web_patterns(patterns=None, prefix=""):
    """Every route of the people's door: (address, pattern)."""
    for each in patterns if patterns is not None else get_resolver().url_patterns:
        if isinstance(each, URLResolver):
            if each.app_name != "admin":
                yield from web_patterns(each.url_patterns, prefix + str(each.pattern))
        elif isinstance(each, URLPattern):
            module = getattr(each.callback, "__module__", "")
            if module.startswith("intents.web."):
                yield prefix + str(each.pattern), each


@pytest.mark.req("003-58", "002-35")
@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("address", OPEN)
def test_each_page_opens_for_its_roles_only(northgate, browser, role, address):
    response = browser(northgate.person(role)).get(address)
    assert response.status_code == (200 if role in OPEN[address] else 403)


@pytest.mark.parametrize("address", sorted(set(OPEN) - {"/logout/"}))
def test_nobody_sees_a_page_without_signing_in(db, browser, address):
    response = browser().get(address)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


def test_a_refusal_is_recorded_and_told_in_plain_words(northgate, browser, happened):
    person = northgate.person(Role.SUPPORT)
    response = browser(person).get("/queue/")
    assert response.status_code == 403
    assert "This is not open to you" in response.content.decode()
    (event,) = happened("session:access:refused")
    assert event.actor_id == str(person.user_id)


def test_every_route_says_which_page_it_is_or_is_a_known_exception():
    """A new route without a permission fails here."""
    without = {
        pattern.name
        for _, pattern in web_patterns()
        if not hasattr(pattern.callback, "page") and not hasattr(pattern.callback, "view_class")
    }
    # Sign-in by name checks the demo itself; the choice of organisation and preferences need only a
    # session; health has its own rules.
    assert without == {
        "demo_sign_in",
        "sign_in_again",
        "choose_workspace",
        "preferences",
        "healthz",
        "readyz",
        "metrics",
    }


def test_a_page_without_a_permission_cannot_be_made():
    with pytest.raises(KeyError):
        access.page("a page that nobody thought about")


@pytest.mark.parametrize("address", [*OPEN, "/login/", "/nothing/here/"])
def test_every_page_carries_the_content_policy_and_is_not_kept(northgate, browser, address):
    role = next(iter(sorted(OPEN.get(address, {"REVIEWER"}))))
    client = browser(None if address == "/login/" else northgate.person(role))
    response = client.get(address)
    found = {part.strip() for part in response["Content-Security-Policy"].split(";")}
    assert found == POLICY
    assert response["X-Frame-Options"] == "DENY"
    if response.status_code == 200 and not address.startswith("/account/"):
        assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("address", [*OPEN, "/login/"])
def test_no_page_holds_script_or_style_of_its_own(northgate, browser, address, settings):
    settings.DEMO_MODE = True
    role = next(iter(sorted(OPEN.get(address, {"REVIEWER"}))))
    client = browser(None if address == "/login/" else northgate.person(role))
    html = client.get(address).content.decode()
    assert not re.search(r"\son[a-z]+=", html)
    assert not re.search(r"\sstyle=", html)
    assert "<style" not in html
    for tag in re.findall(r"<script[^>]*>", html):
        assert "src=" in tag or 'type="application/json"' in tag
    assert not re.search(r"(src|href)=\"(https?:)?//", html)


class TestAnotherOrganisation:
    """Its drafts, changes, differences, connections and people look as if they did not exist."""

    @pytest.mark.req("001-115", "003-27")
    def test_every_address_with_a_foreign_id_answers_like_one_that_never_was(
        self, draft, southgate, browser
    ):
        made = draft(state=State.ACCEPTED, discrepancy="altered")
        foreign = {
            "proposal_id": made.proposal.pk,
            "intent_id": made.intent.pk,
            "discrepancy_id": made.intent.discrepancies.get().pk,
            "connection_id": made.proposal.connection_id,
            "switch_id": uuid.uuid4(),
            "promotion_id": uuid.uuid4(),
        }
        clients = {role: browser(southgate.person(role)) for role in Role.values}
        asked = 0
        for address, _ in web_patterns():
            names = re.findall(r"<uuid:(\w+)>", address)
            if not names:
                continue
            asked += 1
            path, nowhere = "/" + address, "/" + address
            for name in names:
                path = path.replace(f"<uuid:{name}>", str(foreign[name]))
                nowhere = nowhere.replace(f"<uuid:{name}>", str(uuid.uuid4()))
            for role, client in clients.items():
                for method in (client.get, client.post):
                    answers = [method(path), method(nowhere)]
                    assert {a.status_code for a in answers} <= {403, 404, 405}, (path, role)
                    assert answers[0].status_code == answers[1].status_code, (path, role)
                    assert "Okonkwo" not in answers[0].content.decode()
        assert asked > 15, "the walk has lost its way"

    @pytest.mark.req("001-115")
    def test_lists_hold_nothing_of_it(self, draft, southgate, browser):
        draft(state=State.UNCERTAIN)
        draft()
        for role, address in (
            ("REVIEWER", "/queue/?view=all"),
            ("OPERATOR", "/worklist/"),
            ("COMPLIANCE", "/queue/?view=unknown"),
        ):
            html = browser(southgate.person(role)).get(address).content.decode()
            assert "OKONKWO" not in html
        found = browser(southgate.person("COMPLIANCE")).post(
            "/audit/?by=patient", {"value": "okonkwo", "why": "a complaint"}
        )
        assert "Nothing found" in found.content.decode()

    def test_a_person_of_both_chooses_and_sees_one_at_a_time(
        self, draft, northgate, southgate, browser, happened
    ):
        draft()
        user = northgate.person(Role.REVIEWER).user
        both = Membership.grant(
            tenant=southgate.tenant, user=user, role=Role.REVIEWER,
            clinical_role="PRESCRIBER", **BY,
        )  # fmt: skip
        client = browser(northgate.person(Role.REVIEWER))
        assert client.get("/queue/")["Location"] == "/account/organisation/"
        client.post("/account/organisation/", {"membership": str(both.pk)})
        assert "OKONKWO" not in client.get("/queue/?view=all").content.decode()
        mine = northgate.person(Role.REVIEWER).pk
        client.post("/account/organisation/", {"membership": str(mine)})
        assert "OKONKWO" in client.get("/queue/?view=all").content.decode()
        assert len(happened("session:tenant:chosen")) == 2

    def test_somebody_elses_membership_cannot_be_chosen(self, northgate, southgate, browser):
        client = browser(northgate.person(Role.REVIEWER))
        stranger = southgate.person(Role.REVIEWER).pk
        response = client.post("/account/organisation/", {"membership": str(stranger)})
        assert response.status_code == 404


def test_a_person_without_a_role_is_told_so(db, browser):
    user = User.add(email="new@nowhere.example", name="New Person", **BY)
    client = browser()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/")["Location"] == "/account/organisation/"
    assert "You have no role yet" in client.get("/account/organisation/").content.decode()


class TestPreferences:
    def test_light_or_dark_is_kept_without_script(self, northgate, browser):
        client = browser(northgate.person(Role.REVIEWER))
        assert "data-theme" not in client.get("/keys/").content.decode()
        response = client.post("/account/preferences/", {"theme": "dark", "next": "/keys/"})
        assert response["Location"] == "/keys/"
        assert 'data-theme="dark"' in client.get("/keys/").content.decode()

    def test_single_keys_are_switched_off_for_one_person_only(self, northgate, browser):
        client = browser(northgate.person(Role.REVIEWER))
        client.post("/account/preferences/", {"single_keys": "off"})
        assert 'data-keys="off"' in client.get("/keys/").content.decode()
        client.force_login(
            northgate.person(Role.OPERATOR).user,
            backend="django.contrib.auth.backends.ModelBackend",
        )
        assert 'data-keys="off"' not in client.get("/keys/").content.decode()

    def test_never_leads_away(self, northgate, browser):
        client = browser(northgate.person(Role.REVIEWER))
        response = client.post(
            "/account/preferences/", {"theme": "dark", "next": "//elsewhere.example"}
        )
        assert response["Location"] == "/"


@pytest.mark.once
def test_error_pages_say_what_is_so_and_hold_nothing_of_the_request(db, browser):
    response = browser().get("/queue/OKONKWO-Ngozi/")
    assert response.status_code == 404
    assert "OKONKWO" not in response.content.decode()
    assert "Nothing was changed" in response.content.decode()


@pytest.mark.once
def test_a_form_that_was_open_too_long_is_told_so(northgate, settings):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(
        northgate.person(Role.REVIEWER).user,
        backend="django.contrib.auth.backends.ModelBackend",
    )
    response = client.post("/account/preferences/", {"theme": "dark"})
    assert response.status_code == 403
    assert "open too long" in response.content.decode()
    assert project.CSRF_FAILURE_VIEW == "django.views.csrf.csrf_failure"
