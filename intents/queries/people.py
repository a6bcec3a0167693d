"""Who and what may be looked for in the audit: people, agents and patients of one organisation."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max

from intents.governance.encryption import patient_token
from intents.governance.models import Agent, EhrConnection, Membership
from intents.models import Proposal

# A search opens this many charts at most, the latest first: names are encrypted and are unsealed one
# by one.
MOST_CHARTS = 5000


@dataclass(frozen=True, slots=True)
class KnownActor:
    """Somebody or something that acts here, by the id that events carry."""

    id: str
    name: str
    is_person: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One patient's record at one connection, and the latest draft about it."""

    connection_id: UUID
    patient_ref: str
    latest: Proposal


def actors() -> list[KnownActor]:
    """People with a role here, now or earlier, then agents; by name."""
    people = {
        str(m.user_id): m.user.name or m.user.email
        for m in Membership.objects.select_related("user")
    }
    agents = {str(agent.pk): agent.name for agent in Agent.objects.all()}
    return [
        *(KnownActor(pk, name, is_person=True) for pk, name in _by_name(people)),
        *(KnownActor(pk, name, is_person=False) for pk, name in _by_name(agents)),
    ]


def _by_name(found: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(found.items(), key=lambda pair: pair[1].casefold())


def charts() -> Iterator[Chart]:
    """The charts that drafts were about, the latest first, each with its latest draft."""
    rows = (
        Proposal.objects.order_by()
        .values("connection_id", "patient_ref")
        .annotate(last=Max("received_at"))
        .order_by("-last")[:MOST_CHARTS]
    )
    for row in rows:
        latest = drafts_of(connection_id=row["connection_id"], patient_ref=row["patient_ref"])[0]
        yield Chart(row["connection_id"], row["patient_ref"], latest)


def drafts_of(*, connection_id: UUID, patient_ref: str) -> list[Proposal]:
    """Every draft about one chart, the newest first."""
    return list(
        Proposal.objects.filter(connection_id=connection_id, patient_ref=patient_ref)
        .select_related("connection", "agent", "agent_release")
        .order_by("-received_at", "-id")
    )


def encounter_tokens(reference: str) -> list[str]:
    """The tokens that one encounter's reference would have, one for each connection."""
    return [
        patient_token(
            tenant_id=connection.tenant_id, patient_ref=f"{connection.pk}/Encounter/{reference}"
        )
        for connection in EhrConnection.objects.order_by("name")
    ]
