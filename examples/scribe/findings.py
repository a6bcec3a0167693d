"""A question and its answer turned into one finding, where that can be done with certainty."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from examples.scribe import lexicon, questions
from examples.scribe.clauses import Clause
from examples.scribe.grammar import AUXILIARIES, MORE_VERBS, VERBS
from examples.scribe.person import ADVERBS, NEGATED, NOT_VERBS, piece, singular
from examples.scribe.words import Word, listed

NOUN_QUESTION = re.compile(
    r"(?:(?:have|had|haven't|has|hasn't) (?:you|he|she) (?:ever |also |recently |since |been )*(?:had|noticed|experienced|got|felt|seen|having|getting|"
    r"experiencing|suffered from|suffered)|(?:do|don't|does|doesn't) (?:you|he|she) (?:ever |also |currently |still )*(?:have|get|notice|suffer from|suffer with|suffer|"
    r"experience)|did (?:you|he|she) (?:ever |also )*(?:have|get|notice|experience)|(?:are you|is he|is she) (?:also |currently |still |not )*(?:having|getting|"
    r"experiencing|noticing)|(?:is|are|was|were|has|have) there(?: been)?|(?:how|what) about|any|no|you're not having|you've not had|you haven't had)\b ?"
)

TAIL = re.compile(
    r"(?:(?:^| )(?:at all|or anything(?: like that| else)?|and (?:things|stuff|anything) like that|or something(?: like that)?|"
    r"things like that|(?:anything )?like that|is that right|right|do you|are you|have you|if you don't mind(?: me asking| saying)?|"
    r"(?:that )?(?:i should (?:be aware of|know about|know)|you're aware of|you know of|i need to know about|you take medicine for)|"
    r"whatsoever|just want to make sure|or|and|for me|sir|madam|then|please|in your|no|of any kind|to anything|just to check|you can think of|is it|was it|with (?:it|that|this|them)|doctor))+$"
)

GENERIC = re.compile(
    r"(?:any |other |new |else |more |further |of the |those |specific |questions?|concerns?|symptoms?|problems?|issues?|things?|"
    r"anything|something|ideas?|else|other|a|an|the|some|what|as to|thoughts|history|that|with)*"
)

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
    (re.compile(r"^how (?:much|many) "), "amount"),
    (re.compile(r"describe|what (?:kind|sort|type|is the) .*(?:pain|discharge|like)|what does it feel"), "described as"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """A question turned round. `noun` findings join in one list: denies a, b and c."""

    text: str
    noun: bool
    words: tuple[Word, ...]
    personal: bool = False  # the text is a verb whose subject is the patient
    of_third: bool = False  # asked about he or she


def _stripped(words: Sequence[Word]) -> list[Word]:
    rest = [
        word
        for place, word in enumerate(words)
        if not (word.low == "at" and _next_low(words, place) == "all")
        and not (word.low == "all" and place and words[place - 1].low == "at")
    ]
    while True:
        match = questions.PREFIXES.match(questions.low_of(rest))
        if not match or match.group(0).strip() == "":
            break
        rest = questions.cut(rest, len(match.group(0).split()))
    tail = TAIL.search(questions.low_of(rest))
    if tail:
        keep = len(questions.low_of(rest)[: tail.start()].split())
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
    match = NOUN_QUESTION.match(questions.low_of(words))
    named = questions.cut(words, len(match.group(0).split())) if match else None
    if named is None:
        feels = re.match(
            r"(?:do|did|have|are) you (?:ever |still |also )*(feel|felt|feeling)\b ?",
            questions.low_of(words),
        )
        if feels:
            named = questions.cut(words, len(feels.group(0).split()))
            text = _to_third(named)
            useful = (
                text
                and concerns_health(questions.low_of(named).split())
                and not set(questions.low_of(named).split()) & lexicon.UNPLACED
            )
            return (f"feeling {text}", named) if useful else None
        named_first = re.match(
            r"(?:and )?(?:what about )?(?:the |your )?(?P<what>\w+(?: \w+)?) (?:are|do|have) you (?:still |ever )*(?:getting|get|have|having|had) (?:those|that|it|them|any)$",
            questions.low_of(words),
        )
        if named_first and concerns_health(named_first["what"].split()):
            what = named_first["what"].split()
            place = questions.low_of(words).split().index(what[0])
            named = _first(questions.cut(words, place), len(what))
            return (named_first["what"], named)
        sure = re.match(
            r".*\bmake sure (?:that )?you(?:'re| are) not (?:having|getting) (?:any )?",
            questions.low_of(words),
        )
        if sure:
            named = questions.cut(words, len(sure.group(0).split()))
            text = _to_third(named)
            return (
                (text, named) if text and concerns_health(questions.low_of(named).split()) else None
            )
        lows = questions.low_of(words).split()
        if lows and lows[0] in {
            "how",
            "how's",
            "what",
            "what's",
            "where",
            "when",
            "who",
            "why",
            "which",
            "tell",
            "and",
            "okay",
        }:
            return None
        ailment = (
            bool(lows)
            and lows[0] in lexicon.SYMPTOMS | lexicon.CONDITIONS
            and len(lows) <= 10
            and "," in "".join(w.text for w in words)
        )
        bare = ailment or (
            len(lows) <= 6
            and not any(low in AUXILIARIES | {"you", "i", "your", "you're"} for low in lows)
        )
        if not bare or question.mark != "?" or (lows and lows[0] in VERBS - {"cough", "smoke"}):
            return None
        named = words
    kind_of = re.match(r"(?:any )?(?:kind|sort|type)s? of ", questions.low_of(named))
    if kind_of:
        named = questions.cut(named, len(kind_of.group(0).split()))
    while named and named[0].low in {
        "any",
        "a",
        "an",
        "no",
        "some",
        "your",
        "about",
        "ever",
        "either",
    }:
        named = questions.cut(named, 1)
    named = _first(named, len(questions.low_of(_stripped(named)).split()))
    other = re.match(
        r"(?:any |other |new |more )*(?:symptoms?|problems?|things?|issues?) (?=\w)",
        questions.low_of(named),
    )
    if other and any(word.kind == "pause" for word in named[: len(other.group(0).split()) + 1]):
        named = questions.cut(named, len(other.group(0).split()))
    lows = questions.low_of(named).split()
    if not lows or len(lows) > 15 or GENERIC.fullmatch(" ".join(lows)):
        return None
    if (
        set(lows) & lexicon.UNPLACED
        or not concerns_health(lows)
        or lows[0] in {"the", "anything", "anyone", "something", "anybody", "much", "on", "in"}
    ):
        return None
    if lows[0] in AUXILIARIES or any(low in {"i", "we", "me"} for low in lows):
        return None
    text = _to_third([word for place, word in enumerate(named) if word.low != "no" or not place])
    return (text, named) if text else None


def concerns_health(lows: list[str]) -> bool:
    """Some word of it belongs to a consultation."""
    return any(lexicon.counts(lows).values()) or any(low in HEALTH_WORDS for low in lows)


HEALTH_WORDS = listed(
    "allergies allergic allergy surgeries surgery operations medications smoke smoking drugs trauma injury injuries problems illnesses "
    "transfusion flight history periods period trigger triggers sexually active appetite difficulty issues medicines"
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
        if (
            yes
            and re.search(r"\b(?:how|what) about\b", question.low)
            and not lexicon.counts(text.split())["symptom"]
        ):
            return None  # "pain or swelling?" "Yes." leaves open which
        return Finding(text, noun=True, words=tuple(words))
    if negative:
        return _declared(question, yes=not yes) if not yes else None
    return _verbal(question, yes=yes) or (_declared(question, yes=True) if yes else None)


def subject(question: Clause) -> tuple[str, str] | None:
    """`How are your hands without it?` is about your hands: (whose, what)."""
    match = SUBJECT.fullmatch(questions.without_prefix(question.low))
    if (
        match is None
        or question.unclear
        or not concerns_health(match["what"].split())
        or set(match["what"].split()) & (AUXILIARIES | lexicon.UNPLACED)
    ):
        return None
    return ("their" if match["whose"] == "your" else "the", match["what"])


def whether(question: Clause) -> str | None:
    """`Do you smoke at all?` as `whether they smoke`."""
    words = _stripped(question.words)
    low = questions.low_of(words)
    told = re.match(r"(?:so )?you(?:'re| are) ", low) if question.mark == "?" else None
    if told:
        rest = questions.cut(words, len(told.group(0).split()))
        body = _to_third(rest)
        useful = (
            body
            and concerns_health(questions.low_of(rest).split())
            and not set(questions.low_of(rest).split()) & lexicon.UNPLACED
        )
        return (
            f"whether they are {body}"
            if useful and len(questions.low_of(rest).split()) <= 12
            else None
        )
    match = re.match(r"(do|have|are|were|can|did) you ", low)
    if not match or question.unclear:
        return None
    rest = questions.cut(words, 2)
    lows = questions.low_of(rest).split()
    if (
        not lows
        or len(lows) > 12
        or set(lows) & lexicon.UNPLACED
        or not concerns_health(lows)
        or {"i", "me", "my", "we"} & set(lows)
    ):
        return None
    body = _to_third(rest)
    return f"whether they {'' if match[1] == 'do' else match[1] + ' '}{body}" if body else None


def _is_negative(question: Clause) -> bool:
    return bool(re.match(r"(?:\w+ ){0,2}(?:no|not|\w+n't)\b", question.low)) and not re.match(
        r"(?:don't|haven't|didn't|isn't|aren't) (?:you|it|they)\b", question.low
    )


VERBAL = re.compile(
    r"(?P<aux>do|did|have|are|were|can|had|has|is|was|does) (?P<who>you|your|he|she) "
)

STATE = re.compile(
    r"(?:\w+ing|okay|normal|fine|regular|swollen|painful|sore|stiff|worse|better|all|been|good|high|low|well|\w+ed)\b"
)


def _verbal(question: Clause, *, yes: bool) -> Finding | None:
    words = _stripped(question.words)
    low = questions.low_of(words)
    match = VERBAL.match(low)
    if not match:
        return None
    rest = questions.cut(words, len(match.group(0).split()))
    adverbs: list[Word] = []
    while rest and rest[0].low in ADVERBS | {"ever", "all", "currently"} and rest[0].low != "all":
        if rest[0].low != "ever":
            adverbs.append(rest[0])
        rest = questions.cut(rest, 1)
    lows = questions.low_of(rest).split()
    if (
        not lows
        or len(lows) > 16
        or set(lows) & lexicon.UNPLACED
        or not concerns_health(lows + match["who"].split())
    ):
        return None
    aux, who = match["aux"], match["who"]
    subject = ""
    if who == "your":
        size = next((n for n in range(1, 5) if STATE.match(" ".join(lows[n:]))), 0)
        if not size or (lows[size - 1] in {"and", "or"}):
            return None
        subject = " ".join(lows[:size]).replace("your ", "") + " "
        rest = questions.cut(rest, size)
        lows = lows[size:]
    if lows[0] in {"any", "no", "some", "the", "so"}:
        return None
    if aux in {"do", "did", "can", "does"} and lows[0] not in VERBS | MORE_VERBS:
        return None
    if aux in {"do", "did", "can", "does"} and (
        lows[0] in NOT_VERBS or (lows[0].endswith("ing") and lows[0] not in {"bring", "sing"})
    ):
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
    if who in {"he", "she"}:
        subject = f"{who} "
    if subject:
        verb = aux
    else:
        verb = {
            "do": "does",
            "have": "has",
            "are": "is",
            "were": "was",
            "had": "had",
            "can": "can",
        }.get(aux, aux)
    if yes:
        if verb == "does" and not subject:
            head, _, tail = body.partition(" ")
            return Finding(
                f"{said}{singular(head)} {tail}".strip(),
                noun=False,
                words=tuple(words),
                personal=True,
            )
        if who in {"he", "she"} and aux == "does":
            head, _, tail = body.partition(" ")
            body, verb = f"{singular(head)} {tail}".strip(), ""
        text = f"{subject}{verb} {said}{body}".replace("  ", " ")
        return Finding(
            text,
            noun=False,
            words=tuple(words),
            personal=not subject,
            of_third=who in {"he", "she"},
        )
    text = f"{subject}{verb} not {said}{body}"
    return Finding(
        text, noun=False, words=tuple(words), personal=not subject, of_third=who in {"he", "she"}
    )


def _declared(question: Clause, *, yes: bool) -> Finding | None:
    """`You're passing urine OK?` `Yes.`: the clinician's words, confirmed."""
    words = _stripped(question.words)
    lows = questions.low_of(words).split()
    if not 2 <= len(lows) <= 14 or set(lows[1:]) & lexicon.UNPLACED or not concerns_health(lows):
        return None
    if (
        any(low in {"i", "i'm", "we", "me", "my", "said", "mentioned", "think"} for low in lows)
        or "?" not in question.mark
    ):
        return None
    head = {"you're": "is", "you've": "has", "you": "", "your": ""}.get(lows[0])
    rest = questions.cut(words, 1)
    if yes and re.search(r"\b(?:or|and)\b", " ".join(lows)):
        return None
    if head is None:
        if (
            lows[0] in VERBS
            and lows[0] not in AUXILIARIES | {"like", "sounds", "looks"}
            and lows[1:2] != ["you"]
        ):
            body = _to_third(rest)
            return (
                Finding(
                    f"{singular(lows[0])} {body}", noun=False, words=tuple(words), personal=True
                )
                if body
                else None
            )
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
    return Finding(
        f"{head} {body}".strip(), noun=False, words=tuple(words), personal=lows[0] != "your"
    )


def label(question: Clause) -> str | None:
    """A heading for an answer that is no sentence: `Where?` `My lower back.`"""
    low = question.low
    for pattern, name in LABELS:
        if pattern.search(low):
            return name
    return None
