"""What a stretch of clinical speech or text asserts: findings denied or affirmed, of whom, how surely. Pure.

Rules and word lists that a person can read, after the negation rules of Chapman et al. (NegEx, 2001). They
cover what is unmistakable and stay silent about the rest: what is asked, hypothetical or past asserts
nothing here.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from intents.pipeline.support.sentences import plain, statements


@dataclass(frozen=True, slots=True)
class Assertion:
    """One finding as a stretch of text puts it: affirmed or not, about the patient or another, sure or not."""

    concept: str
    affirmed: bool
    start: int
    end: int
    other_person: bool = False
    suspected: bool = False


# Findings by name, each with the words it is spoken in. Kept to those whose words are unmistakable.
# fmt: off
_FINDINGS: dict[str, str] = {
    "dizziness": r"dizz\w+|light[- ]?headed\w*",
    "chest pain": r"chest (?:pains?|tightness|pressure|discomfort|hurts)|pains? (?:in|across) (?:(?:my|your|the|his|her) )?chest",
    "shortness of breath": r"short(?:ness)? of breath|breathless\w*|dyspn\w+|out of breath|(?:trouble|difficulty|problems?)(?: with)? breathing",
    "fever": r"fevers?|febrile|feverish",
    "chills": r"chills",
    "cough": r"cough\w*",
    "sore throat": r"sore throat",
    "headache": r"head ?aches?|migraines?",
    "nausea": r"nause\w+",
    "vomiting": r"vomit\w*|thr(?:ow(?:ing|n)?|ew) up",
    "diarrhea": r"diarrh\w+|loose stools?",
    "constipation": r"constipat\w+",
    "abdominal pain": r"(?:abdominal|belly|stomach|tummy) (?:pains?|ache|cramps)|stomach ?aches?",
    "blood in stool": r"blood in (?:(?:my|your|the|his|her) )?(?:stools?|poo\w*)|bloody stools?|melena",
    "blood in urine": r"blood in (?:(?:my|your|the|his|her) )?urine|hematuria|haematuria",
    "weight loss": r"weight loss|los(?:t|ing) weight",
    "weight gain": r"weight gain|gain(?:ed|ing) weight",
    "fatigue": r"fatigue\w*|exhaust(?:ed|ion)",
    "swelling": r"swell(?:ing|s)|swollen|o?edema",
    "palpitations": r"palpitations?|heart (?:is |was )?(?:racing|pounding|fluttering)",
    "fainting": r"faint(?:ed|ing|s)?|pass(?:ed|ing)? out|black(?:ed|ing)? out|syncop\w+|los(?:t|s of) consciousness",
    "numbness": r"numb(?:ness|ing)?",
    "tingling": r"tingl\w+|pins and needles",
    "rash": r"rash(?:es)?|hives",
    "itching": r"itch\w*",
    "wheezing": r"wheez\w*",
    "night sweats": r"night sweats",
    "blurred vision": r"blurr\w+ vision|vision (?:is |was )?blurr\w*",
    "painful urination": r"dysuria|pain(?:ful)? (?:with |on |when )?(?:you |i )?urinat\w+|burn\w* (?:when|with|on) (?:(?:i|you) )?(?:pee\w*|urinat\w*)",
    "suicidal thoughts": r"suicid\w*|(?:kill|hurt|harm)(?:ing)? (?:my|your|him|her)self|end(?:ing)? (?:my|your|his|her) life",
    "allergy": r"allerg(?:y|ies|ic)",
    "pregnancy": r"pregnan\w+",
}
# fmt: on
_FINDING = re.compile(
    r"\b(?:" + "|".join(f"(?P<f{i}>{p})" for i, p in enumerate(_FINDINGS.values())) + r")\b"
)
_NAMES = tuple(_FINDINGS)

_NEGATOR = (
    r"no|not|n't|never|none|nor|neither|without|den(?:y|ies|ied|ying)|negative for|free of|absence of|"
    r"ruled out|cannot|hardly any"
)
_NEGATED = re.compile(rf"(?:\b|(?<=\w))(?:{_NEGATOR})\b")
_DENIED_AFTER = re.compile(
    r"\s*(?:is |are |was |were )?(?:denied|absent|negative)\b|\s*[:,-]?\s*(?:no|none)\s*(?:$|[.,;\n])"
)
# Words that look like a denial and are none, or leave it open.
_OPEN = re.compile(
    r"\b(?:not (?:only|sure|certain|just|always|necessarily)|no (?:change|increase|decrease|improvement|"
    r"relief|worsening|difference|problem with taking)|(?:do|does|did)(?: ?n't| not) (?:know|think|remember)|"
    r"no (?:idea|doubt))\b"
)
_HYPOTHETICAL = re.compile(
    r"\b(?:if|should|in case|unless|watch (?:out )?for|look out for|return for|warning signs?|could|may|might|"
    r"would|risk of|side effects?|aware of|prevent\w*|monitor (?:for|your|the))\b"
)
_PAST = re.compile(
    r"\b(?:used to|years? ago|in the past|as a child|previous(?:ly)?|history of|once had)\b"
)
_RELATIVE = re.compile(
    r"\b(?:mother|father|mom|mum|mommy|dad|daddy|brother|sister|aunt|uncle|cousin|grand\w+|family history|"
    r"runs in (?:the|my|your|his|her) family|wife|husband|spouse|partner|son|daughter|friend|neighbou?r|kids?)\b"
)
_SELF = re.compile(r"\b(?:i|i'm|i've|i'd|my own|the patient|he|she|they)\b")
_IN_ANOTHER = re.compile(
    r"\s*(?:in|of|on|for|runs in) (?:the|my|your|his|her|their) (?:\w+ )?(?:mother|father|mom|mum|dad|brother|sister|"
    r"aunt|uncle|cousin|grand\w+|family|wife|husband|son|daughter)\b"
)
_SUSPECTED = re.compile(
    r"\b(?:possibl[ey]|probabl[ey]|likely|suspect\w*|suspicious|rule out|r/o|maybe|perhaps|might|could be|may be|"
    r"concern(?:ed)? (?:for|about)|question of|not sure)\b|\?"
)
_BREAK = re.compile(
    r"[.;:!?\n]|\b(?:but|however|although|though|except|apart from|besides|other than|yet|while|whereas|"
    r"reports?|reported|endorses?|endorsed|admits?|complains? of|notes?|states?|experienc\w+|does have|do have)\b"
)
_YES = re.compile(
    r"(?:\W|(?:uh+|um+|well|oh+|ah+|hmm?)\b)*(?:yes|yeah|yep|yup|yea|correct|i (?:do|am|have|did)\b(?! ?n't| not)|a (?:little|bit)|sometimes|occasionally|mm-hmm|uh-huh)\b"
)
_NO = re.compile(
    r"(?:\W|(?:uh+|um+|well|oh+|ah+|hmm?)\b)*(?:no|nope|nah|never|none|not (?:really|at all|that i)|i (?:do|am|have|did)(?: ?n't| not)|no+)\b"
)
# A clause is looked at this far to either side: nobody negates over a longer stretch.
_REACH = 200
# No consultation names so many findings; a text that does is not worth a worker's minute.
_MOST = 2000
_SPEAKER = re.compile(r"^\s*(?:\[[^\]\n]{1,40}\]|[A-Za-z][\w .'-]{0,30}:)\s*")


def asserted(text: str) -> tuple[Assertion, ...]:
    """Every known finding in `text`, as it is put there. What is open or hypothetical is left out.

    A question asserts nothing by itself; the Yes or No that follows it does.
    """
    low = plain(text)
    spans = statements(text)
    found: list[Assertion] = []
    for number, (start, end) in enumerate(spans):
        sentence = low[start:end]
        following = low[slice(*spans[number + 1])] if number + 1 < len(spans) else ""
        if sentence.endswith("?") or _is_asked(sentence, following):
            affirmed = answer(following)
            if affirmed is not None:
                found += _asked(sentence, start, affirmed=affirmed)
            continue
        found += islice(_told(sentence, start), _MOST)
        if len(found) >= _MOST:
            break
    return tuple(found[:_MOST])


def _is_asked(sentence: str, following: str) -> bool:
    """Recordings lose question marks: a Yes or No makes a question of what came before.

    Of what another speaker said, unless that one spoke of themselves; and of a word or two that the
    answering person only repeats ("Allergies. No.").
    """
    if answer(following) is None:
        return False
    said = _SPEAKER.sub("", sentence)
    if _SPEAKER.match(following) is not None:
        return not re.search(r"\bi(?:'ve|'m)?\b", said)
    return len(re.findall(r"[a-z']+", said)) <= 2


def answer(sentence: str) -> bool | None:
    """Whether `plain` words answer a question with Yes or with No; None when with neither."""
    said = _SPEAKER.sub("", sentence)
    if _NO.match(said):
        return False
    return True if _YES.match(said) else None


def findings_named(sentence: str) -> Iterable[tuple[str, int, int]]:
    """(name, start, end) of every known finding in `plain` text, however it is put."""
    for match in _FINDING.finditer(sentence):
        index = next(i for i in range(len(_NAMES)) if match.group(f"f{i}") is not None)
        yield _NAMES[index], match.start(), match.end()


def _asked(sentence: str, offset: int, *, affirmed: bool) -> Iterable[Assertion]:
    if _RELATIVE.search(sentence):
        return
    # "Yes" to a question about several findings does not say which; "No" denies them all.
    found = list(findings_named(sentence))
    if affirmed and len({name for name, _, _ in found}) > 1:
        return
    for name, start, end in found:
        yield Assertion(name, affirmed, offset + start, offset + end)


def _told(sentence: str, offset: int) -> Iterable[Assertion]:
    breaks = [(b.start(), b.end()) for b in _BREAK.finditer(sentence)]
    starts, ends = [b[0] for b in breaks], [b[1] for b in breaks]
    for name, start, end in findings_named(sentence):
        earlier, later = bisect_right(ends, start), bisect_left(starts, end)
        begins = max(ends[earlier - 1] if earlier else 0, start - _REACH)
        stops = min(starts[later] if later < len(starts) else len(sentence), end + _REACH)
        before, clause = sentence[begins:start], sentence[begins:stops]
        if _OPEN.search(before) or _HYPOTHETICAL.search(before) or _PAST.search(clause):
            continue
        yield Assertion(
            name,
            not (_NEGATED.search(before) or _DENIED_AFTER.match(sentence, end)),
            offset + start,
            offset + end,
            other_person=is_of_another(before) or is_of_another_after(sentence[end:stops]),
            suspected=is_suspected(clause),
        )


def clause_around(sentence: str, place: int) -> tuple[str, str]:
    """What stands before `place` in its clause, and the rest of the sentence from the clause's beginning."""
    near = max(0, place - _REACH)
    start = max((b.end() for b in _BREAK.finditer(sentence, near, place)), default=near)
    return sentence[start:place], sentence[start : place + _REACH]


def is_denied(before: str) -> bool:
    """The words in front of a thing deny it."""
    return bool(_NEGATED.search(before)) and not _OPEN.search(before)


def is_of_another(before: str) -> bool:
    """The words in front of a thing speak of a relative or friend, and not of the speaker again since then."""
    named = list(_RELATIVE.finditer(before))
    return bool(named) and not _SELF.search(before, named[-1].end())


def is_of_another_after(after: str) -> bool:
    """The thing is somebody else's by what follows it: "diabetes in my mother"."""
    return bool(_IN_ANOTHER.match(after))


def is_suspected(clause: str) -> bool:
    """The clause only suspects."""
    return bool(_SUSPECTED.search(clause))


def is_hypothetical(before: str) -> bool:
    """The words in front of a thing say what may come, not what is."""
    return bool(_HYPOTHETICAL.search(before))
