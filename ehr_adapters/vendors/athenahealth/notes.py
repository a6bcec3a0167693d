"""A note as a clinical document: a text of its own in the chart, open in the inbox until somebody reviews it. Pure.

Fields and their spelling: athenahealth API, Document Type Clinical Document. Which subclass a type of note goes
to is what integrators send; the interface knows no LOINC code, so the internal note names it.
"""

import re
from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import LOINC, display_of
from ehr_adapters.canonical.note import (
    NOTE_TYPES,
    REFERENCE_LINE,
    note_text,
    read_comment_text,
    read_note_text,
)
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Destination,
    Dialect,
    Practice,
    Said,
    Shape,
    kept,
    unsaid,
)
from ehr_adapters.vendors.athenahealth.spelling import (
    NotSpellable,
    read_moment,
    spelt_moment,
    to_the_minute,
)

_SUBCLASSES = {"18842-5": "ADMISSIONDISCHARGE", "11488-4": "CONSULTNOTE"}
_OTHERS = "CLINICALDOCUMENT"
_TYPES = {subclass: code for code, subclass in _SUBCLASSES.items()}
_TYPE_LINE = re.compile(r"(?P<words>[^\n]*) \(LOINC (?P<code>[0-9]{1,7}-[0-9])\)")
_SIGNATURES = {"REVIEW": "unsigned", "CLOSED": "signed", "DELETED": "entered-in-error"}
_COMPARED = (
    "documentsubclass", "documentdata", "internalnote", "observationdate", "observationtime", "providerid",
    "departmentid", "status",
)  # fmt: skip


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    practice = to.chart.practice
    code = content["type"]["code"]
    issues, remarks = [], []
    fields = [
        ("departmentid", to.chart.department),
        ("documentsubclass", _SUBCLASSES.get(code, _OTHERS)),
        ("documentdata", note_text(sections=content["sections"], short=to.tag.short)),
        ("internalnote", _internal_note(code, to.tag.short)),
    ]
    if "date" in content:
        try:
            on, at = spelt_moment(content["date"], practice.zone)
            fields += [("observationdate", on), ("observationtime", at)]
        except NotSpellable as refused:
            issues.append(Issue("ambiguous-time", "/date", str(refused)))
        if not to_the_minute(content["date"]):
            remarks.append(unsaid("/date", "athenaOne keeps the time to the minute."))
    if "author" in content:
        number = practice.numbers.number_of(content["author"])
        if practice.numbers.reference("Practitioner", number) != content["author"]:
            issues.append(
                Issue("unknown-author", "/author", "The author has no number in athenaOne.")
            )
        fields.append(("providerid", number))
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        method="POST",
        place=f"patients/{to.chart.patient}/documents/clinicaldocument",
        fields=tuple(fields),
        label="create clinical document",
        remarks=(*remarks, *_unsaid(content)),
        in_parts=True,
    )


def _internal_note(code: str, short: str) -> str:
    words = display_of(system=LOINC, code=code)
    return f"{words} (LOINC {code})\n\n{REFERENCE_LINE}{short}"


def _unsaid(content: Mapping[str, Any]) -> Any:
    if "encounter" in content:
        yield unsaid(
            "/encounter", "athenaOne files the document in the chart; it is not tied to the visit."
        )
    for index, section in enumerate(content["sections"]):
        if section.get("code"):
            yield unsaid(f"/sections/{index}/code", "The section's code is not sent; its title is.")
    if content.get("attachments"):
        yield unsaid("/attachments", "The attached documents are not sent with the note's text.")
    if content.get("patient_release"):
        yield unsaid("/patient_release", "When the patient may see the note is set in athenaOne.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    del place, before
    return _shape({**fields, "status": "REVIEW"})


def _shape(entry: Mapping[str, Any]) -> Shape:
    shape = {name: str(entry[name]) for name in _COMPARED if entry.get(name) is not None}
    return kept(shape)


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    content: dict[str, Any] = {}
    internal, _ = read_comment_text(shape.get("internalnote", ""))
    typed = _TYPE_LINE.fullmatch(internal)
    code = typed["code"] if typed else _TYPES.get(shape.get("documentsubclass", ""), "")
    if code in NOTE_TYPES:
        content["type"] = {
            "system": LOINC,
            "code": code,
            "display": display_of(system=LOINC, code=code),
        }
    if shape.get("status") in _SIGNATURES:
        content["status"] = _SIGNATURES[shape["status"]]
    if shape.get("providerid"):
        content["author"] = practice.numbers.reference("Practitioner", shape["providerid"])
    moment = read_moment(
        shape.get("observationdate", ""), shape.get("observationtime", ""), practice.zone
    )
    if moment:
        content["date"] = moment
    text = shape.get("documentdata", "")
    if text.strip():
        known = read_note_text(text)
        content["sections"] = known[0] if known else [{"title": "", "text": text}]
    return content


def _tags(shape: Shape) -> tuple[str, ...]:
    _, internal = read_comment_text(shape.get("internalnote", ""))
    known = read_note_text(shape.get("documentdata", ""))
    found = (internal, known[1] if known else "")
    return tuple(dict.fromkeys(short for short in found if short))


NOTES = Dialect(
    type_name="DocumentReference",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: str(entry.get("clinicaldocumentid", "")),
    tags=_tags,
    is_active=lambda content: content.get("status") != "entered-in-error",
)
