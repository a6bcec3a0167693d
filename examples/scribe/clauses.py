"""Speech cut into clauses, each still tied to the characters that it came from."""

from collections.abc import Sequence
from dataclasses import dataclass

from examples.scribe import boundaries
from examples.scribe import words as spoken
from examples.scribe.boundaries import JOINERS
from examples.scribe.grammar import BEGUN, NOMINATIVE
from examples.scribe.transcript import Transcript, Turn
from examples.scribe.words import Word, listed

LEADS = {
    "and", "so", "but", "well", "okay", "right", "now", "then", "anyway", "plus", "however", "great", "perfect", "excellent",
    "fantastic", "alright", "awesome", "good", "otherwise", "sure", "sorry", "lastly", "again", "also", "fine", "because",
}  # fmt: skip

TOLD = {"get", "take", "call", "continue", "weigh", "keep", "start", "make", "let"}


@dataclass(frozen=True, slots=True)
class Clause:
    """A tidied stretch of one speaker's words. `mark` is the stop it ended with, if any."""

    words: tuple[Word, ...]
    turn: int
    speaker: str
    mark: str = ""
    lead: str = ""  # the joining words in front of it: "but", "and so"
    lead_start: int = -1  # where they begin
    unclear: bool = False  # something in it could not be heard, or was broken off
    number: int = 0  # its place in the consultation
    cut_off: bool = False  # the other speaker came in before it was finished

    @property
    def text(self) -> str:
        """The words as running text."""
        return spoken.render(self.words)

    @property
    def lows(self) -> list[str]:
        """The words alone, in lower case."""
        return [word.low for word in self.words if word.kind == "word"]

    @property
    def low(self) -> str:
        """The words alone as one lower-case string."""
        return " ".join(self.lows)


def of_turn(*, transcript: Transcript, index: int, turn: Turn) -> list[Clause]:
    """The clauses of a turn in order. Nothing is dropped here but fillers."""
    found: list[Clause] = []
    for sentence in spoken.sentences(
        spoken.tokens(text=transcript.text, start=turn.start, end=turn.end)
    ):
        mark = sentence[-1].text if sentence[-1].kind == "stop" else ""
        body = spoken.tidy([word for word in sentence if word.kind != "stop"])
        parts = boundaries.parts(body)
        for place, part in enumerate(parts):
            lead, rest = _without_lead(part)
            rest = _trimmed(rest)
            final = place == len(parts) - 1
            cut_off = final and not mark and bool(rest) and rest[-1].kind == "cut"
            if cut_off:
                rest = _trimmed(rest[:-1])
            if not any(word.kind == "word" for word in rest):
                if not lead:
                    continue
                rest = [word for word in part if word.kind == "word"][-1:]
                lead = ""
            found.append(
                Clause(
                    words=tuple(word for word in rest if word.kind in {"word", "pause"}),
                    turn=index,
                    speaker=turn.speaker,
                    mark=mark if final else "",
                    lead=" ".join(lead.split()),
                    lead_start=next((word.start for word in part if word.kind == "word"), -1)
                    if lead
                    else -1,
                    unclear=_is_unclear(rest),
                    cut_off=cut_off,
                )
            )
    return found


def _is_unclear(words: Sequence[Word]) -> bool:
    return any(
        word.kind in {"gap", "cut"} or (word.doubtful and word.low not in HARMLESS_IF_DOUBTFUL)
        for word in words
    )


HARMLESS_IF_DOUBTFUL = listed(
    "okay yes so and the a an um uh you i well it it's that that's had has have would i've you've i'm you're "
    "is was there in of but they just like might perhaps maybe could can to at on for then said really quite bit "
    "we'd also certainly pretty this with be been she he we my your going get got"
)


def _trimmed(words: list[Word]) -> list[Word]:
    """Without pauses, gaps and breaks at either end: they belong to what is around it."""
    while words and words[0].kind != "word":
        words = words[1:]
    while words and words[-1].kind != "word":
        # A break at the end means that the clause was not finished.
        if words[-1].kind == "cut":
            break
        words = words[:-1]
    return words


def _without_lead(words: list[Word]) -> tuple[str, list[Word]]:
    lead: list[str] = []
    rest = list(words)
    while rest:
        head = rest[0]
        if head.kind != "word":
            rest = rest[1:]
            continue
        following = next((word for word in rest[1:] if word.kind == "word"), None)
        if head.low in {"hi", "hello"} or (
            head.low == "good"
            and following is not None
            and following.low in {"morning", "afternoon", "evening"}
        ):
            rest = (
                rest[rest.index(following) + 1 :] if head.low == "good" and following else rest[1:]
            )
            continue
        if head.low == "because" and following is not None and following.low == "of":
            break
        if head.low == "all" and following is not None and following.low == "right":
            rest = rest[rest.index(following) + 1 :]
            continue
        if head.low not in LEADS or (
            head.low == "well" and following and following.low in {"nourished", "controlled"}
        ):
            break
        if (
            head.low in {"right", "fine", "good", "sure", "great"}
            and following is not None
            and rest[1].kind == "word"
            and following.low not in TOLD | NOMINATIVE | JOINERS | {"you", "it", "there", "that"}
            and not BEGUN.fullmatch(following.low)
        ):
            break
        lead.append(head.low)
        rest = rest[1:]
    return " ".join(lead), rest
