"""Nothing crosses from one tenant to another: not by a query, not by a reference."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from intents.governance import tenant_guards
from intents.governance.models import Agent, EhrConnection, KillSwitch, ScopeGrant
from intents.governance.tenancy import (
    TenantContextMissing,
    TenantOwned,
    current_tenant,
    tenant_context,
)
from tests.governance.conftest import AT, BY


class TestQueries:
    def test_raise_without_a_tenant(self, db):
        for model in apps.get_models():
            if issubclass(model, TenantOwned):
                with pytest.raises(TenantContextMissing):
                    model.objects.first()

    @pytest.mark.req("001-115")
    def test_see_one_tenant_only(self, clinic, other_clinic, add_agent):
        add_agent(clinic, "ours")
        add_agent(other_clinic, "theirs")

        with tenant_context(clinic.pk):
            assert [agent.name for agent in Agent.objects.all()] == ["ours"]
            with tenant_context(other_clinic.pk):
                assert [agent.name for agent in Agent.objects.all()] == ["theirs"]
            assert current_tenant() == str(clinic.pk)
        assert current_tenant() is None
        assert Agent.unscoped.count() == 2


def _grant_across(agent, connection_of_other):
    return ScopeGrant(
        tenant=agent.tenant,
        agent=agent,
        connection=connection_of_other,
        scope="system/Condition.c",
        active_from=AT,
    )


def refused(*statements: Callable[[], object]) -> bool:
    """True if the database refuses the statements, at the latest when their transaction ends."""
    try:
        with transaction.atomic():
            for statement in statements:
                statement()
            connection.check_constraints()
    except IntegrityError:
        return True
    return False


class TestReferences:
    def test_between_tenants_are_refused_on_insert(
        self, clinic, other_clinic, add_agent, add_connection
    ):
        agent, foreign = add_agent(clinic), add_connection(other_clinic)

        assert refused(lambda: ScopeGrant.unscoped.bulk_create([_grant_across(agent, foreign)]))

    def test_between_tenants_are_refused_on_update(
        self, clinic, other_clinic, add_agent, add_connection
    ):
        ours, foreign = add_connection(clinic), add_connection(other_clinic)
        agent = add_agent(clinic, scopes={"system/Condition.c": "suggest"}, connection=ours)
        rows = ScopeGrant.unscoped.filter(agent=agent)

        assert refused(lambda: rows.update(connection=foreign))
        assert refused(lambda: rows.update(tenant=other_clinic))

    def test_cannot_be_made_by_moving_the_parent(
        self, clinic, other_clinic, add_agent, add_connection
    ):
        ours = add_connection(clinic)
        add_agent(clinic, scopes={"system/Condition.c": "suggest"}, connection=ours)

        assert refused(
            lambda: EhrConnection.unscoped.filter(pk=ours.pk).update(tenant=other_clinic)
        )

    def test_cannot_be_made_by_storing_the_parent_last(self, clinic, other_clinic, add_agent):
        agent = add_agent(clinic)
        late = EhrConnection(
            tenant=other_clinic, name="late", kind="epic", base_url="http://127.0.0.1:1/"
        )

        assert refused(
            lambda: ScopeGrant.unscoped.bulk_create([_grant_across(agent, late)]),
            lambda: EhrConnection._base_manager.bulk_create([late]),
        )

    def test_are_guarded_wherever_a_tenant_owned_record_refers_to_another(self, db):
        guarded = {(each.child, each.column) for each in tenant_guards.relations()}

        assert ("governance_scopegrant", "connection_id") in guarded
        assert ("governance_killswitch", "agent_id") in guarded
        assert ("intents_intent", "proposal_id") in guarded
        assert ("intents_intent", "current_version_id") in guarded
        assert tenant_guards.missing_guards() == []
        assert not [child for child, _ in guarded if "historical" in child]

    def test_of_a_switch_without_tenant_are_free(self, db):
        with transaction.atomic():
            KillSwitch.engage(target="DEPLOYMENT", reason="test", **BY)


@pytest.mark.django_db(transaction=True)
class TestInstalling:
    def test_notices_a_guard_that_somebody_removed_and_puts_it_back(self, db):
        relation = next(r for r in tenant_guards.relations() if r.column == "connection_id")
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(f'DROP TRIGGER "{relation.name}_i"')
            else:
                cursor.execute(f'ALTER TABLE "{relation.child}" DROP CONSTRAINT "{relation.name}"')
        label = f"{relation.child}: {relation.column}"
        assert tenant_guards.missing_guards() == [label]

        call_command("migrate", verbosity=0, skip_checks=True)

        assert tenant_guards.missing_guards() == []

    def test_twice_changes_nothing(self, db):
        tenant_guards.install()
        tenant_guards.install()

        assert tenant_guards.missing_guards() == []
