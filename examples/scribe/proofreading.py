"""The last look at a statement: does every word of it that matters stand in what it quotes?

The rules that write statements are many and can be wrong. This one is short and cannot be talked
round: a content word, a number or a negation that the quotes do not hold takes the statement out.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from examples.scribe.statement import Statement, is_broken
from examples.scribe.words import listed

LONGEST_RUN = 24  # words in a row like the source; more would be a quotation without its marks
WORD = re.compile(r"[^\W_]+(?:[.,/:]\d+)*(?:['’][^\W_]+)*%?\+?")
QUOTED = re.compile(r"\"[^\"]*\"")
FRAME = listed(
    """patient patient's clinician clinician's team team's companion says said reports denies asked about answers advised advice plan to notes thinks
    whether they their them themselves theirs she he is are was were has have had does do did will would not no cannot the a an of on in
    and or but for with it its that this impression duration onset site frequency score occupation home medication tried dose amount drinks
    described as be been being by at from"""
)
CONTRACTED = {
    "can't": "can not", "cannot": "can not", "won't": "will not", "i'm": "i am", "i've": "i have", "i'll": "i will", "i'd": "i would had",
    "let's": "let us",
}  # fmt: skip
# Speech as transcribers write it, and as the draft writes it.
RESPELLED = [
    (re.compile(rf"\b{heard}\b"), written)
    for heard, written in (
        ("gon na", "going to"), ("gonna", "going to"), ("wan na", "want to"), ("wanna", "want to"), ("got ta", "got to"),
        ("gotta", "got to"), ("lem me", "let me"), ("dunno", "don't know"), ("ok", "okay"), ("alright", "okay"), ("(?:cause|cuz|cos)", "because"),
    )
]  # fmt: skip
NEGATIONS = {
    "no",
    "not",
    "never",
    "none",
    "nothing",
    "without",
    "neither",
    "nor",
    "nope",
    "nah",
    "denies",
    "denied",
}


def _respelled(text: str) -> str:
    for heard, written in RESPELLED:
        text = heard.sub(written, text)
    return text


def tokens(text: str) -> list[str]:
    """Lower-case words; contractions taken apart so that n't is not."""
    out: list[str] = []
    for match in WORD.finditer(
        _respelled(text.lower()).replace("’", "'").replace(" n't", "n't").replace("ca n't", "can't")
    ):
        word = match.group(0)
        if word in CONTRACTED:
            out += CONTRACTED[word].split()
        elif word.endswith("n't"):
            out += [word[:-3], "not"]
        elif "'" in word:
            out += [
                part
                for part in word.split("'")
                if part and part not in {"s", "re", "ve", "ll", "d", "m"}
            ]
        else:
            out.append(word)
    return out


def stem(word: str) -> str:
    """Enough to see that takes is take, carries carry, bodies body."""
    for ending, instead in (
        ("ies", "y"),
        ("sses", "ss"),
        ("shes", "sh"),
        ("ches", "ch"),
        ("oes", "o"),
        ("xes", "x"),
        ("s", ""),
    ):
        if word.endswith(ending) and len(word) > len(ending) + 1 and not word.endswith("ss"):
            return word[: -len(ending)] + instead
    return word


def variants(word: str) -> set[str]:
    """The word, and what it may be a form of."""
    found = {word, stem(word)}
    if word.endswith("ing") and len(word) > 5:
        found |= {word[:-3], f"{word[:-3]}e"}
    return found


def shortened(*, statement: Statement, source: str) -> Statement:
    """A statement that follows the source for too long ends at an earlier comma."""
    text = statement.text
    while longest_run(text, [source]) > LONGEST_RUN:
        places = [
            text.rfind(joint)
            for joint in (", ", "; ", " which ", " and ", " because ", " so ", " to ")
        ]
        if max(places) < 20:
            return statement
        text = text[: max(places)]
    return replace(statement, text=text)


def is_supported(*, statement: Statement, source: str) -> bool:
    """Nothing in it but what its spans say, and no negation lost or won."""
    quotes = " ".join(source[start:end] for start, end in statement.spans)
    said = tokens(quotes)
    stems = {stem(word) for word in said} | set(said)
    for word in tokens(QUOTED.sub(" ", statement.text)):
        if word not in FRAME | {statement.teller} and not variants(word) & stems:
            return False
    if is_broken(statement.text):
        return False
    negative = bool(NEGATIONS & set(said))
    written = statement.denied or bool(NEGATIONS & set(tokens(statement.text)))
    if negative != written:
        return False
    return longest_run(statement.text, [source]) <= LONGEST_RUN


@lru_cache(maxsize=8)
def _running(source: str) -> str:
    return f" {' '.join(WORD.findall(source.lower()))} "


def longest_run(text: str, sources: Iterable[str]) -> int:
    """The most words in a row, outside quotation marks, that stand like this in a source."""
    best = 0
    for source in sources:
        held = _running(source)
        for part in QUOTED.split(text):
            words = WORD.findall(part.lower())
            start = 0
            for end in range(1, len(words) + 1):
                while start < end and f" {' '.join(words[start:end])} " not in held:
                    start += 1
                best = max(best, end - start)
    return best
