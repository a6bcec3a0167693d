"""What people do about a change that machines cannot settle: attest, resolve, assign, retry, give up."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit.actors import Actor, ActorKind
from audit.tags import AuditTag
from intents.governance import roles
from intents.governance.models import Membership
from intents.lifecycle import RejectedBy, State
from intents.models import Discrepancy, Intent, OutboxEntry, Tick, WriteLedgerEntry
from intents.pipeline import outbox
from intents.pipeline.delivery import words
from intents.pipeline.delivery.deciding import decide
from intents.pipeline.delivery.records import (
    ApprovalLapsed,
    Attested,
    Decision,
    Retried,
    Settled,
    TooEarly,
)
from intents.pipeline.outbox import Facts
from intents.pipeline.reconciliation.looking import RECONCILER, Subject, subject_of

# How a difference was settled, and how a person chooses it.
RESOLUTIONS: Mapping[str, str] = {
    "ehr-is-right": "The EHR is right as it is",
    "corrected-in-ehr": "Corrected in the EHR by hand",
    "accepted-in-ehr": "Accepted in the EHR since",
    "not-wanted": "Not wanted in the chart any more",
    "new-draft": "A new draft was asked for",
}
# What a machine or an attestation settles has its own codes.
NOT_WRITTEN = "not-written"


class CannotSettle(Exception):
    """This may not be settled so. `sentence` says why, in words for the person who tried."""

    code = "cannot-settle"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class OperatorOnly(CannotSettle):
    """The person's role does not settle writes."""

    code = "operator-only"


class EvidenceNeeded(CannotSettle):
    """Settling needs the person's account of what they looked at."""

    code = "evidence-needed"


class NotSettleable(CannotSettle):
    """The change does not wait for this."""

    code = "not-settleable"


class StillInQuarantine(CannotSettle):
    """Absence proves nothing yet."""

    code = "still-in-quarantine"


class ApprovalRanOut(CannotSettle):
    """The approval no longer holds: it has to be drafted and approved again."""

    code = "approval-ran-out"


class DiscrepancyOpen(CannotSettle):
    """Another difference of this change is still open."""

    code = "discrepancy-open"


def operator_settle(
    *,
    intent_id: UUID | str,
    operator: Membership,
    found: bool,
    evidence: str,
    at: datetime,
    resource_ref: str = "",
    resend: bool = False,
) -> Intent:
    """A person looked into the EHR and says that the change is there, or that it is not.

    For a change whose outcome is unknown: `found` makes it ACCEPTED; not found makes it FAILED, or with
    `resend` puts it back in line, and only after the quarantine. For an acknowledged change that
    cannot be read back: `found` makes it RECONCILED. `evidence` is what the person saw and where; it is
    sealed in the ledger. `resource_ref` is the entry's id when the person could see one.
    """
    actor = _operator(operator)
    if not evidence.strip():
        raise EvidenceNeeded("Say what you looked at in the EHR, and what you saw there.")
    subject = _subject(intent_id)
    with transaction.atomic(durable=True):
        intent = Intent.lock(intent_id)
        entry = OutboxEntry.lock(subject.entry.pk)
        confirming = intent.state == State.ACCEPTED and found
        if intent.state != State.UNCERTAIN and not confirming:
            raise NotSettleable("The outcome of this change is not open any more.")
        if confirming and _open(intent).exists():
            raise DiscrepancyOpen("The EHR's entry differs. Settle the difference instead.")
        if not found and Tick.has_taken_over():
            raise StillInQuarantine("The database was restored a moment ago. Look again later.")
        tick = Tick.now()
        delivery = outbox.delivery_of(intent=intent, entry=entry, capability=subject.capability)
        try:
            decision = decide(delivery, Attested(there=found, resend=resend, at=at, tick=tick))
        except TooEarly:
            raise StillInQuarantine(
                "The EHR may still be working on it, so its absence proves nothing yet. Look again later."
            ) from None
        except ApprovalLapsed:
            raise ApprovalRanOut(
                "The approval has run out. Say that it is not there, and have it drafted again."
            ) from None
        changes: dict[str, object] = {}
        if found:
            changes["resource_ref"] = resource_ref or intent.resource_ref
        if decision.delivery.state == State.ACCEPTED:
            changes["finality"] = subject.plan.finality.value
            changes["last_looked_at"] = None
        _carry_out(
            decision, intent, entry, actor=actor, at=at, tick=tick, evidence=evidence, **changes
        )
        if not found:
            for discrepancy in _open(intent):
                discrepancy.resolve(by=operator, resolution=NOT_WRITTEN, actor=actor, at=at)
    return intent


def operator_resolve(
    *,
    discrepancy_id: UUID | str,
    operator: Membership,
    resolution: str,
    evidence: str,
    at: datetime,
) -> Discrepancy:
    """Settle a difference with its code. With the last one, an acknowledged change is RECONCILED."""
    actor = _operator_or_reviewer(operator)
    if resolution not in RESOLUTIONS:
        raise EvidenceNeeded("Choose how the difference was settled.")
    if not evidence.strip():
        raise EvidenceNeeded("Say what you found, where and when.")
    intent_id = Discrepancy.objects.values_list("intent_id", flat=True).get(pk=discrepancy_id)
    subject = _subject(intent_id)
    with transaction.atomic(durable=True):
        intent = Intent.lock(intent_id)
        discrepancy = Discrepancy.objects.select_for_update(of=("self",)).get(pk=discrepancy_id)
        if discrepancy.resolved_at is not None:
            raise NotSettleable("Somebody has settled this difference already.")
        if intent.state == State.UNCERTAIN:
            raise NotSettleable("Settle first whether the change is in the EHR at all.")
        discrepancy.resolve(by=operator, resolution=resolution, actor=actor, at=at)
        entry = OutboxEntry.lock(subject.entry.pk)
        if intent.state == State.ACCEPTED and not _open(intent).exists():
            delivery = outbox.delivery_of(intent=intent, entry=entry, capability=subject.capability)
            _carry_out(
                decide(delivery, Settled()),
                intent,
                entry,
                actor=_reconciling(actor),
                at=at,
                tick=Tick.now(),
                evidence=evidence,
            )
        else:
            row = _attest(entry, outcome="settled", evidence=evidence, actor=actor, at=at)
            intent.note(tag=AuditTag.INTENT_WRITE_ATTESTED, actor=actor, at=at, rows=(row,))
    return discrepancy


def assign(
    *, discrepancy_id: UUID | str, member: Membership, owner: str, at: datetime
) -> Discrepancy:
    """Give a difference to a person, by name."""
    actor = _operator_or_reviewer(member)
    with transaction.atomic():
        discrepancy = Discrepancy.objects.select_for_update(of=("self",)).get(pk=discrepancy_id)
        if discrepancy.resolved_at is not None:
            raise NotSettleable("Somebody has settled this difference already.")
        discrepancy.assign(owner=owner, actor=actor, at=at)
    return discrepancy


def take_over(*, intent_id: UUID | str, member: Membership, expected: str, at: datetime) -> Intent:
    """Become the owner of a change that needs a person; `expected` is who had it on the page that was seen."""
    actor = _operator_or_reviewer(member)
    with transaction.atomic():
        intent = Intent.lock(intent_id)
        refused = intent.state == State.REJECTED and intent.rejected_by == RejectedBy.EHR
        if intent.state not in (State.UNCERTAIN, State.FAILED) and not refused:
            raise NotSettleable("This change does not wait for a person any more.")
        if intent.owner not in ("", expected):
            raise NotSettleable(f"{intent.owner} has it by now. Look again.")
        before, name = intent.owner or expected, member.user.name
        intent.change(actor=actor, at=at, reason="taken over", owner=name)
        intent.note(tag=AuditTag.INTENT_WRITE_TAKEN, actor=actor, at=at, owner=name, before=before)
    return intent


def operator_resend(*, intent_id: UUID | str, operator: Membership, at: datetime) -> Intent:
    """Send a failed change again, under the same approval and with the same tag."""
    actor = _operator(operator)
    subject = _subject(intent_id)
    with transaction.atomic(durable=True):
        intent = Intent.lock(intent_id)
        if intent.state != State.FAILED:
            raise NotSettleable("Only a change that is known not to be written is sent again.")
        entry = OutboxEntry.lock(subject.entry.pk)
        delivery = outbox.delivery_of(intent=intent, entry=entry, capability=subject.capability)
        try:
            decision = decide(delivery, Retried(at=at))
        except ApprovalLapsed:
            raise ApprovalRanOut("The approval has run out. Have it drafted again.") from None
        try:
            outbox.check_target_is_free(intent)
        except outbox.TargetBusy as busy:
            raise NotSettleable(busy.sentence) from None
        intent.advance(
            State.APPROVED,
            actor=actor,
            at=at,
            reason=words.reason(decision.reason),
            detail={"payload_hash": entry.payload_hash},
        )
        outbox.enqueue_again(closed=entry, actor=actor, at=at)
    return intent


def operator_give_up(
    *, intent_id: UUID | str, operator: Membership, reason: str, at: datetime
) -> Intent:
    """End a failed change: nothing more will be sent. The person's reason is sealed in the ledger."""
    actor = _operator(operator)
    if not reason.strip():
        raise EvidenceNeeded("Say why it is given up.")
    subject = _subject(intent_id)
    with transaction.atomic(durable=True):
        intent = Intent.lock(intent_id)
        if intent.state != State.FAILED:
            raise NotSettleable("Only a change that is known not to be written can be given up.")
        entry = OutboxEntry.lock(subject.entry.pk)
        row = _attest(entry, outcome="given up", evidence=reason, actor=actor, at=at)
        intent.advance(
            State.CANCELLED, actor=actor, at=at, reason=words.reason("given-up"), rows=(row,)
        )
    return intent


# --- the parts ------------------------------------------------------------------------------------


def _operator(member: Membership) -> Actor:
    if not roles.may_operate(member):
        raise OperatorOnly("Your role does not settle writes.")
    return roles.actor_of(member)


def _operator_or_reviewer(member: Membership) -> Actor:
    if not (roles.may_operate(member) or roles.may_review(member)):
        raise OperatorOnly("Your role does not settle differences.")
    return roles.actor_of(member)


def _reconciling(actor: Actor) -> Actor:
    """Who settles the change when a person has settled its difference: reviewers act through the
    reconciler, because the lifecycle gives them no edge there."""
    if actor.kind == ActorKind.OPERATOR:
        return actor
    return replace(RECONCILER, on_behalf_of=actor.id)


def _subject(intent_id: UUID | str) -> Subject:
    subject = subject_of(intent_id)
    if subject is None:
        raise NotSettleable("This change was never sent.")
    return subject


def _open(intent: Intent) -> QuerySet[Discrepancy]:
    return Discrepancy.objects.filter(intent=intent, resolved_at__isnull=True)


def _carry_out(
    decision: Decision,
    intent: Intent,
    entry: OutboxEntry,
    *,
    actor: Actor,
    at: datetime,
    tick: int,
    evidence: str,
    **changes: object,
) -> None:
    outbox.carry_out(
        decision,
        intent=intent,
        entry=entry,
        attempt_id=_last_attempt(entry),
        actor=actor,
        at=at,
        tick=tick,
        facts=Facts(
            evidence=evidence.strip(), resource_ref=str(changes.get("resource_ref", "") or "")
        ),
        **changes,
    )


def _attest(
    entry: OutboxEntry, *, outcome: str, evidence: str, actor: Actor, at: datetime
) -> WriteLedgerEntry:
    return WriteLedgerEntry.write(
        entry=entry,
        attempt_id=_last_attempt(entry),
        phase=WriteLedgerEntry.Phase.ATTESTED,
        actor=actor,
        at=at,
        tick=Tick.now(),
        outcome=outcome,
        evidence=evidence.strip(),
        patient_ref=entry.intent.proposal.patient_ref,
    )


def _last_attempt(entry: OutboxEntry) -> UUID:
    """The attempt that a person's word is about; the entry itself where nothing was ever begun."""
    if entry.attempt_id is not None:
        return entry.attempt_id
    last = (
        WriteLedgerEntry.objects.filter(entry=entry)
        .order_by("-at", "-step")
        .values_list("attempt_id", flat=True)
        .first()
    )
    return last or entry.pk
