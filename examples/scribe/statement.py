"""One thing that may be said about the visit, and where in the note it goes."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Section(StrEnum):
    """The parts of the note, in the order in which they are read."""

    COMPLAINT = "Presenting complaint"
    HISTORY = "History"
    BACKGROUND = "Past medical and family history"
    MEDICATION = "Medication and allergies"
    SOCIAL = "Social history"
    EXAMINATION = "Examination and results"
    PLAN = "Assessment and plan"


@dataclass(frozen=True, slots=True)
class Statement:
    """Without capital and full stop. `spans` are the code points of the source that support it."""

    section: Section
    text: str
    spans: tuple[tuple[int, int], ...]
    order: int
    turn: int
    denied: bool = False  # the text is a noun that the patient denies
    personal: bool = False  # the text is a verb whose subject is the patient
    link: str = ""  # how it hangs on the statement before it: ";" or "but"
    leans: bool = False  # without the statement before it, nobody knows what "it" is
    by_clinician: bool = False
    teller: str = "patient"  # who denies or reports it


NEGATIVE = re.compile(r"\b(?:no|not|never|none|nothing|without|cannot|nor|neither|denies|\w+n't)\b")
BROKEN = re.compile(
    r"\b(?:the|a|an|my|their) (?:the|a|an|their|they|them|of|is|are|was|so|because|to|in|and|that|this)\b(?! (?:moment|same|time))"
    r"|\b(?:of|to|in|with|for|at|and|or) (?:is|are|was|because|of|and|or)\b(?! far)"
    r"|\b(?:and|or|but|the|a|an|of|with|so|if|because|than|as|who|which|their|is|are|was|to|too|like|that they|about|very|really|"
    r"thinks?|that|guess|just|for|from|has|have|had|does|do|did|it's|they are|said|when|can|could|would|will|should|does not|do not|otherwise|usually)$"
    r"|^(?:and|or|but|of|than|that they|because|which)\b|\b(?:is|are) (?:is|are|do|does|has|have)\b|\bi\b|\bthey (?:is|has|was|the|they|their|it|it's)\b"
    r"|\b(\w{4,}) \1\b|\bam\b|\bdo you\b|\bso so\b|\bit the\b|\bare they is\b|\bto to\b|\bhave is\b|\bhas it\b|\bdo they\b|\bno (?:think|know|do|have|is|it's|was|they|i)\b|\bis (?:drink|go|do|have|get|try|feel)\b|\b(?:would|can|could|will|should|may|might|must|to|not) (?:looks|takes|goes|gets|makes|feels|has|is|does)\b|^(?:thinks|guesses|knows|feels like|likes)(?: \w+){0,2}$|\bbeen \w+ing has been\b|\bin inside\b|\bkeeps? (?:them|it)$|^when .*\bincluding\b|\bwhen they had the when\b|\b(?:can|will|should|may|could|must) (?:back|in|at|on|the|a|an|to)\b|^(?:has|does|did|is|can|could|will|would) but\b|\b(?:to|can) cannot\b|\bthey are \w+ they are\b|\bat the (?:team|clinician)\b|\b(?:did|do|have|are|is) the patient \w+s\b|\bthey do they\b"
)


def is_broken(text: str) -> bool:
    """Speech that lost its thread: no grammar to hold on to."""
    low = text.lower().replace("worry about", "worry").replace("worried about", "worried")
    return bool(
        BROKEN.search(low.replace(",", ""))
        or re.search(
            r"\b(?:won't|can't|don't|didn't|doesn't|wouldn't|not|has|have|is|are|they),", low
        )
    )
