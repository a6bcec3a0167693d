"""Every error of the agent doors as RFC 9457 problem details.

A problem names its kind (`type`, `code`), says in a sentence what to do, and lists the places as RFC
6901 pointers. It never repeats a value that was sent: errors travel into logs.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from intents.pipeline import intake

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
METADATA_PATH = "/.well-known/oauth-protected-resource"
_MOST_ERRORS = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, its title and what it means, for the page that explains it."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    "bad-request": Kind(400, "Bad request", "The request is not one that can be answered."),
    "not-json": Kind(
        400,
        "Not strict JSON",
        "The body is not one JSON document: broken syntax, a name twice in one object, NaN, more than "
        "64 levels, or not UTF-8.",
    ),
    "idempotency-key-missing": Kind(
        400,
        "Idempotency-Key missing or malformed",
        "Every POST that makes a proposal carries an Idempotency-Key of 1 to 255 visible ASCII characters.",
    ),
    "cursor-malformed": Kind(
        400, "Cursor malformed", "The `after` cursor is none that this API has handed out."
    ),
    "not-authenticated": Kind(
        401,
        "Not authenticated",
        "The request needs a valid access token of an agent; expired, revoked and foreign ones are not.",
    ),
    "wrong-lane": Kind(
        403,
        "Wrong lane",
        "Each lane has its own address and its own credential; this credential opens another lane.",
    ),
    "scope-not-granted": Kind(
        403,
        "Scope not granted",
        "No live grant lets this agent ask for this. Grants are looked up at every request.",
    ),
    "forbidden": Kind(403, "Forbidden", "This agent may not do this."),
    "not-found": Kind(404, "Not found", "There is nothing here, or nothing that is yours."),
    "method-not-allowed": Kind(405, "Method not allowed", "This address has no such method."),
    "not-acceptable": Kind(406, "Not acceptable", "The API answers in JSON only."),
    "proposal-key-reused": Kind(
        409,
        "Idempotency-Key reused",
        "This Idempotency-Key was used before for another body. A new proposal needs a new key.",
    ),
    "already-sent": Kind(
        409,
        "Too late to withdraw",
        "A change of this proposal has been approved or sent; only people can recall it now.",
    ),
    "length-required": Kind(
        411,
        "Length required",
        "The body is sent with a Content-Length, not in chunks: its size is looked at before it is read.",
    ),
    "too-large": Kind(413, "Too large", "A proposal has at most one MiB."),
    "unsupported-media-type": Kind(
        415, "Unsupported media type", "Proposals are sent as application/json."
    ),
    "proposal-invalid": Kind(
        422, "Proposal invalid", "The proposal was read but cannot be taken; `errors` says where."
    ),
    "evidence-not-verbatim": Kind(
        422,
        "Evidence not verbatim",
        "A quote is not the source's text at its offsets. Offsets count Unicode code points.",
    ),
    "forbidden-character": Kind(
        422,
        "Forbidden character",
        "Bidirectional overrides and tag characters are refused in every text.",
    ),
    "too-many-requests": Kind(
        429, "Too many requests", "Wait as long as Retry-After says, in seconds."
    ),
    "server-error": Kind(
        500,
        "Server error",
        "The portal failed. Nothing was recorded; the same request may be sent again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a problem."""

    pointer: str
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


@dataclass(slots=True)
class Problem(Exception):
    """Raise it from a view to answer with this kind of problem."""

    code: str
    detail: str = ""
    errors: Sequence[Place] = ()
    headers: dict[str, str] = field(default_factory=dict)


def type_of(code: str) -> str:
    """The URI that names a kind of problem; it leads to its explanation."""
    return f"{settings.PORTAL_URL}/api/v1/problems/{code}"


def body_of(problem: Problem) -> dict[str, Any]:
    """The members of RFC 9457, section 3.1, with `code` and `errors` as extensions."""
    kind = KINDS[problem.code]
    body: dict[str, Any] = {
        "type": type_of(problem.code),
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail or kind.meaning,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = [place.as_json() for place in problem.errors[:_MOST_ERRORS]]
    return body


def from_intake(error: Exception) -> Problem | None:
    """The problem that one of intake's refusals is, or None for any other exception."""
    match error:
        case intake.NotStrictJson():
            return Problem("not-json", str(error))
        case intake.BodyInvalid():
            return Problem("proposal-invalid", errors=_places(error.issues))
        case intake.ProposalInvalid():
            return Problem(error.code, errors=_places(error.issues))
        case intake.ScopeNotGranted():
            return Problem(
                "scope-not-granted",
                errors=[
                    Place(pointer, "scope-not-granted", "No live grant covers this.")
                    for pointer in error.pointers
                ],
            )
        case intake.WrongLane():
            return Problem("wrong-lane")
        case intake.NoSuchProposal():
            return Problem("not-found")
        case intake.TooLateToWithdraw():
            return Problem("already-sent")
        case intake.AgentRefused():
            return Problem("not-authenticated")
        case intake.ProposalKeyMalformed():
            return Problem("idempotency-key-missing")
        case intake.ProposalKeyReused():
            return Problem("proposal-key-reused")
        case intake.ProposalTooLarge():
            return Problem("too-large")
    return None


def _places(issues: Sequence[intake.Issue]) -> list[Place]:
    return [Place(issue.pointer, issue.code, issue.sentence) for issue in issues]


_BY_STATUS = {
    400: "bad-request",
    401: "not-authenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
}


def problem_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: every exception becomes a problem, known or not."""
    problem = error if isinstance(error, Problem) else from_intake(error) or _from_framework(error)
    if problem is None:
        # The type alone: an exception's text may hold what was sent.
        log.error(
            "An agent's request failed.",
            extra={
                "exception": type(error).__name__,
                "view": type(context["view"]).__name__,
                "at_line": _last_line(error),
            },
        )
        problem = Problem("server-error")
    # Imported late: DRF's views load this handler's neighbours while they are being loaded.
    from rest_framework.views import set_rollback

    set_rollback()
    response = Response(
        body_of(problem), status=KINDS[problem.code].status, content_type=MEDIA_TYPE
    )
    for name, value in problem.headers.items():
        response[name] = value
    if response.status_code == HTTPStatus.UNAUTHORIZED and "WWW-Authenticate" not in response:
        response["WWW-Authenticate"] = challenge()
    return response


def _from_framework(error: Exception) -> Problem | None:
    if isinstance(error, Http404):
        return Problem("not-found")
    if isinstance(error, PermissionDenied):
        return Problem("forbidden")
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, math.ceil(getattr(error, "wait", None) or 1)))
        return Problem("too-many-requests", headers=headers)
    return Problem(_BY_STATUS.get(error.status_code, "bad-request"), headers=headers)


def _last_line(error: Exception) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    return f"{traceback.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno}"


def challenge(error: str = "") -> str:
    """The WWW-Authenticate header of a 401 (RFC 6750, section 3; RFC 9728, section 5.1)."""
    parts = ['Bearer realm="reviewportal"']
    if error:
        parts.append(f'error="{error}"')
    parts.append(f'resource_metadata="{settings.PORTAL_URL}{METADATA_PATH}"')
    return ", ".join(parts)
