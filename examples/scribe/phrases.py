"""Beginnings and ends of what was said, cut off where they carry nothing."""

import re
from collections.abc import Sequence

from examples.scribe.words import Word

TAIL = re.compile(
    r" so(?: \w+){1,2}$| (?:because|so|and|but|or|since|which|that|when|if|to|just|the|with|in|on|of|for|at|from|about|into)(?: (?:right now|i|you|we|the|just|then|again))?(?<!used to)(?<!ever since)(?<!worry about)(?<!worried about)(?<!sure about)(?<!anything of)(?<!not that i)$"
)


def without_tail(words: list[Word], *, tail: re.Pattern[str] | None = None) -> list[Word]:
    """Without a last word that led to something never said."""
    low = " ".join(word.low for word in words if word.kind == "word")
    while match := (tail or TAIL).search(low):
        low = low[: match.start()]
    keep = len(low.split())
    out: list[Word] = []
    for word in words:
        if word.kind == "word":
            if not keep:
                break
            keep -= 1
        out.append(word)
    while out and out[-1].kind != "word":
        out.pop()
    return out


def after(words: Sequence[Word], prefix: str) -> list[Word]:
    count = len(prefix.split())
    rest = list(words)
    while count and rest:
        if rest.pop(0).kind == "word":
            count -= 1
    while rest and rest[0].kind != "word":
        rest.pop(0)
    return rest


def words_until(words: Sequence[Word], prefix: str) -> int:
    count = len(prefix.split())
    for place, word in enumerate(words):
        if word.kind == "word":
            if count == 0:
                return place
            count -= 1
    return len(words)


DOSE = re.compile(
    r"\b(?:mg|milligrams?|mcg|micrograms?|grams?|ml|millilit\w+|units?|puffs?|tablets?|capsules?|times a day|once a day|twice a day|(?:once|twice|times) daily|every \w+ hours)\b"
)
