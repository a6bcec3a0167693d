"""One proposed chart change and its whole life: the intent, its versions and its screenings."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q

from audit.actors import Actor
from audit.encoding import canonical_bytes, sha256_hex
from audit.models import AuditEvent
from audit.recording import record
from audit.tags import AuditTag
from intents.governance.encryption import PhiRecord, PhiTextField
from intents.governance.history import ActorRecords, stamp
from intents.governance.tenancy import TenantOwned
from intents.lifecycle import IN_FLIGHT, Lane, RejectedBy, State, check_transition
from intents.models.evidence_record import EvidenceRecord
from intents.models.proposal import Proposal

# The order in which a clinician reads a set of changes; others follow as the agent sent them.
_CLINICAL_ORDER = ("allergy", "medication", "order", "problem", "vitals", "result")


class Intent(TenantOwned):
    """One change and where it stands. `advance()` is the only way its state changes.

    `target_ref` is the EHR's reference ("Condition/123") for everything but a create; `target_key`
    is what at most one in-flight write may hold at a time on a connection ("" for creates).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="intents")
    connection = models.ForeignKey(
        "governance.EhrConnection", on_delete=models.PROTECT, related_name="intents"
    )
    ref = models.CharField(max_length=64)
    position = models.PositiveSmallIntegerField()
    depends_on = models.JSONField(default=list, blank=True)
    change_kind = models.CharField(max_length=32)
    interaction = models.CharField(max_length=32)
    target_ref = models.CharField(max_length=200, blank=True)
    target_key = models.CharField(max_length=300, blank=True)
    lane = models.CharField(max_length=10, choices=[(lane.value, lane.value) for lane in Lane])
    state = models.CharField(
        max_length=20,
        choices=[(s.value, s.value) for s in State],
        default=State.DRAFTED,
        editable=False,
    )
    rejected_by = models.CharField(
        max_length=12, choices=[(r.value, r.value) for r in RejectedBy], blank=True
    )
    # A code and a plain sentence without clinical content: why it is where it is.
    reason = models.CharField(max_length=500, blank=True)
    tier = models.CharField(max_length=16, blank=True)
    current_version = models.ForeignKey(
        "IntentVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    current_screening = models.ForeignKey(
        "Screening", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    screen_not_before = models.DateTimeField(null=True, blank=True)
    screen_attempts = models.PositiveIntegerField(default=0)
    supersedes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    corrects = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="corrected_by"
    )
    due_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    approval_expires_at = models.DateTimeField(null=True, blank=True)
    # filed, filed_unsigned, staged or sent_for_action, once the EHR has acknowledged it
    finality = models.CharField(max_length=20, blank=True)
    resource_ref = models.CharField(max_length=200, blank=True)
    resource_version = models.CharField(max_length=100, blank=True)
    # Who took over an outcome that needs a person; "" while it is with whoever approved
    owner = models.CharField(max_length=200, blank=True)
    last_looked_at = models.DateTimeField(null=True, blank=True)
    state_changed_at = models.DateTimeField()
    created_at = models.DateTimeField()

    history = ActorRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "ref"], name="intent_ref_once_per_proposal"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="intent_tenant_id"),
            models.UniqueConstraint(
                fields=["connection", "target_key"],
                condition=Q(state__in=[s.value for s in IN_FLIGHT]) & ~Q(target_key=""),
                name="intent_one_in_flight_per_target",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in State]), name="intent_state_known"
            ),
            models.CheckConstraint(
                condition=(
                    Q(state=State.REJECTED.value, rejected_by__in=[r.value for r in RejectedBy])
                    | (~Q(state=State.REJECTED.value) & Q(rejected_by=""))
                ),
                name="intent_rejected_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "state", "due_at", "id"], name="intent_queue"),
            models.Index(fields=["state", "screen_not_before"], name="intent_screening"),
            models.Index(fields=["state", "expires_at"], name="intent_expiry"),
        ]

    @classmethod
    def lock(cls, intent_id: uuid.UUID | str) -> "Intent":
        """The intent with its row locked until the transaction ends."""
        return cls.objects.select_for_update(of=("self",)).get(pk=intent_id)

    @property
    def reading_key(self) -> tuple[int, int]:
        """Sorts the changes of one proposal as every page lists and letters them."""
        kinds = len(_CLINICAL_ORDER)
        known = self.change_kind in _CLINICAL_ORDER
        return (_CLINICAL_ORDER.index(self.change_kind) if known else kinds, self.position)

    def advance(
        self,
        to: State,
        *,
        actor: Actor,
        at: datetime,
        reason: str = "",
        rejected_by: RejectedBy | None = None,
        rows: Iterable[models.Model] = (),
        detail: dict[str, object] | None = None,
        **changes: object,
    ) -> AuditEvent:
        """Move this intent to `to`, or raise InvalidTransition and change nothing.

        The caller must hold the row lock from `Intent.lock()`. The state, the `changes` to other
        columns, its history row and its audit entry (which names `rows` and carries `detail`: ids,
        codes and hashes only) are saved in the caller's transaction or not at all. Returns the entry.
        """
        before = State(self.state)
        edge = check_transition(current=before, to=to, actor=actor.kind)
        self.state = to
        self.reason = reason
        self.rejected_by = rejected_by or ""
        self.state_changed_at = at
        self._save(actor=actor, at=at, reason=reason, **changes)
        return self.note(
            tag=edge.tag,
            actor=actor,
            at=at,
            rows=tuple(rows),
            **{"from": before.value, "to": to.value, "reason": reason, **(detail or {})},
        )

    def change(self, *, actor: Actor, at: datetime, reason: str = "", **changes: object) -> None:
        """Set columns that are not the state (a pointer, a back-off time), with history."""
        if "state" in changes:
            raise TypeError("The state changes by advance() alone.")
        self._save(actor=actor, at=at, reason=reason, **changes)

    def note_look(self, *, at: datetime) -> None:
        """It was looked at and nothing about it changed: no history row is written."""
        self.last_looked_at = at
        self.skip_history_when_saving = True
        try:
            self.save(update_fields=["last_looked_at"])
        finally:
            del self.skip_history_when_saving

    def _save(self, *, actor: Actor, at: datetime, reason: str, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        stamp(self, actor=actor, at=at, reason=reason)
        self.save()

    def note(
        self,
        *,
        tag: AuditTag,
        actor: Actor,
        at: datetime,
        rows: tuple[models.Model, ...] = (),
        **body: object,
    ) -> AuditEvent:
        """An audit event about this change that is not a change of state."""
        proposal = self.proposal
        return record(
            tag=tag,
            actor=actor,
            at=at,
            tenant_id=str(self.tenant_id),
            proposal_id=str(self.proposal_id),
            intent_id=str(self.pk),
            correlation_id=proposal.correlation_id,
            patient_token=proposal.patient_token,
            encounter_token=proposal.encounter_token,
            rows=rows,
            body=body,
        )


class IntentVersion(PhiRecord, EvidenceRecord):
    """The immutable canonical content of an intent. An edit makes another."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    intent = models.ForeignKey(Intent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    author_kind = models.CharField(max_length=16)
    author_id = models.CharField(max_length=100)
    author_name = models.CharField(max_length=200)
    # the canonical change as JSON
    content = PhiTextField()
    content_hash = models.CharField(max_length=64)
    # The portal's own identifier that travels with a write; random, stable over every retry.
    tag = models.UUIDField(unique=True)
    tag_short = models.CharField(max_length=20, unique=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["intent", "number"], name="version_number_once"),
        ]

    @classmethod
    def compose(
        cls,
        intent: Intent,
        *,
        number: int,
        content: Mapping[str, Any],
        patient_ref: str,
        tag: tuple[uuid.UUID, str],
        actor: Actor,
        at: datetime,
    ) -> Self:
        """A version by `actor`, not saved yet. `tag`: newly minted, long and short, for each version has its own."""
        version = cls(
            tenant_id=intent.tenant_id,
            intent=intent,
            number=number,
            author_kind=actor.kind.value,
            author_id=actor.id,
            author_name=actor.name,
            content_hash=sha256_hex(canonical_bytes(dict(content))),
            tag=tag[0],
            tag_short=tag[1],
            created_at=at,
        )
        version.set_phi("content", dict(content), patient_ref=patient_ref)
        return version


class Screening(PhiRecord, EvidenceRecord):
    """What the portal read and rendered for one version: baseline and wire plan, frozen and hashed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(IntentVersion, on_delete=models.PROTECT, related_name="screenings")
    number = models.PositiveIntegerField()
    # Baseline.to_json() of the portal's own read
    baseline = PhiTextField(blank=True)
    # NameAlikes.to_json(): other patients of the connection who could be taken for this one
    name_alikes = PhiTextField(blank=True)
    target_version = models.CharField(max_length=100, blank=True)
    hash_whole = models.CharField(max_length=64, blank=True)
    hash_touched = models.CharField(max_length=64, blank=True)
    neighbourhood_hash = models.CharField(max_length=64, blank=True)
    connection_settings_hash = models.CharField(max_length=64)
    adapter_version = models.CharField(max_length=64)
    capabilities_hash = models.CharField(max_length=64)
    # WirePlan.to_json(): the exact bytes that will be sent, slots aside. Empty: not renderable.
    wire_plan = PhiTextField(blank=True)
    payload_hash = models.CharField(max_length=64, blank=True)
    finality = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "number"], name="screening_number_once"),
        ]
