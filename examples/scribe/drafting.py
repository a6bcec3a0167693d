"""Statements made into a note: sections, sentences, and the quote behind each sentence.

No sentence is ready-made. Short statements are put together until the sentence says something that
only this visit can say; what stays too general to stand alone is joined to a neighbour.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from examples.scribe import lexicon, proofreading, questions
from examples.scribe.clauses import Clause
from examples.scribe.listening import Reading, listen
from examples.scribe.person import sentence_case
from examples.scribe.speakers import Role
from examples.scribe.statement import NEGATIVE, Section, Statement
from examples.scribe.transcript import Transcript
from examples.scribe.utterances import verbatim
from examples.scribe.words import listed

DISTINCT_ENOUGH = 7  # content words below which a sentence might be anybody's
WANTED = 10  # content words up to which a sentence takes in the next statement
WANTED_OF_FINDINGS = 15  # findings are worded alike from visit to visit: several go together
LONG_ENOUGH = 26  # words after which a sentence takes nothing more in
TOO_LONG = 60
MOST_QUOTES = 450  # a proposal's change may carry 500
FEWEST_SENTENCES = 5
FEWEST_SECTIONS = 3
STOP = listed(
    """a an and are as asked at be been being but by can clinician companion could denies did do does for from had has have he her his i if in is
    it it's its just me my no not of off on or our out patient patient's plan reports said says she so some team that that's the their them
    themselves then there there's these they this those to too up us very was we were what when which who will with would you your about also
    any into more than really quite get got going"""
)
BACKGROUND = (Section.BACKGROUND, Section.MEDICATION, Section.SOCIAL)
JOINT_TITLE = "Background"


@dataclass(slots=True)
class Sentence:
    """A sentence of the note and the spans of the source behind it."""

    text: str
    spans: tuple[tuple[int, int], ...]
    copied: bool = False


@dataclass(slots=True)
class Draft:
    """The note. `sections` in reading order, none empty."""

    sections: list[tuple[str, list[Sentence]]]
    reading: Reading

    @property
    def sentences(self) -> list[Sentence]:
        """All of them."""
        return [sentence for _, sentences in self.sections for sentence in sentences]


@dataclass(slots=True)
class _Chain:
    """Statements that hang together: the first, and what leans on it."""

    section: Section
    order: int
    parts: list[Statement] = field(default_factory=list)

    @property
    def denied(self) -> bool:
        return len(self.parts) == 1 and self.parts[0].denied

    @property
    def text(self) -> str:
        return _chained(self.parts)


def draft(*, transcript: Transcript) -> Draft:
    """The note of one consultation."""
    reading = listen(transcript=transcript)
    chains = _distinct(_chains(reading.statements, transcript.text))
    _complaint_first(chains)
    sections = _sections(chains, source=transcript.text)
    _within_bounds(sections)
    _fill_up(sections, reading=reading, transcript=transcript)
    return Draft(
        sections=[(title, sentences) for title, sentences in sections if sentences], reading=reading
    )


def _chains(statements: Sequence[Statement], source: str) -> list[_Chain]:
    chains: list[_Chain] = []
    newest: dict[bool, _Chain | None] = {True: None, False: None}
    for statement in statements:
        own = statement.by_clinician
        statement = proofreading.shortened(statement=statement, source=source)  # noqa: PLW2901
        if not proofreading.is_supported(statement=statement, source=source):
            newest[own] = None
            continue
        chain = newest[own]
        joins = chain is not None and (statement.link == "but" or not chain.parts[-1].denied)
        if statement.link and chain is not None and joins and len(chain.parts) < 6:
            if not _words(statement.text) <= _words(chain.text):
                chain.parts.append(statement)
            continue
        if statement.link == "but" or (statement.link and statement.leans):
            newest[own] = None
            continue
        chain = _Chain(
            section=statement.section, order=statement.order, parts=[replace(statement, link="")]
        )
        newest[own] = chain
        chains.append(chain)
    return chains


@lru_cache(maxsize=20_000)
def _words(text: str) -> frozenset[str]:
    return frozenset(
        proofreading.stem(word) for word in proofreading.tokens(text) if word not in STOP
    ).difference(STOP)


def _distinct(chains: list[_Chain]) -> list[_Chain]:
    """Said twice is written once; said and unsaid of the same thing is not written at all."""
    kept: list[_Chain] = []
    for chain in chains:
        words = _words(chain.text)
        if not words:
            continue
        repeated = False
        for earlier in list(kept):
            before = _words(earlier.text)
            same = len(words & before) / len(words)
            if chain.section is not earlier.section or same < 1.0:
                if same == 1.0 and before == words and _negative(chain) is not _negative(earlier):
                    kept.remove(earlier)
                    repeated = True
                continue
            if _negative(chain) is _negative(earlier):
                repeated = True
            elif before == words:
                kept.remove(earlier)
                repeated = True
        if not repeated:
            kept.append(chain)
    return kept


def _negative(chain: _Chain) -> bool:
    return chain.denied or bool(NEGATIVE.search(chain.text))


def _complaint_first(chains: list[_Chain]) -> None:
    """What the patient came with: the first of the history that they tell, up to one turn of it."""
    history = [chain for chain in chains if chain.section is Section.HISTORY and not chain.denied]
    if not history:
        return
    turn = history[0].parts[0].turn
    opening = [chain for chain in history if chain.parts[0].turn <= turn + 8][:4]
    size = 0
    for chain in opening:
        if size >= WANTED:
            break
        chain.section = Section.COMPLAINT
        size += len(_words(chain.text))


def _sections(chains: list[_Chain], *, source: str) -> list[tuple[str, list[Sentence]]]:
    by_section = {section: [c for c in chains if c.section is section] for section in Section}
    weak = [s for s in BACKGROUND if by_section[s] and _weight(by_section[s]) < WANTED]
    joint: list[_Chain] = []
    if weak:
        # Too little under one heading to be anybody's in particular: one heading for all of it.
        joint = [chain for section in BACKGROUND for chain in by_section[section]]
        for section in BACKGROUND:
            by_section[section] = []
        if _weight(joint) < DISTINCT_ENOUGH:
            by_section[Section.HISTORY] += joint
            joint = []
    for section, instead in (
        (Section.EXAMINATION, Section.PLAN), (Section.PLAN, Section.EXAMINATION), (Section.COMPLAINT, Section.HISTORY),
        (Section.HISTORY, Section.COMPLAINT),
    ):  # fmt: skip
        if by_section[section] and _weight(by_section[section]) < DISTINCT_ENOUGH:
            by_section[instead] = sorted(
                by_section[instead] + by_section[section], key=lambda chain: chain.order
            )
            by_section[section] = []
    out: list[tuple[str, list[Sentence]]] = []
    for section in Section:
        if section is Section.BACKGROUND and joint:
            out.append((JOINT_TITLE, _sentences(joint, source=source)))
        out.append((section.value, _sentences(by_section[section], source=source)))
    return out


def _weight(chains: Sequence[_Chain]) -> int:
    return len(set().union(*(_words(chain.text) for chain in chains))) if chains else 0


def _sentences(chains: list[_Chain], *, source: str) -> list[Sentence]:
    groups: list[list[_Chain]] = []
    denied: list[_Chain] = []
    for chain in chains:
        if chain.denied:
            denied.append(chain)
            continue
        wanted = WANTED_OF_FINDINGS if chain.section is Section.EXAMINATION else WANTED
        unsaid_who = (
            groups
            and HE_OR_SHE.search(chain.text)
            and SOMEBODY.search(" ".join(c.text for c in groups[-1]))
        )
        if (
            groups
            and not unsaid_who
            and _weight(groups[-1]) < wanted
            and _length([*groups[-1], chain]) <= TOO_LONG
        ):
            groups[-1].append(chain)
        else:
            groups.append([chain])
    if denied:
        groups += _denials(denied)
    while len(groups) > 1 and any(_weight(group) < DISTINCT_ENOUGH for group in groups):
        place = next(i for i, group in enumerate(groups) if _weight(group) < DISTINCT_ENOUGH)
        neighbour = place - 1 if place else 1
        first, second = sorted((place, neighbour))
        groups[first : second + 1] = [groups[first] + groups[second]]
    return [
        _sentence(group, source=source) for group in groups if _weight(group) >= DISTINCT_ENOUGH
    ]


HE_OR_SHE = re.compile(r"^\w+ says (?:he|she)\b")
SOMEBODY = re.compile(
    r"\b(?:twin|son|daughter|sister|brother|geneticist|neurologist|allergist|dietician)\b"
)


def _denials(denied: list[_Chain]) -> list[list[_Chain]]:
    groups: list[list[_Chain]] = [[]]
    for chain in denied:
        if groups[-1] and _length(groups[-1]) > LONG_ENOUGH and _weight(groups[-1]) >= WANTED:
            groups.append([])
        groups[-1].append(chain)
    return groups


def _length(chains: Sequence[_Chain]) -> int:
    return sum(len(chain.text.split()) for chain in chains)


def _chained(parts: Sequence[Statement], *, joint: str = "; ") -> str:
    text = ""
    before = parts[0]
    for part in parts:
        piece = f"denies {part.text}" if part.denied and len(parts) > 1 else part.text
        if text:
            piece = re.sub(rf"^(?:{part.teller} )?(?:says|reports) (?!for\b)", "", piece)
            if part.personal and not (
                before.personal or (part.link != "but" and _is_of_patient(before))
            ):
                piece = f"{part.teller} {piece}"
            text += f", but {piece}" if part.link == "but" else f"{joint}{piece}"
        else:
            text = piece
        before = part
    return text


def _is_of_patient(statement: Statement) -> bool:
    """The patient is its grammatical subject, so that the next verb may do without one."""
    return (
        statement.personal
        or statement.denied
        or statement.text.startswith(("says", "reports", "denies", "asked", "patient"))
    )


def _sentence(group: Sequence[_Chain], *, source: str) -> Sentence:
    text = _written(group, joint="; ")
    if proofreading.longest_run(text, [source]) > proofreading.LONGEST_RUN:
        # Statements that followed each other word for word would read as a quotation without its marks.
        text = _written(group, joint="; also ")
    spans: list[tuple[int, int]] = []
    for chain in group:
        for part in chain.parts:
            spans += [span for span in part.spans if span not in spans]
    return Sentence(
        text=f"{sentence_case(re.sub(r' +', ' ', text)).rstrip(' ,;.')}.", spans=tuple(spans)
    )


def _written(group: Sequence[_Chain], *, joint: str) -> str:
    text, previous, after_patient = "", "", True
    for chain in group:
        piece = _chained(chain.parts, joint=joint)
        spoken_for = re.match(r"\w+ says ", piece)
        opening = (
            spoken_for.group(0).strip()
            if spoken_for
            else next(
                (
                    o
                    for o in ("denies", "plan to", "patient asked to", "says", "reports")
                    if piece.startswith(o)
                ),
                "",
            )
        )
        if chain.denied:
            opening = "denies"
            piece = piece if previous == "denies" else f"denies {piece}"
        first = chain.parts[0]
        alone = (first.personal or opening in {"says", "reports", "denies"}) and not (
            after_patient and first.teller == "patient"
        )
        if text and alone and not (chain.denied and previous == "denies"):
            piece = f"{first.teller} {piece}"
        after_patient = _is_of_patient(chain.parts[-1]) and not chain.parts[-1].text.startswith(
            "asked"
        )
        if not text:
            text = (
                f"{first.teller} {piece}"
                if chain.parts[0].personal or opening in {"says", "reports", "denies"}
                else piece
            )
        elif chain.denied and previous == "denies":
            text += f", {piece}"
        elif opening and opening == previous and not piece.startswith("patient denies"):
            shorter = piece.removeprefix(opening).strip()
            text += f"{joint}{'to ' if opening.endswith(' to') else ''}{shorter}"
        else:
            text += f"{joint}{piece}"
        previous = opening
    return text


def _fill_up(
    sections: list[tuple[str, list[Sentence]]], *, reading: Reading, transcript: Transcript
) -> None:
    """Too little understood for a note: what was said is quoted, marked as a quotation."""
    quotable = [clause for clause in reading.clauses if _is_worth_quoting(clause, reading)]
    for clause in sorted(quotable, key=lambda clause: (-_clinical_words(clause), clause.number)):
        count = sum(len(sentences) for _, sentences in sections)
        filled = sum(bool(sentences) for _, sentences in sections)
        if count >= FEWEST_SENTENCES and filled >= FEWEST_SECTIONS:
            return
        quoted = verbatim(transcript, clause.words)
        span = (clause.words[0].start, clause.words[-1].end)
        used = any(
            span[0] < end and start < span[1]
            for _, s in sections
            for x in s
            for start, end in x.spans
        )
        if not quoted or used or len(_words(quoted)) < DISTINCT_ENOUGH - 2:
            continue
        role = reading.cast.roles[clause.speaker]
        section = Section.PLAN if role is Role.CLINICIAN else Section.HISTORY
        speaker = {Role.CLINICIAN: "Clinician", Role.PATIENT: "Patient"}.get(
            role, reading.cast.companion.capitalize()
        )
        target = next(sentences for title, sentences in sections if title == section.value)
        target.append(Sentence(text=f'{speaker}: "{quoted}".', spans=(span,), copied=True))


def _within_bounds(sections: list[tuple[str, list[Sentence]]]) -> None:
    """A visit of hours is cut at the end of its longest section, not refused."""
    while sum(len(x.spans) for _, sentences in sections for x in sentences) > MOST_QUOTES:
        max((sentences for _, sentences in sections), key=len).pop()


def _clinical_words(clause: Clause) -> int:
    found = lexicon.counts(clause.lows)
    return sum(found[name] for name in ("symptom", "body", "condition", "drug", "finding"))


def _is_worth_quoting(clause: Clause, reading: Reading) -> bool:
    return (
        7 <= len(clause.lows) <= 24
        and not clause.unclear
        and not questions.is_question(clause)
        and _clinical_words(clause) > 0
        and not (
            reading.cast.roles[clause.speaker] is Role.CLINICIAN
            and re.match(r"(?:the \w+ thing )?i(?:'d| would|'m)", clause.low)
        )
    )
