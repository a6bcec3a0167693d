"""Does the change fit the chart: the target, what is there already, what contradicts it? Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ehr_adapters.canonical import base as canonical
from ehr_adapters.canonical import codes
from ehr_adapters.capabilities import Capability
from ehr_adapters.contract import Baseline, Snapshot
from intents.pipeline.support.sentences import plain, stems
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import (
    Finding,
    error,
    hold,
    information,
    question,
    warning,
)

# Clocks of EHR and portal differ a little.
_CLOCKS = timedelta(minutes=5)
_PAIRED = frozenset(
    [
        "knee",
        "hip",
        "shoulder",
        "elbow",
        "wrist",
        "ankle",
        "eye",
        "ear",
        "hand",
        "foot",
        "thumb",
        "heel",
        "forearm",
        "thigh",
    ]
)
_SIDE_WORDS = {"left": "7771000", "right": "24028007", "bilateral": "51440002", "both": "51440002"}


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
    for part in baseline.unreadable:
        own = part.what.startswith(draft.kind)
        if draft.is_new and own:
            yield question(
                "unreadable",
                f"{part.sentence} It cannot be excluded that the same is there already.",
            )
        else:
            yield warning("unreadable", part.sentence)
    duplicate = find_duplicate(draft, baseline=baseline)
    if duplicate is not None:
        yield duplicate


def find_duplicate(draft: Draft, *, baseline: Baseline) -> Finding | None:
    """The same thing in the chart, or on its way there; None when there is none."""
    if draft.interaction != "create":
        return None
    for neighbour in baseline.neighbours(draft.kind):
        if draft.own_tags.isdisjoint(neighbour.tags) and _same_thing(
            draft.kind, draft.content, neighbour.canonical
        ):
            return error(
                "duplicate",
                {
                    "note": "The visit already has a note with this text.",
                    "problem": "The chart already holds this as an active problem.",
                }.get(draft.kind, "The chart already holds this."),
            )
    for other in draft.waiting:
        if other.interaction == "create" and _same_thing(draft.kind, draft.content, other.content):
            return error(
                "duplicate-waiting",
                "The same was sent from here and waits in the EHR for someone to accept it."
                if other.staged
                else "The same is being written from here just now.",
            )
    return None


def _same_thing(kind: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if kind == "problem":
        return _same_problem(one, other)
    if kind == "note":
        return bool(one.get("sections")) and canonical.same_value(
            "note", "sections", one.get("sections"), other.get("sections")
        )
    return False


def _same_problem(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if not _keys(one) & _keys(other):
        return False
    sides = [value["side"]["code"] for value in (one, other) if value.get("side")]
    if len(set(sides)) > 1:
        return False
    # A diagnosis of a visit may repeat what stands on the problem list.
    categories = {value["category"] for value in (one, other) if value.get("category")}
    if len(categories) > 1:
        return False
    visits = {value["encounter"] for value in (one, other) if value.get("encounter")}
    return not ("encounter-diagnosis" in categories and len(visits) > 1)


def _keys(content: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((code["system"], code["code"]) for code in content.get("code") or ())


# --- codes, words, sides -------------------------------------------------------------------------


def check_codes(draft: Draft, *, baseline: Baseline) -> Iterable[Finding]:
    """The words beside a code are what the code means, as far as portal or chart know it; sides agree."""
    known = _displays_in(baseline)
    for index, code in enumerate(draft.content.get("code") or ()):
        if not isinstance(code, Mapping):
            continue
        place = f"/code/{index}"
        display = code.get("display") or ""
        told = codes.display_of(system=code["system"], code=code["code"]) or known.get(
            (code["system"], code["code"]), ""
        )
        if not told:
            yield information(
                "display-unchecked",
                "The words for this code are the agent's; they were not checked.",
                place,
            )
        elif display and stems(display) and not stems(display) & stems(told):
            yield question(
                "display-differs", "The chart has other words for this code than the draft.", place
            )
    if draft.kind == "problem":
        yield from _sides(draft, baseline=baseline)


def _displays_in(baseline: Baseline) -> dict[tuple[str, str], str]:
    entries: list[Snapshot] = [*baseline.neighbourhood]
    if baseline.target is not None:
        entries.append(baseline.target)
    return {
        (code["system"], code["code"]): code["display"]
        for entry in entries
        for code in entry.canonical.get("code") or ()
        if isinstance(code, Mapping) and code.get("display")
    }


def _sides(draft: Draft, *, baseline: Baseline) -> Iterable[Finding]:
    before = baseline.target.canonical if baseline.target else {}
    content = {**before, **draft.content}
    if draft.interaction not in {"create", "update"}:
        return
    names = " ".join(
        plain(code.get("display") or "")
        for code in content.get("code") or ()
        if isinstance(code, Mapping)
    )
    words = set(names.replace(",", " ").replace("-", " ").split())
    named = {_SIDE_WORDS[word] for word in words & _SIDE_WORDS.keys()}
    side = (content.get("side") or {}).get("code", "")
    if side and named and side not in named:
        yield question(
            "side-differs", "The side of the entry is not the side in the problem's name.", "/side"
        )
    elif not side and not named and words & _PAIRED and "code" in draft.content:
        yield question(
            "side-missing", "The problem's name tells no side, and none is given.", "/side"
        )


# --- time ----------------------------------------------------------------------------------------


def check_times(draft: Draft, *, at: datetime) -> Iterable[Finding]:
    """Nothing is said to have happened in the future."""
    date = draft.content.get("date")
    if isinstance(date, str) and datetime.fromisoformat(date) > at + _CLOCKS:
        yield error("in-the-future", "The time lies in the future.", "/date")
    # The practice's own day may be a day ahead of Greenwich.
    tomorrow = (at + timedelta(days=1)).date().isoformat()
    for name in ("onset", "abatement"):
        value = draft.content.get(name)
        if isinstance(value, str) and value > tomorrow[: len(value)]:
            yield error("in-the-future", "The date lies in the future.", f"/{name}")


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
