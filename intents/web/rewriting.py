"""What an answer to a check changes in a draft's words: a statement taken out, a left-out fact added."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from intents.pipeline.presentation import Card, Statement

_TRAILING = re.compile(r"[ \t]+(?=\n|$)")


def rewritten(
    content: Mapping[str, Any], *, card: Card, out: Sequence[Statement], added: Sequence[Statement]
) -> dict[str, Any]:
    """The content of a note without the statements `out` and with the quoted facts `added`.

    A section that becomes empty goes. An added fact is a quotation with its speaker, so that it says
    no more than the source does.
    """
    sections = [dict(section) for section in content.get("sections") or []]
    texts = [
        "".join(
            piece.text for piece in view.will_be if piece.change not in ("removed", "moved_away")
        )
        for view in card.sections
        if view.will_be
    ]
    for index, section in enumerate(sections):
        pointer = f"/sections/{index}/text"
        spans = sorted((s.start, s.end) for s in out if s.pointer == pointer)
        if not spans:
            continue
        section["text"] = _without(texts[index], spans)
        section.pop("acts", None)
    kept = [section for section in sections if section["text"].strip()]
    for statement in added:
        quote = statement.quotes[0]
        said = f"{quote.speaker or 'Source'}: “{quote.marked.strip()}”"
        if kept:
            kept[0]["text"] = f"{kept[0]['text'].rstrip()}\n{said}"
        else:
            kept.append({"title": "Said in the visit", "text": said})
    return {**content, "sections": kept}


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    out, position = [], 0
    for start, end in spans:
        out.append(
            text[position:start].rstrip(" \t") + (" " if text[position:start].strip() else "")
        )
        position = end
    out.append(text[position:].lstrip(" \t"))
    return _TRAILING.sub("", "".join(out)).strip("\n ")
