"""The sheet as the body of a proposal: one change a line, each with its line quoted whole."""

import hashlib
from pathlib import Path
from typing import Any

from examples.handover import lines
from examples.handover.sheet import Line, Sheet

MODEL = {"name": "hand-over-rules", "version": "1"}
SOURCE = "s1"
_HEADINGS = {"patient", "date", "from", "written by"}


class NothingToPropose(Exception):
    """No line of the sheet says something that can be proposed."""


def compose(
    *, sheet: Sheet, destination: dict[str, Any], accepted: set[str]
) -> tuple[dict[str, Any], list[str]]:
    """A proposal for `destination`, and the sentences about lines that were left out.

    `accepted` are the kinds that the connection takes as new entries today; others are left out and named.
    Raises `NothingToPropose`.
    """
    changes, left_out = [], []
    for line in sheet.lines:
        if line.label in _HEADINGS:
            continue
        change = lines.change_of(line.label, line.said)
        if change is None:
            left_out.append(f"Left out, because it is not understood whole: “{line.label}”.")
        elif change[0] not in accepted:
            left_out.append(f"Left out, because this EHR takes no new {change[0]}: “{line.label}”.")
        else:
            changes.append(_change(change, line=line, sheet=sheet, ref=f"c{len(changes) + 1}"))
    if not changes:
        raise NothingToPropose(f"{sheet.title} holds no line that can be proposed here.")
    patient = destination.get("patient")
    source = {
        "ref": SOURCE,
        "kind": "document",
        "title": f"Hand-over sheet {sheet.title}"[:300],
        "text": sheet.text,
    }
    if patient:
        source["patient"] = patient["id"]
    number = len(changes)
    body = {
        "connection": destination.get("connection", ""),
        "patient": patient,
        "encounter": destination.get("encounter"),
        "task_type": "hand-over",
        "summary": f"{number} {'entry' if number == 1 else 'entries'} from a hand-over sheet.",
        "model": {**MODEL, "prompt_hash": rules_hash()},
        "all_or_nothing": False,
        "sources": [source],
        "changes": changes,
    }
    return {key: value for key, value in body.items() if value not in (None, "")}, left_out


def _change(
    change: tuple[str, dict[str, Any]], *, line: Line, sheet: Sheet, ref: str
) -> dict[str, Any]:
    kind, content = change
    quote = {
        "source": SOURCE,
        "start": line.start,
        "end": line.end,
        "quote": sheet.text[line.start : line.end],
    }
    return {
        "ref": ref,
        "kind": kind,
        "interaction": "create",
        "content": content,
        "evidence": [
            {"path": f"/{name}", **quote, "method": "derived", "confidence": 0.95}
            for name in content
        ],
        "depends_on": [],
    }


def rules_hash() -> str:
    """The rules that wrote the draft, as one hash: where a language model has its prompt."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"sha256:{digest.hexdigest()}"
