"""One person stops writing; two different people release it, in code and in the database."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F

from audit.models import AuditEvent
from intents.governance import switches
from intents.governance.models import KillSwitch
from intents.governance.switches import MayNotSwitch
from tests.governance.conftest import AT, BY, INSTALLER


@pytest.fixture
def connection(inside, add_connection):
    return add_connection(inside)


@pytest.fixture
def stopped(connection):
    return switches.engage(
        target="CONNECTION", connection=connection, reason="odd replies", actor=INSTALLER, at=AT
    )


def ask_for(connection, agent_id=None, kind="note"):
    return switches.stopping(
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        agent_id=agent_id,
        change_kind=kind,
    )


class TestStopping:
    @pytest.mark.req("002-25")
    def test_reaches_its_target_only(
        self, inside, other_clinic, connection, add_connection, add_agent
    ):
        elsewhere = add_connection(other_clinic)
        agent = add_agent(inside)
        cases = [
            ({"target": "DEPLOYMENT"}, [connection, elsewhere]),
            ({"target": "TENANT", "tenant": inside}, [connection]),
            ({"target": "CONNECTION", "connection": connection}, [connection]),
            ({"target": "KIND", "change_kind": "note"}, [connection, elsewhere]),
            ({"target": "KIND", "change_kind": "note", "tenant": inside}, [connection]),
            ({"target": "KIND", "change_kind": "problem"}, []),
            ({"target": "AGENT", "agent": agent}, []),
        ]
        for columns, reached in cases:
            sid = transaction.savepoint()
            switches.engage(reason="test", actor=INSTALLER, at=AT, **columns)
            for each in (connection, elsewhere):
                assert (ask_for(each) is not None) == (each in reached), columns
            transaction.savepoint_rollback(sid)

    def test_of_an_agent_stops_what_that_agent_proposed(self, inside, connection, add_agent):
        agent, other = add_agent(inside), add_agent(inside, "other")
        switches.engage(target="AGENT", agent=agent, reason="test", actor=INSTALLER, at=AT)

        assert ask_for(connection, agent_id=agent.pk)
        assert not ask_for(connection, agent_id=other.pk)

    def test_names_exactly_one_target(self, inside, connection, add_agent):
        for columns in (
            {"target": "CONNECTION"},
            {"target": "DEPLOYMENT", "connection": connection},
            {"target": "KIND"},
            {"target": "TENANT"},
            {"target": "AGENT", "connection": connection},
            {"target": "CONNECTION", "connection": connection, "agent": add_agent(inside)},
        ):
            with pytest.raises(ValidationError):
                switches.engage(reason="test", actor=INSTALLER, at=AT, **columns)

    def test_is_in_the_audit_log(self, stopped):
        event = AuditEvent.objects.get(tag="governance:killswitch:engaged")

        assert event.tenant_id == str(stopped.tenant_id)
        assert event.rows[0]["table"] == "governance_historicalkillswitch"


class TestReleasing:
    def test_needs_two_different_people(self, inside, stopped, connection, add_person):
        one = add_person(inside, "Adaeze", "OPERATOR")
        two = add_person(inside, "Berit", "ADMIN")

        with pytest.raises(ValidationError, match="asks for the release first"):
            switches.release(switch_id=stopped.pk, user=one.user, membership=one, at=AT)
        switches.ask_release(switch_id=stopped.pk, user=one.user, membership=one, at=AT)
        with pytest.raises(ValidationError, match="cannot also agree"):
            switches.release(switch_id=stopped.pk, user=one.user, membership=one, at=AT)
        assert ask_for(connection)

        switches.release(switch_id=stopped.pk, user=two.user, membership=two, at=AT)

        assert not ask_for(connection)
        with pytest.raises(ValidationError, match="released already"):
            switches.ask_release(switch_id=stopped.pk, user=one.user, membership=one, at=AT)

    def test_by_one_person_is_refused_by_the_database_itself(self, inside, stopped, add_person):
        one = add_person(inside, "Adaeze", "OPERATOR")
        rows = KillSwitch.objects.filter(pk=stopped.pk)
        rows.update(release_asked_by=one.user, release_asked_at=AT)

        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(released_by=F("release_asked_by"), released_at=AT)
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(released_at=AT)

    def test_needs_the_role_and_the_tenant(self, inside, other_clinic, stopped, add_person):
        reviewer = add_person(inside, "Adaeze", "REVIEWER")
        stranger = add_person(other_clinic, "Berit", "OPERATOR")

        for member in (reviewer, stranger):
            with pytest.raises(MayNotSwitch):
                switches.ask_release(
                    switch_id=stopped.pk, user=member.user, membership=member, at=AT
                )

    def test_of_the_deployment_is_for_its_administrators(self, inside, add_person):
        operator = add_person(inside, "Adaeze", "OPERATOR")
        first = add_person(inside, "Berit", "ADMIN").user
        second = add_person(inside, "Odile", "ADMIN").user
        with transaction.atomic():
            for user in (first, second):
                user.change(is_superuser=True, **BY)
        switch = switches.engage(target="DEPLOYMENT", reason="test", actor=INSTALLER, at=AT)

        with pytest.raises(MayNotSwitch):
            switches.ask_release(
                switch_id=switch.pk, user=operator.user, membership=operator, at=AT
            )
        switches.ask_release(switch_id=switch.pk, user=first, membership=None, at=AT)
        switches.release(switch_id=switch.pk, user=second, membership=None, at=AT)
        assert switches.engaged(tenant_id=inside.pk) == []


class TestEngaging:
    def test_needs_one_person_of_the_tenant(self, inside, other_clinic, add_person):
        reviewer = add_person(inside, "Adaeze", "REVIEWER")

        actor = switches.check_may_engage(
            user=reviewer.user, membership=reviewer, tenant_id=inside.pk
        )
        assert actor.name == "Adaeze"
        for tenant_id in (other_clinic.pk, None):
            with pytest.raises(MayNotSwitch):
                switches.check_may_engage(
                    user=reviewer.user, membership=reviewer, tenant_id=tenant_id
                )

    def test_needs_more_than_a_support_role(self, inside, add_person):
        support = add_person(inside, "Adaeze", "SUPPORT")

        with pytest.raises(MayNotSwitch):
            switches.check_may_engage(user=support.user, membership=support, tenant_id=inside.pk)
