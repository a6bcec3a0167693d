"""A note as a DocumentReference, and back. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.declaration import (
    ChangeInvalid,
    ChangeIssue,
    ChartChange,
    Interaction,
)
from ehr_adapters.canonical.note import note_text, read_note_text
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    concept_of,
    set_labels,
    take_sensitivity,
)

NOTE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"

_SIGNATURE = {"preliminary": "unsigned", "final": "signed", "amended": "signed"}


def note_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    content = change.model_dump_canonical()
    uncarried = _unsaid_of_note(content)
    if change.interaction in {Interaction.CREATE, Interaction.AMEND}:
        resource = to.new("DocumentReference", sensitivity=content.get("sensitivity")) | {
            "status": "current",
            "docStatus": "preliminary",
            "type": concept_of([content["type"]]),
            "category": [{"coding": [{"system": NOTE_CATEGORY, "code": "clinical-note"}]}],
            "subject": {"reference": to.patient},
        }
        if "date" in content:
            resource["date"] = content["date"]
        if "author" in content:
            resource["author"] = [{"reference": content["author"]}]
        if "amends" in content:
            resource["relatesTo"] = [
                {"code": "appends", "target": {"reference": content["amends"]}}
            ]
        text = note_text(sections=content["sections"], short=to.tag_short)
        resource["content"] = [{"attachment": _text_attachment(text, content_type=to.content_type)}]
        context: dict[str, Any] = {}
        if "encounter" in content:
            context["encounter"] = [{"reference": content["encounter"]}]
        if "date" in content:
            context["period"] = {"start": content["date"]}
        if context:
            resource["context"] = context
        return FhirForm(resource, uncarried)
    resource = to.entry()
    set_labels(resource, content.get("sensitivity"))
    if change.interaction is Interaction.ENTERED_IN_ERROR:
        resource["status"] = "entered-in-error"
        if "docStatus" in resource:
            resource["docStatus"] = "entered-in-error"
        return FhirForm(resource, uncarried)
    before = read_note(Taken(to.entry(), tag_system=to.tag_system)).content
    place = _own_text_place(resource)
    if place is None:
        raise ChangeInvalid(
            [
                ChangeIssue(
                    "/sections",
                    "foreign-note",
                    "The note's text is not as the portal filed it: it can only be changed in the EHR.",
                )
            ]
        )
    sections = change.applied_to(before)["sections"]
    text = note_text(sections=sections, short=to.tag_short)
    attachment = resource["content"][place]["attachment"]
    for stale in ("hash", "size", "creation", "_data"):
        attachment.pop(stale, None)
    if _charset(str(attachment["contentType"])).lower() not in {"utf-8", "utf8"}:
        attachment["contentType"] = to.content_type
    attachment["data"] = base64.b64encode(text.encode()).decode()
    if "date" in content:
        resource["date"] = content["date"]
        resource.pop("_date", None)
        resource.setdefault("context", {}).setdefault("period", {})["start"] = content["date"]
    if "encounter" in content:
        others = resource.setdefault("context", {}).get("encounter", [])[1:]
        resource["context"]["encounter"] = [{"reference": content["encounter"]}, *others]
    return FhirForm(resource, uncarried)


def _unsaid_of_note(content: Mapping[str, Any]) -> tuple[Uncarried, ...]:
    unsaid = [
        Uncarried(f"/sections/{index}/code", "The section's code is not sent; its title is.")
        for index, section in enumerate(content.get("sections") or ())
        if section.get("code")
    ]
    if content.get("attachments"):
        unsaid.append(
            Uncarried("/attachments", "The attached documents are not sent with the note's text.")
        )
    if content.get("patient_release"):
        unsaid.append(
            Uncarried("/patient_release", "When the patient may see the note is set in the EHR.")
        )
    return tuple(unsaid)


def _own_text_place(resource: Mapping[str, Any]) -> int | None:
    for index, part in enumerate(resource.get("content") or ()):
        text = attachment_text(part.get("attachment") or {})
        if text is not None and read_note_text(text) is not None:
            return index
    return None


def attachment_text(attachment: Mapping[str, Any]) -> str | None:
    """The text of a text/plain attachment with its data inline; None for any other attachment."""
    if not re.match(
        r"text/plain\s*(?:;|$)", str(attachment.get("contentType", "")).strip().lower()
    ):
        return None
    data = attachment.get("data")
    if not isinstance(data, str):
        return None
    try:
        raw = base64.b64decode(re.sub(r"\s", "", data), validate=True)
        return raw.decode(_charset(str(attachment["contentType"])))
    except (binascii.Error, UnicodeDecodeError, LookupError):
        return None


def _charset(content_type: str) -> str:
    found = re.search(r"charset\s*=\s*\"?([A-Za-z0-9._-]+)", content_type)
    return found.group(1) if found else "utf-8"


def _text_attachment(text: str, *, content_type: str) -> dict[str, Any]:
    return {"contentType": content_type, "data": base64.b64encode(text.encode()).decode()}


def read_note(taken: Taken) -> CanonicalForm:
    content: dict[str, Any] = {}
    short_forms: list[str] = []
    code = taken.code_of("type", (codes.LOINC,))
    if code:
        content["type"] = code[0]
    status = taken.pop("status")
    signature = taken.pop("docStatus")
    if status == "entered-in-error" or signature == "entered-in-error":
        content["status"] = "entered-in-error"
    elif signature in _SIGNATURE:
        content["status"] = _SIGNATURE[signature]
    elif signature is not None:
        taken.leave("docStatus", signature)
    if status not in {"current", "entered-in-error", None}:
        taken.leave("status", status)
    taken.pop_if(
        "category",
        lambda v: v == [{"coding": [{"system": NOTE_CATEGORY, "code": "clinical-note"}]}],
    )
    author = taken.first_reference("author", "Practitioner")
    if author:
        content["author"] = author
    _read_note_context(taken, content)
    _read_relations(taken, content)
    _read_note_parts(taken, content, short_forms)
    taken.pop("subject")
    take_sensitivity(taken, content)
    tags = taken.tags()
    return CanonicalForm("note", content, taken.left(), (*tags, *short_forms))


def _read_note_context(taken: Taken, content: dict[str, Any]) -> None:
    date = taken.pop("date")
    context = taken.value.get("context")
    if isinstance(context, dict):
        period = context.get("period")
        if isinstance(period, dict) and isinstance(period.get("start"), str):
            start = period.pop("start")
            if date is not None and start != date:
                taken.leave("date", date)
            date = start
        encounters = context.get("encounter")
        if isinstance(encounters, list) and encounters:
            reference = taken.reference(encounters[0], "Encounter")
            if reference:
                content["encounter"] = reference
                del encounters[0]
    if isinstance(date, str):
        if re.fullmatch(r".{10}T.*(?:Z|[+-]\d\d:\d\d)", date):
            content["date"] = date
        else:
            taken.leave("date", date)


def _read_relations(taken: Taken, content: dict[str, Any]) -> None:
    relations = taken.value.get("relatesTo")
    if not isinstance(relations, list):
        return
    for index, relation in enumerate(relations):
        if isinstance(relation, dict) and relation.get("code") == "appends":
            reference = taken.reference(relation.get("target"), "DocumentReference")
            if reference:
                content["amends"] = reference
                del relations[index]
                return


def _read_note_parts(taken: Taken, content: dict[str, Any], short_forms: list[str]) -> None:
    parts = taken.value.get("content")
    if not isinstance(parts, list):
        return
    left = []
    attachments = []
    for part in parts:
        attachment = part.get("attachment") if isinstance(part, dict) else None
        if not isinstance(attachment, dict):
            left.append(part)
            continue
        text = attachment_text(attachment)
        if text is not None and "sections" not in content:
            known = read_note_text(text)
            if known is None:
                content["sections"] = [{"title": "", "text": text}]
            else:
                content["sections"], short = known
                short_forms.append(short)
            rest = {
                k: v
                for k, v in attachment.items()
                if k not in {"contentType", "data", "size", "hash"}
            }
            if rest:
                left.append({**part, "attachment": rest})
            elif set(part) - {"attachment"}:
                left.append({k: v for k, v in part.items() if k != "attachment"})
            continue
        described = _described_pdf(attachment)
        if described is None:
            left.append(part)
        else:
            attachments.append(described)
    if attachments:
        content["attachments"] = attachments
    taken.value["content"] = left


def _described_pdf(attachment: Mapping[str, Any]) -> dict[str, Any] | None:
    if attachment.get("contentType") != "application/pdf" or not attachment.get("data"):
        return None
    try:
        raw = base64.b64decode(re.sub(r"\s", "", str(attachment["data"])), validate=True)
    except binascii.Error:
        return None
    return {
        "title": str(attachment.get("title") or "PDF document"),
        "type": "application/pdf",
        "size": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }


NOTE = Translation(
    write=note_to_fhir,
    read=read_note,
    types=("DocumentReference",),
    words="notes",
    is_active=lambda content: content.get("status") != "entered-in-error",
)
