"""Questions and answers: what was asked counts as said only together with its answer.

A question that cannot be turned into a finding with certainty yields nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from examples.scribe import lexicon
from examples.scribe.clauses import AUXILIARIES, MORE_VERBS, VERBS, Clause
from examples.scribe.person import ADVERBS, NEGATED, NOT_VERBS, piece, singular
from examples.scribe.words import Word

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
NOUN_QUESTION = re.compile(
    r"(?:(?:have|had|haven't) you (?:ever |also |recently |since |been )*(?:had|noticed|experienced|got|felt|seen|having|getting|"
    r"experiencing|suffered from|suffered)|(?:do|don't) you (?:ever |also |currently |still )*(?:have|get|notice|suffer from|suffer with|suffer|"
    r"experience)|did you (?:ever |also )*(?:have|get|notice|experience)|are you (?:also |currently |still |not )*(?:having|getting|"
    r"experiencing|noticing)|(?:is|are|was|were|has|have) there(?: been)?|(?:how|what) about|any|no|you're not having|you've not had|you haven't had)\b ?"
)
TAIL = re.compile(
    r"(?:(?:^| )(?:at all|or anything(?: like that| else)?|and (?:things|stuff|anything) like that|or something(?: like that)?|"
    r"things like that|(?:anything )?like that|is that right|right|do you|are you|have you|if you don't mind(?: me asking| saying)?|"
    r"(?:that )?(?:i should (?:be aware of|know about|know)|you're aware of|you know of|i need to know about|you take medicine for)|"
    r"whatsoever|just want to make sure|or|and|for me|sir|madam|then|please|in your|no|of any kind|to anything|just to check|you can think of|is it|was it|doctor))+$"
)
GENERIC = re.compile(
    r"(?:any |other |new |else |more |further |of the |those |specific |questions?|concerns?|symptoms?|problems?|issues?|things?|"
    r"anything|something|ideas?|else|other|a|an|the|some|what|as to|thoughts|history|that|with)*"
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
MERELY = set("though actually really yes often sometimes too just now very quite usually okay indeed well right".split())
NOTHING_LIKE_IT = re.compile(r"(?:nothing|none|not|neither)(?: (?:like that|of (?:that|those|them|these)|at all|whatsoever|new|one|any))*")
SUBJECT = re.compile(
    r"(?:(?:and|so|okay) )*(?:(?:can|could) you (?:just )?tell me (?:a (?:little )?(?:bit )?)?(?:more )?about|tell me (?:a (?:little )?(?:bit )?)?more about|(?:how|what) about|how's|how is|how are|how was|how were|how have|has|have|is|are|what's|tell me about) (?P<whose>your|the) (?P<what>(?:\w+ ){0,3}?[\w'-]+)"
    r"(?: (?:been|changed|doing|feeling|without it|now|these days|at the moment|otherwise|at home|today|lately|recently|since|going|like|running|normal|okay|different|any)\b.*)?"
)
LABELS = [
    (re.compile(r"\bdos(?:e|age)\b"), "dose"),
    (re.compile(r"how long|how many (?:years|months|weeks|days)"), "duration"),
    (re.compile(r"(?:when|how long ago) (?:did|was) (?:it|this|that|they|these|the|your \w+) .*(?:start|begin|began|happen|come on|notice)"), "onset"),
    (re.compile(r"\b(?:where|whereabouts|what part|which part|which side)\b(?!.*\b(?:live|go|work|did you go)\b)"), "site"),
    (re.compile(r"how (?:many times|often|frequent)"), "frequency"),
    (re.compile(r"out of (?:ten|10)|pain score|scale of|score"), "pain score"),
    (re.compile(r"what do you (?:do for|work)|what is it (?:that )?you do|for a living|your (?:job|occupation|employment)|kind of work"), "occupation"),
    (re.compile(r"who.*(?:live|lives|home|living)"), "at home"),
    (re.compile(r"(?:what|which) (?:is the |are the )?(?:medic|tablet|medicine|pill|other medic|kind of pill|type of pill)|know which ones|name of (?:the|it)"), "medication"),
    (re.compile(r"(?:what|anything).*(?:taken|tried|taking|been using|used)\b"), "tried"),
    (re.compile(r"what is it that you drink|what do you drink"), "drinks"),
    (re.compile(r"how (?:much|many) (?:do|did) you (?:drink|smoke)|how many (?:a day|cigarettes)"), "amount"),
    (re.compile(r"describe|what (?:kind|sort|type|is the) .*(?:pain|discharge|like)|what does it feel"), "described as"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """How a patient's turn answers. `said` are the words that answer; `rest` are further clauses."""

    yes: bool | None
    said: tuple[Word, ...]
    hedge: tuple[Word, ...]
    rest: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A question turned round. `noun` findings join in one list: denies a, b and c."""

    text: str
    noun: bool
    words: tuple[Word, ...]
    personal: bool = False  # the text is a verb whose subject is the patient


def is_question(clause: Clause) -> bool:
    """The clause asks."""
    if clause.mark == "?":
        return True
    if re.search(r"\b(?:how about|what about|how is|how are|how's)\b", clause.low):
        return True
    if re.search(r"\bmake sure (?:that )?you(?:'re| are) not (?:having|getting)\b|^no [a-z ]+ just want to make sure$", clause.low):
        return True
    return clause.mark != "!" and bool(QUESTION.fullmatch(_without_prefix(clause.low))) and not re.match(
        r"(?:what (?:i|we) (?:want|would|think|can|should|need|recommend|suggest|mean)|how (?:i|we)|which\b(?! (?:side|part|one|medic))|who\b(?! (?:do|is|lives))|"
        r"when (?:i|you|we|it|he|she|they)\b|where (?:i|you|we|it)\b|tell me if|any (?:further|more) |what that|how the|what this|what you|any of)",
        clause.low,
    )


def is_backchannel(clauses: Sequence[Clause]) -> bool:
    """Only okay, right, yes: the other speaker still has the floor."""
    return all(BACKCHANNEL.fullmatch(clause.low) for clause in clauses)


def _without_prefix(low: str) -> str:
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
    if rest and len(first.lows) <= 2 and set(first.lows) & {"allergies", "smoking", "medications", "alcohol", "family"} and rest[0].lows[:1] in (["no"], ["yes"]):
        first, rest = rest[0], rest[1:]  # the question said again before the answer
    words = [word for word in first.words if word.kind == "word"]
    lows = [word.low for word in words]
    if first.unclear or not lows:
        return Answer(None, (), (), tuple(clauses))
    leading = 0
    while leading < len(lows) and lows[leading] in NO | YES | {"that's", "right"}:
        leading += 1
    heads = set(lows[:leading])
    if heads & NO and any(NOTHING_LIKE_IT.fullmatch(" ".join(lows[start:])) for start in range(1, leading + 1)):
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
        return Answer(yes, tuple(words[:leading]), hedge, ((remainder,) if remainder else ()) + rest)
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
                return replace(clause, words=rest[1:], lead=rest[0].low) if joined else replace(clause, words=rest)
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


def _stripped(words: Sequence[Word]) -> list[Word]:
    rest = [
        word
        for place, word in enumerate(words)
        if not (word.low == "at" and _next_low(words, place) == "all") and not (word.low == "all" and place and words[place - 1].low == "at")
    ]
    while True:
        match = PREFIXES.match(low_of(rest))
        if not match or match.group(0).strip() == "":
            break
        rest = cut(rest, len(match.group(0).split()))
    tail = TAIL.search(low_of(rest))
    if tail:
        keep = len(low_of(rest)[: tail.start()].split())
        rest = _first(rest, keep)
    return rest


def _next_low(words: Sequence[Word], place: int) -> str:
    return words[place + 1].low if place + 1 < len(words) else ""


def _first(words: Sequence[Word], count: int) -> list[Word]:
    out: list[Word] = []
    for word in words:
        if word.kind == "word":
            if count == 0:
                break
            count -= 1
        out.append(word)
    while out and out[-1].kind != "word":
        out.pop()
    return out


def noun(question: Clause) -> tuple[str, list[Word]] | None:
    """What a question asks about, as a noun: `any chest pain` gives chest pain."""
    words = _stripped(question.words)
    match = NOUN_QUESTION.match(low_of(words))
    named = cut(words, len(match.group(0).split())) if match else None
    if named is None:
        feels = re.match(r"(?:do|did|have|are) you (?:ever |still |also )*(feel|felt|feeling)\b ?", low_of(words))
        if feels:
            named = cut(words, len(feels.group(0).split()))
            text = _to_third(named)
            useful = text and concerns_health(low_of(named).split()) and not set(low_of(named).split()) & lexicon.UNPLACED
            return (f"feeling {text}", named) if useful else None
        named_first = re.match(r"(?:and )?(?:what about )?(?:the |your )?(?P<what>\w+(?: \w+)?) (?:are|do|have) you (?:still |ever )*(?:getting|get|have|having|had) (?:those|that|it|them|any)$", low_of(words))
        if named_first and concerns_health(named_first["what"].split()):
            what = named_first["what"].split()
            place = low_of(words).split().index(what[0])
            named = _first(cut(words, place), len(what))
            return (named_first["what"], named)
        sure = re.match(r".*\bmake sure (?:that )?you(?:'re| are) not (?:having|getting) (?:any )?", low_of(words))
        if sure:
            named = cut(words, len(sure.group(0).split()))
            text = _to_third(named)
            return (text, named) if text and concerns_health(low_of(named).split()) else None
        lows = low_of(words).split()
        if lows and lows[0] in {"how", "how's", "what", "what's", "where", "when", "who", "why", "which", "tell", "and", "okay"}:
            return None
        ailment = bool(lows) and lows[0] in lexicon.SYMPTOMS | lexicon.CONDITIONS and len(lows) <= 10 and "," in "".join(w.text for w in words)
        bare = ailment or len(lows) <= 6 and not any(low in AUXILIARIES | {"you", "i", "your", "you're"} for low in lows)
        if not bare or question.mark != "?" or (lows and lows[0] in VERBS - {"cough", "smoke"}):
            return None
        named = words
    kind_of = re.match(r"(?:any )?(?:kind|sort|type)s? of ", low_of(named))
    if kind_of:
        named = cut(named, len(kind_of.group(0).split()))
    while named and named[0].low in {"any", "a", "an", "no", "some", "your", "about", "ever", "either"}:
        named = cut(named, 1)
    named = _first(named, len(low_of(_stripped(named)).split()))
    other = re.match(r"(?:any |other |new |more )*(?:symptoms?|problems?|things?|issues?) (?=\w)", low_of(named))
    if other and any(word.kind == "pause" for word in named[: len(other.group(0).split()) + 1]):
        named = cut(named, len(other.group(0).split()))
    lows = low_of(named).split()
    if not lows or len(lows) > 15 or GENERIC.fullmatch(" ".join(lows)):
        return None
    if set(lows) & lexicon.UNPLACED or not concerns_health(lows) or lows[0] in {"the", "anything", "anyone", "something", "anybody", "much", "on", "in"}:
        return None
    if lows[0] in AUXILIARIES or any(low in {"i", "we", "me"} for low in lows):
        return None
    text = _to_third([word for place, word in enumerate(named) if word.low != "no" or not place])
    return (text, named) if text else None


def concerns_health(lows: list[str]) -> bool:
    """Some word of it belongs to a consultation."""
    return any(lexicon.counts(lows).values()) or any(low in HEALTH_WORDS for low in lows)


HEALTH_WORDS = set(
    "allergies allergic allergy surgeries surgery operations medications smoke smoking drugs trauma injury injuries problems illnesses "
    "transfusion flight history periods period trigger triggers sexually active appetite difficulty issues medicines".split()
)


def _to_third(words: Sequence[Word]) -> str | None:
    out: list[str] = []
    for place, word in enumerate(words):
        if word.kind != "word":
            if out and not out[-1].endswith(","):
                out[-1] += ","
            continue
        turned = {
            "you": "they", "your": "their", "you're": "they are", "you've": "they have", "yourself": "themselves",
            "you'd": "they had",
        }.get(word.low, piece(word, first=place == 0))  # fmt: skip
        if word.low in {"i", "me", "my", "we", "us", "our"}:
            return None
        out.append(turned)
    return " ".join(out).rstrip(",") or None


def finding(question: Clause, *, yes: bool) -> Finding | None:
    """The question and its yes or no as one statement about the patient."""
    if question.unclear:
        return None
    named = noun(question)
    negative = _is_negative(question)
    if named is not None:
        text, words = named
        if yes and (negative or re.search(r"\b(?:or|and)\b|,", text)):
            return None
        if yes and re.search(r"\b(?:how|what) about\b", question.low) and not lexicon.counts(text.split())["symptom"]:
            return None  # "pain or swelling?" "Yes." leaves open which
        return Finding(text, noun=True, words=tuple(words))
    if negative:
        return _declared(question, yes=not yes) if not yes else None
    return _verbal(question, yes=yes) or (_declared(question, yes=True) if yes else None)


def subject(question: Clause) -> tuple[str, str] | None:
    """`How are your hands without it?` is about your hands: (whose, what)."""
    match = SUBJECT.fullmatch(_without_prefix(question.low))
    if match is None or question.unclear or not concerns_health(match["what"].split()) or set(match["what"].split()) & (AUXILIARIES | lexicon.UNPLACED):
        return None
    return ("their" if match["whose"] == "your" else "the", match["what"])


def whether(question: Clause) -> str | None:
    """`Do you smoke at all?` as `whether they smoke`."""
    words = _stripped(question.words)
    match = re.match(r"(do|have|are|were|can|did) you ", low_of(words))
    if not match or question.unclear:
        return None
    rest = cut(words, 2)
    lows = low_of(rest).split()
    if not lows or len(lows) > 12 or set(lows) & lexicon.UNPLACED or not concerns_health(lows) or {"i", "me", "my", "we"} & set(lows):
        return None
    body = _to_third(rest)
    return f"whether they {'' if match[1] == 'do' else match[1] + ' '}{body}" if body else None


def _is_negative(question: Clause) -> bool:
    return bool(re.match(r"(?:\w+ ){0,2}(?:no|not|\w+n't)\b", question.low)) and not re.match(
        r"(?:don't|haven't|didn't|isn't|aren't) (?:you|it|they)\b", question.low
    )


VERBAL = re.compile(r"(?P<aux>do|did|have|are|were|can|had|has|is|was|does) (?P<who>you|your|he|she) ")
STATE = re.compile(r"(?:\w+ing|okay|normal|fine|regular|swollen|painful|sore|stiff|worse|better|all|been|good|high|low|well|\w+ed)\b")


def _verbal(question: Clause, *, yes: bool) -> Finding | None:
    words = _stripped(question.words)
    low = low_of(words)
    match = VERBAL.match(low)
    if not match:
        return None
    rest = cut(words, len(match.group(0).split()))
    adverbs: list[Word] = []
    while rest and rest[0].low in ADVERBS | {"ever", "all", "currently"} and rest[0].low != "all":
        if rest[0].low != "ever":
            adverbs.append(rest[0])
        rest = cut(rest, 1)
    lows = low_of(rest).split()
    if not lows or len(lows) > 16 or set(lows) & lexicon.UNPLACED or not concerns_health(lows + match["who"].split()):
        return None
    aux, who = match["aux"], match["who"]
    subject = ""
    if who == "your":
        size = next((n for n in range(1, 5) if STATE.match(" ".join(lows[n:]))), 0)
        if not size or (lows[size - 1] in {"and", "or"}):
            return None
        subject = " ".join(lows[:size]).replace("your ", "") + " "
        rest = cut(rest, size)
        lows = lows[size:]
    if lows[0] in {"any", "no", "some", "the", "so"}:
        return None
    if aux in {"do", "did", "can", "does"} and lows[0] not in VERBS | MORE_VERBS:
        return None
    if aux in {"do", "did", "can", "does"} and (lows[0] in NOT_VERBS or (lows[0].endswith("ing") and lows[0] not in {"bring", "sing"})):
        return None
    if yes and re.search(r"\b(?:or|and)\b", " ".join(lows)):
        return None
    if any(low in {"i", "i'm", "we", "me", "my"} for low in lows):
        return None
    body = _to_third(rest)
    if body is None:
        return None
    if yes:
        body = re.sub(r"\bany (?!more|longer)", "", body)
        if re.search(r"\b(?:what|how|which|why|where|much)\b", body):
            return None
    said = " ".join(word.low for word in adverbs)
    said = f"{said} " if said else ""
    if subject:
        verb = aux
    else:
        verb = {"do": "does", "have": "has", "are": "is", "were": "was", "had": "had", "can": "can"}.get(aux, aux)
    if yes:
        if verb in {"does"} and not subject:
            head, _, tail = body.partition(" ")
            return Finding(f"{said}{singular(head)} {tail}".strip(), noun=False, words=tuple(words), personal=True)
        return Finding(f"{subject}{verb} {said}{body}", noun=False, words=tuple(words), personal=not subject)
    return Finding(f"{subject}{verb} not {said}{body}", noun=False, words=tuple(words), personal=not subject)


def _declared(question: Clause, *, yes: bool) -> Finding | None:
    """`You're passing urine OK?` `Yes.`: the clinician's words, confirmed."""
    words = _stripped(question.words)
    lows = low_of(words).split()
    if not 2 <= len(lows) <= 14 or set(lows[1:]) & lexicon.UNPLACED or not concerns_health(lows):
        return None
    if any(low in {"i", "i'm", "we", "me", "my", "said", "mentioned", "think"} for low in lows) or "?" not in question.mark:
        return None
    head = {"you're": "is", "you've": "has", "you": "", "your": ""}.get(lows[0])
    rest = cut(words, 1)
    if yes and re.search(r"\b(?:or|and)\b", " ".join(lows)):
        return None
    if head is None:
        if lows[0] in VERBS and lows[0] not in AUXILIARIES | {"like", "sounds", "looks"} and lows[1:2] != ["you"]:
            body = _to_third(rest)
            return Finding(f"{singular(lows[0])} {body}", noun=False, words=tuple(words), personal=True) if body else None
        return None
    body = _to_third(rest)
    if body is None:
        return None
    if lows[0] == "you":
        verb, _, tail = body.partition(" ")
        while verb in ADVERBS and tail:
            verb, _, tail = tail.partition(" ")
        if verb in NEGATED:
            body = f"{NEGATED[verb][0]} {tail}"
        elif verb in NOT_VERBS:
            return None
        else:
            body = f"{singular(verb)} {tail}"
    return Finding(f"{head} {body}".strip(), noun=False, words=tuple(words), personal=lows[0] != "your")


def label(question: Clause) -> str | None:
    """A heading for an answer that is no sentence: `Where?` `My lower back.`"""
    low = question.low
    for pattern, name in LABELS:
        if pattern.search(low):
            return name
    return None
