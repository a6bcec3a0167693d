"""Whose data a request sees, and when a session has been idle too long."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from intents.governance import middleware
from intents.governance.middleware import TenantMiddleware, choose_membership
from intents.governance.models import Membership
from intents.governance.tenancy import current_tenant, enter_tenant
from tests.governance.conftest import BY


def ask(user, *, path="/queue/", session=None):
    """(membership, tenant in force) that a view behind the middleware sees."""
    seen = []

    def view(request):
        seen.append((request.membership, current_tenant()))
        return HttpResponse()

    request = RequestFactory().get(path)
    request.user = user
    request.session = session if session is not None else SessionStore()
    TenantMiddleware(view)(request)
    assert current_tenant() is None
    return seen[0]


class TestTheTenant:
    def test_is_that_of_the_only_membership(self, clinic, add_person):
        member = add_person(clinic, "Adaeze")

        assert ask(member.user) == (member, str(clinic.pk))

    def test_is_nobodys_for_a_stranger(self, db):
        assert ask(AnonymousUser()) == (None, None)

    def test_is_chosen_where_there_are_several(self, clinic, other_clinic, add_person):
        first = add_person(clinic, "Adaeze")
        with transaction.atomic():
            second = Membership.grant(tenant=other_clinic, user=first.user, role="AUDITOR", **BY)
        session = SessionStore()
        assert ask(first.user, session=session) == (None, None)

        request = RequestFactory().get("/")
        request.session = session
        choose_membership(request, membership=second)
        assert ask(first.user, session=session) == (second, str(other_clinic.pk))

    def test_cannot_be_chosen_among_those_of_others(self, clinic, other_clinic, add_person):
        member, stranger = add_person(clinic, "Adaeze"), add_person(other_clinic, "Berit")
        session = SessionStore()
        session[middleware.MEMBERSHIP_KEY] = str(stranger.pk)

        assert ask(member.user, session=session) == (None, None)

    @pytest.mark.req("001-116")
    def test_is_gone_when_the_membership_or_the_workspace_ended(self, clinic, add_person):
        member = add_person(clinic, "Adaeze")
        with transaction.atomic():
            member.end(**BY)
        assert ask(member.user) == (None, None)

        other = add_person(clinic, "Berit")
        with transaction.atomic():
            clinic.change(is_active=False, **BY)
        assert ask(other.user) == (None, None)

    def test_of_a_superuser_is_the_one_they_picked(self, clinic, django_user_model):
        root = django_user_model.objects.create_superuser("root@example.org", "x" * 20, name="R")
        session = SessionStore()
        assert ask(root, session=session) == (None, None)

        session[middleware.TENANT_KEY] = str(clinic.pk)
        assert ask(root, session=session) == (None, str(clinic.pk))

    def test_picked_by_anybody_else_is_ignored(self, clinic, other_clinic, add_person):
        member = add_person(clinic, "Adaeze")
        session = SessionStore()
        session[middleware.TENANT_KEY] = str(other_clinic.pk)

        assert ask(member.user, session=session) == (member, str(clinic.pk))

    @pytest.mark.parametrize(
        "path", ["/api/v1/kinds", "/oauth/token", "/.well-known/x", "/fhir/x", "/mcp"]
    )
    def test_is_never_taken_from_a_session_at_an_agents_door(self, clinic, add_person, path):
        assert ask(add_person(clinic, "Adaeze").user, path=path) == (None, None)

    def test_that_a_view_entered_ends_with_the_request(self, clinic, db):
        def view(request):
            enter_tenant(clinic.pk)
            return HttpResponse()

        request = RequestFactory().get("/api/v1/kinds")
        TenantMiddleware(view)(request)

        assert current_tenant() is None

    def test_ends_also_when_the_view_fails(self, clinic, add_person):
        def view(request):
            raise RuntimeError

        request = RequestFactory().get("/")
        request.user, request.session = add_person(clinic, "Adaeze").user, SessionStore()
        with pytest.raises(RuntimeError):
            TenantMiddleware(view)(request)

        assert current_tenant() is None


class TestIdleness:
    def visit(self, client, settings, *, after):
        session = client.session
        if after is not None:
            session[middleware.LAST_SEEN_KEY] = (timezone.now() - after).timestamp()
            session.save()
        client.get("/healthz")
        return "_auth_user_id" in client.session

    @pytest.fixture
    def session(self, client, clinic, add_person):
        member = add_person(clinic, "Adaeze")
        client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_ends_a_session_after_its_time(self, session, settings):
        limit = timedelta(seconds=settings.SESSION_IDLE_SECONDS)

        assert self.visit(session, settings, after=None)
        assert self.visit(session, settings, after=limit - timedelta(seconds=5))
        assert not self.visit(session, settings, after=limit + timedelta(seconds=5))

    def test_is_counted_from_the_last_request(self, session):
        session.get("/healthz")
        first = session.session[middleware.LAST_SEEN_KEY]
        stored = session.session
        stored[middleware.LAST_SEEN_KEY] = first - 60
        stored.save()
        session.get("/healthz")

        assert session.session[middleware.LAST_SEEN_KEY] >= first
