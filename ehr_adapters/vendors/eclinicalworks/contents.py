"""What eClinicalWorks takes of each kind: what it would refuse, and what is not sent to it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.codes import ICD10CM, SNOMED
from ehr_adapters.canonical.fhir_r4 import Uncarried
from ehr_adapters.errors import Issue

# Field, FHIR element, and what a reviewer is told: these are never sent.
_LEFT_OUT: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "problem": (
        ("severity", "severity", "The severity is not sent to eClinicalWorks."),
        ("stage", "stage", "The stage is not sent to eClinicalWorks."),
        ("encounter", "encounter", "The visit is not sent to eClinicalWorks with a problem."),
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


def arranged(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource in the order and words that its interface looks for."""
    if kind == "problem":
        # ICD-10 is looked at first, then SNOMED CT.
        preferred = {ICD10CM: 0, SNOMED: 1}
        codings = sorted(
            resource["code"]["coding"], key=lambda one: preferred.get(one["system"], 2)
        )
        return resource | {"code": resource["code"] | {"coding": codings}}
    return resource


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


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Issue]]] = {
    "note": _note_issues,
    "problem": _problem_issues,
}
