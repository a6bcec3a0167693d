"""Scripted misbehaviour: which requests it meets, and what it does to them.

A fault is a row that matches by vendor, method and path, lets `skip` requests pass and spoils `times` of
them. Its kind says when it strikes: before anything is filed, after, in the content, or later.
"""

import base64
import binascii
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ehr_adapters.sandbox import behaviour, charts, exact_json
from ehr_adapters.sandbox.exchange import Answer, Call, json_answer
from ehr_adapters.sandbox.models import SandboxFault, SandboxName
from ehr_adapters.sandbox.outcomes import issue, operation_outcome
from ehr_adapters.sandbox.server import Wire, WireEnd


class Phase(StrEnum):
    """When a fault strikes."""

    BEFORE = "before"  # nothing is carried out
    AFTER = "after"  # carried out and committed, then answered badly
    CONTENT = "content"  # carried out on altered content
    LATE = "late"  # answered as a failure, carried out later
    INDEX = "index"  # carried out, but searches do not show it yet
    SLOW = "slow"  # carried out after a wait


KINDS: dict[str, tuple[Phase, str]] = {
    "timeout-before-commit": (Phase.BEFORE, "silence for `ms` (60000), then the connection closes"),
    "timeout-after-commit": (
        Phase.AFTER,
        "filed; silence for `ms` (60000), then the connection closes",
    ),
    "drop-before-commit": (Phase.BEFORE, "the connection closes without an answer"),
    "drop-after-commit": (Phase.AFTER, "filed; the connection closes without an answer"),
    "error-before-commit": (Phase.BEFORE, "500 (`status`), nothing filed"),
    "error-after-commit": (Phase.AFTER, "filed; 500 (`status`)"),
    "late-commit": (
        Phase.LATE,
        (
            "answered by `answer` (error, drop, timeout, unavailable); filed after `after_ms`, after "
            "`after_requests` more requests, or by the lever commit_late"
        ),
    ),
    "conflict": (Phase.BEFORE, "409"),
    "stale-version": (Phase.BEFORE, "412"),
    "rate-limited": (Phase.BEFORE, "429 with Retry-After `retry_after` (1; null: no header)"),
    "unavailable": (Phase.BEFORE, "503 with Retry-After `retry_after` (none unless given)"),
    "dropped-field": (
        Phase.CONTENT,
        "filed without `field`; the answer shows it (`echo`: sent or stored)",
    ),
    "mangled-content": (
        Phase.CONTENT,
        "filed with another value: `set` {JSON pointer: value}, else a usual blunder",
    ),
    "expired-token": (Phase.BEFORE, "401, the token counts as expired"),
    "html-reply": (Phase.AFTER, "a page instead of JSON; `commit` false: nothing filed"),
    "empty-reply": (Phase.AFTER, "200 without body and headers; `commit` false: nothing filed"),
    "not-json": (Phase.AFTER, "a body that is not JSON, said to be; `commit` false: nothing filed"),
    "truncated-body": (Phase.AFTER, "the body stops halfway"),
    "wrong-charset": (Phase.AFTER, "the body in UTF-16, said to be in the usual charset"),
    "redirect": (
        Phase.BEFORE,
        "`status` (307) to `location` on another host; `commit` true: filed all the same",
    ),
    "slow": (Phase.SLOW, "waits `ms` (1000), then answers as usual"),
    "no-location": (Phase.AFTER, "201 without Location and body"),
    "no-id": (Phase.AFTER, "200 with a body that has no id, without Location"),
    "chart-locked": (Phase.BEFORE, "423; Epic: 400 with 59159"),
    "patient-merged": (
        Phase.BEFORE,
        "Epic: 302 with 4107; generic: the patient reads as replaced, writes get 422",
    ),
    "outcome": (
        Phase.BEFORE,
        (
            "an OperationOutcome of your choice: `status` (200), `severity` (error), `code`, `number`, `text`; "
            "`commit` true: filed all the same"
        ),
    ),
    "search-lag": (
        Phase.INDEX,
        "filed, but searches show it after `after_ms`, after `after_requests` requests, or by the lever index_now",
    ),
}
PARAMS = {
    "ms", "status", "retry_after", "field", "set", "echo", "commit", "location", "answer", "after_ms",
    "after_requests", "severity", "code", "number", "text", "survivor",
}  # fmt: skip
ELSEWHERE = "https://ehr.elsewhere.example"

_OF_WRITES = {Phase.CONTENT, Phase.LATE, Phase.INDEX}  # a read has nothing that they could change

_claiming = threading.Lock()


class FaultNotUnderstood(ValueError):
    """The script for a fault cannot be followed; the sentence says which part."""


def script(*, order: Mapping[str, Any]) -> SandboxFault:
    """Stores one fault from its JSON form. Raises FaultNotUnderstood."""
    kind = order.get("fault", order.get("kind"))
    if kind not in KINDS:
        raise FaultNotUnderstood(f"fault must be one of {', '.join(KINDS)}")
    own = {"fault", "kind", "vendor", "method", "path", "skip", "times"}
    if unknown := set(order) - own - PARAMS:
        raise FaultNotUnderstood(f"unknown keys: {', '.join(sorted(unknown))}")
    vendor = order.get("vendor", "*")
    if vendor not in {"*", *behaviour.VENDORS}:
        raise FaultNotUnderstood(f"vendor must be * or one of {', '.join(behaviour.VENDORS)}")
    path = str(order.get("path", ""))
    try:
        re.compile(path)
    except re.error:
        raise FaultNotUnderstood("path is not a regular expression") from None
    times, skip = order.get("times", 1), order.get("skip", 0)
    if not (times is None or (isinstance(times, int) and times > 0)) or not (
        isinstance(skip, int) and skip >= 0
    ):
        raise FaultNotUnderstood(
            "times is a number from 1, or null for always; skip is a number from 0"
        )
    return SandboxFault.objects.create(
        vendor=vendor,
        kind=kind,
        method=str(order.get("method", "*")).upper(),
        path=path,
        skip=skip,
        times=times,
        params=exact_json.dumps({key: value for key, value in order.items() if key in PARAMS}),
    )


@dataclass(slots=True)
class Strike:
    """A fault as it meets one request."""

    kind: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        """When it strikes; `commit` moves an answer's fault before or after the filing."""
        phase = KINDS[self.kind][0]
        if phase in {Phase.BEFORE, Phase.AFTER} and "commit" in self.params:
            return Phase.AFTER if self.params["commit"] else Phase.BEFORE
        return phase

    # --- content: the Spoiler of exchange.py -----------------------------------------------------------

    @property
    def echoes_what_was_sent(self) -> bool:
        """A quiet loss: the answer shows what was sent."""
        return self.phase is Phase.CONTENT and self.params.get("echo", "sent") == "sent"

    def alter(self, content: dict[str, Any]) -> dict[str, Any]:
        """The content as it is filed."""
        if self.kind == "dropped-field":
            return _without(content, self.params.get("field"))
        if self.kind == "mangled-content":
            return _mangled(content, self.params.get("set"))
        return content

    def lag(self, *, at: datetime, last_request: int) -> charts.Lag | None:
        """How long searches do not show it."""
        if self.kind != "search-lag":
            return None
        until, after = due(self.params, at=at, last_request=last_request)
        if until is None and after is None:
            after = charts.FOREVER
        return charts.Lag(until=until, after_request=after)

    # --- answers -----------------------------------------------------------------------------------------

    def spoil(self, call: Call, answer: Answer, wire: Wire) -> Answer:
        """The answer that the client gets instead of `answer`; `wire` is told how to send it."""
        carried = {"committed": answer.committed, "staged": answer.staged}
        spoiled = self._reply(call, answer, wire)
        spoiled.committed, spoiled.staged = carried["committed"], carried["staged"]
        return spoiled

    def _reply(self, call: Call, answer: Answer, wire: Wire) -> Answer:
        kind = self.kind
        if kind == "late-commit":
            kind = {
                "error": "error-before-commit",
                "drop": "drop-before-commit",
                "timeout": "timeout-before-commit",
                "unavailable": "unavailable",
            }[self.params.get("answer", "error")]
        match kind:
            case "timeout-before-commit" | "timeout-after-commit":
                wire.end, wire.seconds = (
                    WireEnd.SILENCE,
                    float(self.params.get("ms", 60_000)) / 1000,
                )
                return Answer(0)
            case "drop-before-commit" | "drop-after-commit":
                wire.end = WireEnd.HANG_UP
                return Answer(0)
            case "truncated-body":
                wire.end = WireEnd.TRUNCATE
                return (
                    answer
                    if answer.body
                    else json_answer(answer.status, {"resourceType": "OperationOutcome"})
                )
            case "error-before-commit" | "error-after-commit":
                return self._outcome(500, "exception", "The server failed.", number="59177")
            case "conflict":
                return self._outcome(409, "conflict", "The request conflicts with the chart.")
            case "stale-version":
                return self._outcome(412, "conflict", "The version is not the present one.")
            case "rate-limited":
                return self._outcome(
                    429,
                    "throttled",
                    "Too many requests.",
                    retry_after=self.params.get("retry_after", 1),
                )
            case "unavailable":
                return self._outcome(
                    503,
                    "transient",
                    "The server is being maintained.",
                    retry_after=self.params.get("retry_after"),
                )
            case "expired-token":
                spoiled = self._outcome(401, "login", "The access token has expired.")
                spoiled.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
                return spoiled
            case "chart-locked":
                if call.vendor == behaviour.EPIC:
                    return self._outcome(
                        400, "business-rule", "The chart is locked.", number="59159"
                    )
                return self._outcome(423, "lock-error", "The chart is locked by another user.")
            case "patient-merged":
                return self._merged(call, answer)
            case "outcome":
                return self._outcome(200, "processing", "The server could not do this.")
            case "html-reply":
                page = b"<!doctype html><title>Sign in</title><h1>Your session has ended</h1>"
                return Answer(
                    self.params.get("status", 200),
                    {"Content-Type": "text/html; charset=utf-8"},
                    page,
                )
            case "empty-reply":
                return Answer(self.params.get("status", 200))
            case "not-json":
                headers = {"Content-Type": "application/fhir+json;charset=UTF-8"}
                return Answer(
                    self.params.get("status", answer.status or 200),
                    headers,
                    b'{"resourceType": "Bun',
                )
            case "wrong-charset":
                told = answer.body or b'{"resourceType": "OperationOutcome"}'
                usual = answer.headers.get("Content-Type", "application/fhir+json;charset=UTF-8")
                coded = told.decode("utf-8", "replace").encode("utf-16")
                return Answer(answer.status or 200, {"Content-Type": usual}, coded)
            case "redirect":
                location = self.params.get("location", f"{ELSEWHERE}/{call.path}")
                return Answer(self.params.get("status", 307), {"Location": location})
            case "no-location":
                return Answer(201)
            case "no-id":
                return _without_id(answer)
        return answer

    def _outcome(
        self, status: int, code: str, text: str, *, number: str = "", retry_after: Any = None
    ) -> Answer:
        told = issue(
            str(self.params.get("severity", "error")),
            str(self.params.get("code", code)),
            str(self.params.get("text", text)),
            number=str(self.params.get("number", number)),
        )
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        return json_answer(
            self.params.get("status", status), operation_outcome([told]), headers=headers
        )

    def _merged(self, call: Call, answer: Answer) -> Answer:
        survivor = _patient_id(call.vendor, str(self.params.get("survivor", "P13")))
        if call.vendor == behaviour.EPIC:
            spoiled = self._outcome(
                302, "processing", "The patient has been merged.", number="4107"
            )
            spoiled.headers["Location"] = f"{call.base}/Patient/{survivor}"
            return spoiled
        if call.method == "GET" and call.path.startswith("Patient/"):
            link = [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
            shown = {
                "resourceType": "Patient",
                "id": call.path.split("/")[1],
                "active": False,
                "link": link,
            }
            return json_answer(200, shown)
        return self._outcome(
            422, "business-rule", "The patient has been merged into another record."
        )


def claim(*, vendor: str, method: str, target: str) -> Strike | None:
    """The first scripted fault that this request meets; its count is used up."""
    writes = method in {"POST", "PUT", "PATCH"} and not target.endswith("_search")
    with _claiming:
        for row in SandboxFault.objects.order_by("pk"):
            if row.vendor not in {"*", vendor} or row.method not in {"*", method} or row.times == 0:
                continue
            if not _meets(row.path, target) or (KINDS[row.kind][0] in _OF_WRITES and not writes):
                continue
            if row.skip:
                row.skip -= 1
                row.save(update_fields=["skip"])
                continue
            row.applied += 1
            row.times = None if row.times is None else row.times - 1
            row.save(update_fields=["applied", "times"])
            return Strike(row.kind, exact_json.loads(row.params))
    return None


def due(
    params: Mapping[str, Any], *, at: datetime, last_request: int
) -> tuple[datetime | None, int | None]:
    """When something scripted to come later is due: a time, a request number, or neither (the lever)."""
    until = (
        at + timedelta(milliseconds=float(params["after_ms"])) if params.get("after_ms") else None
    )
    after = last_request + params["after_requests"] + 1 if params.get("after_requests") else None
    return until, after


def _patient_id(vendor: str, name: str) -> str:
    known = SandboxName.objects.filter(vendor=vendor, group=name, name="patient").first()
    return known.fhir_id if known else name


def _meets(path: str, target: str) -> bool:
    """Tokens are left alone unless the path speaks of them."""
    if target.startswith("oauth2/"):
        return "oauth2" in path and re.search(path, target) is not None
    return (
        re.search(path, target.partition("?")[0]) is not None or re.search(path, target) is not None
    )


# What a careless interface loses first, by type.
_DROPPED = {
    "Condition": ("note", "onsetDateTime", "encounter", "clinicalStatus"),
    "AllergyIntolerance": ("reaction", "criticality", "note"),
    "MedicationRequest": ("dosageInstruction", "note"),
    "MedicationStatement": ("dosage", "note"),
    "Observation": ("valueQuantity", "component", "note"),
    "DocumentReference": ("docStatus", "author", "relatesTo"),
    "ServiceRequest": ("occurrenceDateTime", "reasonReference", "note"),
    "Task": ("restriction", "description", "note"),
}


def _without(content: dict[str, Any], name: str | None) -> dict[str, Any]:
    for candidate in [name] if name else _DROPPED.get(content["resourceType"], ()):
        if candidate in content:
            return {key: value for key, value in content.items() if key != candidate}
    return content


def _mangled(content: dict[str, Any], wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    result: dict[str, Any] = exact_json.loads(exact_json.dumps(content))
    if wanted:
        for pointer, value in wanted.items():
            put(result, pointer, value)
    else:
        _blunder(result)
    return result


def put(content: Any, pointer: str, value: Any) -> None:
    """Sets the value at a JSON pointer (RFC 6901); `-` appends. Raises FaultNotUnderstood."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    try:
        for step in steps[:-1]:
            content = content[int(step)] if isinstance(content, list) else content[step]
        if not isinstance(content, list):
            content[steps[-1]] = value
        elif steps[-1] == "-":
            content.append(value)
        else:
            content[int(steps[-1])] = value
    except (KeyError, IndexError, ValueError, TypeError):
        raise FaultNotUnderstood(f"there is no place {pointer}") from None


def _blunder(content: dict[str, Any]) -> None:
    """A usual interface blunder: half a note, a dose or value ten times as large, a status turned over."""
    kind = content["resourceType"]
    if kind == "DocumentReference":
        attachment = content["content"][0]["attachment"]
        try:
            text = base64.b64decode(attachment.get("data", "")).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return
        attachment["data"] = base64.b64encode(text[: len(text) // 2].encode()).decode()
    elif kind == "Condition":
        content["clinicalStatus"] = {"coding": [{"code": "inactive"}]}
    elif kind == "AllergyIntolerance":
        content["criticality"] = "low"
    elif kind == "Task":
        content["description"] = str(content.get("description", ""))[:10]
    else:
        quantity = _first_quantity(content)
        if quantity is not None:
            quantity["value"] = Decimal(str(quantity["value"])) * 10


def _first_quantity(value: Any) -> dict[str, Any] | None:
    if isinstance(value, dict):
        if "value" in value and isinstance(value["value"], int | Decimal):
            return value
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        found = _first_quantity(item)
        if found is not None:
            return found
    return None


def _without_id(answer: Answer) -> Answer:
    try:
        content = exact_json.loads(answer.body)
    except exact_json.NotJson:
        content = None
    if not isinstance(content, dict):
        content = {"resourceType": "Basic"}
    shown = {key: value for key, value in content.items() if key not in {"id", "meta"}}
    return json_answer(200, shown)
