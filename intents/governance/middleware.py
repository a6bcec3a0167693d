"""Whose data this request may see, and whether its session has been idle too long.

For people the tenant comes from the membership that the session chose. For programs it comes from
the credential behind the token: the authentication class calls `enter_tenant()`, and the context is
closed here when the request ends. Agent doors never look at a session cookie.
"""

from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from intents.governance.models import Membership, Tenant
from intents.governance.tenancy import enter_tenant, leave_tenant

# Requests under these are made by programs: a cookie in them means nothing.
AGENT_DOORS = ("/api/", "/oauth/", "/.well-known/", "/fhir/", "/mcp")

MEMBERSHIP_KEY = "membership_id"
TENANT_KEY = "tenant_id"
LAST_SEEN_KEY = "last_seen_at"


class TenantMiddleware:
    """Sets `request.membership` (or None) and the tenant context of the whole request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.membership = None  # type: ignore[attr-defined]  # what views read as PortalRequest
        tenant_id = None
        if not request.path.startswith(AGENT_DOORS):
            request.ended_idle = end_idle_session(request, at=timezone.now())  # type: ignore[attr-defined]  # what views read as PortalRequest
            membership = membership_of(request)
            request.membership = membership  # type: ignore[attr-defined]  # what views read as PortalRequest
            tenant_id = membership.tenant_id if membership else _tenant_of_superuser(request)
        token = enter_tenant(tenant_id)
        try:
            return self.get_response(request)
        finally:
            leave_tenant(token)


def end_idle_session(request: HttpRequest, *, at: datetime) -> bool:
    """Sign out a session unused for SESSION_IDLE_SECONDS; True if it was.

    A shared workstation must not stay open (NIST SP 800-63B-4, section 2.3.3, takes 15 minutes).
    """
    if not request.user.is_authenticated:
        return False
    now = at.timestamp()
    seen = request.session.get(LAST_SEEN_KEY)
    if seen is not None and now - seen > settings.SESSION_IDLE_SECONDS:
        # Known before the sign-out is told to others: it was not the person's own.
        request.ended_idle = True  # type: ignore[attr-defined]  # what views read as PortalRequest
        logout(request)
        return True
    # Written at most every half minute: a page with parts would write the session many times.
    if seen is None or now - seen >= 30:
        request.session[LAST_SEEN_KEY] = now
    return False


def membership_of(request: HttpRequest) -> Membership | None:
    """The active membership this session works under: the chosen one, else the only one."""
    if not request.user.is_authenticated:
        return None
    memberships = list(
        Membership.unscoped.filter(
            user_id=request.user.pk, is_active=True, tenant__is_active=True
        ).select_related("user", "tenant")
    )
    chosen = request.session.get(MEMBERSHIP_KEY)
    if chosen is not None:
        return next((each for each in memberships if str(each.pk) == chosen), None)
    return memberships[0] if len(memberships) == 1 else None


def choose_membership(request: HttpRequest, *, membership: Membership) -> None:
    """Work under this membership from the next request on. The caller checked that it is theirs."""
    request.session[MEMBERSHIP_KEY] = str(membership.pk)


def _tenant_of_superuser(request: HttpRequest) -> str | None:
    """A superuser without a membership picks a tenant for the administration pages."""
    if not (request.user.is_authenticated and request.user.is_superuser):
        return None
    chosen = request.session.get(TENANT_KEY)
    if chosen is None:
        return None
    return chosen if Tenant.objects.filter(pk=chosen).exists() else None
