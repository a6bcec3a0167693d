"""Spoken words made readable without losing where they were said.

Every word keeps the place of its source characters, so that whatever is later said with it can be
quoted. Tidying only leaves out: fillers, stammers and repeated starts. It never puts a word in.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

TOKEN = re.compile(
    r"<[^<>\n]{1,40}>"
    r"|\.{2,}|…"
    r"|\d+(?:-[^\W\d_]+)+"
    r"|\d+(?:[.,/:]\d+)*(?:st|nd|rd|th|%|\+)?(?![^\W\d_])"
    r"|[^\W_]+(?:['’\-/][^\W_]+)*['’]?-?"
    r"|['’][^\W\d_]+"
    r"|[^\w\s]"
)


def listed(words: str) -> frozenset[str]:
    """A word list written as running text."""
    return frozenset(words.split())


STOPS = {".", "?", "!"}
PAUSES = {",", ";", ":", "-", "–", "—", "...", "…", "..", "...."}
FILLERS = {
    "um", "umm", "uhm", "uh", "er", "erm", "em", "ah", "ahh", "aw", "eh", "hm", "hmm", "hmmm", "mm", "mmm",
    "oh", "ohh", "ooh", "oof", "mm-hmm", "mhm", "uh-huh", "huh", "gosh", "basically", "obviously", "honestly",
}  # fmt: skip
FILLER_PHRASES = [
    tuple(phrase.split())
    for phrase in (
        "if you know what i mean", "if you see what i mean", "do you know what i mean",
        "to tell you the truth", "to be honest with you", "to be honest", "you know what", "you know",
        "i mean", "let's say", "my gosh", "my god", "go ahead and", "just like i said", "like i said", "as i said", "what we'd say", "what we would say",
        "what we say", "what we call", "what they call", "i don't know", "i'd say", "i would say", "i forgot to mention that", "i forgot to mention", "as i admitted before", "thank you", "if you don't mind",
    )
]  # fmt: skip
SPLIT_WORDS = {
    ("gon", "na"): "going to", ("wan", "na"): "want to", ("lem", "me"): "let me", ("got", "ta"): "got to",
    ("gim", "me"): "give me",
}  # fmt: skip
SLANG = {
    "gonna": "going to", "wanna": "want to", "gotta": "got to", "lemme": "let me", "'cause": "because",
    "cuz": "because", "'cos": "because", "dunno": "don't know", "yeah": "yes",
    "yep": "yes", "yup": "yes", "nope": "no", "nah": "no", "ok": "okay", "alright": "okay", "mum's": "mum's",
}  # fmt: skip
NUMBER_WORDS = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
)
LIKE_AFTER = listed("have has had having got get gave me just more really maybe say was the this a")
LIKE_BEFORE = listed(
    "really super very quite just so completely properly totally a-bit maybe about around every"
)
STAMMERED = listed(
    "you your i i've i'm i'll i'd you're we're it'll and the it it's we so no yes that that's there there's my but is was do don't have a to he she they this when"
)
ACRONYMS = listed(
    "mri ct ecg ekg cbc crp tsh gi copd uti ibs bp hiv gp er icu ent mcl acl pcp ivf sle dvt cpap psa inr esr "
    "iga igg igm nsaid nsaids tb std sti ldl hdl bmi tia aaa a1c hba1c egfr uv iv"
)
ABBREVIATED = {"dr", "mr", "mrs", "ms", "st", "prof", "vs"}


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it will be read, and the code points `start` to `end` that it came from."""

    text: str
    start: int
    end: int
    kind: str = "word"  # word, stop, pause, gap (not understood), cut (broken off)
    doubtful: bool = False

    @property
    def low(self) -> str:
        return self.text.lower()


def tokens(*, text: str, start: int, end: int) -> list[Word]:
    """The words of a stretch of text with their places; markup becomes gaps or doubt."""
    found: list[Word] = []
    doubtful = False
    shouted = text[start:end].isupper() and end - start > 12  # a transcriber's capitals
    for match in TOKEN.finditer(text, start, end):
        piece, (a, b) = match.group(0), match.span()
        if shouted and not piece.startswith("<"):
            piece = piece.lower()
        if piece.startswith("<"):
            tag = piece.strip("<>/ ").upper()
            if tag == "UNSURE":
                doubtful = not piece.startswith("</")
            elif not piece.startswith("</"):
                found.append(Word(piece, a, b, "gap"))
            continue
        if piece in STOPS:
            found.append(Word(piece, a, b, "stop"))
        elif piece in PAUSES:
            found.append(Word(piece, a, b, "pause"))
        elif re.match(r"[\w'’]", piece):
            found.append(Word(piece.replace("’", "'"), a, b, "word", doubtful))
        elif piece in "%+°µ≥≤±=":
            found.append(Word(piece, a, b, "word", doubtful))
        elif piece not in "\"'“”‘’()[]*":
            found.append(Word(piece, a, b, "gap"))
    return _joined(found)


def _joined(words: list[Word]) -> list[Word]:
    """Contractions that a transcriber took apart, slang, stammers inside one token."""
    out: list[Word] = []
    for word in words:
        previous = out[-1] if out else None
        low = word.low
        if word.kind != "word":
            if (
                previous is not None
                and word.text == "."
                and (previous.low in ABBREVIATED or re.fullmatch(r"[B-HJ-Z]", previous.text))
            ):
                continue
            out.append(word)
            continue
        if previous is not None and previous.kind == "word":
            if low in {"n't", "'m", "'s", "'re", "'ve", "'ll", "'d"}:
                out[-1] = replace(previous, text=previous.text + low, end=word.end)
                continue
            pair = SPLIT_WORDS.get((previous.low, low))
            if pair:
                out[-1:] = _in_place(pair, previous.start, word.end, word.doubtful)
                continue
            if word.text == "%":
                out[-1] = replace(previous, text=f"{previous.text}%", end=word.end)
                continue
        first, dash, second = low.partition("-")
        if dash and second in STAMMERED and second.startswith(first):
            # "y-you"; but never into a name: co-codamol stays what it is.
            out += _in_place(second, word.start, word.end, word.doubtful)
            continue
        if word.text.endswith("-"):
            bare = replace(word, text=word.text.rstrip("-'"))
            out += [bare, Word("-", word.end - 1, word.end, "cut")]
            continue
        if low in SLANG:
            out += _in_place(SLANG[low], word.start, word.end, word.doubtful)
            continue
        out.append(word)
    return out


def _in_place(text: str, start: int, end: int, doubtful: bool) -> list[Word]:
    return [Word(part, start, end, "word", doubtful) for part in text.split()]


def sentences(words: Iterable[Word]) -> list[list[Word]]:
    """Split after . ? and !; the stop stays the last word of its sentence."""
    out: list[list[Word]] = [[]]
    listed = list(words)
    for index, word in enumerate(listed):
        out[-1].append(word)
        if word.kind == "stop":
            before = listed[index - 1].low if index else ""
            after = listed[index + 1].low if index + 1 < len(listed) else ""
            if word.text == "." and before.split("-")[-1] in NUMBER_WORDS and after in NUMBER_WORDS:
                # "ninety eight . two" is a number that cannot be read with certainty.
                out[-1][-1] = replace(word, kind="gap")
                continue
            out.append([])
    return [sentence for sentence in out if any(word.kind == "word" for word in sentence)]


def tidy(words: Sequence[Word]) -> list[Word]:
    """Leave out fillers, broken-off starts and repetitions."""
    kept = _without_fillers(_without_fragments(list(words)))
    kept = _without_repeats(kept)
    kept = _without_false_starts(kept)
    return _without_stray_pauses(kept)


def _without_fillers(words: list[Word]) -> list[Word]:
    out: list[Word] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word.kind == "word":
            phrase = _phrase_at(words, index)
            if phrase:
                index += phrase
                continue
            emergency_room = (
                word.low == "er" and index and words[index - 1].low in {"the", "to", "an"}
            )
            if (word.low in FILLERS and not emergency_room) or (
                word.low == "like" and _like_is_filler(words, index)
            ):
                index += 1
                continue
        out.append(word)
        index += 1
    return out


def _phrase_at(words: list[Word], index: int) -> int:
    """How many words from here are a phrase that says nothing; 0 where it is meant."""
    for phrase in FILLER_PHRASES:
        size = len(phrase)
        if tuple(word.low for word in words[index : index + size]) != phrase:
            continue
        before = words[index - 1] if index else None
        after = words[index + size] if index + size < len(words) else None
        if phrase[:2] == ("you", "know") and (
            (before is not None and before.low in KNOWING)
            or (
                after is not None
                and after.low in {"what", "how", "if", "why", "which", "where", "who", "that", "it"}
            )
        ):
            continue
        if (
            phrase == ("i", "don't", "know")
            and after is not None
            and after.kind == "word"
            and after.low not in STARTS
        ):
            continue
        if phrase in {("i'd", "say"), ("i", "would", "say")}:
            if after is not None and after.kind == "pause" and index + size + 1 < len(words):
                after = words[index + size + 1]
            if before is None or after is None or not _is_about_a_number(after):
                continue
        return size
    return 0


KNOWING = listed("do did as if that let don't didn't what you")


def _is_about_a_number(word: Word) -> bool:
    return (
        word.low in NUMBER_WORDS | {"a", "about", "maybe", "around", "probably"}
        or word.low[:1].isdigit()
    )


def _like_is_filler(words: list[Word], index: int) -> bool:
    before = words[index - 1] if index else None
    after = words[index + 1] if index + 1 < len(words) else None
    if before is None or after is None or before.kind != "word" or after.kind != "word":
        # "like" between pauses; but "things like, gout" gives examples.
        return not (
            before is not None
            and before.low in {"things", "something", "anything", "feels", "looks"}
        )
    if before.low in {"i", "we"} and after.low in {
        "breathe",
        "feel",
        "get",
        "go",
        "went",
        "felt",
        "was",
        "have",
        "had",
        "can",
        "can't",
        "try",
        "woke",
        "fell",
        "cough",
    }:
        return True
    if before.low in {"feel", "feels", "felt", "look", "looks", "looked", "seem", "seems", "things", "something",
                      "anything", "nothing", "sound", "sounds", "sounded", "would", "i'd", "you'd", "symptoms",
                      "questions", "kind", "to", "i", "you", "they", "we", "don't", "didn't", "also"}:  # fmt: skip
        return False
    return (
        before.low in LIKE_AFTER
        or after.low in LIKE_BEFORE
        or after.low in NUMBER_WORDS
        or after.low == "like"
        or after.low in {"uh", "um"}
    )


def _without_fragments(words: list[Word]) -> list[Word]:
    """ "ex- exerting": the fragment goes. "this- let's": the break stays, as a break."""
    out: list[Word] = []
    for index, word in enumerate(words):
        if word.kind == "cut" and out and index + 1 < len(words):
            following = next((w for w in words[index + 1 :] if w.kind == "word"), None)
            fragment = out[-1]
            if following and fragment.kind == "word" and fragment.low in FILLERS:
                out[-1] = replace(word, kind="pause", text="-")
                continue
            if following and following.low.startswith(fragment.low) and fragment.kind == "word":
                out.pop()
                continue
            if (
                fragment.kind == "word"
                and len(fragment.text) <= 3
                and words[index + 1].kind in {"pause", "word"}
                and not re.fullmatch(
                    r"(?:i|a|to|in|on|it|is|we|you|the|and|or|of|do|so|no|my|was|had|are)",
                    fragment.low,
                )
            ):
                out.pop()
                continue
        out.append(word)
    return out


def _without_repeats(words: list[Word]) -> list[Word]:
    """ "i , i just": only the last of equal starts stays."""
    changed = True
    while changed:
        changed = False
        places = [i for i, word in enumerate(words) if word.kind == "word"]
        lows = [words[i].low for i in places]
        for size in range(6, 0, -1):
            for at in range(len(places) - 2 * size + 1):
                first, second = lows[at : at + size], lows[at + size : at + 2 * size]
                if first != second or (
                    size == 1 and (first[0] in NUMBER_WORDS or first[0].isdigit())
                ):
                    continue
                between = words[places[at] : places[at + size]]
                if any(word.kind in {"stop", "gap"} for word in between):
                    continue
                if size == 1 and first[0] == "had" and places[at + 1] == places[at] + 1:
                    continue  # "had had" is grammar
                del words[places[at] : places[at + size]]
                changed = True
                break
            if changed:
                break
    return words


AFTER_WHICH_ONE_STARTS = listed("and but so because like yes no when if then")
STARTS = listed(
    "i i'm i've i'd it it's we we're they they're he she you you're you've there there's that's"
)
MERE = listed(
    "just really kind of sort kinda usually normally actually otherwise also still now then well feel think guess mean so very quite "
    "was a bit have had got been am on in at to for with"
)


def _without_false_starts(words: list[Word]) -> list[Word]:
    """ "I kind of, normally I can walk": what the speaker gave up is not what they said."""
    _given_up(words)
    index = 0
    while index < len(words):
        word = words[index]
        if (
            word.kind != "word"
            or word.low not in STARTS
            or (
                index and words[index - 1].kind == "word" and words[index - 1].low in {"if", "when"}
            )
        ):
            index += 1
            continue
        base = word.low.split("'")[0]
        for later in range(index + 1, min(index + 7, len(words))):
            here = words[later]
            if here.kind in {"stop", "gap"}:
                break
            if (
                here.kind == "word"
                and here.low in STARTS
                and (
                    later == index + 1
                    or here.low.split("'")[0] == base
                    or all(w.kind == "pause" for w in words[index + 1 : later])
                )
            ):
                between = words[index + 1 : later]
                paused = any(w.kind == "pause" for w in between)
                opens = (
                    not index
                    or words[index - 1].kind != "word"
                    or words[index - 1].low in AFTER_WHICH_ONE_STARTS
                )
                silent = all(w.kind == "pause" for w in between)
                if (
                    silent
                    and between
                    and here.low != word.low
                    and word.low in {"i", "it", "we", "they", "i've", "i'm"}
                ):
                    del words[index:later]
                    index -= 1
                    break
                same = here.low.split("'")[0] == base
                if (
                    not between
                    and here.low != word.low
                    and not same
                    and (not opens or word.low in {"you", "it", "there", "that's"})
                ):
                    break
                if not between and here.low != word.low:
                    del words[index]
                    index -= 1
                    break
                mere = all(w.kind != "word" or w.low in MERE for w in between)
                meant = any(w.low in {"think", "guess", "mean", "feel"} for w in between)
                broken = (
                    any(w.kind == "cut" or w.text == "-" for w in between)
                    and len(between) <= 4
                    and here.low == word.low
                )
                if broken or (
                    mere and (paused or not meant) and len(between) <= (5 if paused else 2)
                ):
                    last_pause = max(
                        (k for k in range(index, later) if words[k].kind in {"pause", "cut"}),
                        default=later - 1,
                    )
                    del words[index : last_pause + 1]
                    index -= 1
                break
        index += 1
    return words


def _given_up(words: list[Word]) -> None:
    """ "I don't feel, I don't really feel": begun again with the same two words; and "I think ... I think"."""
    index = 0
    while index < len(words) - 3:
        pair = (words[index].low, words[index + 1].low)
        if words[index].kind == words[index + 1].kind == "word" and words[index].low in STARTS:
            for later in range(index + 2, min(index + 8, len(words) - 1)):
                if (words[later].low, words[later + 1].low) != pair or words[later].kind != "word":
                    continue
                between = words[index + 2 : later]
                if any(w.kind in {"stop", "gap"} for w in between):
                    break
                after = {w.low for w in words[later : later + len(between) + 6]}
                # "I took this, I took that" is a list; what was given up comes again.
                again = all(w.low in after | MERE for w in between if w.kind == "word")
                paused = words[later - 1].kind in {"pause", "cut"} and len(between) <= 5 and again
                opens = index == 0 or words[index - 1].kind != "word"
                if paused or (pair == ("i", "think") and opens and len(between) <= 5):
                    del words[index:later]
                    index -= 1
                break
        index += 1


RUNS_ON = listed(
    "i i'm i've i'd i'll a an the my your his her their our of to in on at for with from by and or but that was were is are am be "
    "been being have has had do does did it's don't didn't can can't could would will very quite so just about "
    "like some any not this these those into which who than as called feel feeling feels felt having got get take "
    "taking bit more"
)


def _without_stray_pauses(words: list[Word]) -> list[Word]:
    """A pause is kept where a reader would put a comma, not where the speaker took a breath."""
    out: list[Word] = []
    for word in words:
        if word.kind == "pause" and out and out[-1].kind == "word" and out[-1].low in RUNS_ON:
            continue
        if word.kind == "pause" and (not out or out[-1].kind in {"pause", "stop"}):
            continue
        if word.kind == "stop" and out and out[-1].kind == "pause":
            out.pop()
        out.append(word)
    return out


def render(words: Sequence[Word]) -> str:
    """The words as running text."""
    text = ""
    for word in words:
        if word.kind == "pause":
            text = text.rstrip() + ("," if word.text in PAUSES else word.text)
        elif word.kind == "word":
            piece = word.text
            if piece.lower() in ACRONYMS:
                piece = (
                    "HbA1c"
                    if piece.lower() == "hba1c"
                    else "eGFR"
                    if piece.lower() == "egfr"
                    else piece.upper()
                )
                piece = {"IGA": "IgA", "IGG": "IgG", "IGM": "IgM"}.get(piece, piece)
            text += (" " if text else "") + piece
    return text
