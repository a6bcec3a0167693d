"""Kill switches: who may engage and release them, and what is stopped right now.

They stop writing. Reading, intake and review go on. One person engages; two different people
release, which the database checks again.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit.actors import Actor
from intents.governance.models import (
    Agent,
    EhrConnection,
    KillSwitch,
    Membership,
    SwitchTarget,
    Tenant,
    User,
)
from intents.governance.roles import Permission, actor_of, actor_of_user, permits


class MayNotSwitch(PermissionError):
    """This person's role does not reach this switch."""


def engaged(*, tenant_id: UUID | str) -> list[KillSwitch]:
    """Every switch that stops some writing of this tenant, newest first."""
    return list(
        KillSwitch.objects.filter(released_at__isnull=True)
        .filter(Q(tenant_id=tenant_id) | Q(tenant__isnull=True))
        .select_related("connection", "agent", "release_asked_by")
        .order_by("-engaged_at")
    )


def stopping(
    *,
    tenant_id: UUID | str,
    connection_id: UUID | str,
    agent_id: UUID | str | None,
    change_kind: str,
) -> KillSwitch | None:
    """A switch that forbids this write now, or None. Asked at claim and before the socket.

    Few are ever engaged at once: all of them are read, which costs less than asking for the right ones.
    """
    for switch in KillSwitch.objects.filter(released_at__isnull=True).order_by("engaged_at"):
        if _stops(
            switch,
            tenant_id=str(tenant_id),
            connection_id=str(connection_id),
            agent_id=str(agent_id or ""),
            change_kind=change_kind,
        ):
            return switch
    return None


def _stops(
    switch: KillSwitch, *, tenant_id: str, connection_id: str, agent_id: str, change_kind: str
) -> bool:
    match SwitchTarget(switch.target):
        case SwitchTarget.DEPLOYMENT:
            return True
        case SwitchTarget.TENANT:
            return str(switch.tenant_id) == tenant_id
        case SwitchTarget.CONNECTION:
            return str(switch.connection_id) == connection_id
        case SwitchTarget.AGENT:
            return bool(agent_id) and str(switch.agent_id) == agent_id
        case SwitchTarget.KIND:
            everywhere = switch.tenant_id is None
            return switch.change_kind == change_kind and (
                everywhere or str(switch.tenant_id) == tenant_id
            )


def engage(
    *,
    target: str,
    reason: str,
    actor: Actor,
    at: datetime,
    tenant: Tenant | None = None,
    connection: EhrConnection | None = None,
    agent: Agent | None = None,
    change_kind: str = "",
) -> KillSwitch:
    """Stop writing at once. The door has asked `check_may_engage`, or runs on the operator's shell."""
    with transaction.atomic():
        return KillSwitch.engage(
            target=target,
            reason=reason,
            actor=actor,
            at=at,
            tenant=tenant,
            connection=connection,
            agent=agent,
            change_kind=change_kind,
        )


def check_may_engage(*, user: User, membership: Membership | None, tenant_id: UUID | None) -> Actor:
    """The person as actor, or `MayNotSwitch`. `tenant_id` None: beyond one tenant."""
    return _check(
        user=user, membership=membership, tenant_id=tenant_id, permission=Permission.STOP_WRITING
    )


def ask_release(
    *, switch_id: UUID | str, user: User, membership: Membership | None, at: datetime
) -> KillSwitch:
    """The first of two people asks for the release."""
    with transaction.atomic():
        switch = KillSwitch.lock(switch_id)
        actor = _check_may_release(switch, user=user, membership=membership)
        switch.ask_release(user=user, actor=actor, at=at)
    return switch


def release(
    *, switch_id: UUID | str, user: User, membership: Membership | None, at: datetime
) -> KillSwitch:
    """The second person, who is not the first, agrees; writing goes on."""
    with transaction.atomic():
        switch = KillSwitch.lock(switch_id)
        actor = _check_may_release(switch, user=user, membership=membership)
        switch.release(user=user, actor=actor, at=at)
    return switch


def _check_may_release(switch: KillSwitch, *, user: User, membership: Membership | None) -> Actor:
    return _check(
        user=user,
        membership=membership,
        tenant_id=switch.tenant_id,
        permission=Permission.RELEASE_WRITING,
    )


def _check(
    *, user: User, membership: Membership | None, tenant_id: UUID | None, permission: Permission
) -> Actor:
    if user.is_active and user.is_superuser:
        return actor_of_user(user)
    if (
        membership is None
        or membership.user_id != user.pk
        or tenant_id is None
        or membership.tenant_id != tenant_id
        or not permits(membership, permission)
    ):
        raise MayNotSwitch("Your role does not reach this switch.")
    return actor_of(membership)
