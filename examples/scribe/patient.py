"""What the patient answers: yes and no with their question, anything else in its own words."""

from collections.abc import Sequence
from dataclasses import replace

from examples.scribe import findings, lexicon, person, questions
from examples.scribe.clauses import Clause
from examples.scribe.statement import Section
from examples.scribe.story import Story
from examples.scribe.topics import place
from examples.scribe.utterances import (
    BACK,
    LEANING,
    addresses,
    has_subject,
    is_bodily,
    is_placed,
    is_vague,
    names_it,
    says_no_such,
    span_of,
    verbatim,
)

NEEDS_WHAT = {
    "duration",
    "onset",
    "frequency",
    "pain score",
    "dose",
    "amount",
    "site",
    "better or worse",
}


class PatientSide(Story):
    """The account with its answers: a question counts as said only with what was answered."""

    def answer(
        self, *, spoken: Sequence[Clause], open_questions: Sequence[Clause], by_patient: bool
    ) -> Sequence[Clause]:
        """Take what answers the question; return the clauses that still tell something."""
        question = open_questions[-1]
        if (
            len(spoken[0].lows) > 2
            and spoken[0].lows[0] == "just"
            and spoken[0].lows[1] in {"it's", "it"}
        ):
            spoken = [
                replace(spoken[0], words=tuple(questions.cut(spoken[0].words, 1))),
                *spoken[1:],
            ]
        if says_no_such(spoken[0]):
            return spoken  # "No pain in my chest": a statement of its own
        answer = questions.answered(spoken)
        if answer.yes is None:
            return self._described(spoken=spoken, question=question)
        own = answer.rest[0] if answer.rest else None
        if (
            own is not None
            and not answer.hedge
            and own.turn == spoken[0].turn
            and own.words[-1] is spoken[0].words[-1]
            and not has_subject(own)
        ):
            return self._qualified(spoken=spoken, question=question, own=own, yes=answer.yes)
        denies_more = own is not None and says_no_such(own) and findings.concerns_health(own.lows)
        named = findings.noun(question)
        if (
            denies_more
            and named is not None
            and own is not None
            and set(own.lows) <= set(named[0].split()) | {"no", "or", "and"}
        ):
            self._add(
                place(lows=question.lows, asked=question.lows) or Section.HISTORY, named[0], (span_of(question), span_of(own)),
                clause=own, order=question.number, denied=True,
            )  # fmt: skip
            return answer.rest[1:]
        if own is not None and (denies_more or self._stands_alone(own, question)):
            return answer.rest
        hedge = ""
        said = (answer.said[0].start, answer.said[-1].end)
        if answer.hedge:
            quoted = verbatim(self.transcript, answer.hedge)
            if not quoted:
                return answer.rest
            hedge = f' ("{quoted}")'
            said = (said[0], max(said[1], answer.hedge[-1].end))
        found = findings.finding(question, yes=answer.yes)
        if found is None or (found.of_third and by_patient) or (found.personal and not by_patient):
            return answer.rest
        spans, texts = [span_of(question), said], [found.text]
        if found.noun and not answer.yes:
            self._also_denied(open_questions[:-1], found.text, texts, spans)
        section = place(lows=question.lows, asked=question.lows) or Section.HISTORY
        denied = found.noun and not answer.yes
        text = ", ".join(texts) + hedge if denied else found.text + hedge
        if found.noun and answer.yes:
            text = f"reports {text}"
        if not by_patient and not denied:
            text = text if found.noun else f"says {text}"
            text = f"{self.companion} {text}"
        self._add(
            section,
            text,
            tuple(sorted(spans)),
            clause=spoken[0],
            order=question.number,
            denied=denied,
            personal=by_patient and found.personal,
        )
        return answer.rest

    def _qualified(
        self, *, spoken: Sequence[Clause], question: Clause, own: Clause, yes: bool
    ) -> Sequence[Clause]:
        """`Yes, occasionally, cigars at parties`: neither a plain yes nor a plain no."""
        named = findings.noun(question)
        if named is None and findings.whether(question) is None and is_placed(own.lows):
            return [own, *spoken[1:]]
        subject = findings.subject(question)
        about = (
            f"about {named[0]}"
            if named is not None
            else findings.whether(question) or (f"about {' '.join(subject)}" if subject else None)
        )
        told = person.of_patient(words=own.words, drop_subject=False)
        section = place(lows=question.lows, asked=question.lows)
        if (
            about is None
            or told is None
            or section is None
            or own.unclear
            or addresses(own)
            or len(own.lows) > 20
            or own.lead.startswith("but")
        ):
            return spoken[1:]
        if BACK.fullmatch(own.low) or is_vague(own.lows):
            return spoken[1:]
        if is_placed(own.lows) and named is None and not findings.concerns_health(question.lows):
            return [own, *spoken[1:]]
        text = (
            f"denies {named[0]}, says {told}"
            if named is not None and not yes
            else f"asked {about}, says {'' if yes else 'no, '}{told}"
        )
        self._add(section, text, (span_of(question), span_of(spoken[0])), clause=spoken[0])
        return spoken[1:]

    def _also_denied(
        self, earlier: Sequence[Clause], last: str, texts: list[str], spans: list[tuple[int, int]]
    ) -> None:
        """`Nausea? Vomiting?` `No.` denies both; `Any allergies? Medications?` asks one thing twice."""
        allergy = any("allerg" in clause.low for clause in earlier)
        for clause in earlier:
            more = findings.finding(clause, yes=False)
            if more is None or not more.noun or more.text in texts:
                continue
            if allergy and "allerg" not in last:
                texts[:] = [more.text]
            else:
                texts.insert(len(texts) - 1, more.text)
            spans.insert(0, span_of(clause))

    def _described(self, *, spoken: Sequence[Clause], question: Clause) -> Sequence[Clause]:
        """An answer that is neither yes nor no: `Where?` `My lower back.`"""
        first = spoken[0]
        asked_whether = findings.whether(question)
        elliptical = (
            first.lows[0] in {"i", "i'm", "i've"}
            and len(first.lows) <= 8
            and not any(lexicon.counts(first.lows).values())
        )
        if (
            asked_whether
            and elliptical
            and not first.unclear
            and not addresses(first)
            and not is_vague(first.lows)
        ):
            told = person.of_patient(words=first.words, drop_subject=False)
            section = place(lows=question.lows, asked=question.lows)
            if told and section:
                self._add(
                    section,
                    f"asked {asked_whether}, says {told}",
                    (span_of(question), span_of(first)),
                    clause=first,
                )
                return spoken[1:]
        if (
            first.unclear
            or questions.is_question(first)
            or (has_subject(first) and not names_it(first, question))
            or addresses(first)
            or ({"no", "yes"} & set(first.lows) and first.lows[:2] != ["no", "more"])
        ):
            return spoken
        if (
            BACK.fullmatch(first.low)
            or is_vague(first.lows)
            or set(first.lows) <= set(question.lows)
        ):
            return spoken[1:]
        spoken_words = first.words
        if first.lows[0] == "it's":
            spoken_words = tuple(questions.cut(first.words, 1))
        told = person.of_patient(words=spoken_words, drop_subject=False)
        heading, named = findings.label(question), findings.noun(question)
        if named is None and heading is None and asked_whether is not None:
            named = (asked_whether, [])
        if told is None or len(first.lows) > 24 or (heading is None and named is None):
            return spoken
        if not (
            findings.concerns_health(question.lows)
            or findings.concerns_health(first.lows)
            or heading
        ):
            return spoken
        section = place(lows=first.lows, asked=question.lows) or Section.HISTORY
        link = ""
        if heading in NEEDS_WHAT:
            # "Twice a week" says nothing without what it is said of.
            quoted = verbatim(self.transcript, question.words)
            if self._follows(first, question):
                link, text = ";", f"{heading}: {told}"
            elif (
                quoted
                and len(question.lows) <= 14
                and (is_bodily(question.lows) or not lexicon.UNPLACED & set(question.lows))
            ):
                text = f'asked "{quoted}", says {told}'
            else:
                return spoken[1:]
        elif heading is not None:
            text = f"{heading}: {told}"
        else:
            what = named[0]  # type: ignore[index]  # without a heading something was named
            text = f"asked {what if what.startswith('whether') else 'about ' + what}, says {told}"
        self._add(section, text, (span_of(question), span_of(first)), clause=first, link=link)
        return spoken[1:]

    def _stands_alone(self, clause: Clause, question: Clause) -> bool:
        """The patient's own words say it better than the question turned round."""
        return (
            has_subject(clause)
            and clause.lows[0] not in LEANING
            and self._telling(clause=clause, question=question, by_patient=True) is not None
            and findings.concerns_health(clause.lows)
        )
