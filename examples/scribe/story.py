"""What the patient, or someone who came with them, tells: in the third person, or left out."""

import re
from collections.abc import Sequence
from dataclasses import replace

from examples.scribe import findings, lexicon, person, phrases, questions
from examples.scribe.clauses import Clause
from examples.scribe.grammar import MORE_VERBS, VERBS, has_verb
from examples.scribe.statement import NEGATIVE, Section, Statement, is_broken
from examples.scribe.topics import place
from examples.scribe.transcript import Transcript
from examples.scribe.utterances import (
    BACK,
    SUBJECTS,
    addresses,
    has_subject,
    is_bodily,
    is_placed,
    is_vague,
    leans,
    span_of,
    without_yes,
)

BECAUSE = re.compile(
    r"(?:i'm|i am|i've|i'm just) (?:contacting|calling|ringing|here|seeing|coming|speaking to|come|come in|phoning|came)(?: to see)?(?: you| in| to you| today| about)* because (?:of )?"
)

OTHERS = re.compile(
    r"\b(?:twins?|sons?|daughters?|sisters?|brothers?|cousins?|colleagues?|neighbou?rs?|friends?|husband|wife|partner|boyfriend|girlfriend|boss|"
    r"geneticist|dietician|dietitian|neurologist|allergist|doctor|nurse|kids|children|father|mother|dad|mum|mom|grandma|grandad)\b"
)

HIS = re.compile(r"\b(?:he|she|his|her|him|he's|she's)\b")

PERSONS = {"he", "she", "he's", "she's"}

PROFANE = {"shit", "fuck", "fucking", "crap", "damn", "bollocks", "piss", "arse", "ass", "hell"}

RELATIVE_ASKED = re.compile(r"\b(?:what|how) about your (\w+)\b")

DUMMIES = {"it", "it's", "there", "there's"}

OMITTED = {
    "have",
    "had",
    "got",
    "felt",
    "noticed",
    "can't",
    "couldn't",
    "haven't",
    "didn't",
    "don't",
}  # after an I left out

TAIL = re.compile(
    r" so(?: \w+){1,2}$| (?:because|so|and|but|or|since|which|that|when|if|the|with|just)(?: (?:right now|i|we|the|just|then|again))?(?<!ever since)(?<!like that)$"
)

NAMEABLE = (lexicon.SYMPTOMS | lexicon.BODY | lexicon.CONDITIONS) - {
    "side",
    "back",
    "head",
    "hot",
    "cold",
    "short",
    "worse",
    "sleep",
    "condition",
    "toilet",
    "loo",
    "infection",
    "pop",
    "mood",
    "pressure",
    "moving",
    "temperature",
    "blood",
}

NAMED = re.compile(
    rf"\b(?P<whose>your|the|a|an|this|that|some) (?P<what>(?:left |right |sore |dry |runny |bad |little |tummy |chest |back |joint |heart ){{0,2}}(?:blood pressures?|blood sugars?|{'|'.join(sorted(map(re.escape, NAMEABLE)))}))\b"
)

POINTING = re.compile(
    r"\b(?:in|of|for|with|about|to|on|do|doing|did|using) (?:that|this|these|those)(?: (?:because|and|but|so|when|any|at|or|anymore|either)\b|$)"
)


class Story:
    """One side's account: statements so far, and what it, he and they may mean next."""

    def __init__(self, *, transcript: Transcript, companion: str) -> None:
        self.transcript = transcript
        self.companion = companion
        self.found: list[Statement] = []
        self.last: Clause | None = None  # the clause behind the newest statement
        self.topic: tuple[tuple[str, str], tuple[int, int]] | None = (
            None  # what the clinician has just named
        )
        self.teller = "patient"  # who speaks on this side just now
        self.answering = False  # the clause is the first after its question
        self.gap = False  # something said since then was left out
        self.named_since: set[str] = (
            set()
        )  # parts and conditions that the clinician named since then
        self.other_until = -1  # turns in which he or she is somebody else

    def tell(
        self,
        *,
        clauses: Sequence[Clause],
        question: Clause | None,
        by_patient: bool,
        fresh: bool = False,
    ) -> None:
        """Statements of clauses that stand on their own or lean on the one before."""
        for place_in_answer, heard in enumerate(clauses):
            self.answering = fresh and place_in_answer == 0
            clause = without_yes(heard)
            clause = (
                replace(clause, words=tuple(phrases.without_tail(list(clause.words), tail=TAIL)))
                if clause
                else None
            )
            if (
                clause is None
                or not clause.words
                or questions.is_question(
                    replace(clause, mark="") if has_subject(clause) else clause
                )
            ):
                continue
            self.mind(clause)
            contrast = "but" in clause.lead.split()
            adjacent = self._follows(clause, question)
            statement = self._telling(
                clause=clause, question=question, by_patient=by_patient,
                otherwise=self.found[-1].section if contrast and adjacent else None,
            )  # fmt: skip
            if statement is None:
                beside = leans(clause) and not any(lexicon.counts(clause.lows).values())
                self.gap = self.gap or not (
                    beside or BACK.fullmatch(clause.low) or is_vague(clause.lows)
                )
                if contrast and adjacent and len(clause.lows) > 2 and not is_vague(clause.lows):
                    # What the "but" takes back was not understood: the first half is not sure either.
                    self.found.pop()
                    self.last = None
                continue
            if statement.text.startswith("asked about"):
                self._keep(statement)
                self.last, self.gap = clause, False
                continue
            if not by_patient and clause.lows[0] in PERSONS and clause.turn <= self.other_until:
                self.gap = True
                continue
            points = {"it", "them"} & set(clause.lows[1:]) and not is_placed(clause.lows)
            if (
                contrast
                or points
                or (leans(clause) and (by_patient or clause.lows[0] not in PERSONS))
            ):
                if not adjacent:
                    if (
                        contrast
                        and clause.lows[0] in {"i", "i've", "i'm"}
                        and is_placed(clause.lows)
                        and not lexicon.UNPLACED & set(clause.lows)
                    ):
                        self._keep(statement)  # it says enough without what it was set against
                        self.last, self.gap = clause, False
                        continue
                    first_told = not self.found or bool(lexicon.counts(clause.lows)["body"])
                    if (
                        not contrast
                        and first_told
                        and is_bodily(clause.lows)
                        and clause.lows[0] in DUMMIES
                    ):
                        self._keep(statement)  # "it hurts": nothing before it is meant
                        self.last, self.gap = clause, False
                    else:
                        self.gap = True
                    continue
                statement = replace(
                    statement,
                    link="but" if contrast else ";",
                    leans=True,
                    section=self.found[-1].section,
                )
                if contrast and "now" in clause.lead.split() and not statement.denied:
                    statement = replace(
                        statement, text=f"now {statement.text.removeprefix('says ')}"
                    )
                if contrast and clause.lead_start >= 0:
                    statement = replace(
                        statement, spans=((clause.lead_start, statement.spans[0][1]),)
                    )
            self._keep(statement)
            self.last, self.gap, self.named_since = clause, False, set()

    def _keep(self, statement: Statement) -> None:
        self.found.append(replace(statement, teller=self.teller))

    def turn_to(self, clauses: Sequence[Clause]) -> None:
        """What the clinician's turn is about, where it names one thing: `You also mentioned a cough.`"""
        self.topic = None
        for clause in clauses:
            if clause.unclear:
                continue
            named = list(NAMED.finditer(clause.low))
            if len(named) == 1 and len({low for low in clause.lows if low in NAMEABLE}) <= 2:
                whose = "their" if named[0]["whose"] == "your" else "the"
                self.topic = ((whose, named[0]["what"]), span_of(clause))
            elif named:
                self.topic = None

    def mind(self, clause: Clause) -> None:
        """Once somebody else is spoken of, he and she may be that person for a while."""
        self.named_since |= {low for low in clause.lows if low in NAMEABLE}
        if OTHERS.search(clause.low):
            self.other_until = clause.turn + 8
        elif re.match(r"\w+ (?:she|he)\b", clause.low) and clause.lows[0] not in {
            "and",
            "when",
            "if",
            "that",
            "because",
            "where",
            "but",
            "so",
        }:
            self.other_until = -1

    def _follows(self, clause: Clause, question: Clause | None) -> bool:
        """The newest statement was said just before: nothing that was left out stands between."""
        if self.last is None or not self.found or self.gap:
            return False
        if clause.turn == self.last.turn:
            return True
        if clause.lows[0] in PERSONS:
            return False
        if self.named_since and not self.named_since & set(self.last.lows):
            return False  # the clinician has turned to something else
        leaning_question = question is None or bool(
            set(question.lows) & {"it", "this", "that", "these", "they", "them"}
        )
        return (
            clause.turn - self.last.turn <= 3
            and clause.number - self.last.number <= 7
            and leaning_question
        )

    def _telling(
        self,
        *,
        clause: Clause,
        question: Clause | None,
        by_patient: bool,
        otherwise: Section | None = None,
    ) -> Statement | None:
        lows = clause.lows
        reason = BECAUSE.match(clause.low)
        if reason:
            clause = replace(
                clause, words=tuple(questions.cut(clause.words, len(reason.group(0).split())))
            )
            lows = clause.lows
        if clause.unclear or not 2 <= len(lows) <= 34 or addresses(clause) or is_vague(lows):
            return None
        section = place(lows=lows, asked=question.lows if question is not None else ()) or otherwise
        pointed = (
            question is not None
            and set(question.lows) & {"it", "them", "these", "those"}
            and self._follows(clause, question)
        )
        if (
            otherwise is None
            and set(lows[1:]) & {"it", "them", "those", "these", "one", "ones"}
            and not is_placed(lows)
            and not pointed
        ):
            return None  # of what?
        if (
            section is None
            and pointed
            and lows[0] in {"i", "i've", "i'm"}
            and {"it", "them"} & set(lows)
        ):
            section = self.found[-1].section
        if otherwise is None and POINTING.search(clause.low):
            return None
        if (
            {"he", "she", "his", "her", "him", "he's", "she's"} & set(lows)
            and by_patient
            and not OTHERS.search(HIS.split(clause.low)[0])
            and lows[0] not in PERSONS
        ):
            return None  # whose?
        if (
            lows[0] == "if"
            and sum(
                low in SUBJECTS | {"my"}
                and lows[place]
                not in {"that", "think", "see", "know", "feel", "like", "say", "if", "when"}
                for place, low in enumerate(lows[1:])
            )
            < 1
        ):
            return None  # and then what?
        omitted = lows[0] in OMITTED and by_patient
        if (
            not omitted
            and lows[0] in VERBS | MORE_VERBS
            and lows[0] not in lexicon.SYMPTOMS | {"was", "had", "been", "took"}
            and not lows[0].endswith("ing")
        ):
            return None  # a verb whose subject was not said
        told = person.of_patient(words=clause.words, drop_subject=by_patient)
        about: tuple[str, str] | None = None
        asked_at = (0, 0)
        if question is not None and self.answering:
            about, asked_at = findings.subject(question), span_of(question)
            if about is None and self.topic is not None:
                about, asked_at = self.topic
        if (
            question is not None
            and about is not None
            and by_patient
            and lows[0]
            in {"it", "it's", "they", "they're", "they've", "that's", "that", "this", "its"}
            and about[1].split()[0] not in {"mother", "father", "mum", "dad"}
        ):
            if told is None or is_broken(told):
                return None
            spans = (asked_at, span_of(clause))
            section = section or place(lows=question.lows, asked=question.lows) or Section.HISTORY
            return Statement(
                section,
                f"asked about {about[0]} {about[1]}, says {told}",
                spans,
                clause.number,
                clause.turn,
            )
        if section is None or told is None or is_broken(told):
            return None
        denied = False
        if (
            lows[0] in {"especially", "same"}
            or PROFANE & set(lows)
            or ({"yes", "no"} & set(lows[1:]) and lows[0] != "no" and not has_verb(lows))
        ):
            return None
        relative = RELATIVE_ASKED.search(question.low) if question is not None else None
        if lows[0] in PERSONS and relative and question is not None:
            spans = (span_of(question), span_of(clause))
            return Statement(
                section,
                f"asked about their {relative[1]}, says {told}",
                spans,
                clause.number,
                clause.turn,
            )
        if otherwise is not None and NEGATIVE.match(lows[0]):
            return Statement(section, told, (span_of(clause),), clause.number, clause.turn)
        if lows[0] == "no" and not has_verb(lows):
            text, denied = re.sub(r"(, (?:and |or )?)no ", r"\1", told.removeprefix("no ")), True
            if not findings.concerns_health(lows):
                return None
        elif not by_patient:
            text = f"{self.companion} says {told}"
        elif omitted:
            head, _, rest = told.partition(" ")
            text = f"{person.NEGATED[head][0] if head in person.NEGATED else person.singular(head)} {rest}"
        elif lows[0] == "my" and not has_verb(lows):
            text = f"says {told}"
        elif lows[0] in {"i", "i'm", "i've", "i'd", "i'll", "my"} or (
            NEGATIVE.match(lows[0]) and findings.concerns_health(lows)
        ):
            text = told
        elif has_verb(lows):
            text = f"says {told}"
        elif is_placed(lows) and lows[0] not in {
            "and",
            "or",
            "to",
            "then",
            "with",
            "of",
            "for",
            "at",
            "from",
            "as",
            "than",
            "either",
            "same",
            "especially",
        }:
            text = f"reports {told}"
        else:
            return None
        if bool(NEGATIVE.search(clause.low)) != (bool(NEGATIVE.search(text)) or denied):
            return None
        return Statement(
            section, text, (span_of(clause),), clause.number, clause.turn, denied=denied,
            personal=by_patient and (omitted or lows[0] in {"i", "i'm", "i've", "i'd", "i'll"}),
        )  # fmt: skip

    def _add(
        self, section: Section, text: str, spans: tuple[tuple[int, int], ...], *, clause: Clause, order: int | None = None,
        denied: bool = False, link: str = "", personal: bool = False,
    ) -> None:  # fmt: skip
        if is_broken(text):
            return
        self._keep(
            Statement(
                section,
                text,
                spans,
                clause.number if order is None else order,
                clause.turn,
                denied=denied,
                link=link,
                personal=personal,
            )
        )
        self.last, self.gap = clause, False
