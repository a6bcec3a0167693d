"""Who made an approved version and who answers for it, as FHIR says it, and whether the EHR took that."""

import uuid
from datetime import datetime
from typing import Any

from django.db import models

from intents.governance.encryption import PhiRecord, PhiTextField
from intents.models.decisions import ReviewDecision
from intents.models.evidence_record import EvidenceRecord
from intents.models.intent import Intent, Screening


class ProvenanceRecord(PhiRecord, EvidenceRecord):
    """The FHIR Provenance of one approved version, made with its approval and kept whatever becomes of it.

    `request` is the exact request that files it in the EHR once the entry is there and found equal; empty
    where the EHR takes none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    intent = models.ForeignKey(Intent, on_delete=models.PROTECT, related_name="provenances")
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="+")
    # the decision that completed the approval
    decision = models.OneToOneField(
        ReviewDecision, on_delete=models.PROTECT, related_name="provenance"
    )
    # the resource as canonical JSON, and its SHA-256
    resource = PhiTextField()
    resource_hash = models.CharField(max_length=64)
    # WireRequest.to_json() and its hash
    request = PhiTextField(blank=True)
    request_hash = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()


class ProvenanceFiling(EvidenceRecord):
    """One fact about filing a Provenance in the EHR. It says nothing about the change itself."""

    class Phase(models.TextChoices):
        SENT = "SENT"
        ACKNOWLEDGED = "ACKNOWLEDGED"
        FOUND = "FOUND"
        REFUSED = "REFUSED"
        NOT_SENT = "NOT_SENT"
        UNKNOWN = "UNKNOWN"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provenance = models.ForeignKey(
        ProvenanceRecord, on_delete=models.PROTECT, related_name="filings"
    )
    number = models.PositiveSmallIntegerField()
    phase = models.CharField(max_length=16, choices=Phase.choices)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    # class name of the adapter error
    outcome = models.CharField(max_length=64, blank=True)
    resource_ref = models.CharField(max_length=200, blank=True)
    reply_hash = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            # Two workers cannot begin the same attempt.
            models.UniqueConstraint(
                fields=["provenance", "number", "phase"], name="provenance_filing_once"
            ),
        ]

    @classmethod
    def write(
        cls,
        *,
        provenance: ProvenanceRecord,
        number: int,
        phase: "ProvenanceFiling.Phase",
        at: datetime,
        **facts: Any,
    ) -> "ProvenanceFiling":
        row = cls(
            tenant_id=provenance.tenant_id,
            provenance=provenance,
            number=number,
            phase=phase,
            at=at,
            **facts,
        )
        row.save(force_insert=True)
        return row
