"""Problems that the clinician named as a diagnosis, in so many words, and nothing less.

A diagnosis that is thought, suspected, feared, denied, somebody else's or hedged anywhere in the visit is
not proposed. A code is given only from the table here, which a person reviewed entry by entry.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from examples.scribe import questions
from examples.scribe.clauses import Clause
from examples.scribe.speakers import Cast, Role

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
SIDES = {
    "left": {"system": SNOMED, "code": "7771000", "display": "Left"},
    "right": {"system": SNOMED, "code": "24028007", "display": "Right"},
}


@dataclass(frozen=True, slots=True)
class Known:
    """A condition by the words in which clinicians name it, and its reviewed code."""

    words: re.Pattern[str]
    code: str
    display: str
    side: str = ""


REVIEWED = (
    Known(re.compile(r"(?:orthostatic|postural) hypotension"), "I95.1", "Orthostatic hypotension"),
    Known(re.compile(r"type (?:2|two|ii) diabetes|diabetes (?:mellitus )?type (?:2|two|ii)"), "E11.9", "Type 2 diabetes mellitus without complications"),
    Known(re.compile(r"(?:essential )?hypertension|high blood pressure"), "I10", "Essential (primary) hypertension"),
    Known(re.compile(r"atrial fibrillation"), "I48.91", "Unspecified atrial fibrillation"),
    Known(re.compile(r"osteoarthritis (?:of|in) (?:the|your) right knee"), "M17.11", "Unilateral primary osteoarthritis, right knee", "right"),
    Known(re.compile(r"osteoarthritis (?:of|in) (?:the|your) left knee"), "M17.12", "Unilateral primary osteoarthritis, left knee", "left"),
    Known(re.compile(r"carpal tunnel(?: syndrome)? (?:of|in|on) (?:the|your) right (?:hand|wrist|side)"), "G56.01", "Carpal tunnel syndrome, right upper limb", "right"),
    Known(re.compile(r"carpal tunnel(?: syndrome)? (?:of|in|on) (?:the|your) left (?:hand|wrist|side)"), "G56.02", "Carpal tunnel syndrome, left upper limb", "left"),
    Known(re.compile(r"plantar fasciitis"), "M72.2", "Plantar fascial fibromatosis"),
    Known(re.compile(r"iron[ -]deficiency an(?:a)?emia"), "D50.9", "Iron deficiency anemia, unspecified"),
    Known(re.compile(r"contact dermatitis"), "L25.9", "Unspecified contact dermatitis, unspecified cause"),
    Known(re.compile(r"vitamin d deficiency"), "E55.9", "Vitamin D deficiency, unspecified"),
    Known(re.compile(r"gout"), "M10.9", "Gout, unspecified"),
    Known(re.compile(r"hypothyroidism|underactive thyroid"), "E03.9", "Hypothyroidism, unspecified"),
    Known(re.compile(r"urinary tract infection|uti"), "N39.0", "Urinary tract infection, site not specified"),
)  # fmt: skip

ADJECTIVES = r"(?:an? |the )?(?:new |mild |moderate |definite |case of |clear case of |simple )*"
DIAGNOSES = (
    re.compile(r"\b(?:the |my |your |our )?diagnosis (?:here |today )?(?:is|will be) (?P<what>.+)"),
    re.compile(r"\b(?:i'm|i am|we're|we are) (?:now )?diagnosing (?:you with )?(?P<what>.+)"),
    re.compile(r"\b(?:that|which|this|the \w+(?: \w+)?) (?:confirms|means you have|means you've got|proves) (?:that you have |that you've got |the diagnosis of |you have )?(?P<what>.+)"),
    re.compile(r"\byou(?: do)? (?:now )?have what(?:'s| is| we) call(?:ed)? (?P<what>.+)"),
    re.compile(r"\b(?:i'm|i am|i'll|i will|we'll|we're)(?: going to| also)* (?:add|adding|put|putting) (?P<what>.+?) (?:on|to|onto) your (?:problem list|record|chart|notes)"),
)  # fmt: skip
NOT_SURE = re.compile(
    r"\b(?:think|thinks|believe|suspect|wonder|guess|feel|might|may|could|would|should|probabl[ey]|possibl[ey]|likely|perhaps|maybe|seems?|looks?|sounds?|appears?|"
    r"consistent|suggests?|suggestive|rule out|ruled out|exclude|not sure|no way|if|whether|unless|query|differential|concern(?:ed)?|worr(?:y|ied)|risk|"
    r"in case|used to|history|had|mother|father|mum|mom|dad|brother|sister|son|daughter|family|aunt|uncle|grand\w+|wife|husband|partner|"
    r"not|no|never|n't|without|don't|doesn't|isn't|didn't|hasn't|haven't|wasn't|cannot|can't)\b"
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A problem to propose, and where the clinician said it."""

    known: Known
    span: tuple[int, int]


def diagnoses(*, clauses: Sequence[Clause], roles: Cast) -> list[Diagnosis]:
    """What may be proposed. `clauses` are those of the whole consultation."""
    spoken = [clause for clause in clauses if roles.roles[clause.speaker] is Role.CLINICIAN]
    found: list[Diagnosis] = []
    for clause in spoken:
        if clause.unclear or questions.is_question(clause) or NOT_SURE.search(clause.low):
            continue
        for pattern in DIAGNOSES:
            match = pattern.search(clause.low)
            known = _named_first(match["what"]) if match else None
            if known is None or any(one.known is known for one in found):
                continue
            if not _hedged_elsewhere(known, spoken, but=clause):
                found.append(Diagnosis(known, (clause.words[0].start, clause.words[-1].end)))
    return found


def _named_first(what: str) -> Known | None:
    what = re.sub(rf"^{ADJECTIVES}", "", what)
    return next((known for known in REVIEWED if known.words.match(what)), None)


def _hedged_elsewhere(known: Known, clauses: Sequence[Clause], *, but: Clause) -> bool:
    """Said again with a doubt after it was named, or never free of one."""
    return any(
        known.words.search(clause.low)
        and NOT_SURE.search(clause.low)
        and not questions.is_question(clause)
        for clause in clauses
        if clause is not but and clause.number > but.number
    )
