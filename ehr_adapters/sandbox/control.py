"""/_practice/: what the people of the practice, and a test, can do besides the vendors' interfaces.

JSON in, JSON out, loopback only. Nothing here is part of any vendor's interface.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ehr_adapters.sandbox import behaviour, charts, exact_json, faults, late, levers, oauth
from ehr_adapters.sandbox.fronts import BASES, FRONTS
from ehr_adapters.sandbox.models import (
    SandboxAssertion,
    SandboxClient,
    SandboxFault,
    SandboxIdentifier,
    SandboxLate,
    SandboxName,
    SandboxRequest,
    SandboxResource,
    SandboxRow,
    SandboxSetting,
    SandboxStaged,
    SandboxToken,
    SandboxVersion,
)
from ehr_adapters.sandbox.seed import filing
from ehr_adapters.sandbox.vendors.epic.apis import registered_apis

LONGEST_LIST = 1000


class OrderNotUnderstood(ValueError):
    """The control surface cannot do this; the sentence says why."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


Order = Mapping[str, Any]
Query = Mapping[str, str]


def control(request: HttpRequest, name: str) -> HttpResponse:
    """One order to the practice."""
    at = timezone.now()
    late.file_due(fronts=FRONTS, at=at)
    try:
        return _json(200, _carried_out(request, name.strip("/"), at))
    except (
        OrderNotUnderstood, levers.LeverStuck, faults.FaultNotUnderstood, behaviour.UnknownSetting,
        oauth.KeyNotUsable, exact_json.NotJson,
    ) as error:  # fmt: skip
        return _json(getattr(error, "status", 400), {"error": str(error)})


def _carried_out(request: HttpRequest, name: str, at: datetime) -> Any:
    order = _order(request.body)
    if name.startswith("levers/") and request.method == "POST":
        return levers.pull(name=name.removeprefix("levers/"), order=order, at=at)
    action = _ACTIONS.get((str(request.method), name))
    if action is None:
        raise OrderNotUnderstood("there is no such order; GET about lists them", 404)
    return action(order, request.GET.dict(), at)


def _order(body: bytes) -> dict[str, Any]:
    order = exact_json.loads(body) if body else {}
    if not isinstance(order, dict):
        raise OrderNotUnderstood("send a JSON object")
    return order


def _json(status: int, value: Any) -> HttpResponse:
    return HttpResponse(exact_json.dumps(value), status=status, content_type="application/json")


def _about(_order: Order, _query: Query, _at: datetime) -> Any:
    return {
        "fronts": {
            vendor: {"base": BASES[vendor], "token": FRONTS[vendor].token_url(BASES[vendor])}
            for vendor in behaviour.VENDORS
        },
        "orders": sorted(f"{method} {name}" for method, name in _ACTIONS),
        "levers": levers.described(),
        "faults": {
            kind: {"phase": str(phase), "does": does}
            for kind, (phase, does) in faults.KINDS.items()
        },
    }


def _seed(order: Order, _query: Query, at: datetime) -> Any:
    return filing.seed(at=_now(order, at))


def _now(order: Order, at: datetime) -> datetime:
    given = order.get("now")
    if given is None:
        return at
    moment = parse_datetime(given) if isinstance(given, str) else None
    if moment is None or moment.tzinfo is None:
        raise OrderNotUnderstood("now must be a time with its offset")
    return moment


@transaction.atomic
def _reset(order: Order, _query: Query, at: datetime) -> Any:
    """Empties the charts, the log, faults, tokens and settings; clients stay unless `everything`."""
    # Children before parents, each table in one statement: tests reset between any two of them.
    emptied: list[type[SandboxRow]] = [
        SandboxLate,
        SandboxRequest,
        SandboxFault,
        SandboxSetting,
        SandboxToken,
    ]
    if order.get("everything"):
        emptied += [SandboxAssertion, SandboxClient]
    seeded: list[type[SandboxRow]] = [
        SandboxStaged,
        SandboxVersion,
        SandboxIdentifier,
        SandboxResource,
        SandboxName,
    ]
    wanted = _now(order, at)
    with transaction.atomic():
        _empty(emptied)
        if order.get("seed") and filing.restore(at=wanted):
            return {"reset": True, "seeded": list(behaviour.VENDORS)}
        _empty(seeded)
        if order.get("seed"):
            return {"reset": True, **filing.seed(at=wanted)}
    return {"reset": True}


def _empty(models: Iterable[type[SandboxRow]]) -> None:
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608 - our own table names


def _directory(_order: Order, _query: Query, _at: datetime) -> Any:
    return filing.directory()


def _register(order: Order, _query: Query, _at: datetime) -> Any:
    client_id = str(order.get("client_id", ""))
    if not client_id:
        raise OrderNotUnderstood("client_id is required")
    secret = str(order.get("secret", ""))
    if secret:
        keys = [oauth.kept_secret(secret)]
    else:
        keys = oauth.public_keys(
            jwk=order.get("jwk"), jwks=order.get("jwks"), pem=str(order.get("pem", ""))
        )
    vendors = [order["vendor"]] if "vendor" in order else list(behaviour.VENDORS)
    scope = str(order.get("scope", "system/*.cruds"))
    for vendor in vendors:
        if vendor not in behaviour.VENDORS:
            raise OrderNotUnderstood(f"vendor must be one of {', '.join(behaviour.VENDORS)}")
        apis = list(order.get("apis", []))
        SandboxClient.objects.update_or_create(
            vendor=vendor,
            client_id=client_id,
            defaults={
                "keys": keys,
                "scope": scope,
                "apis": registered_apis(scope=scope, apis=apis) if vendor == behaviour.EPIC else [],
                "token_seconds": order.get("token_seconds"),
                "background_user": bool(order.get("background_user", True)),
                "missing_security_points": list(order.get("missing_security_points", [])),
            },
        )
    return {"client_id": client_id, "vendors": vendors}


def _clients(_order: Order, _query: Query, _at: datetime) -> Any:
    return {
        "clients": [
            {"vendor": row.vendor, "client_id": row.client_id, "scope": row.scope, "apis": row.apis}
            for row in SandboxClient.objects.order_by("pk")
        ]
    }


def _fault_row(row: SandboxFault) -> dict[str, Any]:
    return {
        "id": row.pk, "vendor": row.vendor, "fault": row.kind, "method": row.method, "path": row.path,
        "skip": row.skip, "times": row.times, "applied": row.applied, **exact_json.loads(row.params),
    }  # fmt: skip


def _add_fault(order: Order, _query: Query, _at: datetime) -> Any:
    return _fault_row(faults.script(order=order))


def _faults(_order: Order, _query: Query, _at: datetime) -> Any:
    return {
        "faults": [_fault_row(row) for row in SandboxFault.objects.order_by("pk")],
        "kinds": {
            kind: {"phase": str(phase), "does": does}
            for kind, (phase, does) in faults.KINDS.items()
        },
    }


def _remove_faults(order: Order, query: Query, _at: datetime) -> Any:
    rows = SandboxFault.objects.all()
    wanted = order.get("id", query.get("id"))
    if wanted is not None:
        rows = rows.filter(pk=int(wanted))
    count, _ = rows.delete()
    return {"removed": count}


def _log(_order: Order, query: Query, _at: datetime) -> Any:
    """Oldest first: vendor, method, path (regular expression), after (a number), limit."""
    rows = SandboxRequest.objects.select_related("late").order_by("pk")
    if "vendor" in query:
        rows = rows.filter(vendor=query["vendor"])
    if "method" in query:
        rows = rows.filter(method=query["method"].upper())
    if "after" in query:
        rows = rows.filter(pk__gt=_whole(query, "after", 0))
    limit = min(_whole(query, "limit", LONGEST_LIST), LONGEST_LIST)
    try:
        pattern = re.compile(query.get("path", ""))
    except re.error:
        raise OrderNotUnderstood("path is not a regular expression") from None
    entries = []
    for row in rows.iterator():
        if pattern.search(row.path):
            entries.append(_log_row(row))
        if len(entries) == limit:
            break
    return {"entries": entries, "newest": late.newest_request()}


def _log_row(row: SandboxRequest) -> dict[str, Any]:
    entry = {
        "id": row.pk,
        "at": charts.instant(row.at),
        "vendor": row.vendor,
        "method": row.method,
        "path": row.path,
        "headers": row.headers,
        "body": None if row.body is None else base64.b64encode(bytes(row.body)).decode(),
        "body_sha256": row.body_sha256,
        "client_id": row.client_id,
        "scope": row.scope,
        "status": row.status,
        "committed": row.committed,
        "staged": row.staged,
        "fault": row.fault,
    }
    waiting = getattr(row, "late", None)
    if waiting is not None:
        entry["late"] = {"state": waiting.state, "status": waiting.status}
    return entry


def _whole(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit():
        raise OrderNotUnderstood(f"{name} must be a whole number")
    return int(text)


def _resources(_order: Order, query: Query, at: datetime) -> Any:
    """Everything in the charts, staged items included: vendor, type, patient (P1 or an id), id."""
    vendor = query.get("vendor", "")
    wanted: dict[str, Any] = {key: query[key] for key in ("vendor", "type") if key in query}
    if "id" in query:
        wanted["fhir_id"] = query["id"]
    if "patient" in query:
        wanted["patient_id__in"] = _patient_ids(query["patient"], vendor)
    newest = late.newest_request()
    rows = [
        {
            "reference": f"{row.type}/{row.fhir_id}",
            "vendor": row.vendor,
            "version": row.version,
            "author": row.author,
            "at": charts.instant(row.updated_at),
            "removed": row.removed,
            "locked": row.locked,
            "searchable": _searchable(row, at, newest),
            "content": charts.content_of(row),
        }
        for row in SandboxResource.objects.filter(**wanted).order_by("pk")[:LONGEST_LIST]
    ]
    staged = [
        {
            "reference": f"{item.type}/{item.fhir_id}",
            "vendor": item.vendor,
            "state": item.state,
            "author": item.author,
            "at": charts.instant(item.at),
            "settled_by": item.settled_by,
            "content": charts.content_of(item),
        }
        for item in SandboxStaged.objects.filter(**wanted).order_by("pk")[:LONGEST_LIST]
    ]
    return {"resources": rows, "staged": staged}


def _searchable(row: SandboxResource, at: datetime, newest: int) -> bool:
    by_time = row.searchable_at is None or row.searchable_at <= at
    return by_time and (
        row.searchable_after_request is None or row.searchable_after_request <= newest
    )


def _patient_ids(name: str, vendor: str) -> list[str]:
    known = SandboxName.objects.filter(group=name, name="patient")
    if vendor:
        known = known.filter(vendor=vendor)
    return list(known.values_list("fhir_id", flat=True)) or [name]


def _stats(_order: Order, _query: Query, _at: datetime) -> Any:
    result: dict[str, Any] = {"log": SandboxRequest.objects.count(), "vendors": {}}
    for vendor in behaviour.VENDORS:
        writes = SandboxRequest.objects.filter(vendor=vendor).exclude(method="GET")
        result["vendors"][vendor] = {
            "resources": SandboxResource.objects.filter(vendor=vendor, removed=False).count(),
            "staged_waiting": SandboxStaged.objects.filter(vendor=vendor, state="waiting").count(),
            "requests": SandboxRequest.objects.filter(vendor=vendor).count(),
            "committed": sum(len(row) for row in writes.values_list("committed", flat=True)),
            "staged": sum(len(row) for row in writes.values_list("staged", flat=True)),
            "late_waiting": SandboxLate.objects.filter(
                request__vendor=vendor, state="waiting"
            ).count(),
            "faults_applied": sum(
                SandboxFault.objects.filter(vendor__in=[vendor, "*"]).values_list(
                    "applied", flat=True
                )
            ),
        }
    return result


def _settings(_order: Order, _query: Query, _at: datetime) -> Any:
    return {vendor: behaviour.all_of(vendor) for vendor in behaviour.VENDORS}


@transaction.atomic
def _set(order: Order, _query: Query, at: datetime) -> Any:
    for vendor, values in order.items():
        if not isinstance(values, dict):
            raise OrderNotUnderstood("send {vendor: {setting: value}}")
        for key, value in values.items():
            behaviour.change(vendor=vendor, key=key, value=value)
    return _settings({}, {}, at)


_ACTIONS: dict[tuple[str, str], Callable[[Order, Query, datetime], Any]] = {
    ("GET", "about"): _about,
    ("POST", "seed"): _seed,
    ("POST", "reset"): _reset,
    ("GET", "directory"): _directory,
    ("POST", "clients"): _register,
    ("GET", "clients"): _clients,
    ("POST", "faults"): _add_fault,
    ("GET", "faults"): _faults,
    ("DELETE", "faults"): _remove_faults,
    ("GET", "log"): _log,
    ("GET", "resources"): _resources,
    ("GET", "stats"): _stats,
    ("GET", "settings"): _settings,
    ("POST", "settings"): _set,
}
