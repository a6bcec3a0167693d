"""What kind of clause a patient's clause is: complete, leaning on another, vague, a bare no."""

import re
from collections.abc import Sequence
from dataclasses import replace

from examples.scribe import findings, lexicon, questions
from examples.scribe.clauses import Clause
from examples.scribe.grammar import has_verb
from examples.scribe.topics import FEELS
from examples.scribe.transcript import Transcript
from examples.scribe.words import NUMBER_WORDS, Word, listed

VAGUE = re.compile(
    r"^(?:i don't know|i do not know|i'm not sure|not sure|i can't remember|i guess so|that's it|i mean|i would say|i know|i'm sorry|nice to|good to|"
    r"i understand|i agree|sounds good|that sounds|i appreciate|i see\b|i think so|i hope|i was wondering|i wonder|i'd like to know|thank|i have to say|"
    r"i'll (?:try|do|call|see)|i will (?:do|try)|i'd be|i forgot to mention|i was just (?:thinking|wondering)|they're called|my name|no (?:other )?questions|i thought i (?:was|had)|i don't need to worry|i think that's|something like|nothing like|i have but|i do but|i did but)"
)

BACK = re.compile(
    r"(?:okay|yes|no|right|sure|good|morning|afternoon|evening|great|thanks|thank|hi|hello|bye|sorry|perfect|please|mm|that|it|so|doctor|fine|cool|lovely|yes it is|is|correct|what|whatever| )*"
)

LEANING = listed(
    "it it's that's that they they're this these those them which he she he's she's there there's not because to with or and only "
    "mostly mainly then its it'd it'll they've the"
)

SUBJECTS = listed(
    "i i'm i've i'd i'll it it's that's they they're we he she there there's this that we've we're he's she's"
)


def span_of(clause: Clause) -> tuple[int, int]:
    """From its first word to its last."""
    return (clause.words[0].start, clause.words[-1].end)


def says_no_such(clause: Clause) -> bool:
    words = clause.words
    return (
        clause.lows[:1] == ["no"]
        and len(words) > 1
        and words[1].kind == "word"
        and words[1].low
        not in SUBJECTS
        | {
            "my",
            "more",
            "longer",
            "change",
            "problem",
            "problems",
            "not",
            "none",
            "never",
            "i",
            "because",
            "just",
        }
    )


def without_yes(clause: Clause) -> Clause | None:
    """`Yes, both ankles`: the yes was taken with the question."""
    lead = clause.lead
    if clause.lows[0] == "my" and len(clause.lows) > 3 and clause.lows[2] in {"it's", "they're"}:
        clause = replace(clause, words=tuple(questions.cut(clause.words, 2)))  # "my knee, it's"
    if len(clause.lows) > 2 and clause.lows[0] == "just" and clause.lows[1] in {"it's", "it"}:
        clause = replace(clause, words=tuple(questions.cut(clause.words, 1)))
    while clause.lows and (
        clause.lows[0] in {"yes", "no", "so", "well"}
        or (clause.lows[0] == "but" and lead != clause.lead)
    ):
        if says_no_such(clause):
            break
        lead = (
            f"{lead} {clause.lows[0]}".strip()
            if clause.lows[0] not in {"yes", "no"}
            else f"{lead} "
        )
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


def names_it(clause: Clause, question: Clause) -> bool:
    """`Who is at home?` `It's just me.`"""
    return clause.lows[0] == "it's" and clause.lows[1:2] != [] and findings.label(question) is not None and clause.lows[1] in {
        "just", "about", "around", "mostly", "mainly", "only", "probably", "a", "the", "my", "in", "on", "all",
    }  # fmt: skip


def is_bodily(lows: Sequence[str]) -> bool:
    found = lexicon.counts(list(lows))
    return bool(found["symptom"] or found["body"])


def is_placed(lows: Sequence[str]) -> bool:
    found = lexicon.counts(list(lows))
    return bool(found["symptom"] or found["condition"] or found["drug"])


def is_vague(lows: Sequence[str]) -> bool:
    """Says nothing about health."""
    low = " ".join(lows)
    return (bool(VAGUE.match(low)) and len(lows) < 9) or bool(
        re.match(r"no (?:\w+ )?questions\b|no well\b", low)
    )


def addresses(clause: Clause) -> bool:
    """Speaks to the clinician, or of anybody: you."""
    return any(
        low in {"you", "your", "you're", "you've", "you'd", "you'll", "doctor", "doc", "document"}
        for low in clause.lows
    )


def leans(clause: Clause) -> bool:
    """It begins with it, that or they, and means something said just before."""
    measured = (
        FEELS.search(clause.low)
        or lexicon.TESTS.search(clause.low)
        or lexicon.MEASURES.search(clause.low)
    )
    if (
        set(clause.lows) & NUMBER_WORDS
        and not measured
        and not any(lexicon.counts(clause.lows).values())
    ):
        return True  # a number: of what?
    if re.match(r"i (?:was|have been|had been) told (?:that|this|it)\b(?! i)", clause.low):
        return True
    if clause.lows[0] == "the":
        return False
    return clause.lows[0] in LEANING


def has_subject(clause: Clause) -> bool:
    """A sentence with its own subject and verb."""
    first = clause.lows[0]
    return first in SUBJECTS or (
        first in {"my", "the", "our", "his", "her"} and has_verb(clause.lows)
    )


def verbatim(transcript: Transcript, words: Sequence[Word]) -> str:
    """The source's own characters, if they read well as they stand; else nothing."""
    if not words:
        return ""
    text = transcript.text[words[0].start : words[-1].end]
    plain = " ".join(word.text.lower() for word in words)
    clean = re.sub(r"[^\w\s']", " ", text.replace("’", "'")).lower().split()
    if clean != plain.split() or re.search(r"[<>\n.?!\"]", text) or " n't" in text or " ," in text:
        return ""
    return text
