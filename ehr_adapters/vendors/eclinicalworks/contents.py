"""What eClinicalWorks takes of each kind: what it would refuse, and what is not sent to it.

What an interface does not read is passed over there without a word, so it is not sent: the reviewer is told,
and where a loss would mislead the change is refused.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.allergy import denied_category
from ehr_adapters.canonical.base import ChartChange, words
from ehr_adapters.canonical.codes import ICD10CM, SNOMED, display_of
from ehr_adapters.canonical.fhir_r4 import Uncarried
from ehr_adapters.errors import Issue

# LOINC codes of the interface for vital signs; the two numbers of a blood pressure go as its components.
VITAL_SIGNS = frozenset({
    "85354-9", "8480-6", "8462-4", "8867-4", "9279-1", "8310-5", "8302-2", "29463-7", "39156-5", "2708-6", "59408-5",
    "9843-4", "59576-9", "8289-1", "77606-2",
})  # fmt: skip
# How a medication says that it is to be reconciled with the list, never ordered. In which element the
# interface looks for it is not public.
ORDER_TYPE = {"text": "reconcile"}

# Field, FHIR elements, and what a reviewer is told: these are never sent.
_LEFT_OUT: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "problem": (
        ("severity", "severity", "The severity is not sent to eClinicalWorks."),
        ("stage", "stage", "The stage is not sent to eClinicalWorks."),
        ("encounter", "encounter", "The visit is not sent to eClinicalWorks with a problem."),
    ),
    "allergy": (
        ("category", "category", "The category is not sent to eClinicalWorks."),
        ("type", "type", "The kind is sent to eClinicalWorks with each reaction only."),
        ("reported_by", "asserter", "Who told of the allergy is not sent to eClinicalWorks."),
        ("last_seen", "lastOccurrence", "The last reaction's date is not sent to eClinicalWorks."),
        ("note", "note", "The comment is not sent to eClinicalWorks with an allergy."),
    ),
    "medication": (
        ("indication", "reasonReference", "What it is for is not sent to eClinicalWorks."),
        ("indication", "reasonCode", "What it is for is not sent to eClinicalWorks."),
        ("note", "note", "The comment is not sent to eClinicalWorks with a medication."),
        ("encounter", "context", "The visit is not sent to eClinicalWorks with a medication."),
    ),
    "vitals": (
        (
            "encounter",
            "encounter",
            "No visit is sent: eClinicalWorks files vital signs by their time, else under Vitals Notes.",
        ),
        ("origin", "device", "That a device measured it is not sent to eClinicalWorks."),
        ("origin", "performer", "That the patient told it is not sent to eClinicalWorks."),
        ("readings/0/site", "bodySite", "Where it was measured is not sent to eClinicalWorks."),
        ("readings/0/method", "method", "How it was measured is not sent to eClinicalWorks."),
        ("note", "note", "The comment is not sent to eClinicalWorks with vital signs."),
    ),
}


def issues_of(change: ChartChange) -> Iterator[Issue]:
    """Why eClinicalWorks would refuse this change, or lose something of it that must not be lost."""
    check = _CHECKS.get(change.kind)
    if check is not None:
        yield from check(change.model_dump_canonical())


def left_out(kind: str, resource: dict[str, Any]) -> Iterator[Uncarried]:
    """Takes out of the resource what is not sent, and says so."""
    for name, element, sentence in _LEFT_OUT.get(kind, ()):
        if resource.pop(element, None) is not None:
            yield Uncarried(f"/{name}", sentence)


def arranged(kind: str, resource: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """The resource in the order and the words that its interface looks for."""
    arrange = _ARRANGED.get(kind)
    return arrange(resource, content) if arrange else resource


def _said(code: Mapping[str, Any]) -> str:
    """The words of a code: those given with it, else those that the portal knows."""
    return code.get("display") or display_of(system=code["system"], code=code["code"])


def _arranged_problem(resource: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """ICD-10 is looked at first, then SNOMED CT."""
    del content
    preferred = {ICD10CM: 0, SNOMED: 1}
    codings = sorted(resource["code"]["coding"], key=lambda one: preferred.get(one["system"], 2))
    return resource | {"code": resource["code"] | {"coding": codings}}


def _arranged_allergy(resource: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """A reaction is read as the text `type : reaction`; its code stands beside it."""
    if "reaction" not in resource:
        return resource
    named = "Intolerance" if content.get("type") == "intolerance" else "Allergy"
    reactions = [
        {
            "manifestation": [
                {
                    "coding": [
                        {
                            "system": one["manifestation"]["system"],
                            "code": one["manifestation"]["code"],
                            "display": _said(one["manifestation"]),
                        }
                    ],
                    "text": f"{named} : {_said(one['manifestation'])}",
                }
            ]
        }
        for one in content["reactions"]
    ]
    return resource | {"reaction": reactions}


def _arranged_encounter(resource: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """A telephone encounter is known by its SNOMED CT code, as integrators report."""
    if content["class"] != "telephone":
        return resource
    [kind] = resource["type"]
    coding = {"system": SNOMED, "code": "185317003", "display": "Telephone encounter"}
    return resource | {"type": [kind | {"coding": [*kind["coding"], coding]}]}


def _arranged_medication(resource: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Route and frequency are read as words; the codes stand beside them."""
    [line] = resource["dosage"]
    route = line["route"] | {"text": _said(content["route"])}
    timing = line["timing"] | {
        "code": {"text": words("medication", "frequency", content["frequency"])}
    }
    concept = resource["medicationCodeableConcept"] | {"text": _said(content["drug"])}
    return resource | {
        "category": dict(ORDER_TYPE),
        "medicationCodeableConcept": concept,
        "dosage": [line | {"route": route, "timing": timing}],
    }


_ARRANGED: Mapping[str, Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "problem": _arranged_problem,
    "allergy": _arranged_allergy,
    "medication": _arranged_medication,
    "encounter": _arranged_encounter,
}


def _note_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if not content.get("author"):
        yield Issue("missing", "/author", "eClinicalWorks files no note without its author.")


def _problem_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if content["category"] != "problem-list-item":
        yield Issue(
            "unsupported",
            "/category",
            "eClinicalWorks decides itself to which visit a diagnosis belongs; only the problem list can be "
            "proposed to.",
        )
    if content["clinical_status"] == "relapse":
        yield Issue(
            "unsupported",
            "/clinical_status",
            "eClinicalWorks does not know the status relapse; recurrence is the nearest.",
        )
    if content["verification"] == "refuted":
        yield Issue(
            "unsupported", "/verification", "eClinicalWorks takes no refuted problem from outside."
        )
    if content.get("side"):
        yield Issue(
            "unsupported",
            "/side",
            "eClinicalWorks takes no side with a problem: choose a code that names it, or say it in the comment.",
        )


def _allergy_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if content["verification"] != "unconfirmed":
        yield Issue(
            "unsupported",
            "/verification",
            "eClinicalWorks takes an allergy from outside only as not confirmed: whoever reconciles it confirms it.",
        )
    if denied_category(content) is not None:
        yield Issue(
            "unsupported",
            "/substance",
            "eClinicalWorks takes no statement from outside that no allergy is known.",
        )
    if not _said(content["substance"]):
        yield Issue(
            "missing",
            "/substance/display",
            "eClinicalWorks finds the substance by its words: they are needed beside the code.",
        )
    for index, one in enumerate(content.get("reactions") or ()):
        if not _said(one["manifestation"]):
            yield Issue(
                "missing",
                f"/reactions/{index}/manifestation/display",
                "eClinicalWorks keeps the words of a reaction: they are needed beside the code.",
            )
        for name, said in (("severity", "how bad a reaction was"), ("onset", "when it was")):
            if one.get(name):
                yield Issue(
                    "unsupported",
                    f"/reactions/{index}/{name}",
                    f"eClinicalWorks does not take {said}: take it out here and write it there.",
                )


def _medication_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if content["status"] != "active":
        yield Issue(
            "unsupported",
            "/status",
            "eClinicalWorks takes a medication from outside only as one that is taken now.",
        )
    for name in ("drug", "route"):
        if not _said(content[name]):
            yield Issue(
                "missing",
                f"/{name}/display",
                "eClinicalWorks keeps the words: they are needed beside the code.",
            )
    if "low" in content["dose"]:
        yield Issue(
            "unsupported", "/dose", "eClinicalWorks takes one dose of a medication, not a range."
        )
    if content.get("units_taken"):
        yield Issue(
            "unsupported",
            "/units_taken",
            "eClinicalWorks takes one amount of a medication: say in the instructions how many that is.",
        )
    need = content.get("as_needed") or {}
    for name in ("reason", "max_per_day"):
        if need.get(name):
            yield Issue(
                "unsupported",
                f"/as_needed/{name}",
                "eClinicalWorks takes only whether it is taken as needed: say the rest in the instructions.",
            )


def _vitals_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    for index, one in enumerate(content["readings"]):
        if one["code"]["code"] not in VITAL_SIGNS:
            yield Issue(
                "unsupported",
                f"/readings/{index}/code",
                "eClinicalWorks does not take this measurement from outside.",
            )


def _order_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if content["category"] == "prescription":
        yield Issue(
            "unsupported",
            "/category",
            "eClinicalWorks takes a medication from outside only to be reconciled with the list: prescribe there.",
        )


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Issue]]] = {
    "note": _note_issues,
    "problem": _problem_issues,
    "allergy": _allergy_issues,
    "medication": _medication_issues,
    "vitals": _vitals_issues,
    "order": _order_issues,
}
