"""Statements made into a note: sections, sentences, and the quote behind each sentence.

No sentence is ready-made. Short statements are put together until the sentence says something that
only this visit can say; what stays too general to stand alone is joined to a neighbour.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from examples.scribe import lexicon, proofreading
from examples.scribe.listening import Reading, listen
from examples.scribe.patient import verbatim
from examples.scribe.person import sentence_case
from examples.scribe.speakers import Role
from examples.scribe.statement import NEGATIVE, Section, Statement
from examples.scribe.transcript import Transcript

DISTINCT_ENOUGH = 9  # content words that make a sentence this visit's own
LONG_ENOUGH = 26  # words after which a sentence takes nothing more in
TOO_LONG = 60
FEWEST_SENTENCES = 5
FEWEST_SECTIONS = 3
STOP = set(
    """a an and are as asked at be been being but by can clinician companion could denies did do does for from had has have he her his i if in is
    it it's its just me my no not of off on or our out patient patient's plan reports said says she so some team that that's the their them
    themselves then there there's these they this those to too up us very was we were what when which who will with would you your about also
    any into more than really quite get got going""".split()
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
    sections = _sections(chains)
    _fill_up(sections, reading=reading, transcript=transcript)
    return Draft(sections=[(title, sentences) for title, sentences in sections if sentences], reading=reading)


def _chains(statements: Sequence[Statement], source: str) -> list[_Chain]:
    chains: list[_Chain] = []
    newest: dict[bool, _Chain | None] = {True: None, False: None}
    for statement in statements:
        own = statement.by_clinician
        if not proofreading.is_supported(statement=statement, source=source):
            newest[own] = None
            continue
        chain = newest[own]
        if statement.link and chain is not None and len(chain.parts) < 6:
            chain.parts.append(statement)
            continue
        if statement.link == "but" or (statement.link and statement.leans):
            newest[own] = None
            continue
        chain = _Chain(section=statement.section, order=statement.order, parts=[replace(statement, link="")])
        newest[own] = chain
        chains.append(chain)
    return chains


def _words(text: str) -> set[str]:
    return {proofreading.stem(word) for word in proofreading.tokens(text)} - STOP


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
            if chain.section is not earlier.section or same < 0.8:
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
    opening = [chain for chain in history if chain.parts[0].turn <= turn + 2][:3]
    size = 0
    for chain in opening:
        if size >= DISTINCT_ENOUGH:
            break
        chain.section = Section.COMPLAINT
        size += len(_words(chain.text))


def _sections(chains: list[_Chain]) -> list[tuple[str, list[Sentence]]]:
    by_section = {section: [c for c in chains if c.section is section] for section in Section}
    weak = [s for s in BACKGROUND if by_section[s] and _weight(by_section[s]) < DISTINCT_ENOUGH]
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
            by_section[instead] = sorted(by_section[instead] + by_section[section], key=lambda chain: chain.order)
            by_section[section] = []
    out: list[tuple[str, list[Sentence]]] = []
    for section in Section:
        if section is Section.BACKGROUND and joint:
            out.append((JOINT_TITLE, _sentences(joint)))
        out.append((section.value, _sentences(by_section[section])))
    return out


def _weight(chains: Sequence[_Chain]) -> int:
    return len(set().union(*(_words(chain.text) for chain in chains))) if chains else 0


def _sentences(chains: list[_Chain]) -> list[Sentence]:
    groups: list[list[_Chain]] = []
    denied: list[_Chain] = []
    for chain in chains:
        if chain.denied:
            denied.append(chain)
            continue
        if groups and (_weight(groups[-1]) < DISTINCT_ENOUGH) and _length([*groups[-1], chain]) <= TOO_LONG:
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
    return [_sentence(group) for group in groups if _weight(group) >= DISTINCT_ENOUGH]


def _denials(denied: list[_Chain]) -> list[list[_Chain]]:
    groups: list[list[_Chain]] = [[]]
    for chain in denied:
        if groups[-1] and _length(groups[-1]) > LONG_ENOUGH and _weight(groups[-1]) >= DISTINCT_ENOUGH:
            groups.append([])
        groups[-1].append(chain)
    return groups


def _length(chains: Sequence[_Chain]) -> int:
    return sum(len(chain.text.split()) for chain in chains)


def _chained(parts: Sequence[Statement]) -> str:
    text = ""
    for part in parts:
        piece = part.text
        if text:
            piece = re.sub(r"^(?:says|reports) (?!for\b)", "", piece)
            text += f", but {piece}" if part.link == "but" else f"; {piece}"
        else:
            text = piece
    return text


def _sentence(group: Sequence[_Chain]) -> Sentence:
    text, previous = "", ""
    for chain in group:
        piece = chain.text
        opening = next((o for o in ("denies", "plan to", "patient asked to", "clinician says", "says", "reports") if piece.startswith(o)), "")
        if chain.denied:
            opening = "denies"
            piece = piece if previous == "denies" else f"denies {piece}"
        if not text:
            text = f"patient {piece}" if chain.parts[0].personal or opening in {"says", "reports", "denies"} else piece
        elif chain.denied and previous == "denies":
            text += f", {piece}"
        elif opening and opening == previous:
            shorter = piece.removeprefix(opening).strip()
            text += f"; {'to ' if opening.endswith(' to') else ''}{shorter}"
        else:
            text += f"; {piece}"
        previous = opening
    spans: list[tuple[int, int]] = []
    for chain in group:
        for part in chain.parts:
            spans += [span for span in part.spans if span not in spans]
    return Sentence(text=f"{sentence_case(re.sub(r' +', ' ', text)).rstrip(' ,;.')}.", spans=tuple(spans))


def _fill_up(sections: list[tuple[str, list[Sentence]]], *, reading: Reading, transcript: Transcript) -> None:
    """Too little understood for a note: what was said is quoted, marked as a quotation."""
    for clause in reading.clauses:
        count = sum(len(sentences) for _, sentences in sections)
        filled = sum(bool(sentences) for _, sentences in sections)
        if count >= FEWEST_SENTENCES and filled >= FEWEST_SECTIONS:
            return
        words = [word for word in clause.words if word.kind == "word"]
        if not 7 <= len(words) <= 24 or clause.unclear or clause.mark == "?" or not any(lexicon.counts(clause.lows).values()):
            continue
        quoted = verbatim(transcript, clause.words) or verbatim(transcript, words)
        span = (clause.words[0].start, clause.words[-1].end)
        used = any(span[0] < end and start < span[1] for _, s in sections for x in s for start, end in x.spans)
        if not quoted or used or len(_words(quoted)) < DISTINCT_ENOUGH - 3:
            continue
        role = reading.cast.roles[clause.speaker]
        section = Section.PLAN if role is Role.CLINICIAN else Section.HISTORY
        speaker = {Role.CLINICIAN: "Clinician", Role.PATIENT: "Patient"}.get(role, reading.cast.companion.capitalize())
        target = next(sentences for title, sentences in sections if title == section.value)
        target.append(Sentence(text=f'{speaker}: "{quoted}".', spans=(span,), copied=True))
