"""Stages of a connection: which changes are sent at which, and who moves it from one to the next.

Stages hold back sending only. Reading, screening, review and approval are the same at every stage, so
that a stage shows what the next one would do.
"""

import hashlib
from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.actors import Actor
from intents.governance.models import EhrConnection, Membership, Promotion, Rollout, User
from intents.governance.roles import Permission, actor_of, actor_of_user, permits


class MayNotPromote(PermissionError):
    """This person's role does not move connections from stage to stage."""


def why_not_sent(
    *, connection: EhrConnection, patient_ref: str, agent_name: str, change_kind: str
) -> str:
    """The code of delivery's reasons why this stage does not send a change, or "". No stage depends on
    the time of day: how many a day a canary sends is asked beside it."""
    match connection.rollout:
        case Rollout.LIVE:
            return ""
        case Rollout.TEST_PATIENTS:
            listed = patient_ref in connection.test_patients
            return "" if listed else "stage-test-patients"
        case Rollout.CANARY:
            chosen = patient_ref in connection.canary_patients or is_drawn(
                connection, patient_ref=patient_ref
            )
            of_kind = not connection.canary_kinds or change_kind in connection.canary_kinds
            of_agent = not connection.canary_agents or agent_name in connection.canary_agents
            return "" if chosen and of_kind and of_agent else "stage-canary"
        case _:
            return "stage-shadow"


def is_drawn(connection: EhrConnection, *, patient_ref: str) -> bool:
    """Is the patient among those drawn for the canary? The same answer every time, and for a larger
    share still yes."""
    drawn = hashlib.sha256(f"{connection.pk}/{patient_ref}".encode()).digest()
    return int.from_bytes(drawn[:8]) % 100 < connection.canary_percent


# --- from stage to stage --------------------------------------------------------------------------


def open_promotion(connection: EhrConnection) -> Promotion | None:
    """The wish for the next stage that waits for a second person."""
    return (
        Promotion.objects.filter(
            connection=connection, agreed_at__isnull=True, withdrawn_at__isnull=True
        )
        .select_related("asked_by")
        .first()
    )


def check_may_promote(
    *, user: User, membership: Membership | None, connection: EhrConnection
) -> Actor:
    """The person as actor, or `MayNotPromote`."""
    if user.is_active and user.is_superuser:
        return actor_of_user(user)
    if (
        membership is None
        or membership.user_id != user.pk
        or membership.tenant_id != connection.tenant_id
        or not permits(membership, Permission.RELEASE_WRITING)
    ):
        raise MayNotPromote("Your role does not move connections from stage to stage.")
    return actor_of(membership)


def withdraw(
    *, promotion_id: UUID | str, user: User, membership: Membership | None, at: datetime
) -> Promotion:
    """Take back a wish for the next stage; anybody who may ask for one may."""
    with transaction.atomic():
        wish = Promotion.lock(promotion_id)
        actor = check_may_promote(user=user, membership=membership, connection=wish.connection)
        wish.withdraw(actor=actor, at=at)
    return wish


def go_back(
    *,
    connection_id: UUID | str,
    to: str,
    reason: str,
    user: User,
    membership: Membership | None,
    at: datetime,
) -> EhrConnection:
    """Back to an earlier stage at once; a wish for the next one that is open ends with it."""
    with transaction.atomic():
        connection = EhrConnection.lock(connection_id)
        actor = check_may_promote(user=user, membership=membership, connection=connection)
        connection.go_back(to=to, actor=actor, at=at, reason=reason)
        wish = open_promotion(connection)
        if wish is not None:
            Promotion.lock(wish.pk).withdraw(
                actor=actor, at=at, reason="The connection went back to an earlier stage."
            )
    return connection
