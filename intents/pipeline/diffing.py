"""What is different, for a reader: text by sentence and word, values by field. Pure.

A difference that drops a word is a safety fault, so the runs of `text_diff` always rebuild both texts
exactly: same + removed is the old one, same + added the new one (property-tested). The work is
bounded: texts without a common sentence beyond the cap are shown as replaced, and say so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz.distance import Indel

# A word with its inner marks ("don't", "120/80", "1.5"), a run of white space, or one other sign.
_TOKEN = re.compile(r"\w+(?:[.,/'’:-]\w+)*|\s+|[^\w\s]", re.UNICODE)
# A sentence ends at . ! ? with what closes it, or at the end of a line. "e.g. ", "Dr. " and
# a figure's point are not ends.
_SENTENCE = re.compile(
    r"[^\n]*?(?:(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\be\.g)(?<!\bi\.e)[.!?][\"”’)\]]*(?=\s|$)|(?=\n)|$)[^\S\n]*\n*"
)
# Pairs of words compared inside one changed run; beyond it the run is shown as replaced.
_MOST_PAIRS = 60_000_000
# Below this share of common words two runs are clearer whole than interleaved.
_ALIKE = 0.35


class Change(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    MOVED_HERE = "moved_here"
    MOVED_AWAY = "moved_away"


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text that stays, comes, goes or moves."""

    change: Change
    text: str


def words(text: str) -> list[str]:
    """Words, white space and signs; joined they are the text."""
    return _TOKEN.findall(text)


def sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) of each sentence in code points, closing space included; they cover the text."""
    spans = []
    position = 0
    while position < len(text):
        match = _SENTENCE.match(text, position)
        end = match.end() if match and match.end() > position else len(text)
        spans.append((position, end))
        position = end
    return spans


def text_diff(old: str, new: str) -> tuple[Run, ...]:
    """The difference of two texts, anchored on equal sentences, by word inside what changed."""
    if old == new:
        return (Run(Change.SAME, old),) if old else ()
    old_sentences = [old[a:b] for a, b in sentences(old)]
    new_sentences = [new[a:b] for a, b in sentences(new)]
    runs: list[Run] = []
    for kind, a1, a2, b1, b2 in _opcodes(old_sentences, new_sentences):
        before, after = "".join(old_sentences[a1:a2]), "".join(new_sentences[b1:b2])
        if kind == "equal":
            runs.append(Run(Change.SAME, before))
        elif not before:
            runs += [Run(Change.ADDED, s) for s in new_sentences[b1:b2]]
        elif not after:
            runs += [Run(Change.REMOVED, s) for s in old_sentences[a1:a2]]
        else:
            runs += _word_diff(before, after)
    return _joined(_moved(runs))


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """Equal, replace, insert and delete blocks; a deletion beside an insertion is one replacement."""
    blocks: list[tuple[str, int, int, int, int]] = []
    for op in Indel.opcodes(old, new):
        kind, a1, a2, b1, b2 = op.tag, op.src_start, op.src_end, op.dest_start, op.dest_end
        if blocks and kind != "equal" and blocks[-1][0] != "equal":
            _, pa1, _, pb1, _ = blocks[-1]
            blocks[-1] = ("replace", pa1, a2, pb1, b2)
        else:
            blocks.append((kind, a1, a2, b1, b2))
    return blocks


def _word_diff(old: str, new: str) -> list[Run]:
    before, after = words(old), words(new)
    whole = [Run(Change.REMOVED, old), Run(Change.ADDED, new)]
    if len(before) * len(after) > _MOST_PAIRS:
        return whole
    blocks = _opcodes(before, after)
    common = sum(
        1
        for kind, a1, a2, _, _ in blocks
        if kind == "equal"
        for w in before[a1:a2]
        if not w.isspace()
    )
    counted = max(1, sum(not w.isspace() for w in before), sum(not w.isspace() for w in after))
    if common / counted < _ALIKE:
        return whole
    runs: list[Run] = []
    for index, (kind, a1, a2, b1, b2) in enumerate(blocks):
        gone, come = "".join(before[a1:a2]), "".join(after[b1:b2])
        between = 0 < index < len(blocks) - 1
        if kind == "equal" and not (between and not any(w.isalnum() for w in gone)):
            runs.append(Run(Change.SAME, gone))
            continue
        # A lone space or sign between two changed words reads better as part of the change.
        if gone:
            runs.append(Run(Change.REMOVED, gone))
        if come:
            runs.append(Run(Change.ADDED, come))
    return _grouped(runs)


def _grouped(runs: list[Run]) -> list[Run]:
    """Between two unchanged runs: everything removed first, then everything added."""
    out: list[Run] = []
    gone = come = ""
    for run in [*runs, Run(Change.SAME, "")]:
        if run.change is Change.REMOVED:
            gone += run.text
        elif run.change is Change.ADDED:
            come += run.text
        else:
            if gone == come:
                out.append(Run(Change.SAME, gone))
            else:
                out += [Run(Change.REMOVED, gone), Run(Change.ADDED, come)]
            out.append(run)
            gone = come = ""
    return [run for run in out if run.text]


def _moved(runs: list[Run]) -> list[Run]:
    """A sentence that goes here and comes there, word for word, has moved."""
    gone = {r.text.strip() for r in runs if r.change is Change.REMOVED}
    come = {r.text.strip() for r in runs if r.change is Change.ADDED}
    both = {text for text in gone & come if len(text) > 15}
    if not both:
        return runs
    names = {Change.REMOVED: Change.MOVED_AWAY, Change.ADDED: Change.MOVED_HERE}
    return [
        Run(names[r.change], r.text) if r.change in names and r.text.strip() in both else r
        for r in runs
    ]


def _joined(runs: Sequence[Run]) -> tuple[Run, ...]:
    out: list[Run] = []
    for run in runs:
        if (
            out
            and out[-1].change is run.change
            and run.change not in (Change.MOVED_AWAY, Change.MOVED_HERE)
        ):
            out[-1] = Run(run.change, out[-1].text + run.text)
        else:
            out.append(run)
    return tuple(out)
