"""The covered entity's workspace."""

import uuid
import zoneinfo
from datetime import datetime
from functools import cache
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.record import Governed


class Tenant(Governed):
    """The covered entity's workspace. Nothing crosses its border."""

    CHANGEABLE = frozenset(
        {
            "name",
            "is_active",
            "write_back_enabled",
            "autonomy_enabled",
            "client_secret_allowed",
            "time_zone",
            "undo_seconds",
            "message_undo_seconds",
            "approval_window_hours",
            "audit_retention_years",
            "draft_retention_days",
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    is_active = models.BooleanField(default=True)
    write_back_enabled = models.BooleanField(default=True)
    autonomy_enabled = models.BooleanField(default=False)
    # private_key_jwt is the rule; a shared secret only where this says so.
    client_secret_allowed = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=64, default="UTC")
    # An approved change waits this long before it is sent, so that it can be undone.
    undo_seconds = models.PositiveIntegerField(default=10)
    message_undo_seconds = models.PositiveIntegerField(default=60)
    # An upper bound over the expiry per kind.
    approval_window_hours = models.PositiveIntegerField(default=24)
    audit_retention_years = models.PositiveIntegerField(default=10)
    draft_retention_days = models.PositiveIntegerField(default=365)
    created_at = models.DateTimeField(auto_now_add=True)

    history = ActorRecords()

    def __str__(self) -> str:
        return self.name

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def create(cls, *, name: str, actor: Actor, at: datetime, **columns: object) -> Self:
        """A new workspace. Raises ValidationError when the name is taken."""
        if cls.objects.filter(name=name).exists():
            raise ValidationError({"name": "There is a workspace of this name already."})
        tenant = cls(name=name)
        tenant.set_columns(columns)
        tenant.keep(tag=AuditTag.GOVERNANCE_TENANT_CREATED, actor=actor, at=at)
        return tenant

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: object) -> None:
        changed = self.set_columns(columns)
        if changed:
            self.keep(
                tag=AuditTag.GOVERNANCE_TENANT_CHANGED,
                actor=actor,
                at=at,
                reason=reason,
                changed=changed,
            )

    def check_sense(self) -> None:
        check_time_zone(self.time_zone)

    def log_tenant_id(self) -> uuid.UUID:
        return self.pk


@cache
def _time_zones() -> frozenset[str]:
    """Every name of the database; reading it walks through a thousand files, so it is read once."""
    return frozenset(zoneinfo.available_timezones())


def check_time_zone(name: str) -> None:
    """Raise ValidationError unless `name` is in the IANA time zone database."""
    if name not in _time_zones():
        raise ValidationError({"time_zone": "This is not a time zone, such as America/Chicago."})
