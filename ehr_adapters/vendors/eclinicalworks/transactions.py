"""One entry in a transaction to the base address, and the answer to it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ehr_adapters.canonical.exact_json import NotStrictJson, dumps, loads
from ehr_adapters.contract import WireRequest
from ehr_adapters.errors import AdapterMisconfigured


def as_transaction(step: WireRequest) -> WireRequest:
    """The same request as the only entry of a transaction to the base address."""
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": loads(step.body), "request": {"method": step.method, "url": step.path}}
        ],
    }
    return replace(step, method="POST", path="", body=dumps(bundle))


def as_single(step: WireRequest) -> WireRequest:
    """The request inside, or the request itself where it goes to an address of its own; raises
    `AdapterMisconfigured` for anything but a transaction of one entry."""
    if step.path:
        return step
    try:
        bundle = loads(step.body)
        [entry] = bundle["entry"]
        request, resource = entry["request"], entry["resource"]
        wrapped = bundle["type"] == "transaction" and isinstance(resource, dict)
        method, path = str(request["method"]), str(request["url"])
    except (NotStrictJson, KeyError, TypeError, ValueError):
        wrapped = False
    if not wrapped:
        raise AdapterMisconfigured("The plan is no transaction of one entry.")
    return replace(step, method=method, path=path, body=dumps(resource))


def type_in(step: WireRequest) -> str:
    return as_single(step).path.partition("/")[0]


def is_note(step: WireRequest) -> bool:
    return type_in(step) == "DocumentReference"


def response_in(body: Mapping[str, Any] | None) -> tuple[str, str, Mapping[str, Any] | None]:
    """(number, location, outcome) of the only entry of a transaction-response."""
    if body is None or body.get("resourceType") != "Bundle":
        return "", "", body
    entries = body.get("entry")
    only = entries[0] if isinstance(entries, list) and len(entries) == 1 else None
    response = only.get("response") if isinstance(only, dict) else None
    if body.get("type") != "transaction-response" or not isinstance(response, dict):
        return "", "", None
    number = str(response.get("status", ""))
    location, outcome = response.get("location"), response.get("outcome")
    return (
        # "201 Created" would be a status of HTTP: eClinicalWorks' own stand alone.
        number if re.fullmatch(r"[0-9]{1,4}", number) else "",
        location if isinstance(location, str) else "",
        outcome if isinstance(outcome, dict) else None,
    )
