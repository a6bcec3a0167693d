"""Who is asking: an access token's agent, as it is at this moment.

A token is a claim to ask. At every request the credential behind it, its agent and its tenant are read
again; a session cookie beside the token changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from allauth.idp.oidc.models import Token
from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from intents.api.errors import Problem, challenge
from intents.governance.models import Agent, AgentCredential
from intents.governance.tenancy import enter_tenant
from intents.lifecycle import Lane
from intents.pipeline import intake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.views import APIView

STATUS_SCOPE = "portal/status"
LANE_SCOPES = {lane: f"portal/{lane.value}" for lane in Lane}
# In a view's `required_scopes`: the scope of whichever lane the credential opens.
OWN_LANE = "portal/*"
SCOPES = (*LANE_SCOPES.values(), STATUS_SCOPE)


@dataclass(frozen=True, slots=True)
class AgentPrincipal:
    """An agent that asks, with the one credential and the scopes of the token it came with."""

    credential: AgentCredential
    scopes: frozenset[str]

    is_authenticated = True
    is_active = True
    is_staff = False
    is_superuser = False

    @property
    def pk(self) -> UUID:
        return self.credential.pk

    @property
    def agent(self) -> Agent:
        return self.credential.agent

    @property
    def lane(self) -> Lane:
        return Lane(self.credential.lane)


class AgentTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer` and nothing else. 401 with a challenge for anything that is not good."""

    def authenticate(self, request: Request) -> tuple[AgentPrincipal, Token]:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        kind, _, value = header.partition(" ")
        if kind.lower() != "bearer" or not value.strip():
            raise NotAuthenticated
        at = timezone.now()
        token = Token.objects.lookup(Token.Type.ACCESS_TOKEN, value.strip())
        if token is None:
            raise AuthenticationFailed
        principal = principal_of(token, at=at)
        enter_tenant(principal.credential.tenant_id)
        return principal, token

    def authenticate_header(self, request: Request) -> str:
        has_token = request.META.get("HTTP_AUTHORIZATION", "")[:7].lower() == "bearer "
        return challenge("invalid_token" if has_token else "")


def principal_of(token: Token, *, at: datetime) -> AgentPrincipal:
    """The agent behind a token that is still good in every respect, or AuthenticationFailed."""
    scopes = frozenset(token.get_scopes())
    if (
        token.user_id is not None
        or token.client_id is None
        or token.expires_at is None
        or token.expires_at <= at
        or token.get_resources() != [settings.PORTAL_URL]
    ):
        raise AuthenticationFailed
    try:
        credential = intake.authenticate(credential_id=UUID(token.client_id), lane=None, at=at)
    except (ValueError, intake.AgentRefused):
        raise AuthenticationFailed from None
    # A token reaches one lane: a scope of another one is not a token that this portal made.
    if not scopes <= {LANE_SCOPES[Lane(credential.lane)], STATUS_SCOPE}:
        raise AuthenticationFailed
    return AgentPrincipal(credential=credential, scopes=scopes)


class HasPortalScope(BasePermission):
    """A view names the scope of each of its methods in `required_scopes`; no name, no entry."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        required: Mapping[str, str] = getattr(view, "required_scopes", {})
        method = "GET" if request.method == "HEAD" else request.method or ""
        wanted = required.get(method)
        if wanted is None:
            # A method that the view does not have is answered with 405 by the view itself.
            return method not in view.allowed_methods
        if not isinstance(request.user, AgentPrincipal):
            return False
        if wanted == OWN_LANE:
            wanted = LANE_SCOPES[request.user.lane]
        if wanted in request.user.scopes:
            return True
        if wanted in LANE_SCOPES.values() and wanted != LANE_SCOPES[request.user.lane]:
            raise Problem("wrong-lane")
        raise Problem(
            "scope-not-granted",
            f"The access token lacks the scope {wanted}.",
            headers={"WWW-Authenticate": challenge("insufficient_scope")},
        )


def principal(request: Request) -> AgentPrincipal:
    """The agent of an authenticated request."""
    if not isinstance(request.user, AgentPrincipal):
        raise NotAuthenticated
    return request.user
