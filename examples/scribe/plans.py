"""What the clinician will do, asks, advises: plans as plans, offers as offers, "if" as "if"."""

import re
from collections.abc import Sequence

from examples.scribe import lexicon, person, phrases
from examples.scribe.statement import Section
from examples.scribe.words import Word, listed

GOING_TO = re.compile(
    r"(?:so )?(?:what )?(?:i|we)(?:'m| am|'re| are) (?:also |just |probably |definitely |certainly |then )*going to (?:also |just |then )*"
)

WILL = re.compile(r"(?:i|we)(?:'ll| will) (?:also |just |probably |definitely |certainly |then )*")

WANT_TO = re.compile(
    r"(?:i|we)(?:'d| would)? (?:also |just |do |really |certainly |definitely |still )*(?:want|like|need) to (?:go ahead |also |just )*"
)

WANT_YOU_TO = re.compile(
    r"(?:what )?(?:i|we)(?:'d| would)? (?:also |just |do |really |certainly |definitely |still )*(?:want|like|need) you to (?:do is )?(?:also |just |please )*"
)

LETS = re.compile(r"let's (?:just |also |go ahead |first |definitely |please )*")

WOULD_TAKE = re.compile(
    r"i(?:'d| would) (?:probably |definitely |just )?(?=(?:take|use|try|avoid|keep|stop|start|continue|rest|get)\b)"
)

TO_DO_IS = re.compile(
    r"what (?:i|we)(?:'d| would|'ll)? (?:like|want|need|propose|suggest) to do is (?:to )?(?!i |we |you )"
)

RECOMMEND = re.compile(
    r"(?:i|we)(?:'d| would| will)? (?:also |just |do |really |certainly |strongly |probably |definitely )*(?P<verb>recommend|advise|suggest|propose)\b ?"
)

IMPERATIVE = listed(
    "take avoid continue drink keep stop start call come use rest elevate ice apply get weigh cut reduce increase eat "
    "make contact ring return bring give finish complete try wear watch book monitor check record stay put hold do "
    "don't"
)

NOT_A_PLAN = re.compile(
    r"(?:listen|look|examine|check (?:out|you|and see|a few)|do (?:a|your|an) (?:quick |brief )?(?:physical|exam|your exam|some maneuvers)|do your exam|take a (?:quick |good )?(?:look|listen)|ask|press|feel|"
    r"have (?:you|the patient) (?:flex|bend|lie|sit)|review|let|tell|talk|get my|be (?:listening|doing|right|asking|in touch|honest)|say|run through|assuming|call out|see (?:it|this|that|what|how|you (?:next time|here))|know|make a note|"
    r"go (?:from|over|through)|take it from|move on|proceed|confirm|explain|show|start (?:by|with|again)|get that|just|read|"
    r"sort|be|hear|have a (?:quick |chat|listen|look)|help you|get you to feeling|squeeze|double|stop (?:there|and)|leave|wait|pull|discuss|get your things|come back to|begin|welcome|put that|"
    r"take (?:your|the) (?:blood pressure|pulse|temperature)|measure|do it|do the \w+ first|put my|wash|step|determine|address|see if|get into|make sure (?:that )?(?:things|everything)|make sure (?:you're not|that you're not|we)|focus|examine|continue because|try and (?:help|do our)|do is|check some|dim|hear|quickly|mention|get started|turn)\b"
)

EXAM_COMMAND = re.compile(
    r"(?:take (?:a )?(?:deep|big) breath|come (?:this|with|on|over|in\b)|take a (?:look|seat)|do (?:you|it|bear|that)|bear with|keep (?:that|still|your)|put (?:your head|two fingers|your finger)|stay (?:still|there)|"
    r"(?:make|get) (?:yourself|comfortable)|give me (?:a second|one|your)|hold (?:on|that|still|it)|don't (?:worry|be|need)|try (?:not|it|now|and see)|check this|start counting|stop (?:now|there)|use my|call (?:us )?it|get that|"
    r"take (?:care|your shirt|it from)|please (?:use|have)|call out|keep (?:it|going)\b|watch (?:me|my)|get (?:better|well|going|into)|eat (?:and|ok)|do (?:take|have)|show)\b"
)


Found = tuple[Section, str, bool]


def plan(*, words: list[Word], low: str, lows: list[str], found: dict[str, int]) -> Found | None:
    """The plan that the clause states; the flag says that it leans on the clause before."""
    heading = re.match(
        r"(?:and |so |now |then |lastly |okay )*for (?:your|the|that|this) (?:first |second |third |fourth |next |last |other )?(?:problem )?(?:of |the |your )*(?P<what>(?:\w+ ){1,5}?)(?:so |now |then |uh )?(?=(?:i|we|i'd|i'm|we're|we'll|i'll|let's|you|it) |what )",
        low,
    )
    head = ""
    if heading and any(
        w in lexicon.CONDITIONS | lexicon.SYMPTOMS | lexicon.BODY or w in {"pressure", "sugar"}
        for w in heading["what"].split()
    ):
        named = person.of_clinician(
            words=words[: phrases.words_until(words, heading.group(0))], named=True
        )
        words = phrases.after(words, heading.group(0))
        low = " ".join(word.low for word in words if word.kind == "word")
        lows = low.split()
        head = f"{named.rstrip(',').removesuffix(' so')}, " if named else ""
    leans = (
        bool(
            re.search(
                r"\b(?:it|that|this|those|these|them)\b(?! (?:ligament|medication|time|murmur|knee|diet|joint|heart|area|week|point|one|side))",
                low,
            )
        )
        and not found["symptom"]
        and not found["condition"]
        and not found["drug"]
    )
    if re.search(
        r"\b(?:come back|see (?:you|me|us)|follow[- ]up|appointment|bring (?:him|her|them) back)\b",
        low,
    ):
        leans = False
    clinical = (
        any(found[k] for k in ("symptom", "body", "condition", "drug"))
        or lexicon.TESTS.search(low)
        or lexicon.MEASURES.search(low)
        or re.search(
            r"\b(?:refer\w*|therapy|follow[- ]up|come back|call|see (?:me|you|us)|appointment|splint|brace|weigh|diet|nutrition|exercise|work|surgery|consult|specialist|leaflet|fluids|rest|activity|activities|lifting|option|"
            r"debridement|clinic|clinician|days?|weeks?|months?|discharge|physio\w*|hydrated|scale)\b",
            low,
        )
    )
    clinical = clinical or phrases.DOSE.search(low)
    would = WOULD_TAKE.match(low)
    if would and clinical:
        told = person.of_clinician(words=phrases.after(words, would.group(0)))
        return (Section.PLAN, f"clinician's advice: would {told}", leans) if told else None
    if lows[0] in {"that's", "it's", "that"} and phrases.DOSE.search(low) and len(lows) <= 14:
        told = person.of_clinician(words=words)
        return (Section.PLAN, told, True) if told else None
    for pattern, opening in (
        (TO_DO_IS, "plan to"), (WANT_YOU_TO, "patient asked to"), (GOING_TO, "plan to"), (WANT_TO, "plan to"), (LETS, "plan to"), (WILL, "plan to"),
    ):  # fmt: skip
        match = pattern.match(low)
        if not match:
            continue
        rest = phrases.after(words, match.group(0))
        vp = " ".join(word.low for word in rest if word.kind == "word")
        if opening == "patient asked to":
            vp = vp.removeprefix("is ").removeprefix("do is ")
        if vp.startswith("need to "):
            rest, vp = phrases.after(rest, "need to"), vp.removeprefix("need to ")
        if (
            NOT_A_PLAN.match(vp)
            or not (clinical or leans)
            or len(vp.split()) < 2
            or not vp[:1].isalpha()
        ):
            return None
        rest = _without_me(rest)
        told = person.of_clinician(words=rest, named=opening == "patient asked to")
        if told is None:
            return None
        told = told.removeprefix("do is ")
        return (Section.PLAN, f"{head}{opening} {told}", leans)
    match = RECOMMEND.match(low)
    if match and clinical:
        rest = phrases.after(words, match.group(0))
        told = person.of_clinician(words=rest)
        return (
            (Section.PLAN, f"{head}clinician {person.singular(match['verb'])} {told}", leans)
            if told
            else None
        )
    if (
        re.match(
            r"(?:you|we|i) (?:also |definitely |really |probably |certainly |just )*(?:should|need to|needs to|must|may|can(?!'t)|could|have to|will need|might|may need|might need)\b",
            low,
        )
        and clinical
    ):
        vp = re.sub(
            r"^(?:you|we|i) (?:also |definitely |really |probably |certainly |just )*(?:should|need to|must|may|can|could|have to|will need|might|may need|might need)(?: (?:also|definitely|just|go ahead))? ?",
            "",
            low,
        )
        if NOT_A_PLAN.match(vp) or re.match(
            r"(?:see\b(?! (?:you|me|us|a|an|the|your)\b)|hear|imagine|understand|get (?:different|things)|sit|lie|feel|have a seat|talk|also see)\b",
            vp,
        ):
            return None
        told = person.of_clinician(words=_without_me(words))
        if told is None:
            return None
        return (Section.PLAN, head + told.removeprefix("the "), leans)
    if (
        lows
        and (lows[0] in IMPERATIVE or re.match(r"sit on the edge|roll a|carry on with", low))
        and (clinical or leans)
        and not EXAM_COMMAND.match(low)
        and found["finding"] < 3
    ):
        if lows[0] == "do" and lows[1] not in {"come", "call", "take", "keep", "make", "let"}:
            return None
        told = person.of_clinician(words=_without_me(words), named=True)
        if told is None:
            return None
        if lows[0] == "don't":
            return (Section.PLAN, f"{head}advised: {told}", leans)
        told = told.removeprefix("please ").removeprefix("do ")
        return (Section.PLAN, f"{head}patient asked to {told}", leans)
    if re.match(r"what (?:i|we) (?:should|could|can|think|may|might)\b", low) and clinical:
        told = person.of_clinician(words=words)
        return (Section.PLAN, f"clinician says {told}", False) if told else None
    if (
        re.match(
            r"(?:it's|it would be|it might be|it is|it'd be) (?:also |definitely |probably |certainly )*(?:worth|worthwhile|important|advisable|best|helpful)\b",
            low,
        )
        and clinical
    ):
        told = person.of_clinician(words=words)
        return (Section.PLAN, f"{head}clinician says {told}", False) if told else None
    if re.match(r"(?:the )?diagnosis (?:would|will) be\b", low):
        told = person.of_clinician(words=words)
        return (Section.PLAN, f"clinician says {told}", False) if told else None
    return None


def _without_me(words: Sequence[Word]) -> list[Word]:
    """`call me if`, `see me in`: the note needs no me."""
    out: list[Word] = []
    for word in words:
        if word.low in {"me", "us"} and out and out[-1].low in {"call", "ring", "contact", "phone"}:
            continue
        out.append(word)
    return out
