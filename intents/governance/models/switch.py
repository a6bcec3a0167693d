"""The kill switch: stops writing, not reading."""

import uuid
from datetime import datetime
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.agent import Agent
from intents.governance.models.choices import SwitchTarget, one_of
from intents.governance.models.connection import EhrConnection
from intents.governance.models.people import User
from intents.governance.models.record import Governed
from intents.governance.models.tenant import Tenant


def _names(target: str, **columns: bool) -> Q:
    given = {"tenant": False, "connection": False, "agent": False, **columns}
    return Q(
        target=target,
        change_kind="",
        **{f"{name}__isnull": not is_set for name, is_set in given.items()},
    )


class KillSwitch(Governed):
    """One person engages it; two different people release it. Rules by role: `switches.py`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target = models.CharField(max_length=12, choices=SwitchTarget.choices)
    # Empty for the deployment; for a kind of change, empty means every tenant.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    connection = models.ForeignKey(
        EhrConnection, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    agent = models.ForeignKey(
        Agent, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    change_kind = models.CharField(max_length=40, blank=True, default="")
    reason = models.TextField()
    engaged_by = models.CharField(max_length=200)
    engaged_at = models.DateTimeField()
    release_asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    release_asked_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    released_at = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        verbose_name_plural = "kill switches"
        constraints = [
            one_of("target", SwitchTarget, "kill_switch_target_known"),
            models.CheckConstraint(
                condition=(
                    Q(released_by__isnull=True, released_at__isnull=True)
                    | (
                        Q(
                            released_by__isnull=False,
                            released_at__isnull=False,
                            release_asked_by__isnull=False,
                            release_asked_at__isnull=False,
                        )
                        & ~Q(released_by=F("release_asked_by"))
                    )
                ),
                name="kill_switch_two_people_release",
            ),
            models.CheckConstraint(
                condition=(
                    _names("DEPLOYMENT")
                    | _names("TENANT", tenant=True)
                    | _names("CONNECTION", tenant=True, connection=True)
                    | _names("AGENT", tenant=True, agent=True)
                    | (
                        Q(target="KIND", connection__isnull=True, agent__isnull=True)
                        & ~Q(change_kind="")
                    )
                ),
                name="kill_switch_names_its_target",
            ),
        ]
        indexes = [models.Index(fields=["released_at"])]

    def __str__(self) -> str:
        return f"{self.get_target_display()} stopped at {self.engaged_at:%Y-%m-%d %H:%M}"

    @property
    def is_engaged(self) -> bool:
        return self.released_at is None

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def engage(
        cls,
        *,
        target: str,
        reason: str,
        actor: Actor,
        at: datetime,
        tenant: Tenant | None = None,
        connection: EhrConnection | None = None,
        agent: Agent | None = None,
        change_kind: str = "",
    ) -> Self:
        """Stop writing for the target, at once. Needs one person."""
        owner = connection or agent
        switch = cls(
            target=target,
            tenant_id=owner.tenant_id if owner else (tenant.pk if tenant else None),
            connection=connection,
            agent=agent,
            change_kind=change_kind,
            reason=reason,
            engaged_by=actor.name,
            engaged_at=at,
        )
        switch.keep(
            tag=AuditTag.GOVERNANCE_KILLSWITCH_ENGAGED, actor=actor, at=at, **switch._target_body()
        )
        return switch

    def ask_release(self, *, user: User, actor: Actor, at: datetime) -> None:
        """The first of two people asks. Asking again by another person replaces the first."""
        self._check_engaged()
        self.release_asked_by = user
        self.release_asked_at = at
        self.keep(
            tag=AuditTag.GOVERNANCE_KILLSWITCH_RELEASE_ASKED,
            actor=actor,
            at=at,
            **self._target_body(),
        )

    def release(self, *, user: User, actor: Actor, at: datetime) -> None:
        """The second, different person releases it and writing goes on."""
        self._check_engaged()
        if self.release_asked_by_id is None:
            raise ValidationError("One person asks for the release first; a second one agrees.")
        if self.release_asked_by_id == user.pk:
            raise ValidationError("The person who asked for the release cannot also agree to it.")
        self.released_by = user
        self.released_at = at
        self.keep(
            tag=AuditTag.GOVERNANCE_KILLSWITCH_RELEASED,
            actor=actor,
            at=at,
            asked_by=str(self.release_asked_by_id),
            **self._target_body(),
        )

    def _check_engaged(self) -> None:
        if not self.is_engaged:
            raise ValidationError("This switch was released already.")

    def _target_body(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "connection": str(self.connection_id or ""),
            "agent": str(self.agent_id or ""),
            "change_kind": self.change_kind,
        }

    def check_sense(self) -> None:
        if self.target not in SwitchTarget.values:
            return
        wanted = {
            SwitchTarget.DEPLOYMENT: (),
            SwitchTarget.TENANT: ("tenant_id",),
            SwitchTarget.CONNECTION: ("tenant_id", "connection_id"),
            SwitchTarget.AGENT: ("tenant_id", "agent_id"),
            SwitchTarget.KIND: ("change_kind",),
        }[SwitchTarget(self.target)]
        optional = {"tenant_id"} if self.target == SwitchTarget.KIND else set()
        for column in ("tenant_id", "connection_id", "agent_id", "change_kind"):
            is_set = bool(getattr(self, column))
            if column in wanted and not is_set:
                raise ValidationError(f"A switch for {self.get_target_display()} names it.")
            if is_set and column not in wanted and column not in optional:
                raise ValidationError("A switch names one target only.")
