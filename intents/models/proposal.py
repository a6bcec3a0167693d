"""What an agent sends: one or more changes to one patient, reviewed together, and their sources."""

import uuid
from datetime import datetime, timedelta

from django.db import models

from audit.actors import Actor
from audit.recording import record
from audit.tags import AuditTag
from intents.governance.encryption import PhiRecord, PhiTextField, patient_token
from intents.governance.history import ActorRecords
from intents.governance.models import Membership
from intents.governance.tenancy import TenantOwned
from intents.lifecycle import IN_FLIGHT, OPEN, Lane, State
from intents.models.evidence_record import EvidenceRecord


class Proposal(PhiRecord, TenantOwned):
    """The unit of review: one page, one decision bar, n changes with their own lives.

    `patient_ref` and `encounter_ref` are the EHR's ids. They stay here, are never logged, and reach
    the audit log only as keyed tokens. `proposal_key` is the agent's `Idempotency-Key`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(
        "governance.EhrConnection", on_delete=models.PROTECT, related_name="proposals"
    )
    agent = models.ForeignKey(
        "governance.Agent", on_delete=models.PROTECT, related_name="proposals"
    )
    agent_release = models.ForeignKey(
        "governance.AgentRelease", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    credential_id = models.CharField(max_length=100)
    lane = models.CharField(max_length=10, choices=[(lane.value, lane.value) for lane in Lane])
    patient_ref = models.CharField(max_length=200)
    encounter_ref = models.CharField(max_length=200, blank=True)
    # family, birth_date, given, sex, mrn as the agent asserted them
    asserted_identity = PhiTextField()
    proposal_key = models.CharField(max_length=255)
    body_fingerprint = models.CharField(max_length=64)
    task_type = models.CharField(max_length=100, blank=True)
    summary = PhiTextField(blank=True)
    # name, version and prompt hash of the model that wrote it, as declared by the agent
    model = models.JSONField(default=dict, blank=True)
    all_or_nothing = models.BooleanField(default=False)
    supersedes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    correlation_id = models.CharField(max_length=64, db_index=True)
    received_at = models.DateTimeField()
    # The reviewer's lease: who is looking at it now, and until when.
    claimed_by = models.ForeignKey(
        "governance.Membership", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    claimed_until = models.DateTimeField(null=True, blank=True)

    history = ActorRecords(excluded_fields=["claimed_by", "claimed_until"])

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "proposal_key"], name="proposal_key_once_per_agent"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="proposal_tenant_id"),
        ]
        indexes = [
            models.Index(fields=["tenant", "-received_at", "-id"], name="proposal_newest"),
            models.Index(fields=["agent", "-received_at", "-id"], name="proposal_agent_newest"),
            models.Index(fields=["tenant", "connection", "patient_ref"], name="proposal_patient"),
        ]

    @property
    def patient_token(self) -> str:
        """The only form in which the patient's reference reaches audit."""
        return patient_token(
            tenant_id=self.tenant_id, patient_ref=f"{self.connection_id}/{self.patient_ref}"
        )

    @property
    def encounter_token(self) -> str:
        if not self.encounter_ref:
            return ""
        return patient_token(
            tenant_id=self.tenant_id,
            patient_ref=f"{self.connection_id}/Encounter/{self.encounter_ref}",
        )

    @staticmethod
    def derive_state(states: list[State]) -> str:
        """`open`, `in_flight` or `ended`, from the states of its changes."""
        if any(state in OPEN for state in states):
            return "open"
        if any(state in IN_FLIGHT or state == State.FAILED for state in states):
            return "in_flight"
        return "ended"

    @classmethod
    def lock(cls, proposal_id: uuid.UUID | str) -> "Proposal":
        """The proposal with its row locked until the transaction ends. Lock it before its intents."""
        return cls.objects.select_for_update().get(pk=proposal_id)

    def is_claimed_by_other(self, *, reviewer: Membership, at: datetime) -> bool:
        return bool(
            self.claimed_by_id
            and self.claimed_by_id != reviewer.pk
            and self.claimed_until
            and self.claimed_until > at
        )

    def is_claimed(self, *, at: datetime) -> bool:
        return bool(self.claimed_by_id and self.claimed_until and self.claimed_until > at)

    def claim(self, *, reviewer: Membership, actor: Actor, at: datetime, lease: timedelta) -> None:
        """Take or renew the lease. The caller holds the row lock; no history row is written."""
        renewed = self.claimed_by_id == reviewer.pk and self.is_claimed(at=at)
        self.claimed_by = reviewer
        self.claimed_until = at + lease
        self.skip_history_when_saving = True
        try:
            self.save(update_fields=["claimed_by", "claimed_until"])
        finally:
            del self.skip_history_when_saving
        if not renewed:
            self.note(tag=AuditTag.INTENT_REVIEW_CLAIMED, actor=actor, at=at)

    def unclaim(self, *, actor: Actor, at: datetime) -> None:
        """Give the lease back before it ends. The caller holds the row lock."""
        self.claimed_by, self.claimed_until = None, None
        self.skip_history_when_saving = True
        try:
            self.save(update_fields=["claimed_by", "claimed_until"])
        finally:
            del self.skip_history_when_saving
        self.note(tag=AuditTag.INTENT_REVIEW_UNCLAIMED, actor=actor, at=at)

    def note(
        self,
        *,
        tag: AuditTag,
        actor: Actor,
        at: datetime,
        rows: tuple[models.Model, ...] = (),
        **body: object,
    ) -> None:
        """An audit event about the whole proposal."""
        record(
            tag=tag,
            actor=actor,
            at=at,
            tenant_id=str(self.tenant_id),
            proposal_id=str(self.pk),
            correlation_id=self.correlation_id,
            patient_token=self.patient_token,
            encounter_token=self.encounter_token,
            rows=rows,
            body=body,
        )


class Source(PhiRecord, EvidenceRecord):
    """A transcript, document, chart read or message that a proposal quotes. Stored unchanged."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="sources")
    ref = models.CharField(max_length=64)
    kind = models.CharField(max_length=32)
    patient_ref = models.CharField(max_length=200, blank=True)
    title = PhiTextField(blank=True)
    text = PhiTextField()
    # [{"start", "end", "speaker", "at"}] in Unicode code points of `text`
    segments = PhiTextField(blank=True)
    text_sha256 = models.CharField(max_length=64)
    recorded_at = models.DateTimeField(null=True, blank=True)
    extracted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "ref"], name="source_ref_once_per_proposal"
            ),
        ]
