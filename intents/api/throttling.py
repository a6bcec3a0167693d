"""How often an agent may ask. Counted in the process's cache; the limit is per agent, not per token."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from intents.api.authentication import AgentPrincipal


class AgentThrottle(SimpleRateThrottle):
    """AGENT_REQUESTS_PER_MINUTE for each agent; 429 with Retry-After above it."""

    scope = "agent"

    def get_rate(self) -> str:
        return f"{settings.AGENT_REQUESTS_PER_MINUTE}/min"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not isinstance(request.user, AgentPrincipal):
            return None
        return f"throttle:agent:{request.user.agent.pk}"


class SignInThrottle(SimpleRateThrottle):
    """As many sign-ins an address: secrets and signatures are not guessed at leisure."""

    scope = "sign-in"

    def get_rate(self) -> str:
        return f"{settings.AGENT_REQUESTS_PER_MINUTE}/min"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"throttle:sign-in:{self.get_ident(request)}"
