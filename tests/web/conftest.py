"""Two made-up organisations with one person of each role, built through the mutators, and a browser each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from intents.governance.models import EhrConnection, Membership, Role, Tenant, User
from intents.governance.opening import open_workspace
from intents.governance.tenancy import tenant_context
from tests.web import made_up

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
INSTALLER = Actor.system(ActorKind.INSTALLATION)
BY: dict[str, Any] = {"actor": INSTALLER, "at": AT}
PASSWORD = "correct horse battery staple"


@dataclass
class Organisation:
    """A workspace, one person of each role, and one connection that nobody answers on."""

    tenant: Tenant
    connection: EhrConnection
    people: dict[str, Membership] = field(default_factory=dict)

    def person(self, role: str) -> Membership:
        return self.people[role]


def main_of(html: str) -> str:
    """The page without its frame: the key help names every action."""
    return html[html.index("<main") : html.index("</main>")]


def open_organisation(name: str) -> Organisation:
    with transaction.atomic():
        tenant = open_workspace(name=name, time_zone="America/Chicago", **BY)
        with tenant_context(tenant.pk):
            connection = EhrConnection.add(
                tenant=tenant,
                name="practice-r4",
                title=f"{name} R4 (practice)",
                kind="generic_r4",
                # Port 9 of this machine: nothing listens there.
                base_url="http://127.0.0.1:9/fhir/R4",
                **BY,
            )
            organisation = Organisation(tenant, connection)
            for role in Role.values:
                user = User.add(
                    email=f"{role}@{name}.example".lower(),
                    name=f"{role.capitalize()} of {name}",
                    password=PASSWORD,
                    **BY,
                )
                clinical = (
                    {"clinical_role": "PRESCRIBER", "profession": "PHYSICIAN"}
                    if role == Role.REVIEWER
                    else {}
                )
                organisation.people[role] = Membership.grant(
                    tenant=tenant, user=user, role=role, **clinical, **BY
                )
    return organisation


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """The hash that is slow on purpose would be most of the time of these tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Counted tries of another test do not lock this one's people out.
    cache.clear()


@pytest.fixture
def northgate(db: None) -> Organisation:
    return open_organisation("Northgate")


@pytest.fixture
def southgate(db: None) -> Organisation:
    return open_organisation("Southgate")


@pytest.fixture
def inside(northgate: Organisation) -> Iterator[Organisation]:
    with tenant_context(northgate.tenant.pk):
        yield northgate


@pytest.fixture
def browser() -> Callable[..., Client]:
    """A browser in which this person is signed in; without one, nobody is."""

    def open_browser(membership: Membership | None = None, **options: Any) -> Client:
        client = Client(**options)
        if membership is not None:
            client.force_login(membership.user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return open_browser


@pytest.fixture
def happened() -> Callable[..., list[AuditEvent]]:
    """The events of a kind so far, oldest first."""

    def find(tag: str, **columns: Any) -> list[AuditEvent]:
        return list(AuditEvent.objects.filter(tag=tag, **columns).order_by("recorded_at"))

    return find


@pytest.fixture
def draft(inside: Organisation) -> Callable[..., made_up.Draft]:
    """A draft of the organisation's agent, brought to a state."""

    def make(**wanted: Any) -> made_up.Draft:
        return made_up.make_draft(
            tenant=inside.tenant,
            connection=inside.connection,
            reviewer=inside.person(Role.REVIEWER),
            at=wanted.pop("at", datetime.now(UTC) - timedelta(minutes=28)),
            **wanted,
        )

    return make
