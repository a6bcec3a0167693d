"""Finding what an operator names on the command line, or saying in a sentence that it is not there."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import models

from audit.actors import Actor, ActorKind
from intents.governance.models import Agent, EhrConnection, Tenant

# Whoever may run these commands holds the installation itself.
OPERATOR = Actor.system(ActorKind.INSTALLATION)


def find_tenant(text: str) -> Tenant:
    """The workspace of this name or id."""
    found: Tenant = _one(Tenant.objects.filter(_by(text)), what="workspace", text=text)
    return found


def find_connection(text: str, *, tenant: Tenant | None) -> EhrConnection:
    """The connection of this name or id, in one workspace or, where that is enough, in any."""
    rows = EhrConnection.unscoped.filter(_by(text)).select_related("tenant")
    found: EhrConnection = _one(_of(rows, tenant), what="connection", text=text)
    return found


def find_agent(text: str, *, tenant: Tenant | None) -> Agent:
    """The agent of this name or id, in one workspace or, where that is enough, in any."""
    rows = Agent.unscoped.filter(_by(text)).select_related("tenant")
    found: Agent = _one(_of(rows, tenant), what="agent", text=text)
    return found


def sentences(refused: ValidationError) -> str:
    """What a record refused, for an operator to read."""
    if hasattr(refused, "error_dict"):
        return " ".join(
            f"{name}: {' '.join(messages)}" if name != "__all__" else " ".join(messages)
            for name, messages in refused.message_dict.items()
        )
    return " ".join(refused.messages)


def _by(text: str) -> models.Q:
    try:
        return models.Q(pk=UUID(text))
    except ValueError:
        return models.Q(name=text)


def _of(rows: "models.QuerySet[Any]", tenant: Tenant | None) -> "models.QuerySet[Any]":
    return rows if tenant is None else rows.filter(tenant=tenant)


def _one(rows: "models.QuerySet[Any]", *, what: str, text: str) -> Any:
    found: Sequence[Any] = list(rows[:2])
    if not found:
        raise CommandError(f"There is no {what} named {text}.")
    if len(found) > 1:
        raise CommandError(f"Several workspaces have a {what} named {text}: add --tenant.")
    return found[0]
