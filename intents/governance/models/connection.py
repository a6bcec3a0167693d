"""One tenant's endpoint of one EHR."""

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.choices import Environment, Rollout, one_of
from intents.governance.models.record import Governed
from intents.governance.models.tenant import Tenant, check_time_zone
from intents.governance.tenancy import TenantOwned

_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class EhrConnection(TenantOwned, Governed):
    """One tenant's endpoint of one EHR. `name` is what agents and people call it."""

    CHANGEABLE = frozenset(
        {
            "title",
            "base_url",
            "token_url",
            "client_id",
            "alg",
            "credential_ref",
            "environment",
            "rollout",
            "settings",
            "time_zone",
            "connect_timeout_seconds",
            "read_timeout_seconds",
            "token_life_seconds",
            "processing_bound_seconds",
            "index_lag_seconds",
            "staged_patience_days",
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=60)
    title = models.CharField(max_length=120, blank=True, default="")
    kind = models.CharField(max_length=40)
    base_url = models.URLField(max_length=500)
    token_url = models.URLField(max_length=500, blank=True, default="")
    client_id = models.CharField(max_length=200, blank=True, default="")
    alg = models.CharField(max_length=10, default="ES384")
    # The name of a key file in KEY_DIR; never a secret.
    credential_ref = models.CharField(max_length=120, blank=True, default="")
    environment = models.CharField(
        max_length=10, choices=Environment.choices, default=Environment.SANDBOX
    )
    rollout = models.CharField(max_length=20, choices=Rollout.choices, default=Rollout.LIVE)
    settings = models.JSONField(default=dict, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    # Configuration, not the switch: `KillSwitch` stops writing in an emergency.
    write_back_enabled = models.BooleanField(default=True)
    connect_timeout_seconds = models.FloatField(default=5.0)
    read_timeout_seconds = models.FloatField(default=15.0)
    # Absence proves nothing before the sum of these has passed: token life, the EHR's own
    # processing, and how late its index shows what it holds.
    token_life_seconds = models.PositiveIntegerField(default=300)
    processing_bound_seconds = models.PositiveIntegerField(default=300)
    index_lag_seconds = models.PositiveIntegerField(default=900)
    staged_patience_days = models.PositiveIntegerField(default=14)
    # What the last probe found, with its evidence; empty until the first probe.
    capabilities = models.JSONField(default=dict, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    # Probes come every hour; their answer is kept, not each answer's history.
    history = ActorRecords(excluded_fields=["capabilities", "probed_at"])

    class Meta:
        verbose_name = "connection"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="connection_name_per_tenant"),
            one_of("environment", Environment, "connection_environment_known"),
            one_of("rollout", Rollout, "connection_rollout_known"),
        ]

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def quarantine_seconds(self) -> int:
        """How long absence proves nothing after an attempt."""
        return self.token_life_seconds + self.processing_bound_seconds + self.index_lag_seconds

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def add(
        cls,
        *,
        tenant: Tenant,
        name: str,
        kind: str,
        base_url: str,
        actor: Actor,
        at: datetime,
        **columns: object,
    ) -> Self:
        """A new connection. That the kind exists and its settings are right, the door has asked."""
        if cls.unscoped.filter(tenant=tenant, name=name).exists():
            raise ValidationError({"name": "There is a connection of this name already."})
        connection = cls(tenant=tenant, name=name, kind=kind, base_url=base_url)
        connection.set_columns(columns)
        connection.keep(
            tag=AuditTag.GOVERNANCE_CONNECTION_ADDED,
            actor=actor,
            at=at,
            kind=kind,
            environment=connection.environment,
        )
        return connection

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: object) -> None:
        changed = self.set_columns(columns)
        if changed:
            self.keep(
                tag=AuditTag.GOVERNANCE_CONNECTION_CHANGED,
                actor=actor,
                at=at,
                reason=reason,
                changed=changed,
            )

    def suspend(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """Switch writing off as configuration; in an emergency use `KillSwitch`."""
        if self.write_back_enabled:
            self.write_back_enabled = False
            self.keep(
                tag=AuditTag.GOVERNANCE_CONNECTION_SUSPENDED, actor=actor, at=at, reason=reason
            )

    def resume(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        if not self.write_back_enabled:
            self.write_back_enabled = True
            self.keep(tag=AuditTag.GOVERNANCE_CONNECTION_RESUMED, actor=actor, at=at, reason=reason)

    def note_probe(
        self,
        *,
        capabilities: dict[str, Any],
        withdrawn: Iterable[str],
        restored: Iterable[str],
        actor: Actor,
        at: datetime,
    ) -> None:
        """Keep what a probe found. History and audit are written only when the finding differs.

        `withdrawn` and `restored` ("problem update") are what is not offered any more, or again, since the
        last probe.
        """
        differs = self.capabilities != capabilities
        self.capabilities = capabilities
        self.probed_at = at
        if differs:
            self.keep(
                tag=AuditTag.GOVERNANCE_CONNECTION_PROBED,
                actor=actor,
                at=at,
                withdrawn=sorted(withdrawn),
                restored=sorted(restored),
            )
            return
        self.skip_history_when_saving = True
        try:
            self.save(update_fields=["probed_at"])
        finally:
            del self.skip_history_when_saving

    def set_columns(self, columns: dict[str, object]) -> list[str]:
        # Commands and people write these two in small letters.
        return super().set_columns(
            {
                name: str(value).upper() if name in {"environment", "rollout"} else value
                for name, value in columns.items()
            }
        )

    def check_sense(self) -> None:
        check_time_zone(self.time_zone)
        if self.credential_ref and not _KEY_NAME.fullmatch(self.credential_ref):
            raise ValidationError(
                {"credential_ref": "This names a file in the key folder; it is not a path."}
            )
        for column in ("base_url", "token_url"):
            address = getattr(self, column)
            if address:
                check_address(address, environment=self.environment, column=column)


def is_loopback(address: str) -> bool:
    """True if the address's host is this machine."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(address: str, *, environment: str, column: str) -> None:
    """Practice systems live on this machine; everything else is reached over TLS only."""
    parts = urlsplit(address)
    if parts.username or parts.password or parts.fragment or parts.query:
        raise ValidationError({column: "An address holds no user, password, query or fragment."})
    if environment == Environment.SANDBOX:
        if not is_loopback(address):
            raise ValidationError(
                {column: "A sandbox connection is for a practice EHR on this machine only."}
            )
    elif parts.scheme != "https":
        raise ValidationError({column: "A test or live EHR is reached over https only."})
