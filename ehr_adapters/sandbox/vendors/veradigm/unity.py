"""Unity: every action a POST to one address, two layers of login, failures told with HTTP 200.

`GetToken` answers a bare token or a text that begins with "error"; `MagicJson` answers a list of one object,
which is the action's rows or an `Error`.
"""

import hashlib
import secrets
import uuid
from datetime import timedelta
from typing import Any

from ehr_adapters.sandbox import behaviour, exact_json
from ehr_adapters.sandbox.exchange import Answer, Call
from ehr_adapters.sandbox.front import Front
from ehr_adapters.sandbox.models import SandboxClient, SandboxName, SandboxToken
from ehr_adapters.sandbox.outcomes import RequestRefused
from ehr_adapters.sandbox.vendors.veradigm import actions
from ehr_adapters.sandbox.vendors.veradigm.refusals import LOGGED_OUT, MALFORMED, UnityRefused

# The application that this practice has licensed, and how it signs in. Everybody's own password in the
# made-up practice is "practice-" and the sign-in name.
APPNAME = "Northgate.Portal"
SERVICE_USER = "svc-portal"
SERVICE_PASSWORD = "practice-service"  # noqa: S105 - of a made-up practice
_PARTS = ("Action", "AppUserID", "Appname", "PatientID", "Token", "Data")
_PREFIX = "UnityService.svc/json/"


def password_of(user: str) -> str:
    """What an EHR user of the practice signs in with."""
    return f"practice-{user}"


def is_unity(call: Call) -> bool:
    """Is this a request to Unity and not to FHIR?"""
    return call.path.startswith(_PREFIX)


def admit(call: Call) -> None:
    """Fills in who calls. Raises RequestRefused."""
    operation = call.path.removeprefix(_PREFIX)
    if operation not in {"GetToken", "MagicJson", "RetireSecurityToken"}:
        raise RequestRefused(404, "not-found", "Endpoint not found.")
    if call.method != "POST":
        raise RequestRefused(405, "not-supported", "Method not allowed.")
    if operation == "GetToken":
        return
    request = _request(call)
    session = SandboxToken.objects.select_related("client").filter(
        sha256=_sha256(str(request.get("Token", ""))), client__vendor=call.vendor
    ).first()  # fmt: skip
    if session is None:
        raise UnityRefused("Invalid security token.")
    if session.expires_at <= call.at:
        raise UnityRefused(LOGGED_OUT)
    if operation == "MagicJson" and request.get("Appname") != session.client.client_id:
        raise UnityRefused("The application name does not belong to the token.")
    call.client, call.scope_text = session.client, session.scope


def carry_out(front: Front, call: Call) -> Answer:
    """Does what an admitted request asks for. Raises RequestRefused."""
    match call.path.removeprefix(_PREFIX):
        case "GetToken":
            return _get_token(call)
        case "RetireSecurityToken":
            SandboxToken.objects.filter(sha256=_sha256(_request(call)["Token"])).delete()
            return _text("")
    return _magic(front, call)


def fault_target(call: Call) -> str:
    """The address with the action: "UnityService.svc/json/MagicJson/SaveNote"."""
    try:
        action = exact_json.loads(call.body).get("Action", "")
    except (exact_json.NotJson, AttributeError):
        action = ""
    return f"{call.path}/{action}".rstrip("/")


def holds_credential(call: Call) -> bool:
    """GetToken and the sign-in of a person carry passwords."""
    return fault_target(call).endswith(("/GetToken", "/GetUserAuthentication"))


# What a scripted refusal is called here; all of them are answered with HTTP 200.
_WORDS = {
    "chart-locked": "The chart is locked by another user.",
    "patient-merged": "The patient has been merged into another record.",
    "conflict": "The record has been changed by another user.",
    "stale-version": "The record has been changed by another user.",
    "expired-token": LOGGED_OUT,
}


def in_own_words(fault: str, answer: Answer) -> Answer:
    """A scripted refusal as Unity would put it; faults of the server and of the wire stay as they are."""
    text = _WORDS.get(fault, "")
    if fault == "outcome" and answer.status == 200:
        text = exact_json.loads(answer.body)["issue"][0]["details"]["text"]
    if not text:
        return answer
    refused = _json([{"Error": text}])
    refused.committed, refused.staged = answer.committed, answer.staged
    return refused


def _get_token(call: Call) -> Answer:
    request = _request(call)
    if (request.get("Username"), request.get("Password")) != (SERVICE_USER, SERVICE_PASSWORD):
        return _text("error: Username and Password not valid for a licensed product")
    client, _ = SandboxClient.objects.get_or_create(
        vendor=call.vendor, client_id=str(request.get("Appname") or APPNAME)
    )
    if client.client_id != APPNAME:
        return _text("error: The application is not licensed here")
    token = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
    SandboxToken.objects.create(
        client=client, sha256=_sha256(token), scope="service", expires_at=call.at + _idle()
    )
    call.client = client
    return _text(token)


def _magic(front: Front, call: Call) -> Answer:
    request = _request(call)
    action, user = request["Action"], request["AppUserID"]
    if action not in behaviour.of(call.vendor, "unity_licence"):
        raise UnityRefused("Action is not valid for this license.")
    sessions = SandboxToken.objects.filter(sha256=_sha256(request["Token"]))
    sessions.update(expires_at=call.at + _idle())
    if action == "GetServerInfo":
        return rows(action, actions.server_info(call))
    if action == "GetUserAuthentication":
        valid = _is_user(call, user) and request.get("Parameter1") == password_of(user)
        if valid:
            sessions.update(scope=f"user={user}")
        return rows(action, {"ValidUser": "YES" if valid else "NO", "ErrorMessage": ""})
    if call.scope_text != f"user={user}":
        raise UnityRefused("The user has not been authenticated.")
    known = actions.ACTIONS.get(action)
    if known is None:
        raise UnityRefused("Action is not valid for this license.")
    filed = known(front, call, request)
    answer = rows(action, filed.row)
    answer.committed += filed.committed
    return answer


def rows(action: str, row: dict[str, Any]) -> Answer:
    """The success form of a reply."""
    return _json([{f"{action.lower()}info": [row]}])


def _is_user(call: Call, user: str) -> bool:
    people = SandboxName.objects.filter(vendor=call.vendor, group="staff")
    return any(person.details.get("user") == user for person in people)


def _request(call: Call) -> dict[str, Any]:
    try:
        request = exact_json.loads(call.body)
    except exact_json.NotJson:
        raise UnityRefused(MALFORMED) from None
    magic = call.path.endswith("MagicJson")
    if not isinstance(request, dict) or (
        magic and not all(isinstance(request.get(part), str) for part in _PARTS)
    ):
        raise UnityRefused(MALFORMED)
    return request


def _idle() -> timedelta:
    return timedelta(seconds=behaviour.of(behaviour.VERADIGM, "unity_idle_seconds"))


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _text(text: str) -> Answer:
    return Answer(200, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def _json(value: Any) -> Answer:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(200, headers, exact_json.dumps(value).encode())
