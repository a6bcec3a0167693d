"""What a draft must be, checked from the proposal and the source text alone.

Nothing here is shared with the agent: own word lists, own reading of sentences. `faults` gives one line
for each fault; an empty list is a draft that says nothing but what it quotes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

FEWEST_SENTENCES, FEWEST_SECTIONS, LONGEST_RUN = 5, 3, 25

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred thousand half quarter dozen"
NUMBER = re.compile(
    rf"\d+(?:[.,/:]\d+)*|[½¼¾]|\b(?:{'|'.join((ONES + ' ' + TENS).split())})(?:[- ](?:{'|'.join(ONES.split())}))?\b",
    re.IGNORECASE,
)
UNIT = re.compile(
    r"\b(?:mg|milligrams?|mcg|micrograms?|µg|ml|millilit(?:er|re)s?|lit(?:er|re)s?|kg|kilos?|kilograms?|grams?|pounds?|lbs?|ounces?|cm|centimet(?:er|re)s?|millimet(?:er|re)s?|"
    r"mm|inch(?:es)?|feet|percent|%|units?|puffs?|tablets?|capsules?|drops|degrees|beats|years?|months?|weeks?|days?|hours?|minutes?|seconds?)(?:\b|(?<=%))",
    re.IGNORECASE,
)
DRUG = re.compile(
    r"\b(?:\w{3,}(?:pril|olol|statin|sartan|formin|azole|cillin|mycin|prazole|gliptin|gliflozin|xaban|dipine|thiazide|profen|oxicam|azepam|triptan|oxetine|methasone|semide|thyroxine|tadine|fenadine)|"
    r"warfarin|aspirin|paracetamol|acetaminophen|tylenol|motrin|insulin|methotrexate|prednisone|prednisolone|hydrocortisone|steroids?|antibiotics?|antihistamines?|"
    r"lasix|bumex|cozaar|norvasc|farxiga|miralax|levothyroxine|epinephrine|penicillin|latex|codeine|morphine|vitamin d|folic acid|iron|diclofenac|naproxen|piriton|nitrofurantoin|trimethoprim|"
    r"dioralyte|emollients?|microgynon|furosemide|cetirizine|digoxin|gabapentin)\b",
    re.IGNORECASE,
)
PROBLEM = re.compile(
    r"\b(?:chest pain|pain|aches?|sore throat|fevers?|chills|coughs?|wheez\w+|short(?:ness)? of breath|breathless\w*|dizz\w+|lightheaded|nausea|vomit\w*|diarrh\w+|constipat\w+|headaches?|rash\w*|"
    r"itch\w*|swell\w*|swollen|edema|numb\w*|tingl\w+|weak\w*|palpitations?|faint\w*|bleed\w*|blood|seizures?|stroke|diabetes|diabetic|hypertension|hypotension|high blood pressure|asthma|eczema|"
    r"dermatitis|arthritis|osteoarthritis|gout|cancer|heart failure|heart attack|heart murmur|murmurs?|atrial fibrillation|pneumonia|infections?|cystitis|uti|gastroenteritis|bursitis|fractures?|"
    r"strain|sprain|contusion|tenderness|effusion|embolism|migraines?|depress\w*|anxi\w+|an(?:a)?emi[ac]|hypothyroidism|osteoporosis|autism|reflux|lesion|adenoma|ulcers?|cellulitis|osteomyelitis|"
    r"lymphadenopathy|allerg\w+|pregnan\w+|fatigue\w*|tired\w*|sweats?|sweating|discharge|lumps?|bruise\w*|crackles|rales|rhonchi)\b",
    re.IGNORECASE,
)
SIDE = re.compile(
    r"\b(?:left|right|both|bilateral(?:ly)?)\b(?! (?:now|away|here|there|then|after|before|next|where|thing|amount|course|time|ones?|above|below)\b)",
    re.IGNORECASE,
)
NEGATOR = re.compile(
    r"\b(?:no|not|never|none|nor|neither|nothing|without|denie[sd]|deny|cannot|nope|nah|\w+n['’]t)\b|\bn['’]t\b",
    re.IGNORECASE,
)
HEDGE = re.compile(
    r"\b(?:thinks?|thought|believes?|guess\w*|suppose\w*|might|may|maybe|perhaps|probabl[ey]|possibl[ey]|likely|wonder\w*|suspect\w*|could|seem\w*|appear\w*|looks? like|sounds? like|"
    r"sounds|not sure|consistent|would|feels? like|suggest\w*|can|sometimes|concerned|hopefully)\b",
    re.IGNORECASE,
)
CONDITION = re.compile(
    r"\b(?:if|unless|in case|when|while|until|after|before|so that|as long as|about|for)\b",
    re.IGNORECASE,
)
SUPPOSED = re.compile(r"\b(?:if|unless|in case)\b", re.IGNORECASE)
RELATIVE = re.compile(
    r"\b(?:mother|father|mum|mom|dad|grand\w+|brother|sister|aunt|uncle|cousin|son|daughter|wife|husband|partner|twin|grandad\w*|he|she|his|her|family|colleague)\b",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"<[^>]*>|(?<![\w-])(?:um+|uh+|erm|hmm+|mm-hmm|you know|ohh)(?![\w-])", re.IGNORECASE
)
YES = re.compile(
    r"^\W*(?:(?:uh|um|so|well|oh+)\W+)*(?:yes|yeah|yep|yup|correct|that's right|i (?:do|have|am|did)\b(?!n't))",
    re.IGNORECASE,
)
NO = re.compile(
    r"^\W*(?:(?:uh|um|so|well|oh+|i)\W+)*(?:no|nope|nah|not|none|never|nothing|neither|don['’]t|haven['’]t)\b",
    re.IGNORECASE,
)
ASKING = re.compile(
    r"^\W*(?:(?:and|so|but|okay|um|uh|or|you said|for example|also)\W+)*(?:any|do|did|have|has|are|is|was|were|can|could|how|what|where|when|who|no|you|you're|your|tell|don't|haven't)\b",
    re.IGNORECASE,
)
TELLING = re.compile(
    r"\b(?:i|i['’]\w+|my|me|he|she|it|it['’]s|is|are|was|were|has|had|have|felt|died|just|very)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[a-z0-9½¼¾]+(?:['’./:][a-z0-9]+)*", re.IGNORECASE)
QUOTATION = re.compile(r"[\"“]([^\"”]+)[\"”]")
CLINICIAN = re.compile(r"(?i)\b(?:doctor|dr|clinician|nurse|gp|physician|provider)\b")


@dataclass(frozen=True)
class Said:
    """One sentence of the draft with the quotes that are given for exactly its span."""

    text: str
    quotes: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    speakers: tuple[
        str, ...
    ]  # whose each quote is: clinician, other, or a label that tells no role


def note_of(proposal: Mapping[str, Any]) -> Mapping[str, Any]:
    """The note among the changes."""
    (note,) = [change for change in proposal["changes"] if change["kind"] == "note"]
    return note


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of sentences: a line, or what ends in . ? ! before a blank; not inside quotation marks."""
    spans, start, quoted = [], 0, False
    for place, character in enumerate(text):
        if character in '"“”':
            quoted = not quoted
        ends = character == "\n" or (
            character in ".!?" and not quoted and text[place + 1 : place + 2] in {"", " ", "\n"}
        )
        if ends:
            stop = place if character == "\n" else place + 1
            if text[start:stop].strip():
                lead = len(text[start:stop]) - len(text[start:stop].lstrip())
                spans.append((start + lead, stop))
            start = place + 1
    if text[start:].strip():
        spans.append((start + len(text[start:]) - len(text[start:].lstrip()), len(text.rstrip())))
    return spans


def statements(proposal: Mapping[str, Any]) -> list[Said]:
    """Every sentence of the note with its quotes in the order of the source."""
    note = note_of(proposal)
    found = []
    for number, section in enumerate(note["content"]["sections"]):
        path = f"/sections/{number}/text"
        for start, end in sentences(section["text"]):
            items = sorted(
                (e for e in note["evidence"] if e["path"] == path and e["span"] == [start, end]),
                key=lambda e: e["start"],
            )
            found.append(
                Said(
                    section["text"][start:end],
                    tuple(e["quote"] for e in items),
                    tuple((e["start"], e["end"]) for e in items),
                    tuple(_speaker(proposal, e["start"]) for e in items),
                )
            )
    return found


def _speaker(proposal: Mapping[str, Any], place: int) -> str:
    segments = proposal["sources"][0]["segments"]
    (label,) = [one["speaker"] for one in segments if one["start"] <= place < one["end"]]
    if not any(CLINICIAN.search(one["speaker"]) for one in segments):
        return str(label)
    exchanged = "exchanged" in proposal.get("summary", "")
    return "clinician" if bool(CLINICIAN.search(label)) is not exchanged else "other"


def faults(proposal: Mapping[str, Any], source: str) -> list[str]:
    """Everything that is wrong with the draft."""
    found: list[str] = []
    said = statements(proposal)
    sections = note_of(proposal)["content"]["sections"]
    if len(said) < FEWEST_SENTENCES:
        found.append(f"only {len(said)} sentences")
    if len(sections) < FEWEST_SECTIONS:
        found.append(f"only {len(sections)} sections")
    if not any(
        QUOTATION.sub("", one.text).strip(" .:").lower() not in {"patient", "clinician"}
        for one in said
    ):
        found.append("nothing but quotations")
    found += [
        f"quote is not the source at {item['start']}"
        for change in proposal["changes"]
        for item in change["evidence"]
        if source[item["start"] : item["end"]] != item["quote"]
    ]
    if proposal["sources"][0]["text"] != source:
        found.append("the source was altered")
    for one in said:
        found += [f"{fault}: {one.text}" for fault in _faults_of(one, source)]
    return [*found, *_wrong_speaker(said)]


def _faults_of(one: Said, source: str) -> Iterable[str]:
    if not one.quotes:
        yield "no quote"
        return
    quotes = " \n ".join(one.quotes)
    for name, pattern in (
        ("number", NUMBER),
        ("unit", UNIT),
        ("drug", DRUG),
        ("problem", PROBLEM),
        ("side", SIDE),
    ):
        missing = _folded(pattern.findall(one.text)) - _folded(pattern.findall(quotes))
        if missing:
            yield f"{name} {sorted(missing)} not quoted"
    missing = _measured(one.text) - _measured(quotes)
    if missing:
        yield f"unit {sorted(missing)} not quoted"
    if bool(NEGATOR.search(QUOTATION.sub(" ", one.text)) or NEGATOR.search(one.text)) != bool(
        NEGATOR.search(quotes)
    ):
        yield "negation lost or won"
    yield from _turned(one)
    strange = _strange_words(one.text, quotes)
    if strange:
        yield f"words {strange} are nobody's"
    if FILLER.search(QUOTATION.sub(" ", one.text)):
        yield "filler"
    for quoted in QUOTATION.findall(one.text):
        if not any(quoted in quote for quote in one.quotes):
            yield "quotation is not what was said"
    run = longest_run(QUOTATION.sub(" | ", one.text), source)
    if run > LONGEST_RUN:
        yield f"{run} words in a row without quotation marks"


TELLERS = {
    "patient",
    "patients",
    "clinician",
    "clinicians",
    "team",
    "says",
    "denies",
    "reports",
    "notes",
    "asked",
    "about",
    "whether",
    "they",
    "their",
    "theirs",
    "them",
    "themselves",
    "advised",
    "advice",
    "plan",
    "impression",
    "would",
    "has",
    "have",
    "does",
    "was",
    "were",
    "are",
    "is",
    "not",
    "and",
    "but",
    "also",
    "who",
    "he",
    "she",
    "it",
    "site",
    "onset",
    "duration",
    "frequency",
    "amount",
    "dose",
    "drinks",
    "described",
    "home",
    "score",
    "occupation",
    "medication",
    "tried",
    "pain",
    "companion",
    "mother",
    "father",
    "said",
    "from",
    "for",
    "with",
    "had",
    "will",
    "been",
    "the",
    "did",
    "do",
    "can",
    "won",
    "isn",
    "tries",
    "okay",
    "going",
}


def _strange_words(text: str, quotes: str) -> list[str]:
    """Words that neither the source nor the telling of it accounts for."""
    heard = {word.lower()[:4] for word in re.findall(r"[^\W\d_]+", quotes)}
    return sorted(
        word
        for word in {w.lower() for w in re.findall(r"[^\W\d_]{3,}", text)}
        if word not in TELLERS and word[:4] not in heard and word[:3] not in heard
    )


def _measured(text: str) -> set[tuple[str, str]]:
    """Numbers with the unit that follows them: four days is not four weeks."""
    return {
        (number.group(0).lower(), re.sub(r"s$", "", unit.group(0).lower()))
        for number in NUMBER.finditer(text)
        if (unit := UNIT.match(text, number.end() + 1) or UNIT.match(text, number.end()))
    }


def _folded(words: Iterable[str]) -> set[str]:
    return {re.sub(r"(?:es|s)$", "", word.lower()) for word in words}


def _pieces(text: str) -> list[str]:
    """Where a negation, a doubt or a condition ends."""
    return [piece for piece in re.split(r"[;.!?\n]|,? but\b|\bhowever\b", text) if piece.strip()]


def _turned(one: Said) -> Iterable[str]:
    """A finding that is denied, doubted, supposed or a relative's in every quote, and plain in the sentence."""
    for piece in _pieces(one.text):
        for match in PROBLEM.finditer(piece):
            word = match.group(0).lower()
            before = piece[: match.start()]
            heard = list(_heard(word, one))
            if not heard:
                continue
            denied = bool(NEGATOR.search(before)) or bool(
                re.match(
                    r"\W*(?:\w+\W+){0,3}?(?:not|no|denied|negative|n't)\b", piece[match.end() :]
                )
            )
            open_question = bool(re.match(r"\W*asked\b", piece, re.IGNORECASE))
            if all(h.denied for h in heard) and not denied and not open_question:
                yield f"{word!r} is denied in the source"
            if denied and not any(h.denied for h in heard) and not _denied_elsewhere(piece, word):
                yield f"{word!r} is affirmed in the source"
            if all(h.supposed for h in heard) and not SUPPOSED.search(piece):
                yield f"{word!r} is only supposed in the source"
            if all(h.hedged for h in heard) and not (
                HEDGE.search(piece) or CONDITION.search(before) or QUOTATION.search(one.text)
            ):
                yield f"{word!r} is only suspected in the source"
            if all(h.relative for h in heard) and not RELATIVE.search(one.text):
                yield f"{word!r} is somebody else's in the source"


def _denied_elsewhere(piece: str, word: str) -> bool:
    """`Did not help the pain`: another word of the sentence is denied, and the source says so of it."""
    return bool(
        re.search(
            rf"\b(?:not|n't|no|never|cannot)\b(?! (?:\w+ ){{0,3}}{re.escape(word)})",
            piece,
            re.IGNORECASE,
        )
    )


@dataclass(frozen=True)
class _Heard:
    denied: bool
    supposed: bool
    hedged: bool
    relative: bool


def _heard(word: str, one: Said) -> Iterable[_Heard]:
    for number, quote in enumerate(one.quotes):
        flat = re.sub(r"\bdo n['’]t\b", "don't", quote)
        flat = re.sub(r" n['’]t\b", "n't", flat)
        for piece in _pieces(flat):
            place = re.search(rf"\b{re.escape(word)}\b", piece, re.IGNORECASE)
            if place is None:
                continue
            before = piece[: place.start()]
            answered_no = _answered_no(one.quotes[number:], one.speakers[number:])
            yield _Heard(
                denied=answered_no
                or bool(NEGATOR.search(before))
                or bool(re.match(r"\W*no\W*$", piece[place.end() :], re.IGNORECASE)),
                supposed=bool(SUPPOSED.search(before)),
                hedged=bool(HEDGE.search(before)),
                relative=bool(RELATIVE.search(before)),
            )


def _answered_no(quotes: Sequence[str], speakers: Sequence[str]) -> bool:
    """The clinician's quote asks, and the patient's next one answers no. `Nosebleeds, bruises?` asks too."""
    asker = speakers[0]
    answered = next((place for place, who in enumerate(speakers) if who != asker), None)
    if asker == "other" or answered is None:
        return False
    answer = quotes[answered]
    asks = all(
        ASKING.match(quote) or (len(quote.split()) <= 10 and not TELLING.search(quote))
        for quote in quotes[:answered]
    )
    short = len(answer.split()) <= 10  # "I don't go running" is a story, not an answer
    return asks and short and bool(NO.match(answer)) and not YES.match(answer)


def _wrong_speaker(said: Sequence[Said]) -> Iterable[str]:
    for one in said:
        known = set(one.speakers) <= {"clinician", "other"}
        if (
            known
            and re.match(r"(?:clinician|plan to|advised)\b", one.text, re.IGNORECASE)
            and "clinician" not in one.speakers
        ):
            yield f"the clinician did not say it: {one.text}"
        if (
            known
            and re.match(r"patient (?:says|denies|reports|takes)\b", one.text, re.IGNORECASE)
            and "other" not in one.speakers
        ):
            yield f"the patient did not say it: {one.text}"


@lru_cache(maxsize=4)
def _running(source: str) -> str:
    return " " + " ".join(word.lower() for word in WORD.findall(source)) + " "


def longest_run(text: str, source: str) -> int:
    """Most words in a row that the source has in the same order."""
    held = _running(source)
    best = 0
    for part in text.split("|"):
        words = [word.lower() for word in WORD.findall(part)]
        start = 0
        for end in range(1, len(words) + 1):
            while start < end and " " + " ".join(words[start:end]) + " " not in held:
                start += 1
            best = max(best, end - start)
    return best


def shared_sentences(proposals: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences that stand in the drafts of two consultations."""
    seen: dict[str, str] = {}
    shared = []
    for name, proposal in proposals.items():
        for one in statements(proposal):
            plain = " ".join(WORD.findall(one.text.lower()))
            if seen.setdefault(plain, name) != name:
                shared.append(f"{seen[plain]} and {name}: {one.text}")
    return shared
