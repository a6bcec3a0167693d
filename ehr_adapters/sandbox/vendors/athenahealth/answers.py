"""How the proprietary interface answers: small JSON, errors with missing fields, plain words from the gateway."""

from collections.abc import Mapping, Sequence
from typing import Any

from ehr_adapters.sandbox import exact_json
from ehr_adapters.sandbox.exchange import Answer
from ehr_adapters.sandbox.outcomes import RequestRefused

JSON = {"Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


def told(value: Any, *, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, dict(JSON), exact_json.dumps(value).encode())


def refused(
    status: int, error: str, *, detail: str = "", missing: Sequence[str] = ()
) -> RequestRefused:
    """A refusal of the backend: `error` is for end users, the rest for the developer."""
    body: dict[str, Any] = {"error": error}
    if detail:
        body["detailedmessage"] = detail
    if missing:
        body["missingfields"] = list(missing)
    return RequestRefused(status, "processing", error, answer=told(body, status=status))


def missing(*names: str) -> RequestRefused:
    """Fields that the call needs were not sent."""
    return refused(400, "Additional fields are required.", missing=names)


def gateway(status: int, words: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer from before the backend: plain words, no JSON."""
    return Answer(status, PLAIN | dict(headers or {}), words.encode())


def stopped(status: int, words: str, headers: Mapping[str, str] | None = None) -> RequestRefused:
    """A refusal of the gateway."""
    return RequestRefused(status, "processing", words, answer=gateway(status, words, headers))
