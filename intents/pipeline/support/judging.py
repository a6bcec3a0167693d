"""How each statement stands to what is quoted for it: supported, against the source, or not in it. Pure.

Every answer names its reason and the place in the source. The rules look at what turns a meaning around
(a finding denied or affirmed, a number with its unit, a side, whom it was said about) and at whether
anything was quoted at all. "Against the source" is said only where the source says the opposite in words
that the rules know; the rest is left to the reader.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Self

from intents.pipeline.support.assertions import (
    Assertion,
    answer,
    asserted,
    clause_around,
    is_denied,
    is_of_another,
    is_of_another_after,
    is_suspected,
)
from intents.pipeline.support.quantities import UNITS, numbers, sides_named, spoken_numbers
from intents.pipeline.support.sentences import WORD, plain, statements, stems


class Support(StrEnum):
    """How a statement stands to its source."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    ABSENT = "absent"
    UNAVAILABLE = "unavailable"


class Because(StrEnum):
    """Why a statement is not supported, with a sentence for the reviewer that repeats no content."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    NEGATION = (
        "negation",
        "The source says the opposite: denied here, affirmed there, or the reverse.",
    )
    NUMBER = "number", "The quoted source gives another number."
    SIDE = "side", "The source names the other side of the body."
    SUBJECT = "subject", "The source says this about somebody else."
    CERTAINTY = "certainty", "The source only suspects this."
    NO_QUOTE = "no-quote", "No source is quoted for this."
    NO_OVERLAP = "no-overlap", "The quoted words do not speak of this."
    NUMBER_ABSENT = "number-absent", "A number in this is not in any source."
    NO_SOURCE = "no-source", "The source could not be read."


@dataclass(frozen=True)
class SourceText:
    """One source as the agent sent it. `kind`: transcript, document, chart, message.

    What it asserts is worked out once, however many statements are held against it.
    """

    ref: str
    kind: str
    text: str

    @cached_property
    def asserted(self) -> tuple[Assertion, ...]:
        return asserted(self.text)

    @cached_property
    def by_concept(self) -> Mapping[str, Sequence[Assertion]]:
        out: dict[str, list[Assertion]] = {}
        for assertion in self.asserted:
            out.setdefault(assertion.concept, []).append(assertion)
        return out

    @cached_property
    def numbers(self) -> frozenset[tuple[str, str]]:
        return spoken_numbers(self.text)

    @cached_property
    def sentences(self) -> Sequence[tuple[int, int]]:
        return statements(self.text)


@dataclass(frozen=True, slots=True)
class Quote:
    """One quoted span of a source. `method`: copied, derived, inferred."""

    source: str
    start: int
    end: int
    method: str = "derived"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How one statement stands to its source; `source`, `start`, `end` is where the source says otherwise."""

    support: Support
    because: Because | None = None
    source: str = ""
    start: int = 0
    end: int = 0


# --- judging -----------------------------------------------------------------------------------------


def judge(
    statement: str, *, quotes: Sequence[Quote], sources: Mapping[str, SourceText]
) -> Judgement:
    """How one statement stands to what is quoted for it, and to the sources as a whole."""
    readable = [q for q in quotes if q.source in sources]
    if quotes and not readable:
        return Judgement(Support.UNAVAILABLE, Because.NO_SOURCE)
    contexts = [(q, *_context(sources[q.source], q.start, q.end)) for q in readable]
    against = _against(statement, contexts, sources)
    if against is not None:
        return against
    if not readable:
        return Judgement(Support.ABSENT, Because.NO_QUOTE)
    if _missing_number(statement, sources):
        return Judgement(Support.ABSENT, Because.NUMBER_ABSENT)
    inferred = all(q.method == "inferred" for q in readable)
    if not inferred and not _speaks_of(statement, " ".join(text for _, text, _ in contexts)):
        return Judgement(Support.ABSENT, Because.NO_OVERLAP)
    return Judgement(Support.SUPPORTED)


def judge_entry(
    words: str, *, sure: bool, quotes: Sequence[Quote], sources: Mapping[str, SourceText]
) -> Judgement:
    """How the name of a condition stands to what is quoted for it: denied, a relative's, only suspected?

    `words` is the entry's display; `sure`: the entry would be filed as confirmed.
    """
    readable = [q for q in quotes if q.source in sources]
    if not readable:
        return (
            Judgement(Support.UNAVAILABLE, Because.NO_SOURCE)
            if quotes
            else Judgement(Support.ABSENT, Because.NO_QUOTE)
        )
    name = stems(words)
    against: list[Judgement] = []
    for quote in readable:
        text, start = _context(sources[quote.source], quote.start, quote.end)
        verdict = _entry_in(text, name, sure=sure)
        if verdict is None:
            return Judgement(Support.SUPPORTED)
        against.append(
            Judgement(Support.CONTRADICTED, verdict, quote.source, start, start + len(text))
        )
    return against[0]


def _entry_in(text: str, name: frozenset[str], *, sure: bool) -> Because | None:
    spans = statements(text)
    for number, (start, end) in enumerate(spans):
        sentence = plain(text[start:end])
        named = [m.span() for m in WORD.finditer(sentence) if stems(m.group()) & name]
        if not named:
            continue
        if sentence.endswith("?"):
            reply = plain(text[slice(*spans[number + 1])]) if number + 1 < len(spans) else ""
            if answer(reply) is False:
                return Because.NEGATION
            continue
        before, clause = clause_around(sentence, named[0][0])
        if is_of_another(before) or is_of_another_after(sentence[named[-1][1] :]):
            return Because.SUBJECT
        if is_denied(before):
            return Because.NEGATION
        if sure and is_suspected(clause):
            return Because.CERTAINTY
    return None


def _context(source: SourceText, start: int, end: int) -> tuple[str, int]:
    """The whole sentences around a quoted span, with the question that it answers; and where they begin."""
    text, spans = source.text, source.sentences
    first = bisect_right(spans, start, key=lambda span: span[1])
    last = bisect_left(spans, end, key=lambda span: span[0]) - 1
    if first > last:
        return text[start:end], start
    if first and (_ends_asking(text, spans[first - 1]) or _answers(text, spans[first])):
        first -= 1
    if last + 1 < len(spans) and (
        _ends_asking(text, spans[last]) or _answers(text, spans[last + 1])
    ):
        last += 1
    return text[spans[first][0] : spans[last][1]], spans[first][0]


def _ends_asking(text: str, span: tuple[int, int]) -> bool:
    return text[span[1] - 1] == "?"


def _answers(text: str, span: tuple[int, int]) -> bool:
    return answer(plain(text[slice(*span)])) is not None


def _against(
    statement: str,
    contexts: Sequence[tuple[Quote, str, int]],
    sources: Mapping[str, SourceText],
) -> Judgement | None:
    claims = asserted(statement)
    for said in claims:
        if said.other_person or said.suspected:
            continue
        if any(c.concept == said.concept and c.affirmed is not said.affirmed for c in claims):
            continue  # "tingling until Sunday, denies tingling today" tells both
        quoted = [
            (q.source, start, a)
            for q, text, start in contexts
            for a in asserted(text)
            if a.concept == said.concept and not a.suspected
        ]
        everywhere = quoted or [
            (s.ref, 0, a)
            for s in sources.values()
            for a in s.by_concept.get(said.concept, ())
            if not a.suspected
        ]
        own = [hit for hit in everywhere if not hit[2].other_person]
        if quoted and not own and said.affirmed:
            ref, start, a = quoted[0]
            return Judgement(
                Support.CONTRADICTED, Because.SUBJECT, ref, start + a.start, start + a.end
            )
        if own and all(a.affirmed is not said.affirmed for _, _, a in own):
            ref, start, a = own[0]
            return Judgement(
                Support.CONTRADICTED, Because.NEGATION, ref, start + a.start, start + a.end
            )
    return _wrong_side(statement, contexts) or _wrong_number(statement, contexts, sources)


def _wrong_side(statement: str, contexts: Sequence[tuple[Quote, str, int]]) -> Judgement | None:
    for part, sides in sides_named(statement).items():
        for quote, text, start in contexts:
            held = sides_named(text).get(part, set())
            if held and not held & sides:
                return Judgement(
                    Support.CONTRADICTED, Because.SIDE, quote.source, start, start + len(text)
                )
    return None


def _wrong_number(
    statement: str, contexts: Sequence[tuple[Quote, str, int]], sources: Mapping[str, SourceText]
) -> Judgement | None:
    missing = _missing_number(statement, sources)
    if missing is None or not missing[1]:
        return None
    for quote, text, start in contexts:
        if any(unit == missing[1] for _, unit in spoken_numbers(text)):
            return Judgement(
                Support.CONTRADICTED, Because.NUMBER, quote.source, start, start + len(text)
            )
    return None


def _missing_number(statement: str, sources: Mapping[str, SourceText]) -> tuple[str, str] | None:
    """The first number of the statement that no source holds, with its unit where both name one."""
    heard = [s.numbers for s in sources.values()]
    for value, unit in numbers(statement):
        if any((value, unit) in told for told in heard):
            continue
        # The source may leave the unit unsaid ("I take ten of lisinopril").
        if any((value, "") in told for told in heard) and not any(
            (value, other) in told for told in heard for other in UNITS
        ):
            continue
        return value, unit
    return None


def _speaks_of(statement: str, quoted: str) -> bool:
    wanted = stems(statement)
    if len(wanted) < 3:
        return True
    if wanted & stems(quoted) or any(n in spoken_numbers(quoted) for n in numbers(statement)):
        return True
    return bool({a.concept for a in asserted(statement)} & {a.concept for a in asserted(quoted)})
