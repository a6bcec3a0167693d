"""What an EHR's answer says: codes and places of an OperationOutcome, never its own text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ehr_adapters.canonical.exact_json import NotStrictJson, loads
from ehr_adapters.errors import Issue
from ehr_adapters.http import Reply

# What an OperationOutcome's codes say, for a clinician (FHIR R4 value set issue-type).
_ISSUE_WORDS = {
    "invalid": "the content is not valid for this EHR",
    "structure": "the structure is not accepted",
    "required": "something that this EHR requires is missing",
    "value": "a value is not accepted",
    "invariant": "a rule between fields is broken",
    "code-invalid": "a code is not accepted",
    "not-supported": "this EHR does not support it",
    "duplicate": "there is one already",
    "multiple-matches": "several entries match",
    "not-found": "something it refers to does not exist",
    "deleted": "something it refers to was deleted",
    "too-long": "something is too long",
    "business-rule": "a rule of this EHR forbids it",
    "conflict": "it conflicts with what is there",
    "security": "the portal is not allowed to",
    "forbidden": "the portal is not allowed to",
    "extension": "an extension is not accepted",
}


def json_object(reply: Reply) -> dict[str, Any] | None:
    if "html" in reply.header("content-type").lower():
        return None
    try:
        value = loads(reply.body)
    except NotStrictJson:
        return None
    return value if isinstance(value, dict) else None


def has_errors(body: Mapping[str, Any]) -> bool:
    return body.get("resourceType") == "OperationOutcome" and any(
        isinstance(issue, dict) and issue.get("severity") in {"error", "fatal"}
        for issue in body.get("issue") or ()
    )


def outcome_of(body: Mapping[str, Any] | None) -> tuple[tuple[Issue, ...], str, str]:
    """(issues as codes and places, the first vendor code, the EHR's own words) of an OperationOutcome."""
    if body is None or body.get("resourceType") != "OperationOutcome":
        return (), "", ""
    issues: list[Issue] = []
    vendor_codes: list[str] = []
    texts: list[str] = []
    for issue in body.get("issue") or ():
        if not isinstance(issue, dict):
            continue
        details = issue.get("details") if isinstance(issue.get("details"), dict) else {}
        codes = [
            str(coding["code"])
            for coding in (details or {}).get("coding") or ()
            if isinstance(coding, dict)
            and re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", str(coding.get("code")))
        ]
        severity = str(issue.get("severity", ""))
        if severity in {"error", "fatal"} or not vendor_codes:
            vendor_codes += codes
        places = [
            str(place)
            for place in (issue.get("expression") or issue.get("location") or ())
            if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\[\]/-]{0,120}", str(place))
        ]
        code = str(issue.get("code", ""))
        issues.append(
            Issue(
                code=code if re.fullmatch(r"[a-z-]{1,40}", code) else "unknown",
                pointer=places[0] if places else "",
                sentence=_ISSUE_WORDS.get(code, ""),
                severity=severity
                if severity in {"fatal", "error", "warning", "information"}
                else "",
            )
        )
        texts += [str(issue.get("diagnostics") or ""), str((details or {}).get("text") or "")]
    return tuple(issues), vendor_codes[0] if vendor_codes else "", "\n".join(t for t in texts if t)


def refusal_sentence(issues: Sequence[Issue]) -> str:
    """Why an EHR refused a content, in words, with the element it named; never its own text."""
    reasons = []
    for issue in issues:
        if issue.severity in {"fatal", "error", ""}:
            words = issue.sentence or "it gave no reason that can be shown"
            reasons.append(f"{words} ({issue.pointer})" if issue.pointer else words)
    listed = "; ".join(dict.fromkeys(reasons)) or "it gave no reason that can be shown"
    return f"The EHR refused the change: {listed}. Nothing was written."
