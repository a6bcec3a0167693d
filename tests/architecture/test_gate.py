"""The gate is real: whatever an agent may hold, in any combination, no approval comes out.

The test walks the URL map itself. Every route is classified in a table; a route that nobody classified
fails it. Every route is then asked with every method by every credential, alone and beside a session
cookie of a person who may not decide, and nothing may have been approved, sent, granted or released.
"""

import re
import types
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

import pytest
from allauth.idp.oidc.models import Token
from django.contrib.admindocs.views import extract_views_from_urlpatterns, simplify_regex
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import get_resolver, path
from django.utils import timezone

from intents.governance.models import (
    AgentCredential,
    EhrConnection,
    KillSwitch,
    Membership,
    PolicyVersion,
    Promotion,
    ScopeGrant,
    Tenant,
    User,
)
from intents.governance.tenancy import tenant_context
from intents.lifecycle import State
from intents.models import Intent, OutboxEntry, ReviewDecision, WriteLedgerEntry
from reviewportal import urls
from tests.api.conftest import (  # noqa: F401 - fixtures
    Program,
    add_program,
    clinic,
    note,
    own_keys_and_counters,
    problem,
    proposal,
    set_up_clinic,
    set_up_program,
)
from tests.api.test_reading import advance, by
from tests.governance.conftest import add_person  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class For(Enum):
    """Who a route is for."""

    ANYONE = auto()
    AGENTS = auto()
    PEOPLE = auto()
    OPERATORS = auto()


# Route name (or path, where it has none) -> who it is for.
ROUTES: dict[str, For] = {
    **{
        f"api:{name}": For.ANYONE
        for name in (
            "token",
            "authorization-server",
            "protected-resource",
            "schema",
            "problem-kind",
            "not-found",
        )
    },
    **{
        f"api:{name}": For.AGENTS
        for name in (
            "kinds",
            "kind-schema",
            "connections",
            "propose-draft",
            "propose-suggest",
            "propose-commit",
            "proposals",
            "proposal",
            "withdraw",
            "feedback",
        )
    },
    "healthz": For.OPERATORS,
    "readyz": For.OPERATORS,
    "metrics": For.OPERATORS,
    "/favicon.ico": For.ANYONE,
    **dict.fromkeys(
        (
            "account_login",
            "account_logout",
            "demo_sign_in",
            "mfa_login_webauthn",
            "account_inactive",
            "account_reset_password_from_key",
            "account_reset_password_from_key_done",
        ),
        For.ANYONE,
    ),
    **dict.fromkeys(
        (
            # the person and the session
            "home",
            "mfa_authenticate",
            "account_reauthenticate",
            "account_change_password",
            "account_set_password",
            "mfa_index",
            "mfa_reauthenticate",
            "mfa_activate_totp",
            "mfa_deactivate_totp",
            "mfa_view_recovery_codes",
            "mfa_generate_recovery_codes",
            "mfa_download_recovery_codes",
            "mfa_list_webauthn",
            "mfa_add_webauthn",
            "mfa_reauthenticate_webauthn",
            "mfa_edit_webauthn",
            "mfa_remove_webauthn",
            "usersessions_list",
            "choose_workspace",
            "preferences",
            "keys",
            # drafts
            "queue",
            "next_draft",
            "sign_in_again",
            "queue_news",
            "review",
            "review_edit",
            "review_reject",
            "review_promote",
            "review_take_over",
            "review_drop",
            "review_typed",
            "review_as_task",
            "review_into_note",
            "delivery",
            "delivery_state",
            "undo",
            "conflict",
            "conflict_release",
            "conflict_reject",
            "draft_history",
            "provenance",
            # operators, compliance, auditors
            "worklist",
            "take",
            "resolve",
            "settle",
            "resend",
            "give_up",
            "writing",
            "stop_writing",
            "ask_release",
            "release_writing",
            "take_back",
            "take_change",
            "ask_promotion",
            "agree_promotion",
            "withdraw_promotion",
            "go_back",
            "patients",
            "patient",
            "audit",
            "integrity",
            "check_now",
            "export_proof",
        ),
        For.PEOPLE,
    ),
}


def class_of(route: "Route") -> For | None:
    # The administration's own pages are walked one by one by test_admin.
    return For.PEOPLE if route.path.startswith("/admin/") else ROUTES.get(route.name)


@dataclass(frozen=True)
class Route:
    name: str
    path: str

    def filled(self, values: dict[str, str]) -> str:
        """The path with its variables replaced by ids of things that are there."""
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found.group(1), "1"), self.path)


def routes() -> list[Route]:
    """Every route of the URL map in force."""
    found = []
    for _, regex, namespaces, name in extract_views_from_urlpatterns(get_resolver().url_patterns):
        place = simplify_regex(regex)
        if name == "not-found":
            place = "/api/v9/anything"
        full = ":".join([*(namespaces or []), name]) if name else place
        found.append(Route(full, place))
    return found


def unclassified(found: list[Route]) -> list[str]:
    return sorted({route.name for route in found if class_of(route) is None})


# --- what may not happen -----------------------------------------------------------------------------

# What an agent itself may bring about: a new draft, and the end of one of its own.
_LAWFUL_ENDS = {State.CANCELLED, State.SUPERSEDED}


@dataclass(frozen=True)
class Picture:
    """Everything that an approval, a grant or a release would change."""

    states: dict[uuid.UUID, str]
    counts: tuple[int, ...]

    @classmethod
    def take(cls) -> "Picture":
        return cls(
            states=dict(Intent.unscoped.values_list("pk", "state")),
            counts=(
                ReviewDecision.unscoped.count(),
                OutboxEntry.unscoped.count(),
                WriteLedgerEntry.unscoped.count(),
                KillSwitch.objects.filter(released_at=None).count(),
                KillSwitch.objects.filter(release_asked_at=None).count(),
                ScopeGrant.unscoped.count(),
                AgentCredential.unscoped.filter(revoked_at=None).count(),
                Membership.unscoped.filter(is_active=True).count(),
                User.objects.count(),
                PolicyVersion.objects.count(),
                Tenant.objects.count(),
                Promotion.unscoped.filter(agreed_at=None, withdrawn_at=None).count(),
                EhrConnection.unscoped.filter(rollout="LIVE").count(),
                EhrConnection.unscoped.filter(rollout="SHADOW").count(),
            ),
        )


def wrongs(before: Picture, after: Picture) -> Iterator[str]:
    for key, state in after.states.items():
        old = before.states.get(key)
        if old is None and state != State.DRAFTED:
            yield f"a new change is {state}"
        elif old is not None and state != old and state not in _LAWFUL_ENDS:
            yield f"a change went from {old} to {state}"
    if before.counts != after.counts:
        yield f"decisions, writes, grants or people: {before.counts} -> {after.counts}"
    for token in Token.objects.all():
        lane = AgentCredential.unscoped.get(pk=token.client_id).lane
        if not set(token.get_scopes()) <= {f"portal/{lane}", "portal/status"}:
            yield "a token reaches beyond its lane"


# --- asking ------------------------------------------------------------------------------------------


@dataclass
class World:
    """A clinic with drafts in every open state, and all that agents and a bystander hold."""

    tokens: dict[str, str]
    clients: dict[str, Client]
    values: dict[str, str]
    form: dict[str, Any]
    document: dict[str, Any]


GOOD = ("none", "draft", "suggest", "commit")
METHODS = ("GET", "POST form", "POST json", "PUT", "PATCH", "DELETE")
QUIET_METHODS = ("HEAD", "OPTIONS", "TRACE")


def send(world: World, client: Client, method: str, url: str, token: str | None) -> Any:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if method == "POST form":
        return client.post(url, world.form, headers=headers)
    verb = method.split(maxsplit=1)[0].lower()
    if verb in {"get", "head", "options", "trace"}:
        return getattr(client, verb)(url, headers=headers)
    return getattr(client, verb)(
        url, world.document, content_type="application/json", headers=headers
    )


def violations(world: World, found: list[Route]) -> list[str]:
    """What any of these routes let happen, each with how; empty when the gate holds."""
    told = []
    before = Picture.take()
    for route in found:
        url = route.filled(world.values)
        is_admin = route.path.startswith("/admin/")
        # A token that opens nothing is tried wherever a token opens anything.
        holders = list(world.tokens) if route.name.startswith(("api:", "planted")) else GOOD
        for holder in holders:
            methods = METHODS[:2] if is_admin else METHODS
            if holder == "commit":
                methods = (*methods, *QUIET_METHODS)
            for cookie, client in world.clients.items():
                for method in methods:
                    how = f"{method} {url} with the token {holder} and the cookie {cookie}"
                    mark = transaction.savepoint()
                    answer = send(world, client, method, url, world.tokens[holder])
                    told += [f"{how}: {wrong}" for wrong in wrongs(before, Picture.take())]
                    told += [f"{how}: {fault}" for fault in _faults(route, answer, holder, cookie)]
                    transaction.savepoint_rollback(mark)
    return told


_BAD = {"none", "expired", "revoked", "forged"}


def _faults(route: Route, answer: Any, holder: str, cookie: str) -> Iterator[str]:
    if answer.status_code == 500:
        yield "crashed"
    meant_for = class_of(route)
    if meant_for is For.AGENTS and holder in _BAD and answer.status_code != 401:
        yield f"answered {answer.status_code} to a credential that is none"
    if meant_for is For.PEOPLE and cookie == "none" and answer.status_code == 200:
        yield "showed a person's page to nobody"


@pytest.fixture
def world(clinic, add_program, add_person, settings) -> World:  # noqa: F811
    settings.AGENT_REQUESTS_PER_MINUTE = 10_000_000
    # Wrong passwords are among what is tried; they need not be slow to be wrong.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    tenant, connection = clinic
    programs = {lane: add_program(lane=lane) for lane in ("draft", "suggest", "commit")}
    scribe: Program = programs["suggest"]
    drafted = scribe.propose(proposal()).json()
    waiting = scribe.propose(proposal(changes=[problem(), note()])).json()
    for change in waiting["changes"]:
        advance(tenant, change["id"], State.VALIDATED, State.PENDING_APPROVAL)
    prepared = programs["draft"].propose(proposal()).json()
    advance(tenant, prepared["changes"][0]["id"], State.VALIDATED)
    tokens: dict[str, Any] = {"none": None, "forged": "x" * 64}
    tokens |= {name: program.sign_in() for name, program in programs.items()}
    tokens["status"] = scribe.sign_in("portal/status")
    tokens["expired"] = scribe.sign_in()
    Token.objects.filter(pk=Token.objects.latest("pk").pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    gone = add_program(name="gone")
    tokens["revoked"] = gone.sign_in()
    kept = Token.objects.latest("pk")
    with transaction.atomic():
        gone.credential.revoke(**by())
    # Even a token that survived its credential opens nothing.
    kept.save(force_insert=True)
    foreign = set_up_program(*set_up_clinic("Southgate"), lane="commit", portal=settings.PORTAL_URL)
    tokens["other tenant"] = foreign.sign_in()

    colleague = add_person(tenant, "Colleague", "OPERATOR")
    bystander = add_person(tenant, "Bystander", "SUPPORT")
    with transaction.atomic():
        bystander.user.change(is_staff=True, **by())
    with tenant_context(tenant.pk), transaction.atomic():
        switch = KillSwitch.engage(target="CONNECTION", connection=connection, reason="x", **by())
        switch.ask_release(user=colleague.user, **by())
        KillSwitch.engage(target="KIND", change_kind="note", tenant=tenant, reason="x", **by())
        tried = EhrConnection.add(
            tenant=tenant,
            name="tried-out",
            kind="generic_r4",
            environment="test",
            base_url="https://ehr.example/r4",
            **by(),
        )
        wish = Promotion.ask(connection=tried, reason="x", evidence=[], user=colleague.user, **by())
    with_cookie = Client(raise_request_exception=False)
    with_cookie.force_login(bystander.user, backend="django.contrib.auth.backends.ModelBackend")
    values = {
        "proposal_id": waiting["id"],
        "intent_id": waiting["changes"][0]["id"],
        "connection_id": str(connection.pk),
        "switch_id": str(switch.pk),
        "promotion_id": str(wish.pk),
        "discrepancy_id": str(uuid.uuid4()),
        "object_id": str(tenant.pk),
        "code": "not-json",
        "kind": "note",
        "uidb36": "1",
        "key": "x-y",
    }
    word = {
        "action": "approve",
        "decision": "approve",
        "approve": "1",
        "view_hash": "0" * 64,
        "reason": "x",
        "reason_code": "other",
        "there": "yes",
        "evidence": "x",
        "resource_ref": "Condition/1",
        "owner": "x",
        "resolution": "accepted",
        "to": "SHADOW",
        "person": "Colleague",
        "user": str(colleague.user.pk),
        "login": colleague.user.email,
        "email": colleague.user.email,
        "password": "x" * 12,
        "membership": str(colleague.pk),
        "_selected_action": waiting["id"],
        "grant_type": "client_credentials",
        "scope": "portal/commit",
    }
    return World(
        tokens=tokens,
        clients={"none": Client(raise_request_exception=False), "bystander": with_cookie},
        values=values,
        form=word,
        document=proposal(
            changes=[problem(), note()],
            supersedes=drafted["id"],
        ),
    )


class TestTheGate:
    @pytest.mark.req("000-24", "003-37", "000-33")
    def test_lets_no_approval_out(self, world):
        assert violations(world, routes()) == []

    def test_classifies_every_route(self):
        found = routes()

        assert unclassified(found) == []
        known = {route.name for route in found}
        assert sorted(set(ROUTES) - known) == []

    def test_has_no_route_by_which_an_agent_could_name_a_decision(self):
        for route in routes():
            if route.name.startswith("api:"):
                assert not re.search(r"approv|decid|decision|promot|releas|settle", route.path)

    def test_does_not_mount_the_sign_in_librarys_own_endpoints(self):
        views = extract_views_from_urlpatterns(get_resolver().url_patterns)

        assert not [view for view, *_ in views if view.__module__.startswith("allauth.idp")]


# --- the test is tested ------------------------------------------------------------------------------


def _approve_quietly(request: HttpRequest, **_: Any) -> HttpResponse:
    """What may never be built: a bearer token is enough to approve."""
    if request.headers.get("Authorization") and request.method == "POST":
        Intent.unscoped.filter(state=State.PENDING_APPROVAL).update(state=State.APPROVED)
    return HttpResponse()


def _widen(request: HttpRequest) -> HttpResponse:
    for token in Token.objects.all():
        token.set_scopes(["portal/draft", "portal/suggest", "portal/commit"])
        token.save()
    return HttpResponse()


def _show(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a person's page")


def _crash(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


PLANTED = {
    "approving": path("api/v1/approve", _approve_quietly, name="planted-approve"),
    "widening": path("api/v1/widen", _widen, name="planted-widen"),
    "showing": path("queue/open/", _show, name="planted-page"),
    "crashing": path("api/v1/crash", _crash, name="planted-crash"),
}


@pytest.fixture
def planted(settings, request):
    """The URL map with one more route."""
    module = types.ModuleType("planted_urls")
    module.urlpatterns = [PLANTED[request.param], *urls.urlpatterns]
    settings.ROOT_URLCONF = module
    return [route for route in routes() if route.name.startswith("planted")]


class TestTheTest:
    @pytest.mark.parametrize("planted", ["approving"], indirect=True)
    def test_catches_a_route_that_nobody_classified(self, planted):
        assert unclassified(routes()) == ["planted-approve"]

    @pytest.mark.parametrize(
        ("planted", "meant_for", "sentence"),
        [
            ("approving", For.AGENTS, "from PENDING_APPROVAL to APPROVED"),
            ("approving", For.AGENTS, "answered 200 to a credential that is none"),
            ("widening", For.ANYONE, "beyond its lane"),
            ("showing", For.PEOPLE, "showed a person's page to nobody"),
            ("crashing", For.ANYONE, "crashed"),
        ],
        indirect=["planted"],
    )
    def test_catches_a_planted_route(self, world, planted, meant_for, sentence, monkeypatch):
        monkeypatch.setitem(ROUTES, planted[0].name, meant_for)

        assert any(sentence in each for each in violations(world, planted))

    def test_knows_a_decision_when_it_sees_one(self):
        before = Picture(states={uuid.UUID(int=1): "PENDING_APPROVAL"}, counts=(0,))

        for after in (
            Picture(states={uuid.UUID(int=1): "SUBMITTED"}, counts=(0,)),
            Picture(states={uuid.UUID(int=1): "HELD"}, counts=(0,)),
            Picture(states=before.states | {uuid.UUID(int=2): "APPROVED"}, counts=(0,)),
            Picture(states=before.states, counts=(1,)),
        ):
            assert list(wrongs(before, after))
        for after in (
            before,
            Picture(states={uuid.UUID(int=1): "CANCELLED"}, counts=(0,)),
            Picture(states=before.states | {uuid.UUID(int=2): "DRAFTED"}, counts=(0,)),
        ):
            assert not list(wrongs(before, after))
