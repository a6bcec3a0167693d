"""Which connections an agent may use, and what each takes today."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ehr_adapters.canonical import base as canonical
from ehr_adapters.capabilities import CapabilitySet
from intents.governance import scopes, switches
from intents.governance.models import Agent, EhrConnection, ScopeGrant


@dataclass(frozen=True, slots=True)
class AcceptanceView:
    kind: str
    interaction: str
    accepted: bool
    granted: bool
    finality: str
    needs_encounter: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class ConnectionView:
    connection: str
    title: str
    ehr: str
    environment: str
    writing: bool
    scopes: Sequence[str]
    accepts: Sequence[AcceptanceView]


def connections(
    *, agent: Agent, capabilities_of: Callable[[EhrConnection], CapabilitySet], at: datetime
) -> list[ConnectionView]:
    """The connections on which the agent holds a live grant, with what each takes today.

    `capabilities_of` asks the adapters, which are out of reach from here.
    """
    found = []
    for connection in (
        EhrConnection.objects.filter(grants__agent=agent)
        .select_related("tenant")
        .distinct()
        .order_by("name")
    ):
        grants = scopes.live_grants(agent=agent, connection=connection, at=at)
        if not grants:
            continue
        declared = capabilities_of(connection)
        found.append(
            ConnectionView(
                connection=connection.name,
                title=str(connection),
                ehr=declared.vendor or connection.kind,
                environment=connection.environment,
                writing=_writes(connection, agent=agent),
                scopes=sorted({grant.scope for grant in grants}),
                accepts=[
                    AcceptanceView(
                        kind=each.kind,
                        interaction=each.interaction,
                        accepted=each.supported,
                        granted=_is_granted(each.kind, each.interaction, grants=grants),
                        finality=each.finality.value,
                        needs_encounter=each.needs_encounter,
                        sentence=each.sentence,
                    )
                    for each in declared
                    if each.kind in canonical.all_kinds()
                ],
            )
        )
    return found


def _writes(connection: EhrConnection, *, agent: Agent) -> bool:
    return (
        connection.write_back_enabled
        and connection.tenant.write_back_enabled
        and switches.stopping(
            tenant_id=connection.tenant_id,
            connection_id=connection.pk,
            agent_id=agent.pk,
            change_kind="",
        )
        is None
    )


def _is_granted(kind: str, interaction: str, *, grants: Iterable[ScopeGrant]) -> bool:
    letter = scopes.CREATE if interaction == canonical.Interaction.CREATE else scopes.UPDATE
    wanted = canonical.fhir_types(kind, interaction)
    parsed = (scopes.parse(grant.scope) for grant in grants)
    return any(each.resource_type in wanted and letter in each.letters for each in parsed)
