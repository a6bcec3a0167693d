"""Where entries are kept: filing, new versions, removal, staged items. Nothing is ever overwritten."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from ehr_adapters.sandbox import exact_json
from ehr_adapters.sandbox.models import (
    SandboxIdentifier,
    SandboxResource,
    SandboxStaged,
    SandboxVersion,
)


@dataclass(frozen=True, slots=True)
class Lag:
    """When searches begin to show a new entry: after a time, after that many requests, or by the lever."""

    until: datetime | None = None
    after_request: int | None = None


# A lag that only the lever ends.
FOREVER = 2**62


def patient_of(resource: Mapping[str, Any]) -> str:
    """The id of the patient that a resource speaks of; "" when it names none."""
    if resource.get("resourceType") == "Patient":
        return str(resource.get("id", ""))
    for key in ("subject", "patient", "for"):
        value = resource.get(key)
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            kind, fhir_id = split_reference(value["reference"])
            return fhir_id if kind == "Patient" else ""
    if resource.get("resourceType") == "Appointment":
        for participant in resource.get("participant") or []:
            kind, fhir_id = split_reference(str(participant.get("actor", {}).get("reference", "")))
            if kind == "Patient":
                return fhir_id
    return ""


def split_reference(reference: str) -> tuple[str, str]:
    """("Patient", "7") of "Patient/7", of ".../Patient/7" and of ".../Patient/7/_history/2"."""
    parts = reference.split("/")
    if "_history" in parts:
        parts = parts[: parts.index("_history")]
    return (parts[-2], parts[-1]) if len(parts) >= 2 else ("", reference)


def find(*, vendor: str, type: str, fhir_id: str) -> SandboxResource | None:
    """The entry, removed or not; None when this id was never filed."""
    return SandboxResource.objects.filter(vendor=vendor, type=type, fhir_id=fhir_id).first()


def new_id() -> str:
    """A server-assigned id."""
    return str(uuid.uuid4())


@transaction.atomic
def file(
    *,
    vendor: str,
    resource: Mapping[str, Any],
    fhir_id: str,
    author: str,
    at: datetime,
    lag: Lag | None = None,
) -> SandboxResource:
    """A new entry in its first version; `fhir_id` must be free."""
    stored = {key: value for key, value in resource.items() if key != "id"} | {"id": fhir_id}
    row = SandboxResource.objects.create(
        vendor=vendor,
        type=resource["resourceType"],
        fhir_id=fhir_id,
        version=1,
        content=exact_json.dumps(_ordered(stored)),
        patient_id=patient_of(stored),
        author=author,
        updated_at=at,
        searchable_at=lag.until if lag else None,
        searchable_after_request=lag.after_request if lag else None,
    )
    _version(row, verb="create", at=at)
    _index(row, stored)
    return row


@transaction.atomic
def revise(
    *, row: SandboxResource, resource: Mapping[str, Any], author: str, at: datetime
) -> SandboxResource:
    """The next version of an entry, whole; the versions before it stay readable."""
    stored = {key: value for key, value in resource.items() if key != "id"} | {"id": row.fhir_id}
    row.version += 1
    row.content = exact_json.dumps(_ordered(stored))
    row.patient_id = patient_of(stored)
    row.author = author
    row.removed = False
    row.updated_at = at
    row.save()
    _version(row, verb="update", at=at)
    SandboxIdentifier.objects.filter(resource=row).delete()
    _index(row, stored)
    return row


@transaction.atomic
def remove(*, row: SandboxResource, author: str, at: datetime) -> SandboxResource:
    """Takes an entry out of the chart, as a colleague may; its history stays."""
    row.version += 1
    row.removed = True
    row.author = author
    row.updated_at = at
    row.save()
    _version(row, verb="remove", at=at)
    return row


def stage(
    *, vendor: str, resource: Mapping[str, Any], fhir_id: str, author: str, at: datetime
) -> SandboxStaged:
    """Takes something in without showing it to anybody until it is accepted."""
    stored = {key: value for key, value in resource.items() if key != "id"} | {"id": fhir_id}
    return SandboxStaged.objects.create(
        vendor=vendor,
        type=resource["resourceType"],
        fhir_id=fhir_id,
        patient_id=patient_of(stored),
        content=exact_json.dumps(_ordered(stored)),
        author=author,
        at=at,
    )


def content_of(row: SandboxResource | SandboxVersion | SandboxStaged) -> dict[str, Any]:
    """What was filed, as it was filed: no server-made meta."""
    result: dict[str, Any] = exact_json.loads(row.content)
    return result


def with_meta(content: Mapping[str, Any], *, version: int, at: datetime) -> dict[str, Any]:
    """The content with the version and time that the server keeps."""
    meta = {
        "versionId": str(version),
        "lastUpdated": instant(at),
        **{
            key: value
            for key, value in (content.get("meta") or {}).items()
            if key not in _SERVER_META
        },
    }
    return {"resourceType": content["resourceType"], "id": content["id"], "meta": meta} | {
        key: value for key, value in content.items() if key not in {"resourceType", "id", "meta"}
    }


def instant(at: datetime) -> str:
    """A FHIR instant with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bulk_file(rows: Iterable[tuple[SandboxResource, dict[str, Any]]]) -> None:
    """Files many first versions at once, for seeding: each row unsaved, with its content."""
    pairs = list(rows)
    for row, content in pairs:
        row.content = exact_json.dumps(_ordered(content))
        row.patient_id = patient_of(content)
    SandboxResource.objects.bulk_create([row for row, _ in pairs])
    SandboxVersion.objects.bulk_create(
        SandboxVersion(
            resource=row,
            version=1,
            verb="create",
            content=row.content,
            author=row.author,
            at=row.updated_at,
        )
        for row, _ in pairs
    )
    SandboxIdentifier.objects.bulk_create(
        identifier for row, content in pairs for identifier in _identifiers(row, content)
    )


_SERVER_META = {"versionId", "lastUpdated"}


def _ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    first = {key: content[key] for key in ("resourceType", "id") if key in content}
    rest = {key: value for key, value in content.items() if key not in first}
    if isinstance(rest.get("meta"), dict):
        kept = {key: value for key, value in rest["meta"].items() if key not in _SERVER_META}
        rest = {key: value for key, value in rest.items() if key != "meta"}
        if kept:
            first["meta"] = kept
    return first | rest


def _version(row: SandboxResource, *, verb: str, at: datetime) -> None:
    SandboxVersion.objects.create(
        resource=row, version=row.version, verb=verb, content=row.content, author=row.author, at=at
    )


def _index(row: SandboxResource, content: Mapping[str, Any]) -> None:
    SandboxIdentifier.objects.bulk_create(_identifiers(row, content))


def _identifiers(row: SandboxResource, content: Mapping[str, Any]) -> list[SandboxIdentifier]:
    given = content.get("identifier") or []
    master = content.get("masterIdentifier")
    every = [*(given if isinstance(given, list) else [given]), *([master] if master else [])]
    return [
        SandboxIdentifier(
            resource=row, system=str(each.get("system", "")), value=str(each["value"])
        )
        for each in every
        if isinstance(each, dict) and each.get("value")
    ]
