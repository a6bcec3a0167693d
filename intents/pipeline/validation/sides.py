"""Left or right: does the side of a change agree with its name, and with the problem that it is for? Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from ehr_adapters.contract import Baseline, Snapshot
from intents.pipeline.clinical.values import codes_of, text, words_of
from intents.pipeline.support.sentences import plain
from intents.pipeline.validation.draft import Draft, resulting
from intents.pipeline.validation.findings import Finding, question

_PAIRED = frozenset(
    {"knee", "hip", "shoulder", "elbow", "wrist", "ankle", "eye", "ear", "hand", "foot", "thumb",
     "heel", "forearm", "thigh"}
)  # fmt: skip
_LEFT, _RIGHT, _BOTH = "7771000", "24028007", "51440002"
_SIDE_WORDS = {"left": _LEFT, "right": _RIGHT, "bilateral": _BOTH, "both": _BOTH}
# Orders that are done on one side of the body.
_ONE_SIDED = frozenset({"imaging", "procedure", "referral", "equipment"})
_OVER = frozenset({"inactive", "remission", "resolved"})


def check_sides(draft: Draft, *, baseline: Baseline) -> Iterable[Finding]:
    """The side that is given, the one in the name, and for an order the one of its problem."""
    if draft.kind not in {"problem", "order"} or draft.interaction not in {"create", "update"}:
        return
    content = resulting(draft, baseline=baseline)
    words = _words(content)
    named = _sides_in(words)
    side = _side(content)
    sited = draft.kind == "problem" or text(content.get("category")) in _ONE_SIDED
    if side and named and side not in named:
        yield question(
            "side-differs", "The side that is given is not the side in the name.", "/side"
        )
    elif draft.kind == "order" and _is_against(
        {side} - {""} or named, _sides_of_problems(content, words, baseline=baseline)
    ):
        yield question(
            "side-differs",
            "The side of the order is not the side of the problem that it is for.",
            "/side" if side else "/code",
        )
    elif sited and not side and not named and words & _PAIRED and "code" in draft.content:
        yield question("side-missing", "The name tells no side, and none is given.", "/side")


def _words(content: Mapping[str, Any]) -> frozenset[str]:
    named = plain(words_of(content.get("code")))
    return frozenset(named.replace(",", " ").replace("-", " ").split())


def _sides_in(words: frozenset[str]) -> set[str]:
    return {_SIDE_WORDS[word] for word in words & _SIDE_WORDS.keys()}


def _side(content: Mapping[str, Any]) -> str:
    return next((code for _, code in codes_of(content.get("side"))), "")


def _is_against(ordered: set[str], of_problem: set[str]) -> bool:
    return bool(
        ordered and of_problem and not ordered & of_problem and _BOTH not in ordered | of_problem
    )


def _sides_of_problems(
    content: Mapping[str, Any], words: frozenset[str], *, baseline: Baseline
) -> set[str]:
    """The sides of the problem that an order names, else of the active ones of the same part of the body."""
    problems = [*baseline.context("problems"), *baseline.neighbours("problem")]
    named = text(content.get("indication"))
    if named:
        chosen = [one for one in problems if one.reference == named]
    else:
        chosen = [
            one for one in problems if _is_active(one) and _words(one.canonical) & words & _PAIRED
        ]
    out: set[str] = set()
    for one in chosen:
        side = _side(one.canonical)
        out |= {side} if side else _sides_in(_words(one.canonical))
    return out


def _is_active(entry: Snapshot) -> bool:
    return text(entry.canonical.get("clinical_status")) not in _OVER
