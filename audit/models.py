"""What is stored of the log. No foreign keys: text and hashes, readable when all else has changed."""

import uuid

from django.db import models
from django.db.models import Q

from audit.insert_only import InsertOnly

DEPLOYMENT_LOG = "deployment"


class AuditEvent(InsertOnly):
    """One thing that happened. Written by `recording.record` alone, in the writer's transaction.

    `leaf` is the canonical text that the log commits to. The other columns repeat it so that it can
    be searched; verification compares them. `at` is when it happened by the caller's clock,
    `recorded_at` when it was written by this process's own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    log = models.CharField(max_length=64)
    tag = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200)
    on_behalf_of = models.CharField(max_length=200, blank=True)
    authority = models.TextField(blank=True)
    at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    tenant_id = models.CharField(max_length=64, blank=True)
    proposal_id = models.CharField(max_length=64, blank=True)
    intent_id = models.CharField(max_length=64, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    patient_token = models.CharField(max_length=64, blank=True)
    encounter_token = models.CharField(max_length=64, blank=True)
    # [{"table": ..., "id": ..., "sha256": ...}]: stored records this event is about
    rows = models.JSONField(default=list)
    # HMAC-SHA256 of the body under a random key that only the vault holds; empty without a body
    body_commitment = models.CharField(max_length=64, blank=True)
    leaf = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["tenant_id", "at"], name="event_tenant"),
            models.Index(fields=["tenant_id", "patient_token", "at"], name="event_patient"),
            models.Index(fields=["tenant_id", "encounter_token", "at"], name="event_encounter"),
            models.Index(fields=["tenant_id", "actor_id", "at"], name="event_actor"),
            models.Index(fields=["correlation_id", "at"], name="event_correlation"),
            models.Index(fields=["proposal_id", "at"], name="event_proposal"),
            models.Index(fields=["intent_id", "at"], name="event_intent"),
            models.Index(fields=["tag", "at"], name="event_tag"),
        ]

    def __str__(self) -> str:
        return f"{self.tag} {self.id}"


class PendingEvent(models.Model):
    """An event that has no leaf yet. The sequencer deletes exactly the rows it has sequenced.

    The leaf's hash is taken when the event is written, not when it is sequenced.
    """

    id = models.BigAutoField(primary_key=True)
    log = models.CharField(max_length=64)
    event_id = models.UUIDField(unique=True)
    leaf_hash = models.CharField(max_length=64)
    recorded_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["log", "id"], name="pending_in_order")]

    def __str__(self) -> str:
        return f"{self.log} {self.event_id}"


class LogLeaf(InsertOnly):
    """The place of one event in its log: indexes of a log are contiguous and start at 0."""

    id = models.BigAutoField(primary_key=True)
    log = models.CharField(max_length=64)
    index = models.PositiveBigIntegerField()
    event_id = models.UUIDField(unique=True)
    leaf_hash = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["log", "index"], name="leaf_index_once")]

    def __str__(self) -> str:
        return f"{self.log} {self.index}"


class Checkpoint(InsertOnly):
    """A signed statement of how large a log was at a time, and of the one root over all its leaves.

    `edge` is the right edge of the tree (a compact range, hexadecimal): the next checkpoint is made
    from it without reading the leaves again. While a log is idle the same size is signed again.
    """

    id = models.BigAutoField(primary_key=True)
    log = models.CharField(max_length=64)
    tree_size = models.PositiveBigIntegerField()
    root = models.CharField(max_length=64)
    edge = models.JSONField(default=list)
    note = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["log", "tree_size", "at"], name="checkpoint_once")
        ]

    def __str__(self) -> str:
        return f"{self.log} {self.tree_size}"


class EventBody(models.Model):
    """The vault: an event's body and the random key of its commitment, encrypted together.

    Not insert-only, because its content may be destroyed on purpose: `sealed` becomes empty,
    `shredded_at` says when, and every proof of the log still holds.
    """

    event_id = models.UUIDField(primary_key=True, editable=False)
    sealed = models.TextField(blank=True)
    shredded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(sealed="", shredded_at__isnull=False)
                | (~Q(sealed="") & Q(shredded_at__isnull=True)),
                name="body_sealed_or_shredded",
            )
        ]

    def __str__(self) -> str:
        return str(self.event_id)
