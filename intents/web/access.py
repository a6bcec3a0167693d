"""Who may open which page, and what every page of the people's door has in common.

A page asks for a signed-in person, one organisation and a permission of the person's role
(`governance.roles`). What a person may *decide* is asked again by the pipeline; this table only says
what is shown.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from zoneinfo import ZoneInfo

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from audit.recording import record
from audit.tags import AuditTag
from intents.governance.models import Membership, User
from intents.governance.roles import Permission, actor_of, permits

P = ParamSpec("P")

_P = Permission

# Page -> the permissions of which one opens it; an empty set is open to every member. A page that is
# not named here cannot be made.
OPEN_TO: dict[str, frozenset[Permission]] = {
    "home": frozenset(),
    "keys": frozenset(),
    "writing": frozenset(),
    "queue": frozenset({_P.SEE_QUEUE}),
    "review": frozenset({_P.SEE_CLINICAL_CONTENT}),
    "conflict": frozenset({_P.SEE_CLINICAL_CONTENT}),
    "delivery": frozenset({_P.SEE_CLINICAL_CONTENT}),
    "patients": frozenset({_P.SEE_CLINICAL_CONTENT}),
    "worklist": frozenset({_P.SEE_WORK_LIST}),
    "settle": frozenset({_P.SETTLE}),
    "audit": frozenset({_P.SEE_AUDIT}),
    # One draft's own history, for those who may open the draft.
    "draft_history": frozenset({_P.SEE_AUDIT, _P.SEE_CLINICAL_CONTENT}),
    "provenance": frozenset({_P.SEE_CLINICAL_CONTENT, _P.EXPORT_AUDIT}),
    "integrity": frozenset({_P.SEE_AUDIT}),
}


class PortalRequest(HttpRequest):
    """What a view behind `page()` is handed: `TenantMiddleware` has set the membership."""

    user: User
    membership: Membership


View = Callable[Concatenate[PortalRequest, P], HttpResponseBase]


def may_open(name: str, *, membership: Membership | None) -> bool:
    """Is the page open to this person?"""
    wanted = OPEN_TO[name]
    if membership is None:
        return False
    return not wanted or any(permits(membership, permission) for permission in wanted)


def sees_phi(membership: Membership) -> bool:
    """May this person see names and clinical values? Everybody else works without (45 CFR 164.502(b))."""
    return permits(membership, Permission.SEE_CLINICAL_CONTENT)


def page(name: str) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Make a view a page of the people's door: signed in, one organisation, a permission, uncached."""
    permissions = OPEN_TO[name]

    def decorate(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            response: HttpResponseBase | None = _turned_away(request, name=name)
            if response is None:
                # People read the clock on their own wall; exports are in UTC.
                with timezone.override(ZoneInfo(request.membership.tenant.time_zone)):  # type: ignore[attr-defined]  # set by the middleware
                    response = view(request, *args, **kwargs)  # type: ignore[arg-type]  # nobody without a membership comes this far
            add_never_cache_headers(response)
            return response

        guarded.page = name  # type: ignore[attr-defined]  # the test of every route reads it
        guarded.open_to = permissions  # type: ignore[attr-defined]  # the test of every route reads it
        return guarded

    return decorate


def _turned_away(request: HttpRequest, *, name: str) -> HttpResponse | None:
    """Where a person who may not open this page is sent; None lets them in. Refusals are recorded."""
    if not request.user.is_authenticated:
        # A page that cannot be loaded again is not returned to.
        wish = request.get_full_path() if request.method == "GET" else reverse("home")
        response = redirect_to_login(wish, login_url=reverse("account_login"))
        if getattr(request, "ended_idle", False):
            response["Location"] += "&ended=idle"
        return response
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None:
        return redirect("choose_workspace")
    if not may_open(name, membership=membership):
        with transaction.atomic():
            record(
                tag=AuditTag.SESSION_ACCESS_REFUSED,
                actor=actor_of(membership),
                at=timezone.now(),
                tenant_id=str(membership.tenant_id),
                body={"page": name},
            )
        raise PermissionDenied
    return None


def background(view: Callable[..., Any]) -> Callable[..., Any]:
    """A request that the page makes by itself: it must not keep an unattended session alive."""

    @wraps(view)
    def quiet(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        # `TenantMiddleware` noted the moment; leaving it unsaved leaves the idle clock running.
        request.session.modified = False
        return response

    return quiet
