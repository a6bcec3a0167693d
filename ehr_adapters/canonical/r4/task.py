"""A task as a Task, and back. Pure.

Task.code.text is what is to be done in one line, Task.description the details; the due date is the end
of the time over which it is wanted (FHIR R4, Task.restriction.period).
"""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.r4.building import (
    built,
    put_reference,
    put_value,
    put_words,
    take_choice,
    take_day,
    take_reference,
    take_text,
    take_words,
)
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    form_of,
    objects,
    take_sensitivity,
)
from ehr_adapters.canonical.task import DONE, OWNERS, SUBJECTS

_ABOUT = "About"
_PRIORITIES = ("routine", "urgent", "asap", "stat")
_STATUSES = ("requested", "accepted", "in-progress", "completed", "cancelled")


def task_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    new = {"resourceType": "Task", "intent": "order", "for": {"reference": to.patient}}
    return built(
        change,
        to,
        new=new,
        writers={
            "status": put_value("status"),
            "title": put_words("code", "title"),
            "owner": put_reference("owner"),
            "due": _put_due,
            "priority": put_value("priority"),
            "about": _put_about,
            "description": put_value("description"),
            "encounter": put_reference("encounter"),
        },
    )


def _put_due(resource: dict[str, Any], value: str) -> list[Uncarried]:
    period = resource.setdefault("restriction", {}).setdefault("period", {})
    period.pop("_end", None)
    period["end"] = value
    return []


def _put_about(resource: dict[str, Any], value: list[str] | None) -> list[Uncarried]:
    """The first subject is the focus, of which R4 has one; the others are inputs called "About"."""
    resource.pop("focus", None)
    inputs: list[Any] = [one for one in resource.get("input") or () if not _is_about(one)]
    if value:
        resource["focus"] = {"reference": value[0]}
        inputs += [
            {"type": {"text": _ABOUT}, "valueReference": {"reference": one}} for one in value[1:]
        ]
    if inputs:
        resource["input"] = inputs
    else:
        resource.pop("input", None)
    return []


def _is_about(one: Any) -> bool:
    return (
        isinstance(one, Mapping)
        and isinstance(one.get("valueReference"), Mapping)
        and isinstance(one.get("type"), Mapping)
        and one["type"].get("text") == _ABOUT
    )


def read_task(taken: Taken) -> CanonicalForm:
    found = {
        "title": take_words(taken, "code"),
        "owner": take_reference(taken, "owner", *OWNERS),
        "due": _due(taken),
        "priority": take_choice(taken, "priority", _PRIORITIES),
        "status": take_choice(taken, "status", _STATUSES),
        "about": _about(taken),
        "description": take_text(taken, "description"),
        "encounter": take_reference(taken, "encounter", "Encounter"),
    }
    content = {name: value for name, value in found.items() if value}
    taken.pop("for")
    taken.pop_if("intent", lambda value: value == "order")
    take_sensitivity(taken, content)
    return form_of("task", content, taken)


def _due(taken: Taken) -> str | None:
    restriction = taken.value.get("restriction")
    period = restriction.get("period") if isinstance(restriction, dict) else None
    return take_day(period, "end") if isinstance(period, dict) else None


def _about(taken: Taken) -> list[str]:
    subjects = [take_reference(taken, "focus", *SUBJECTS)]
    inputs = taken.value.get("input") or []
    for one in objects(inputs):
        if _is_about(one):
            reference = one["valueReference"]
            subjects.append(next((r for t in SUBJECTS if (r := taken.reference(reference, t))), ""))
            if subjects[-1]:
                inputs.remove(one)
    return [one for one in subjects if one]


def _is_active(content: Mapping[str, Any]) -> bool:
    return content.get("status") not in DONE


TASK = Translation(
    write=task_to_fhir,
    read=read_task,
    types=("Task",),
    words="tasks",
    is_active=_is_active,
)
