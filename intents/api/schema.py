"""What the OpenAPI document says about signing in."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from intents.api.authentication import OWN_LANE


class AgentTokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document describes it."""

    target_class = "intents.api.authentication.AgentTokenAuthentication"
    name = "agentToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "oauth2",
            "description": (
                "Client credentials, authenticated by private_key_jwt (ES384 or RS384); "
                "tokens live at most 300 seconds and open one lane."
            ),
            "flows": {
                "clientCredentials": {
                    "tokenUrl": f"{settings.PORTAL_URL}/oauth/token",
                    "scopes": {
                        "portal/draft": "Prepare drafts that a person must first take up.",
                        "portal/suggest": "Propose changes to a reviewer.",
                        "portal/commit": "Propose changes that policy may approve by itself.",
                        "portal/status": "Read what became of one's own proposals.",
                    },
                }
            },
        }

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        required = getattr(auto_schema.view, "required_scopes", {})
        scope = required.get(auto_schema.method)
        # A method that takes any lane's scope is described by the scope of none in particular.
        return {self.name: [scope] if scope and scope != OWN_LANE else []}
