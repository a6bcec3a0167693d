"""What an answer of the proprietary interface means: a receipt, or the branch that it belongs to.

Success is 200 with a small object or a list of one; a failure may stand inside it. Errors of the backend are
JSON with "error", "detailedmessage" and "missingfields"; what comes from the gateway, before the backend, is
plain words (athenahealth API, API Error Message Reference). athenaOne has no error numbers: the codes are ours.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ehr_adapters import oauth
from ehr_adapters.canonical.exact_json import NotStrictJson, loads
from ehr_adapters.errors import (
    AdapterError,
    AlreadyThere,
    ContentRefused,
    Issue,
    NotPermitted,
    RateLimited,
    Redirected,
    ServerError,
    TokenRejected,
    UnreadableReply,
    VersionConflict,
)
from ehr_adapters.http import Reply
from ehr_adapters.wire import WireRequest

_CORRECT = "Correct the draft; the refused one is kept."
_ADMINISTRATOR = "Ask the athenaOne administrator; the draft is kept."


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of refusal means: the branch, a sentence for a clinician, the next step."""

    branch: type[AdapterError]
    sentence: str
    next_step: str = ""


# By what the error says, in part and in small letters; the first that is found counts.
ERRORS: Mapping[str, tuple[str, Meaning]] = {
    "visit-closed": (
        "",  # the words are a setting of the connection
        Meaning(
            ContentRefused,
            "The visit is closed in athenaOne. Nothing was written.",
            "Reopen the visit in athenaOne, or type it there with the copy card.",
        ),
    ),
    "diagnosis-not-in-visit": (
        "invalid encounter diagnosis snomed code",
        Meaning(
            ContentRefused,
            "The diagnosis is not one of this visit in athenaOne. Nothing was written.",
            "Add the diagnosis to the visit first.",
        ),
    ),
    "unknown-code": (
        "invalid snomed code",
        Meaning(ContentRefused, "athenaOne does not know the code. Nothing was written.", _CORRECT),
    ),
    "practice-not-configured": (
        "practice is not configured",
        Meaning(
            NotPermitted,
            "The practice is not set up for this in athenaOne. Nothing was written.",
            _ADMINISTRATOR,
        ),
    ),
    "wrong-practice": (
        "invalid practice",
        Meaning(
            NotPermitted,
            "athenaOne does not know the practice. Nothing was written.",
            _ADMINISTRATOR,
        ),
    ),
    "no-permission": (
        "incorrect permissions",
        Meaning(
            NotPermitted,
            "athenaOne does not permit the portal to do this. Nothing was written.",
            _ADMINISTRATOR,
        ),
    ),
    "department": (
        "department",
        Meaning(
            ContentRefused,
            "athenaOne does not accept the department. Nothing was written.",
            _ADMINISTRATOR,
        ),
    ),
}
# Which field of a change a form field stands for.
PLACES: Mapping[str, str] = {
    "snomedcode": "/code",
    "laterality": "/side",
    "startdate": "/onset",
    "note": "/note",
    "documentsubclass": "/type",
    "documentdata": "/sections",
    "providerid": "/author",
    "observationdate": "/date",
}
# Statuses by which the backend refuses a content.
_CONTENT = {400, 405, 406, 410, 413, 414, 415, 422, 423, 428, 431}


def body_of(reply: Reply) -> Any:
    """The JSON of an answer; None where there is none."""
    if "html" in reply.header("content-type").lower():
        return None
    try:
        return loads(reply.body)
    except NotStrictJson:
        return None


def success_of(body: Any) -> dict[str, Any] | None:
    """The object inside a success: itself, or the one entry of a list."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    return body if isinstance(body, dict) else None


def said_yes(answer: Mapping[str, Any]) -> bool | None:
    """What "success" says; None where it is not there."""
    value = answer.get("success")
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower()) if value is not None else None


def facts_of(step: WireRequest, reply: Reply) -> dict[str, Any]:
    """Codes, places and hashes of an answer, for an error; its words only as `vendor_text`."""
    body = success_of(body_of(reply)) or {}
    texts = [str(body.get(n) or "") for n in ("error", "errormessage", "detailedmessage")]
    listed = body.get("missingfields")
    absent = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return {
        "connection_kind": "athenahealth",
        "interaction": step.label,
        "status": reply.status,
        "vendor_code": "missing-fields" if absent else "",
        "issues": tuple(
            Issue("required", PLACES.get(name, ""), "something that athenaOne requires is missing")
            for name in absent
        ),
        "retry_after": oauth.retry_after(reply),
        "reply_sha256": hashlib.sha256(reply.body).hexdigest(),
        "vendor_text": "\n".join(text for text in texts if text),
    }


def refusal_of(
    step: WireRequest, reply: Reply, facts: dict[str, Any], *, closed_words: str
) -> AdapterError:
    """The branch of an answer that is no success."""
    status = reply.status
    by_status: dict[int, type[AdapterError]] = {401: TokenRejected, 429: RateLimited}
    if status in by_status:
        return by_status[status](**facts)
    if 300 <= status < 400:
        return Redirected(**facts)
    if status >= 500:
        return ServerError(**facts)
    if status == 409:
        return AlreadyThere(**facts)
    if status == 412:
        return VersionConflict(**facts) if step.method == "PUT" else AlreadyThere(**facts)
    known = _known(facts, closed_words=closed_words)
    if known is not None:
        return known
    if status == 403:
        return NotPermitted(**facts)
    if status == 404 and step.method == "PUT":
        return VersionConflict("The entry is no longer in athenaOne. Nothing was written.", **facts)
    if status == 404 and facts["vendor_text"]:
        return ContentRefused(
            "athenaOne does not find the patient or what the draft refers to. Nothing was written.",
            **{**facts, "next_step": _CORRECT},
        )
    if status == 404:
        return NotPermitted(
            "athenaOne does not offer this to the portal. Nothing was written.", **facts
        )
    if status in _CONTENT:
        return ContentRefused(_refused_words(facts), **facts)
    return UnreadableReply(**facts)


def failure_inside(facts: dict[str, Any], *, closed_words: str) -> AdapterError:
    """The branch of a 200 that says "success": false."""
    known = _known(facts, closed_words=closed_words)
    return known or ContentRefused(_refused_words(facts), **facts)


def _known(facts: dict[str, Any], *, closed_words: str) -> AdapterError | None:
    text = facts["vendor_text"].lower()
    for code, (words, meaning) in ERRORS.items():
        looked_for = words or closed_words.lower()
        if text and not facts["issues"] and looked_for in text:
            return meaning.branch(
                meaning.sentence,
                **{**facts, "vendor_code": code, "next_step": meaning.next_step},
            )
    return None


def _refused_words(facts: Mapping[str, Any]) -> str:
    places = ", ".join(sorted({issue.pointer for issue in facts["issues"] if issue.pointer}))
    if facts["issues"]:
        at = f" ({places})" if places else ""
        return f"athenaOne misses something that it requires{at}. Nothing was written."
    return "athenaOne refused the change. Nothing was written."
