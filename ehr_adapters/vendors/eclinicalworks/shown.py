"""What eClinicalWorks keeps as words, in a form that can be read and compared. Pure."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.note import note_text
from ehr_adapters.vendors.eclinicalworks import note_message
from ehr_adapters.vendors.eclinicalworks.hl7v2 import NotHl7


def message_in(resource: Mapping[str, Any]) -> note_message.NoteMessage | None:
    """The note's message inside a document; None when there is none that can be read."""
    for part in resource.get("content") or ():
        attachment = part.get("attachment") if isinstance(part, Mapping) else None
        found = _decoded(attachment) if isinstance(attachment, Mapping) else None
        if found is not None:
            return found
    return None


def _decoded(attachment: Mapping[str, Any]) -> note_message.NoteMessage | None:
    named = str(attachment.get("contentType", "")).partition(";")[0].strip().lower()
    if named != note_message.CONTENT_TYPE:
        return None
    try:
        raw = base64.b64decode(str(attachment.get("data", "")), validate=True)
        return note_message.read(raw)
    except (binascii.Error, NotHl7):
        return None


def readable(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource with each HL7 v2 note as the plain text that it says."""
    parts = resource.get("content")
    if resource.get("resourceType") != "DocumentReference" or not isinstance(parts, list):
        return resource
    shown = []
    for part in parts:
        attachment = part.get("attachment") if isinstance(part, Mapping) else None
        found = _decoded(attachment) if isinstance(attachment, Mapping) else None
        if found is None:
            shown.append(part)
            continue
        text = note_text(
            sections=[{"title": title, "text": text} for title, text in found.sections],
            short=found.short,
        )
        data = base64.b64encode(text.encode()).decode()
        plain = {"contentType": "text/plain; charset=utf-8", "data": data}
        shown.append({**part, "attachment": {**(attachment or {}), **plain}})
    return {**resource, "content": shown}


def reaction_words(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The allergy with its reactions as the words that eClinicalWorks keeps of them."""
    reactions = resource.get("reaction")
    if not isinstance(reactions, list):
        return resource
    shown = []
    for one in reactions:
        held = one.get("manifestation") if isinstance(one, Mapping) else None
        if isinstance(held, list) and all(isinstance(m, Mapping) and m.get("text") for m in held):
            shown.append({**one, "manifestation": [{"text": m["text"]} for m in held]})
        else:
            shown.append(one)
    return {**resource, "reaction": shown}


def medication_words(resource: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the medication list, whichever type holds it: route and frequency as words where it has them."""
    said: dict[str, Any] = {k: v for k, v in content.items() if k not in {"entry", "drug"}}
    drug = content.get("drug") or {}
    said |= {"drug": {"system": drug.get("system"), "code": drug.get("code")}}
    lines = resource.get("dosage") or resource.get("dosageInstruction") or []
    line = lines[0] if len(lines) == 1 and isinstance(lines[0], Mapping) else {}
    route, timing = line.get("route") or {}, (line.get("timing") or {}).get("code") or {}
    for name, concept in (("route", route), ("frequency", timing)):
        if concept.get("text"):
            said[name] = concept["text"]
    return {"resourceType": "MedicationRequest", **said}
