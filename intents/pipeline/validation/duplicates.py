"""Is the same thing in the chart already, or on its way there? Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.canonical import base as canonical
from ehr_adapters.contract import Baseline, Snapshot
from intents.pipeline.clinical.allergies import allergy_of
from intents.pipeline.clinical.doses import is_same_dose
from intents.pipeline.clinical.medicines import is_about_medicine, is_over, medicine_of
from intents.pipeline.clinical.values import codes_of, entries, mapping, moment
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, error

# Two entries of a kind are the same thing when these fields are equal and the first of them is there.
_SAME: Mapping[str, tuple[str, ...]] = {
    "note": ("sections",),
    "result": ("code", "collected_at"),
    "order": ("code", "category", "side", "when"),
    "task": ("title", "due"),
    "message": ("body", "subject", "to"),
    "appointment": ("start", "provider"),
    "care_plan": ("title", "category"),
    "questionnaire": ("form", "answered_at"),
    "encounter": ("start", "provider"),
}
_SENTENCES: Mapping[str, str] = {
    "note": "The visit already has a note with this text.",
    "problem": "The chart already holds this as an active problem.",
    "allergy": "The chart already holds an active allergy to this.",
    "medication": "The chart already holds this medicine with this dose.",
    "vitals": "The chart already holds such a measurement of this time.",
    "result": "The chart already holds this test of this time.",
    "order": "The chart already holds this order.",
    "appointment": "The patient already has an appointment at this time.",
}


def find_duplicate(draft: Draft, *, baseline: Baseline) -> Finding | None:
    """The same thing in the chart, or on its way there; None when there is none."""
    if draft.interaction != "create":
        return None
    for neighbour in _beside(draft.kind, baseline):
        if draft.own_tags.isdisjoint(neighbour.tags) and is_same_thing(
            draft.kind, draft.content, neighbour.canonical, entry=neighbour
        ):
            return error("duplicate", _SENTENCES.get(draft.kind, "The chart already holds this."))
    for other in draft.waiting:
        if other.interaction == "create" and is_same_thing(
            draft.kind, draft.content, other.content
        ):
            return error(
                "duplicate-waiting",
                "The same was sent from here and waits in the EHR for someone to accept it."
                if other.staged
                else "The same is being written from here just now.",
            )
    return None


def _beside(kind: str, baseline: Baseline) -> Iterable[Snapshot]:
    found = [*baseline.neighbours(kind)]
    if kind == "medication":
        found += [one for one in baseline.context("medications") if not is_over(one)]
    if kind == "allergy":
        found += baseline.context("allergies")
    return {one.reference: one for one in found}.values()


def is_same_thing(
    kind: str,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    *,
    entry: Snapshot | None = None,
) -> bool:
    """Do two contents of a kind say the same fact? `entry` is the second one's, with the EHR's own codings."""
    if kind == "problem":
        return _same_problem(one, other)
    if kind == "allergy":
        held = allergy_of(other, entry=entry)
        return held.active and allergy_of(one).is_same(held)
    if kind == "vitals":
        return _same_measurement(one, other)
    if is_about_medicine(kind, one):
        return _same_medicine(kind, one, other, entry=entry)
    names = _SAME.get(kind, ())
    return (
        bool(names)
        and bool(one.get(names[0]))
        and all(_equal(kind, name, one.get(name), other.get(name)) for name in names)
    )


def _equal(kind: str, name: str, one: Any, other: Any) -> bool:
    try:
        return canonical.same_value(kind, name, one, other)
    except (KeyError, TypeError, ValueError, AttributeError):
        # A field that the kind does not have, or a chart's own value in another shape.
        return bool(one == other)


def _same_problem(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if not codes_of(one.get("code")) & codes_of(other.get("code")):
        return False
    sides = [codes_of(value["side"]) for value in (one, other) if value.get("side")]
    if len(set(sides)) > 1:
        return False
    # A diagnosis of a visit may repeat what stands on the problem list.
    categories = {value["category"] for value in (one, other) if value.get("category")}
    if len(categories) > 1:
        return False
    visits = {value["encounter"] for value in (one, other) if value.get("encounter")}
    return not ("encounter-diagnosis" in categories and len(visits) > 1)


def _same_measurement(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    when = moment(one.get("effective_at"))
    if when is None or when != moment(other.get("effective_at")):
        return False
    measured, held = (
        frozenset().union(
            *(codes_of(mapping(each).get("code")) for each in entries(value.get("readings")))
        )
        for value in (one, other)
    )
    return bool(measured & held)


def _same_medicine(
    kind: str, one: Mapping[str, Any], other: Mapping[str, Any], *, entry: Snapshot | None
) -> bool:
    """The same ingredient by the same way and in the same dose: another dose is a question, not a duplicate."""
    drafted, held = medicine_of(kind, one), medicine_of(kind, other, entry=entry)
    if not drafted.is_same(held):
        return False
    routes = [codes_of(each.content.get("route")) for each in (drafted, held)]
    if all(routes) and routes[0] != routes[1]:
        return False
    if drafted.content.get("replaces") != held.content.get("replaces"):
        return False
    return is_same_dose(held.content, drafted.content)
