"""What a person typed into an EHR because it cannot be written from here, and whether the chart shows it."""

import uuid
from datetime import datetime, timedelta

from django.db import models

from audit.actors import Actor
from audit.tags import AuditTag
from intents.governance.history import ActorRecords, stamp
from intents.governance.models import Membership
from intents.governance.tenancy import TenantOwned
from intents.models.intent import Intent

# How long the chart is watched for what a person said that they typed (clinical model, degrade paths).
WATCH = timedelta(hours=72)


class HandEntry(TenantOwned):
    """A person's word that they entered a change by hand. The chart is watched until it is seen or time is up.

    A match says that the chart holds the same thing, never who typed it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    intent = models.OneToOneField(Intent, on_delete=models.PROTECT, related_name="hand_entry")
    by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    done_at = models.DateTimeField()
    watch_until = models.DateTimeField()
    next_look_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_ref = models.CharField(max_length=200, blank=True)

    history = ActorRecords(excluded_fields=["next_look_at"])

    class Meta:
        verbose_name_plural = "hand entries"
        indexes = [models.Index(fields=["next_look_at"], name="hand_entry_due")]

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def declare(
        cls, *, intent: Intent, member: Membership, actor: Actor, at: datetime
    ) -> "HandEntry":
        """Somebody says now that it is typed. Said twice, the first time stands."""
        existing = cls.objects.filter(intent=intent).first()
        if existing is not None:
            return existing
        row = cls(
            tenant_id=intent.tenant_id,
            intent=intent,
            by=member,
            done_at=at,
            watch_until=at + WATCH,
            next_look_at=at,
        )
        stamp(row, actor=actor, at=at, reason="declared")
        row.save(force_insert=True)
        intent.note(tag=AuditTag.INTENT_HAND_DECLARED, actor=actor, at=at)
        return row

    def note_seen(self, *, reference: str, actor: Actor, at: datetime) -> None:
        """The chart holds the same thing now."""
        self.seen_at, self.seen_ref, self.next_look_at = at, reference, None
        stamp(self, actor=actor, at=at, reason="seen")
        self.save()
        self.intent.note(tag=AuditTag.INTENT_HAND_SEEN, actor=actor, at=at, resource=reference)

    def look_again(self, *, at: datetime) -> None:
        """Not seen: the next look comes after as long again as has passed, an hour at most."""
        wait = min(max(at - self.done_at, timedelta(minutes=1)), timedelta(hours=1))
        self.next_look_at = at + wait
        self.skip_history_when_saving = True
        try:
            self.save(update_fields=["next_look_at"])
        finally:
            del self.skip_history_when_saving

    def give_up(self, *, actor: Actor, at: datetime) -> None:
        """The time is up and the chart never showed it."""
        self.next_look_at = None
        stamp(self, actor=actor, at=at, reason="not seen")
        self.save()
        self.intent.note(tag=AuditTag.INTENT_HAND_MISSED, actor=actor, at=at)
