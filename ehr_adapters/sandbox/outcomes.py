"""How a front says no: one refusal, rendered as an OperationOutcome."""

from collections.abc import Mapping
from typing import Any


class RequestRefused(Exception):
    """The request was not carried out; nothing was filed. Carries the answer it deserves."""

    def __init__(
        self,
        status: int,
        code: str,
        text: str,
        *,
        number: str = "",
        expression: str = "",
        headers: Mapping[str, str] | None = None,
        empty: bool = False,
        issues: list[dict[str, Any]] | None = None,
        answer: Any = None,
    ) -> None:
        super().__init__(text)
        # The whole answer of an interface that does not speak FHIR.
        self.answer = answer
        self.status = status
        self.headers = dict(headers or {})
        # A refusal without any body: how Epic answers for an API that is not on the app.
        self.empty = empty
        self.outcome = operation_outcome(
            issues or [issue("error", code, text, number=number, expression=expression)]
        )


# The code system under which Epic publishes its error numbers.
EPIC_ERRORS = "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369"


def issue(
    severity: str, code: str, text: str, *, number: str = "", expression: str = ""
) -> dict[str, Any]:
    """One issue; `number` is a vendor's own error number, which goes into details.coding."""
    result: dict[str, Any] = {"severity": severity, "code": code}
    details: dict[str, Any] = {"text": text}
    if number:
        details = {
            "coding": [{"system": EPIC_ERRORS, "code": number, "display": text}],
            "text": text,
        }
    result["details"] = details
    if expression:
        result["expression"] = [expression]
    return result


def operation_outcome(issues: list[dict[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome over these issues."""
    return {"resourceType": "OperationOutcome", "issue": issues}
