"""Which part of the note a patient's words belong to, by what they and the question are about."""

import re
from collections.abc import Sequence

from examples.scribe import lexicon
from examples.scribe.statement import NEGATIVE, Section
from examples.scribe.words import NUMBER_WORDS

ALLERGY = re.compile(r"\ballerg\w*|\bintoleran\w*")
FAMILY = re.compile(r"\bfamily\b|\b(?:your )?(?:parents|mother|father|mum|dad|mom|siblings)\b")
MEDICATION = re.compile(
    r"\bmedic(?:ation|ations|ine|ines)\b|\bmeds\b|\btablets?\b|\binhalers?\b|\bpills?\b|\bprescri\w+|\bdos(?:e|age)\b|\bcontracepti\w+\b"
)
SOCIAL = re.compile(
    r"\bsmok\w*|\balcohol\b|\bdrink (?:much|any|at|alcohol|a)\b|\bdo you drink\b|\bdrugs\b|\blive\b|\blives\b|at home with you|\bfor work\b|\bworking at\b|"
    r"\bjob\b|\bmarried\b|\bliving\b|\bemployment\b|\bhome situation\b|\bstudying\b|\bpets\b|\bdo for a\b|\bwork as\b|\bkind of work\b|\bvap\w+|\brecreational\b"
)
PAST = re.compile(
    r"medical (?:history|problems?|conditions?|issues)|other (?:illness\w*|diagnos\w*|conditions?|problems|health)|surger\w+|operations?|fit and well|"
    r"past history|diagnosed"
)
HABITS = re.compile(
    r"\b(?:smok\w+|alcohol|i live|lives|live with|live alone|work as|work in|work at|i work|married|retired|my job|teacher|diet|glasses|wine|beers?|"
    r"drink (?:alcohol|occasionally|socially|infrequently|wine|beer|a lot|at)|i drink\b|separated|divorced|widow\w*|flatmates?|student|studying|exercise|cigarettes?|vap\w+|weed|cannabis)\b"
)
FEELS = re.compile(r"\b(?:feel|feeling|felt)\b")


ASKS_WHEN = re.compile(
    r"\bhow (?:long|often|many times)\b|\bwhen\b|\bstart|\bgoing on\b|\bhappen|\bbeg[ai]n|\bsince\b|\bnotice"
)


def _is_clinical(lows: Sequence[str]) -> bool:
    found = lexicon.counts(list(lows))
    return bool(found["symptom"] or found["body"] or found["condition"])


def place(*, lows: Sequence[str], asked: Sequence[str]) -> Section | None:
    """The section for a patient's clause; None if it has no place in a note."""
    low, question = " ".join(lows), " ".join(asked)
    found = lexicon.counts(list(lows))
    negative = bool(NEGATIVE.search(low)) or low == question
    complaint = found["symptom"] or found["body"]
    if (
        found["drug"]
        and re.search(r"\b(?:gave me|reaction|rash|hives|swelled|swell)\b", low)
        and not re.search(r"\bfor (?:the|my) rash\b", low)
    ):
        return Section.MEDICATION
    if re.search(r"\bdos(?:e|age)\b", question) and re.search(
        r"\b(?:mg|milligrams?|micrograms?|mcg|units?|tablets?|puffs?|grams?)\b", low
    ):
        return Section.MEDICATION
    if ALLERGY.search(low) or (
        ALLERGY.search(question)
        and (found["drug"] or found["condition"] or negative or found["symptom"])
    ):
        return Section.MEDICATION
    relative = found["family"] and not re.search(
        r"\b(?:live|lives|living|helping|helped|worried about)\b", low
    )
    if relative and (
        found["condition"]
        or (found["symptom"] and FAMILY.search(question))
        or re.search(r"\bdied|passed away\b", low)
    ):
        return Section.BACKGROUND
    if FAMILY.search(question) and (
        relative or negative or re.search(r"adopted|healthy|unknown", low)
    ):
        return Section.BACKGROUND
    if (
        SOCIAL.search(question)
        and not found["symptom"]
        and (found["social"] or low == question or len(lows) <= 14)
    ):
        return Section.SOCIAL
    if re.search(r"medical (?:problems?|conditions?|history)|illness", low):
        return Section.BACKGROUND
    if (
        negative
        and re.search(r"\bmedic(?:ation|ations|ine|ines)\b|\bmeds\b", low)
        and not complaint
    ):
        return Section.MEDICATION
    if MEDICATION.search(question) and (found["drug"] or negative) and not found["symptom"]:
        return Section.MEDICATION
    if found["drug"]:
        present = re.search(r"\b(?:take|takes|taking|i'm on|am on|i use|using|inhalers?)\b", low)
        past = re.search(
            r"\b(?:took|tried|started|stopped|bought|put|given|gave|used|got|just taking|helped?|help|last night)\b",
            low,
        )
        return Section.MEDICATION if present and not past and not complaint else Section.HISTORY
    if lexicon.PAST.search(low) and not FEELS.search(low):
        return Section.BACKGROUND
    if PAST.search(question) and (found["condition"] or found["symptom"] or low == question):
        return Section.BACKGROUND
    if HABITS.search(low) and not complaint:
        return Section.SOCIAL
    if (
        complaint
        or found["activity"]
        or found["condition"]
        or lexicon.MEASURES.search(low)
        or lexicon.TESTS.search(low)
        or FEELS.search(low)
    ):
        return Section.HISTORY
    if (
        asked
        and (ASKS_WHEN.search(question) or _is_clinical(asked))
        and lexicon.TIME.search(low)
        and re.match(
            r"(?:it|it's|that|that's|about|since|for|just|only|probably|maybe|around|i think|a|an|the last|on|in|this|every|most|all|from|over|within|two|three|four|five|six|yesterday|today)\b",
            low,
        )
        and len(lows) <= 20
    ):
        return Section.HISTORY
    if asked and set(lows) & NUMBER_WORDS and any(lexicon.counts(list(asked)).values()):
        return Section.HISTORY
    return None
