"""What the clinician states: findings, judgement, plan. Advice about what might happen stays advice."""

import re
from collections.abc import Sequence
from dataclasses import replace

from examples.scribe import lexicon, person, phrases, plans, questions
from examples.scribe.clauses import Clause
from examples.scribe.grammar import NOMINATIVE, has_verb
from examples.scribe.speakers import Cast, Role
from examples.scribe.statement import NEGATIVE, Section, Statement, is_broken
from examples.scribe.words import Word, listed

GREETING = {
    "hi",
    "hey",
    "hello",
    "okay",
    "morning",
    "afternoon",
    "so",
    "alright",
    "well",
    "right",
    "bye",
    "thanks",
}

AGED = re.compile(
    r"\b(?:\d+|[\w-]+)[ -](?:year|month|week)[ -]?s?[ -]?olds?\b|\b\d+-(?:year|month)-old\b"
)

WHAT_IS = re.compile(
    r"what (?:i|we)(?:'d| would|'ll)? ?(?:also |just )?(?:think|want|like|suggest|recommend|should|would|can|will|need|are|'re)? ?(?:that )?(?:we|i|you)? ?"
    r"(?:should|need|would|could|can|will|ll|'ll)? ?(?:also )?(?:to )?(?:do|think about|consider|suggest|recommend|going to do)? is (?=i |i'm|we|we're|you|let's|it)"
)

EXAM_ASKED = re.compile(
    r"^(?:and |so |but |ok |okay )*if (?:i |you (?:can|could|just|don't mind|wouldn't mind|put|position|look|have any)\b)"
)

SAFETY = re.compile(
    r"^(?:and |but |so |then |of course |however |obviously )*(?:in the meantime )?(?:if|should|unless|in case)\b"
)

CONSEQUENCE = re.compile(
    r"\b(?:call|ring|come|see|let|contact|return|999|911|a&e|emergency|give|stop|take|advisable|go to|go straight|straight|er|back|phone|book|worth|appointment|"
    r"may|might|we'll|we can|you can|use|speak|hospital|urgent\w*|dial|ambulance|seek|follow up)\b"
)

JUDGES = re.compile(
    r"\b(?:i (?:do |also |just |really |don't |do not )*(?:think|believe|suspect|wonder|feel)|i'm (?:concerned|worried|confident|reassured)|i am (?:concerned|worried)|my impression|"
    r"diagnos\w+|consistent with|(?:most )?likely|probably|you have what we call|what we call|sounds like|seems (?:like|to be|more)|looks? like|appears to be|suggests|indicates|"
    r"you're (?:slightly |a bit |a little |very )?(?:an(?:a)?emic|dehydrated|overweight|obese|hypertensive)|this is (?:a|an|called|just|likely)|you've got (?:a|an)|it's (?:a|an|called)|you may have|you might have|flare-up|under control|controlled|differential|no evidence)\b"
)

FOUND = re.compile(
    r"\bon (?:your |the |my |physical )*(?:\w+ ){0,3}exam(?:ination)?\b|\bi (?:do |can |don't |do not |also |still |did |didn't )*(?:appreciate|hear|feel|see|identify|recognize|recognise|notice|noticed|noted|smell|palpate)\b|"
    r"\b(?:lungs?|heart|abdomen|belly|neck|throat|skin|ears?|eyes?|pupils|reflexes|strength|gait|vitals?|vital signs|blood pressure|temperature|pulse|pulses|respirations|heart rate|"
    r"oxygen\w*|saturations?|extremities|exam|genitalia|affect|speech|patient|she|he|you|there|it|sensation|chest|joint|wound|hemoglobin a1c|x-?rays?|testing|exams?|examination|nails|ligaments?|hip|knees?|ankles?|shoulders?|elbow|wrist|hands?|fingers?|feet|foot|heel|achilles|throat|tonsils|wound|scar|nodes|glands|spine|legs?|arms?|tendon|antibodies) (?:[\w-]+ ){0,7}?(?:is|show|bends|moves|are|was|were|looks?|has|have|appears?|sounds?|shows?|feels?|reveals)\b|"
    r"\bthere(?:'s| is| are| was| were)\b|\byou (?:do |don't |also |still )*have\b|\bno (?:\w+ ){0,3}(?:tenderness|swelling|edema|fracture|murmur|wheez\w+|rash|deficit|effusion|motor|range)\b"
)

SHOWS = re.compile(
    r"\b(?:shows?|showed|reveals?|revealed|demonstrates?|demonstrated|looks?|is|are|was|were|consistent|came back|normal|negative|positive|elevated|low|high|reviewed)\b"
)

RECAPS = re.compile(
    r"\b(?:you (?:mentioned|said|told|were saying|also mentioned|already|described|are saying|have said|were endorsing|had mentioned)|as you (?:say|said|mentioned|can)|from what you|"
    r"(?:just )?to (?:really )?(?:recap|summari[sz]e|resummarize)|i understand|i can imagine|i'm sorry|sorry to hear|glad|i know (?:that |it's |the |you |we |this )|nurse told|in your notes?|coming in for|"
    r"what i'm trying|i (?:was )?reading|i'm dr|nice to|good to|remember|come in with|i see you|i hear you)\b"
)

NOT_SAID_HERE = {"dragon", "template", "dax", "recording", "screen", "camera", "zoom", "app"}

COLLOQUIAL = re.compile(
    r"\b(?:bear in mind|forgot\w*|apolog\w+|sound quality|does that make sense|good question|question|questions|luck|lovely|gosh|finger's come|"
    r"is that clear|fill(?:ing)? in|good day|take care|hospital parking|talk to me|my (?:shirt|wife|name)|this data|conversation|connection)\b"
)

DICTATED = re.compile(
    r"^(?:the patient|patient|mr|mrs|ms|miss|he|she|his|her|assessment)\b(?!.*\b(?:you|your)\b)"
)

SENT = re.compile(
    r"\b(?:sent|referred) you\b|\bhere (?:today )?(?:for|about|because)\b|\bpresents\b"
)

AS_WELL = re.compile(
    r"(?:as well as(?: that)?|on top of that|with that|having said that|the good news is|in addition|unfortunately|i (?:can )?see (?:here )?that|it says(?: here)?(?: that)?) (?=the |she |he |i |i'm|we |you|your|there)"
)

CHART = re.compile(
    r"\b(?:past medical history|history of|i have you on|we have you on|you're on|you are on|you take|you're taking|diabetic|you do have|allergic to|you can't (?:have|take))\b"
)


def names_called(clauses: Sequence[Clause], roles: Cast) -> frozenset[str]:
    """Names by which the patient is addressed: they are left out of what the clinician says."""
    found: set[str] = set()
    for clause in clauses:
        match = re.search(r"\b(?:my name is|my name's|name is) (\w+)(?: (\w+))?", clause.low)
        if match and clause.turn < 24:
            found.update(part for part in match.groups() if part)
        if clause.turn > 8 or roles.roles[clause.speaker] is not Role.CLINICIAN:
            continue
        lows = clause.lows
        for place, low in enumerate(lows[:-1] if len(lows) > 1 else []):
            if (
                low in GREETING
                and _is_name(lows[place + 1])
                and (place == 0 or lows[place - 1] in GREETING)
            ):
                found.add(lows[place + 1])
        aged = re.match(r"(\w+)(?: \w+)? is an? [\w-]+[ -]year", clause.low)
        if aged and _is_name(aged[1]):
            found.update(clause.low.split(" is ")[0].split())
        if (
            len(lows) in {1, 2}
            and clause.mark
            and _is_name(lows[-1])
            and clause.words[-1].text[:1].isupper()
            and (len(lows) == 1 or lows[0] in GREETING)
        ):
            found.add(lows[-1])
    found |= {"sir", "madam", "ma'am", "mate", "guys", "buddy", "dear"}
    return frozenset(found - {"the", "this", "she", "he", "patient", "it", "that"})


COMMON = listed(
    """there how what can so let i you we it this that good nice is are to we'll doctor sir okay for the and do have at my your
    everyone all right again thank thanks please before my going guys both dragon yes no well great now tell how's what's thats
    a in on of with about come take did any some just if when then not very she he they her his"""
)


def _is_name(low: str) -> bool:
    return (
        low.isalpha()
        and len(low) > 2
        and low not in COMMON
        and not any(lexicon.counts([low]).values())
    )


def statements(
    *, clauses: Sequence[Clause], names: frozenset[str], dictating: bool, addressed: str
) -> list[Statement]:
    """The statements of one clinician's turn, in order."""
    found: list[Statement] = []
    previous: Clause | None = None
    conditional: list[Word] = []
    recapping = False
    for clause in clauses:
        words = phrases.without_tail(_without_names(clause.words, names))
        recapping = (recapping and clause.lead.startswith("and")) or bool(
            RECAPS.search(clause.low) and not SEEN_IN_CHART.match(clause.low)
        )
        if not words or clause.unclear or (recapping and clause.lead.startswith("and")):
            previous = None
            continue
        low = " ".join(word.low for word in words if word.kind == "word")
        if "then" in clause.lead.split() and conditional:
            held = [*conditional, Word(",", words[0].start, words[0].start, "pause"), *words]
            made = _one(words=held, low=questions.low_of(held), dictating=dictating)
            words = held
        elif "then" in clause.lead.split() and (previous is None or "if" in previous.lows):
            made = None  # what it depends on was left out
        else:
            made = _one(words=words, low=low, dictating=dictating)
        conditional = words if SAFETY.match(low) and made is None else []
        if made is None:
            previous = None
            continue
        section, text, leans = made
        if addressed != "patient" and not DICTATED.match(low):
            text = re.sub(r"\bpatient\b(?!'s)", addressed, text)
        if is_broken(text) or len(low.split()) > 44:
            previous = None
            continue
        link = ""
        adjacent = previous is not None and clause.number - previous.number == 1 and found
        if leans:
            if not adjacent:
                previous = None
                continue
            link = ";"
            section = found[-1].section
        elif adjacent and "but" in clause.lead.split():
            link = "but" if found[-1].section is section else ""
        found.append(
            Statement(
                section=section,
                text=text,
                spans=((words[0].start, words[-1].end),),
                order=clause.number,
                turn=clause.turn,
                link=link,
                leans=leans,
                by_clinician=True,
                teller=addressed,
            )
        )
        previous = clause
    return found


def _without_names(words: Sequence[Word], names: frozenset[str]) -> list[Word]:
    items = list(words)
    while items and (items[0].kind != "word" or items[0].low in {"yes", "hey", "dragon"}):
        if (
            items[0].low == "dragon"
            and len(items) > 1
            and any(w.low in {"show", "order", "finalize"} for w in items[1:3])
        ):
            return []
        items = items[1:]
    if len(items) > 3 and [w.low for w in items[:3]] == ["the", "fact", "that"]:
        items = items[3:]
    out: list[Word] = []
    for place, word in enumerate(items):
        if word.low in names:
            before = items[place - 1] if place else None
            after = items[place + 1] if place + 1 < len(items) else None
            edge = before is None or before.kind == "pause" or before.low in names
            if edge or after is None or after.kind == "pause" or after.low in names:
                continue
        out.append(word)
    while out and out[0].kind != "word":
        out = out[1:]
    while out and out[-1].kind != "word":
        out.pop()
    return out


def _two_sided(lows: list[str]) -> bool:
    """Left and right of one paired part in one breath: one of them is a slip, nobody can say which."""
    if not {"left", "right"} <= set(lows) or {"both", "not", "than", "compared", "other"} & set(
        lows
    ):
        return False
    sides = {
        (low, part)
        for place, low in enumerate(lows)
        if low in {"left", "right"}
        for part in [
            next((w.rstrip("s") for w in lows[place + 1 : place + 4] if w in lexicon.BODY), "")
        ]
        if part
    }
    return any(("left", part) in sides and ("right", part) in sides for _, part in sides)


SEEN_IN_CHART = re.compile(
    r"(?:i'm seeing|i see|i can see|i have|it looks like|i noticed)(?: here)?(?: in (?:your|the) (?:record|chart|notes))?(?: that)? (?=you)"
)

LOOKING_AT = re.compile(
    r"(?:looking|in reviewing|reviewing|in looking)(?: here)?(?: at)?(?: the results of)? (?=your|the|this|these)"
)


def _one(*, words: list[Word], low: str, dictating: bool) -> plans.Found | None:
    """Section, text, and whether it leans on the clause before; None where nothing may be said."""
    lows = low.split()
    if (
        len(lows) < 3
        or set(lows) & NOT_SAID_HERE
        or COLLOQUIAL.search(low)
        or lows[0] in {"show", "hey"}
    ):
        return None
    if lows[0] in {"order", "finalize", "sign"}:
        return None  # spoken to the dictation device
    found = lexicon.counts(lows)
    clinical = (
        phrases.DOSE.search(low)
        or sum(found.values()) - found["social"] - found["activity"]
        or lexicon.TESTS.search(low)
        or lexicon.MEASURES.search(low)
    )
    introduction = re.match(
        r"(?:(?:mr|mrs|ms|miss|this|he|she|[a-z]+(?: [a-z]+)?)\s+)?(?:is|was) an? (?:very |pleasant )*",
        low,
    )
    if introduction and AGED.search(low[: introduction.end() + 40]) and clinical:
        rest = phrases.after(words, introduction.group(0))
        told = person.of_clinician(words=rest, named=True)
        told = (
            re.sub(r",? who (?=presents|comes|came|is here|has|was)", "; ", told) if told else None
        )
        return (Section.COMPLAINT, told, False) if told and len(rest) >= 4 else None
    seen = SEEN_IN_CHART.match(low)
    if seen and CHART.search(low):
        words = phrases.after(words, seen.group(0))
        low = " ".join(word.low for word in words if word.kind == "word")
        lows = low.split()
    what = WHAT_IS.match(low)
    if what:
        words = phrases.after(words, what.group(0))
        low = questions.low_of(words)
        lows = low.split()
    elif lows[0] == "what" and " is " not in low:
        return None
    answers = lows[0] in {"no", "yes"} and (
        words[1].kind == "pause" or lows[1] in NOMINATIVE | {"you", "it", "it's", "i'm", "that's"}
    )
    # "No, stop the tablets"; but "no swelling" must keep its no.
    if (answers or lows[0] == "please") and len(lows) > 3:
        words = phrases.after(words, lows[0])
        low = questions.low_of(words)
        lows = low.split()
    aside = AS_WELL.match(low)
    if aside:
        words = phrases.after(words, aside.group(0))
        low = questions.low_of(words)
        lows = low.split()
    if SENT.search(low) and clinical and not re.search(r"\b(?:if|will|going to)\b", low):
        told = person.of_clinician(words=words)
        return (Section.COMPLAINT, f"clinician says {told}", False) if told else None
    if RECAPS.search(low):
        return None
    if SAFETY.match(low):
        if EXAM_ASKED.match(low):
            return None
        if not CONSEQUENCE.search(low.split(" ", 1)[1]) or not (
            clinical or re.search(r"better|worse|unwell|concern|sooner|improv", low)
        ):
            return None
        told = person.of_clinician(words=words)
        return (Section.PLAN, f"advised: {told}", False) if told else None
    if _two_sided(lows):
        return None
    plan = plans.plan(words=words, low=low, lows=lows, found=found)
    if plan is not None:
        return plan
    thought = re.match(
        r"i (?:do |really |still )?(?:think|believe|suspect) (?:that )?(?:you|you've|this|it)(?: \w+)? (?:have|has|is|'ve|had|be)?",
        low,
    )
    if (
        thought
        and len(lows) > 5
        and not re.search(r"\b(?:if|should|need|want|better|question)\b", low)
        and re.search(r"\byou(?:'ve| have| may have| might have| probably have)\b", low)
    ):
        told = person.of_clinician(words=words)
        return (Section.PLAN, told.removeprefix("the "), False) if told else None
    if not clinical:
        return None
    leans = (
        bool((lexicon.UNPLACED - {"there"}) & set(lows[:1]))
        or bool(re.search(r"\b(?:over|on|in|around|with|of|at|behind|under) it$", low))
        or lows[0] in {"it's", "that's", "they're", "which"}
    )
    hypothetical = re.search(
        r"\w'll\b|\b(?:if|would|could|can|may|might|should|sometimes|normally|usually|often|some people|most of the time|want|going to|will|risks?)\b",
        low,
    )
    if DICTATED.match(low):
        told = person.of_clinician(words=_as_the_patient(words), named=True)
        if told is None or (hypothetical and not JUDGES.search(low)):
            return None
        return (_dictated_section(low, found), told, False)
    if CHART.search(low) and (found["condition"] or found["drug"]) and not hypothetical:
        told = person.of_clinician(words=words)
        if told is None:
            return None
        told = told.removeprefix("clinician notes ")
        return (
            Section.MEDICATION if found["drug"] else Section.BACKGROUND,
            f"clinician notes {told}",
            leans,
        )
    if (
        lexicon.TESTS.search(low)
        and SHOWS.search(low)
        and not re.search(
            r"\w'll\b|\b(?:if|going to|will|would|want|order|once|might|after we|should|could)\b",
            low,
        )
    ):
        looked = LOOKING_AT.match(low)
        told = _finding_text(phrases.after(words, looked.group(0)) if looked else words, low)
        if told and looked:
            told = f"on {told}"
        return (Section.EXAMINATION, told, leans) if told else None
    if re.match(r"the only (?:way|option)\b", low):
        told = person.of_clinician(words=words)
        return (Section.PLAN, f"clinician says {told}", leans) if told else None
    if (
        re.match(
            r"on (?:your |the )?(?:\w+ ){0,2}exam|i (?:do |can |also |still |don't |didn't )*(?:appreciate|hear|identify|recogni[sz]e|palpate|(?:see|feel|notice) any)\b",
            low,
        )
        and found["finding"]
        and not hypothetical
    ):
        told = _finding_text(words, low)
        return (Section.EXAMINATION, told, leans) if told else None
    if (
        re.search(r"\bi think (?:that's|it's|that is|it is|this is)\b", low)
        and not found["condition"]
    ):
        leans = True
    if (
        re.match(
            r"(?:this|it|that|it's|that's) (?:just |probably |really )*(?:is|seems|looks|sounds|appears|a |an |most|possible|likely)",
            low,
        )
        and found["condition"]
    ):
        leans = False  # what the visit is about
    if (
        JUDGES.search(low)
        and has_verb(lows)
        and not lows[0].endswith("ing")
        and (found["condition"] or found["symptom"] or found["finding"])
        and not re.search(r"\bif\b", low)
    ):
        means = re.match(r"(?:so )?that means ", low)
        told = person.of_clinician(words=phrases.after(words, means.group(0)) if means else words)
        if told is None:
            return None
        if re.match(r"(?:looks|sounds|seems|probably|based)\b", told):
            told = f"clinician's impression: {told}"
        elif not told.startswith(("the clinician", "the patient ")):
            told = f"clinician says {told}"
        return (Section.PLAN, told.removeprefix("the "), leans)
    if re.match(r"(?:some |most |many )?(?:people|patients|folks)\b", low):
        return None
    if (
        (
            FOUND.search(low)
            or (found["body"] and re.match(r"(?:the|your|his|her|both)\b", low) and has_verb(lows))
        )
        and (
            found["finding"]
            or (found["condition"] and NEGATIVE.search(low))
            or lexicon.MEASURES.search(low)
        )
        and not hypothetical
    ):
        told = _finding_text(words, low)
        return (Section.EXAMINATION, told, leans) if told else None
    if (
        found["drug"]
        and has_verb(lows)
        and not re.search(r"\b(?:i|you) (?:see|hear)\b", low)
        and not leans
    ):
        told = person.of_clinician(words=words)
        return (
            (Section.PLAN, f"clinician says {told}", False)
            if told and not re.match(r"(?:some |most |many )?(?:people|patients)\b", told)
            else None
        )
    if (
        dictating
        and clinical
        and not hypothetical
        and re.search(r"\b(?:i personally|denied|presented|reviewed)\b", low)
    ):
        told = person.of_clinician(words=_as_the_patient(words))
        return (
            (Section.EXAMINATION if lexicon.TESTS.search(low) else Section.HISTORY, told, False)
            if told
            else None
        )
    return None


def _dictated_section(low: str, found: dict[str, int]) -> Section:
    if re.search(r"\b(?:past|history|denied|presented|complain\w*|reports?|denies)\b", low):
        return Section.HISTORY
    if JUDGES.search(low) or re.search(r"\b(?:indicated|recommended|surgical|plan)\b", low):
        return Section.PLAN
    examined = found["finding"] or found["body"] or lexicon.MEASURES.search(low)
    return Section.EXAMINATION if examined else Section.HISTORY


def _as_the_patient(words: list[Word]) -> list[Word]:
    """`Mr Ward is` as `the patient is`: a note does not need the name to be right."""
    if words and words[0].low in {"mr", "mrs", "ms", "miss"} and len(words) > 2:
        return [replace(words[0], text="the"), replace(words[1], text="patient"), *words[2:]]
    return words


def _finding_text(words: list[Word], low: str) -> str | None:
    """A finding without `I appreciate`; what was not found stays not found."""
    seen = re.match(
        r"(?P<where>(?:on|with|for|in) (?:your |the |my |reviewing )?(?:\w+ ){0,6}?)?(?:i(?:'m)? (?:do |can |also |still |did )*(?:appreciate|hear|see|identify|recognize|recognise|notice|noticed|noted|feel)(?: that)?) ",
        low,
    )
    if seen and not re.search(r"n't|\bnot\b", seen.group(0)):
        where = (
            person.of_clinician(
                words=words[: phrases.words_until(words, seen["where"] or "")], named=False
            )
            if seen["where"]
            else None
        )
        rest = person.of_clinician(
            words=phrases.after(words, seen.group(0)), named=bool(where and "the patient" in where)
        )
        if rest is None:
            return None
        return f"{where.rstrip(',')}, {rest}" if where else rest
    return person.of_clinician(words=words)
