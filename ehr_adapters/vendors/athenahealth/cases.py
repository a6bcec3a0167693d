"""A task as a patient case: a subject, an internal note for the staff, an owner. Pure.

Fields: athenahealth API, Document Type Patient Case; Workflows, Patient Cases (an internal note has at most 4,000
characters). A case has no due date of its own: it stands in the internal note, in a line of its own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Destination,
    Dialect,
    Practice,
    Remark,
    Said,
    Shape,
    kept,
    unsaid,
)

LONGEST_INTERNAL_NOTE = 4000
_HIGH, _NORMAL = "1", "2"
_PRIORITIES = {"routine": _NORMAL, "urgent": _HIGH, "asap": _HIGH, "stat": _HIGH}
_WORDS = {_HIGH: "urgent", _NORMAL: "routine"}
_DUE = re.compile(r"(?P<text>(?s:.*?))(?:\n\n|\A)Due: (?P<due>\d{4}(?:-\d{2}){0,2})")
_COMPARED = (
    "departmentid", "documentsource", "documentsubclass", "subject", "internalnote", "priority", "providerid",
)  # fmt: skip


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    practice = to.chart.practice
    issues = []
    owner = practice.numbers.number_of(content["owner"])
    if practice.numbers.reference("Practitioner", owner) != content["owner"]:
        issues.append(
            Issue(
                "unknown-owner",
                "/owner",
                "A case in athenaOne is for a clinician with a number there.",
            )
        )
    note = comment_text(
        text="\n\n".join(
            part for part in (content.get("description") or "", f"Due: {content['due']}") if part
        ),
        short=to.tag.short,
    )
    if len(note) > LONGEST_INTERNAL_NOTE:
        issues.append(
            Issue(
                "too-long",
                "/description",
                f"The internal note has {len(note)} characters; athenaOne takes at most {LONGEST_INTERNAL_NOTE}.",
            )
        )
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        "POST",
        f"patients/{to.chart.patient}/documents/patientcase",
        (
            ("departmentid", to.chart.department),
            ("documentsource", practice.settings.case_source),
            ("documentsubclass", practice.settings.case_subclass),
            ("subject", content["title"]),
            ("internalnote", note),
            ("priority", _PRIORITIES[content.get("priority") or "routine"]),
            ("providerid", owner),
        ),
        "create patient case",
        tuple(_unsaid(content)),
    )


def _unsaid(content: Mapping[str, Any]) -> Iterator[Remark]:
    if content.get("priority") not in {None, "routine", "urgent"}:
        yield unsaid(
            "/priority", "athenaOne knows a high and a normal priority: this one is sent as high."
        )
    if content.get("priority") is None:
        yield unsaid("/priority", "Without a priority the case is sent as normal.")
    if content.get("about"):
        yield unsaid("/about", "What the task is about is not sent: say it in the description.")
    if "encounter" in content:
        yield unsaid("/encounter", "The case is the patient's; it is not tied to the visit.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    del place, before
    return _shape(fields)


def _shape(entry: Mapping[str, Any]) -> Shape:
    return kept({name: str(entry[name]) for name in _COMPARED if entry.get(name) is not None})


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    content: dict[str, Any] = {"status": "requested"}
    if shape.get("subject"):
        content["title"] = shape["subject"]
    text, _ = read_comment_text(shape.get("internalnote", ""))
    due = _DUE.fullmatch(text)
    if due is not None:
        text = due["text"]
        content["due"] = due["due"]
    if text.strip():
        content["description"] = text
    if shape.get("priority") in _WORDS:
        content["priority"] = _WORDS[shape["priority"]]
    if shape.get("providerid"):
        content["owner"] = practice.numbers.reference("Practitioner", shape["providerid"])
    return content


def _tags(shape: Shape) -> tuple[str, ...]:
    _, short = read_comment_text(shape.get("internalnote", ""))
    return (short,) if short else ()


CASES = Dialect(
    type_name="Task",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: str(entry.get("patientcaseid") or ""),
    tags=_tags,
)
