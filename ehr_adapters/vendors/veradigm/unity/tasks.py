"""A task as SaveTask: type, for whom, the comment and the subject, which both end with the reference."""

import re
from collections.abc import Sequence
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.note import comment_text, read_comment_text
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.veradigm.settings import VeradigmSettings
from ehr_adapters.vendors.veradigm.unity.forms import (
    Heard,
    Place,
    Said,
    UnityForm,
    left_out,
    user_of,
)
from ehr_adapters.vendors.veradigm.unity.magic import MagicCall

_LEFT_OUT = {
    "about": "Unity's task does not point to other entries.",
    "encounter": "Unity's task names no visit.",
    "sensitivity": "Unity does not take the sensitivity label.",
}
# Unity's task has no field for these two: they stand as the first lines of the comment.
_DUE = re.compile(r"Due: (?P<due>[0-9-]+)")
_PRIORITY = re.compile(r"Priority: (?P<priority>[a-z]+)")
_SUBJECT = re.compile(r"(?P<title>.*) \(Ref (?P<short>[0-9A-Z-]{14})\)", re.DOTALL)


def write(change: ChartChange, place: Place) -> Said:
    content = change.model_dump_canonical()
    settings = place.settings
    user, issues = user_of({}, place)
    target = settings.unity_task_targets.get(content["owner"], "")
    if not target:
        sentence = "The connection knows no user or team in Veradigm for this owner."
        issues.append(Issue("unmapped", "/owner", sentence))
    lines = [f"Due: {content['due']}"]
    if content.get("priority"):
        lines.append(f"Priority: {content['priority']}")
    text = "\n".join(lines)
    if content.get("description"):
        text = f"{text}\n\n{content['description']}"
    call = MagicCall(
        action=settings.action("task"),
        user=user,
        patient=place.patient,
        parameters=(
            settings.unity_task_type,
            target,
            "",
            comment_text(text=text, short=place.tag.short),
            f"{content['title']} (Ref {place.tag.short})",
        ),
    )
    return Said((call,), tuple(left_out(content, _LEFT_OUT)), tuple(issues))


def read(calls: Sequence[MagicCall], settings: VeradigmSettings) -> Heard:
    [call] = calls
    _, target, _, comment, subject = call.parameters[:5]
    text, short = read_comment_text(comment)
    head, gap, description = text.partition("\n\n")
    lines = head.split("\n")
    due = _DUE.fullmatch(lines[0])
    named = _SUBJECT.fullmatch(subject)
    if due is None or named is None or named["short"] != short:
        raise ValueError("This is no task of the portal's.")
    content: dict[str, Any] = {
        "title": named["title"],
        "owner": next(ref for ref, known in settings.unity_task_targets.items() if known == target),
        "due": due["due"],
        "status": "requested",
    }
    priority = _PRIORITY.fullmatch(lines[1]) if len(lines) > 1 else None
    if priority is not None:
        content["priority"] = priority["priority"]
    if gap:
        content["description"] = description
    return Heard(content, (short,))


TASK = UnityForm(write, read)
