"""What colleagues and clerks do in the EHR itself, on command: the portal only ever sees the result."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from ehr_adapters.sandbox import behaviour, charts, conformance, exact_json, faults, late
from ehr_adapters.sandbox.fronts import FRONTS
from ehr_adapters.sandbox.models import (
    SandboxLate,
    SandboxName,
    SandboxResource,
    SandboxStaged,
    SandboxToken,
)

Order = Mapping[str, Any]


class LeverStuck(ValueError):
    """The lever cannot be pulled like this; the sentence says why."""


def pull(*, name: str, order: Order, at: datetime) -> dict[str, Any]:
    """Does in the EHR what the lever says, in one transaction. Raises LeverStuck."""
    lever = _LEVERS.get(name)
    if lever is None:
        raise LeverStuck(f"there is no lever {name!r}; there are {', '.join(_LEVERS)}")
    with transaction.atomic():
        return lever(order, at)


def described() -> dict[str, str]:
    """Each lever with what it does."""
    return {name: (lever.__doc__ or "").strip() for name, lever in _LEVERS.items()}


# --- whom and what ---------------------------------------------------------------------------------------


def _vendor(order: Order) -> str:
    vendor = str(order.get("vendor", behaviour.GENERIC))
    if vendor not in behaviour.VENDORS:
        raise LeverStuck(f"vendor must be one of {', '.join(behaviour.VENDORS)}")
    return vendor


def _vendors(order: Order) -> list[str]:
    return [_vendor(order)] if "vendor" in order else list(behaviour.VENDORS)


def _named(vendor: str, group: str, name: str) -> SandboxName:
    known = SandboxName.objects.filter(vendor=vendor, group=group, name=name).first()
    if known is None:
        raise LeverStuck(f"{vendor} has no {name!r} of {group!r} in its directory")
    return known


def _row(order: Order) -> SandboxResource:
    """The entry named by `reference`, or by `patient` and `entry` (a name of the directory)."""
    vendor = _vendor(order)
    if "reference" in order:
        kind, fhir_id = charts.split_reference(str(order["reference"]))
    elif "patient" in order:
        known = _named(vendor, str(order["patient"]), str(order.get("entry", "patient")))
        kind, fhir_id = known.type, known.fhir_id
    else:
        raise LeverStuck("name an entry by reference, or by patient and entry")
    row = charts.find(vendor=vendor, type=kind, fhir_id=fhir_id)
    if row is None or row.removed:
        raise LeverStuck(f"{vendor} has no entry {kind}/{fhir_id}")
    return row


def _patient(vendor: str, name: str) -> SandboxResource:
    known = SandboxName.objects.filter(vendor=vendor, group=name, name="patient").first()
    fhir_id = known.fhir_id if known else charts.split_reference(name)[1]
    row = charts.find(vendor=vendor, type="Patient", fhir_id=fhir_id)
    if row is None:
        raise LeverStuck(f"{vendor} has no patient {name!r}")
    return row


def _author(
    order: Order, vendor: str, default: str = "prescriber_two"
) -> tuple[str, dict[str, Any]]:
    """Who acts, in words and as a reference."""
    name = str(order.get("author", default))
    known = SandboxName.objects.filter(vendor=vendor, group="staff", name=name).first()
    if known is None:
        return name, {"display": name}
    display = str(known.details["name"])
    return display, {"reference": f"Practitioner/{known.fhir_id}", "display": display}


def _told(row: SandboxResource) -> dict[str, Any]:
    return {
        "vendor": row.vendor,
        "reference": f"{row.type}/{row.fhir_id}",
        "version": row.version,
        "content": charts.content_of(row),
    }


def _revised(
    row: SandboxResource, content: dict[str, Any], author: str, at: datetime
) -> dict[str, Any]:
    if found := [each for each in conformance.problems(content) if row.vendor == behaviour.GENERIC]:
        raise LeverStuck(f"that would not be a valid {row.type}: {found[0].path} {found[0].text}")
    return _told(charts.revise(row=row, resource=content, author=author, at=at))


# --- the levers -------------------------------------------------------------------------------------------


def _edit_as_colleague(order: Order, at: datetime) -> dict[str, Any]:
    """Edits an entry as another author: `changes` (JSON merge patch), `set` {pointer: value}, `comment` text."""
    row = _row(order)
    words, reference = _author(order, row.vendor)
    content = charts.content_of(row)
    if not {"changes", "set", "comment"} & set(order):
        raise LeverStuck("say what is edited: changes, set or comment")
    content = _merge_patch(content, order.get("changes", {}))
    for pointer, value in (order.get("set") or {}).items():
        faults.put(content, pointer, value)
    if "comment" in order:
        _comment(content, str(order["comment"]), reference, at)
    return _revised(row, content, words, at)


def _comment(content: dict[str, Any], text: str, author: dict[str, Any], at: datetime) -> None:
    if content["resourceType"] == "DocumentReference":
        content["description"] = text
        return
    who = (
        {"authorReference": author}
        if "reference" in author
        else {"authorString": author["display"]}
    )
    content["note"] = [*content.get("note", []), {**who, "time": charts.instant(at), "text": text}]


def _merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_patch(result.get(key), value)
    return result


def _sign(order: Order, at: datetime) -> dict[str, Any]:
    """Signs a note (docStatus final), or a draft order (active; what it replaces is stopped)."""
    row = _row(order)
    words, reference = _author(order, row.vendor, "prescriber_one")
    content = charts.content_of(row)
    if row.type == "DocumentReference":
        content |= {"docStatus": "final", "authenticator": reference}
    elif row.type in {"MedicationRequest", "ServiceRequest"}:
        content |= {
            "status": "active",
            "intent": "order",
            "requester": content.get("requester", reference),
        }
        for replaced in _replaced(content):
            old = charts.find(
                vendor=row.vendor, type=row.type, fhir_id=charts.split_reference(replaced)[1]
            )
            if old is not None and not old.removed:
                ended = "stopped" if row.type == "MedicationRequest" else "revoked"
                charts.revise(
                    row=old,
                    resource=charts.content_of(old) | {"status": ended},
                    author=words,
                    at=at,
                )
    else:
        raise LeverStuck(f"a {row.type} is not signed")
    return _revised(row, content, words, at)


def _replaced(content: Mapping[str, Any]) -> list[str]:
    given = [content.get("priorPrescription"), *(content.get("replaces") or [])]
    return [each["reference"] for each in given if isinstance(each, dict) and "reference" in each]


def _close_visit(order: Order, at: datetime) -> dict[str, Any]:
    """Finishes a visit; with `locked` true it takes no more entries."""
    row = _row({"entry": "visit", **order})
    words, _ = _author(order, row.vendor, "prescriber_one")
    content = charts.content_of(row)
    content |= {
        "status": "finished",
        "period": {**content.get("period", {}), "end": charts.instant(at)},
    }
    row.locked = bool(order.get("locked", False))
    return _revised(row, content, words, at) | {"locked": row.locked}


def _reopen_visit(order: Order, at: datetime) -> dict[str, Any]:
    """Opens a finished visit again."""
    row = _row({"entry": "visit", **order})
    words, _ = _author(order, row.vendor, "prescriber_one")
    content = charts.content_of(row)
    period = {key: value for key, value in content.get("period", {}).items() if key != "end"}
    row.locked = False
    return _revised(row, content | {"status": "in-progress", "period": period}, words, at)


def _merge(order: Order, at: datetime) -> dict[str, Any]:
    """Replaces the record of `loser` (P14) by `survivor` (P13); `move` re-points its entries (Epic does)."""
    done = {}
    for vendor in _vendors(order):
        loser = _patient(vendor, str(order.get("loser", "P14")))
        survivor = _patient(vendor, str(order.get("survivor", "P13")))
        lost, kept = charts.content_of(loser), charts.content_of(survivor)
        if any(link["type"] == "replaced-by" for link in lost.get("link", [])):
            raise LeverStuck("this record is part of another already")
        lost |= {"active": False, "link": [_link(survivor, "replaced-by")]}
        kept["link"] = [*kept.get("link", []), _link(loser, "replaces")]
        charts.revise(row=loser, resource=lost, author="Health records", at=at)
        charts.revise(row=survivor, resource=kept, author="Health records", at=at)
        moved = 0
        if order.get("move", vendor == behaviour.EPIC):
            moved = _move(vendor, loser.fhir_id, survivor.fhir_id, at)
        done[vendor] = {"loser": loser.fhir_id, "survivor": survivor.fhir_id, "moved": moved}
    return done


def _link(row: SandboxResource, kind: str) -> dict[str, Any]:
    return {"other": {"reference": f"Patient/{row.fhir_id}"}, "type": kind}


def _move(vendor: str, loser: str, survivor: str, at: datetime) -> int:
    rows = SandboxResource.objects.filter(vendor=vendor, patient_id=loser, removed=False).exclude(
        type="Patient"
    )
    for row in rows:
        text = exact_json.dumps(charts.content_of(row)).replace(
            f'"Patient/{loser}"', f'"Patient/{survivor}"'
        )
        charts.revise(row=row, resource=exact_json.loads(text), author="Health records", at=at)
    SandboxStaged.objects.filter(vendor=vendor, patient_id=loser).update(patient_id=survivor)
    return len(rows)


def _die(order: Order, at: datetime) -> dict[str, Any]:
    """Records a death (`on`, a time; else now)."""
    done = {}
    for vendor in _vendors(order):
        row = _patient(vendor, str(order.get("patient", "")))
        content = charts.content_of(row) | {
            "deceasedDateTime": str(order.get("on", charts.instant(at)))
        }
        done[vendor] = _revised(row, content, "Health records", at)
    return done


def _staged(order: Order) -> list[SandboxStaged]:
    vendor = str(order.get("vendor", behaviour.EPIC))
    waiting = SandboxStaged.objects.filter(vendor=vendor, state="waiting").order_by("pk")
    if "reference" in order:
        kind, fhir_id = charts.split_reference(str(order["reference"]))
        waiting = waiting.filter(type=kind, fhir_id=fhir_id)
    elif "patient" in order:
        waiting = waiting.filter(patient_id=_patient(vendor, str(order["patient"])).fhir_id)
        if "type" in order:
            waiting = waiting.filter(type=order["type"])
    else:
        raise LeverStuck("name a staged item by reference, or the patient")
    items = list(waiting)
    if not items:
        raise LeverStuck("nothing of that kind is waiting")
    return items


def _accept_staged(order: Order, at: datetime) -> dict[str, Any]:
    """Takes a waiting item into the chart, under the id it was answered with; `changes` (merge patch) on the way."""
    done = []
    for item in _staged(order):
        words, _ = _author(order, item.vendor, "prescriber_one")
        content = _merge_patch(charts.content_of(item), order.get("changes", {}))
        # Filed under the sender's name, so that the vendor's habits with such entries go on.
        row = charts.file(
            vendor=item.vendor, resource=content, fhir_id=item.fhir_id, author=item.author, at=at
        )
        item.state, item.settled_at, item.settled_by = "accepted", at, words
        item.save()
        done.append(_told(row))
    return {"accepted": done}


def _decline_staged(order: Order, at: datetime) -> dict[str, Any]:
    """Throws a waiting item away; nobody is told."""
    items = _staged(order)
    for item in items:
        words, _ = _author(order, item.vendor, "prescriber_one")
        item.state, item.settled_at, item.settled_by = "declined", at, words
        item.save()
    return {"declined": [f"{item.type}/{item.fhir_id}" for item in items]}


def _remove(order: Order, at: datetime) -> dict[str, Any]:
    """Takes an entry out of the chart, as a colleague may."""
    row = _row(order)
    words, _ = _author(order, row.vendor)
    charts.remove(row=row, author=words, at=at)
    return {"vendor": row.vendor, "reference": f"{row.type}/{row.fhir_id}", "version": row.version}


def _add_resource(order: Order, at: datetime) -> dict[str, Any]:
    """Files a `resource` as a colleague; `patient` fills in whose, `entry` gives it a name in the directory."""
    vendor = _vendor(order)
    resource = order.get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") not in FRONTS[vendor].types:
        raise LeverStuck("resource must be of a type that this vendor keeps")
    content = dict(resource)
    if "patient" in order:
        key = {"AllergyIntolerance": "patient", "Task": "for"}.get(
            content["resourceType"], "subject"
        )
        content[key] = {"reference": f"Patient/{_patient(vendor, str(order['patient'])).fhir_id}"}
    if found := conformance.problems(content):
        raise LeverStuck(
            f"that is not a valid {content['resourceType']}: {found[0].path} {found[0].text}"
        )
    words, _ = _author(order, vendor)
    fhir_id = str(content.get("id") or FRONTS[vendor].new_id())
    if charts.find(vendor=vendor, type=content["resourceType"], fhir_id=fhir_id) is not None:
        raise LeverStuck("this id is taken")
    row = charts.file(vendor=vendor, resource=content, fhir_id=fhir_id, author=words, at=at)
    if "patient" in order and "entry" in order:
        SandboxName.objects.update_or_create(
            vendor=vendor, group=order["patient"], name=order["entry"],
            defaults={"type": row.type, "fhir_id": row.fhir_id},
        )  # fmt: skip
    return _told(row)


def _expire_tokens(order: Order, at: datetime) -> dict[str, Any]:
    """Moves the end of every token nearer by `seconds`; without it they end now."""
    rows = SandboxToken.objects.filter(client__vendor__in=_vendors(order))
    for row in rows:
        row.expires_at = (
            row.expires_at - timedelta(seconds=order["seconds"]) if order.get("seconds") else at
        )
        row.save(update_fields=["expires_at"])
    return {"tokens": len(rows)}


def _commit_late(order: Order, at: datetime) -> dict[str, Any]:
    """Files now what a late commit still holds back; `request` names one by its number in the log."""
    rows = SandboxLate.objects.filter(state="waiting").order_by("pk")
    if "request" in order:
        rows = rows.filter(request_id=order["request"])
    settled = [row.request.pk for row in rows if late.settle(row=row, fronts=FRONTS, at=at)]
    return {"settled": settled}


def _index_now(order: Order, _at: datetime) -> dict[str, Any]:
    """Ends the search lag of everything filed so far."""
    rows = SandboxResource.objects.filter(vendor__in=_vendors(order))
    lagging = rows.exclude(searchable_at__isnull=True, searchable_after_request__isnull=True)
    return {"indexed": lagging.update(searchable_at=None, searchable_after_request=None)}


_LEVERS: dict[str, Callable[[Order, datetime], dict[str, Any]]] = {
    "edit_as_colleague": _edit_as_colleague,
    "sign": _sign,
    "close_visit": _close_visit,
    "reopen_visit": _reopen_visit,
    "merge": _merge,
    "die": _die,
    "accept_staged": _accept_staged,
    "decline_staged": _decline_staged,
    "remove": _remove,
    "add_resource": _add_resource,
    "expire_tokens": _expire_tokens,
    "commit_late": _commit_late,
    "index_now": _index_now,
}
