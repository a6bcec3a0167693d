"""Is what the EHR holds what was sent? Normal form, differing places, and a verdict. Pure.

Both sides are compared in the adapter's comparable form. Only what the capability declares is
forgiven: fields that the server owns, and transformations that it is known to make. A field that
appears, disappears or changes without being declared is a difference; its place is named, never
its value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ehr_adapters.capabilities import Capability, FindMethod, Transformation
from ehr_adapters.contract import FindHit, FindResult, Snapshot, Tag, WirePlan


class Verdict(StrEnum):
    """What a search showed about one change."""

    OURS_EQUAL = "ours-equal"
    OURS_DIFFERENT = "ours-different"
    COLLEAGUE_EQUAL = "colleague-equal"
    COLLEAGUE_DIFFERENT = "colleague-different"
    NONE = "none"
    AMBIGUOUS = "ambiguous"
    COULD_NOT_LOOK = "could-not-look"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two sides differ: `pointer` (RFC 6901), and whether it is gone there."""

    pointer: str
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The verdict, the entry that it speaks of, and where that entry differs from what was sent."""

    verdict: Verdict
    entry: Snapshot | None = None
    differences: tuple[Difference, ...] = ()
    entries: int = 0

    @property
    def paths(self) -> list[str]:
        return [difference.pointer for difference in self.differences]

    @property
    def only_missing(self) -> bool:
        """Everything that differs was left out: the EHR dropped it."""
        return bool(self.differences) and all(each.missing for each in self.differences)


def judge(
    found: FindResult,
    *,
    plan: WirePlan,
    tags: Sequence[Tag],
    capability: Capability,
    baseline: Snapshot | None,
) -> Match:
    """What a search means for the change that `plan` would write.

    `tags` are those of every version that was ever sent. A hit counts even in a search that broke
    off; the absence of one only in a complete search. `baseline` is the target as it was when the
    plan was made: a target that still equals it shows that nothing was written.
    """
    hits = _distinct(found.hits)
    if found.method in (FindMethod.EXACT, FindMethod.SCAN):
        hits = tuple(hit for hit in hits if _is_ours(hit, tags))
    if found.method == FindMethod.NONE or (not hits and not found.complete):
        return Match(Verdict.COULD_NOT_LOOK)
    if found.method == FindMethod.TARGET:
        return _target(hits, plan=plan, tags=tags, capability=capability, baseline=baseline)
    if not hits:
        return Match(Verdict.NONE)
    if found.method == FindMethod.MATCH:
        return _candidates(hits, plan=plan, capability=capability)
    if len(hits) > 1:
        return Match(Verdict.AMBIGUOUS, entries=len(hits))
    [hit] = hits
    return _one(hit, plan=plan, tags=tags, capability=capability)


def compare(
    snapshot: Snapshot, *, plan: WirePlan, capability: Capability
) -> tuple[Difference, ...]:
    """Where the entry differs from what the plan says should be there; empty when it is equal."""
    return tuple(
        _differences(
            plan.comparable,
            snapshot.comparable,
            forgiven=_forgiven(capability),
            pointer="",
        )
    )


def _one(hit: FindHit, *, plan: WirePlan, tags: Sequence[Tag], capability: Capability) -> Match:
    differences = compare(hit.snapshot, plan=plan, capability=capability)
    ours = _is_ours(hit, tags)
    verdict = {
        (True, True): Verdict.OURS_EQUAL,
        (True, False): Verdict.OURS_DIFFERENT,
        (False, True): Verdict.COLLEAGUE_EQUAL,
        (False, False): Verdict.COLLEAGUE_DIFFERENT,
    }[ours, not differences]
    return Match(verdict, entry=hit.snapshot, differences=differences, entries=1)


def _target(
    hits: Sequence[FindHit],
    *,
    plan: WirePlan,
    tags: Sequence[Tag],
    capability: Capability,
    baseline: Snapshot | None,
) -> Match:
    if not hits:
        # The entry is gone: somebody else's doing, whatever became of ours.
        return Match(Verdict.COLLEAGUE_DIFFERENT)
    match = _one(hits[0], plan=plan, tags=tags, capability=capability)
    untouched = baseline is not None and hits[0].snapshot.hash_whole == baseline.hash_whole
    if match.differences and untouched:
        return Match(Verdict.NONE, entry=match.entry)
    return match


def _candidates(hits: Sequence[FindHit], *, plan: WirePlan, capability: Capability) -> Match:
    equal = [hit for hit in hits if not compare(hit.snapshot, plan=plan, capability=capability)]
    if not equal:
        return Match(Verdict.NONE)
    if len(equal) > 1:
        return Match(Verdict.AMBIGUOUS, entries=len(equal))
    return Match(Verdict.COLLEAGUE_EQUAL, entry=equal[0].snapshot, entries=1)


def _is_ours(hit: FindHit, tags: Sequence[Tag]) -> bool:
    return any(hit.tag == tag or hit.snapshot.carries(tag) for tag in tags)


def _distinct(hits: Sequence[FindHit]) -> tuple[FindHit, ...]:
    """One hit per entry: a search over several pages or tags may meet the same entry twice."""
    seen: dict[str, FindHit] = {}
    for hit in hits:
        seen.setdefault(hit.snapshot.reference, hit)
    return tuple(seen.values())


# --- the normal form ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Forgiven:
    ignored: frozenset[str]
    line_ends: frozenset[str]
    display: frozenset[str]


def _forgiven(capability: Capability) -> _Forgiven:
    def of(rule: str) -> frozenset[str]:
        return frozenset(
            _pattern(each.path) for each in capability.transformations if _knows(each, rule)
        )

    elsewhere = (*capability.server_owned, *capability.set_on_acceptance)
    server_owned = frozenset(_pattern(path) for path in elsewhere)
    return _Forgiven(
        ignored=of("ignored") | server_owned, line_ends=of("line_ends"), display=of("display")
    )


_RULES = frozenset({"ignored", "line_ends", "display"})


def _knows(transformation: Transformation, rule: str) -> bool:
    if transformation.rule not in _RULES:
        # Forgiving less than was declared shows as a discrepancy; a person sees it.
        return False
    return transformation.rule == rule


_INDEX = re.compile(r"\[[^\]]*\]")


def _pattern(path: str) -> str:
    """A declared path without positions in lists: "code.coding[0].display" and "/code/coding/0/display"
    are both "code.coding.display"."""
    parts = _INDEX.sub("", path).replace("/", ".").split(".")
    return ".".join(part for part in parts if part and part != "*" and not part.isdigit())


def _differences(
    ours: object, theirs: object, *, forgiven: _Forgiven, pointer: str
) -> Iterator[Difference]:
    place = _pattern(pointer)
    if place and place in forgiven.ignored:
        return
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        worded = any(place == path or place.startswith(path + ".") for path in forgiven.display)
        skipped = {"display", "text"} if worded else set()
        for name in sorted({*ours, *theirs} - skipped):
            below = f"{pointer}/{_escaped(str(name))}"
            if _pattern(below) in forgiven.ignored:
                continue
            if name not in theirs:
                yield Difference(below, missing=True)
            elif name not in ours:
                yield Difference(below)
            else:
                yield from _differences(ours[name], theirs[name], forgiven=forgiven, pointer=below)
        return
    if _is_list(ours) and _is_list(theirs):
        yield from _list_differences(ours, theirs, forgiven=forgiven, pointer=pointer)
        return
    if isinstance(ours, str) and isinstance(theirs, str) and place in forgiven.line_ends:
        ours, theirs = _unbroken(ours), _unbroken(theirs)
    if type(ours) is not type(theirs) or ours != theirs:
        yield Difference(pointer or "/")


def _list_differences(
    ours: object, theirs: object, *, forgiven: _Forgiven, pointer: str
) -> Iterator[Difference]:
    mine = list(ours) if isinstance(ours, Sequence) else []
    other = list(theirs) if isinstance(theirs, Sequence) else []
    for number, (one, two) in enumerate(zip(mine, other, strict=False)):
        yield from _differences(one, two, forgiven=forgiven, pointer=f"{pointer}/{number}")
    for number in range(len(other), len(mine)):
        yield Difference(f"{pointer}/{number}", missing=True)
    for number in range(len(mine), len(other)):
        yield Difference(f"{pointer}/{number}")


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unbroken(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip()
