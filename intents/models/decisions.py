"""What policy decided and why, and what a person decided, sealed."""

import uuid

from django.db import models

from intents.governance.encryption import PhiRecord, PhiTextField
from intents.governance.tenancy import TenantOwned
from intents.lifecycle import Tier
from intents.models.evidence_record import EvidenceRecord
from intents.models.intent import Screening
from intents.models.proposal import Proposal


class PolicyVerdict(PhiRecord, EvidenceRecord):
    """One answer of the policy engine: tier, lane, outcome, the rules that decided and its input."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="verdicts")
    moment = models.CharField(
        max_length=10,
        choices=[("screening", "screening"), ("approval", "approval"), ("claim", "claim")],
    )
    tier = models.CharField(max_length=16, choices=[(t.value, t.value) for t in Tier])
    lane = models.CharField(max_length=10, blank=True)
    outcome = models.CharField(max_length=32)
    policy_version = models.ForeignKey(
        "governance.PolicyVersion", on_delete=models.PROTECT, related_name="+"
    )
    policy_hash = models.CharField(max_length=64)
    engine_version = models.CharField(max_length=40)
    # [{"rule": "NOTE-01", "reason": "...", "risk": "medium"}]: texts of the policy, never of the chart;
    # a rule that forbids has no risk
    reasons = models.JSONField(default=list)
    consent_directives = models.JSONField(default=list)
    input_hash = models.CharField(max_length=64)
    input = PhiTextField()
    at = models.DateTimeField()

    @property
    def rule_risk(self) -> str:
        """The highest `@risk` of the rules that permitted it: low, medium or high; "" where none did."""
        named = {str(reason.get("risk", "")) for reason in self.reasons}
        return next((risk for risk in ("high", "medium", "low") if risk in named), "")


class ReviewDecision(PhiRecord, EvidenceRecord):
    """What one person decided about one screening, with the sealed statement over what was shown.

    `reviewer` is empty only where policy approved by itself (`policy_version` is then the decider).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="decisions")
    reviewer = models.ForeignKey(
        "governance.Membership",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="decisions",
    )
    policy_version = models.ForeignKey(
        "governance.PolicyVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    round = models.PositiveSmallIntegerField(default=1)
    kind = models.CharField(
        max_length=10,
        choices=[
            ("approve", "approve"),
            ("reject", "reject"),
            ("second", "second"),
            ("undo", "undo"),
        ],
    )
    # canonical JSON of sealing.Statement and its Ed25519 signature (base64); empty for reject and undo
    statement = models.TextField(blank=True)
    signature = models.CharField(max_length=120, blank=True)
    key_id = models.CharField(max_length=64, blank=True)
    view_hash = models.CharField(max_length=64, blank=True)
    payload_hash = models.CharField(max_length=64, blank=True)
    reason_code = models.CharField(max_length=64, blank=True)
    note = PhiTextField(blank=True)
    # keys of the checks that the person made: {"check key": "chosen option"}
    checks = models.JSONField(default=dict, blank=True)
    seconds_on_page = models.PositiveIntegerField(null=True, blank=True)
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["screening", "reviewer", "round", "kind"], name="decision_once_per_round"
            ),
        ]


class ReviewProgress(TenantOwned):
    """Checks that a person has made but not yet decided on: keys and options only, kept 15 minutes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="progress")
    reviewer = models.ForeignKey(
        "governance.Membership", on_delete=models.CASCADE, related_name="+"
    )
    view_hash = models.CharField(max_length=64)
    checks = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "reviewer"], name="progress_once_per_reviewer"
            ),
        ]
