"""What a patient says of themselves, and what a clinician says to them, told in the third person.

Only persons and verb endings change. Whatever cannot be turned with certainty is refused.
"""

from collections.abc import Sequence

from examples.scribe.grammar import MORE_VERBS, VERBS
from examples.scribe.words import ACRONYMS, Word, listed

UNCHANGED = listed(
    """ate became began bent bit blew bled bought broke brought built burnt came can can't cannot caught chose could
    couldn't cut did didn't dealt drank drew drove dug fell felt flew forgot fought found froze gave got had hadn't
    heard held hid hit hung hurt kept knew laid lay led left lent let lost made may met might must needn't paid put quit
    ran rang read rode rose said sat saw sent set shall shook should shouldn't shut slept smelt sold spent spilt spoke
    sprained stood stole stuck swam swore swelled swept taught threw thought told took tore used was wasn't went were
    weren't will woke won't won wore would wouldn't wrote understood overslept withdrew split spread kind sort"""
)
ADVERBS = listed(
    """also just still really actually usually always never only definitely certainly probably first rarely often
    sometimes even currently already generally normally kinda sorta barely hardly ever now then recently mostly mainly
    maybe perhaps accidentally suddenly gradually simply once honestly quickly slowly typically strongly personally
    occasionally regularly specifically finally absolutely frequently previously initially eventually"""
)
NOT_VERBS = listed(
    """a an the some any this that these those my your his her their our its in on at to for with of from by into over
    under and or but if when because as than so not no yes there here what which who where how why me him them us you
    he she it we they i too very more less both all one two three out up off down back today tonight again something
    anything everything okay well about really quite around through against is-that right"""
)
IRREGULAR = {
    "have": "has",
    "do": "does",
    "go": "goes",
    "be": "is",
    "am": "is",
    "are": "is",
    "have-not": "has not",
}
NEGATED = {
    "don't": ("does not", "do not"), "haven't": ("has not", "have not"), "wasn't": ("was not", "were not"),
    "weren't": ("was not", "were not"), "didn't": ("did not", "did not"), "aren't": ("is not", "are not"),
    "hadn't": ("had not", "had not"), "couldn't": ("could not", "could not"), "wouldn't": ("would not", "would not"),
    "shouldn't": ("should not", "should not"), "doesn't": ("does not", "do not"), "isn't": ("is not", "are not"),
    "hasn't": ("has not", "have not"), "can't": ("can't", "can't"), "won't": ("won't", "won't"),
    "mustn't": ("must not", "must not"), "cannot": ("cannot", "cannot"),
}  # fmt: skip


def singular(verb: str) -> str:
    """The form that goes with she, of a verb as it goes with I."""
    low = verb.lower()
    if low in IRREGULAR:
        return IRREGULAR[low]
    if (
        low in UNCHANGED
        or (low.endswith("ing") and len(low) > 5)
        or (low.endswith("ed") and low not in {"need", "feed", "bleed", "speed", "breed"})
    ):
        return low
    if low.endswith(("s", "x", "z", "ch", "sh")):
        return low + "es"
    if low.endswith("y") and low[-2:-1] not in set("aeiou"):
        return low[:-1] + "ies"
    return low + "s"


def piece(word: Word, *, first: bool = False) -> str:
    """One word as written in a note: names and sentence beginnings lose the capitals of speech."""
    text = word.text
    if text.lower() in ACRONYMS:
        text = {"hba1c": "HbA1c", "egfr": "eGFR", "iga": "IgA", "igg": "IgG", "igm": "IgM"}.get(
            text.lower(), text.upper()
        )
    elif first and text[:1].isupper() and (text[1:].islower() or text == "A"):
        text = text.lower()
    return text


class Retelling:
    """Builds the sentence word by word."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.named = False  # "the patient" has been said; from here on "they"
        self.refused = False

    def add(self, text: str) -> None:
        """Append a word."""
        self.out.extend(text.split())

    def pause(self) -> None:
        """A comma, never two and never in front."""
        if self.out and not self.out[-1].endswith(","):
            self.out[-1] += ","

    @property
    def text(self) -> str | None:
        """The sentence, or nothing where it could not be turned."""
        return None if self.refused or not self.out else " ".join(self.out).rstrip(",")


def of_patient(
    *, words: Sequence[Word], drop_subject: bool = True, subject: str = "they"
) -> str | None:
    """`I take them at night` as `takes them at night`. None if someone is addressed in it."""
    told = Retelling()
    items = list(words)
    index = 0
    singular_chain = False
    while index < len(items):
        word = items[index]
        if word.kind != "word":
            told.pause()
            index += 1
            continue
        low = word.low
        leading = not told.out
        after_joint = bool(told.out) and told.out[-1].rstrip(",") in {"and", "but", "or", "then"}
        if low in {"you", "you're", "your", "you've", "you'll", "you'd", "yours", "yourself"}:
            told.refused = True
            break
        if low in {"i", "i'm", "i've", "i'll", "i'd"}:
            listed = singular_chain and told.out[-1].endswith(",") and low == "i"
            dropped = drop_subject and (leading or (after_joint and singular_chain) or listed)
            singular_chain = singular_chain or (dropped and leading)
            index = _subject(told=told, items=items, index=index, dropped=dropped, pronoun=subject)
            if told.refused:
                break
            continue
        if low in {"we", "we're", "we've", "we'll", "we'd"}:
            told.add(
                {
                    "we": "they",
                    "we're": "they are",
                    "we've": "they have",
                    "we'll": "they will",
                    "we'd": "they would",
                }[low]
            )
            index = _agree(told=told, items=items, index=index + 1, plural=True)
            continue
        replacement = {
            "me": "them", "my": "their", "mine": "theirs", "myself": "themselves", "us": "them", "our": "their",
            "ours": "theirs", "ourselves": "themselves",
        }.get(low)  # fmt: skip
        if replacement:
            if not (low == "my" and leading and drop_subject):
                told.add(replacement)
        elif low in NEGATED and low not in {"can't", "won't", "cannot"}:
            told.add(word.low)
        else:
            told.add(piece(word, first=leading))
        index += 1
    return told.text


def _subject(*, told: Retelling, items: list[Word], index: int, dropped: bool, pronoun: str) -> int:
    """`I` and what follows up to its verb."""
    low = items[index].low
    if not dropped:
        told.add(pronoun)
    glued = {
        "i'm": ("is", "are"), "i've": ("has", "have"), "i'll": ("will", "will"), "i'd": ("would", "would"),
    }.get(low)  # fmt: skip
    if glued is None:
        return _agree(told=told, items=items, index=index + 1, plural=not dropped)
    if low == "i'd":
        following = next(
            (w.low for w in items[index + 1 :] if w.kind == "word" and w.low not in ADVERBS), ""
        )
        told.add(
            "had"
            if following.endswith("ed")
            or following in {"been", "had", "gone", "got", "taken", "seen"}
            else "would"
        )
        return index + 1
    told.add(glued[0] if dropped else glued[1])
    return index + 1


def _is_verb(low: str) -> bool:
    return (
        low in VERBS | MORE_VERBS | UNCHANGED
        or low in NEGATED
        or low.endswith(("ed", "n't"))
        or (low.endswith("ing") and len(low) > 5)
    )


def _agree(*, told: Retelling, items: list[Word], index: int, plural: bool) -> int:
    """Adverbs as they come, then the verb in the form that agrees."""
    while index < len(items) and (items[index].kind == "pause" or items[index].low in ADVERBS):
        if items[index].kind == "word":
            told.add(items[index].low)
        index += 1
    if index >= len(items):
        told.refused = True
        return index
    low = items[index].low
    known = _is_verb(low) or (plural and low.isalpha())  # "they" needs no ending
    if low in NOT_VERBS or items[index].kind != "word" or not known:
        told.refused = True
        return index
    if low in NEGATED:
        told.add(NEGATED[low][1 if plural else 0])
        if (
            low in {"don't", "didn't", "doesn't"}
            and index + 1 < len(items)
            and items[index + 1].kind == "word"
        ):
            return index + 1
    elif low in {"kind", "sort"} and index + 1 < len(items) and items[index + 1].low == "of":
        told.add(f"{low} of")
        return _agree(told=told, items=items, index=index + 2, plural=plural)
    elif low == "were" and not plural:
        told.add("was")
    elif low in {"was", "am"} and plural:
        told.add({"was": "were", "am": "are"}[low])
    elif plural:
        told.add(low)
    else:
        told.add(singular(low))
        if (
            low == "try"
            and index + 2 < len(items)
            and items[index + 1].low == "and"
            and items[index + 2].kind == "word"
        ):
            told.add(f"and {singular(items[index + 2].low)}")
            return index + 3
    return index + 1


def of_clinician(*, words: Sequence[Word], named: bool = False) -> str | None:
    """`I think you have a strain` as `the clinician thinks the patient has a strain`."""
    told = Retelling()
    told.named = named
    items = list(words)
    index = 0
    while index < len(items):
        word = items[index]
        if word.kind != "word":
            told.pause()
            index += 1
            continue
        low, leading = word.low, not told.out
        if low in {"i", "i'm", "i've", "i'll", "i'd"}:
            index = _clinician_subject(told=told, items=items, index=index)
        elif low in {"you", "you're", "you've", "you'll", "you'd"}:
            index = _patient_subject(told=told, items=items, index=index)
        elif low in {"we", "we're", "we've", "we'll", "we'd"}:
            told.add(
                {
                    "we": "the team",
                    "we're": "the team is",
                    "we've": "the team has",
                    "we'll": "the team will",
                    "we'd": "the team would",
                }[low]
            )
            index = (
                _agree(told=told, items=items, index=index + 1, plural=False)
                if low == "we"
                else index + 1
            )
        elif low in {"let's", "lemme"} or (
            low == "let" and index + 1 < len(items) and items[index + 1].low in {"me", "us"}
        ):
            told.refused = True
        else:
            told.add(_clinician_word(told=told, word=word, leading=leading))
            index += 1
        if told.refused:
            return None
    return told.text


def _clinician_word(*, told: Retelling, word: Word, leading: bool) -> str:
    low = word.low
    if low in {"your", "yours"}:
        if told.named:
            return "their" if low == "your" else "theirs"
        told.named = True
        return "the patient's"
    return {
        "yourself": "themselves", "me": "the clinician", "my": "the clinician's", "us": "the team", "our": "the team's",
        "myself": "the clinician",
    }.get(low) or piece(word, first=leading)  # fmt: skip


def _clinician_subject(*, told: Retelling, items: list[Word], index: int) -> int:
    low = items[index].low
    told.add("the clinician")
    glued = {"i'm": "is", "i've": "has", "i'll": "will", "i'd": "would"}.get(low)
    if glued:
        told.add(glued)
        return index + 1
    return _agree(told=told, items=items, index=index + 1, plural=False)


def _patient_subject(*, told: Retelling, items: list[Word], index: int) -> int:
    low = items[index].low
    before = told.out[-1].rstrip(",") if told.out else ""
    glued = {
        "you're": ("is", "are"),
        "you've": ("has", "have"),
        "you'll": ("will", "will"),
        "you'd": ("would", "would"),
    }.get(low)
    plural, told.named = told.named, True
    if glued:
        told.add("they" if plural else "the patient")
        told.add(glued[1 if plural else 0])
        return index + 1
    following = [w for w in items[index + 1 :] if w.kind == "word" and w.low not in ADVERBS]
    immediate = items[index + 1] if index + 1 < len(items) else None
    governed = (
        before in VERBS | MORE_VERBS or (before.endswith(("ing", "ed")) and len(before) > 4)
    ) and before not in TELLING
    if following and _is_verb(following[0].low):
        governed = False  # "it looks like you have": a subject
    is_object = governed or (
        not following
        or immediate is None
        or immediate.kind != "word"
        or following[0].low in NOT_VERBS
        or before
        in {
            "have",
            "let",
            "make",
            "help",
            "see",
            "want",
            "wants",
            "prescribe",
            "give",
            "for",
            "of",
            "with",
            "to",
            "on",
            "get",
        }
    )
    if is_object:
        told.add("them" if plural else "the patient")
        return index + 1
    told.add("they" if plural else "the patient")
    return _agree(told=told, items=items, index=index + 1, plural=plural)


TELLING = listed(
    "think thinks thought know knows say says said hope believe believes feel feels see sees told guess suspect suspects wonder wonders "
    "understand sure noticed mean means make if when is are was were has have had do does did can could will would should may might must"
)


def sentence_case(text: str) -> str:
    """The first letter a capital, the rest as it is."""
    return text[:1].upper() + text[1:]
