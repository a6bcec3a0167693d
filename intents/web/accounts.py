"""Signing in and out, the choice of organisation, and each person's own preferences.

Accounts are made by administrators: there is no page to sign up, to reset a forgotten password or to
change one's address. Every sign-in, refusal, sign-out and change of a factor is an audit event.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.account import signals as account_signals
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.account.views import LoginView, LogoutView
from allauth.core import context as allauth_context
from allauth.mfa import signals as mfa_signals
from django.conf import settings
from django.contrib.auth import login as start_session
from django.contrib.auth import logout as end_session
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor, ActorKind
from audit.recording import record
from audit.tags import AuditTag
from intents.governance.middleware import choose_membership
from intents.governance.models import ClinicalRole, Membership, Profession, Role, User
from intents.governance.roles import actor_of, actor_of_user
from intents.web.access import PortalRequest, page

# The backend that a demo session is recorded under; it answers `get_user` and nothing else is asked.
_SESSION_BACKEND = "django.contrib.auth.backends.ModelBackend"
_KEPT_SECONDS = 365 * 24 * 3600


def _memberships(user: User) -> list[Membership]:
    """Where this person works now; the door's own lookup, before a tenant is chosen."""
    return list(
        Membership.unscoped.filter(user=user, is_active=True, tenant__is_active=True)
        .select_related("user", "tenant")
        .order_by("tenant__name")
    )


def record_session_event(tag: AuditTag, *, user: User | None, **body: object) -> None:
    """An event about a person and their session, in the log of the one organisation they work in.

    A person of several organisations, or of none, is recorded in the log of the deployment.
    """
    memberships = _memberships(user) if user else []
    if len(memberships) == 1:
        actor, tenant_id = actor_of(memberships[0]), str(memberships[0].tenant_id)
    elif user:
        actor = actor_of_user(user).with_authority("sign-in")
        tenant_id = None
    else:
        actor = Actor(kind=ActorKind.INSTALLATION, id="somebody", name="Somebody unknown")
        tenant_id = None
    with transaction.atomic():
        record(tag=tag, actor=actor, at=timezone.now(), tenant_id=tenant_id, body=body)


class AccountAdapter(DefaultAccountAdapter):
    """The sign-in library's hooks: closed sign-up, and an audit event for each step."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("home")

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        record_session_event(
            AuditTag.SESSION_PERSON_SIGNED_IN, user=user, methods=_methods(request)
        )

    def logout(self, request: HttpRequest) -> None:
        record_session_event(AuditTag.SESSION_PERSON_SIGNED_OUT, user=_signed_in(request))
        super().logout(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            # Too many tries in a short time: the password is not even looked at.
            record_session_event(AuditTag.SESSION_PERSON_LOCKED_OUT, user=_account_of(credentials))
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """A refused password. Names the account if there is one, never what was typed."""
        locked = bool(getattr(request, "axes_locked_out", False))
        tag = (
            AuditTag.SESSION_PERSON_LOCKED_OUT if locked else AuditTag.SESSION_PERSON_SIGN_IN_FAILED
        )
        record_session_event(tag, user=_account_of(credentials), factor="password")

    def reauthenticate(self, user: User, password: str) -> bool:
        """Is this the person's password? By the address they sign in with."""
        again = self.authenticate(allauth_context.request, email=user.email, password=password)
        return again is not None and again.pk == user.pk


def _account_of(credentials: dict[str, Any]) -> User | None:
    """The account that somebody tried to sign in to, if there is one."""
    email = str(credentials.get("email") or "").lower()
    return User.objects.filter(email=email).first() if email else None


def _methods(request: HttpRequest) -> list[str]:
    """How this session was opened, as the sign-in library noted it: password, mfa, demo."""
    records = request.session.get("account_authentication_methods") or []
    return [str(each.get("method")) for each in records]


def _signed_in(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


@receiver(account_signals.authentication_step_completed, dispatch_uid="web.reauthenticated")
def _on_step(*, user: User, method: str, **detail: Any) -> None:
    if detail.get("reauthenticated"):
        record_session_event(AuditTag.SESSION_PERSON_REAUTHENTICATED, user=user, factor=str(method))


@receiver(user_logged_out, dispatch_uid="web.timed_out")
def _on_signed_out(*, request: HttpRequest, user: User | None, **_: Any) -> None:
    """A session that ended by itself; a person's own sign-out is recorded by the adapter."""
    if user is not None and getattr(request, "ended_idle", False):
        record_session_event(AuditTag.SESSION_PERSON_TIMED_OUT, user=user)


@receiver(mfa_signals.authentication_failed, dispatch_uid="web.factor_failed")
def _on_factor_failed(*, user: User, authenticator: Any, **_: Any) -> None:
    record_session_event(
        AuditTag.SESSION_PERSON_SIGN_IN_FAILED, user=user, factor=str(authenticator.type)
    )


@receiver(mfa_signals.authenticator_added, dispatch_uid="web.factor_added")
def _on_factor_added(*, user: User, authenticator: Any, **_: Any) -> None:
    record_session_event(AuditTag.SESSION_FACTOR_ADDED, user=user, factor=str(authenticator.type))


@receiver(mfa_signals.authenticator_removed, dispatch_uid="web.factor_removed")
def _on_factor_removed(*, user: User, authenticator: Any, **_: Any) -> None:
    record_session_event(AuditTag.SESSION_FACTOR_REMOVED, user=user, factor=str(authenticator.type))


@receiver(
    [
        account_signals.password_changed,
        account_signals.password_set,
        account_signals.password_reset,
    ],
    dispatch_uid="web.password_changed",
)
def _on_password(*, user: User, **_: Any) -> None:
    record_session_event(AuditTag.SESSION_PASSWORD_CHANGED, user=user)


# --- the demo's made-up people ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One button of the demo's sign-in page."""

    membership_id: UUID
    name: str
    initial: str
    role: str
    does: str


_DOES: dict[str, str] = {
    Role.COMPLIANCE: "Audit and integrity; decides nothing clinical",
    Role.OPERATOR: "Work list, connections, stopping writes",
    Role.ADMIN: "Agents, connections, policies",
    Role.AUDITOR: "Reads the audit, changes nothing",
    Role.SUPPORT: "Sees states and ages, no names and no values",
}
_DECIDES: dict[str, str] = {
    ClinicalRole.PRESCRIBER: "Decides drafts; may be first or second person",
    ClinicalRole.LICENSED: "Vitals, outside results, low-alert list entries",
    ClinicalRole.ASSISTANT: "Tasks, appointments, care plans",
    ClinicalRole.REGISTRATION: "Appointments and contact data",
    ClinicalRole.NONE: "Reads drafts, decides none",
}
_CALLED: dict[str, str] = {
    ClinicalRole.PRESCRIBER: "Prescriber",
    ClinicalRole.LICENSED: "Licensed clinician",
    ClinicalRole.ASSISTANT: "Medical assistant",
    ClinicalRole.REGISTRATION: "Registration clerk",
    ClinicalRole.NONE: "Reviewer",
}


def role_words(membership: Membership) -> str:
    """A person's work in words: "Prescriber, clinical lead", "Pharmacist", "Compliance"."""
    if membership.role != Role.REVIEWER:
        return Role(membership.role).label
    if membership.clinical_role == ClinicalRole.LICENSED and membership.profession in (
        Profession.NURSE,
        Profession.PHARMACIST,
    ):
        words = Profession(membership.profession).label
    else:
        words = _CALLED[membership.clinical_role]
    return f"{words}, clinical lead" if membership.clinical_lead else words


def _does(membership: Membership) -> str:
    if membership.role != Role.REVIEWER:
        return _DOES[membership.role]
    if membership.profession == Profession.PHARMACIST:
        return "Second person for high-alert medicines"
    if membership.clinical_lead:
        return "Decides drafts; settles when two answers differ"
    return _DECIDES[membership.clinical_role]


def demo_people() -> list[DemoPerson]:
    """The made-up people of a demo, in the order in which they were made; nobody outside it."""
    if not settings.DEMO_MODE:
        return []
    memberships = (
        Membership.unscoped.filter(
            is_active=True, tenant__is_active=True, user__is_active=True, user__is_superuser=False
        )
        .select_related("user", "tenant")
        .order_by("created_at", "user__name")
    )
    return [
        DemoPerson(
            membership_id=each.pk,
            name=each.user.name,
            initial=each.user.name.split()[-1][:1] if each.user.name else "?",
            role=role_words(each),
            does=_does(each),
        )
        for each in memberships
    ]


@method_decorator(never_cache, name="dispatch")
class SignIn(LoginView):
    """The sign-in page: passkey, password and, in the demo only, the made-up people by name."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        idle = settings.SESSION_IDLE_SECONDS // 60
        ended = self.request.GET.get("ended") == "idle" or getattr(
            self.request, "ended_idle", False
        )
        return super().get_context_data(**kwargs) | {
            "demo_people": demo_people(),
            "idle_minutes": idle,
            "signed_out_minutes": idle if ended else None,
        }


@method_decorator(never_cache, name="dispatch")
class Account(LogoutView):
    """GET: the person's own page, with the way out. POST: sign out."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"demo_people": demo_people()}


@require_POST
@never_cache
def demo_sign_in(request: HttpRequest) -> HttpResponse:
    """Become one of the demo's made-up people. Exists in demo mode only; elsewhere there is no such page."""
    if not settings.DEMO_MODE:
        raise Http404
    try:
        wanted = UUID(request.POST.get("person", ""))
    except ValueError:
        raise Http404 from None
    membership = (
        Membership.unscoped.filter(
            pk=wanted,
            is_active=True,
            tenant__is_active=True,
            user__is_active=True,
            user__is_superuser=False,
        )
        .select_related("user", "tenant")
        .first()
    )
    if membership is None:
        raise Http404
    if request.user.is_authenticated:
        record_session_event(AuditTag.SESSION_PERSON_SIGNED_OUT, user=_signed_in(request))
        end_session(request)
    start_session(request, membership.user, backend=_SESSION_BACKEND)
    record_authentication(request, membership.user, method="demo")
    choose_membership(request, membership=membership)
    record_session_event(AuditTag.SESSION_PERSON_SIGNED_IN, user=membership.user, methods=["demo"])
    return HttpResponseRedirect(_next(request, otherwise=reverse("home")))


@require_safe
@never_cache
def sign_in_again(request: HttpRequest) -> HttpResponse:
    """A newer sign-in for a grave decision; `?next=` is where it goes on.

    Who has neither a password nor a second factor here signs in through their organisation from the start.
    """
    user = _signed_in(request)
    wanted = request.GET.get("next", "")
    if user is None:
        return redirect(f"{reverse('account_login')}?{urlencode({'next': wanted})}")
    if get_reauthentication_flows(user):
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': wanted})}")
    membership = getattr(request, "membership", None)
    if settings.DEMO_MODE and membership is not None:
        return render(
            request,
            "account/demo_again.html",
            {"membership": membership, "next": wanted},
        )
    record_session_event(AuditTag.SESSION_PERSON_SIGNED_OUT, user=user)
    end_session(request)
    return redirect(f"{reverse('account_login')}?{urlencode({'next': wanted})}")


# --- organisation, preferences, start page -------------------------------------------------------------


def _next(request: HttpRequest, *, otherwise: str) -> str:
    """Where a form asks to return to, if it is an address of ours."""
    wanted = request.POST.get("next", "")
    fine = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if wanted and fine else otherwise


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def choose_workspace(request: HttpRequest) -> HttpResponse:
    """Which organisation to work in, for people of several; a plain answer for people of none."""
    user = _signed_in(request)
    if user is None:
        return redirect("account_login")
    memberships = _memberships(user)
    if request.method == "POST":
        chosen = next((m for m in memberships if str(m.pk) == request.POST.get("membership")), None)
        if chosen is None:
            raise Http404
        choose_membership(request, membership=chosen)
        with transaction.atomic():
            record(
                tag=AuditTag.SESSION_TENANT_CHOSEN,
                actor=actor_of(chosen),
                at=timezone.now(),
                tenant_id=str(chosen.tenant_id),
            )
        return redirect("home")
    choices = [{"id": m.pk, "name": m.tenant.name, "role": role_words(m)} for m in memberships]
    return render(request, "intents/workspace.html", {"choices": choices})


@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Light or dark, and single-key shortcuts (WCAG 2.1.4), which are kept for each person apart."""
    response = HttpResponseRedirect(_next(request, otherwise=reverse("home")))
    chosen: dict[str, str] = {}
    if request.POST.get("theme") in ("light", "dark"):
        chosen["theme"] = request.POST["theme"]
    user = _signed_in(request)
    if user is not None and request.POST.get("single_keys") in ("on", "off"):
        chosen[keys_cookie(user)] = request.POST["single_keys"]
    for name, value in chosen.items():
        response.set_cookie(
            name, value, max_age=_KEPT_SECONDS, samesite="Lax", secure=request.is_secure()
        )
    return response


def keys_cookie(user: User) -> str:
    """The cookie that keeps this person's switch: people who share a browser do not share it."""
    return f"single_keys_{user.pk.hex[:12]}"


_START: dict[str, str] = {
    Role.REVIEWER: "queue",
    Role.COMPLIANCE: "audit",
    Role.OPERATOR: "worklist",
    Role.ADMIN: "admin:index",
    Role.AUDITOR: "audit",
    Role.SUPPORT: "worklist",
}


@require_safe
@page("home")
def home(request: PortalRequest) -> HttpResponse:
    """The page that a person's work begins on."""
    return redirect(_START[request.membership.role])


@require_safe
@page("keys")
def keys(request: PortalRequest) -> HttpResponse:
    """Every key, and the switch, for people without script."""
    return render(request, "intents/keys.html")
