"""Questions and answers: what was asked counts as said only together with its answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from examples.scribe.clauses import Clause
from examples.scribe.words import Word, listed

QUESTION = re.compile(
    r"(?:do|did|have|are|were|can|could|would|will|does|is|was|has|had|isn't|aren't|don't|haven't|didn't|should) "
    r"(?:you|your|it|there|that|this|they|he|she|we|i|the|anyone|anybody|any|her|his|either)\b.*"
    r"|(?:what|how|where|whereabouts|when|who|why|which|what's|how's|where's|who's|whats)\b.*"
    r"|any\b.*|tell me\b.*|(?:and )?(?:is|are|was|were) (?:it|there|the|your|that)\b.*"
    r"|(?:do|have|are|is|has) (?:anyone|anybody|people)\b.*|over how long\b.*|(?:for )?example any\b.*"
)

BACKCHANNEL = re.compile(
    r"(?:okay|yes|right|sure|no|great|good|fine|sorry|mm|i see|wow|perfect|excellent|very|all|awesome|absolutely|"
    r"definitely|of course|thank|thanks|you|got it|it|lovely|fantastic|hi|hello|correct|that's|so|and|well|then|fair|enough| )*"
)

PREFIXES = re.compile(
    r"(?:(?:can|could|may) i (?:just |also |quickly )*(?:ask|check|double-check)(?: you)?(?: if| whether)?|"
    r"do you know (?:if|whether)|(?:i )?(?:just )?want(?:ed)? to (?:make sure|ask|check)(?: if| whether| that)?|"
    r"for example|would you say|tell me|like i said|and|so|but|or|then|also|in general|otherwise|at the moment|first of all|"
    r"apart from (?:that|this)|besides that|on top of that|this is|you said|you mentioned|any more) "
)

YES = {"yes", "correct", "absolutely", "definitely", "exactly", "certainly"}

NO = {"no", "none", "never", "nothing", "neither"}

HEDGED_NO = re.compile(
    r"(?:not (?:really|at all|that i (?:know|can|could|am|have|recall|remember|noticed|think)|particularly|especially|so much|yet|usually|"
    r"any more|anymore|to my knowledge|as far as)|i (?:don't|do not) (?:think so|believe so|think i (?:do|have|am))|i'm not aware|not that i\b)"
)

HEDGED_YES = re.compile(
    r"(?:i think so|i do|i did|i have|i am|i was|it is|it does|it has|it was|they are|they do|that's (?:right|it|correct)|of course|i guess so|"
    r"i suppose so|sometimes|occasionally|a little(?: bit)?|a bit|most of the time|mostly|pretty much|slightly|probably|always)"
)

MERELY = listed(
    "though actually really yes often sometimes too just now very quite usually okay indeed well right"
)

NOTHING_LIKE_IT = re.compile(
    r"(?:nothing|none|not|neither)(?: (?:like that|of (?:that|those|them|these)|at all|whatsoever|new|one|any))*"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a patient's turn answers. `said` are the words that answer; `rest` are further clauses."""

    yes: bool | None
    said: tuple[Word, ...]
    hedge: tuple[Word, ...]
    rest: tuple[Clause, ...]


def is_question(clause: Clause) -> bool:
    """The clause asks."""
    if clause.mark == "?":
        return True
    if re.search(r"\b(?:how about|what about|how is|how are|how's)\b", clause.low):
        return True
    if re.search(
        r"\bmake sure (?:that )?you(?:'re| are) not (?:having|getting)\b|^no [a-z ]+ just want to make sure$",
        clause.low,
    ):
        return True
    return (
        clause.mark != "!"
        and bool(QUESTION.fullmatch(without_prefix(clause.low)))
        and not re.match(
            r"(?:what (?:i|we)(?:'d|'ll|'re|'m)? ?(?:like|going|want|would|think|can|should|need|recommend|suggest|mean)|how (?:i|we)|which\b(?! (?:side|part|one|medic))|who\b(?! (?:do|is|lives))|"
            r"when (?:i|you|we|it|he|she|they)\b|where (?:i|you|we|it)\b|tell me if|any (?:further|more) |what that|how the|what this|what you|any of)",
            clause.low,
        )
    )


def is_backchannel(clauses: Sequence[Clause]) -> bool:
    """Only okay, right, yes: the other speaker still has the floor."""
    return all(BACKCHANNEL.fullmatch(clause.low) for clause in clauses)


def without_prefix(low: str) -> str:
    while True:
        shorter = PREFIXES.sub("", low, count=1) if PREFIXES.match(low) else low
        if shorter == low:
            return low
        low = shorter


def asked(clauses: Sequence[Clause]) -> list[Clause]:
    """The questions that stand at the end of a turn, in order."""
    found: list[Clause] = []
    for clause in reversed(clauses):
        if is_question(clause):
            found.insert(0, clause)
        elif not BACKCHANNEL.fullmatch(clause.low) or found:
            break
        elif clause.low == "okay" and clause.mark == "?":
            continue
    return [clause for clause in found if not BACKCHANNEL.fullmatch(clause.low)]


def answered(clauses: Sequence[Clause]) -> Answer:
    """Read the beginning of a turn as an answer."""
    if not clauses:
        return Answer(None, (), (), ())
    first, rest = clauses[0], tuple(clauses[1:])
    if first.lows[:2] == ["no", "more"]:
        return Answer(None, (), (), tuple(clauses))  # "no more than two glasses"
    if (
        rest
        and len(first.lows) <= 2
        and set(first.lows) & {"allergies", "smoking", "medications", "alcohol", "family"}
        and rest[0].lows[:1] in (["no"], ["yes"])
    ):
        first, rest = rest[0], rest[1:]  # the question said again before the answer
    words = [word for word in first.words if word.kind == "word"]
    lows = [word.low for word in words]
    if first.unclear or not lows:
        return Answer(None, (), (), tuple(clauses))
    leading = 0
    while leading < len(lows) and lows[leading] in NO | YES | {"that's", "right"}:
        leading += 1
    heads = set(lows[:leading])
    if heads & NO and any(
        NOTHING_LIKE_IT.fullmatch(" ".join(lows[start:])) for start in range(1, leading + 1)
    ):
        return Answer(False, tuple(words), (), rest)
    if heads & YES and heads & NO:
        return Answer(None, (), (), tuple(clauses))
    remainder = _remainder(first, leading)
    if heads & NO or heads & YES:
        yes = bool(heads & YES)
        if lows[0] == "nothing" and len(lows) > 1:
            return Answer(None, (), (), tuple(clauses))
        hedge: tuple[Word, ...] = ()
        tail = " ".join(lows[leading:])
        pattern = HEDGED_YES if yes else HEDGED_NO
        match = pattern.match(tail) if remainder is not None else None
        if match:
            extra = tail[match.end() :].split()
            if len(lows) - leading <= 8 and (not yes or set(extra) <= MERELY):
                hedge, remainder = tuple(words[leading:]), None
        elif remainder is not None and (HEDGED_NO if yes else HEDGED_YES).fullmatch(tail):
            return Answer(None, (), (), tuple(clauses))
        if remainder is None and rest and not hedge and _is_hedge(rest[0], yes=yes):
            hedge, rest = tuple(w for w in rest[0].words if w.kind == "word"), rest[1:]
        return Answer(
            yes, tuple(words[:leading]), hedge, ((remainder,) if remainder else ()) + rest
        )
    low = " ".join(lows)
    for yes, pattern in ((False, HEDGED_NO), (True, HEDGED_YES)):
        match = pattern.match(low)
        extra = lows[len(match.group(0).split()) :] if match else []
        if match and (set(extra) <= MERELY if yes else len(extra) <= 4):
            return Answer(yes, tuple(words), tuple(words), rest)
    return Answer(None, (), (), tuple(clauses))


def _is_hedge(clause: Clause, *, yes: bool) -> bool:
    pattern = HEDGED_YES if yes else HEDGED_NO
    match = pattern.match(clause.low)
    if match is None or clause.unclear or len(clause.lows) > 8 or clause.lead.startswith("but"):
        return False
    return not yes or set(clause.low[match.end() :].split()) <= MERELY


def _remainder(clause: Clause, leading: int) -> Clause | None:
    """The clause without its first words."""
    seen = 0
    for place, word in enumerate(clause.words):
        if word.kind == "word":
            if seen == leading:
                rest = clause.words[place:]
                joined = rest[0].low in {"but", "so", "and", "well"} and len(rest) > 1
                return (
                    replace(clause, words=rest[1:], lead=rest[0].low)
                    if joined
                    else replace(clause, words=rest)
                )
            seen += 1
    return None


def cut(words: Sequence[Word], count: int) -> list[Word]:
    """Without the first `count` words, and the pauses before what remains."""
    rest = list(words)
    while count and rest:
        if rest.pop(0).kind == "word":
            count -= 1
    while rest and rest[0].kind != "word":
        rest.pop(0)
    return rest


def low_of(words: Sequence[Word]) -> str:
    """The words alone, lower case."""
    return " ".join(word.low for word in words if word.kind == "word")
