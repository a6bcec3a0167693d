"""The source behind each proposed value, and what validation found."""

import uuid

from django.db import models

from intents.models.evidence_record import EvidenceRecord
from intents.models.intent import IntentVersion, Screening
from intents.models.proposal import Source


class EvidenceItem(EvidenceRecord):
    """One quoted span of a source behind one value or span of text. Offsets count code points."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(IntentVersion, on_delete=models.PROTECT, related_name="evidence")
    position = models.PositiveIntegerField()
    # RFC 6901 pointer into the change's content
    path = models.CharField(max_length=300)
    span_start = models.PositiveIntegerField(null=True, blank=True)
    span_end = models.PositiveIntegerField(null=True, blank=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="evidence")
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    excerpt_hash = models.CharField(max_length=64)
    method = models.CharField(
        max_length=10,
        choices=[("copied", "copied"), ("derived", "derived"), ("inferred", "inferred")],
    )
    # per cent, as an integer: the policy language has no fractions
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    support = models.CharField(
        max_length=12,
        choices=[
            ("supported", "supported"),
            ("contradicted", "contradicted"),
            ("absent", "absent"),
            ("unavailable", "unavailable"),
        ],
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "position"], name="evidence_position_once"),
        ]


class Finding(EvidenceRecord):
    """One result of validation, in OperationOutcome's shape. `diagnostics` holds no clinical content."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="findings")
    position = models.PositiveIntegerField()
    severity = models.CharField(
        max_length=12,
        choices=[("error", "error"), ("warning", "warning"), ("information", "information")],
    )
    code = models.CharField(max_length=64)
    expression = models.CharField(max_length=300, blank=True)
    diagnostics = models.CharField(max_length=500)
    # A reviewer must answer it before approval.
    needs_decision = models.BooleanField(default=False)
    # It holds the intent (identity, closed encounter ...) instead of rejecting it.
    holds = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["screening", "position"], name="finding_position_once"),
        ]
