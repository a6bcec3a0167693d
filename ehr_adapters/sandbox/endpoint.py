"""Who may come in at a front, and what the front says about itself: tokens, scopes, discovery."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, ClassVar

from ehr_adapters.sandbox import charts, conformance, oauth, scopes, searching
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxClient
from ehr_adapters.sandbox.outcomes import RequestRefused


class Endpoint:
    """One vendor's address, its tokens and its habits. The defaults are the specifications'."""

    vendor: ClassVar[str]
    types: ClassVar[frozenset[str]] = conformance.RESOURCE_TYPES
    versioned: ClassVar[bool] = True
    longest_jti: ClassVar[int] = 255

    def admit(self, call: Call) -> None:
        """Fills in who calls. Raises RequestRefused (401)."""
        token = oauth.bearer(
            vendor=self.vendor, authorization=call.headers.get("authorization", ""), at=call.at
        )
        if token is None:
            raise self.not_authenticated()
        call.client = token.client
        call.scope_text = token.scope
        call.scopes = self.scopes_of(token.scope)

    def throttled(self, call: Call) -> Answer | None:
        """The refusal of a call that is one too many by this vendor's counting; None lets it through."""
        del call
        return None

    def fault_target(self, call: Call) -> str:
        """What the path of a scripted fault is matched with: path and query, and where one address serves
        every request, also what the request asks for."""
        return call.target

    def in_own_words(self, call: Call, fault: str, answer: Answer) -> Answer:
        """A scripted refusal as this vendor would put it."""
        del call, fault
        return answer

    def holds_credential(self, call: Call) -> bool:
        """Does the body hold a password or a key? Then the log keeps its hash only."""
        del call
        return False

    def scopes_of(self, text: str) -> list[scopes.Scope]:
        """What a token's scope allows here."""
        return scopes.parse(text)

    def capability_statement(self, call: Call) -> dict[str, Any]:
        """What this server says it can do."""
        raise NotImplementedError

    def smart_configuration(self, call: Call) -> dict[str, Any]:
        """The discovery document of SMART App Launch 2.2."""
        return {
            "token_endpoint": self.token_url(call.base),
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(oauth.ALGORITHMS),
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": self.scopes_supported(),
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        }

    def scopes_supported(self) -> list[str]:
        """Scopes that a client may ask for."""
        return ["system/*.cruds", *(f"system/{each}.cruds" for each in sorted(self.types))]

    def token_url(self, base: str) -> str:
        """The token endpoint beside a front's base: /generic/fhir/R4 has /generic/oauth2/token."""
        root = base[: base.index(f"/{self.vendor}/")]
        return f"{root}/{self.vendor}/oauth2/token"

    def grant(self, *, asked: str, client: Any) -> str:
        """The scope of a new token. Raises oauth.TokenRefused."""
        wanted = scopes.parse(asked)
        if not wanted:
            raise oauth.TokenRefused("invalid_scope", "ask for system/ scopes")
        given = scopes.granted(asked=wanted, registered=scopes.parse(client.scope))
        if not given:
            raise oauth.TokenRefused(
                "invalid_scope", "none of these scopes is registered for the client"
            )
        return " ".join(str(scope) for scope in given)

    def token_client(self, call: Call, form: Mapping[str, str]) -> SandboxClient:
        """Who asks for a token. Raises oauth.TokenRefused."""
        return oauth.assertion_client(
            vendor=self.vendor, form=form, token_url=self.token_url(call.base), at=call.at,
            longest_jti=self.longest_jti,
        )  # fmt: skip

    def token_error_status(self, error: str) -> int:
        """RFC 6749 section 5.2: 401 where the client could not be authenticated, else 400."""
        return 401 if error == "invalid_client" else 400

    def not_authenticated(self) -> RequestRefused:
        """401 for a missing, unknown or expired token."""
        return RequestRefused(
            401, "login", "A valid access token is required.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )  # fmt: skip

    def new_id(self) -> str:
        """An id for a new entry, in this vendor's style."""
        return charts.new_id()

    def version_headers(self, version: int, at: datetime) -> dict[str, str]:
        """ETag and Last-Modified."""
        return {"ETag": f'W/"{version}"', "Last-Modified": format_datetime(at, usegmt=True)}

    def _within_scope(self, call: Call, right: str, type: str, content: Mapping[str, Any]) -> None:
        allowed = scopes.permitting(scopes=call.scopes, type=type, right=right)
        if not any(covers(scope, type, content) for scope in allowed):
            raise self._insufficient_scope()

    def _insufficient_scope(self) -> RequestRefused:
        return RequestRefused(
            403, "forbidden", "The token's scope does not cover this.",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )  # fmt: skip


def covers(scope: scopes.Scope, type: str, content: Mapping[str, Any]) -> bool:
    """Does the query of a narrowed scope match this entry?"""
    return all(
        searching.matches(content, type=type, name=name, value=value) for name, value in scope.query
    )
