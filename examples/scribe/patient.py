"""What the patient, or someone who came with them, says: told in the third person, or left out."""

import re
from collections.abc import Sequence
from dataclasses import replace

from examples.scribe import clauses as cutting
from examples.scribe import clinician, lexicon, person, questions
from examples.scribe.clauses import Clause, has_verb
from examples.scribe.statement import NEGATIVE, Section, Statement, is_broken
from examples.scribe.topics import FEELS, place
from examples.scribe.transcript import Transcript
from examples.scribe.words import NUMBER_WORDS, Word

BECAUSE = re.compile(
    r"(?:i'm|i am|i've|i'm just) (?:contacting|calling|ringing|here|seeing|coming|speaking to|come|come in|phoning|came)(?: to see)?(?: you| in| to you| today| about)* because (?:of )?"
)
VAGUE = re.compile(
    r"^(?:i don't know|i do not know|i'm not sure|not sure|i can't remember|i guess so|that's it|i mean|i would say|i know|i'm sorry|nice to|good to|"
    r"i understand|i agree|sounds good|that sounds|i appreciate|i see\b|i think so|i hope|i was wondering|i wonder|i'd like to know|thank|i have to say|"
    r"i'll (?:try|do|call|see)|i will (?:do|try)|i'd be|i forgot to mention|i was just (?:thinking|wondering)|they're called|my name|no (?:other )?questions|i thought i (?:was|had)|i think that's|something like|nothing like|i have but|i do but|i did but)"
)
BACK = re.compile(
    r"(?:okay|yes|no|right|sure|good|morning|afternoon|evening|great|thanks|thank|hi|hello|bye|sorry|perfect|please|mm|that|it|so|doctor|fine|cool|lovely|yes it is|is|correct|what|whatever| )*"
)
LEANING = set(
    "it it's that's that they they're this these those them which he she he's she's there there's not because to with or and only "
    "mostly mainly then its it'd it'll they've the".split()
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
OMITTED = {"have", "had", "got", "felt", "noticed", "can't", "couldn't", "haven't", "didn't", "don't"}  # after an I left out
NEEDS_WHAT = {"duration", "onset", "frequency", "pain score", "dose", "amount", "site", "better or worse"}
TAIL = re.compile(r" so(?: \w+){1,2}$| (?:because|so|and|but|or|since|which|that|when|if|the|with|just)(?: (?:right now|i|we|the|just|then|again))?(?<!ever since)(?<!like that)$")
NAMEABLE = (lexicon.SYMPTOMS | lexicon.BODY | lexicon.CONDITIONS) - {"side", "back", "head", "hot", "cold", "short", "worse", "sleep", "condition", "toilet", "loo", "infection", "pop", "mood", "pressure", "moving", "temperature", "blood"}
NAMED = re.compile(
    rf"\b(?P<whose>your|the|a|an|this|that|some) (?P<what>(?:left |right |sore |dry |runny |bad |little |tummy |chest |back |joint |heart ){{0,2}}(?:blood pressures?|blood sugars?|{'|'.join(sorted(map(re.escape, NAMEABLE)))}))\b"
)
POINTING = re.compile(
    r"\b(?:in|of|for|with|about|to|on|do|doing|did|using) (?:that|this|these|those)(?: (?:because|and|but|so|when|any|at|or|anymore|either)\b|$)"
)
SUBJECTS = set("i i'm i've i'd i'll it it's that's they they're we he she there there's this that we've we're he's she's".split())


class PatientSide:
    """Turns one side's clauses into statements, keeping track of what leans on what."""

    def __init__(self, *, transcript: Transcript, companion: str) -> None:
        self.transcript = transcript
        self.companion = companion
        self.found: list[Statement] = []
        self.last: Clause | None = None  # the clause behind the newest statement
        self.topic: tuple[tuple[str, str], tuple[int, int]] | None = None  # what the clinician has just named
        self.answering = False  # the clause is the first after its question
        self.gap = False  # something said since then was left out
        self.named_since: set[str] = set()  # parts and conditions that the clinician named since then
        self.other_until = -1  # turns in which he or she is somebody else

    # --- an answer -------------------------------------------------------------------------------
    def answer(self, *, spoken: Sequence[Clause], open_questions: Sequence[Clause], by_patient: bool) -> Sequence[Clause]:
        """Take what answers the question; return the clauses that still tell something."""
        question = open_questions[-1]
        if len(spoken[0].lows) > 2 and spoken[0].lows[0] == "just" and spoken[0].lows[1] in {"it's", "it"}:
            spoken = [replace(spoken[0], words=tuple(questions.cut(spoken[0].words, 1))), *spoken[1:]]
        if _says_no_such(spoken[0]):
            return spoken  # "No pain in my chest": a statement of its own
        answer = questions.answered(spoken)
        if answer.yes is None:
            return self._described(spoken=spoken, question=question)
        own = answer.rest[0] if answer.rest else None
        if own is not None and not answer.hedge and own.turn == spoken[0].turn and own.words[-1] is spoken[0].words[-1] and not has_subject(own):
            return self._qualified(spoken=spoken, question=question, own=own, yes=answer.yes)
        denies_more = own is not None and _says_no_such(own) and questions.concerns_health(own.lows)
        named = questions.noun(question)
        if denies_more and named is not None and own is not None and set(own.lows) <= set(named[0].split()) | {"no", "or", "and"}:
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
        found = questions.finding(question, yes=answer.yes)
        if found is None:
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
            text = f"{self.companion} says {text}"
        self._add(
            section, text, tuple(sorted(spans)), clause=spoken[0], order=question.number, denied=denied, personal=by_patient and found.personal
        )
        return answer.rest

    def _qualified(self, *, spoken: Sequence[Clause], question: Clause, own: Clause, yes: bool) -> Sequence[Clause]:
        """`Yes, occasionally, cigars at parties`: neither a plain yes nor a plain no."""
        named = questions.noun(question)
        if named is None and questions.whether(question) is None and _is_placed(own.lows):
            return [own, *spoken[1:]]
        about = f"about {named[0]}" if named is not None else questions.whether(question)
        told = person.of_patient(words=own.words, drop_subject=False)
        section = place(lows=question.lows, asked=question.lows)
        if about is None or told is None or section is None or own.unclear or addresses(own) or len(own.lows) > 20 or own.lead.startswith("but"):
            return spoken[1:]
        if BACK.fullmatch(own.low) or is_vague(own.lows):
            return spoken[1:]
        if _is_placed(own.lows) and named is None and not questions.concerns_health(question.lows):
            return [own, *spoken[1:]]
        text = f"denies {named[0]}, says {told}" if named is not None and not yes else f"asked {about}, says {'' if yes else 'no, '}{told}"
        self._add(section, text, (span_of(question), span_of(spoken[0])), clause=spoken[0])
        return spoken[1:]

    def _also_denied(self, earlier: Sequence[Clause], last: str, texts: list[str], spans: list[tuple[int, int]]) -> None:
        """`Nausea? Vomiting?` `No.` denies both; `Any allergies? Medications?` asks one thing twice."""
        allergy = any("allerg" in clause.low for clause in earlier)
        for clause in earlier:
            more = questions.finding(clause, yes=False)
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
        asked_whether = questions.whether(question)
        elliptical = first.lows[0] in {"i", "i'm", "i've"} and len(first.lows) <= 8 and not any(lexicon.counts(first.lows).values())
        if asked_whether and elliptical and not first.unclear and not addresses(first) and not is_vague(first.lows):
            told = person.of_patient(words=first.words, drop_subject=False)
            section = place(lows=question.lows, asked=question.lows)
            if told and section:
                self._add(section, f"asked {asked_whether}, says {told}", (span_of(question), span_of(first)), clause=first)
                return spoken[1:]
        if first.unclear or questions.is_question(first) or (has_subject(first) and not _names_it(first, question)) or addresses(first) or {"no", "yes"} & set(first.lows):
            return spoken
        if BACK.fullmatch(first.low) or is_vague(first.lows) or set(first.lows) <= set(question.lows):
            return spoken[1:]
        spoken_words = first.words
        if first.lows[0] == "it's":
            spoken_words = tuple(questions.cut(first.words, 1))
        told = person.of_patient(words=spoken_words, drop_subject=False)
        heading, named = questions.label(question), questions.noun(question)
        if told is None or len(first.lows) > 24 or (heading is None and named is None):
            return spoken
        if not (questions.concerns_health(question.lows) or questions.concerns_health(first.lows) or heading):
            return spoken
        section = place(lows=first.lows, asked=question.lows) or Section.HISTORY
        link = ""
        if heading in NEEDS_WHAT:
            # "Twice a week" says nothing without what it is said of.
            quoted = verbatim(self.transcript, question.words)
            if self._follows(first, question):
                link, text = ";", f"{heading}: {told}"
            elif quoted and len(question.lows) <= 14 and (_is_bodily(question.lows) or not lexicon.UNPLACED & set(question.lows)):
                text = f'asked "{quoted}", says {told}'
            else:
                return spoken[1:]
        elif heading is not None:
            text = f"{heading}: {told}"
        else:
            text = f"asked about {named[0]}, says {told}"  # type: ignore[index]
        self._add(section, text, (span_of(question), span_of(first)), clause=first, link=link)
        return spoken[1:]

    def _stands_alone(self, clause: Clause, question: Clause) -> bool:
        """The patient's own words say it better than the question turned round."""
        return (
            has_subject(clause)
            and clause.lows[0] not in LEANING
            and self._telling(clause=clause, question=question, by_patient=True) is not None
            and questions.concerns_health(clause.lows)
        )

    # --- a story ---------------------------------------------------------------------------------
    def tell(self, *, clauses: Sequence[Clause], question: Clause | None, by_patient: bool, fresh: bool = False) -> None:
        """Statements of clauses that stand on their own or lean on the one before."""
        for place_in_answer, heard in enumerate(clauses):
            self.answering = fresh and place_in_answer == 0
            clause = without_yes(heard)
            clause = replace(clause, words=tuple(clinician.without_tail(list(clause.words), tail=TAIL))) if clause else None
            if clause is None or not clause.words or questions.is_question(replace(clause, mark="") if has_subject(clause) else clause):
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
                self.gap = self.gap or not (beside or BACK.fullmatch(clause.low) or is_vague(clause.lows))
                if contrast and adjacent and len(clause.lows) > 2 and not is_vague(clause.lows):
                    # What the "but" takes back was not understood: the first half is not sure either.
                    self.found.pop()
                    self.last = None
                continue
            if statement.text.startswith("asked about"):
                self.found.append(statement)
                self.last, self.gap = clause, False
                continue
            if not by_patient and clause.lows[0] in PERSONS and clause.turn <= self.other_until:
                self.gap = True
                continue
            points = {"it", "them"} & set(clause.lows[1:]) and not _is_placed(clause.lows)
            if contrast or points or (leans(clause) and (by_patient or clause.lows[0] not in PERSONS)):
                if not adjacent:
                    if contrast and clause.lows[0] in {"i", "i've", "i'm"} and _is_placed(clause.lows) and not lexicon.UNPLACED & set(clause.lows):
                        self.found.append(statement)  # it says enough without what it was set against
                        self.last, self.gap = clause, False
                        continue
                    first_told = not self.found or bool(lexicon.counts(clause.lows)["body"])
                    if not contrast and first_told and _is_bodily(clause.lows) and clause.lows[0] in DUMMIES:
                        self.found.append(statement)  # "it hurts": nothing before it is meant
                        self.last, self.gap = clause, False
                    else:
                        self.gap = True
                    continue
                statement = replace(statement, link="but" if contrast else ";", leans=True, section=self.found[-1].section)
                if contrast and "now" in clause.lead.split() and not statement.denied:
                    statement = replace(statement, text=f"now {statement.text.removeprefix('says ')}")
                if contrast and clause.lead_start >= 0:
                    statement = replace(statement, spans=((clause.lead_start, statement.spans[0][1]),))
            self.found.append(statement)
            self.last, self.gap, self.named_since = clause, False, set()

    def turn_to(self, clauses: Sequence[Clause]) -> None:
        """What the clinician's turn is about, where it names one thing: `You also mentioned a cough.`"""
        self.topic = None
        for clause in clauses:
            if clause.unclear:
                continue
            named = [match for match in NAMED.finditer(clause.low)]
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
        elif re.match(r"\w+ (?:she|he)\b", clause.low) and not clause.lows[0] in {"and", "when", "if", "that", "because", "where", "but", "so"}:
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
        leaning_question = question is None or bool(set(question.lows) & {"it", "this", "that", "these", "they", "them"})
        return clause.turn - self.last.turn <= 3 and clause.number - self.last.number <= 7 and leaning_question

    def _telling(
        self, *, clause: Clause, question: Clause | None, by_patient: bool, otherwise: Section | None = None
    ) -> Statement | None:
        lows = clause.lows
        reason = BECAUSE.match(clause.low)
        if reason:
            clause = replace(clause, words=tuple(questions.cut(clause.words, len(reason.group(0).split()))))
            lows = clause.lows
        if clause.unclear or not 2 <= len(lows) <= 34 or addresses(clause) or is_vague(lows):
            return None
        section = place(lows=lows, asked=question.lows if question is not None else ()) or otherwise
        pointed = question is not None and set(question.lows) & {"it", "them", "these", "those"} and self._follows(clause, question)
        if otherwise is None and set(lows[1:]) & {"it", "them", "those", "these", "one", "ones"} and not _is_placed(lows) and not pointed:
            return None  # of what?
        if section is None and pointed and lows[0] in {"i", "i've", "i'm"} and {"it", "them"} & set(lows):
            section = self.found[-1].section
        if otherwise is None and POINTING.search(clause.low):
            return None
        if {"he", "she", "his", "her", "him", "he's", "she's"} & set(lows) and by_patient and not OTHERS.search(HIS.split(clause.low)[0]) and lows[0] not in PERSONS:
            return None  # whose?
        if lows[0] == "if" and sum(
            low in SUBJECTS and lows[place] not in {"that", "think", "see", "know", "feel", "like", "say", "if", "when"}
            for place, low in enumerate(lows[1:])
        ) < 1:
            return None  # and then what?
        omitted = lows[0] in OMITTED and by_patient
        if not omitted and lows[0] in cutting.VERBS | cutting.MORE_VERBS and lows[0] not in lexicon.SYMPTOMS | {"was", "had", "been", "took"} and not lows[0].endswith("ing"):
            return None  # a verb whose subject was not said
        told = person.of_patient(words=clause.words, drop_subject=by_patient)
        about, asked_at = None, None
        if question is not None and self.answering:
            about, asked_at = questions.subject(question), span_of(question)
            if about is None and self.topic is not None:
                about, asked_at = self.topic
        if about is not None and by_patient and lows[0] in {"it", "it's", "they", "they're", "they've", "that's", "that", "this", "its"} and about[1].split()[0] not in {"mother", "father", "mum", "dad"}:
            if told is None or is_broken(told):
                return None
            spans = (asked_at, span_of(clause))
            section = section or place(lows=question.lows, asked=question.lows) or Section.HISTORY  # type: ignore[union-attr]
            return Statement(section, f"asked about {about[0]} {about[1]}, says {told}", spans, clause.number, clause.turn)
        if section is None or told is None or is_broken(told):
            return None
        denied = False
        if lows[0] in {"especially", "same"} or PROFANE & set(lows) or ({"yes", "no"} & set(lows[1:]) and lows[0] != "no" and not has_verb(lows)):
            return None
        relative = RELATIVE_ASKED.search(question.low) if question is not None else None
        if lows[0] in PERSONS and relative and question is not None:
            spans = (span_of(question), span_of(clause))
            return Statement(section, f"asked about their {relative[1]}, says {told}", spans, clause.number, clause.turn)
        if otherwise is not None and NEGATIVE.match(lows[0]):
            return Statement(section, told, (span_of(clause),), clause.number, clause.turn)
        if lows[0] == "no" and not has_verb(lows):
            text, denied = re.sub(r"(, (?:and |or )?)no ", r"\1", told.removeprefix("no ")), True
            if not questions.concerns_health(lows):
                return None
        elif not by_patient:
            text = f"{self.companion} says {told}"
        elif omitted:
            head, _, rest = told.partition(" ")
            text = f"{person.NEGATED[head][0] if head in person.NEGATED else person.singular(head)} {rest}"
        elif lows[0] == "my" and not has_verb(lows):
            text = f"says {told}"
        elif lows[0] in {"i", "i'm", "i've", "i'd", "i'll", "my"} or (NEGATIVE.match(lows[0]) and questions.concerns_health(lows)):
            text = told
        elif has_verb(lows):
            text = f"says {told}"
        elif _is_placed(lows) and lows[0] not in {"and", "or", "to", "then", "with", "of", "for", "at", "from", "as", "than", "either", "same", "especially"}:
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
        self.found.append(
            Statement(
                section, text, spans, clause.number if order is None else order, clause.turn, denied=denied, link=link, personal=personal
            )
        )
        self.last, self.gap = clause, False


def span_of(clause: Clause) -> tuple[int, int]:
    """From its first word to its last."""
    return (clause.words[0].start, clause.words[-1].end)


def _says_no_such(clause: Clause) -> bool:
    words = clause.words
    return (
        clause.lows[:1] == ["no"]
        and len(words) > 1
        and words[1].kind == "word"
        and words[1].low not in SUBJECTS | {"my", "not", "none", "never", "i", "because", "just"}
    )


def without_yes(clause: Clause) -> Clause | None:
    """`Yes, both ankles`: the yes was taken with the question."""
    lead = clause.lead
    if len(clause.lows) > 2 and clause.lows[0] == "just" and clause.lows[1] in {"it's", "it"}:
        clause = replace(clause, words=tuple(questions.cut(clause.words, 1)))
    while clause.lows and (clause.lows[0] in {"yes", "no", "so", "well"} or (clause.lows[0] == "but" and lead != clause.lead)):
        if _says_no_such(clause):
            break
        lead = f"{lead} {clause.lows[0]}".strip() if clause.lows[0] not in {"yes", "no"} else f"{lead} "
        rest = tuple(questions.cut(clause.words, 1))
        if not rest:
            return None
        clause = replace(clause, words=rest)
    while len(clause.words) > 2 and clause.words[-1].low in {"yes", "right"}:
        words = list(clause.words[:-1])
        while words and words[-1].kind != "word":
            words.pop()
        clause = replace(clause, words=tuple(words))
    return replace(clause, lead=lead.strip()) if clause.lows else None


def _names_it(clause: Clause, question: Clause) -> bool:
    """`Who is at home?` `It's just me.`"""
    return clause.lows[0] == "it's" and clause.lows[1:2] != [] and questions.label(question) is not None and clause.lows[1] in {
        "just", "about", "around", "mostly", "mainly", "only", "probably", "a", "the", "my", "in", "on", "all",
    }  # fmt: skip


def _is_bodily(lows: Sequence[str]) -> bool:
    found = lexicon.counts(list(lows))
    return bool(found["symptom"] or found["body"])


def _is_placed(lows: Sequence[str]) -> bool:
    found = lexicon.counts(list(lows))
    return bool(found["symptom"] or found["condition"] or found["drug"])


def is_vague(lows: Sequence[str]) -> bool:
    """Says nothing about health."""
    low = " ".join(lows)
    return (bool(VAGUE.match(low)) and len(lows) < 9) or bool(re.match(r"no (?:\w+ )?questions\b|no well\b", low))


def addresses(clause: Clause) -> bool:
    """Speaks to the clinician, or of anybody: you."""
    return any(low in {"you", "your", "you're", "you've", "you'd", "you'll", "doctor", "doc", "document"} for low in clause.lows)


def leans(clause: Clause) -> bool:
    """It begins with it, that or they, and means something said just before."""
    measured = FEELS.search(clause.low) or lexicon.TESTS.search(clause.low) or lexicon.MEASURES.search(clause.low)
    if set(clause.lows) & NUMBER_WORDS and not measured and not any(lexicon.counts(clause.lows).values()):
        return True  # a number: of what?
    if re.match(r"i (?:was|have been|had been) told (?:that|this|it)\b(?! i)", clause.low):
        return True
    if clause.lows[0] == "the":
        return False
    return clause.lows[0] in LEANING


def has_subject(clause: Clause) -> bool:
    """A sentence with its own subject and verb."""
    first = clause.lows[0]
    return first in SUBJECTS or (first in {"my", "the", "our", "his", "her"} and has_verb(clause.lows))


def verbatim(transcript: Transcript, words: Sequence[Word]) -> str:
    """The source's own characters, if they read well as they stand; else nothing."""
    if not words:
        return ""
    text = transcript.text[words[0].start : words[-1].end]
    plain = " ".join(word.text.lower() for word in words)
    clean = re.sub(r"[^\w\s']", " ", text).lower().split()
    if clean != plain.split() or re.search(r"[<>\n.?!\"]", text) or " n't" in text or " ," in text:
        return ""
    return text
