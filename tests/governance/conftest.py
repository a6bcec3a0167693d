"""A made-up clinic beside another one, built through the mutators."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from audit.actors import Actor, ActorKind
from intents.governance import encryption
from intents.governance.models import Agent, EhrConnection, Membership, ScopeGrant, Tenant, User
from intents.governance.tenancy import tenant_context

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
INSTALLER = Actor.system(ActorKind.INSTALLATION)
BY = {"actor": INSTALLER, "at": AT}


@pytest.fixture(autouse=True)
def own_key_dir(tmp_path: Any, settings: Any) -> Iterator[None]:
    settings.KEY_DIR = tmp_path / "keys"
    settings.KEY_DIR.mkdir(mode=0o700)
    encryption._memory.forget()
    yield
    encryption._memory.forget()


@pytest.fixture
def clinic(db: None) -> Tenant:
    with transaction.atomic():
        return Tenant.create(name="Northgate", **BY)


@pytest.fixture
def other_clinic(db: None) -> Tenant:
    with transaction.atomic():
        return Tenant.create(name="Southgate", **BY)


@pytest.fixture
def inside(clinic: Tenant) -> Iterator[Tenant]:
    """The test runs inside the clinic's tenant context."""
    with tenant_context(clinic.pk):
        yield clinic


@pytest.fixture
def add_person(db: None) -> Callable[..., Membership]:
    def add(tenant: Tenant, name: str, role: str = "REVIEWER", **columns: Any) -> Membership:
        with transaction.atomic():
            user = User.add(email=f"{name.lower()}@{tenant.name.lower()}.example", name=name, **BY)
            return Membership.grant(tenant=tenant, user=user, role=role, **columns, **BY)

    return add


@pytest.fixture
def add_connection(db: None) -> Callable[..., EhrConnection]:
    def add(tenant: Tenant, name: str = "generic", **columns: Any) -> EhrConnection:
        with transaction.atomic():
            return EhrConnection.add(
                tenant=tenant,
                name=name,
                kind="generic_r4",
                base_url="http://127.0.0.1:8001/generic/fhir/R4",
                **columns,
                **BY,
            )

    return add


@pytest.fixture
def add_agent(db: None) -> Callable[..., Agent]:
    def add(
        tenant: Tenant,
        name: str = "scribe",
        *,
        lane_ceiling: str = "suggest",
        scopes: dict[str, str] | None = None,
        connection: EhrConnection | None = None,
    ) -> Agent:
        with transaction.atomic():
            agent = Agent.admit(tenant=tenant, name=name, lane_ceiling=lane_ceiling, **BY)
            for scope, lane in (scopes or {}).items():
                ScopeGrant.grant(agent=agent, connection=connection, scope=scope, lane=lane, **BY)
        return agent

    return add
