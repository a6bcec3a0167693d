"""What programs find out about the portal before they sign in. Public."""

from typing import Any

from django.conf import settings
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from intents.api import schema  # noqa: F401 - registers the scheme
from intents.api.authentication import SCOPES
from intents.api.errors import KINDS, MEDIA_TYPE, Problem, type_of
from intents.api.serializers import (
    AuthorizationServer,
    ProblemDetails,
    ProblemKind,
    ProtectedResource,
)
from intents.api.tokens import token_url
from intents.governance.models import CredentialMethod
from intents.governance.models.agent import ALGORITHMS


class PublicView(APIView):
    """A view that needs no sign-in and knows nobody."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class AuthorizationServerView(PublicView):
    """`GET /.well-known/oauth-authorization-server` (RFC 8414)."""

    @extend_schema(
        operation_id="authorization_server",
        tags=["sign-in"],
        responses=AuthorizationServer,
        auth=[],
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                "issuer": settings.PORTAL_URL,
                "token_endpoint": token_url(),
                "token_endpoint_auth_methods_supported": list(CredentialMethod.values),
                "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
                "scopes_supported": list(SCOPES),
                "protected_resources": [settings.PORTAL_URL],
            }
        )


class ProtectedResourceView(PublicView):
    """`GET /.well-known/oauth-protected-resource` (RFC 9728)."""

    @extend_schema(
        operation_id="protected_resource", tags=["sign-in"], responses=ProtectedResource, auth=[]
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                "resource": settings.PORTAL_URL,
                "resource_name": "reviewportal",
                "authorization_servers": [settings.PORTAL_URL],
                "bearer_methods_supported": ["header"],
                "scopes_supported": list(SCOPES),
            }
        )


class ProblemKindView(PublicView):
    """`GET /api/v1/problems/{code}`: what a problem's `type` leads to."""

    @extend_schema(
        operation_id="problem_kind",
        tags=["errors"],
        responses={200: ProblemKind, (404, MEDIA_TYPE): ProblemDetails},
        auth=[],
    )
    def get(self, request: Request, code: str) -> Response:
        kind = KINDS.get(code)
        if kind is None:
            raise Problem("not-found")
        return Response(
            {
                "type": type_of(code),
                "code": code,
                "status": kind.status,
                "title": kind.title,
                "meaning": kind.meaning,
            }
        )


class SchemaView(SpectacularAPIView):
    """`GET /api/schema/`: the OpenAPI 3.1 document; JSON unless YAML is asked for."""

    # Each under its own media type and under the plain one, which most clients ask for.
    renderer_classes = [
        OpenApiJsonRenderer,
        OpenApiJsonRenderer2,
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
    ]


class NotFoundView(PublicView):
    """Whatever else lies under the agent doors: a problem, not a page."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Problem("not-found")
