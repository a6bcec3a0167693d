"""What Epic takes of each kind: what it would refuse, and what is not sent to it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.fhir_r4 import Uncarried
from ehr_adapters.canonical.note import comment_text
from ehr_adapters.errors import Issue

# Kinds whose tag stands in the last line of the comment.
TAG_IN_COMMENT = frozenset({"problem", "vitals"})
# Kinds whose tag is sent as an identifier: whether Epic keeps it is not known.
TAG_IN_IDENTIFIER = frozenset({"allergy", "questionnaire"})

# Field, FHIR element, and what a reviewer is told: these are never sent.
_LEFT_OUT: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "problem": (
        (
            "side",
            "bodySite",
            "The side is not sent to Epic: choose a code that names it, or say it in the comment.",
        ),
        ("severity", "severity", "The severity is not sent to Epic."),
        ("stage", "stage", "The stage is not sent to Epic."),
        ("abatement", "abatementDateTime", "The end date is not sent to Epic."),
        ("encounter", "encounter", "The visit is not sent to Epic with a problem."),
    ),
    "allergy": (("reported_by", "asserter", "Who told of the allergy is not sent to Epic."),),
    "vitals": (
        ("origin", "performer", "That the patient told the value is not sent to Epic."),
        ("origin", "device", "That a device sent the value is not sent to Epic."),
        ("readings/0/site", "bodySite", "Where it was measured is not sent to Epic."),
        ("readings/0/method", "method", "How it was measured is not sent to Epic."),
    ),
}


def issues_of(change: ChartChange) -> Iterator[Issue]:
    """Why Epic would refuse this change."""
    check = _CHECKS.get(change.kind)
    if check is not None:
        yield from check(change.model_dump_canonical())


def left_out(kind: str, resource: dict[str, Any]) -> Iterator[Uncarried]:
    """Takes out of the resource what is not sent, and says so."""
    for name, element, sentence in _LEFT_OUT.get(kind, ()):
        if resource.pop(element, None) is not None:
            yield Uncarried(f"/{name}", sentence)


def with_tag(resource: dict[str, Any], *, comment: str, short: str) -> None:
    """The reference line as the last line of the comment."""
    resource["note"] = [{"text": comment_text(text=comment, short=short)}]


def _problem_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if content["category"] != "problem-list-item":
        yield Issue(
            "unsupported",
            "/category",
            "Epic takes no diagnosis of a visit from outside; only the problem list can be proposed to.",
        )
    if content["verification"] != "provisional":
        yield Issue(
            "unsupported",
            "/verification",
            "Epic takes a problem from outside only as provisional.",
        )
    if content["clinical_status"] != "active":
        yield Issue(
            "unsupported", "/clinical_status", "Epic takes a problem from outside only as active."
        )
    for index, code in enumerate(content["code"]):
        if not code.get("display"):
            yield Issue(
                "missing", f"/code/{index}/display", "Epic needs the words of the code as well."
            )


def _allergy_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if content["verification"] != "unconfirmed":
        yield Issue(
            "unsupported",
            "/verification",
            "Epic takes an allergy from outside only as not confirmed: whoever accepts it confirms it.",
        )
    if content["clinical_status"] != "active":
        yield Issue(
            "unsupported", "/clinical_status", "Epic takes an allergy from outside only as active."
        )
    # Epic writes the words of the coding in the place of all others.
    if not content["substance"].get("display"):
        yield Issue("missing", "/substance/display", "Epic needs the words of the code as well.")
    for index, reaction in enumerate(content.get("reactions") or ()):
        if not reaction["manifestation"].get("display"):
            yield Issue(
                "missing",
                f"/reactions/{index}/manifestation/display",
                "Epic needs the words of the code as well.",
            )


def _questionnaire_issues(content: Mapping[str, Any]) -> Iterator[Issue]:
    if not content["form"].get("assignment"):
        yield Issue(
            "missing",
            "/form/assignment",
            "Epic takes answers only to a questionnaire that it has assigned: the assignment is not named.",
        )


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Issue]]] = {
    "problem": _problem_issues,
    "allergy": _allergy_issues,
    "questionnaire": _questionnaire_issues,
}
