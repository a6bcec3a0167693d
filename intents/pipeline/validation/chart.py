"""Does the change fit the chart: the entry to be changed, what could not be read, codes and labels? Pure."""

from collections.abc import Iterable, Mapping

from ehr_adapters.canonical import base as canonical
from ehr_adapters.canonical import codes
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline
from intents.pipeline.clinical import sensitivity
from intents.pipeline.clinical.medicines import INGREDIENTS, is_about_medicine
from intents.pipeline.clinical.values import text, walk
from intents.pipeline.support.sentences import stems
from intents.pipeline.validation.draft import Draft, resulting
from intents.pipeline.validation.duplicates import find_duplicate
from intents.pipeline.validation.findings import (
    Finding,
    error,
    hold,
    information,
    question,
    warning,
)


def check_target(draft: Draft, *, baseline: Baseline) -> Iterable[Finding]:
    """The entry to be changed exists, is this patient's, and may be changed from here."""
    if "target" in baseline.missing:
        yield error("unknown-target", "The EHR has no entry with this id.", "/target")
        return
    target = baseline.target
    if target is None:
        return
    if baseline.identity is not None and target.patient != baseline.identity.reference:
        yield hold("target-of-another-patient", "The entry belongs to another patient.", "/target")
    elif draft.kind == "note" and draft.interaction == "update" and not draft.own_target:
        yield error(
            "not-own-note",
            "Only a note that was filed from here can be changed from here.",
            "/target",
        )
    if draft.target_in_flight:
        yield hold(
            "target-in-flight", "Another change to this entry is being written just now.", "/target"
        )


def check_neighbourhood(draft: Draft, *, baseline: Baseline) -> Iterable[Finding]:
    """What the chart holds around the change, and what could not be read of it."""
    about_medicine = draft.interaction in {"create", "update"} and is_about_medicine(
        draft.kind, resulting(draft, baseline=baseline)
    )
    for part in baseline.unreadable:
        if draft.is_new and speaks_of(draft.kind, part.what):
            yield question(
                "unreadable",
                f"{part.sentence} It cannot be excluded that the same is there already.",
            )
        elif about_medicine and part.what == "medications":
            yield question(
                "unreadable", f"{part.sentence} What else the patient takes is not known here."
            )
        else:
            yield warning("unreadable", part.sentence)
    duplicate = find_duplicate(draft, baseline=baseline)
    if duplicate is not None:
        yield duplicate


def speaks_of(kind: str, what: str) -> bool:
    """Is the unreadable part `what` ("allergies", "care plans") that of the entries of a kind?"""
    return kind[:-1] in what.replace(" ", "_")


# --- codes and their words -----------------------------------------------------------------------


def check_codes(draft: Draft, *, baseline: Baseline) -> Iterable[Finding]:
    """The words beside a code are what the code means, as far as portal or chart know it."""
    known = _displays_in(baseline)
    for place, code in walk(draft.content):
        system, value = text(code.get("system")), text(code.get("code"))
        if not system or not value:
            continue
        display = text(code.get("display"))
        told = codes.display_of(system=system, code=value) or known.get((system, value), "")
        if system == codes.RXNORM and value in INGREDIENTS:
            told = INGREDIENTS[value].name
        if not told:
            if _is_of_high_risk(draft.kind, place):
                yield information(
                    "display-unchecked",
                    "The words for this code are the agent's; they were not checked.",
                    place,
                )
        elif display and stems(display) and not stems(display) & stems(told):
            yield question(
                "display-differs", "The chart has other words for this code than the draft.", place
            )


def _is_of_high_risk(kind: str, place: str) -> bool:
    return canonical.field_spec(kind, place).risk is canonical.Risk.HIGH


def _displays_in(baseline: Baseline) -> Mapping[tuple[str, str], str]:
    entries = [*baseline.neighbourhood, *([baseline.target] if baseline.target else [])]
    return {
        (text(code.get("system")), text(code.get("code"))): text(code["display"])
        for entry in entries
        for _, code in walk(entry.canonical)
        if text(code.get("display"))
    }


# --- labels --------------------------------------------------------------------------------------


def check_sensitivity(
    draft: Draft, *, baseline: Baseline, capability: Capability | None
) -> Iterable[Finding]:
    """Restricted content goes to a destination that carries the label, or a person accepts that it does not."""
    before = baseline.target.canonical if baseline.target else {}
    level = draft.content.get("sensitivity") or before.get("sensitivity") or "normal"
    if (
        level != "normal"
        and capability is not None
        and "sensitivity" not in capability.labels_carried
    ):
        yield question(
            "label-not-carried",
            "This is restricted content, and the EHR does not carry its label.",
            "/sensitivity",
        )
    if draft.is_new and sensitivity.strictest(str(level), sensitivity.of_visit(baseline)) != level:
        yield question(
            "visit-restricted",
            "The visit is restricted in the EHR, and the draft is not marked so.",
            "/sensitivity",
        )
