"""Approval: one transaction for the whole draft, one sealed statement for each change.

The chart is read again before the transaction, because no transaction is held while an EHR answers.
Inside it everything is looked at once more under the locks: who decides, what was shown, which checks
were made, what the rules say now. Then decisions, statements, states, outbox entries and audit are one
commit; none of them exists without the others.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Model

from audit.actors import Actor
from audit.tags import AuditTag
from ehr_adapters.contract import WirePlan
from intents.governance import approval_key, roles
from intents.governance.encryption import CannotUnseal
from intents.governance.models import Membership
from intents.lifecycle import CLOSED, State, Tier
from intents.models import Intent, PolicyVerdict, Proposal, ReviewDecision, Screening
from intents.pipeline import outbox, presentation, screening, sealing, worklist
from intents.pipeline.delivery import words
from intents.pipeline.presentation import NotPresentable, ReviewPage
from intents.pipeline.review import attributing
from intents.pipeline.review.locking import check_may_decide, check_reviewer, lock_draft
from intents.pipeline.review.refusals import (
    AllOrNothing,
    ChartUnreadable,
    ChecksOpen,
    ConflictFound,
    DependsOnDropped,
    NotAllowed,
    NotApprovable,
    NotPending,
    PageOutOfDate,
    RulesTightened,
    SignInAgain,
    TargetBusy,
    TooFast,
)
from intents.pipeline.screening import Decided
from intents.pipeline.screening.facts import NoRulesInForce
from intents.pipeline.sealing import Statement

# Nobody reads a patient banner in less; all other fast decisions are counted, not refused.
_SCRIPTED = timedelta(seconds=1)
# By the risk of what the page shows: an open session that somebody else walks up to decides nothing grave.
_SIGN_IN_LIMITS = {"high": timedelta(minutes=15), "dual": timedelta(minutes=5)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionForm:
    """What the page sent back, and what the door knows about the person's sign-in.

    `payload_hashes` maps the id of each change that was shown to the hash of its frozen bytes;
    `checks` maps check keys to answers. `opened_at` is when the server showed the page.
    """

    view_hash: str
    payload_hashes: Mapping[str, str]
    checks: Mapping[str, str]
    opened_at: datetime
    authenticated_at: datetime
    authentication_method: str


def approve(
    *, proposal_id: UUID | str, reviewer: Membership, form: DecisionForm, at: datetime
) -> list[Intent]:
    """Approve every change of the draft that waits for a decision, exactly as it was shown.

    Returns the changes decided about; one that needs two people stays PENDING_APPROVAL after the
    first. Raises a `ReviewRefused`, and then nothing was decided; `ConflictFound` and `RulesTightened`
    say that changes were put on hold. Must not be called inside a transaction.
    """
    proposal = Proposal.objects.get(pk=proposal_id)
    check_reviewer(reviewer, proposal=proposal, at=at)
    if at - form.opened_at < _SCRIPTED:
        raise TooFast
    _check_chart(proposal, at=at)
    try:
        with transaction.atomic(durable=True):
            decided, tightened = _decide(proposal_id, reviewer=reviewer, form=form, at=at)
    except outbox.TargetBusy:
        raise TargetBusy from None
    except IntegrityError as broken:
        # Two approvals for one entry at the same moment: the database let one of them through.
        # SQLite names the columns of the constraint, PostgreSQL its name.
        if not any(name in str(broken) for name in ("one_in_flight", "target_key")):
            raise
        raise TargetBusy from None
    if tightened:
        raise RulesTightened
    return decided


def _check_chart(proposal: Proposal, *, at: datetime) -> None:
    """Is the chart still as it was shown? Asked of the EHR, outside every transaction."""
    try:
        fresh = screening.refresh(
            proposal_id=proposal.pk, at=at, deadline=settings.EHR_REVIEW_READ_SECONDS
        )
    except CannotUnseal:
        raise NotApprovable(
            "What is stored of this draft cannot be opened, so it cannot be approved."
        ) from None
    found = {each.freshness for each in fresh}
    if screening.Freshness.SILENT in found:
        raise ChartUnreadable
    moved = [
        each.intent_id
        for each in fresh
        if each.freshness in (screening.Freshness.TOUCHED_DIFFERS, screening.Freshness.MOVED)
    ]
    if moved:
        raise ConflictFound(moved)
    # What differs elsewhere was rendered again: the page's hash will not fit any more.


def _decide(
    proposal_id: UUID | str, *, reviewer: Membership, form: DecisionForm, at: datetime
) -> tuple[list[Intent], bool]:
    proposal, intents = lock_draft(proposal_id)
    check_reviewer(reviewer, proposal=proposal, at=at)
    pending = [intent for intent in intents if intent.state == State.PENDING_APPROVAL]
    _check_set(proposal, intents=intents, pending=pending)
    page = _check_page(proposal, form=form, at=at)
    _check_payloads(pending, page=page, form=form)
    check_may_decide(reviewer, intents=pending)
    left = page.open_checks(form.checks)
    if left:
        raise ChecksOpen(left)
    limit = sign_in_limit(page)
    if limit is not None and at - form.authenticated_at > limit:
        raise SignInAgain(limit)
    answers = {intent.pk: _ask_the_rules(intent, at=at) for intent in pending}
    stopped = [intent for intent in pending if _hold(intent, answer=answers[intent.pk], at=at)]
    if stopped:
        return [], True
    for intent in pending:
        outbox.check_target_is_free(intent)
    actor = roles.actor_of(reviewer)
    for intent in pending:
        _approve_one(
            intent,
            page=page,
            answer=answers[intent.pk],
            reviewer=reviewer,
            actor=actor,
            form=form,
            at=at,
        )
    worklist.release_claim(proposal_id=proposal.pk, reviewer=reviewer, at=at)
    return pending, False


def sign_in_limit(page: ReviewPage) -> timedelta | None:
    """How old the last sign-in may be to approve what this page shows; None: as old as the session."""
    return _SIGN_IN_LIMITS.get(page.risk)


# --- what must hold -------------------------------------------------------------------------------


def _check_set(proposal: Proposal, *, intents: Sequence[Intent], pending: Sequence[Intent]) -> None:
    if not pending:
        raise NotPending
    if proposal.all_or_nothing and len(pending) != len(intents):
        raise AllOrNothing
    by_ref = {intent.ref: intent for intent in intents}
    for intent in pending:
        if intent.change_kind == "note":
            continue  # a note may stand without what it reports: its statements were decided about
        for ref in intent.depends_on:
            other = by_ref.get(ref)
            if other is not None and other.state in (*CLOSED, State.HELD, State.FAILED):
                raise DependsOnDropped


def _check_page(proposal: Proposal, *, form: DecisionForm, at: datetime) -> ReviewPage:
    try:
        page = presentation.build(proposal=proposal, at=at)
    except NotPresentable as problem:
        raise NotApprovable(str(problem)) from None
    if not secrets.compare_digest(page.view_hash, form.view_hash):
        raise PageOutOfDate
    return page


def _check_payloads(pending: Sequence[Intent], *, page: ReviewPage, form: DecisionForm) -> None:
    """The bytes that are stored are the bytes that the page showed, by their hash taken again."""
    shown = page.payload_hashes()
    for intent in pending:
        current = intent.current_screening
        if current is None or not current.wire_plan or intent.tier == Tier.BLOCKED:
            raise NotApprovable
        stored = _plan(current).payload_hash()
        hashes = {
            stored,
            current.payload_hash,
            shown.get(str(intent.pk)),
            form.payload_hashes.get(str(intent.pk)),
        }
        if len(hashes) != 1:
            raise PageOutOfDate


def _plan(current: Screening) -> WirePlan:
    plan = screening.plan_of(current)
    if plan is None:
        raise NotApprovable
    return plan


def _ask_the_rules(intent: Intent, *, at: datetime) -> Decided:
    try:
        return screening.policy_now(intent=intent, screening=_screening(intent), at=at)
    except NoRulesInForce:
        raise NotApprovable("No rules are in force, so nothing can be approved.") from None


def _hold(intent: Intent, *, answer: Decided, at: datetime) -> bool:
    """Stop it if the rules or the patient's consent no longer allow it; True if it was stopped."""
    code = screening.no_longer_allowed(answer, screening=_screening(intent), tier=Tier(intent.tier))
    if not code:
        return False
    intent.advance(
        State.HELD, actor=screening.policy_actor(answer), at=at, reason=words.reason(code)
    )
    return True


def _screening(intent: Intent) -> Screening:
    if intent.current_screening is None:
        raise NotApprovable
    return intent.current_screening


# --- deciding about one change --------------------------------------------------------------------


def _approve_one(
    intent: Intent,
    *,
    page: ReviewPage,
    answer: Decided,
    reviewer: Membership,
    actor: Actor,
    form: DecisionForm,
    at: datetime,
) -> None:
    current = _screening(intent)
    verdict = screening.keep_verdict(
        answer,
        screening=current,
        moment="approval",
        at=at,
    )
    given = worklist.decisions_of_round(current)
    earlier = [each for each in given if each.kind in ("approve", "second")]
    refusal = worklist.why_not_now(intent, reviewer)
    if refusal:
        raise NotAllowed(refusal)
    _set_expiry(intent, is_first=not earlier, actor=actor, at=at)
    decision = _seal(
        intent,
        page=page,
        verdict=verdict,
        reviewer=reviewer,
        form=form,
        kind="second" if earlier else "approve",
        number=worklist.round_of(current),
        at=at,
    )
    approvals = [*earlier, decision]
    rows: tuple[Model, ...] = (*approvals, current, current.version)
    detail: dict[str, object] = {
        "payload_hash": current.payload_hash,
        "view_hash": page.view_hash,
        "statement": sealing.Statement.from_canonical(decision.statement.encode()).hash(),
        "decision": str(decision.pk),
        "policy": verdict.policy_hash,
    }
    if len(approvals) < worklist.needed(intent):
        # The first of two: recorded and sealed, and nothing more. The second is asked blind.
        intent.note(
            tag=AuditTag.INTENT_REVIEW_APPROVED, actor=actor, at=at, rows=rows, first=True, **detail
        )
        return
    if earlier:
        intent.note(tag=AuditTag.INTENT_REVIEW_SECONDED, actor=actor, at=at, rows=rows, **detail)
    provenance = attributing.keep_provenance(
        intent, plan=_plan(current), approvals=approvals, policy_hash=verdict.policy_hash, at=at
    )
    event = intent.advance(
        State.APPROVED,
        actor=actor,
        at=at,
        reason="approved: Approved as it was shown.",
        rows=(*rows, provenance),
        detail={**detail, "provenance": provenance.resource_hash},
    )
    undo = worklist.undo_seconds(kind=intent.change_kind, tenant=intent.tenant)
    entry = outbox.enqueue(
        intent=intent,
        screening=current,
        decision=decision,
        approval_event_id=event.pk,
        actor=actor,
        at=at,
        not_before=at + timedelta(seconds=undo),
    )
    intent.note(
        tag=AuditTag.INTENT_WRITE_ENQUEUED,
        actor=actor,
        at=at,
        entry=str(entry.pk),
        payload_hash=entry.payload_hash,
        not_before=entry.not_before,
    )


def _set_expiry(intent: Intent, *, is_first: bool, actor: Actor, at: datetime) -> None:
    """The end of the approval is fixed by the first decision, because each statement names it."""
    if not is_first and intent.approval_expires_at and intent.approval_expires_at > at:
        return
    if not is_first:
        raise NotAllowed("The first approval has run out. Both have to be given again.")
    intent.change(
        actor=actor,
        at=at,
        approval_expires_at=worklist.approval_expires_at(
            kind=intent.change_kind, approved_at=at, tenant=intent.tenant
        ),
    )


def _seal(
    intent: Intent,
    *,
    page: ReviewPage,
    verdict: PolicyVerdict,
    reviewer: Membership,
    form: DecisionForm,
    kind: str,
    number: int,
    at: datetime,
) -> ReviewDecision:
    """The decision with its sealed statement, stored."""
    current = _screening(intent)
    own = {
        check.key
        for card in page.cards
        if card.intent_id == str(intent.pk)
        for check in card.checks
    }
    checks = {key: answer for key, answer in form.checks.items() if key in own}
    fields: dict[str, object] = outbox.stored_fields(intent, screening=current, plan=_plan(current))
    fields |= {
        "view_hash": page.view_hash,
        "checks": sealing.stated_checks(checks),
        "policy_version": str(verdict.policy_version.version),
        "policy_hash": verdict.policy_hash,
        "approver_id": str(reviewer.user_id),
        "approver_name": reviewer.user.name or reviewer.user.email,
        "approver_role": f"{reviewer.role}/{reviewer.clinical_role}",
        "authenticated_at": form.authenticated_at,
        "authentication_method": form.authentication_method,
        "meaning": sealing.APPROVED_FOR_FILING if kind == "approve" else sealing.SECOND_CHECK,
        "nonce": secrets.token_hex(16),
        "decided_at": at,
    }
    seal = sealing.sign(
        Statement(**fields),  # type: ignore[arg-type]  # Statement checks each of its values
        private_key=approval_key.signing_key(),
    )
    decision = ReviewDecision(
        id=uuid4(),
        tenant_id=intent.tenant_id,
        screening=current,
        reviewer=reviewer,
        round=number,
        kind=kind,
        statement=seal.statement.decode(),
        signature=seal.signature,
        key_id=seal.key_id,
        view_hash=page.view_hash,
        payload_hash=current.payload_hash,
        checks=checks,
        seconds_on_page=max(0, int((at - form.opened_at).total_seconds())),
        decided_at=at,
    )
    decision.save(force_insert=True)
    return decision
