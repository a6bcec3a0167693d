"""The keys of patients' clinical columns, and the proofs of identity that were already used."""

import uuid

from django.db import models

from intents.governance.models.agent import AgentCredential
from intents.governance.tenancy import TenantOwned


class DataKey(TenantOwned):
    """The key of one patient's clinical columns, wrapped by the tenant's key (`encryption.py`).

    Destroying the wrapped key makes every column sealed with it unreadable for good.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient_token = models.CharField(max_length=64)
    ring_key = models.CharField(max_length=40)
    wrapped = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "patient_token"], name="data_key_one_per_patient"
            ),
        ]


class UsedAssertion(models.Model):
    """A client assertion's `jti`, kept until it would have expired anyway: each is used once."""

    id = models.BigAutoField(primary_key=True)
    credential = models.ForeignKey(AgentCredential, on_delete=models.CASCADE, related_name="+")
    jti_hash = models.CharField(max_length=64)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["credential", "jti_hash"], name="assertion_used_once"),
        ]
