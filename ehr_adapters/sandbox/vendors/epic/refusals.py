"""Epic's numbered refusals."""

from ehr_adapters.sandbox.exchange import Call
from ehr_adapters.sandbox.outcomes import RequestRefused

_CODES = {"59108": "required", "59105": "structure", "59144": "not-found"}


def refused(
    number: str, text: str, *, status: int = 400, expression: str = "", code: str = ""
) -> RequestRefused:
    """A refusal with one of the published numbers."""
    spelled = code or _CODES.get(number, "business-rule")
    return RequestRefused(status, spelled, text, number=number, expression=expression)


def require(met: object, number: str, text: str, expression: str) -> None:
    """Raises the numbered refusal (400) unless the condition is met."""
    if not met:
        raise refused(number, text, expression=expression)


def merged(call: Call, *, survivor: str) -> RequestRefused:
    """4107: the chart asked for is part of another; the redirect names the other."""
    return RequestRefused(
        302, "processing", "The patient has been merged into another record.", number="4107",
        headers={"Location": f"{call.base}/Patient/{survivor}"},
    )  # fmt: skip


def not_on_the_app() -> RequestRefused:
    """403 without a word: the API is not registered for the client."""
    return RequestRefused(403, "forbidden", "The API is not on the app.", empty=True)
