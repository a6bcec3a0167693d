"""Facts that a source tells and the draft does not: red flags, allergies, medicines begun or stopped. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from intents.pipeline.support.assertions import (
    clause_around,
    findings_named,
    is_denied,
    is_hypothetical,
    is_of_another,
)
from intents.pipeline.support.judging import Quote, SourceText
from intents.pipeline.support.sentences import plain, stems


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A fact in a source that no part of the draft speaks of. `what`: red-flag, allergy, medicine."""

    what: str
    source: str
    start: int
    end: int


_RED_FLAGS = (
    "suicidal thoughts",
    "chest pain",
    "fainting",
    "shortness of breath",
    "blood in stool",
    "blood in urine",
    "weight loss",
)
_ALLERGIC = re.compile(r"\ballergic to (?:(?:the|some|any|my|your) )?(?P<what>[a-z]{4,})")
_STARTED = re.compile(
    r"\b(?:i|he|she|they)(?:'ve| have| has)? (?:just |recently |already )?(?:stopped|quit|started)(?: taking| using| on)(?: (?:my|the|his|her|some|a|an))? (?P<what>[a-z]{4,})"
)
_ORDER = {"red-flag": 0, "allergy": 1, "medicine": 2}


def left_out(
    *, draft: str, sources: Iterable[SourceText], quotes: Sequence[Quote]
) -> list[LeftOut]:
    """Red flags, allergies and medicines begun or stopped that a source tells and the draft does not.

    Only what a speaker affirms about the patient, in unmistakable words, and neither quoted nor named in
    the draft. Ranked; never cut short, because none of these is a trifle.
    """
    named = {name for name, _, _ in findings_named(plain(draft))}
    words = stems(draft)
    found: dict[tuple[str, str], LeftOut] = {}
    for source in sources:
        quoted = [(q.start, q.end) for q in quotes if q.source == source.ref]
        for a in source.asserted:
            if a.concept not in _RED_FLAGS or a.concept in named or not a.affirmed:
                continue
            if a.other_person or a.suspected or _covered(quoted, a.start, a.end):
                continue
            found.setdefault(
                ("red-flag", a.concept), LeftOut("red-flag", source.ref, a.start, a.end)
            )
        low = plain(source.text)
        for what, pattern in (("allergy", _ALLERGIC), ("medicine", _STARTED)):
            for match in pattern.finditer(low):
                before, _ = clause_around(low[max(0, match.start() - 40) : match.start()] + " ", 40)
                if is_denied(before) or is_of_another(before) or is_hypothetical(before):
                    continue
                if stems(match["what"]) <= words or _covered(quoted, match.start(), match.end()):
                    continue
                found.setdefault(
                    (what, match["what"]), LeftOut(what, source.ref, match.start(), match.end())
                )
    return sorted(found.values(), key=lambda f: (_ORDER[f.what], f.source, f.start))


def _covered(quoted: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    return any(a < end and b > start for a, b in quoted)
