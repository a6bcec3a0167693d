"""A text cut into statements, and its words as two tellings of one thing share them. Pure."""

import re
from collections.abc import Iterable

_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:dr|mr|mrs|ms|prof|st|vs|approx|e\.g|i\.e|etc|cf|no|fig|hx|tx|rx|dx|pt|"
    r"[a-z]|[ap]\.m|b\.i\.d|t\.i\.d|q\.d|p\.o|p\.r\.n)$",
    re.IGNORECASE,
)
_MARK = re.compile(r"[\s•*–—-]*(?:\d{1,2}[.)](?=\s))?\s*")
_ONLY_A_MARK = re.compile(r"\d{1,2}[.)]?")


def statements(text: str) -> list[tuple[int, int]]:
    """The spans (code points) of the sentences and list items of `text`, without blanks and bullets.

    Spans never overlap, come in order, and leave out nothing that holds a letter or a digit.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in [*_ends(text), len(text)]:
        begin = _MARK.match(text, start, end).end()  # type: ignore[union-attr]  # it matches the empty text as well
        stop = begin + len(text[begin:end].rstrip())
        if _ONLY_A_MARK.fullmatch(text, begin, stop) and "\n" not in text[begin:end]:
            continue  # "1." belongs to the item that follows it
        if any(c.isalnum() for c in text[begin:stop]):
            spans.append((begin, stop))
        start = end
    return spans


def _ends(text: str) -> Iterable[int]:
    for mark in _END.finditer(text):
        before = text[max(0, mark.start() - 12) : mark.start()]
        following = text[mark.end() : mark.end() + 8].lstrip(" \t")
        # A stop that stands apart, as in tokenised transcripts, is never an abbreviation's.
        tied = mark.group().startswith(".") and not before.endswith(" ")
        if tied and (_ABBREVIATION.search(before) or following[:1].islower()):
            continue
        yield mark.end()


def plain(text: str) -> str:
    """Lower case with straight apostrophes, every character in its place (offsets stay true)."""
    low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return low.replace("’", "'").replace("ʼ", "'")


_EMPTY_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "here",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "just",
        "me",
        "my",
        "no",
        "not",
        "of",
        "on",
        "or",
        "our",
        "out",
        "she",
        "so",
        "some",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "today",
        "up",
        "us",
        "was",
        "we",
        "well",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "will",
        "with",
        "would",
        "you",
        "your",
        "about",
        "after",
        "again",
        "all",
        "also",
        "am",
        "because",
        "before",
        "being",
        "both",
        "during",
        "each",
        "few",
        "more",
        "most",
        "other",
        "over",
        "own",
        "same",
        "such",
        "too",
        "very",
        "patient",
        "reports",
        "reported",
        "denies",
        "denied",
        "states",
        "stated",
        "notes",
        "noted",
        "says",
        "said",
        "endorses",
        "continues",
        "current",
        "currently",
        "presents",
        "history",
    ]
)
WORD = re.compile(r"[a-z]{3,}")
_ENDINGS = re.compile(r"(?:iness|ness|ingly|ing|edly|ed|ies|ied|es|ly|s|y|e)$")


def stems(text: str) -> frozenset[str]:
    """The content words of a text without their endings: what two tellings of one thing share."""
    return frozenset(
        _ENDINGS.sub("", w) if len(w) > 4 else w
        for w in WORD.findall(plain(text))
        if w not in _EMPTY_WORDS
    )
