"""The doors of the fronts: HTTP in, one log entry, HTTP out, spoiled where a fault says so."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from ehr_adapters.sandbox import behaviour, exact_json, faults, late, oauth
from ehr_adapters.sandbox.exchange import Answer, Call, json_answer
from ehr_adapters.sandbox.faults import Phase, Strike
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.fronts import BASES, FRONTS
from ehr_adapters.sandbox.models import SandboxLate, SandboxRequest
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.server import WIRE_KEY, Wire

# Headers that say something about a write-back client. Authorization is kept as its scheme only.
LOGGED_HEADERS = (
    "accept", "content-type", "content-length", "host", "if-match", "if-none-match", "if-none-exist",
    "if-modified-since", "idempotency-key", "prefer", "traceparent", "user-agent", "x-correlation-id",
    "x-provenance", "x-request-id",
)  # fmt: skip
# Reads older than the newest so many are dropped from the log; writes stay.
READS_KEPT = 20_000


def fhir(request: HttpRequest, vendor: str, path: str | None = None) -> HttpResponse:
    """Every request below a front's base."""
    front = FRONTS[vendor]
    call = _call(request, vendor, (path or "").strip("/"))
    late.file_due(fronts=FRONTS, at=call.at)
    if (too_many := front.throttled(call)) is not None:
        _log(call, too_many, None)
        return _response(too_many)
    strike = faults.claim(vendor=vendor, method=call.method, target=front.fault_target(call))
    wire: Wire = request.META[WIRE_KEY]
    if strike and strike.phase is Phase.SLOW:
        wire.pause(float(strike.params.get("ms", 1000)) / 1000)
        call.at = timezone.now()
    if strike and strike.phase is Phase.BEFORE:
        answer = front.in_own_words(call, strike.kind, strike.spoil(call, Answer(0), wire))
        _log(call, answer, strike)
    elif strike and strike.phase is Phase.LATE:
        answer = _postponed(front, call, strike, wire)
    else:
        answer = _carried_out(front, call, strike, wire)
    return _response(answer)


def token(request: HttpRequest, vendor: str) -> HttpResponse:
    """The token endpoint (RFC 6749 section 4.4 with the assertion of RFC 7523)."""
    front = FRONTS[vendor]
    call = _call(request, vendor, "oauth2/token")
    if (too_many := front.throttled(call)) is not None:
        _log(call, too_many, None)
        return _response(too_many)
    strike = faults.claim(vendor=vendor, method=call.method, target=call.target)
    wire: Wire = request.META[WIRE_KEY]
    if strike and strike.phase is Phase.SLOW:
        wire.pause(float(strike.params.get("ms", 1000)) / 1000)
        call.at = timezone.now()
    if strike and strike.phase is Phase.BEFORE:
        answer = strike.spoil(call, Answer(0), wire)
    else:
        answer = _token_answer(front, call)
        if strike and strike.phase is Phase.AFTER:
            answer = strike.spoil(call, answer, wire)
    _log(call, answer, strike)
    return _response(answer)


def _call(request: HttpRequest, vendor: str, path: str) -> Call:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(
        vendor=vendor,
        method="GET" if request.method == "HEAD" else str(request.method),
        path=path,
        query=request.META["QUERY_STRING"],
        headers=headers,
        body=request.body,
        at=timezone.now(),
        base=f"http://{request.get_host()}{BASES[vendor]}",
        last_request=late.newest_request(),
    )


def _carried_out(front: Front, call: Call, strike: Strike | None, wire: Wire) -> Answer:
    """Answers, logs what was filed in the same transaction, and spoils the answer afterwards."""
    call.spoiler = strike
    spoils = strike is not None and strike.phase is Phase.AFTER
    try:
        with _writing(call):
            answer = front.answer(call)
            if strike and spoils:
                answer = front.in_own_words(call, strike.kind, strike.spoil(call, answer, wire))
            _log(call, answer, strike)
    except RequestRefused as refusal:
        answer = refused(refusal)
        if strike and spoils:
            answer = front.in_own_words(call, strike.kind, strike.spoil(call, answer, wire))
        _log(call, answer, strike)
    return answer


def _postponed(front: Front, call: Call, strike: Strike, wire: Wire) -> Answer:
    """Answers with a failure and remembers the request; a request that is not admitted stays refused."""
    try:
        front.admit(call)
    except RequestRefused as refusal:
        answer = refused(refusal)
        _log(call, answer, strike)
        return answer
    answer = front.in_own_words(call, strike.kind, strike.spoil(call, Answer(0), wire))
    with transaction.atomic():
        logged = _log(call, answer, strike)
        due_at, due_after = faults.due(strike.params, at=call.at, last_request=logged.pk)
        SandboxLate.objects.create(request=logged, due_at=due_at, due_after_request=due_after)
    return answer


@contextlib.contextmanager
def _writing(call: Call) -> Iterator[None]:
    """One transaction for anything that may file; reads do not wait for writers."""
    if call.method in {"GET", "HEAD"} or call.path.endswith("_search"):
        yield
    else:
        with transaction.atomic():
            call.last_request = late.newest_request()
            yield


def refused(refusal: RequestRefused) -> Answer:
    """A refusal as an answer."""
    if refusal.answer is not None:
        told: Answer = refusal.answer
        return told
    if refusal.empty:
        return Answer(refusal.status, refusal.headers)
    return json_answer(refusal.status, refusal.outcome, headers=refusal.headers)


def _token_answer(front: Front, call: Call) -> Answer:
    if call.method != "POST":
        return _token_error(405, "invalid_request", "use POST")
    form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        client = front.token_client(call, form)
        call.client = client
        scope = front.grant(asked=form.get("scope", ""), client=client)
    except oauth.TokenRefused as refusal:
        return _token_error(front.token_error_status(refusal.error), refusal.error, str(refusal))
    seconds = client.token_seconds or behaviour.of(front.vendor, "token_seconds")
    call.scope_text = scope
    issued = oauth.issue_token(client=client, scope=scope, seconds=seconds, at=call.at)
    return _plain_json(200, issued)


def _token_error(status: int, error: str, sentence: str) -> Answer:
    return _plain_json(status, {"error": error, "error_description": sentence})


def _plain_json(status: int, value: Mapping[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Answer(status, headers, exact_json.dumps(dict(value)).encode())


def _log(call: Call, answer: Answer, strike: Strike | None) -> SandboxRequest:
    """One row a request. The body of a token request is a credential and is kept as its hash only."""
    headers = {name: call.headers[name] for name in LOGGED_HEADERS if name in call.headers}
    if "authorization" in call.headers:
        headers["authorization"] = call.headers["authorization"].partition(" ")[0]
    row = SandboxRequest.objects.create(
        at=call.at,
        vendor=call.vendor,
        method=call.method,
        base=call.base,
        path=call.target,
        headers=headers,
        body=None if _holds_credential(call) else call.body,
        body_sha256=hashlib.sha256(call.body).hexdigest(),
        client_id=call.client.client_id if call.client else "",
        scope=call.scope_text,
        status=answer.status or None,
        committed=answer.committed,
        staged=answer.staged,
        fault=strike.kind if strike else "",
    )
    if row.pk % 500 == 0:
        old = SandboxRequest.objects.filter(method="GET", pk__lt=row.pk - READS_KEPT)
        old.delete()
    return row


def _holds_credential(call: Call) -> bool:
    return call.path == "oauth2/token" or FRONTS[call.vendor].holds_credential(call)


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status or 500)
    del response["Content-Type"]
    for name, value in answer.headers.items():
        response[name] = value
    return response
