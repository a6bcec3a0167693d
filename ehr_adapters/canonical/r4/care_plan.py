"""A care plan as a CarePlan with its goals contained in it, and back. Pure.

A goal of the portal is a contained Goal that CarePlan.goal refers to; goals that are entries of their own,
and activities that are told elsewhere, stay as they are and are listed. An entry that keeps its words
keeps everything else that is said of it.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.canonical.care_plan import GOING
from ehr_adapters.canonical.codes import LOINC, SNOMED
from ehr_adapters.canonical.declaration import ChartChange
from ehr_adapters.canonical.r4.building import (
    built,
    put_reference,
    put_value,
    take_choice,
    take_day,
    take_reference,
    take_text,
)
from ehr_adapters.canonical.r4.parts import (
    CanonicalForm,
    Destination,
    FhirForm,
    Taken,
    Translation,
    Uncarried,
    concept_of,
    concept_or_text,
    form_of,
    objects,
    take_sensitivity,
)
from ehr_adapters.canonical.r4.quantities import quantity_of, read_quantity

_STATUSES = ("draft", "active", "on-hold", "completed", "revoked")
_PEOPLE = (
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "RelatedPerson",
    "Patient",
    "CareTeam",
    "HealthcareService",
    "Device",
)
_PERSON = re.compile(rf"(?:{'|'.join(_PEOPLE)})/[A-Za-z0-9\-.]{{1,64}}")


def care_plan_to_fhir(change: ChartChange, to: Destination) -> FhirForm:
    new = {"resourceType": "CarePlan", "intent": "plan", "subject": {"reference": to.patient}}

    def put_goals(resource: dict[str, Any], value: list[dict[str, Any]] | None) -> list[Uncarried]:
        return _put_goals(resource, value or [], patient=to.patient)

    return built(
        change,
        to,
        new=new,
        writers={
            "status": put_value("status"),
            "title": put_value("title"),
            "category": _put_category,
            "period": _put_period,
            "addresses": _put_addresses,
            "goals": put_goals,
            "activities": _put_activities,
            "encounter": put_reference("encounter"),
        },
    )


def _put_category(resource: dict[str, Any], value: Any) -> list[Uncarried]:
    """The category that is read; further ones stay."""
    listed = objects(resource.get("category"))
    place = next((i for i, one in enumerate(listed) if _category_of(one)[0] is not None), None)
    if place is not None:
        listed = listed[:place] + listed[place + 1 :]
    if value is not None:
        listed.insert(place or 0, concept_or_text(value))
    if listed:
        resource["category"] = listed
    else:
        resource.pop("category", None)
    return []


def _category_of(concept: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(code or words, what is left) of one category."""
    inner = Taken({"category": copy.deepcopy(concept)})
    value = inner.concept("category")
    return value, inner.value.get("category") or {}


def _put_period(resource: dict[str, Any], value: Mapping[str, Any]) -> list[Uncarried]:
    period = dict(resource.get("period") or {})
    for name, moment in value.items():
        period.pop(f"_{name}", None)
        period[name] = moment
    resource["period"] = period
    return []


def _put_addresses(resource: dict[str, Any], value: list[str] | None) -> list[Uncarried]:
    held: dict[str, dict[str, Any]] = {}
    kept = []
    for one in objects(resource.get("addresses")):
        # The last two parts of an absolute address name the entry as well.
        local = "/".join(str(one.get("reference", "")).partition("/_history/")[0].split("/")[-2:])
        if local.startswith("Condition/"):
            held[local] = one
        else:
            kept.append(one)
    listed = [held.get(one, {"reference": one}) for one in value or ()] + kept
    if listed:
        resource["addresses"] = listed
    else:
        resource.pop("addresses", None)
    return []


# --- goals -------------------------------------------------------------------------------------------


def _put_goals(
    resource: dict[str, Any], goals: list[dict[str, Any]], *, patient: str
) -> list[Uncarried]:
    contained = objects(resource.get("contained"))
    references = objects(resource.get("goal"))
    own = _own_goals(contained, references)
    by_words = {text: one for one in own if (text := _goal_of(one)[0].get("text"))}
    kept_words = {goal["text"] for goal in goals}
    gone = [one for text, one in by_words.items() if text not in kept_words]
    taken_ids = {str(one.get("id")) for one in contained}
    going = resource.get("status") in {"active", "on-hold"}
    written: list[dict[str, Any]] = []
    for goal in goals:
        held = by_words.get(goal["text"])
        if held is None:
            number = next(n for n in range(1, 1000) if f"goal-{n}" not in taken_ids)
            taken_ids.add(f"goal-{number}")
            held = {
                "resourceType": "Goal",
                "id": f"goal-{number}",
                "lifecycleStatus": "active" if going else "proposed",
                "description": {"text": goal["text"]},
                "subject": {"reference": patient},
            }
        written.append(_with_target(held, goal))
    dropped = {str(one["id"]) for one in gone}
    changed = {str(one["id"]): one for one in written}
    rest = [
        changed.pop(str(one.get("id")), one)
        for one in contained
        if str(one.get("id")) not in dropped
    ]
    listed = [{"reference": f"#{one['id']}"} for one in written]
    ours = {one["reference"] for one in listed} | {f"#{name}" for name in dropped}
    listed += [one for one in references if one.get("reference") not in ours]
    for name, value in (("contained", [*rest, *changed.values()]), ("goal", listed)):
        if value:
            resource[name] = value
        else:
            resource.pop(name, None)
    return _going_away("goals", "goal", len(gone))


def _going_away(field: str, one: str, number: int) -> list[Uncarried]:
    if not number:
        return []
    sentence = f"{number} {field} go away." if number > 1 else f"1 {one} goes away."
    return [Uncarried(f"/{field}", sentence, removed=True)]


def _own_goals(
    contained: Iterable[dict[str, Any]], references: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The contained goals that the plan refers to, in the order of the references."""
    held = {f"#{one.get('id')}": one for one in contained if one.get("resourceType") == "Goal"}
    return [held[str(r.get("reference"))] for r in references if str(r.get("reference")) in held]


def _with_target(held: Mapping[str, Any], goal: Mapping[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(dict(held))
    target: dict[str, Any] = {}
    if goal.get("measure"):
        target["measure"] = concept_of([goal["measure"]])
    if goal.get("target"):
        target["detailQuantity"] = quantity_of(goal["target"])
    if goal.get("due"):
        target["dueDate"] = goal["due"]
    said, left = _goal_of(out)
    if {k: v for k, v in said.items() if k != "text"} == {
        k: v for k, v in goal.items() if k != "text"
    }:
        return out
    others = objects(out.get("target"))
    if said.keys() - {"text"} or (others and not left.get("target")):
        others = others[1:]
    targets = ([target] if target else []) + others
    if targets:
        out["target"] = targets
    else:
        out.pop("target", None)
    return out


def _goal_of(goal: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what a contained goal says in our fields, what is left of it)."""
    left = copy.deepcopy(dict(goal))
    said: dict[str, Any] = {}
    description = left.get("description")
    text = description.get("text") if isinstance(description, dict) else None
    if not isinstance(text, str) or not text.strip():
        return {}, left
    said["text"] = text
    left["description"] = {k: v for k, v in description.items() if k != "text"}  # type: ignore[union-attr]  # a dict, or there would be no text
    targets = objects(left.get("target"))
    if targets:
        inner = Taken(targets[0])
        measure = inner.code_of("measure", (LOINC, SNOMED))[:1]
        amount = read_quantity(targets[0].get("detailQuantity"))
        if measure:
            said["measure"] = measure[0]
        if measure and amount is not None:
            said["target"] = amount
            inner.pop("detailQuantity")
        due = take_day(inner.value, "dueDate")
        if due:
            said["due"] = due
    for name in ("resourceType", "id", "subject"):
        left.pop(name, None)
    if left.get("lifecycleStatus") in {"proposed", "active"}:
        left.pop("lifecycleStatus")
    return said, _without_empty(left)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: _without_empty(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    if isinstance(value, list):
        return [v for v in (_without_empty(one) for one in value) if v not in ({}, [])]
    return value


# --- activities --------------------------------------------------------------------------------------


def _put_activities(
    resource: dict[str, Any], value: list[dict[str, Any]] | None
) -> list[Uncarried]:
    now = objects(resource.get("activity"))
    own = {text: one for one in now if (text := _activity_of(one)[0].get("text"))}
    listed = [_activity(own.get(one["text"]), one) for one in value or ()]
    kept_words = {one["text"] for one in value or ()}
    listed += [one for one in now if "text" not in _activity_of(one)[0]]
    if listed:
        resource["activity"] = listed
    else:
        resource.pop("activity", None)
    return _going_away("activities", "activity", len(own.keys() - kept_words))


def _activity(held: Mapping[str, Any] | None, said: Mapping[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(dict(held or {}))
    detail = out.setdefault("detail", {"status": "not-started"})
    before = _activity_of(out)[0]
    detail["description"] = said["text"]
    if before.get("when") != said.get("when"):
        for name in [n for n in detail if n.lstrip("_").startswith("scheduled")]:
            del detail[name]
        if said.get("when"):
            detail["scheduledString"] = said["when"]
    if before.get("who") != said.get("who"):
        others = objects(detail.get("performer"))[1 if before.get("who") else 0 :]
        people = ([_performer(said["who"])] if said.get("who") else []) + others
        detail.pop("performer", None)
        if people:
            detail["performer"] = people
    return out


def _performer(who: str) -> dict[str, Any]:
    return {"reference": who} if _PERSON.fullmatch(who) else {"display": who}


def _activity_of(activity: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what an activity says in our fields, what is left of it)."""
    left = copy.deepcopy(dict(activity))
    detail = left.get("detail")
    text = detail.get("description") if isinstance(detail, dict) else None
    if not isinstance(detail, dict) or not isinstance(text, str) or not text.strip():
        return {}, left
    said = {"text": text}
    detail.pop("description")
    people = objects(detail.get("performer"))
    if people:
        reference = str(people[0].get("reference") or "")
        who = reference if _PERSON.fullmatch(reference) else people[0].get("display")
        if isinstance(who, str) and who.strip() and (not reference or who == reference):
            said["who"] = who
            detail["performer"] = people[1:]
    when = detail.get("scheduledString")
    if isinstance(when, str) and when.strip():
        said["when"] = when
        detail.pop("scheduledString")
    if detail.get("status") == "not-started":
        detail.pop("status")
    return said, _without_empty(left)


# --- reading -----------------------------------------------------------------------------------------


def read_care_plan(taken: Taken) -> CanonicalForm:
    found = {
        "title": take_text(taken, "title"),
        "category": _category(taken),
        "status": take_choice(taken, "status", _STATUSES),
        "period": _period(taken),
        "addresses": _addresses(taken),
        "goals": _goals(taken),
        "activities": _activities(taken),
        "encounter": take_reference(taken, "encounter", "Encounter"),
    }
    content = {name: value for name, value in found.items() if value}
    taken.pop("subject")
    taken.pop_if("intent", lambda value: value == "plan")
    take_sensitivity(taken, content)
    return form_of("care_plan", content, taken)


def _category(taken: Taken) -> Any:
    listed = taken.value.get("category")
    for index, one in enumerate(objects(listed)):
        value, left = _category_of(one)
        if value is not None:
            taken.leave("category", [*listed[:index], left, *listed[index + 1 :]])  # type: ignore[index]  # a list, or there would be no entries
            return value
    return None


def _period(taken: Taken) -> dict[str, Any]:
    period = taken.value.get("period")
    if not isinstance(period, dict):
        return {}
    return {name: day for name in ("start", "end") if (day := take_day(period, name))}


def _addresses(taken: Taken) -> list[str]:
    listed = taken.value.get("addresses") or []
    found = []
    for one in objects(listed):
        reference = taken.reference(one, "Condition")
        if reference:
            found.append(reference)
            listed.remove(one)
    return found


def _goals(taken: Taken) -> list[dict[str, Any]]:
    contained = objects(taken.value.get("contained"))
    references = objects(taken.value.get("goal"))
    found, left = [], {}
    for goal in _own_goals(contained, references):
        said, rest = _goal_of(goal)
        if said:
            found.append(said)
            left[str(goal["id"])] = rest
    taken.leave(
        "contained",
        [
            left.get(str(one.get("id")), one)
            for one in contained
            if left.get(str(one.get("id")), one)
        ],
    )
    taken.leave("goal", [one for one in references if str(one.get("reference"))[1:] not in left])
    return found


def _activities(taken: Taken) -> list[dict[str, Any]]:
    found, left = [], []
    for activity in objects(taken.value.get("activity")):
        said, rest = _activity_of(activity)
        if said:
            found.append(said)
        if rest:
            left.append(rest)
    taken.leave("activity", left)
    return found


def _is_active(content: Mapping[str, Any]) -> bool:
    return content.get("status") in GOING


CARE_PLAN = Translation(
    write=care_plan_to_fhir,
    read=read_care_plan,
    types=("CarePlan",),
    words="care plans",
    is_active=_is_active,
)
