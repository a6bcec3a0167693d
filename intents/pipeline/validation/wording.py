"""Do the words rest on their sources, report only what is done, and hide nothing? Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ehr_adapters.canonical import base as canonical
from ehr_adapters.canonical import units
from intents.pipeline.clinical.values import text, walk, words_of
from intents.pipeline.support.judging import (
    Because,
    Judgement,
    Quote,
    Support,
    judge,
    judge_entry,
)
from intents.pipeline.support.omissions import left_out
from intents.pipeline.support.sentences import statements
from intents.pipeline.validation.draft import Draft
from intents.pipeline.validation.findings import Finding, information, question, warning

# Kinds whose words are held against their sources statement by statement instead.
_TOLD_IN_WORDS = frozenset({"note", "message"})
# Words for whoever gives or takes a medicine, held against the fields beside them and not against a source.
_DIRECTIONS = frozenset({"sig_text"})
# A quote for one of them is a quote for all: drug, dose, route, frequency and directions count as one.
_DOSING = frozenset(
    {"drug", "code", "dose", "units_taken", "route", "frequency", "as_needed", "sig_text"}
)

_REPORTS_A_DOSE = re.compile(
    r"^\W*(?:(?:we|i)(?:'ll| will)? |plan(?:ned)? to |will )?"
    r"(?:start(?:ed)?|begin|began|initiate[ds]?|increase[ds]?|decrease[ds]?|reduce[ds]?|stop(?:ped)?|"
    r"discontinue[ds]?|switch(?:ed)?|change[ds]?|prescribe[ds]?|resume[ds]?|restart(?:ed)?|titrate[ds]?)\b"
    r".*\b\d[\d.,]* ?(?:mg|mcg|ug|µg|g|ml|units?|tablets?|puffs?)\b",
    re.IGNORECASE | re.DOTALL,
)
# The Joint Commission's "Do Not Use" list and ISMP's list of error-prone abbreviations, those for doses.
_UNSAFE = re.compile(
    r"(?P<trailing>\b\d+\.0+ ?(?:mg|mcg|g|ml|units?)\b)|(?P<naked>(?<![\d.])\.\d+ ?(?:mg|mcg|g|ml|units?)\b)|"
    r"(?P<units>\b\d+ ?I?U\b)|(?P<daily>\bQ\.?O?\.?D\b\.?)",
    re.IGNORECASE,
)
_UNSAFE_WORDS = {
    "trailing": "A zero after the decimal point can be read as ten times the dose.",
    "naked": "A decimal point without a zero before it can be overlooked.",
    "units": "“U” for units can be read as a zero.",
    "daily": "“QD” and “QOD” are mistaken for each other.",
}


def texts(draft: Draft) -> Iterator[tuple[str, str]]:
    """(pointer, text) of every free text of the content that tells something of the patient."""
    for index, section in enumerate(draft.content.get("sections") or ()):
        yield f"/sections/{index}/text", section["text"]
    for name in _told(draft.kind):
        value = draft.content.get(name)
        if isinstance(value, str):
            yield f"/{name}", value


def _told(kind: str) -> Iterator[str]:
    for spec in canonical.fields(kind):
        if spec.control is canonical.Control.TEXT and spec.name not in _DIRECTIONS:
            yield spec.name


# --- statements against sources ------------------------------------------------------------------


def check_statements(draft: Draft) -> Iterable[Finding]:
    """Each statement of each text: against its source, not in it, or the source not readable.

    What a person wrote into the draft needs no source, but is still held against those there are.
    """
    for pointer, words in texts(draft):
        for start, end in statements(words):
            statement = words[start:end]
            quotes = [
                c.quote for c in draft.evidence if _rests_on(c.path, c.span, pointer, start, end)
            ]
            found = judge(statement, quotes=quotes, sources=draft.sources)
            own = draft.agent_statements is not None and statement not in draft.agent_statements
            yield from _of_judgement(found, f"{pointer}#{start}-{end}", "statement", own=own)


def _rests_on(path: str, span: tuple[int, int] | None, pointer: str, start: int, end: int) -> bool:
    if path != pointer and not pointer.startswith(f"{path}/"):
        return False
    return span is None or path != pointer or (span[0] < end and start < span[1])


def _of_judgement(found: Judgement, place: str, what: str, *, own: bool) -> Iterable[Finding]:
    if found.support is Support.SUPPORTED or found.because is None:
        return
    if own and found.support is not Support.CONTRADICTED:
        return
    yield question(f"{what}-{found.support.value}", found.because.sentence, place)


def check_entry(draft: Draft) -> Iterable[Finding]:
    """The values of a structured entry rest on a source that says them, of this patient, surely enough."""
    if draft.kind in _TOLD_IN_WORDS:
        return
    if draft.interaction == "create":
        yield from _check_new(draft)
    elif draft.interaction == "update" and draft.agent_statements is None:
        yield from _check_changed(draft)


def _check_new(draft: Draft) -> Iterable[Finding]:
    told = {f"/{name}" for name in _told(draft.kind)}
    quotes = [c.quote for c in draft.evidence if c.path not in told]
    own = draft.agent_statements is not None
    turning = _turning(draft)
    if not turning:
        return
    named = canonical.kind_model(draft.kind).named_by[0]
    words = words_of(draft.content.get(named))
    if words:
        found = judge_entry(
            words,
            sure=draft.content.get("verification") == "confirmed",
            quotes=quotes,
            sources=draft.sources,
        )
    else:
        found = _quoted(quotes, draft)
    place = f"/{named if named in draft.content else turning[0]}"
    yield from _of_judgement(found, place, "field", own=own)
    if found.support is Support.SUPPORTED:
        yield from _amounts(draft, quotes, names=draft.content.keys(), own=own)


def _check_changed(draft: Draft) -> Iterable[Finding]:
    for name in _turning(draft):
        quotes = [c.quote for c in draft.evidence if _is_about(c.path, name)]
        found = _quoted(quotes, draft)
        yield from _of_judgement(found, f"/{name}", "field", own=False)
        if found.support is Support.SUPPORTED:
            yield from _amounts(draft, quotes, names=[name], own=False)


def _turning(draft: Draft) -> list[str]:
    """The fields whose value turns the meaning of an entry: each needs a source."""
    fixed = {name for name, _ in draft.change.rule.fixed} if draft.change else set()
    return [
        spec.name
        for spec in canonical.fields(draft.kind)
        if spec.name in draft.content
        and spec.risk is canonical.Risk.HIGH
        and spec.owner is not canonical.Owner.EHR
        and spec.name not in {*fixed, "category", "sensitivity"}
        and not (spec.portal_only or spec.filled_by_portal)
    ] or [
        name
        for name in canonical.kind_model(draft.kind).named_by
        if name in draft.content and draft.kind == "vitals"
    ]


def _is_about(path: str, name: str) -> bool:
    first = path.removeprefix("/").split("/", 1)[0]
    return first in {"", name} or (name in _DOSING and first in _DOSING)


def _amounts(
    draft: Draft, quotes: Sequence[Quote], *, names: Iterable[str], own: bool
) -> Iterable[Finding]:
    """A number with its unit is one that a source gives."""
    for name in names:
        for place, held in walk(draft.content[name], f"/{name}"):
            if not text(held.get("unit")) or not text(held.get("value")):
                continue
            said = f"{held['value']} {units.unit_words(held['unit'])}"
            found = judge(said, quotes=quotes, sources=draft.sources)
            yield from _of_judgement(found, place, "field", own=own)


def _quoted(quotes: Sequence[Quote], draft: Draft) -> Judgement:
    """A coded value cannot be compared with words: here it only counts whether anything is quoted."""
    if not quotes:
        return Judgement(Support.ABSENT, Because.NO_QUOTE)
    if not any(q.source in draft.sources for q in quotes):
        return Judgement(Support.UNAVAILABLE, Because.NO_SOURCE)
    return Judgement(Support.SUPPORTED)


# --- what the text says is done --------------------------------------------------------------------


def check_acts(draft: Draft) -> Iterable[Finding]:
    """A statement that reports an act names the change that performs it, and that change is going to be written."""
    for index, section in enumerate(draft.content.get("sections") or ()):
        pointer = f"/sections/{index}/text"
        spans = []
        for act in section.get("acts") or ():
            start, end = act["span"]
            spans.append((start, end))
            sibling = draft.siblings.get(act["change"])
            if sibling is None or not sibling.going:
                yield question(
                    "act-not-written",
                    "The change that does what this says is not going to be written.",
                    f"{pointer}#{start}-{end}",
                )
            elif sibling.finality == "staged":
                yield question(
                    "act-not-written",
                    "The change that does what this says will only wait in the EHR for someone to accept it.",
                    f"{pointer}#{start}-{end}",
                )
        for start, end in statements(section["text"]):
            if any(a < end and start < b for a, b in spans):
                continue
            if _REPORTS_A_DOSE.match(section["text"], start, end):
                yield question(
                    "act-without-change",
                    "This reports a change of medicine that nothing in this draft makes.",
                    f"{pointer}#{start}-{end}",
                )


# --- what is not there, and what cannot be seen ------------------------------------------------------


def check_left_out(draft: Draft) -> Iterable[Finding]:
    """Red flags, allergies and medicines begun or stopped that a source tells and no change of the draft does."""
    if draft.kind != "note" or draft.interaction not in {"create", "amend"}:
        return
    said = [text for _, text in texts(draft)]
    said += [_words(sibling.content) for sibling in draft.siblings.values()]
    sentences = {
        "red-flag": "The source tells of a warning sign that the draft leaves out.",
        "allergy": "The source tells of an allergy that the draft leaves out.",
        "medicine": "The source tells of a medicine begun or stopped that the draft leaves out.",
    }
    for fact in left_out(
        draft="\n".join(said),
        sources=draft.sources.values(),
        quotes=[c.quote for c in draft.evidence],
    ):
        yield question(
            "left-out", sentences[fact.what], f"source:{fact.source}#{fact.start}-{fact.end}"
        )


def _words(value: Any) -> str:
    """Every text in a content, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(_words(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return "\n".join(_words(v) for v in value)
    return ""


def check_characters(draft: Draft) -> Iterable[Finding]:
    """Characters that a reader does not see, and notations of doses that readers mistake."""
    for pointer, words in _all_texts(draft.content, ""):
        if words.isascii() or not any(segment.name for segment in canonical.visible(words)):
            continue
        yield information(
            "invisible-character",
            "This text holds characters that cannot be seen; they are shown by name.",
            pointer,
        )
    for pointer, words in texts(draft):
        for start, end in statements(words):
            kinds = dict.fromkeys(m.lastgroup for m in _UNSAFE.finditer(words, start, end))
            for kind in kinds:
                if kind:
                    yield warning(
                        "unsafe-notation", _UNSAFE_WORDS[kind], f"{pointer}#{start}-{end}"
                    )


def _all_texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _all_texts(part, f"{pointer}/{name}")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _all_texts(part, f"{pointer}/{index}")
