"""The administration: open by role, one workspace at a time, every save in history and audit."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from intents.governance.models import (
    Agent,
    AgentCredential,
    ConsentDirective,
    EhrConnection,
    EhrIdentity,
    KillSwitch,
    Membership,
    ScopeGrant,
    Tenant,
    User,
)
from tests.api.conftest import public_pem
from tests.governance.conftest import BY

PAGES = sorted(
    (model._meta.app_label, model._meta.model_name)
    for model in admin.site._registry
    if model._meta.app_label != "audit"
)


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def at(model: type, what: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


def problems_of(answer: Any) -> Any:
    form = answer.context and answer.context.get("adminform")
    return form.form.errors if form else answer.content


def save(client: Client, url: str, **data: Any) -> Any:
    """Send the form with what it shows, changed by `data`."""
    form = client.get(url).context["adminform"].form
    sent: dict[str, Any] = {}
    for name in form.fields:
        value = form[name].value()
        if value is not None and value is not False:
            sent[name] = value
            if isinstance(value, bool):
                sent[name] = "on"
    sent.update(data)
    for name in [key for key, value in sent.items() if value is None]:
        del sent[name]
    return client.post(url, sent, follow=True)


def act(client: Client, model: type, action: str, *rows: Any) -> Any:
    return client.post(
        at(model), {"action": action, "_selected_action": [str(r.pk) for r in rows]}, follow=True
    )


@pytest.fixture
def boss(clinic, add_person):
    with transaction.atomic():
        member = add_person(clinic, "Boss", "ADMIN")
        member.user.change(is_staff=True, **BY)
    return member


@pytest.fixture
def office(boss) -> Client:
    return sign_in(boss.user)


@pytest.fixture
def root(db) -> Client:
    return sign_in(User.objects.create_superuser("root@example.org", "x" * 20, name="Root"))


class TestAccess:
    @pytest.mark.parametrize("page", PAGES, ids=lambda p: p[1])
    def test_is_for_administrators_of_a_workspace(self, clinic, office, add_person, page):
        url = reverse(f"admin:{page[0]}_{page[1]}_changelist")
        assert office.get(url).status_code == 200

        for role in ("REVIEWER", "COMPLIANCE", "OPERATOR", "AUDITOR", "SUPPORT"):
            member = add_person(clinic, role, role)
            with transaction.atomic():
                member.user.change(is_staff=True, **BY)
            answer = sign_in(member.user).get(url)
            may_stop = page[1] == "killswitch" and role in {"REVIEWER", "COMPLIANCE", "OPERATOR"}
            assert answer.status_code == (200 if may_stop else 403), role

    def test_needs_a_workspace_even_for_a_superuser(self, clinic, root):
        assert root.get(at(Agent)).status_code == 403
        act(root, Tenant, "work_here", clinic)

        assert root.get(at(Agent)).status_code == 200

    @pytest.mark.req("001-115")
    def test_shows_one_workspace_only(self, clinic, other_clinic, office, add_agent, add_person):
        foreign = add_agent(other_clinic, "theirs")
        stranger = add_person(other_clinic, "Stranger").user

        assert "theirs" not in office.get(at(Agent)).content.decode()
        assert office.get(at(Agent, "change", foreign.pk)).status_code == 302
        assert "Southgate" not in office.get(at(Tenant)).content.decode()
        assert office.get(at(Tenant, "change", other_clinic.pk)).status_code == 302
        assert "stranger@" not in office.get(at(User)).content.decode()
        assert office.get(at(User, "change", stranger.pk)).status_code == 302

    @pytest.mark.parametrize("page", PAGES, ids=lambda p: p[1])
    def test_deletes_nothing(self, clinic, root, page):
        act(root, Tenant, "work_here", clinic)
        url = reverse(f"admin:{page[0]}_{page[1]}_delete", args=[clinic.pk])

        assert root.post(url, {"post": "yes"}).status_code in {302, 403}
        assert Tenant.objects.filter(pk=clinic.pk).exists()


class TestSaving:
    def test_writes_history_and_audit_with_the_person(self, clinic, office, boss):
        save(office, at(Tenant, "change", clinic.pk), undo_seconds="30")
        clinic.refresh_from_db()
        row = clinic.history.order_by("-history_id").first()
        event = AuditEvent.objects.get(tag="governance:tenant:changed")

        assert clinic.undo_seconds == 30
        assert (row.actor_kind, row.actor_id, row.actor_name) == (
            "ADMINISTRATOR",
            str(boss.user.pk),
            "Boss",
        )
        assert (event.actor_id, event.authority) == (str(boss.user.pk), "role ADMIN")
        assert event.rows[0]["id"] == str(row.pk)

    def test_without_a_change_writes_nothing(self, clinic, office):
        save(office, at(Tenant, "change", clinic.pk))

        assert not AuditEvent.objects.filter(tag="governance:tenant:changed").exists()

    def test_cannot_reach_what_is_for_the_installation(self, clinic, office):
        form = office.get(at(Tenant, "change", clinic.pk)).context["adminform"].form

        assert "autonomy_enabled" not in form.fields
        assert "is_active" not in form.fields

    def test_adds_a_workspace_with_its_rules(self, root):
        answer = save(root, at(Tenant, "add"), name="Eastgate", time_zone="UTC")

        assert answer.status_code == 200, problems_of(answer)
        assert Tenant.objects.get(name="Eastgate").policies.count() == 1

    def test_refuses_what_makes_no_sense_in_the_form(self, clinic, office):
        answer = save(office, at(Tenant, "change", clinic.pk), time_zone="Mars/Olympus")

        assert "time zone" in str(problems_of(answer))

    def test_adds_a_person_with_a_role_and_a_link(self, clinic, office):
        save(office, at(User, "add"), email="Ada@Example.org", name="Ada")
        save(
            office,
            at(Membership, "add"),
            email="ada@example.org",
            role="REVIEWER",
            clinical_role="PRESCRIBER",
            profession="PHYSICIAN",
        )
        user = User.objects.get(email="ada@example.org")
        link = act(office, User, "make_sign_in_link", user).content.decode()

        assert Membership.unscoped.get(user=user).clinical_role == "PRESCRIBER"
        assert "/account/password/link/" in link
        missing = save(
            office,
            at(Membership, "add"),
            email="nobody@example.org",
            role="REVIEWER",
            clinical_role="NONE",
            profession="OTHER",
        )
        assert "no person" in str(problems_of(missing))

    def test_does_not_close_the_account_of_one_who_also_works_elsewhere(
        self, clinic, other_clinic, office, add_person
    ):
        both = add_person(clinic, "Ada")
        with transaction.atomic():
            Membership.grant(tenant=other_clinic, user=both.user, role="REVIEWER", **BY)
        act(office, User, "deactivate", both.user)
        assert User.objects.get(pk=both.user.pk).is_active
        assert not office.get(at(User, "change", both.user.pk)).context["adminform"].form.fields

        one = add_person(clinic, "Berit")
        act(office, User, "deactivate", one.user)
        assert not User.objects.get(pk=one.user.pk).is_active

    def test_nobody_makes_themselves_a_superuser(self, clinic, office, boss):
        form = office.get(at(User, "change", boss.user.pk)).context["adminform"].form

        assert set(form.fields) == {"name", "title"}

    def test_adds_a_connection_that_could_be_used_and_no_other(self, clinic, office):
        good = {
            "name": "generic",
            "title": "Northgate R4",
            "kind": "generic_r4",
            "base_url": "http://127.0.0.1:8001/generic/fhir/R4",
            "settings": "{}",
        }
        for wrong in (
            {"base_url": "https://ehr.example/fhir"},
            {"settings": '{"no-such-setting": 1}'},
            {"kind": "horoscope"},
            {"credential_ref": "missing.pem"},
            {"credential_ref": "../../etc/passwd"},
        ):
            answer = save(office, at(EhrConnection, "add"), **(good | wrong))
            assert problems_of(answer), wrong
        assert not EhrConnection.unscoped.exists()

        answer = save(office, at(EhrConnection, "add"), **good)
        connection = EhrConnection.unscoped.get()
        assert (connection.tenant_id, connection.environment) == (clinic.pk, "SANDBOX"), (
            problems_of(answer)
        )
        save(office, at(EhrConnection, "change", connection.pk), title="New title")
        act(office, EhrConnection, "suspend", connection)
        connection.refresh_from_db()
        assert (connection.title, connection.write_back_enabled) == ("New title", False)
        act(office, EhrConnection, "resume", connection)
        connection.refresh_from_db()
        assert connection.write_back_enabled

    def test_admits_an_agent_with_credential_grant_and_release(
        self, clinic, office, add_connection
    ):
        connection = add_connection(clinic)
        save(office, at(Agent, "add"), name="scribe", lane_ceiling="suggest")
        agent = Agent.unscoped.get()
        soon = timezone.now() + timedelta(days=1)
        credential = {
            "agent": str(agent.pk),
            "lane": "suggest",
            "method": "private_key_jwt",
            "alg": "ES384",
            "public_key": public_pem(),
            "expires_at_0": f"{soon:%Y-%m-%d}",
            "expires_at_1": "12:00:00",
        }
        above = save(office, at(AgentCredential, "add"), **(credential | {"lane": "commit"}))
        assert "ceiling" in above.content.decode()
        secret = save(
            office,
            at(AgentCredential, "add"),
            **(credential | {"method": "client_secret_basic", "public_key": ""}),
        )
        assert "does not allow" in secret.content.decode()
        assert not AgentCredential.unscoped.exists()

        save(office, at(AgentCredential, "add"), **credential)
        grant = {
            "agent": str(agent.pk),
            "connection": str(connection.pk),
            "scope": "system/Condition.c",
            "lane": "suggest",
            "purpose": "TREAT",
            "fields": "[]",
            "resource_states": "[]",
            "context_limits": "{}",
        }
        wide = save(office, at(ScopeGrant, "add"), **(grant | {"scope": "system/*.c"}))
        assert "one resource type" in wide.content.decode()
        empty = save(office, at(ScopeGrant, "add"), **(grant | {"agent": ""}))
        assert "agent" in problems_of(empty)
        save(office, at(ScopeGrant, "add"), **grant)

        assert ScopeGrant.unscoped.get().scope == "system/Condition.c"
        act(office, ScopeGrant, "revoke", ScopeGrant.unscoped.get())
        act(office, AgentCredential, "revoke", AgentCredential.unscoped.get())
        act(office, Agent, "suspend", agent)
        assert ScopeGrant.unscoped.get().active_until is not None
        assert AgentCredential.unscoped.get().revoked_at is not None
        assert not Agent.unscoped.get().enabled
        tags = set(AuditEvent.objects.values_list("tag", flat=True))
        assert {
            "governance:agent:added",
            "governance:agent:suspended",
            "governance:credential:issued",
            "governance:credential:revoked",
            "governance:scope:granted",
            "governance:scope:revoked",
        } <= tags

    def test_shows_a_secret_once_where_the_workspace_allows_one(self, clinic, office, add_agent):
        with transaction.atomic():
            clinic.change(client_secret_allowed=True, **BY)
        agent = add_agent(clinic)
        answer = save(
            office,
            at(AgentCredential, "add"),
            agent=str(agent.pk),
            lane="suggest",
            method="client_secret_basic",
            public_key="",
            expires_at_0="2099-01-01",
            expires_at_1="12:00:00",
        )
        assert "shown this once" in answer.content.decode()
        credential = AgentCredential.unscoped.get()
        page = office.get(at(AgentCredential, "change", credential.pk)).content.decode()
        assert credential.secret_hash not in page

    def test_links_people_of_the_workspace_to_practitioners(
        self, clinic, other_clinic, office, add_person, add_connection
    ):
        person = add_person(clinic, "Ada").user
        stranger = add_person(other_clinic, "Stranger").user
        connection = add_connection(clinic)
        url = at(EhrIdentity, "add")
        common = {"connection": str(connection.pk), "practitioner_ref": "Practitioner/1"}

        refused = save(office, url, user=str(stranger.pk), **common)
        assert "user" in problems_of(refused)
        save(office, url, user=str(person.pk), **common)
        assert EhrIdentity.unscoped.get().verified_by == "Boss"
        act(office, EhrIdentity, "unlink", EhrIdentity.unscoped.get())
        assert EhrIdentity.unscoped.get().revoked_at is not None

    def test_records_what_a_patient_said(self, clinic, office, add_connection):
        connection = add_connection(clinic)
        save(
            office,
            at(ConsentDirective, "add"),
            connection=str(connection.pk),
            patient_ref="P1",
            decision="DENY",
            purposes="[]",
            actions="[]",
            source="paper form",
            active_from_0="2026-11-20",
            active_from_1="12:00:00",
        )
        directive = ConsentDirective.unscoped.get()
        assert directive.decision == "DENY"
        act(office, ConsentDirective, "end", directive)
        assert ConsentDirective.unscoped.get().active_until is not None


class TestKillSwitches:
    def test_one_engages_and_two_release(self, clinic, office, add_person, add_connection):
        connection = add_connection(clinic)
        save(
            office,
            at(KillSwitch, "add"),
            target="CONNECTION",
            connection=str(connection.pk),
            reason="odd replies",
        )
        switch = KillSwitch.objects.get()
        assert (switch.engaged_by, switch.tenant_id) == ("Boss", clinic.pk)
        assert "nothing" in office.get(at(KillSwitch, "change", switch.pk)).content.decode()

        early = act(office, KillSwitch, "agree_to_release", switch).content.decode()
        assert "asks for the release first" in early
        act(office, KillSwitch, "ask_release", switch)
        alone = act(office, KillSwitch, "agree_to_release", switch).content.decode()
        assert "cannot also agree" in alone
        assert KillSwitch.objects.get().is_engaged

        second = add_person(clinic, "Second", "ADMIN")
        with transaction.atomic():
            second.user.change(is_staff=True, **BY)
        act(sign_in(second.user), KillSwitch, "agree_to_release", switch)
        assert not KillSwitch.objects.get().is_engaged

    def test_of_the_deployment_is_out_of_a_workspaces_reach(self, clinic, office):
        answer = save(office, at(KillSwitch, "add"), target="DEPLOYMENT", reason="all")

        assert "does not reach" in answer.content.decode()
        assert not KillSwitch.objects.exists()

    def test_names_its_target_in_the_form(self, clinic, office):
        for data in ({"target": "CONNECTION"}, {"target": "KIND"}, {"target": ""}):
            answer = save(office, at(KillSwitch, "add"), reason="x", **data)
            assert problems_of(answer)
        assert not KillSwitch.objects.exists()
        save(office, at(KillSwitch, "add"), reason="x", target="TENANT")
        assert KillSwitch.objects.get().target == "TENANT"


class TestHistory:
    def test_is_shown_with_the_actor_and_cannot_be_written_back(self, clinic, office):
        save(office, at(Tenant, "change", clinic.pk), undo_seconds="30")
        page = office.get(at(Tenant, "history", clinic.pk))
        row = clinic.history.order_by("-history_id").first()
        form = at(Tenant, "simple_history", clinic.pk, row.pk)

        assert page.status_code == 200
        assert "Boss (administrator)" in page.content.decode()
        assert "style=" not in page.content.decode().split('id="content"')[1]
        assert office.get(form).status_code == 200
        assert office.post(form, {"name": "Rewritten"}).status_code == 403
