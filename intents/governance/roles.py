"""What a person may do: role to permissions in one table, clinical role to changes in another.

The role says which rooms a person enters; the clinical role says about which changes they may
decide (`docs/architecture.md`, "Risk, roles and tiers"). What is in neither table is refused.
"""

from collections.abc import Mapping
from enum import StrEnum

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings

from audit.actors import Actor, ActorKind
from intents.governance.models import (
    ClinicalRole,
    EhrConnection,
    EhrIdentity,
    Membership,
    Profession,
    Role,
    User,
)


class Permission(StrEnum):
    """One thing that a role may do."""

    SEE_QUEUE = "SEE_QUEUE"
    SEE_CLINICAL_CONTENT = "SEE_CLINICAL_CONTENT"
    DECIDE = "DECIDE"
    HOLD = "HOLD"
    SEE_WORK_LIST = "SEE_WORK_LIST"
    SETTLE = "SETTLE"
    SEE_AUDIT = "SEE_AUDIT"
    EXPORT_AUDIT = "EXPORT_AUDIT"
    SEE_METRICS = "SEE_METRICS"
    STOP_WRITING = "STOP_WRITING"
    RELEASE_WRITING = "RELEASE_WRITING"
    ADMINISTER = "ADMINISTER"


_P = Permission

PERMISSIONS: Mapping[str, frozenset[Permission]] = {
    Role.REVIEWER: frozenset(
        {
            _P.SEE_QUEUE,
            _P.SEE_CLINICAL_CONTENT,
            _P.DECIDE,
            _P.SEE_WORK_LIST,
            _P.SEE_METRICS,
            _P.STOP_WRITING,
        }
    ),
    Role.COMPLIANCE: frozenset(
        {
            _P.SEE_QUEUE,
            _P.SEE_CLINICAL_CONTENT,
            _P.HOLD,
            _P.SEE_WORK_LIST,
            _P.SEE_AUDIT,
            _P.EXPORT_AUDIT,
            _P.SEE_METRICS,
            _P.STOP_WRITING,
            _P.RELEASE_WRITING,
        }
    ),
    Role.OPERATOR: frozenset(
        {
            _P.SEE_QUEUE,
            _P.SEE_CLINICAL_CONTENT,
            _P.SEE_WORK_LIST,
            _P.SETTLE,
            _P.SEE_METRICS,
            _P.STOP_WRITING,
            _P.RELEASE_WRITING,
        }
    ),
    Role.ADMIN: frozenset(
        {
            _P.SEE_METRICS,
            _P.SEE_AUDIT,
            _P.STOP_WRITING,
            _P.RELEASE_WRITING,
            _P.ADMINISTER,
        }
    ),
    Role.AUDITOR: frozenset({_P.SEE_AUDIT, _P.EXPORT_AUDIT, _P.SEE_METRICS}),
    Role.SUPPORT: frozenset({_P.SEE_METRICS, _P.SEE_WORK_LIST}),
}

# No edge of the lifecycle is open to an administrator: roles that never touch a change act as one.
_ACTOR_KIND: Mapping[str, ActorKind] = {
    Role.REVIEWER: ActorKind.REVIEWER,
    Role.COMPLIANCE: ActorKind.COMPLIANCE,
    Role.OPERATOR: ActorKind.OPERATOR,
    Role.ADMIN: ActorKind.ADMINISTRATOR,
    Role.AUDITOR: ActorKind.ADMINISTRATOR,
    Role.SUPPORT: ActorKind.ADMINISTRATOR,
}


def actor_of(membership: Membership) -> Actor:
    """This person, in this role, as the actor of an event."""
    user = membership.user
    return Actor(
        kind=_ACTOR_KIND[membership.role],
        id=str(user.pk),
        name=user.name or user.email,
        authority=f"role {membership.role}",
    )


def actor_of_user(user: User) -> Actor:
    """An administrator of the installation, who acts without a membership."""
    return Actor(
        kind=ActorKind.ADMINISTRATOR,
        id=str(user.pk),
        name=user.name or user.email,
        authority="superuser",
    )


def permits(membership: Membership | None, permission: Permission) -> bool:
    """True if an active person holds an active role that permits it. The table's only reader."""
    return (
        membership is not None
        and membership.is_active
        and membership.user.is_active
        and permission in PERMISSIONS.get(membership.role, frozenset())
    )


# --- deciding --------------------------------------------------------------------------------------


def why_not_review(membership: Membership | None) -> str:
    """The sentence that tells a person why they may not decide at all; empty when they may."""
    if membership is None or not permits(membership, Permission.DECIDE):
        return "Your role does not decide about drafts."
    if settings.REQUIRE_MFA_TO_DECIDE and not has_second_factor(membership.user):
        return "Deciding needs a passkey or a second factor. Set one up under your name."
    return ""


def may_review(membership: Membership | None) -> bool:
    """May this person decide about drafts at all? About which: `may_decide`."""
    return not why_not_review(membership)


def may_operate(membership: Membership | None) -> bool:
    """May this person settle writes and resend?"""
    return permits(membership, Permission.SETTLE)


def may_audit(membership: Membership | None) -> bool:
    """May this person read the audit timeline?"""
    return permits(membership, Permission.SEE_AUDIT)


def may_hold(membership: Membership | None) -> bool:
    """May this person put a change on hold for compliance?"""
    return permits(membership, Permission.HOLD)


def may_administer(membership: Membership | None) -> bool:
    """May this person change who may do what?"""
    return permits(membership, Permission.ADMINISTER)


def has_second_factor(user: User) -> bool:
    """A passkey, security key or authenticator app. Recovery codes alone are not a factor."""
    return is_mfa_enabled(user, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN])


_PRESCRIBER = frozenset({ClinicalRole.PRESCRIBER})
_CLINICIAN = _PRESCRIBER | {ClinicalRole.LICENSED}
_ASSISTANT = _CLINICIAN | {ClinicalRole.ASSISTANT}
_DESK = _ASSISTANT | {ClinicalRole.REGISTRATION}

# Which clinical roles may decide about a kind of change, before the narrower rows below.
DECIDERS: Mapping[str, frozenset[str]] = {
    "note": _CLINICIAN,
    "problem": _CLINICIAN,
    "allergy": _CLINICIAN,
    "medication": _PRESCRIBER,
    "order": _PRESCRIBER,
    "vitals": _CLINICIAN,
    "result": _CLINICIAN,
    "questionnaire": _CLINICIAN,
    "message": _CLINICIAN,
    "task": _ASSISTANT,
    "care_plan": _ASSISTANT,
    "appointment": _DESK,
    "demographics": _DESK,
}
# Kinds about which a nurse or pharmacist decides together with a prescriber, where two people have to.
SECONDED = frozenset({"medication", "order"})
# Kinds whose content names the clinician it speaks for: only that person decides.
AUTHORED = frozenset({"note", "order"})


def deciders(*, kind: str, interaction: str, facts: Mapping[str, str]) -> frozenset[str]:
    """The clinical roles that may decide about such a change; none for what no row mentions.

    `facts` are coded values of the change (`category`, `entry`), of its screening (`high_alert`), and how many
    people have to approve (`people`).
    """
    allowed = DECIDERS.get(kind, frozenset())
    if kind == "problem" and facts.get("category") == "encounter-diagnosis":
        allowed &= _PRESCRIBER
    if (
        kind == "medication"
        and interaction == "create"
        and facts.get("entry") == "list"
        and facts.get("high_alert") == "no"
    ):
        # A nurse may record a list entry of a drug that is not on the high-alert table.
        allowed |= {ClinicalRole.LICENSED}
    if kind in SECONDED and facts.get("people") == "2":
        # Beside a prescriber: `may_be_two` asks for one.
        allowed |= {ClinicalRole.LICENSED}
    return allowed


def identity_of(*, user: User, connection: EhrConnection) -> EhrIdentity | None:
    """Who this person is in that EHR, verified and not revoked."""
    return EhrIdentity.objects.filter(
        user=user, connection=connection, revoked_at__isnull=True
    ).first()


def why_not_decide(
    membership: Membership | None,
    *,
    kind: str,
    interaction: str,
    facts: Mapping[str, str],
    connection: EhrConnection,
    author_ref: str | None = "",
) -> str:
    """The sentence that tells a person why not about this change; empty when they may decide.

    `author_ref` is the clinician whose name the change carries, "" where somebody has yet to give it theirs,
    None where it carries none or where not every approval has to be the author's.
    """
    refusal = why_not_review(membership)
    if membership is None or refusal:
        return refusal
    if membership.clinical_role not in deciders(kind=kind, interaction=interaction, facts=facts):
        return "Your clinical role does not decide about this kind of change."
    if kind in AUTHORED and author_ref is not None:
        identity = identity_of(user=membership.user, connection=connection)
        if identity is None:
            return "You have no verified identity in this EHR, and this change carries an author."
        if author_ref != identity.practitioner_ref:
            return "This change carries another clinician's name. Take it over as author first."
    return ""


def may_decide(
    membership: Membership | None,
    *,
    kind: str,
    interaction: str,
    facts: Mapping[str, str],
    connection: EhrConnection,
    author_ref: str | None = "",
) -> bool:
    """May this person approve or reject this very change?"""
    return not why_not_decide(
        membership,
        kind=kind,
        interaction=interaction,
        facts=facts,
        connection=connection,
        author_ref=author_ref,
    )


class SecondCheck(StrEnum):
    """Who the two people of a dual approval have to be."""

    ONE_PRESCRIBER = "ONE_PRESCRIBER"
    TWO_PRESCRIBERS_OR_PHARMACIST = "TWO_PRESCRIBERS_OR_PHARMACIST"


def may_be_one_of_two(membership: Membership, *, needs: SecondCheck) -> bool:
    """Could this person be one of the two, whoever the other is?"""
    if needs is SecondCheck.ONE_PRESCRIBER:
        return True
    return (
        membership.clinical_role == ClinicalRole.PRESCRIBER
        or membership.profession == Profession.PHARMACIST
    )


def may_be_two(first: Membership, second: Membership, *, needs: SecondCheck) -> bool:
    """Do these two approvals together satisfy a dual tier? Never one person twice."""
    if first.user_id == second.user_id:
        return False
    prescribers = sum(each.clinical_role == ClinicalRole.PRESCRIBER for each in (first, second))
    if needs is SecondCheck.ONE_PRESCRIBER:
        return prescribers >= 1
    pharmacist = any(each.profession == Profession.PHARMACIST for each in (first, second))
    return prescribers == 2 or (prescribers == 1 and pharmacist)
