"""Taking a connection one stage on: one person asks with what was checked, another agrees."""

import uuid
from datetime import datetime
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.choices import Rollout
from intents.governance.models.connection import EhrConnection
from intents.governance.models.people import User
from intents.governance.models.record import Governed
from intents.governance.tenancy import TenantOwned


class Promotion(TenantOwned, Governed):
    """A wish to take a connection to its next stage. Open until it is agreed to or taken back.

    `evidence` is what held when it was asked for, and again when it was agreed to: sentences with
    counts and times, nothing of a chart. Rules by role and evidence: `pipeline/promoting.py`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(
        EhrConnection, on_delete=models.PROTECT, related_name="promotions"
    )
    before = models.CharField(max_length=20, choices=Rollout.choices)
    after = models.CharField(max_length=20, choices=Rollout.choices)
    # What the first person checked by hand, in their words.
    reason = models.TextField()
    evidence = models.JSONField(default=list, blank=True)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    agreed_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    agreed_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(agreed_at__isnull=True, withdrawn_at__isnull=True),
                name="promotion_one_open_per_connection",
            ),
            models.CheckConstraint(
                condition=Q(agreed_by__isnull=True, agreed_at__isnull=True)
                | (
                    Q(agreed_by__isnull=False, agreed_at__isnull=False)
                    & ~Q(agreed_by=F("asked_by"))
                ),
                name="promotion_two_people_agree",
            ),
            models.CheckConstraint(
                condition=Q(agreed_at__isnull=True) | Q(withdrawn_at__isnull=True),
                name="promotion_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connection} to {self.get_after_display()}"

    @property
    def is_open(self) -> bool:
        return self.agreed_at is None and self.withdrawn_at is None

    # --- factories and mutators ------------------------------------------------------------------

    @classmethod
    def ask(
        cls,
        *,
        connection: EhrConnection,
        reason: str,
        evidence: list[str],
        user: User,
        actor: Actor,
        at: datetime,
    ) -> Self:
        """The first of two people asks for the next stage. The caller has looked at the evidence."""
        following = Rollout(connection.rollout).following
        if following is None:
            raise ValidationError("This connection is live: there is no further stage.")
        if not reason.strip():
            raise ValidationError("Say what you checked by hand.")
        if cls.objects.filter(
            connection=connection, agreed_at__isnull=True, withdrawn_at__isnull=True
        ).exists():
            raise ValidationError("Somebody has asked for this already.")
        wish = cls(
            tenant_id=connection.tenant_id,
            connection=connection,
            before=connection.rollout,
            after=following,
            reason=reason.strip(),
            evidence=evidence,
            asked_by=user,
            asked_at=at,
        )
        wish.keep(
            tag=AuditTag.GOVERNANCE_ROLLOUT_ASKED,
            actor=actor,
            at=at,
            reason=wish.reason,
            **wish._body(),
        )
        return wish

    def agree(self, *, evidence: list[str], user: User, actor: Actor, at: datetime) -> None:
        """The second, different person agrees: the connection is at the next stage from now on."""
        self._check_open()
        if self.asked_by_id == user.pk:
            raise ValidationError("The person who asked cannot also agree.")
        connection = EhrConnection.lock(self.connection_id)
        if connection.rollout != self.before:
            raise ValidationError("The connection is at another stage by now. Ask again.")
        self.agreed_by, self.agreed_at, self.evidence = user, at, evidence
        self.keep(tag=AuditTag.GOVERNANCE_ROLLOUT_AGREED, actor=actor, at=at, **self._body())
        connection.promote(
            to=self.after, actor=actor, at=at, promotion=str(self.pk), reason=self.reason
        )

    def withdraw(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """Take the wish back."""
        self._check_open()
        self.withdrawn_at = at
        self.keep(
            tag=AuditTag.GOVERNANCE_ROLLOUT_WITHDRAWN,
            actor=actor,
            at=at,
            reason=reason,
            **self._body(),
        )

    def _check_open(self) -> None:
        if not self.is_open:
            raise ValidationError("This was settled already.")

    def _body(self) -> dict[str, Any]:
        return {
            "connection": str(self.connection_id),
            "before": self.before,
            "after": self.after,
            "evidence": self.evidence,
        }
