"""One tenant's endpoint of one EHR."""

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.choices import Environment, Rollout, one_of
from intents.governance.models.record import Governed
from intents.governance.models.tenant import Tenant, check_time_zone
from intents.governance.tenancy import TenantOwned

# A canary that may write more than a person can look through in a day is none.
MOST_A_DAY = 100
_LISTS = ("test_patients", "canary_patients", "canary_kinds", "canary_agents")
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Cautious on purpose: nobody has asked the EHR yet what it can take.
WRITES_AT_ONCE = 3


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
            "test_patients",
            "canary_percent",
            "canary_patients",
            "canary_kinds",
            "canary_agents",
            "canary_per_day",
            "settings",
            "time_zone",
            "connect_timeout_seconds",
            "read_timeout_seconds",
            "token_life_seconds",
            "processing_bound_seconds",
            "index_lag_seconds",
            "staged_patience_days",
            "writes_at_once",
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
    # How far writing has come; moves by `promote` and `go_back` alone (`governance/rollout.py`).
    rollout = models.CharField(max_length=20, choices=Rollout.choices, default=Rollout.LIVE)
    rollout_since = models.DateTimeField(null=True, blank=True)
    # The EHR's ids of the made-up patients that are written to at the stage of that name.
    test_patients = models.JSONField(default=list, blank=True)
    # The canary: these patients and so many of a hundred others, drawn by their id; of these kinds and
    # agents (empty: all); and so many changes a day.
    canary_percent = models.PositiveSmallIntegerField(default=0)
    canary_patients = models.JSONField(default=list, blank=True)
    canary_kinds = models.JSONField(default=list, blank=True)
    canary_agents = models.JSONField(default=list, blank=True)
    canary_per_day = models.PositiveSmallIntegerField(default=10)
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
    # So many writes on their way at once (empty: `WRITES_AT_ONCE`): an EHR that hangs must not hold every
    # worker, and how much it can take is for its operator to say. NULL leaves the hashes of older
    # history rows as they were recorded.
    writes_at_once = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
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
            models.CheckConstraint(
                condition=models.Q(canary_percent__lte=100), name="connection_canary_percent"
            ),
            models.CheckConstraint(
                condition=models.Q(canary_per_day__lte=MOST_A_DAY), name="connection_canary_per_day"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def quarantine_seconds(self) -> int:
        """How long absence proves nothing after an attempt."""
        return self.token_life_seconds + self.processing_bound_seconds + self.index_lag_seconds

    @property
    def most_writes_at_once(self) -> int:
        """How many attempts may be on their way on this connection at once."""
        return self.writes_at_once or WRITES_AT_ONCE

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
        """A new connection. That the kind exists and its settings are right, the door has asked.

        It begins in shadow, unless it leads to a practice EHR: nothing waits there to be put at risk.
        """
        if cls.unscoped.filter(tenant=tenant, name=name).exists():
            raise ValidationError({"name": "There is a connection of this name already."})
        connection = cls(tenant=tenant, name=name, kind=kind, base_url=base_url)
        connection.set_columns(columns)
        connection.rollout = connection.first_stage()
        connection.rollout_since = at
        connection.keep(
            tag=AuditTag.GOVERNANCE_CONNECTION_ADDED,
            actor=actor,
            at=at,
            kind=kind,
            environment=connection.environment,
            rollout=connection.rollout,
        )
        return connection

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: object) -> None:
        """Change settings. Another EHR behind the same name begins in shadow again."""
        changed = self.set_columns(columns)
        if not changed:
            return
        elsewhere = {"environment", "base_url"} & set(changed)
        if elsewhere and self.environment != Environment.SANDBOX:
            self.rollout, self.rollout_since = Rollout.SHADOW, at
        self.keep(
            tag=AuditTag.GOVERNANCE_CONNECTION_CHANGED,
            actor=actor,
            at=at,
            reason=reason,
            changed=changed,
            rollout=self.rollout,
        )

    def first_stage(self) -> Rollout:
        """Where a connection of this environment begins."""
        return Rollout.LIVE if self.environment == Environment.SANDBOX else Rollout.SHADOW

    def promote(self, *, to: str, actor: Actor, at: datetime, promotion: str, reason: str) -> None:
        """One stage on, by the second of two people (`Promotion`)."""
        if to != Rollout(self.rollout).following:
            raise ValidationError("A connection goes on by one stage at a time.")
        self._move_to(
            to,
            tag=AuditTag.GOVERNANCE_ROLLOUT_PROMOTED,
            actor=actor,
            at=at,
            reason=reason,
            promotion=promotion,
        )

    def go_back(self, *, to: str, actor: Actor, at: datetime, reason: str) -> None:
        """Back to an earlier stage, at once, by one person."""
        stages = list(Rollout)
        if to not in Rollout.values or stages.index(Rollout(to)) >= stages.index(
            Rollout(self.rollout)
        ):
            raise ValidationError("This is no earlier stage.")
        if not reason.strip():
            raise ValidationError("Say why it goes back.")
        self._move_to(
            to, tag=AuditTag.GOVERNANCE_ROLLOUT_RETURNED, actor=actor, at=at, reason=reason.strip()
        )

    def _move_to(
        self, stage: str, *, tag: AuditTag, actor: Actor, at: datetime, reason: str, **body: str
    ) -> None:
        before = self.rollout
        self.rollout, self.rollout_since = stage, at
        self.keep(tag=tag, actor=actor, at=at, reason=reason, **body, before=before, after=stage)

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
        # Commands and people write it in small letters; a form sends an empty list as nothing.
        return super().set_columns(
            {
                name: str(value).upper()
                if name == "environment"
                else ([] if name in _LISTS and value is None else value)
                for name, value in columns.items()
            }
        )

    def check_sense(self) -> None:
        check_time_zone(self.time_zone)
        for column in _LISTS:
            # A form that was left empty asks before `set_columns` does.
            names = getattr(self, column) or []
            if not isinstance(names, list) or not all(
                isinstance(name, str) and name.strip() for name in names
            ):
                raise ValidationError({column: 'This is a list of ids or names, as ["a", "b"].'})
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
