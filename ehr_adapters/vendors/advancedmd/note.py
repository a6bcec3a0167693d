"""A note as the fields of one of the practice's templates, and back. Pure.

AdvancedMD keeps no free text beside its templates: every section needs a field that the connection's
settings name, in the template for notes of its type.

Source: integrators' notes on the AdvancedMD Connect API, addehrnote and getehrtemplates.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import LOINC
from ehr_adapters.canonical.fhir_r4 import to_fhir
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.contract import Remark, Tag, short_forms_in
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.advancedmd import messages
from ehr_adapters.vendors.advancedmd.saying import Said, as_shown, by_message, destination
from ehr_adapters.vendors.advancedmd.settings import AdvancedMdSettings, NoteField, NoteTemplate

ADD = "addehrnote"


def issues(
    content: Mapping[str, Any], *, settings: AdvancedMdSettings, zone: ZoneInfo, short: str
) -> Iterator[Issue]:
    """What keeps a note out of the template: refused, never squeezed in."""
    template = settings.template_for(content["type"]["code"])
    if template is None:
        yield Issue(
            "unsupported", "/type", "This connection names no AdvancedMD template for such notes."
        )
        return
    seen: set[int] = set()
    for place, section in enumerate(content["sections"]):
        field = field_of(template, section["title"])
        pointer = f"/sections/{place}"
        if field is None:
            yield Issue(
                "no-field",
                f"{pointer}/title",
                f"AdvancedMD's template “{template.name}” has no field for this section.",
            )
        elif field.ordinal in seen:
            yield Issue(
                "no-field",
                f"{pointer}/title",
                "Two sections would go into one field of AdvancedMD.",
            )
        else:
            seen.add(field.ordinal)
    for field, text in _filled(content["sections"], template=template, short=short):
        if len(text) > field.longest:
            place = _place_of(content["sections"], field)
            yield Issue(
                "too-long",
                f"/sections/{place}/text",
                f"With its last line this section has {len(text)} characters; AdvancedMD's field "
                f"“{field.name}” takes at most {field.longest}.",
            )
    author = content.get("author", "").removeprefix("Practitioner/")
    if author not in settings.profiles:
        yield Issue(
            "no-profile",
            "/author",
            "AdvancedMD files a note under a provider profile; the connection names none for this author.",
        )
    if content.get("date"):
        moment = datetime.fromisoformat(content["date"]).astimezone(zone)
        if messages.is_ambiguous(moment):
            yield Issue(
                "ambiguous-time",
                "/date",
                "AdvancedMD takes local times, and the clocks showed this one twice: choose another.",
            )


def unsent(content: Mapping[str, Any], *, template: NoteTemplate) -> Iterator[Remark]:
    """What the fields have no place for, and what the template changes."""
    for place, section in enumerate(content["sections"]):
        if section.get("code"):
            yield Remark(
                "not-carried",
                f"/sections/{place}/code",
                "The section's code is not sent; the field is named for its title.",
            )
    for name, sentence in (
        ("attachments", "The attached documents are not sent with the note's text."),
        ("patient_release", "When the patient may see the note is set in AdvancedMD."),
    ):
        if content.get(name):
            yield Remark("not-carried", f"/{name}", sentence)
    if content.get("sensitivity", "normal") != "normal":
        yield Remark(
            "not-carried",
            "/sensitivity",
            "AdvancedMD does not take the sensitivity label from outside.",
        )
    if content.get("date") and datetime.fromisoformat(content["date"]).microsecond:
        yield Remark("not-carried", "/date", "AdvancedMD keeps whole seconds.")
    order = [field_of(template, section["title"]) for section in content["sections"]]
    if order != sorted(order, key=lambda one: template.fields.index(one) if one else 0):
        yield Remark(
            "replaced", "/sections", "AdvancedMD shows the sections in its template's order."
        )


def field_of(template: NoteTemplate, title: str) -> NoteField | None:
    return next((one for one in template.fields if one.section == title), None)


def _filled(
    sections: Sequence[Mapping[str, Any]], *, template: NoteTemplate, short: str
) -> list[tuple[NoteField, str]]:
    """(field, text) in the template's order; the last text ends with the reference line."""
    texts = {section["title"]: section["text"] for section in sections}
    filled = [(one, texts[one.section]) for one in template.fields if one.section in texts]
    if filled:
        last, text = filled[-1]
        filled[-1] = (last, comment_text(text=text, short=short))
    return filled


def _place_of(sections: Sequence[Mapping[str, Any]], field: NoteField) -> int:
    return next(i for i, one in enumerate(sections) if one["title"] == field.section)


def body(
    content: Mapping[str, Any],
    *,
    settings: AdvancedMdSettings,
    zone: ZoneInfo,
    patient: str,
    visit: str,
    short: str,
) -> bytes:
    """The message, for a note that has no `issues`."""
    template = settings.template_for(content["type"]["code"])
    assert template is not None
    attributes = {
        "templatename": template.name,
        "patientid": patient,
        "profileid": settings.profiles[content["author"].removeprefix("Practitioner/")],
    }
    if content.get("date"):
        local = datetime.fromisoformat(content["date"]).astimezone(zone)
        attributes["notedatetime"] = messages.message_time(local)
    if visit:
        attributes["visitid"] = visit
    pages: dict[tuple[int, str], list[str]] = {}
    for field, text in _filled(content["sections"], template=template, short=short):
        pages.setdefault((field.page, field.page_name), []).append(
            messages.element(
                "field",
                {
                    "pageindex": str(field.page),
                    "ordinal": str(field.ordinal),
                    "fieldname": field.name,
                    "requiredflag": "0",
                    "enabledflag": "-1",
                    "value": text,
                },
            )
        )
    listed = [
        messages.element(
            "page",
            {"pageindex": str(number), "pagename": name},
            messages.element("fieldlist", {}, *fields),
        )
        for (number, name), fields in pages.items()
    ]
    return messages.message(ADD, attributes, messages.element("pagelist", {}, *listed))


def write(
    change: ChartChange,
    *,
    settings: AdvancedMdSettings,
    zone: ZoneInfo,
    reference: str,
    patient: str,
    visit: str,
    tag: Tag,
) -> Said:
    """The request, for a note that has no `issues`."""
    content = change.model_dump_canonical()
    template = settings.template_for(content["type"]["code"])
    assert template is not None
    message = body(
        content,
        settings=settings,
        zone=zone,
        patient=patient,
        visit=visit if content.get("encounter") else "",
        short=tag.short,
    )
    shown = as_shown(to_fhir(change, destination(reference, tag=tag)).resource)
    text = shown_text(content["sections"], template=template, short=tag.short)
    data = b64encode(text.encode()).decode()
    shown["content"] = [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": data}}]
    if content.get("date"):
        moment = datetime.fromisoformat(content["date"]).astimezone(zone)
        shown["date"] = moment.replace(microsecond=0).isoformat()
    remarks = tuple(unsent(content, template=template))
    return Said(by_message(ADD, message), remarks, shown)


def said(root: ET.Element, *, settings: AdvancedMdSettings, zone: ZoneInfo) -> dict[str, Any]:
    """What a frozen message says, in the fields of a note; raises LookupError for an unknown template."""
    template = next(one for one in settings.note_templates if one.name == root.get("templatename"))
    by_ordinal = {str(one.ordinal): one.section for one in template.fields}
    texts = [
        (by_ordinal[one.get("ordinal", "")], one.get("value", "")) for one in root.iter("field")
    ]
    title, last = texts[-1]
    texts[-1] = (title, read_comment_text(last)[0])
    profile = root.get("profileid")
    author = next(who for who, number in settings.profiles.items() if number == profile)
    content: dict[str, Any] = {
        "type": {"system": LOINC, "code": template.type},
        "status": "unsigned",
        "author": f"Practitioner/{author}",
        "sections": [{"title": name, "text": text} for name, text in texts],
    }
    if root.get("notedatetime"):
        moment = messages.local_time(root.get("notedatetime", ""), zone=zone)
        content["date"] = moment.isoformat()
    return content


# --- as the FHIR side shows it -------------------------------------------------------------------


def shown_text(sections: Sequence[Mapping[str, Any]], *, template: NoteTemplate, short: str) -> str:
    """The text of a filed note where it can be read back: the fields under their names."""
    return "\n\n".join(
        f"{field.name}:\n{text}"
        for field, text in _filled(sections, template=template, short=short)
    )


def read_shown_text(
    text: str, *, template: NoteTemplate
) -> tuple[list[dict[str, str]], tuple[str, ...]] | None:
    """(sections, short forms of tags) of such a text; None for any other text."""
    by_name = {one.name: one.section for one in template.fields}
    names = "|".join(re.escape(name) for name in by_name)
    parts = re.split(rf"(?:\A|\n\n)({names}):\n", text)
    if parts[0] or len(parts) < 3:
        return None
    sections = [
        {"title": by_name[name], "text": words}
        for name, words in zip(parts[1::2], parts[2::2], strict=True)
    ]
    sections[-1]["text"], short = read_comment_text(sections[-1]["text"])
    return sections, (short,) if short else short_forms_in(text)
