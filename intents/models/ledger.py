"""What is to be sent, every attempt and answer, what differs, and the portal's own clock."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Case, F, Max, Q, Value, When

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.encryption import PhiRecord, PhiTextField
from intents.governance.history import ActorRecords, stamp
from intents.governance.models import Membership
from intents.governance.tenancy import TenantOwned
from intents.models.decisions import ReviewDecision
from intents.models.evidence_record import EvidenceRecord
from intents.models.intent import Intent, Screening


class OutboxEntry(TenantOwned):
    """An approved change waiting to be sent. Made in the approver's transaction.

    A closed entry (`closed_at`) is history; one live entry exists per intent at most. `lease_*` and
    `attempt_*` belong to the worker that owns the attempt now; ticks are those of `Tick`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    intent = models.ForeignKey(Intent, on_delete=models.PROTECT, related_name="outbox_entries")
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="+")
    decision = models.ForeignKey(ReviewDecision, on_delete=models.PROTECT, related_name="+")
    # the approval's audit event: dispatch requires it to be in a signed checkpoint
    approval_event_id = models.UUIDField()
    connection = models.ForeignKey(
        "governance.EhrConnection", on_delete=models.PROTECT, related_name="+"
    )
    # connection + patient, hashed: entries of one shard are sent in order
    shard_key = models.CharField(max_length=64)
    tag = models.UUIDField()
    payload_hash = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    attempt_id = models.UUIDField(null=True, blank=True)
    attempt_tick = models.BigIntegerField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    # from when absence proves something, in ticks
    quarantine_until_tick = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["intent"],
                condition=Q(closed_at__isnull=True),
                name="outbox_one_live_per_intent",
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="outbox_tenant_id"),
        ]
        indexes = [
            models.Index(
                fields=["not_before", "id"],
                condition=Q(closed_at__isnull=True),
                name="outbox_pending",
            ),
            models.Index(fields=["shard_key", "created_at"], name="outbox_shard"),
            # What is on its way is counted for each claim, however much waits beside it.
            models.Index(
                fields=["connection", "lease_until"],
                condition=Q(closed_at__isnull=True, lease_until__isnull=False),
                name="outbox_leased",
            ),
        ]

    @classmethod
    def lock(cls, entry_id: uuid.UUID | str) -> "OutboxEntry":
        """The entry with its row locked until the transaction ends. Lock the intent before it."""
        return cls.objects.select_for_update(of=("self",)).get(pk=entry_id)

    @classmethod
    def put(cls, *, actor: Actor, at: datetime, **columns: Any) -> "OutboxEntry":
        """A new live entry, with its history row, in the caller's transaction."""
        entry = cls(created_at=at, **columns)
        stamp(entry, actor=actor, at=at)
        entry.save(force_insert=True)
        return entry

    def is_leased(self, *, at: datetime) -> bool:
        return bool(self.lease_until and self.lease_until > at)

    @classmethod
    def lease_all(
        cls, attempts: Mapping[uuid.UUID, uuid.UUID], *, until: datetime, tick: int
    ) -> None:
        """Give entries to one attempt each, by id. The caller holds the row locks; no history row is written."""
        if not attempts:
            return
        cls.unscoped.filter(pk__in=list(attempts)).update(
            attempt_id=Case(
                *(
                    When(pk=pk, then=Value(attempt, output_field=models.UUIDField()))
                    for pk, attempt in attempts.items()
                )
            ),
            lease_until=until,
            attempt_tick=tick,
        )

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **columns: Any) -> None:
        """Set columns, with a history row. The caller holds the row lock."""
        for name, value in columns.items():
            setattr(self, name, value)
        stamp(self, actor=actor, at=at, reason=reason)
        self.save()

    def close(self, *, actor: Actor, at: datetime, reason: str) -> None:
        """End this entry: nothing will be sent for it any more."""
        self.change(actor=actor, at=at, reason=reason, closed_at=at, lease_until=None)


class WriteLedgerEntry(PhiRecord, EvidenceRecord):
    """One fact about one attempt to write: what was sent, what was answered, what was found."""

    class Phase(models.TextChoices):
        SENT = "SENT"
        ACKNOWLEDGED = "ACKNOWLEDGED"
        REFUSED = "REFUSED"
        NOT_SENT = "NOT_SENT"
        UNKNOWN = "UNKNOWN"
        FOUND = "FOUND"
        ABSENT = "ABSENT"
        STRAY = "STRAY"
        READ_BACK = "READ_BACK"
        ATTESTED = "ATTESTED"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entry = models.ForeignKey(OutboxEntry, on_delete=models.PROTECT, related_name="ledger")
    intent = models.ForeignKey(Intent, on_delete=models.PROTECT, related_name="ledger")
    attempt_id = models.UUIDField()
    step = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=16, choices=Phase.choices)
    request_hash = models.CharField(max_length=64, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    vendor_code = models.CharField(max_length=64, blank=True)
    # class name of the adapter error, or the find method
    outcome = models.CharField(max_length=64, blank=True)
    resource_ref = models.CharField(max_length=200, blank=True)
    resource_version = models.CharField(max_length=100, blank=True)
    reply_hash = models.CharField(max_length=64, blank=True)
    endpoint = models.CharField(max_length=300, blank=True)
    token_scope = models.CharField(max_length=300, blank=True)
    # a person's evidence when they settle an unknown outcome; of a refusal, why, in words
    evidence = PhiTextField(blank=True)
    actor_id = models.CharField(max_length=100)
    tick = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["entry", "attempt_id", "step", "phase"], name="ledger_fact_once"
            ),
        ]
        indexes = [
            models.Index(fields=["intent", "at"], name="ledger_intent"),
            # The latest answers of an EHR are read for each claim.
            models.Index(
                fields=["-at", "-id"],
                condition=Q(phase__in=["ACKNOWLEDGED", "REFUSED", "NOT_SENT", "UNKNOWN"]),
                name="ledger_answers",
            ),
        ]

    @classmethod
    def write(
        cls,
        *,
        entry: OutboxEntry,
        attempt_id: uuid.UUID,
        phase: Phase,
        actor: Actor,
        at: datetime,
        tick: int,
        step: int | None = None,
        evidence: str = "",
        patient_ref: str = "",
        **facts: Any,
    ) -> "WriteLedgerEntry":
        """One more fact. Without `step`, facts of one phase about one attempt are numbered in order."""
        if step is None:
            last = cls.objects.filter(entry=entry, attempt_id=attempt_id, phase=phase).aggregate(
                last=Max("step")
            )["last"]
            step = 0 if last is None else last + 1
        row = cls(
            tenant_id=entry.tenant_id,
            entry=entry,
            intent_id=entry.intent_id,
            attempt_id=attempt_id,
            step=step,
            phase=phase,
            actor_id=actor.id,
            tick=tick,
            at=at,
            **facts,
        )
        if evidence:
            row.set_phi("evidence", evidence, patient_ref=patient_ref)
        row.save(force_insert=True)
        return row


class Discrepancy(TenantOwned):
    """The EHR differs from what was approved. One open per intent and kind; a person settles it."""

    class Kind(models.TextChoices):
        DROPPED = "dropped"
        ALTERED = "altered"
        DIFFERENT = "different"
        HUMAN_EDITED = "human-edited"
        DUPLICATE = "duplicate"
        MISSING = "missing"
        PARTIAL = "partial"
        LATE = "late"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    intent = models.ForeignKey(Intent, on_delete=models.PROTECT, related_name="discrepancies")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    risk = models.CharField(max_length=6, default="high")
    # JSON pointers of the differing fields; no values
    paths = models.JSONField(default=list)
    resource_ref = models.CharField(max_length=200, blank=True)
    owner = models.CharField(max_length=200, blank=True)
    opened_at = models.DateTimeField()
    resolved_by = models.ForeignKey(
        "governance.Membership", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=64, blank=True)
    # SHA-256 of what was seen: a difference that a person has settled is not opened again for the same
    seen_hash = models.CharField(max_length=64, blank=True)

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["intent", "kind"],
                condition=Q(resolved_at__isnull=True),
                name="discrepancy_one_open_per_kind",
            ),
        ]

    @classmethod
    def open(
        cls,
        *,
        intent: Intent,
        kind: str,
        actor: Actor,
        at: datetime,
        owner: str = "",
        paths: list[str] | None = None,
        resource_ref: str = "",
        seen_hash: str = "",
    ) -> "Discrepancy":
        """The open discrepancy of this kind, made and audited now unless it is open already."""
        existing = cls.objects.filter(intent=intent, kind=kind, resolved_at__isnull=True).first()
        if existing is not None:
            return existing
        row = cls(
            tenant_id=intent.tenant_id,
            intent=intent,
            kind=kind,
            paths=paths or [],
            resource_ref=resource_ref,
            seen_hash=seen_hash,
            owner=owner,
            opened_at=at,
        )
        stamp(row, actor=actor, at=at, reason=kind)
        row.save(force_insert=True)
        intent.note(
            tag=AuditTag.INTENT_DISCREPANCY_OPENED,
            actor=actor,
            at=at,
            discrepancy=str(row.pk),
            kind=kind,
            paths=row.paths,
        )
        return row

    def assign(self, *, owner: str, actor: Actor, at: datetime) -> None:
        """Name the person who settles it."""
        self.owner = owner
        stamp(self, actor=actor, at=at, reason="assigned")
        self.save()
        self.intent.note(
            tag=AuditTag.INTENT_DISCREPANCY_ASSIGNED,
            actor=actor,
            at=at,
            discrepancy=str(self.pk),
            owner=owner,
        )

    def resolve(
        self, *, by: Membership | None, resolution: str, actor: Actor, at: datetime
    ) -> None:
        """Close it with the code of how it was settled; `by` nobody when the entry turned up by itself."""
        self.resolved_by, self.resolved_at, self.resolution = by, at, resolution
        stamp(self, actor=actor, at=at, reason=resolution)
        self.save()
        self.intent.note(
            tag=AuditTag.INTENT_DISCREPANCY_RESOLVED,
            actor=actor,
            at=at,
            discrepancy=str(self.pk),
            kind=self.kind,
            resolution=resolution,
        )


# A tick comes at the earliest after this part of a period: messages do not arrive to the second.
SHORTEST_TICK = 0.9


class Tick(models.Model):
    """The portal's monotonic clock: a counter that the sweeper moves. Quarantines count ticks,
    so a jump of the wall clock can neither end nor prolong one."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.BigIntegerField(default=0)
    ticked_at = models.DateTimeField(null=True, blank=True)
    # The database's timeline at the last look. Another one means a failover, which may have lost
    # commits: nothing is sent before `hold_until`, so that every forgotten attempt has died out.
    timeline = models.BigIntegerField(null=True, blank=True)
    hold_until = models.BigIntegerField(default=0)
    # Names this database and every copy of it, for what is kept about it elsewhere.
    identity = models.UUIDField(default=uuid.uuid4, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="tick_is_one_row")]

    @classmethod
    def now(cls) -> int:
        """The present tick; 0 before the first sweep."""
        return cls.objects.filter(pk=1).values_list("value", flat=True).first() or 0

    @classmethod
    def advance(cls, *, at: datetime, by: int = 1) -> int:
        """Move the clock forward by whole ticks, and return the present one."""
        if not cls.objects.filter(pk=1).update(value=F("value") + by, ticked_at=at):
            cls.objects.get_or_create(pk=1, defaults={"value": by, "ticked_at": at})
        return cls.now()

    @classmethod
    def beat(cls, *, at: datetime, period: timedelta) -> int:
        """One tick, unless one was made within nine tenths of a period: late messages that arrive
        in a burst, and several workers, move the clock no faster than one. From a wall clock that
        was set back the next period is counted anew: no tick too many, and never a standstill."""
        cls.objects.get_or_create(pk=1)
        if cls.objects.filter(pk=1, ticked_at__gt=at).update(ticked_at=at):
            return cls.now()
        cls.objects.filter(
            Q(pk=1) & (Q(ticked_at__isnull=True) | Q(ticked_at__lte=at - period * SHORTEST_TICK))
        ).update(value=F("value") + 1, ticked_at=at)
        return cls.now()

    @classmethod
    def is_sending_held(cls) -> bool:
        """True during the quarantine after a failover of the database, and until one is noticed."""
        clock = cls.objects.filter(pk=1).values_list("value", "hold_until", "timeline").first()
        if clock is None:
            return False
        value, hold_until, known = clock
        return value < hold_until or cls._is_another_than(known)

    @classmethod
    def has_taken_over(cls) -> bool:
        """True from a failover of the database until dispatch has noticed it (`notice`).

        What was written last may be forgotten, so that nothing follows from what is not recorded.
        """
        return cls._is_another_than(cls._known_timeline())

    @classmethod
    def _is_another_than(cls, known: int | None) -> bool:
        return known is not None and cls.timeline_now() not in (None, known)

    @classmethod
    def is_noticed(cls, timeline: int) -> bool:
        """True when `notice` would find nothing new in it: asked without a lock."""
        return cls._known_timeline() == timeline

    @classmethod
    def _known_timeline(cls) -> int | None:
        return cls.objects.filter(pk=1).values_list("timeline", flat=True).first()

    @staticmethod
    def timeline_now() -> int | None:
        """How often a stand-by has become this database; None where there is no such thing."""
        if connection.vendor != "postgresql":
            return None
        with connection.cursor() as cursor:
            cursor.execute("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
            return int(cursor.fetchone()[0], 16)

    @classmethod
    def identity_of_database(cls) -> uuid.UUID | None:
        return cls.objects.filter(pk=1).values_list("identity", flat=True).first()

    @classmethod
    def hold_left(cls) -> int:
        """For how many more ticks nothing is sent; 0 when sending is not held."""
        clock = cls.objects.filter(pk=1).first()
        return max(0, clock.hold_until - clock.value) if clock else 0

    @classmethod
    def notice(cls, *, timeline: int | None, hold_for: int, forced: bool = False) -> int | None:
        """Remember the database's timeline, in the caller's transaction.

        When it is another one than before, or the hold is `forced`, hold all sending for `hold_for`
        ticks and return until which tick; otherwise None.
        """
        cls.objects.get_or_create(pk=1)
        clock = cls.objects.select_for_update().get(pk=1)
        if clock.timeline == timeline and not forced:
            return None
        failed_over = forced or clock.timeline is not None
        clock.timeline = timeline
        if failed_over:
            clock.hold_until = max(clock.hold_until, clock.value + hold_for)
        clock.save(update_fields=["timeline", "hold_until"])
        return clock.hold_until if failed_over else None


class Heartbeat(models.Model):
    """When a background part was last seen at work; `/readyz` asks."""

    name = models.CharField(primary_key=True, max_length=32)
    at = models.DateTimeField()

    @classmethod
    def beat(cls, name: str, *, at: datetime) -> None:
        cls.objects.update_or_create(name=name, defaults={"at": at})
