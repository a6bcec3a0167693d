"""Statements of a text, the quotes behind them, and how both are laid over what is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from intents.models import EvidenceItem, Source
from intents.pipeline.diffing import Change, Run, text_diff
from intents.pipeline.presentation.page import Piece, Quote, SourceView

# Code points of the source shown around the quoted words.
_AROUND = 90


@dataclass(frozen=True, slots=True)
class Segment:
    """Who says source[start:end], and when."""

    start: int
    end: int
    speaker: str
    at: str


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source with its text unsealed for one page."""

    ref: str
    title: str
    kind: str
    text: str
    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, source: Source) -> "OpenSource":
        raw = source.phi_json("segments") if source.segments else []
        return cls(
            ref=source.ref,
            title=source.phi("title") if source.title else "",
            kind=source.kind,
            text=source.phi("text"),
            segments=tuple(
                Segment(
                    start=int(s["start"]),
                    end=int(s["end"]),
                    speaker=str(s.get("speaker", "")),
                    at=str(s.get("at", "")),
                )
                for s in raw
            ),
        )

    def quote(self, *, start: int, end: int, method: str) -> Quote:
        """source[start:end] with what surrounds it, kept within the speaker's own words."""
        segment = next((s for s in self.segments if s.start <= start < s.end), None)
        first = max(start - _AROUND, segment.start if segment else 0)
        last = min(end + _AROUND, max(end, segment.end) if segment else len(self.text))
        before, after = self.text[first:start], self.text[end:last]
        lower = segment.start if segment else 0
        upper = segment.end if segment else len(self.text)
        return Quote(
            source=self.ref,
            title=self.title,
            speaker=segment.speaker if segment else "",
            at=segment.at if segment else "",
            before=("… " if first > lower else "") + before.lstrip("\n"),
            marked=self.text[start:end],
            after=after.rstrip("\n") + (" …" if last < upper else ""),
            method=method,
        )

    def view(self, marks: Sequence[tuple[int, int]]) -> SourceView:
        """The whole source by line, with the quoted spans marked."""
        spans = self.segments or (Segment(0, len(self.text), "", ""),)
        lines = tuple((s.at, s.speaker, _marked(self.text, s.start, s.end, marks)) for s in spans)
        return SourceView(ref=self.ref, title=self.title, kind=self.kind, lines=lines)


def _marked(text: str, start: int, end: int, marks: Sequence[tuple[int, int]]) -> tuple[Piece, ...]:
    edges = sorted({start, end, *(p for a, b in marks for p in (a, b) if start < p < end)})
    return tuple(
        Piece(
            text=text[a:b], change="quoted" if any(x <= a and b <= y for x, y in marks) else "same"
        )
        for a, b in pairwise(edges)
    )


def carried_over(old: str, new: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where spans of `old` lie in `new`; a span whose words are all gone becomes empty."""
    if old == new:
        return list(spans)
    position_old = position_new = 0
    pairs: list[tuple[int, int, int, int]] = []
    for run in text_diff(old, new):
        size = len(run.text)
        if run.change is Change.SAME:
            pairs.append((position_old, position_old + size, position_new, position_new + size))
            position_old += size
            position_new += size
        elif run.change in (Change.REMOVED, Change.MOVED_AWAY):
            position_old += size
        else:
            position_new += size
    out = []
    for start, end in spans:
        kept = [
            (n1 + max(start, o1) - o1, n1 + min(end, o2) - o1)
            for o1, o2, n1, _ in pairs
            if max(start, o1) < min(end, o2)
        ]
        out.append((kept[0][0], kept[-1][1]) if kept else (0, 0))
    return out


def evidence_by_span(
    items: Sequence[EvidenceItem], *, pointer: str, old: str, new: str
) -> list[tuple[int, int, EvidenceItem]]:
    """The evidence of one text, with its spans where they lie in the text as it will be sent."""
    mine = [i for i in items if i.path == pointer]
    spans = [
        (
            i.span_start if i.span_start is not None else 0,
            i.span_end if i.span_end is not None else len(old),
        )
        for i in mine
    ]
    return [
        (start, end, item)
        for (start, end), item in zip(carried_over(old, new, spans), mine, strict=True)
        if start < end
    ]


def pieces(
    runs: Sequence[Run], *, side: str, numbers: Mapping[tuple[int, int], tuple[int, bool]]
) -> tuple[Piece, ...]:
    """The runs of one side, cut where statements begin and end. `numbers`: span to (number, flagged)."""
    hidden = (
        (Change.REMOVED, Change.MOVED_AWAY) if side == "new" else (Change.ADDED, Change.MOVED_HERE)
    )
    edges = sorted({p for span in numbers for p in span})
    out: list[Piece] = []
    position = 0
    for run in runs:
        if run.change in hidden:
            if side == "new":
                # what goes is shown where it stood, also on the side of what comes
                out.append(Piece(text=run.text, change=run.change.value))
            continue
        start, end = position, position + len(run.text)
        cuts = [start, *(e for e in edges if start < e < end), end]
        for a, b in pairwise(cuts):
            number, flagged = next(
                (value for (x, y), value in numbers.items() if x <= a and b <= y), (0, False)
            )
            out.append(
                Piece(
                    text=run.text[a - start : b - start],
                    change=run.change.value,
                    statement=number,
                    flagged=flagged,
                )
            )
        position = end
    return tuple(out)
