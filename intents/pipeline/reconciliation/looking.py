"""Looking into the chart: for a change whose outcome is unknown, and for one that was acknowledged.

The search runs without a transaction; what it showed is written only if the change still stands where
it stood when the search began. The tick is read before the search, so that a slow search can never
make a quarantine look longer than it was.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.tags import AuditTag
from ehr_adapters.canonical import base as canonical
from ehr_adapters.capabilities import Capability, Finality, FindMethod
from ehr_adapters.contract import FindHit, FindResult, Snapshot, Tag, WirePlan
from ehr_adapters.errors import AdapterError, AdapterMisconfigured, Unsupported
from intents.lifecycle import State
from intents.models import (
    Discrepancy,
    Intent,
    OutboxEntry,
    Screening,
    Tick,
    WriteLedgerEntry,
)
from intents.pipeline import gateway, matching, outbox, screening
from intents.pipeline.delivery.deciding import decide
from intents.pipeline.delivery.faults import fault_point
from intents.pipeline.delivery.looking import is_not_taken_up
from intents.pipeline.delivery.records import Delivery, Event, Looked, OutOfPlace, ReadBack
from intents.pipeline.delivery.words import Difference, Phase, Seen
from intents.pipeline.matching import Match, Verdict
from intents.pipeline.outbox import Facts

RECONCILER = Actor.system(ActorKind.RECONCILER)
# Clocks of two machines may differ: a search reaches back a little further than the first attempt.
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Subject:
    """A change that was sent, with what is needed to recognise it in the chart."""

    intent: Intent
    entry: OutboxEntry
    screening: Screening
    plan: WirePlan
    capability: Capability
    tags: tuple[Tag, ...]
    first_sent_at: datetime


def settle(*, intent_id: UUID | str, at: datetime) -> Intent:
    """Look for a change whose outcome is unknown, and settle it if that proves something.

    A hit that proves it counts at once; absence only after the quarantine, and only by a method and
    for a class of write for which it proves anything. Otherwise nothing changes, and a person has it.
    """
    subject = subject_of(intent_id)
    if subject is None or subject.intent.state != State.UNCERTAIN:
        return Intent.objects.get(pk=intent_id)
    tick = Tick.now()
    found = _stray_entry(subject, at=at) or search(subject, at=at)
    match = _judge(subject, found)
    if match.verdict is Verdict.NONE and _is_sent_again_next(subject, found.method, tick=tick):
        found, match = _by_what_it_says(subject, at=at) or (found, match)
    fault_point("after_look")
    event = Looked(seen=Seen[match.verdict.name], method=found.method, at=at, tick=tick)
    return _write(subject, event, match, at=at, tick=tick)


def confirm(*, intent_id: UUID | str, at: datetime) -> Intent:
    """Read an acknowledged change back and compare it with what was approved.

    Equal up to what the capability declares: RECONCILED. Different, doubled or missing: a discrepancy
    for a person. What waits in the EHR for someone to accept it may be absent for as long as the
    connection's patience lasts.
    """
    subject = subject_of(intent_id)
    if subject is None or subject.intent.state != State.ACCEPTED:
        return Intent.objects.get(pk=intent_id)
    tick = Tick.now()
    match = _as_staged(subject, read_back(subject, at=at))
    fault_point("after_look")
    intent = subject.intent
    delivery = _delivery(subject)
    event = ReadBack(
        seen=Seen[match.verdict.name],
        at=at,
        tick=tick,
        difference=_kind_of_difference(intent, match),
        overdue=is_not_taken_up(
            delivery,
            since=intent.state_changed_at,
            patience=timedelta(days=intent.connection.staged_patience_days),
            at=at,
        ),
    )
    return _write(subject, event, match, at=at, tick=tick)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a look shows to a person who settles: entries of equal content, none of which proves anything.

    `looked` is False where the chart does not show such entries, or could not be read.
    """

    looked: bool
    entries: tuple[Snapshot, ...] = ()


def candidates(*, intent_id: UUID | str, at: datetime) -> Candidates | None:
    """Entries that could be the change whose outcome is unknown; None where a machine settles that.

    Changes nothing. Must not be called inside a transaction.
    """
    subject = subject_of(intent_id)
    if subject is None or subject.intent.state != State.UNCERTAIN:
        return None
    if subject.plan.find == FindMethod.NONE:
        return Candidates(looked=False)
    if subject.plan.find != FindMethod.MATCH:
        return None
    found = search(subject, at=at)
    equal = {
        hit.snapshot.reference: hit.snapshot
        for hit in found.hits
        if not matching.compare(hit.snapshot, plan=subject.plan, capability=subject.capability)
    }
    return Candidates(looked=found.complete or bool(equal), entries=tuple(equal.values()))


def subject_of(intent_id: UUID | str) -> Subject | None:
    """The sent change with its plan; None when there is nothing to look for or by."""
    intent = Intent.objects.select_related("connection", "proposal", "current_version").get(
        pk=intent_id
    )
    entry = (
        OutboxEntry.objects.filter(intent=intent)
        .select_related("screening__version")
        .order_by("-created_at", "-id")
        .first()
    )
    if entry is None:
        return None
    try:
        capability = gateway.capability(
            connection=intent.connection,
            kind=intent.change_kind,
            interaction=intent.interaction,
        )
    except (Unsupported, AdapterMisconfigured):
        # What was possible when it was sent need not be possible now; looking may still be.
        capability = Capability(
            kind=intent.change_kind, interaction=intent.interaction, supported=False
        )
    plan = screening.plan_of(entry.screening)
    if plan is None:
        return None
    first = (
        WriteLedgerEntry.objects.filter(intent=intent, phase=Phase.SENT)
        .order_by("at")
        .values_list("at", flat=True)
        .first()
    )
    return Subject(
        intent=intent,
        entry=entry,
        screening=entry.screening,
        plan=plan,
        capability=capability,
        tags=tuple(Tag(str(tag)) for tag in intent.versions.values_list("tag", flat=True)),
        first_sent_at=first or entry.created_at,
    )


def _delivery(subject: Subject) -> Delivery:
    return outbox.delivery_of(
        intent=subject.intent, entry=subject.entry, capability=subject.capability
    )


# --- looking --------------------------------------------------------------------------------------


def search(subject: Subject, *, at: datetime) -> FindResult:
    """What the declared method shows. Whatever stands in the way is "could not look"."""
    gateway.let_go_of_database()
    since = subject.first_sent_at - _SKEW
    try:
        return gateway.find(
            connection=subject.intent.connection,
            tags=subject.tags,
            plan=subject.plan,
            since=since,
            at=at,
        )
    except (AdapterError, AdapterMisconfigured) as error:
        return FindResult(
            method=subject.plan.find,
            since=since,
            until=at,
            complete=False,
            reason=type(error).__name__,
        )


def _is_sent_again_next(subject: Subject, method: FindMethod, *, tick: int) -> bool:
    """Would one more miss by this method send it again? Only a search by the mark's own place may be blind."""
    delivery = _delivery(subject)
    until = delivery.quarantine_until
    return (
        method is FindMethod.EXACT and until is not None and tick >= until and delivery.may_resend
    )


def _by_what_it_says(subject: Subject, *, at: datetime) -> tuple[FindResult, Match] | None:
    """What the chart holds that ends with the mark, or else says the same; None where there is nothing.

    An EHR that drops identifiers shows nothing by them, whether it wrote the change or not.
    """
    capability = subject.capability
    if "last line" in capability.tag_places:
        other = replace(subject, plan=replace(subject.plan, find=FindMethod.SCAN))
    else:
        alike = replace(capability, server_owned=(*capability.server_owned, "identifier"))
        plan = replace(subject.plan, find=FindMethod.MATCH)
        other = replace(subject, plan=plan, capability=alike)
    found = search(other, at=at)
    match = _judge(other, found)
    return None if match.verdict in (Verdict.NONE, Verdict.COULD_NOT_LOOK) else (found, match)


def _stray_entry(subject: Subject, *, at: datetime) -> FindResult | None:
    """The entry that a given-up attempt was answered with, read by its id: a hit proves it is there."""
    reference = (
        WriteLedgerEntry.objects.filter(
            intent=subject.intent, phase=Phase.STRAY, outcome="acknowledged"
        )
        .exclude(resource_ref="")
        .order_by("-at")
        .values_list("resource_ref", flat=True)
        .first()
    )
    if not reference:
        return None
    snapshot = _read_entry(subject, reference=reference, at=at)
    if snapshot is None:
        return None
    return FindResult(
        method=FindMethod.EXACT,
        since=subject.first_sent_at,
        until=at,
        complete=True,
        hits=(FindHit(snapshot, tag=subject.plan.tag),),
    )


def _read_entry(subject: Subject, *, reference: str, at: datetime) -> Snapshot | None:
    gateway.let_go_of_database()
    try:
        return gateway.read_entry(
            connection=subject.intent.connection,
            kind=subject.intent.change_kind,
            reference=reference,
            at=at,
        )
    except (AdapterError, AdapterMisconfigured):
        return None


def _judge(subject: Subject, found: FindResult) -> Match:
    baseline = screening.baseline_of(subject.screening)
    return matching.judge(
        found,
        plan=subject.plan,
        tags=subject.tags,
        capability=subject.capability,
        baseline=baseline.target if baseline else None,
    )


def read_back(subject: Subject, *, at: datetime) -> Match:
    """The entry by its id where it has one; else by the declared search; else among the patient's
    active entries of its kind, by its mark."""
    intent = subject.intent
    reference = intent.resource_ref
    if reference and subject.capability.read_back_by_id:
        gateway.let_go_of_database()
        try:
            snapshot = gateway.read_entry(
                connection=intent.connection,
                kind=intent.change_kind,
                reference=reference,
                at=at,
            )
        except (AdapterError, AdapterMisconfigured):
            return Match(Verdict.COULD_NOT_LOOK)
        if snapshot is not None:
            return _compared(subject, snapshot)
        if subject.plan.find == FindMethod.NONE:
            return Match(Verdict.NONE)
    if subject.plan.find != FindMethod.NONE:
        match = _judge(subject, search(subject, at=at))
        if (
            match.verdict != Verdict.COLLEAGUE_EQUAL
            or subject.plan.find.hit_proves
            or _is_the_acknowledged(subject, match.entry)
        ):
            return match
    return _among_the_active(subject, at=at)


def _is_the_acknowledged(subject: Subject, entry: Snapshot | None) -> bool:
    """Equal content alone is a candidate. It is ours under the id that the EHR or a person named, or,
    where the EHR acknowledges without an id, as the one equal entry that was not there before."""
    if entry is None:
        return False
    named = subject.intent.resource_ref
    if named:
        return entry.reference == named
    before = screening.baseline_of(subject.screening)
    if before is None or before.unreadable:
        return False
    return all(entry.reference != each.reference for each in before.neighbourhood)


def _as_staged(subject: Subject, match: Match) -> Match:
    """A draft that waits for a signature can be read, and is not yet what it is to become; one that
    somebody has thrown away is not equal, whatever else it says."""
    entry = match.entry
    if subject.plan.finality != Finality.STAGED or entry is None:
        return match
    state = canonical.kind_model(subject.plan.kind).staged_state(entry.canonical)
    if state == "waiting":
        return Match(Verdict.NONE)
    if state == "declined":
        place = (matching.Difference("/status"),)
        return Match(Verdict.OURS_DIFFERENT, entry=entry, differences=place, entries=1)
    return match


def _compared(subject: Subject, snapshot: Snapshot) -> Match:
    differences = matching.compare(snapshot, plan=subject.plan, capability=subject.capability)
    verdict = Verdict.OURS_DIFFERENT if differences else Verdict.OURS_EQUAL
    return Match(verdict, entry=snapshot, differences=differences, entries=1)


def _among_the_active(subject: Subject, *, at: datetime) -> Match:
    intent = subject.intent
    gateway.let_go_of_database()
    try:
        baseline = gateway.read(
            connection=intent.connection,
            patient_ref=intent.proposal.patient_ref,
            kind=intent.change_kind,
            interaction=intent.interaction,
            encounter_ref=intent.proposal.encounter_ref,
            at=at,
        )
    except (AdapterError, AdapterMisconfigured):
        return Match(Verdict.COULD_NOT_LOOK)
    ours = [
        entry
        for entry in baseline.neighbours(intent.change_kind)
        if any(entry.carries(tag) for tag in subject.tags)
    ]
    if len(ours) > 1:
        return Match(Verdict.AMBIGUOUS, entries=len(ours))
    if ours:
        return _compared(subject, ours[0])
    if baseline.unreadable or subject.plan.finality != Finality.STAGED:
        # Not among the active ones is no proof that it is nowhere.
        return Match(Verdict.COULD_NOT_LOOK)
    return Match(Verdict.NONE)


def _kind_of_difference(intent: Intent, match: Match) -> Difference:
    entry = match.entry
    versions = {entry.version_id, intent.resource_version} if entry is not None else set()
    if len(versions) == 2 and all(versions):
        # Somebody has saved the entry again since the EHR acknowledged it.
        return Difference.HUMAN_EDITED
    return Difference.DROPPED if match.only_missing else Difference.ALTERED


# --- writing --------------------------------------------------------------------------------------


def _write(subject: Subject, event: Event, match: Match, *, at: datetime, tick: int) -> Intent:
    with transaction.atomic(durable=True):
        intent = Intent.lock(subject.intent.pk)
        entry = OutboxEntry.lock(subject.entry.pk)
        moved_on = (
            intent.state != subject.intent.state
            or intent.state_changed_at != subject.intent.state_changed_at
            or entry.attempt_id != subject.entry.attempt_id
        )
        if moved_on or Tick.has_taken_over():
            return intent
        delivery = outbox.delivery_of(intent=intent, entry=entry, capability=subject.capability)
        try:
            decision = decide(delivery, event)
        except OutOfPlace:
            return intent
        looked_before = intent.last_looked_at
        changes: dict[str, object] = {"last_looked_at": at}
        found = match.entry
        if decision.delivery.state == State.RECONCILED and not _close_missing(intent, at=at):
            # It is equal now, but a person has not settled yet what was seen before.
            decision = replace(decision, delivery=delivery, effects=(), reason="")
        if decision.delivery.state == State.ACCEPTED and intent.state == State.UNCERTAIN:
            changes |= {
                "finality": subject.plan.finality.value,
                "resource_ref": found.reference if found else "",
                "resource_version": found.version_id if found else "",
                "last_looked_at": None,
            }
        elif found is not None and decision.delivery.state == State.RECONCILED:
            changes |= {"resource_ref": found.reference, "resource_version": found.version_id}
        if entry.attempt_id is None:
            raise RuntimeError("A change that was sent has an attempt.")
        actor = RECONCILER.with_authority(f"approval {entry.decision_id}")
        outbox.carry_out(
            decision,
            intent=intent,
            entry=entry,
            attempt_id=entry.attempt_id,
            actor=actor,
            at=at,
            tick=tick,
            facts=Facts(
                resource_ref=found.reference if found else "",
                resource_version=found.version_id if found else "",
                paths=tuple(match.paths),
            ),
            **changes,
        )
        if _still_waits(intent, event) and _begins_a_day(intent, looked_before, at=at):
            intent.note(tag=AuditTag.INTENT_WRITE_WAITING, actor=actor, at=at, tick=tick)
        return intent


def _still_waits(intent: Intent, event: Event) -> bool:
    """Looked for and not there yet, as is normal for what somebody in the EHR has to accept first."""
    return (
        isinstance(event, ReadBack)
        and event.seen is Seen.NONE
        and intent.state == State.ACCEPTED
        and intent.finality == Finality.STAGED.value
    )


def _begins_a_day(intent: Intent, looked_before: datetime | None, *, at: datetime) -> bool:
    """The first look, or the first of another day of waiting: a connection may be looked at far more often."""
    if looked_before is None:
        return True
    since = intent.state_changed_at
    return (at - since).days > (looked_before - since).days


def _close_missing(intent: Intent, *, at: datetime) -> bool:
    """Close "missing": the entry is there now. False when another difference is still open."""
    still_open = list(Discrepancy.objects.filter(intent=intent, resolved_at__isnull=True))
    if any(each.kind != Discrepancy.Kind.MISSING for each in still_open):
        return False
    for each in still_open:
        each.resolve(by=None, resolution="turned-up", actor=RECONCILER, at=at)
    return True
