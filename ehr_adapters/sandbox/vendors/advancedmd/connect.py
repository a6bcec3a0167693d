"""The older interface: login in two steps, one session for every door, messages that are counted."""

import base64
import hashlib
import re
import secrets
from datetime import timedelta
from typing import Any

from ehr_adapters.sandbox import behaviour, exact_json
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.models import SandboxClient, SandboxToken
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.vendors.advancedmd import messages, metering, scheduler
from ehr_adapters.sandbox.vendors.advancedmd.actions import ACTIONS
from ehr_adapters.sandbox.vendors.advancedmd.messages import Fault, Message, Tree

VENDOR = behaviour.ADVANCEDMD
PARTNER_LOGIN = "practicemanager/xmlrpc/processrequest.aspx"
SESSION = "connect"
# Numbers that integrators report; every other number here is this practice's own.
EXPIRED, ELSEWHERE = 1025, 1028

_CLUSTER = re.compile(
    r"processrequest/api-(?P<number>\d+)/(?P<app>[\w-]+)/xmlrpc/processrequest\.aspx"
)


def is_here(path: str) -> bool:
    """Is this an address of the older interface?"""
    return path.startswith(("practicemanager/", "processrequest/", "api/", "ehr-api/"))


def asked_for(call: Call) -> str:
    """The action of a message, for scripted faults; "" where there is none to read."""
    try:
        return messages.read(call).action
    except messages.MessageNotUnderstood:
        return ""


def is_login(call: Call) -> bool:
    return asked_for(call) == "login"


def answer(call: Call) -> Answer:
    """The answer to one request. Raises RequestRefused."""
    if is_login(call):
        return _log_in(call)
    admit(call)
    return carry_out(call)


# --- who may ---------------------------------------------------------------------------------------------


def _log_in(call: Call) -> Answer:
    """The partner's door sends everybody on to the practice's own server; only that gives a session."""
    message = _message(call)
    at_partner = call.path == PARTNER_LOGIN
    if not at_partner and not metering.may_log_in(at=call.at):
        text = "Too many logins."
        raise RequestRefused(429, "throttled", text, answer=messages.refused(text, status=429))
    wanted = {
        "username": behaviour.of(VENDOR, "user"),
        "psw": behaviour.of(VENDOR, "password"),
        "officecode": behaviour.of(VENDOR, "office_code"),
    }
    if any(message.text(name) != value for name, value in wanted.items()):
        raise _said_no(call, Fault(1002, "The user, the password or the office code is not right."))
    app = message.text("appname")
    if not re.fullmatch(r"[\w-]{1,40}", app) or app == "API":
        raise _said_no(call, Fault(1003, "Use the application name that was assigned to you."))
    server = _server(call, app)
    if at_partner or not _is_this_server(call):
        here = {"usercontext": {"@webserver": server}}
        raise _said_no(
            call, Fault(ELSEWHERE, "Log in at the server of the practice.", results=here)
        )
    call.scope_text = metering.LOGIN
    token = base64.b64encode(secrets.token_bytes(48)).decode()
    SandboxToken.objects.create(
        client=_user(), sha256=_sha256(token), scope=SESSION,
        expires_at=call.at + timedelta(seconds=int(behaviour.of(VENDOR, "session_seconds"))),
    )  # fmt: skip
    return messages.success(call, {"usercontext": {"@webserver": server, "#text": token}})


def _user() -> SandboxClient:
    name = f"user:{behaviour.of(VENDOR, 'user')}"
    return SandboxClient.objects.get_or_create(vendor=VENDOR, client_id=name)[0]


def _server(call: Call, app: str) -> str:
    root = call.base[: call.base.index("/v1/r4/")]
    return f"{root}/processrequest/api-{behaviour.of(VENDOR, 'cluster')}/{app}"


def _is_this_server(call: Call) -> bool:
    number = re.match(r"(?:processrequest|api|ehr-api)/api-(\d+)/", call.path)
    return number is not None and int(number[1]) == behaviour.of(VENDOR, "cluster")


def admit(call: Call) -> None:
    """Fills in who calls. Raises RequestRefused: 400 for a token in the wrong place, a fault for a dead one."""
    bearer = re.fullmatch(r"Bearer (\S+)", call.headers.get("authorization", ""))
    if scheduler.is_here(call.path):
        _check_session(call, bearer[1] if bearer else "")
        return
    message = _message(call)
    cookie = re.search(r"(?:^|;\s*)token=([^;]+)", call.headers.get("cookie", ""))
    # A message in XML names the session itself, one in JSON leaves that to the cookie.
    token = cookie[1] if message.json and cookie else "" if message.json else message.token
    _check_session(call, token)


def _check_session(call: Call, token: str) -> None:
    if not token:
        text = "The token was not found in the format that this request needs."
        raise RequestRefused(400, "login", text, answer=messages.refused(text))
    row = SandboxToken.objects.select_related("client").filter(
        sha256=_sha256(token), scope=SESSION, client__vendor=VENDOR, expires_at__gt=call.at
    ).first()  # fmt: skip
    if row is None and scheduler.is_here(call.path):
        text = "The session has expired."
        raise RequestRefused(401, "login", text, answer=messages.refused(text, status=401))
    if row is None:
        raise _said_no(call, Fault(EXPIRED, "The session has expired."))
    if not _is_this_server(call):
        app = call.path.split("/")[2]
        here = {"usercontext": {"@webserver": _server(call, app)}}
        raise _said_no(
            call, Fault(ELSEWHERE, "Log in at the server of the practice.", results=here)
        )
    call.client = row.client


# --- what is asked for -----------------------------------------------------------------------------------


def carry_out(call: Call) -> Answer:
    """Does what an admitted request asks for. Raises RequestRefused."""
    if scheduler.is_here(call.path):
        call.scope_text = metering.counted(action="scheduler", at=call.at)
        return scheduler.carry_out(call)
    if not _CLUSTER.fullmatch(call.path):
        text = "There is nothing at this address."
        raise RequestRefused(404, "not-found", text, answer=messages.refused(text, status=404))
    message = _message(call)
    call.scope_text = metering.counted(action=message.action, at=call.at)
    action = ACTIONS.get(message.action)
    if action is None or message.text("class") not in {"api", "files"}:
        raise _said_no(call, Fault(1001, "There is no such action."))
    try:
        results, filed = action(call, message)
    except Fault as fault:
        raise _said_no(call, fault) from None
    done = messages.success(call, results)
    done.committed += [f"{row.type}/{row.fhir_id}/_history/{row.version}" for row in filed]
    return done


def _message(call: Call) -> Message:
    try:
        return messages.read(call)
    except messages.MessageNotUnderstood as error:
        text = f"The message could not be read: {error}."
        raise RequestRefused(400, "structure", text, answer=messages.refused(text)) from None


def _said_no(call: Call, fault: Fault) -> RequestRefused:
    short = bool(behaviour.of(VENDOR, "short_fault_numbers"))
    told = messages.failure(call, fault.number, str(fault), short=short, results=fault.results)
    return RequestRefused(200, "processing", str(fault), answer=told)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# --- scripted refusals -----------------------------------------------------------------------------------


def in_own_words(call: Call, fault: str, answer: Answer) -> Answer:
    """A scripted refusal as this interface would put it: with 200, or as plain text with a status."""
    told = _reworded(call, fault, answer)
    if told is not answer:
        told.committed, told.staged = answer.committed, answer.staged
    return told


def _reworded(call: Call, fault: str, answer: Answer) -> Answer:
    short = bool(behaviour.of(VENDOR, "short_fault_numbers"))
    said = _said(answer)
    if scheduler.is_here(call.path):
        if fault in {"no-location", "no-id"}:
            return Answer(200, {"Content-Type": "application/json"}, b"{}")
        return _with_status(said["text"], answer) if said["text"] else answer
    # A refusal of the gateway keeps its status; the interface itself refuses with 200.
    match "" if fault == "outcome" and answer.status != 200 else fault:
        case "expired-token":
            return messages.failure(call, EXPIRED, "The session has expired.", short=short)
        case "outcome" | "chart-locked" | "patient-merged":
            return messages.failure(call, int(said["number"] or 1090), said["text"], short=short)
        case "no-location" | "no-id":
            return messages.success(call, {})
        case "not-json":
            return Answer(200, {"Content-Type": "text/xml"}, b"<PPMDResults><Results succ")
    return _with_status(said["text"], answer) if said["text"] and answer.status else answer


def _with_status(text: str, answer: Answer) -> Answer:
    told = messages.refused(text, status=answer.status)
    told.headers |= {k: v for k, v in answer.headers.items() if k == "Retry-After"}
    return told


def _said(answer: Answer) -> Tree:
    """Words and number of an OperationOutcome."""
    said: dict[str, Any] = {"text": "", "number": ""}
    try:
        outcome = exact_json.loads(answer.body)
        details = outcome["issue"][0]["details"]
    except (exact_json.NotJson, KeyError, IndexError, TypeError):
        return said
    number = next((str(each["code"]) for each in details.get("coding", [])), "")
    digits = number if re.fullmatch(r"[0-9]{1,9}", number) else ""
    return {"text": str(details.get("text", "")), "number": digits}
