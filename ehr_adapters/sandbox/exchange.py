"""One request as a front sees it, and the answer it makes: plain values between the server and the fronts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from ehr_adapters.sandbox import exact_json
from ehr_adapters.sandbox.charts import Lag
from ehr_adapters.sandbox.models import SandboxClient
from ehr_adapters.sandbox.scopes import Scope

FHIR_JSON = "application/fhir+json;charset=UTF-8"


class Spoiler(Protocol):
    """What a content fault does to an entry on its way into the chart."""

    @property
    def echoes_what_was_sent(self) -> bool:
        """Does the answer show the entry as sent, not as filed?"""

    def alter(self, content: dict[str, Any]) -> dict[str, Any]:
        """The entry as it will be filed."""

    def lag(self, *, at: datetime, last_request: int) -> Lag | None:
        """How long searches do not show it."""


@dataclass(slots=True)
class Call:
    """One request below a front's base."""

    vendor: str
    method: str
    path: str  # without leading slash
    query: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    at: datetime
    base: str  # absolute address of the front, no trailing slash
    last_request: int  # number of the newest logged request
    client: SandboxClient | None = None
    scopes: list[Scope] = field(default_factory=list)
    scope_text: str = ""
    spoiler: Spoiler | None = None

    @property
    def target(self) -> str:
        """Path and query, as in the log."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def author(self) -> str:
        """Who a filing is logged under."""
        return f"client:{self.client.client_id}" if self.client else "client:?"

    def params(self) -> list[tuple[str, str]]:
        """The query's parameters, in order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def prefers(self) -> str:
        """The `return` preference: minimal, representation, OperationOutcome, or ""."""
        for part in self.headers.get("prefer", "").replace(",", ";").split(";"):
            name, _, value = part.strip().partition("=")
            if name == "return":
                return value
        return ""

    def lenient(self) -> bool:
        """Did the client ask for unknown search parameters to be ignored?"""
        return "handling=lenient" in self.headers.get("prefer", "")


@dataclass(slots=True)
class Answer:
    """A complete answer and what carrying out the request did to the chart."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    committed: list[str] = field(default_factory=list)  # "Type/id/_history/v"
    staged: list[str] = field(default_factory=list)  # "Type/id"


def json_answer(status: int, value: Any, *, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a FHIR JSON body."""
    return Answer(
        status, {"Content-Type": FHIR_JSON, **(headers or {})}, exact_json.dumps(value).encode()
    )
