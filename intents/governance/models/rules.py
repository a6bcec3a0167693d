"""What patients permit, and the rules in force."""

import hashlib
import uuid
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.models import F, Max, Q

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords
from intents.governance.models.choices import ConsentDecision, one_of
from intents.governance.models.connection import EhrConnection
from intents.governance.models.record import Governed
from intents.governance.models.tenant import Tenant
from intents.governance.tenancy import TenantOwned


class ConsentDirective(TenantOwned, Governed):
    """What a patient permits or denies, for a purpose, for a time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(EhrConnection, on_delete=models.PROTECT, related_name="+")
    patient_ref = models.CharField(max_length=200)
    decision = models.CharField(max_length=10, choices=ConsentDecision.choices)
    # Empty list: every purpose (HL7 PurposeOfUse codes) or every action (kind, or kind:interaction).
    purposes = models.JSONField(default=list, blank=True)
    actions = models.JSONField(default=list, blank=True)
    source = models.CharField(max_length=200)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            one_of("decision", ConsentDecision, "consent_decision_known"),
            models.CheckConstraint(
                condition=Q(active_until__isnull=True) | Q(active_until__gte=F("active_from")),
                name="consent_interval_forward",
            ),
        ]
        indexes = [models.Index(fields=["connection", "patient_ref"])]

    def __str__(self) -> str:
        return f"{self.get_decision_display()} ({self.source})"

    @classmethod
    def enter(
        cls,
        *,
        connection: EhrConnection,
        patient_ref: str,
        decision: str,
        source: str,
        actor: Actor,
        at: datetime,
        purposes: list[str] | None = None,
        actions: list[str] | None = None,
        active_from: datetime | None = None,
        active_until: datetime | None = None,
    ) -> Self:
        """Record what a patient said, from `active_from` (now, if not given) on."""
        directive = cls(
            tenant_id=connection.tenant_id,
            connection=connection,
            patient_ref=patient_ref,
            decision=decision,
            source=source,
            purposes=purposes or [],
            actions=actions or [],
            active_from=active_from or at,
            active_until=active_until,
        )
        directive.keep(
            tag=AuditTag.GOVERNANCE_CONSENT_RECORDED,
            actor=actor,
            at=at,
            patient_token=directive.patient_token,
            decision=decision,
        )
        return directive

    def end(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        """Withdraw it: it counts until this moment and not after."""
        if self.active_until is None or self.active_until > at:
            self.active_until = max(at, self.active_from)
            self.keep(
                tag=AuditTag.GOVERNANCE_CONSENT_ENDED,
                actor=actor,
                at=at,
                reason=reason,
                patient_token=self.patient_token,
            )

    @property
    def patient_token(self) -> str:
        """The token under which the patient's proposals are found in audit, too."""
        from intents.governance.encryption import patient_token

        return patient_token(
            tenant_id=self.tenant_id, patient_ref=f"{self.connection_id}/{self.patient_ref}"
        )


class PolicyVersion(Governed):
    """One version of the rules, of one tenant or of all. Its content never changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="policies"
    )
    version = models.PositiveIntegerField()
    content = models.TextField()
    content_hash = models.CharField(max_length=64)
    # The Cedar schema the content was checked against, and the decision tables shipped with it.
    schema = models.TextField()
    tests = models.JSONField(default=list, blank=True)
    proposed_by = models.CharField(max_length=200)
    approved_by = models.CharField(max_length=200)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="policy_version_per_tenant"),
            models.UniqueConstraint(
                fields=["version"],
                condition=Q(tenant__isnull=True),
                name="policy_version_of_all",
            ),
        ]

    def __str__(self) -> str:
        return f"policy {self.version}"

    @classmethod
    def activate(
        cls,
        *,
        tenant: Tenant | None,
        content: str,
        schema: str,
        proposed_by: str,
        approved_by: str,
        actor: Actor,
        at: datetime,
        tests: list[Any] | None = None,
    ) -> Self:
        """Put new rules in force and the earlier ones out. The door has checked them by the schema."""
        earlier = list(
            cls.objects.select_for_update().filter(tenant=tenant, active_until__isnull=True)
        )
        for policy in earlier:
            policy.active_until = max(at, policy.active_from)
            policy.keep(tag=AuditTag.GOVERNANCE_POLICY_RETIRED, actor=actor, at=at)
        last = cls.objects.filter(tenant=tenant).aggregate(last=Max("version"))["last"] or 0
        policy = cls(
            tenant=tenant,
            version=last + 1,
            content=content,
            content_hash=hashlib.sha256(content.encode()).hexdigest(),
            schema=schema,
            tests=tests or [],
            proposed_by=proposed_by,
            approved_by=approved_by,
            active_from=at,
        )
        policy.keep(
            tag=AuditTag.GOVERNANCE_POLICY_ACTIVATED,
            actor=actor,
            at=at,
            version=policy.version,
            content_hash=policy.content_hash,
            approved_by=approved_by,
        )
        return policy

    @classmethod
    def in_force(cls, *, tenant_id: UUID | str, at: datetime) -> Self | None:
        """The tenant's own rules at that moment, else those for all; None: nothing is permitted."""
        return (
            cls.objects.filter(Q(tenant_id=tenant_id) | Q(tenant__isnull=True), active_from__lte=at)
            .filter(Q(active_until__isnull=True) | Q(active_until__gt=at))
            .order_by(F("tenant").asc(nulls_last=True), "-version")
            .first()
        )
