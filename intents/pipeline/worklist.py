"""What waits for whom: order and claims, who may decide, how many must, and when time runs out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from audit.actors import Actor, ActorKind
from ehr_adapters.canonical import base as canonical
from intents.governance import roles
from intents.governance.models import EhrIdentity, Membership, Tenant
from intents.governance.roles import SecondCheck
from intents.governance.tenancy import tenant_context
from intents.lifecycle import OPEN, State, Tier
from intents.models import (
    Intent,
    OutboxEntry,
    PolicyVerdict,
    Proposal,
    ReviewDecision,
    Screening,
    Tick,
)
from intents.queries import queue

_SCHEDULER = Actor.system(ActorKind.SCHEDULER)

# A page that is being looked at renews its lease; one that was left frees the draft after this.
CLAIM = timedelta(minutes=15)

# How long an approval is good for (docs/architecture.md, "Expiry"); a tenant may shorten it.
_APPROVAL_LIFETIME: Mapping[str, timedelta] = {
    "message": timedelta(hours=1),
    "medication": timedelta(hours=4),
    "order": timedelta(hours=4),
    "vitals": timedelta(hours=4),
}
_USUAL_APPROVAL_LIFETIME = timedelta(hours=24)
_DRAFT_LIFETIME: Mapping[str, timedelta] = {
    "message": timedelta(hours=24),
    "medication": timedelta(hours=48),
    "order": timedelta(hours=48),
    "note": timedelta(hours=72),
    "allergy": timedelta(days=7),
    "problem": timedelta(days=7),
}
_USUAL_DRAFT_LIFETIME = timedelta(days=7)
# The day or hour by which a thing has to be decided because it is to happen then.
_DUE_FIELDS: Mapping[str, str] = {"task": "due", "appointment": "start"}
# The rule by which two prescribers, or a prescriber and a pharmacist, have to agree.
_TWO_PRESCRIBERS = frozenset({"MED-08"})


class ClaimedByAnother(RuntimeError):
    """Somebody else is looking at the draft just now."""

    sentence = "Somebody else is looking at this draft."

    def __init__(self) -> None:
        super().__init__(self.sentence)


# --- order and claims ----------------------------------------------------------------------------


def next_for(*, reviewer: Membership, at: datetime, after: UUID | None = None) -> Proposal | None:
    """The draft that this person should look at next: due first, claimed by nobody else; `after` is passed over."""
    cursor = ""
    while True:
        page = queue.page(
            queue.View.MINE, reviewer=reviewer, at=at, wanted=queue.Filter(), cursor=cursor
        )
        for proposal in page.proposals:
            if proposal.pk != after and not proposal.is_claimed_by_other(reviewer=reviewer, at=at):
                return proposal
        cursor = page.next_cursor
        if not cursor:
            return None


def claim(*, proposal_id: UUID | str, reviewer: Membership, at: datetime) -> Proposal:
    """Take the draft, or renew one's own lease. Raises `ClaimedByAnother` while another's lease runs."""
    with transaction.atomic():
        proposal = Proposal.lock(proposal_id)
        if proposal.is_claimed_by_other(reviewer=reviewer, at=at):
            raise ClaimedByAnother
        proposal.claim(reviewer=reviewer, actor=roles.actor_of(reviewer), at=at, lease=CLAIM)
        return proposal


def release_claim(*, proposal_id: UUID | str, reviewer: Membership, at: datetime) -> None:
    """Give the draft back; nothing happens when it is not this person's."""
    with transaction.atomic():
        proposal = Proposal.lock(proposal_id)
        if proposal.claimed_by_id == reviewer.pk and proposal.is_claimed(at=at):
            proposal.unclaim(actor=roles.actor_of(reviewer), at=at)


# --- who may decide ------------------------------------------------------------------------------


def why_not_decide(intent: Intent, membership: Membership | None) -> str:
    """The sentence that tells a person why not about this change; empty when they may."""
    known = _facts(intent)
    two = needed(intent) > 1
    refusal = roles.why_not_decide(
        membership,
        kind=intent.change_kind,
        interaction=intent.interaction,
        facts=known.of_change,
        connection=intent.connection,
        # Of two people, one is the author: `why_not_now`.
        author_ref=None if two and known.author else known.author,
    )
    if refusal or membership is None:
        return refusal
    if two and not roles.may_be_one_of_two(membership, needs=second_check(intent)):
        return "A high-alert medicine is approved by prescribers and pharmacists."
    if not two and known.responsible and not _is_one_of(membership, intent, known.responsible):
        return "A message is approved by the clinician of the visit."
    return ""


def _is_one_of(membership: Membership, intent: Intent, practitioners: Collection[str]) -> bool:
    identity = roles.identity_of(user=membership.user, connection=intent.connection)
    return identity is not None and identity.practitioner_ref in practitioners


def may_decide(intent: Intent, membership: Membership | None) -> bool:
    """May this person approve or reject this very change?"""
    return not why_not_decide(intent, membership)


def why_not_now(intent: Intent, membership: Membership | None) -> str:
    """As `why_not_decide`, and beside what others have answered about these bytes: two people are two
    people, the right two for the rule, and whoever made the change is not the second of them."""
    refusal = why_not_decide(intent, membership)
    if refusal or membership is None:
        return refusal
    given = _answers(intent)
    if membership.user_id in {each.reviewer.user_id for each in given if each.reviewer}:
        return "You have decided about this already. A second person has to."
    if any(each.kind == "reject" for each in given) and not membership.clinical_lead:
        return "The two reviewers differ: a clinical lead settles it."
    first = next((each.reviewer for each in given if each.kind != "reject"), None)
    if first is None or needed(intent) < 2:
        return ""
    if is_initiator(intent, membership):
        return "You made this change. Another person has to give the second approval."
    if not roles.may_be_two(first, membership, needs=second_check(intent)):
        return "These two roles together may not approve this change."
    author = _facts(intent).author
    if author and not any(_is_one_of(each, intent, {author}) for each in (first, membership)):
        return "The clinician whose name this carries has to be one of the two."
    return ""


def _answers(intent: Intent) -> list[ReviewDecision]:
    """Approvals and rejections of the current bytes since the last undo, oldest first."""
    if intent.current_screening is None:
        return []
    given = decisions_of_round(intent.current_screening)
    return [each for each in given if each.kind in ("approve", "second", "reject")]


def may_take_over(intent: Intent, membership: Membership) -> bool:
    """Could this person decide about the change if it carried their own name as author?"""
    if intent.change_kind not in roles.AUTHORED:
        return False
    known = _facts(intent)
    identity = roles.identity_of(user=membership.user, connection=intent.connection)
    if identity is None or known.author is None or identity.practitioner_ref == known.author:
        return False
    return roles.may_decide(
        membership,
        kind=intent.change_kind,
        interaction=intent.interaction,
        # Whose name it carries answers for it alone: nobody becomes that by being a second one.
        facts={**known.of_change, "people": "1"},
        connection=intent.connection,
        author_ref=identity.practitioner_ref,
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What decides who may decide. `author` is None where the change carries nobody's name, "" where it has yet
    to; `responsible` are the clinicians of the visit of a message."""

    of_change: Mapping[str, str]
    author: str | None
    responsible: frozenset[str] = frozenset()


def _facts(intent: Intent) -> _Facts:
    """From the change, else from the entry it is about; the author is the one whom screening put into the frozen
    bytes."""
    version, screening = intent.current_version, intent.current_screening
    content: Mapping[str, Any] = version.phi_json("content") if version else {}
    held: Mapping[str, Any] = (
        screening.phi_json("baseline") if screening is not None and screening.baseline else {}
    )
    target = (held.get("target") or {}).get("canonical") or {}

    def said(name: str) -> str:
        value = content.get(name) or target.get(name) or ""
        return value if isinstance(value, str) else ""

    model = canonical.kind_model(intent.change_kind)
    field = model.author_field
    rule = model.rules.get(canonical.Interaction(intent.interaction))
    author: str | None = None
    if field and rule is not None and field in rule.allowed:
        author = str(held.get("author") or content.get(field) or "")
    return _Facts(
        of_change={
            "category": said("category"),
            "entry": said("entry"),
            "high_alert": _high_alert(intent),
            "people": str(needed(intent)),
        },
        author=author,
        responsible=_responsible(intent, held) if intent.change_kind == "message" else frozenset(),
    )


def _responsible(intent: Intent, held: Mapping[str, Any]) -> frozenset[str]:
    """The clinicians of the visit who can sign in here; nobody in particular where there is none of them."""
    providers = (held.get("visit") or {}).get("providers") or ()
    return frozenset(
        EhrIdentity.objects.filter(
            connection=intent.connection, practitioner_ref__in=providers, revoked_at__isnull=True
        ).values_list("practitioner_ref", flat=True)
    )


def _high_alert(intent: Intent) -> str:
    """ "no" for a medicine of the table that the rules leave to one person; "yes" otherwise."""
    if intent.change_kind != "medication" or intent.tier != Tier.APPROVAL:
        return "yes"
    verdict = _verdict(intent)
    known = verdict is not None and verdict.phi_json("input").get("ingredients_known") is True
    return "no" if known else "yes"


def needed(intent: Intent) -> int:
    """How many different people have to approve."""
    return 2 if intent.tier == Tier.DUAL_APPROVAL else 1


def second_check(intent: Intent) -> SecondCheck:
    """Who the two people of a dual approval have to be."""
    verdict = _verdict(intent)
    rules = {str(reason["rule"]) for reason in verdict.reasons} if verdict else set()
    if rules & _TWO_PRESCRIBERS:
        return SecondCheck.TWO_PRESCRIBERS_OR_PHARMACIST
    return SecondCheck.ONE_PRESCRIBER


def _verdict(intent: Intent) -> PolicyVerdict | None:
    """The last thing that the rules said about the present screening."""
    screening = intent.current_screening
    return screening.verdicts.order_by("-at", "-id").first() if screening else None


def round_of(screening: Screening) -> int:
    """The number of the present round of decisions about a screening: an undo begins another."""
    return 1 + screening.decisions.filter(kind="undo").count()


def decisions_of_round(screening: Screening) -> list[ReviewDecision]:
    """The decisions of the present round, oldest first."""
    return list(
        screening.decisions.filter(round=round_of(screening))
        .select_related("reviewer__user")
        .order_by("decided_at", "pk")
    )


def is_initiator(intent: Intent, membership: Membership) -> bool:
    """This person made the version that is to be written, or answers for the agent that proposed it."""
    version = intent.current_version
    person = str(membership.user_id)
    owner = intent.proposal.agent.owner_id
    return (version is not None and version.author_id == person) or str(owner or "") == person


# --- time ----------------------------------------------------------------------------------------


def due_at(
    *, kind: str, received_at: datetime, tenant: Tenant, content: Mapping[str, Any] | None = None
) -> datetime:
    """When a draft should be decided, which is also when it expires: vitals by the end of the day, what has a day
    or hour of its own until then, the rest by kind."""
    zone = ZoneInfo(tenant.time_zone)
    today = received_at.astimezone(zone).date()
    if kind == "vitals":
        return _end_of(today, zone)
    usual = received_at + _DRAFT_LIFETIME.get(kind, _USUAL_DRAFT_LIFETIME)
    named = str((content or {}).get(_DUE_FIELDS.get(kind, "")) or "")
    try:
        due = (
            datetime.fromisoformat(named)
            if "T" in named
            else _end_of(max(date.fromisoformat(named), today), zone)
        )
    except ValueError:
        return usual
    return min(usual, due) if due.utcoffset() is not None and due > received_at else usual


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)


def approval_expires_at(*, kind: str, approved_at: datetime, tenant: Tenant) -> datetime:
    """Until when an approval may be sent: by kind, and never beyond the tenant's own window."""
    window = timedelta(hours=tenant.approval_window_hours)
    return approved_at + min(window, _APPROVAL_LIFETIME.get(kind, _USUAL_APPROVAL_LIFETIME))


def undo_seconds(*, kind: str, tenant: Tenant) -> int:
    """How long an approved change waits before it is sent, so that it can be undone."""
    return tenant.message_undo_seconds if kind == "message" else tenant.undo_seconds


def expire_due(*, at: datetime, limit: int = 200) -> int:
    """End what ran out of time, of every tenant: drafts nobody decided, approvals nobody could send.

    An approval that is being sent at this moment is left alone: what happened to it is found out first.
    """
    drafts = Q(state__in=OPEN, expires_at__lte=at)
    approvals = Q(state__in=(State.APPROVED, State.FAILED), approval_expires_at__lte=at)
    due = (
        Intent.unscoped.filter(drafts | approvals)
        .order_by("expires_at", "pk")
        .values_list("tenant_id", "pk")[:limit]
    )
    expired = 0
    for tenant_id, intent_id in list(due):
        with tenant_context(tenant_id):
            expired += _expire(intent_id, at=at)
    return expired


def _expire(intent_id: UUID, *, at: datetime) -> bool:
    with transaction.atomic():
        proposal_id = Intent.objects.values_list("proposal_id", flat=True).get(pk=intent_id)
        Proposal.lock(proposal_id)
        intent = Intent.lock(intent_id)
        if intent.state in OPEN and intent.expires_at <= at:
            # What a stage kept back had been decided; it ends as what it was.
            kept_back = intent.state == State.HELD and intent.reason.startswith("stage-")
            intent.advance(
                State.EXPIRED,
                actor=_SCHEDULER,
                at=at,
                reason=intent.reason if kept_back else "Nobody decided in time.",
            )
            return True
        lapsed = intent.approval_expires_at is not None and intent.approval_expires_at <= at
        if intent.state not in (State.APPROVED, State.FAILED) or not lapsed:
            return False
        if Tick.has_taken_over():
            # Nothing may be said of what was not sent until it is known what was forgotten.
            return False
        entry = OutboxEntry.objects.filter(intent=intent, closed_at__isnull=True).first()
        if entry is not None:
            entry = OutboxEntry.lock(entry.pk)
            if entry.is_leased(at=at):
                return False
            entry.close(actor=_SCHEDULER, at=at, reason="The approval ran out.")
        intent.advance(State.EXPIRED, actor=_SCHEDULER, at=at, reason="The approval ran out.")
        return True
