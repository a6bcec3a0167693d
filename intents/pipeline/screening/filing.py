"""File what was examined, in one transaction under the row's lock, and place the change by it."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q

from audit.actors import Actor, ActorKind
from audit.tags import AuditTag
from intents.governance.encryption import patient_key
from intents.governance.tenancy import tenant_context
from intents.lifecycle import RejectedBy, State, Tier
from intents.models import Finding, Intent, PolicyVerdict, Proposal, Screening
from intents.pipeline.policy import Outcome
from intents.pipeline.screening.examining import IN_REQUEST, NOT_ANSWERING, Examined, examine
from intents.pipeline.screening.facts import Decided

log = logging.getLogger(__name__)

_VALIDATOR = Actor.system(ActorKind.VALIDATOR)
_POLICY = Actor.system(ActorKind.POLICY)

# An EHR that does not answer is asked again after 5, 10, 20 ... seconds, at most every five minutes;
# one that says when, then, but at least once an hour.
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(minutes=5)
_LONGEST_ASKED_WAIT = timedelta(hours=1)
# Policy approves by itself only under a sealed statement, whose key the screening worker does not hold:
# until a door that holds it asks, such a change goes to a person like any other.
_PLACES = {
    Outcome.PENDING_APPROVAL: State.PENDING_APPROVAL,
    Outcome.APPROVED: State.PENDING_APPROVAL,
    Outcome.HELD: State.HELD,
    Outcome.REJECTED: State.REJECTED,
}


class OutOfDate(RuntimeError):
    """The change moved on while it was examined; what was found is about an earlier state of it."""


# --- a drafted change ----------------------------------------------------------------------------


def screen(*, intent_id: UUID | str, at: datetime, deadline: float | None = None) -> Intent:
    """Examine a DRAFTED change and place it; any other is returned as it is.

    Call it outside a transaction: the EHR is asked. While the EHR does not answer, the change stays
    DRAFTED and is tried again later. When another worker was first, its result stands.
    """
    intent = load(intent_id)
    if intent.state != State.DRAFTED:
        return intent
    examined = examine(intent=intent, at=at, deadline=deadline)
    try:
        with transaction.atomic():
            intent = _lock(intent)
            _check_current(examined, intent)
            if examined.unanswered:
                _postpone(examined, intent=intent, at=at)
            else:
                _place(examined, intent=intent, at=at)
    except OutOfDate:
        log.info("A screening was discarded", extra={"intent_id": str(intent_id)})
        return load(intent_id)
    return intent


def screen_due(*, at: datetime, limit: int = 20) -> int:
    """Screen what waits for it, oldest first, of every tenant; returns how many left DRAFTED.

    Any number of workers may sweep at once: each change is filed once.
    """
    due = (
        Intent.unscoped.filter(state=State.DRAFTED, expires_at__gt=at, tenant__is_active=True)
        .filter(Q(screen_not_before__isnull=True) | Q(screen_not_before__lte=at))
        .order_by("created_at", "position")
        .values_list("tenant_id", "pk")[:limit]
    )
    placed = 0
    for tenant_id, intent_id in list(due):
        with tenant_context(tenant_id):
            try:
                placed += screen(intent_id=intent_id, at=at).state != State.DRAFTED
            except Exception as fault:  # noqa: BLE001 - one draft's fault may not stop the others' screening
                log.error(
                    "A draft could not be checked",
                    extra={"intent_id": str(intent_id), "error": type(fault).__name__},
                )
                _set_aside(intent_id, at=at)
    return placed


def load(intent_id: UUID | str) -> Intent:
    """The change with everything that examining it needs."""
    return Intent.objects.select_related(
        "tenant",
        "connection",
        "proposal__agent",
        "proposal__agent_release",
        "current_version",
        "current_screening",
    ).get(pk=intent_id)


def _lock(intent: Intent) -> Intent:
    """The change locked, its proposal first: everybody takes these locks in this order."""
    proposal = Proposal.lock(intent.proposal_id)
    locked = Intent.lock(intent.pk)
    locked.proposal = proposal
    locked.connection = intent.connection
    return locked


def _validator(intent: Intent) -> Actor:
    """The validator, who reads the chart by the right of the organisation's connection."""
    return _VALIDATOR.with_authority(f"connection {intent.connection.name}"[:500])


def _check_current(examined: Examined, intent: Intent) -> None:
    now = (intent.current_version_id, intent.state, intent.current_screening_id)
    if now != (examined.version_id, examined.state, examined.screening_id):
        raise OutOfDate


def _postpone(examined: Examined, *, intent: Intent, at: datetime) -> None:
    wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(intent.screen_attempts, 10))
    if examined.retry_after:
        wait = max(wait, min(_LONGEST_ASKED_WAIT, timedelta(seconds=examined.retry_after)))
    first = intent.screen_attempts == 0
    intent.reason = examined.unanswered
    intent.change(
        actor=_validator(intent),
        at=at,
        reason=examined.unanswered,
        screen_not_before=at + wait,
        screen_attempts=intent.screen_attempts + 1,
    )
    if first and examined.unanswered == NOT_ANSWERING:
        intent.note(tag=AuditTag.INTENT_BASELINE_UNREADABLE, actor=_validator(intent), at=at)


def _set_aside(intent_id: UUID, *, at: datetime) -> None:
    with transaction.atomic():
        intent = _lock(load(intent_id))
        if intent.state != State.DRAFTED:
            return
        intent.reason = "Being checked; the check failed and is tried again."
        intent.change(
            actor=_validator(intent),
            at=at,
            reason=intent.reason,
            screen_not_before=at + _LONGEST_WAIT,
            screen_attempts=intent.screen_attempts + 1,
        )


def _place(examined: Examined, *, intent: Intent, at: datetime) -> None:
    """File and move: to REJECTED with an error, else through VALIDATED to where the rules say."""
    screening = _write(examined, intent=intent, at=at)
    codes = sorted({f.code for f in examined.findings})
    found: dict[str, object] = {"screening": str(screening.pk), "findings": codes}
    rows = tuple(screening.findings.order_by("position"))
    cleared: dict[str, Any] = {"screen_not_before": None, "screen_attempts": 0}
    if examined.errors or examined.decided is None:
        intent.advance(
            State.REJECTED,
            actor=_validator(intent),
            at=at,
            reason=examined.errors[0].diagnostics if examined.errors else "",
            rejected_by=RejectedBy.VALIDATION,
            rows=rows,
            detail=found,
            current_screening=screening,
            **cleared,
        )
        return
    decided = examined.decided
    intent.advance(
        State.VALIDATED,
        actor=_validator(intent),
        at=at,
        rows=rows,
        detail=found,
        current_screening=screening,
        tier=decided.verdict.tier,
        **cleared,
    )
    verdict = keep_verdict(decided, screening=screening, at=at)
    to = _PLACES.get(decided.verdict.outcome)
    if to is None:
        # The draft lane rests here until a person promotes it.
        _note_verdict(intent, decided, verdict, at=at)
        return
    intent.advance(
        to,
        actor=policy_actor(decided),
        at=at,
        reason=_reason(examined, to=to),
        rejected_by=RejectedBy.POLICY if to is State.REJECTED else None,
        rows=(verdict,),
        detail=_decision_detail(decided),
    )


def _reason(examined: Examined, *, to: State) -> str:
    if to is State.HELD and examined.holds:
        return examined.holds[0].diagnostics
    if to in (State.HELD, State.REJECTED) and examined.decided is not None:
        return examined.decided.verdict.sentence[:500]
    return ""


def policy_actor(decided: Decided) -> Actor:
    """Policy, under the rules that decided."""
    rules = ", ".join(reason.rule for reason in decided.verdict.reasons)
    return _POLICY.with_authority(f"policy {decided.policy_version.version}: {rules}"[:500])


def _decision_detail(decided: Decided) -> dict[str, Any]:
    verdict = decided.verdict
    return {
        "tier": verdict.tier.value,
        "outcome": verdict.outcome.value,
        "rules": [reason.rule for reason in verdict.reasons],
        "policy": verdict.policy_hash,
        "input": verdict.input_hash,
        "consent": list(decided.consent.directive_ids),
    }


def _note_verdict(
    intent: Intent, decided: Decided, verdict: PolicyVerdict, *, at: datetime
) -> None:
    intent.note(
        tag=AuditTag.INTENT_POLICY_DECIDED,
        actor=policy_actor(decided),
        at=at,
        rows=(verdict,),
        **_decision_detail(decided),
    )


# --- the records ---------------------------------------------------------------------------------


def keep(examined: Examined, *, intent: Intent, at: datetime) -> Screening:
    """File what was examined about a change that stays in its state, and point the change at it.

    The caller's transaction holds the locks of proposal and change. Raises `OutOfDate` when the change
    moved on since it was examined, and ValueError for an examination that the EHR did not answer.
    """
    if examined.unanswered:
        raise ValueError("There is nothing to keep: the EHR did not answer.")
    _check_current(examined, intent)
    screening = _write(examined, intent=intent, at=at)
    changes: dict[str, Any] = {"current_screening": screening}
    decided = examined.decided
    if decided is not None:
        changes["tier"] = decided.verdict.tier
    intent.change(actor=_validator(intent), at=at, **changes)
    intent.note(
        tag=AuditTag.INTENT_VALIDATION_FAILED
        if examined.errors
        else AuditTag.INTENT_VALIDATION_PASSED,
        actor=_validator(intent),
        at=at,
        rows=tuple(screening.findings.order_by("position")),
        screening=str(screening.pk),
        findings=sorted({f.code for f in examined.findings}),
    )
    if decided is not None:
        verdict = keep_verdict(decided, screening=screening, at=at)
        _note_verdict(intent, decided, verdict, at=at)
    return screening


def _write(examined: Examined, *, intent: Intent, at: datetime) -> Screening:
    """The Screening and its Findings, with the events of the reading and the freezing."""
    version, baseline, plan = intent.current_version, examined.baseline, examined.plan
    last = version.screenings.aggregate(last=Max("number"))["last"] if version else None
    target = baseline.target if baseline else None
    screening = Screening(
        tenant_id=intent.tenant_id,
        version=version,
        number=(last or 0) + 1,
        target_version=target.version_id if target else "",
        hash_whole=target.hash_whole if target else "",
        hash_touched=target.hash_touched(plan.touched) if target and plan else "",
        neighbourhood_hash=baseline.hash_neighbourhood(intent.change_kind) if baseline else "",
        connection_settings_hash=examined.settings_hash,
        adapter_version=examined.adapter_version,
        capabilities_hash=examined.capabilities_hash,
        payload_hash=plan.payload_hash() if plan else "",
        finality=plan.finality.value if plan else "",
        created_at=at,
    )
    patient = intent.proposal.patient_ref
    with patient_key(tenant_id=intent.tenant_id, patient_ref=patient):
        if baseline:
            held = {**baseline.to_json(), "author": examined.author}
            screening.set_phi("baseline", held, patient_ref=patient)
        if examined.alikes:
            screening.set_phi("name_alikes", examined.alikes.to_json(), patient_ref=patient)
        if plan:
            screening.set_phi("wire_plan", plan.to_json(), patient_ref=patient)
    screening.save()
    Finding.objects.bulk_create(
        Finding(
            tenant_id=intent.tenant_id,
            screening=screening,
            position=position,
            severity=finding.severity.value,
            code=finding.code,
            expression=finding.expression,
            diagnostics=finding.diagnostics,
            needs_decision=finding.needs_decision,
            holds=finding.holds,
        )
        for position, finding in enumerate(examined.findings)
    )
    if baseline:
        intent.note(
            tag=AuditTag.INTENT_BASELINE_READ,
            actor=_validator(intent),
            at=at,
            read_at=baseline.read_at,
            target_version=screening.target_version,
            whole=screening.hash_whole,
            touched=screening.hash_touched,
            neighbourhood=screening.neighbourhood_hash,
            missing=list(baseline.missing),
            unreadable=[part.what for part in baseline.unreadable],
        )
    if plan:
        intent.note(
            tag=AuditTag.INTENT_WIRE_FROZEN,
            actor=_validator(intent),
            at=at,
            rows=(screening,),
            screening=str(screening.pk),
            payload=screening.payload_hash,
            tag_uuid=plan.tag.uuid,
            requests=len(plan.steps),
            finality=screening.finality,
            settings=screening.connection_settings_hash,
            capabilities=screening.capabilities_hash,
            adapter=f"{plan.adapter} {plan.adapter_version}",
        )
    return screening


def keep_verdict(
    decided: Decided, *, screening: Screening, at: datetime, moment: str = ""
) -> PolicyVerdict:
    """Store one verdict with its facts, in a transaction. `moment`: when it was asked for, if not as decided."""
    verdict = decided.verdict
    row = PolicyVerdict(
        tenant_id=screening.tenant_id,
        screening=screening,
        moment=moment or decided.moment,
        tier=verdict.tier.value,
        lane=verdict.lane.value if verdict.lane else "",
        outcome=verdict.outcome.value,
        policy_version=decided.policy_version,
        policy_hash=verdict.policy_hash,
        engine_version=verdict.engine,
        reasons=[reason.to_json() for reason in verdict.reasons],
        consent_directives=list(decided.consent.directive_ids),
        input_hash=verdict.input_hash,
        at=at,
    )
    patient = screening.version.intent.proposal.patient_ref
    row.set_phi("input", dict(verdict.input), patient_ref=patient)
    row.save()
    return row


# --- a change that waits for a decision ------------------------------------------------------------


class Outcomes(StrEnum):
    """What became of a second screening."""

    REFRESHED = "refreshed"
    HELD = "held"
    UNANSWERED = "unanswered"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Rescreened:
    """A change after a second screening, and its new screening if there is one."""

    intent: Intent
    screening: Screening | None
    outcome: Outcomes
    sentence: str = ""


def rescreen(
    *, intent_id: UUID | str, at: datetime, deadline: float | None = IN_REQUEST
) -> Rescreened:
    """A new screening for a change in PENDING_APPROVAL: after an undo, or when the chart moved beside it.

    Outside a transaction. It stays where it is, with every earlier approval void, unless the checks or
    the rules now stop it: then it is HELD.
    """
    intent = load(intent_id)
    return refile(examine(intent=intent, at=at, deadline=deadline), intent=intent, at=at)


def refile(examined: Examined, *, intent: Intent, at: datetime) -> Rescreened:
    """File a second examination of a change that waits for a decision. Opens its own transaction."""
    if examined.unanswered:
        return Rescreened(intent, None, Outcomes.UNANSWERED, examined.unanswered)
    try:
        with transaction.atomic():
            locked = _lock(intent)
            _check_waiting(locked)
            screening = keep(examined, intent=locked, at=at)
            sentence = _stopping(examined)
            if sentence:
                locked.advance(
                    State.HELD,
                    actor=_validator(intent),
                    at=at,
                    reason=sentence,
                    detail={"screening": str(screening.pk)},
                )
                return Rescreened(locked, screening, Outcomes.HELD, sentence)
            return Rescreened(locked, screening, Outcomes.REFRESHED)
    except OutOfDate:
        return Rescreened(load(intent.pk), None, Outcomes.DISCARDED)


def _check_waiting(intent: Intent) -> None:
    if intent.state != State.PENDING_APPROVAL:
        raise OutOfDate


def _stopping(examined: Examined) -> str:
    """Why a change that waits for a decision may not wait any longer; "" when it may."""
    if examined.errors:
        return examined.errors[0].diagnostics
    if examined.holds:
        return examined.holds[0].diagnostics
    decided = examined.decided
    if decided is None:
        return "The change could not be checked again."
    if decided.verdict.tier is Tier.BLOCKED or decided.verdict.outcome is Outcome.HELD:
        return decided.verdict.sentence[:500]
    return ""


def hold_moved(
    *, intent: Intent, screening_id: UUID | None, at: datetime, sentence: str, **detail: Any
) -> Intent:
    """Stop a change whose chart moved under it, unless it moved on itself. Opens its own transaction."""
    with transaction.atomic():
        locked = _lock(intent)
        if locked.state == State.PENDING_APPROVAL and locked.current_screening_id == screening_id:
            locked.note(
                tag=AuditTag.INTENT_BASELINE_MOVED, actor=_validator(locked), at=at, **detail
            )
            locked.advance(State.HELD, actor=_validator(locked), at=at, reason=sentence[:500])
        return locked
